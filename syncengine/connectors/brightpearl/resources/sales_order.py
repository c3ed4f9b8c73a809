"""Brightpearl sales orders. Facts: reference/brightpearl.md section 7 (search), section 11 (orders)."""

# ruff: noqa: N815 - the names are Brightpearl's
from __future__ import annotations

from marshmallow import fields

from syncengine.connectors.base import NameKind
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.schemas import Document, Flag, Number, Part, Rows, Time, Whole, Words
from syncengine.document import Doc

SALES_ORDER_TYPE = "SO"
SALES_ORDER_TYPE_ID = "1"
INVOICED = "INVOICED"


class Amount(Document):
    """An amount with its currency."""

    currencyCode = Words()
    value = Number()


class Quantity(Document):
    """An order's `quantity`."""

    magnitude = Number()


class RowValue(Document):
    """What a row is worth: `rowNet` and `rowTax` are of the whole row, quantity included."""

    taxRate = Number()
    taxCode = Words()
    taxCalculator = Words()
    rowNet = Part(Amount)
    rowTax = Part(Amount)
    taxClassId = Whole()


class RowComposition(Document):
    """An order's `composition`."""

    bundleParent = Flag()
    bundleChild = Flag()
    parentOrderRowId = Whole()


class OrderRow(Document):
    """One row; the typed document adds its `id`."""

    orderRowSequence = Words()
    productId = Whole()
    productName = Words()
    productSku = Words()
    quantity = Part(Quantity)
    itemCost = Part(Amount)
    productPrice = Part(Amount)
    discountPercentage = Number()
    rowValue = Part(RowValue)
    nominalCode = Words()
    composition = Part(RowComposition)
    clonedFromId = Whole()
    externalRef = Words()


class Party(Document):
    """Customer, billing or delivery; the three country texts are missing where `countryId` is 0."""

    contactId = Whole()
    addressFullName = Words()
    companyName = Words()
    addressLine1 = Words()
    addressLine2 = Words()
    addressLine3 = Words()
    addressLine4 = Words()
    postalCode = Words()
    country = Words()
    telephone = Words()
    mobileTelephone = Words()
    fax = Words()
    email = Words()
    countryId = Whole()
    countryIsoCode = Words()
    countryIsoCode3 = Words()


class Parties(Document):
    """An order's `parties`."""

    customer = Part(Party)
    delivery = Part(Party)
    billing = Part(Party)


class Status(Document):
    """An order's `orderStatus`."""

    orderStatusId = Whole()
    name = Words()


class Delivery(Document):
    """An order's `delivery`."""

    deliveryDate = Time()
    shippingMethodId = Whole()


class Invoice(Document):
    """An order's `invoices`."""

    invoiceReference = Words()
    taxDate = Time()
    dueDate = Time()


class Currency(Document):
    """An order's `currency`."""

    accountingCurrencyCode = Words()
    orderCurrencyCode = Words()
    exchangeRate = Number()
    fixedExchangeRate = Flag()


class TotalValue(Document):
    """An order's `totalValue`."""

    net = Number()
    taxAmount = Number()
    baseNet = Number()
    baseTaxAmount = Number()
    baseTotal = Number()
    total = Number()


class CurrentAssignment(Document):
    """An order's `current`."""

    staffOwnerContactId = Whole()
    projectId = Whole()
    channelId = Whole()
    leadSourceId = Whole()
    teamId = Whole()


class Assignment(Document):
    """An order's `assignment`."""

    current = Part(CurrentAssignment)


class SalesOrderSchema(Document):
    """An order as GET gives it; `orderRows` becomes a list, by sequence and row id."""

    id = Whole(required=True, allow_none=False)
    parentOrderId = Whole()
    orderTypeCode = Words(required=True, allow_none=False)
    reference = Words()
    version = Whole()
    orderStatus = Part(Status)
    orderPaymentStatus = Words()
    stockStatusCode = Words()
    allocationStatusCode = Words()
    shippingStatusCode = Words()
    placedOn = Time()
    createdOn = Time()
    updatedOn = Time()
    closedOn = Time()
    createdById = Whole()
    priceListId = Whole()
    priceModeCode = Words()
    delivery = Part(Delivery)
    invoices = fields.List(Part(Invoice), allow_none=True)
    currency = Part(Currency)
    totalValue = Part(TotalValue)
    assignment = Part(Assignment)
    parties = Part(Parties)
    orderRows = Rows(OrderRow, "orderRowSequence", load_default=list)
    warehouseId = Whole()
    externalRef = Words()
    costPriceListId = Whole()
    historicalOrder = Flag()
    isDropship = Flag()


class SalesOrder(BrightpearlSource):
    """Orders of type SO. Purchase orders and credits share the path; they are absent here."""

    name = "brightpearl.sales_order"
    schema = SalesOrderSchema
    searchable = {
        "reference": NameKind.REFERENCE,
        "externalRef": NameKind.REFERENCE,
        "invoices.*.invoiceReference": NameKind.REFERENCE,
        "parties.*.email": NameKind.EMAIL,
        "parties.*.telephone": NameKind.PHONE,
        "parties.*.mobileTelephone": NameKind.PHONE,
        "orderRows.*.productSku": NameKind.SKU,
    }
    feeds = {"updated": "updatedOn", "created": "createdOn"}  # `updatedOn` stays empty until an order's first edit
    events = ("order.created", "order.modified")  # the latter comes on creation too (section 10)
    path = "order-service/order"
    search = "order-service/order-search"
    id_column = "orderId"
    filters = {"orderTypeId": SALES_ORDER_TYPE_ID}
    misses_changes = True  # a PATCH by another app may leave `updatedOn` as it is (section 14.8)
    required_fields = ("id", "orderTypeCode", "orderRows")
    field_notes = {
        "id": "the order's number",
        "parentOrderId": "0: none",
        "reference": "the customer's or the shop's own reference",
        "orderStatus.orderStatusId": "an id of the account's own list of statuses",
        "orderPaymentStatus": "UNPAID, NOT_APPLICABLE and others",
        "stockStatusCode": "SON, SOP, SOA: none, part, all; NON",
        "allocationStatusCode": "ANR not required, ANA none, APA part, AAA all",
        "shippingStatusCode": "NST, SNS, SPS, ASS",
        "updatedOn": "absent until the first edit",
        "closedOn": "only once the order is invoiced",
        "priceModeCode": "INC or EXC: whether product prices include tax",
        "delivery.deliveryDate": "may be absent",
        "invoices.invoiceReference": "empty until the order is invoiced",
        "totalValue.net": "in the order's currency; base amounts are in the account's",
        "assignment.current.channelId": "the sales channel",
        "parties.customer": "who ordered; delivery has no contactId",
        "parties.customer.countryIsoCode": "2 letters; absent where countryId is 0",
        "parties.delivery.countryIsoCode": "2 letters; absent where countryId is 0",
        "parties.billing.countryIsoCode": "2 letters; absent where countryId is 0",
        "orderRows": "in the order that people see",
        "orderRows.id": "the row's id",
        "orderRows.productId": "1000: free text",
        "orderRows.productSku": "absent for free text",
        "orderRows.rowValue.rowNet.value": "of the whole row: quantity included, discount taken off, without tax",
        "orderRows.rowValue.rowTax.value": "of the whole row",
        "orderRows.composition.parentOrderRowId": "a bundle's component: the id of the bundle's row",
        "externalRef": "set by the app that made the order",
        "warehouseId": "0: none",
    }

    def is_mine(self, doc: Doc) -> bool:
        """Webhooks report orders of all four types by the same event."""
        return doc.get("orderTypeCode") == SALES_ORDER_TYPE

    def is_closed(self, doc: Doc) -> bool:
        """Once it is invoiced, an order is not changed any more (section 11.4)."""
        return bool(doc.get("closedOn")) or times.at(doc, "state.tax") == INVOICED

"""Objects of the shop as the GETs show them (sections 11 to 14, and the example payloads)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal

from syncengine.sandbox.brightpearl.responses import COUNTRIES, decimals, moment
from syncengine.sandbox.shop.model import Address, Contact, Currency, Order, Party, Product, Row, Status, TaxCode

Json = dict[str, object]
_TWO = Decimal("0.01")


def order(entry: Order, statuses: Mapping[int, Status], taxes: Mapping[str, TaxCode], base: str, zone: tzinfo) -> Json:
    """One element of `GET order/{ids}` (11.1)."""

    def when(value: datetime) -> str:
        return moment(value, zone)

    partner = "customer" if entry.type_code in ("SO", "SC") else "supplier"
    rows = sorted(entry.rows.values(), key=lambda row: (row.sequence, row.id))
    return {
        "id": entry.id,
        "parentOrderId": entry.parent_id,
        "orderTypeCode": entry.type_code,
        "reference": entry.reference,
        "version": entry.version,
        "state": {"tax": "INVOICED" if entry.closed_on else "READY"},
        "orderStatus": {"orderStatusId": entry.status_id, "name": statuses[entry.status_id].name},
        "tax": {"errors": []},
        "orderPaymentStatus": entry.payment_status,
        "stockStatusCode": entry.stock_status,
        "allocationStatusCode": entry.allocation_status,
        "shippingStatusCode": entry.shipping_status,
        "placedOn": when(entry.placed_on),
        "createdOn": when(entry.created_on),
        **({"updatedOn": when(entry.updated_on)} if entry.updated_on else {}),
        **({"closedOn": when(entry.closed_on)} if entry.closed_on else {}),
        "createdById": entry.created_by,
        "priceListId": entry.price_list_id,
        "priceModeCode": entry.price_mode,
        "delivery": {
            **({"deliveryDate": when(entry.delivery_date)} if entry.delivery_date else {}),
            "shippingMethodId": entry.shipping_method_id,
        },
        "invoices": [
            {
                "invoiceReference": entry.invoice_reference,
                **({"taxDate": when(entry.tax_date), "dueDate": when(entry.tax_date)} if entry.tax_date else {}),
            }
        ],
        "currency": {
            "accountingCurrencyCode": base,
            "orderCurrencyCode": entry.currency,
            "exchangeRate": decimals(entry.exchange_rate, 6),
            "fixedExchangeRate": entry.fixed_rate,
        },
        "totalValue": totals(entry, taxes),
        "assignment": {
            "current": {
                "staffOwnerContactId": entry.staff_owner_id,
                "projectId": entry.project_id,
                "channelId": entry.channel_id,
                "leadSourceId": entry.lead_source_id,
                "teamId": entry.team_id,
            }
        },
        "parties": {
            partner: party(entry.customer),
            "delivery": party(entry.delivery, with_contact=False),
            "billing": party(entry.billing),
        },
        "orderRows": {str(line.id): row(line, entry.currency, base, taxes) for line in rows},
        "warehouseId": entry.warehouse_id,
        "acknowledged": 0,
        "costPriceListId": entry.cost_price_list_id,
        "historicalOrder": False,
        **({} if entry.closed_on else {"isDropship": False}),
        **({"originalInvoiceDate": when(entry.tax_date)} if entry.closed_on and entry.tax_date else {}),
        "orderWeighting": 100,
    }


def totals(entry: Order, taxes: Mapping[str, TaxCode]) -> Json:
    """`totalValue`. Where prices include tax, the total is the amount charged, and the net is the rest.

    Base values are order values divided by the exchange rate, which counts units of the order's currency for one of
    the account's (the reference does not say which way it counts).
    """
    tax = sum((line.tax for line in entry.rows.values()), Decimal(0))
    if entry.price_mode == "INC":
        gross = sum((line.net * (1 + rate(line, taxes) / 100) for line in entry.rows.values()), Decimal(0))
        net = gross.quantize(_TWO, ROUND_HALF_UP) - tax
    else:
        net = sum((line.net for line in entry.rows.values()), Decimal(0)).quantize(_TWO, ROUND_HALF_UP)
    base_net, base_tax = net / entry.exchange_rate, tax / entry.exchange_rate
    return {
        "net": decimals(net, 2),
        "taxAmount": decimals(tax, 2),
        "baseNet": decimals(base_net, 2),
        "baseTaxAmount": decimals(base_tax, 2),
        "baseTotal": decimals(base_net.quantize(_TWO, ROUND_HALF_UP) + base_tax.quantize(_TWO, ROUND_HALF_UP), 2),
        "total": decimals(net + tax, 2),
    }


def rate(line: Row, taxes: Mapping[str, TaxCode]) -> Decimal:
    """The tax rate of a row in per cent; 0 for a code that does not exist."""
    return taxes[line.tax_code].rate if line.tax_code in taxes else Decimal(0)


def row(line: Row, currency: str, base: str, taxes: Mapping[str, TaxCode]) -> Json:
    """One value of `orderRows`; `rowNet` and `rowTax` are for the whole quantity."""
    return {
        "orderRowSequence": str(line.sequence),
        "productId": line.product_id,
        "productName": line.name,
        **({"productSku": line.sku} if line.sku else {}),
        "quantity": {"magnitude": decimals(line.quantity, 4)},
        "itemCost": {"currencyCode": base, "value": decimals(line.cost, 4)},
        "productPrice": {"currencyCode": currency, "value": decimals(line.price, 4)},
        "discountPercentage": decimals(line.discount, 2),
        "rowValue": {
            "taxRate": decimals(rate(line, taxes), 4),
            "taxCode": line.tax_code,
            "taxCalculator": line.tax_calculator,
            "rowNet": {"currencyCode": currency, "value": decimals(line.net, 4)},
            "rowTax": {"currencyCode": currency, "value": decimals(line.tax, 2)},
            "taxClassId": taxes[line.tax_code].id if line.tax_code in taxes else 0,
        },
        "nominalCode": line.nominal_code,
        "composition": {
            "bundleParent": line.bundle_parent,
            "bundleChild": bool(line.parent_row_id),
            "parentOrderRowId": line.parent_row_id,
        },
        "clonedFromId": 0,
        **({"externalRef": line.external_ref} if line.external_ref else {}),
    }


def party(entry: Party, *, with_contact: bool = True) -> Json:
    """A party of an order; without a country its three country fields are absent."""
    country = COUNTRIES.get(entry.country)
    return {
        **({"contactId": entry.contact_id} if with_contact else {}),
        "addressFullName": entry.full_name,
        "companyName": entry.company,
        "addressLine1": entry.line1,
        "addressLine2": entry.line2,
        "addressLine3": entry.line3,
        "addressLine4": entry.line4,
        "postalCode": entry.postal_code,
        **({"country": country[1]} if country else {}),
        "telephone": entry.phone,
        "mobileTelephone": entry.mobile,
        "fax": "",
        "email": entry.email,
        "countryId": country[0] if country else 0,
        **({"countryIsoCode": entry.country, "countryIsoCode3": country[2]} if country else {}),
    }


def contact(entry: Contact, currencies: Mapping[str, Currency], zone: tzinfo, now: datetime) -> Json:
    """One element of `GET contact/{ids}` (section 12); one that was never edited shows the time of the read (14.8)."""
    telephones = {name: value for name, value in (("PRI", entry.phone), ("MOB", entry.mobile)) if value}
    return {
        "contactId": entry.id,
        "isPrimaryContact": True,
        "salutation": entry.salutation,
        "firstName": entry.first_name,
        "lastName": entry.last_name,
        "postAddressIds": {
            "DEF": entry.billing_address_id,
            "BIL": entry.billing_address_id,
            "DEL": entry.delivery_address_id,
        },
        "communication": {
            "emails": {"PRI": {"email": entry.email}} if entry.email else {},
            "telephones": telephones,
            "messagingVoips": {},
            "websites": {},
        },
        "contactStatus": {"current": {"contactStatusId": 0}},
        "relationshipToAccount": {"isSupplier": False, "isStaff": False},
        "marketingDetails": {"isReceiveEmailNewsletter": False},
        "financialDetails": {
            "priceListId": entry.price_list_id,
            "nominalCode": "0",
            "creditLimit": entry.credit_limit,
            "creditTermDays": entry.credit_term_days,
            "currencyId": currencies[entry.currency].id,
            "discountPercentage": Decimal("0.00"),
            "creditTermTypeId": 1,
        },
        "assignment": {"current": {}},
        "organisation": {"organisationId": entry.id, **({"name": entry.company} if entry.company else {})},
        "tradeStatus": "UNKNOWN",
        "createdByid": 4,
        "createdOn": moment(entry.created_on, zone),
        "updatedOn": moment(entry.updated_on or now, zone),
        "contactTags": entry.tags,
        "aliases": {},
        "companyId": 0,
    }


def postal_address(entry: Address) -> Json:
    """One element of `GET postal-address/{ids}`; the three-letter code comes first here."""
    country = COUNTRIES.get(entry.country)
    return {
        "addressId": entry.id,
        "contactId": entry.contact_id,
        "addressLine1": entry.line1,
        "addressLine2": entry.line2,
        "addressLine3": entry.line3,
        "addressLine4": entry.line4,
        "postalCode": entry.postal_code,
        **({"countryIsoCode": country[2], "countryIsoCode2": entry.country} if country else {}),
        "countryId": country[0] if country else 0,
    }


def product(entry: Product, taxes: Mapping[str, TaxCode], warehouse_ids: Mapping[str, int], zone: tzinfo) -> Json:
    """One element of `GET product/{ids}` (section 13)."""
    text = {"languageCode": "en", "text": "", "format": "HTML_FRAGMENT"}
    stamp = entry.updated_on or entry.created_on
    components = [{"productId": key, "productQuantity": quantity} for key, quantity in entry.bundle_components]
    return {
        "id": entry.id,
        "brandId": entry.brand_id,
        "productTypeId": 1,
        "identity": _identity(entry),
        **({"productGroupId": entry.group_id} if entry.group_id else {}),
        "featured": False,
        "stock": {
            "stockTracked": entry.stock_tracked,
            "weight": {"magnitude": entry.weight.quantize(Decimal("0.0001"))},
            "dimensions": dict.fromkeys(("length", "height", "width", "volume"), Decimal("0.00")),
        },
        "financialDetails": {
            "taxable": True,
            "taxCode": {"id": taxes[entry.tax_code].id, "code": entry.tax_code},
        },
        "salesChannels": [
            {
                "salesChannelName": "Brightpearl",
                "productName": entry.name,
                "productCondition": "new",
                "categories": [{"categoryCode": str(entry.category_id)}],
                "description": text,
                "shortDescription": text,
            }
        ],
        "composition": {"bundle": bool(components), **({"bundleComponents": components} if components else {})},
        **({"variations": _variations(entry)} if entry.variant else {}),
        "createdOn": moment(entry.created_on, zone),
        **({"updatedOn": moment(entry.updated_on, zone)} if entry.updated_on else {}),
        "warehouses": {
            str(warehouse_id): {
                "defaultLocationId": warehouse_id,
                "overflowLocationId": 0,
                "reorderLevel": 0,
                "reorderQuantity": 0,
            }
            for warehouse_id in warehouse_ids.values()
        },
        "nominalCodeStock": "1001",
        "nominalCodePurchases": "5000",
        "nominalCodeSales": "4000",
        "seasonIds": [],
        "reporting": {},
        "status": "LIVE",
        "salesPopupMessage": "",
        "warehousePopupMessage": "",
        "version": int(stamp.timestamp() * 1000),
    }


def _identity(entry: Product) -> Json:
    """One account has both forms: products of a group show the codes that they do not have, others leave them out."""
    codes = {"isbn": "", "ean": entry.barcode, "upc": "", "mpn": ""}
    shown = codes if entry.group_id else {name: value for name, value in codes.items() if value}
    return {**({"sku": entry.sku} if entry.sku else {}), **shown, "barcode": entry.barcode}


def _variations(entry: Product) -> list[Json]:
    return [{"optionId": 1, "optionName": "Size", "optionValueId": entry.id, "optionValue": entry.variant}]

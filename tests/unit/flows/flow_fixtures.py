"""The flows that ship, with the real schemas; orders and contacts as typed documents, written by hand."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from syncengine import connectors
from syncengine.connectors.base import Operation, Outcome, Resource, Source
from syncengine.connectors.brightpearl.resources.contact import Contact, ContactSchema
from syncengine.connectors.brightpearl.resources.sales_order import SalesOrderSchema
from syncengine.flows import SHIPPED, Flow
from syncengine.flows.loader import load_flows
from syncengine.mapping.contract import Context


class WrittenContact(Contact, Resource):
    """Contacts as if Brightpearl's were written: for flows in two directions, and flows that write back."""

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        raise AssertionError("these flows are loaded, not run")


CATALOGUE: dict[str, type[Source]] = {**connectors.resources(), WrittenContact.name: WrittenContact}
SETTINGS: dict[str, Any] = {
    "time_zone": "Europe/London",
    "home_currency": "GBP",
    "syspro_currencies": ["GBP", "EUR", "USD"],
    "eligible_statuses": [2],
    "cancelled_statuses": [5],
    "guest_channels": [5],
    "guest_contact_tags": ["7"],
    "misc_product_class": "WRAP",
    "branch": "10",
    "salesperson": "W1",
    "terms_code": "30",
}
LOOKUPS: dict[str, dict[str, str]] = {
    "currencies": {"1": "GBP", "2": "EUR"},
    "house_accounts": {"GBP": "WEB001", "EUR": "WEB002"},
    "warehouses": {"2": "MN"},
    "tax_codes": {"T20": "A", "T5": "B", "T0": "Z"},
    "shipping_texts": {"3": "Next day courier"},
    "shipping_codes": {"3": "ND24"},
    "order_sources": {"1": "WB"},
}


@lru_cache(maxsize=1)
def flows() -> dict[str, Flow]:
    return load_flows([SHIPPED], CATALOGUE)


def context(**more: Any) -> Context:
    """Settings and tables of a site; `settings` and `lookups` are put over them."""
    settings = {**SETTINGS, **more.pop("settings", {})}
    lookups = {**LOOKUPS, **more.pop("lookups", {})}
    return Context(settings=settings, lookups=lookups, **more)


def party(**changes: Any) -> dict[str, Any]:
    return {
        "contactId": 310,
        "addressFullName": "Robin Sample",
        "companyName": "",
        "addressLine1": "12 Example Road",
        "addressLine2": "Clifton",
        "addressLine3": "Bristol",
        "addressLine4": "Avon",
        "postalCode": "BS1 4QA",
        "country": "United Kingdom",
        "telephone": "0117 496 0000",
        "mobileTelephone": "",
        "email": "robin@sample.example",
        "countryId": 222,
        "countryIsoCode": "GB",
        "countryIsoCode3": "GBR",
        **changes,
    }


def row(net: str, quantity: str = "1.0000", **changes: Any) -> dict[str, Any]:
    """One row as GET gives it; `parent` makes it a bundle's component, `bundle=True` a bundle."""
    parent, bundle = changes.pop("parent", 0), changes.pop("bundle", False)
    tax_code, price, cost = changes.pop("tax", "T20"), changes.pop("price", "0.0000"), changes.pop("cost", "0.0000")
    return {
        "orderRowSequence": "10",
        "productId": 2001,
        "productName": "Canvas Tote",
        "productSku": "TOTE-001",
        "quantity": {"magnitude": quantity},
        "itemCost": {"currencyCode": "GBP", "value": cost},
        "productPrice": {"currencyCode": "GBP", "value": price},
        "discountPercentage": "0.00",
        "rowValue": {
            "taxRate": "20.0000",
            "taxCode": tax_code,
            "rowNet": {"currencyCode": "GBP", "value": net},
            "rowTax": {"currencyCode": "GBP", "value": "0.00"},
        },
        "nominalCode": "4000",
        "composition": {"bundleParent": bundle, "bundleChild": bool(parent), "parentOrderRowId": parent},
        **changes,
    }


def text_row(net: str, name: str, **changes: Any) -> dict[str, Any]:
    """A free-text row: product 1000, no SKU (brightpearl.md section 11.1)."""
    return {**row(net, **changes), "productId": 1000, "productName": name, "productSku": ""}


def order(net: str, rows: Mapping[str, dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A typed sales order; `delivery_party` changes the delivery address, `customer` the customer."""
    customer = party(**changes.pop("customer", {}))
    delivery = party(**changes.pop("delivery_party", {}))
    delivery.pop("contactId")
    raw = {
        "id": 5001,
        "orderTypeCode": "SO",
        "reference": "WEB-10001",
        "orderStatus": {"orderStatusId": 2, "name": "New web order"},
        "orderPaymentStatus": "UNPAID",
        "placedOn": "2024-06-30T23:30:00.000+00:00",
        "createdOn": "2024-06-30T23:30:02.000+00:00",
        "priceModeCode": "EXC",
        "delivery": {"deliveryDate": "2024-07-05T00:00:00.000+01:00", "shippingMethodId": 3},
        "currency": {"accountingCurrencyCode": "GBP", "orderCurrencyCode": "GBP", "exchangeRate": "1.000000"},
        "totalValue": {"net": net, "taxAmount": "0.00", "total": net},
        "assignment": {"current": {"staffOwnerContactId": 0, "channelId": 1}},
        "parties": {"customer": customer, "delivery": delivery, "billing": copy.deepcopy(customer)},
        "orderRows": rows,
        "warehouseId": 2,
        **changes,
    }
    return dict(SalesOrderSchema().load(json.loads(json.dumps(raw))))


def contact(**changes: Any) -> dict[str, Any]:
    """A typed contact: that of the reference's example, with changes."""
    raw = {
        "contactId": 310,
        "firstName": "Robin",
        "lastName": "Sample",
        "postAddressIds": {"DEF": 9001, "BIL": 9001, "DEL": 9002},
        "communication": {"emails": {"PRI": {"email": "robin@sample.example"}}, "telephones": {"PRI": "0117 496 0000"}},
        "relationshipToAccount": {"isSupplier": False, "isStaff": False},
        "financialDetails": {"priceListId": 2, "creditLimit": 499.5, "creditTermDays": 30, "currencyId": 1},
        "assignment": {"current": {}},
        "organisation": {"organisationId": 310, "name": "Sample Outfitters"},
        "createdOn": "2024-06-30T23:30:00.000+00:00",
        "contactTags": "",
        **changes,
    }
    return dict(ContactSchema().load(raw))


def address(key: int, **changes: Any) -> dict[str, Any]:
    """A typed postal address."""
    return {
        "addressId": key,
        "contactId": 310,
        "addressLine1": "12 Example Road",
        "addressLine2": "",
        "addressLine3": "Bristol",
        "addressLine4": "Avon",
        "postalCode": "BS1 4QA",
        "countryIsoCode": "GBR",
        "countryIsoCode2": "GB",
        **changes,
    }


def mapped(doc: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the flow orders makes of an order once its customer is linked as BP310."""
    mapping = flows()["orders"].mapping
    before = context(**more)
    links = dict.fromkeys(mapping.needs(doc, before), "BP310")
    return dict(mapping.apply(doc, replace(before, links=links))[""])

"""What custom fields an account has (sections 9 and 13): two of products, none of orders and contacts."""

from __future__ import annotations

from syncengine.sandbox.brightpearl.calls import Call
from syncengine.sandbox.brightpearl.errors import missing
from syncengine.sandbox.shop.model import RANGES

Json = dict[str, object]

_OF_PRODUCTS: dict[int, Json] = {
    131: {"code": "PCF_SERIALIS", "name": "Has a serial number", "customFieldType": "BOOLEAN", "required": False},
    132: {
        "code": "PCF_RANGE",
        "name": "Range",
        "customFieldType": "SELECT",
        "required": False,
        "options": {str(number): {"id": number, "value": value} for number, value in RANGES.items()},
    },
}
#: The codes of the products' custom fields.
CODES = tuple(str(about["code"]) for about in _OF_PRODUCTS.values())


def read_of_products(call: Call) -> Json:
    """`GET product/custom-field-meta-data[/{ids}]`; no field is 404 (assumed, as for most lists)."""
    keys = call.ids(_OF_PRODUCTS) if "ids" in call.path else sorted(_OF_PRODUCTS)
    if not keys:
        raise missing("No Custom Fields Found")
    return {"response": [{"id": key, **_OF_PRODUCTS[key]} for key in keys]}


def read_none(_: Call) -> Json:
    """The same for objects that have no custom fields in this account: an empty list (assumed)."""
    return {"response": []}

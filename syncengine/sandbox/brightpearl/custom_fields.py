"""What custom fields an account has (sections 9 and 13): two of products, none of contacts, texts of sales orders by a switch.

Assumed: `replace` sets an empty field too, `add` an existing one, and `remove` of an empty field does nothing; that a change
counts as one of the order; the code of an unknown field.
"""

from __future__ import annotations

from syncengine.sandbox.brightpearl.calls import Call, Patch, apply, patches, text
from syncengine.sandbox.brightpearl.errors import missing
from syncengine.sandbox.brightpearl.order_parts import order_of
from syncengine.sandbox.brightpearl.state import Account
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


def codes_of_orders(account: Account) -> list[str]:
    """The codes of the sales orders' custom fields."""
    return [code for part in account.switches.text("brightpearl_order_fields").split(",") if (code := part.strip())]


def read_of_orders(call: Call) -> Json:
    """`GET sale/custom-field-meta-data[/{ids}]`."""
    found: dict[int, Json] = {
        201 + place: {"code": code, "name": code, "customFieldType": "TEXT", "required": False}
        for place, code in enumerate(codes_of_orders(call.account))
    }
    keys = call.ids(found) if "ids" in call.path else sorted(found)
    return {"response": [{"id": key, **found[key]} for key in keys]}


def change_of_order(call: Call) -> Json:
    """`PATCH order/{id}/custom-field`: answers with all fields that are set."""
    account = call.account
    with account.lock:
        order = order_of(account, call.key())
        allowed = {f"/{code}": ("add", "replace", "remove") for code in codes_of_orders(account)}
        values = account.order_fields.setdefault(order.id, {})
        operations = patches(call, allowed)

        def change(patch: Patch, is_trial: bool) -> None:
            code = patch.path[1:]
            if is_trial:
                return
            if patch.op == "remove":
                values.pop(code, None)
            else:
                values[code] = text(patch.value)

        apply(call, operations, change)
        account.save_order(order, "custom fields", updates=account.switches.on("brightpearl_patch_updates"))
        return {"response": dict(values)}


def shown_of_order(account: Account, order_id: int, wanted: list[str]) -> Json:
    """The sections that an order GET has on request: custom fields that are set, and codes of those that are not."""
    values = account.order_fields.get(order_id, {})
    shown: Json = {}
    if "customFields" in wanted:
        shown["customFields"] = dict(values)
    if "nullCustomFields" in wanted:
        shown["nullCustomFields"] = [code for code in codes_of_orders(account) if code not in values]
    return shown

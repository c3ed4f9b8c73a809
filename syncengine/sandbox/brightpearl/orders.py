"""Orders (section 11).

Of the codes that orders, their rows, notes and statuses answer, only ORDC-003, 005, 006, 022 and 026 are recorded; the
others are invented.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from syncengine.sandbox.brightpearl import custom_fields
from syncengine.sandbox.brightpearl.calls import Call, Patch, apply, integer, moment, part, patches, read_uris, text
from syncengine.sandbox.brightpearl.errors import invalid
from syncengine.sandbox.brightpearl.order_parts import (
    change_status,
    checked_reference,
    contact_of,
    is_gross,
    new_order,
    order_of,
    override_address,
    set_currency,
    status_of,
)
from syncengine.sandbox.brightpearl.responses import dumps
from syncengine.sandbox.brightpearl.searches import ORDER_TYPES
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.shop.model import Order, Party

_PATCHES = {
    "/reference": ("replace", "remove"),
    "/warehouseId": ("replace",),
    "/delivery/shippingMethodId": ("replace", "remove"),
    "/delivery/deliveryDate": ("replace",),
    "/parties/customer/contactId": ("replace",),
    "/parties/billing/contactId": ("replace",),
}


def read(call: Call) -> str:
    """`GET order/{ids}`: unknown ids are skipped, no match is `[]` with 200, and the sequence is arbitrary."""
    account = call.account
    options = call.request.args.get("includeOptional", "").split(",")
    with account.lock:
        keys = list(_shuffled(call.ids(account.orders)))
        texts = [account.order_text(account.orders[key]) for key in keys]
        more = [custom_fields.shown_of_order(account, key, options) for key in keys]
    texts = [f"{entry[:-1]},{dumps(shown)[1:]}" if shown else entry for entry, shown in zip(texts, more, strict=True)]
    return f'{{"response":[{",".join(texts)}]}}'


def options(call: Call) -> dict[str, object]:
    """`OPTIONS order/{ids}`: where existing orders can be read, 200 at a time (section 6)."""
    account = call.account
    with account.lock:
        keys = call.ids(account.orders, most=10**9) if "ids" in call.path else sorted(account.orders)
    return read_uris("order", keys)


def sales_options(call: Call) -> dict[str, object]:
    """`OPTIONS sales-order[/{ids}]`."""
    return _options_of(call, "sales-order", "SO")


def credit_options(call: Call) -> dict[str, object]:
    """`OPTIONS sales-credit[/{ids}]`."""
    return _options_of(call, "sales-credit", "SC")


def _options_of(call: Call, resource: str, type_code: str) -> dict[str, object]:
    account = call.account
    with account.lock:
        known = {key: order for key, order in account.orders.items() if order.type_code == type_code}
        keys = call.ids(known, most=10**9) if "ids" in call.path else sorted(known)
    return read_uris(resource, keys)


def create(call: Call) -> dict[str, object]:
    """`POST order`: an order without rows; they are added one by one."""
    body, account = call.json_object(), call.account
    type_code = body.get("orderTypeCode")
    if not type_code:
        raise invalid("ORDC-005", "You have not supplied an order type code")
    if type_code not in ORDER_TYPES:
        raise invalid("ORDC-006", "You have supplied an invalid order type code")
    is_sale = type_code in ("SO", "SC")
    contact_id = part(body, "parties", "customer" if is_sale else "supplier", "contactId")
    if not contact_id:
        raise invalid(*(("ORDC-021", "Customer ID Required.") if is_sale else ("ORDC-022", "Suppllier ID Required.")))
    with account.lock:
        order = new_order(account, contact_of(account, contact_id), type_code)
        _fill(account, order, body)
        account.add_order(order)
    return {"response": order.id}


def change(call: Call) -> str:
    """`PATCH order/{id}`: answers with the whole order."""
    account = call.account
    operations = patches(call, _PATCHES)
    with account.lock:
        order = order_of(account, call.key())
        apply(call, operations, lambda patch, is_trial: _patch(account, order, patch, is_trial))
        account.save_order(order, "order", updates=account.switches.on("brightpearl_patch_updates"))
        return f'{{"response":{account.order_text(order)}}}'


def set_status(call: Call) -> dict[str, object]:
    """`PUT order/{id}/status`: a note is always written."""
    body, account = call.json_object(), call.account
    with account.lock:
        order = order_of(account, call.key())
        status = status_of(account, integer(body.get("orderStatusId"), "orderStatusId", "ORDC-030"))
        note = body.get("orderNote") or {}
        change_status(account, order, status)
        is_public = bool(part(note, "isPublic"))
        account.add_note(order, text(part(note, "text")) or f"Status: {status.name}", is_public=is_public)
    return {}


def _fill(account: Account, order: Order, body: dict[str, Any]) -> None:
    order.reference = checked_reference(body.get("reference"))
    order.external_ref = text(body.get("externalRef"))
    order.parent_id = int(body.get("parentOrderId") or 0)
    order.instance_id = body.get("installedIntegrationInstanceId")
    if body.get("priceListId") is not None:
        order.price_list_id = integer(body["priceListId"], "priceListId", "ORDC-036")
    order.price_mode = body.get("priceModeCode") or ("INC" if is_gross(account, order.price_list_id) else "EXC")
    if body.get("placedOn"):
        order.placed_on = moment(body["placedOn"], "placedOn", "ORDC-037")
    if status_id := part(body, "orderStatus", "orderStatusId"):
        order.status_id = status_of(account, integer(status_id, "orderStatusId", "ORDC-030")).id
    if delivery_date := part(body, "delivery", "deliveryDate"):
        order.delivery_date = moment(delivery_date, "deliveryDate", "ORDC-037")
    order.shipping_method_id = int(part(body, "delivery", "shippingMethodId") or 0)
    order.tax_date = _tax_date(body) or order.tax_date
    names = ("orderCurrencyCode", "fixedExchangeRate", "exchangeRate")
    set_currency(account, order, *(part(body, "currency", name) for name in names))
    if body.get("warehouseId"):
        order.warehouse_id = int(body["warehouseId"])
    _assign(order, part(body, "assignment", "current") or {})
    if billing_id := part(body, "parties", "billing", "contactId"):
        contact = contact_of(account, billing_id)
        order.billing = Party.of(contact, account.addresses[contact.billing_address_id])
    override_address(order.customer, part(body, "parties", "customer"))
    override_address(order.billing, part(body, "parties", "billing"))
    override_address(order.delivery, part(body, "parties", "delivery"))


def _tax_date(body: dict[str, Any]) -> datetime | None:
    invoices = body.get("invoices")
    given = part(invoices[0], "taxDate") if isinstance(invoices, list) and invoices else None
    return moment(given, "taxDate", "ORDC-037") if given else None


def _assign(order: Order, current: dict[str, Any]) -> None:
    order.channel_id = int(current.get("channelId") or 0)
    order.staff_owner_id = int(current.get("staffOwnerContactId") or 0)
    order.project_id = int(current.get("projectId") or 0)
    order.lead_source_id = int(current.get("leadSourceId") or 0)
    order.team_id = int(current.get("teamId") or 0)


def _patch(account: Account, order: Order, patch: Patch, is_trial: bool) -> None:
    changed = order if not is_trial else replace(order)
    match patch.path:
        case "/reference":
            changed.reference = "" if patch.op == "remove" else checked_reference(patch.value)
        case "/warehouseId":
            if order.allocation_status in ("APA", "AAA"):
                raise invalid("ORDC-038", "The warehouse cannot be changed once stock is allocated")
            changed.warehouse_id = integer(patch.value, "warehouseId", "ORDC-038")
        case "/delivery/shippingMethodId":
            changed.shipping_method_id = 0 if patch.op == "remove" else integer(patch.value, patch.path, "ORDC-039")
        case "/delivery/deliveryDate":
            changed.delivery_date = moment(patch.value, "deliveryDate", "ORDC-037")
        case _:
            _change_party(account, changed, patch)


def _change_party(account: Account, order: Order, patch: Patch) -> None:
    if order.closed_on:
        raise invalid("ORDC-040", "The contact cannot be changed on an invoiced order")
    contact = contact_of(account, patch.value)
    if patch.path == "/parties/customer/contactId":
        order.customer = Party.of(contact, account.addresses[contact.billing_address_id])
    else:
        order.billing = Party.of(contact, account.addresses[contact.billing_address_id])


def _shuffled(keys: Iterable[int]) -> list[int]:
    """Ids in a sequence that is neither ascending nor the request's, but always the same."""
    return sorted(keys, key=lambda key: key * 2_654_435_761 % 2**32)

"""Orders, statuses and notes (section 11). Codes other than ORDC-003, 005, 006, 022 and 026 are invented."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from syncengine.sandbox import id_sets
from syncengine.sandbox.brightpearl.calls import Call, Patch, apply, moment, number, part, patches, text, whole
from syncengine.sandbox.brightpearl.errors import invalid, missing
from syncengine.sandbox.brightpearl.responses import country_of
from syncengine.sandbox.brightpearl.searches import ORDER_TYPES, SHIPPING_STATUSES
from syncengine.sandbox.brightpearl.state import Account, Note
from syncengine.sandbox.shop.model import Contact, Order, Party, Status

MOST_REFERENCE = 64
_PATCHES = {
    "/reference": ("replace", "remove"),
    "/warehouseId": ("replace",),
    "/delivery/shippingMethodId": ("replace", "remove"),
    "/delivery/deliveryDate": ("replace",),
    "/parties/customer/contactId": ("replace",),
    "/parties/billing/contactId": ("replace",),
}


def read(call: Call) -> str:
    """`GET order/{ids}`: unknown ids are skipped, none at all is `[]` with 200, and the order is nobody's promise."""
    account = call.account
    options = call.request.args.get("includeOptional", "").split(",")
    more = (',"customFields":{}' if "customFields" in options else "") + (
        ',"nullCustomFields":[]' if "nullCustomFields" in options else ""
    )
    with account.lock:
        texts = [account.order_text(account.orders[key]) for key in _shuffled(call.ids(account.orders))]
    if more:
        texts = [f"{entry[:-1]}{more}}}" for entry in texts]
    return f'{{"response":[{",".join(texts)}]}}'


def options(call: Call) -> dict[str, object]:
    """`OPTIONS order/{ids}`: where the existing ones can be read, 200 at a time (section 6)."""
    account = call.account
    with account.lock:
        keys = call.ids(account.orders, most=10**9) if "ids" in call.path else sorted(account.orders)
    return {
        "response": {"getUris": [f"/order/{id_sets.compact(keys[at : at + 200])}" for at in range(0, len(keys), 200)]}
    }


def create(call: Call) -> dict[str, object]:
    """`POST order`: an order without rows; they are added one by one."""
    body, account = call.json_object(), call.account
    type_code = body.get("orderTypeCode")
    if not type_code:
        raise invalid("ORDC-005", "You have not supplied an order type code")
    if type_code not in ORDER_TYPES:
        raise invalid("ORDC-006", f"You have supplied an invalid order type code: {type_code}")
    is_sale = type_code in ("SO", "SC")
    contact_id = part(body, "parties", "customer" if is_sale else "supplier", "contactId")
    if not contact_id:
        raise invalid(*(("ORDC-021", "Customer ID Required.") if is_sale else ("ORDC-022", "Suppllier ID Required.")))
    with account.lock:
        order = new_order(account, contact_of(account, contact_id), type_code)
        _fill(account, order, body)
        account.add_order(order)
    return {"response": order.id}


def new_order(account: Account, contact: Contact, type_code: str = "SO") -> Order:
    """An order of a contact with what follows from the contact alone; it is not part of the account yet."""
    now = account.stamp()
    billing = party_of(account, contact, contact.billing_address_id)
    return Order(
        account.new_id("order"),
        "",
        1,
        now,
        now,
        None,
        contact.currency,
        account.currencies[contact.currency].rate,
        contact.price_list_id,
        "INC" if _is_gross(account, contact.price_list_id) else "EXC",
        0,
        account.shop.warehouses[0].id,
        billing,
        replace(billing),
        party_of(account, contact, contact.delivery_address_id),
        {},
        tax_date=now.replace(hour=0, minute=0, second=0, microsecond=0),
        type_code=type_code,
        instance_id=None,
        stock_status=f"{type_code}N",
    )


def change(call: Call) -> str:
    """`PATCH order/{id}`: answers with the whole order."""
    account = call.account
    operations = patches(call, _PATCHES)
    with account.lock:
        order = order_of(account, call.key())
        apply(call, operations, lambda patch, is_trial: _patch(account, order, patch, is_trial))
        account.save_order(order, "order")
        return f'{{"response":{account.order_text(order)}}}'


def set_status(call: Call) -> dict[str, object]:
    """`PUT order/{id}/status`: a note is always written."""
    body, account = call.json_object(), call.account
    with account.lock:
        order = order_of(account, call.key())
        status = status_of(account, whole(body.get("orderStatusId"), "orderStatusId", "ORDC-030"))
        note = body.get("orderNote") or {}
        move(account, order, status)
        is_public = bool(part(note, "isPublic"))
        account.add_note(order, text(part(note, "text")) or f"Status: {status.name}", is_public=is_public)
    return {}


def move(account: Account, order: Order, status: Status, *, by: str = "api") -> None:
    """Give an order another status.

    Raises:
        ApiError: 400: cancelling one that is invoiced or paid (section 11.2).
    """
    if status.fate == "cancelled" and (order.closed_on or order.payment_status in ("PAID", "PARTIALLY_PAID")):
        raise invalid("ORDC-031", f"Order {order.id} cannot be cancelled: it is invoiced or has payments")
    order.status_id = status.id
    updates = account.switches.on("brightpearl_status_change_updates")
    account.save_order(order, "status", by=by, updates=updates, event="order-status")


def write_note(call: Call) -> dict[str, object]:
    """`POST order/{id}/note`."""
    body, account = call.json_object(), call.account
    if not body.get("text"):
        raise invalid("ORDC-032", "You have not supplied the text of the note")
    with account.lock:
        order = order_of(account, call.key())
        note = account.add_note(
            order, str(body["text"]), is_public=bool(body.get("isPublic")), file_id=body.get("fileId")
        )
    return {"response": note.id}


def read_notes(call: Call) -> dict[str, object]:
    """`GET order/{id}/note[/{ids}]`."""
    account = call.account
    with account.lock:
        order = order_of(account, call.key())
        keys = call.ids(account.notes) if "ids" in call.path else sorted(account.notes)
        found = [account.notes[key] for key in keys if account.notes[key].order_id == order.id]
    if not found:
        raise missing(f"No notes found for order {order.id}")
    return {"response": [_note(note, account) for note in found]}


def read_statuses(call: Call) -> dict[str, object]:
    """`GET order-status[/{ids}]`."""
    account = call.account
    keys = call.ids(account.statuses) if "ids" in call.path else sorted(account.statuses)
    if not keys:
        raise missing("No Order Statuses Found")
    return {"response": [_status(account.statuses[key]) for key in keys]}


def create_status(call: Call) -> dict[str, object]:
    """`POST order-status`."""
    body, account = call.json_object(), call.account
    if not body.get("name") or body.get("orderTypeCode") not in ORDER_TYPES:
        raise invalid("ORDC-033", "name and orderTypeCode are required")
    status = Status(
        account.new_id("status"),
        str(body["name"]),
        "open",
        text(body.get("color")) or "#B0B0B0",
        "ineligible",
        body["orderTypeCode"],
    )
    account.statuses[status.id] = status
    return {"response": status.id}


def read_shipping_statuses(_: Call) -> dict[str, object]:
    """`GET order-shipping-status`."""
    return {
        "response": [
            {"id": number, "code": code, "description": name} for code, (number, name) in SHIPPING_STATUSES.items()
        ]
    }


# --- what other resources use as well ------------------------------------------------------------------------------


def order_of(account: Account, order_id: int) -> Order:
    """One order.

    Raises:
        ApiError: 400 `ORDC-003`.
    """
    if order_id not in account.orders:
        raise invalid("ORDC-003", f"You have supplied an invalid order id: {order_id}")
    return account.orders[order_id]


def status_of(account: Account, status_id: int) -> Status:
    """One status.

    Raises:
        ApiError: 400.
    """
    if status_id not in account.statuses:
        raise invalid("ORDC-030", f"You have supplied an invalid order status id: {status_id}")
    return account.statuses[status_id]


def contact_of(account: Account, contact_id: object) -> Contact:
    """One contact.

    Raises:
        ApiError: 400.
    """
    found = account.contacts.get(whole(contact_id, "contactId", "ORDC-020"))
    if found is None:
        raise invalid("ORDC-020", f"You have supplied an invalid contact id: {contact_id}")
    return found


def party_of(account: Account, contact: Contact, address_id: int) -> Party:
    """Name and address of a contact as they are printed on an order."""
    address = account.addresses[address_id]
    return Party(
        contact.id,
        f"{contact.first_name} {contact.last_name}".strip(),
        contact.company,
        address.line1,
        address.line2,
        address.line3,
        address.line4,
        address.postal_code,
        address.country,
        contact.phone,
        contact.mobile,
        contact.email,
    )


def overlay(party: Party, given: Any) -> None:
    """Put the address fields that a client sent over a party."""
    if not isinstance(given, dict):
        return
    names = {
        "addressFullName": "full_name",
        "companyName": "company",
        "addressLine1": "line1",
        "addressLine2": "line2",
        "addressLine3": "line3",
        "addressLine4": "line4",
        "postalCode": "postal_code",
        "telephone": "phone",
        "mobileTelephone": "mobile",
        "email": "email",
    }
    for name, field in names.items():
        if name in given:
            setattr(party, field, text(given[name]))
    code, country_id = text(given.get("countryIsoCode") or given.get("countryIsoCode3")), given.get("countryId")
    if code or country_id:
        party.country = country_of(code, int(country_id or 0))


def set_currency(account: Account, order: Order, code: Any, fixed: Any, rate: Any) -> None:
    """Set an order's currency.

    Raises:
        ApiError: 400: there is no such currency, or the rate is none.
    """
    if code:
        if code not in account.currencies:
            raise invalid("ORDC-034", f"You have supplied an invalid currency code: {code}")
        order.currency, order.exchange_rate = code, account.currencies[code].rate
    if rate:
        order.exchange_rate = number(rate, "exchangeRate", "ORDC-034")
        if order.exchange_rate <= 0:
            raise invalid("ORDC-034", f"exchangeRate is not a valid number: {rate}")
    order.fixed_rate = bool(fixed)


def checked_reference(value: Any) -> str:
    """An order reference of at most 64 characters.

    Raises:
        ApiError: 400: it is longer.
    """
    reference = text(value)
    if len(reference) > MOST_REFERENCE:
        raise invalid("ORDC-035", f"reference must not have more than {MOST_REFERENCE} characters")
    return reference


# --- inside --------------------------------------------------------------------------------------------------------


def _fill(account: Account, order: Order, body: dict[str, Any]) -> None:
    order.reference = checked_reference(body.get("reference"))
    order.external_ref = text(body.get("externalRef"))
    order.parent_id = int(body.get("parentOrderId") or 0)
    order.instance_id = body.get("installedIntegrationInstanceId")
    if body.get("priceListId") is not None:
        order.price_list_id = whole(body["priceListId"], "priceListId", "ORDC-036")
    order.price_mode = body.get("priceModeCode") or ("INC" if _is_gross(account, order.price_list_id) else "EXC")
    if body.get("placedOn"):
        order.placed_on = moment(body["placedOn"], "placedOn", "ORDC-037")
    if status_id := part(body, "orderStatus", "orderStatusId"):
        order.status_id = status_of(account, whole(status_id, "orderStatusId", "ORDC-030")).id
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
        order.billing = party_of(account, contact, contact.billing_address_id)
    overlay(order.customer, part(body, "parties", "customer"))
    overlay(order.billing, part(body, "parties", "billing"))
    overlay(order.delivery, part(body, "parties", "delivery"))


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
            changed.warehouse_id = whole(patch.value, "warehouseId", "ORDC-038")
        case "/delivery/shippingMethodId":
            changed.shipping_method_id = 0 if patch.op == "remove" else whole(patch.value, patch.path, "ORDC-039")
        case "/delivery/deliveryDate":
            changed.delivery_date = moment(patch.value, "deliveryDate", "ORDC-037")
        case _:
            _change_party(account, changed, patch)


def _change_party(account: Account, order: Order, patch: Patch) -> None:
    if order.closed_on:
        raise invalid("ORDC-040", "The contact cannot be changed on an invoiced order")
    contact = contact_of(account, patch.value)
    if patch.path == "/parties/customer/contactId":
        order.customer = party_of(account, contact, contact.billing_address_id)
    else:
        order.billing = party_of(account, contact, contact.billing_address_id)


def _is_gross(account: Account, price_list_id: int) -> bool:
    return any(entry.gross for entry in account.shop.price_lists if entry.id == price_list_id)


def _note(note: Note, account: Account) -> dict[str, object]:
    return {
        "noteId": note.id,
        "contactId": note.contact_id,
        "text": note.text,
        "isPublic": note.is_public,
        "addedOn": note.added_on.astimezone(account.zone).isoformat(timespec="milliseconds"),
        "addedBy": note.contact_id,
        "orderStatusId": note.status_id,
        **({"fileId": note.file_id} if note.file_id else {}),
    }


def _status(status: Status) -> dict[str, object]:
    return {
        "statusId": status.id,
        "name": status.name,
        "orderTypeCode": status.type_code,
        "sortOrder": status.id * 10,
        "disabled": False,
        "visible": True,
        "color": status.color,
        "remindAfterDays": 0,
        "alertEmails": [],
        "emailContent": "",
        "batchProcess": False,
        "state": status.state,
    }


def _shuffled(keys: Iterable[int]) -> list[int]:
    """Ids in an order that is neither theirs nor the request's, but the same every time."""
    return sorted(keys, key=lambda key: key * 2_654_435_761 % 2**32)

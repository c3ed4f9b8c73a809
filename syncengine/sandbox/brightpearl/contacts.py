"""Contacts and postal addresses (section 12). Error codes other than CMNC-404 are invented."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from syncengine.sandbox.brightpearl import render
from syncengine.sandbox.brightpearl.calls import Call, Patch, apply, integer, part, patches, read_uris, text
from syncengine.sandbox.brightpearl.errors import bad_filter, invalid, missing
from syncengine.sandbox.brightpearl.responses import country_of
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.shop.model import Address, Contact

MOST_CONTACTS = 200
MOST_NAME = 32
#: First and last name are recorded; the full list is not, so the others are assumed (section 9).
_PATCHES = {
    "/firstName": ("replace",),
    "/lastName": ("replace",),
    "/salutation": ("replace",),
    "/organisation/name": ("replace",),
    "/communication/emails/PRI/email": ("replace",),
    "/communication/telephones/PRI": ("replace",),
}


def read(call: Call) -> dict[str, object]:
    """`GET contact[/{ids}]`: a page of at most 200, with `pagination` and `sorting` beside it; none is 404."""
    account, arguments = call.account, call.request.args
    size = min(_whole("pageSize", arguments.get("pageSize", str(MOST_CONTACTS))), MOST_CONTACTS)
    first = _whole("firstResult", arguments.get("firstResult", "1"))
    field, _, direction = arguments.get("sort", "contactId.ASC").partition(".")
    with account.lock:
        keys = call.ids(account.contacts) if "ids" in call.path else sorted(account.contacts)
        if direction.upper() == "DESC":
            keys.reverse()
        page = keys[first - 1 : first - 1 + size]
        if not page:
            raise missing("No Contact Found")
        shown = [account.contact_json(account.contacts[key]) for key in page]
    return {
        "response": [_with_optional(call, entry) for entry in shown],
        "pagination": {
            "morePagesAvailable": first - 1 + len(page) < len(keys),
            "resultsReturned": len(page),
            "firstResult": first,
            "lastResult": first - 1 + len(page),
        },
        "sorting": [{"field": field, "direction": direction.upper() or "ASC"}],
    }


def options(call: Call) -> dict[str, object]:
    """`OPTIONS contact[/{ids}]`."""
    account = call.account
    with account.lock:
        keys = call.ids(account.contacts, most=10**9) if "ids" in call.path else sorted(account.contacts)
    return read_uris("contact", keys)


def create(call: Call) -> dict[str, object]:
    """`POST contact`: its addresses must exist."""
    body, account = call.json_object(), call.account
    addresses = {name: part(body, "postAddressIds", name) for name in ("DEF", "BIL", "DEL")}
    with account.lock:
        for name, address_id in addresses.items():
            if address_id is None or integer(address_id, name, "CNTC-002") not in account.addresses:
                raise invalid("CNTC-002", f"You have supplied an invalid postal address id for {name}: {address_id}")
        contact = Contact(
            account.new_id("contact"),
            _name(body, "firstName"),
            _name(body, "lastName"),
            text(part(body, "organisation", "name")),
            text(part(body, "communication", "emails", "PRI", "email")),
            text(part(body, "communication", "telephones", "PRI")),
            text(part(body, "communication", "telephones", "MOB")),
            _currency(account, part(body, "financialDetails", "currencyId")),
            int(part(body, "financialDetails", "priceListId") or 2),
            "T20",
            int(addresses["BIL"]),
            int(addresses["DEL"]),
            credit_limit=int(part(body, "financialDetails", "creditLimit") or 0),
            credit_term_days=int(part(body, "financialDetails", "creditTermDays") or 0),
            tags=text(body.get("contactTags")),
            salutation=text(body.get("salutation")),
            created_on=account.stamp(),
        )
        for address_id in set(addresses.values()):
            account.addresses[int(address_id)].contact_id = contact.id
        account.save_contact(contact, is_new=True)
    return {"response": contact.id}


def change(call: Call) -> dict[str, object]:
    """`PATCH contact/{id}`: answers with the contact."""
    account = call.account
    operations = patches(call, _PATCHES)
    with account.lock:
        contact = contact_of(account, call.key())
        apply(call, operations, lambda patch, is_trial: _patch(replace(contact) if is_trial else contact, patch))
        account.save_contact(contact)
        return {"response": account.contact_json(contact)}


def read_addresses(call: Call) -> dict[str, object]:
    """`GET postal-address/{ids}`; none is 404."""
    account = call.account
    with account.lock:
        found = [render.postal_address(account.addresses[key]) for key in call.ids(account.addresses)]
    if not found:
        raise missing("No Postal Address Found")
    return {"response": found}


def create_address(call: Call) -> dict[str, object]:
    """`POST postal-address`: the first line is needed; a country is not (recorded 2014), but must exist if it is given."""
    body, account = call.json_object(), call.account
    if not body.get("addressLine1"):
        raise invalid("CNTC-003", "You have not supplied addressLine1")
    country = country_of(text(body.get("countryIsoCode")), int(body.get("countryId") or 0))
    if not country and (body.get("countryIsoCode") or body.get("countryId")):
        raise invalid("CNTC-004", "You have not supplied a valid countryIsoCode or countryId")
    line1, line2, line3, line4 = (text(body.get(f"addressLine{number}")) for number in range(1, 5))
    postal_code = text(body.get("postalCode"))
    with account.lock:
        address = Address(account.new_id("address"), 0, line1, line2, line3, line4, postal_code, country)
        account.save_address(address)
    return {"response": address.id}


def set_addresses(call: Call) -> dict[str, object]:
    """`PUT contact/{id}/postal-address`: `[{postalAddressId, type?}]`; the default address if there is no type."""
    body, account = call.json(), call.account
    with account.lock:
        contact = contact_of(account, call.key())
        for entry in body if isinstance(body, list) else [body]:
            address_id = integer(part(entry, "postalAddressId"), "postalAddressId", "CNTC-002")
            if address_id not in account.addresses:
                raise invalid("CNTC-002", f"You have supplied an invalid postal address id: {address_id}")
            account.addresses[address_id].contact_id = contact.id
            if part(entry, "type") == "DEL":
                contact.delivery_address_id = address_id
            else:
                contact.billing_address_id = address_id
        account.save_contact(contact)
    return {}


def contact_of(account: Account, contact_id: int) -> Contact:
    """One contact.

    Raises:
        ApiError: 404.
    """
    if contact_id not in account.contacts:
        raise missing("No Contact Found")
    return account.contacts[contact_id]


def _patch(contact: Contact, patch: Patch) -> None:
    value = text(patch.value)
    if patch.path in ("/firstName", "/lastName") and len(value) > MOST_NAME:
        raise invalid("CNTC-001", f"{patch.path[1:]} must not have more than {MOST_NAME} characters")
    fields = {
        "/firstName": "first_name",
        "/lastName": "last_name",
        "/salutation": "salutation",
        "/organisation/name": "company",
        "/communication/emails/PRI/email": "email",
        "/communication/telephones/PRI": "phone",
    }
    setattr(contact, fields[patch.path], value)


def _name(body: dict[str, Any], field: str) -> str:
    value = text(body.get(field))
    if len(value) > MOST_NAME:
        raise invalid("CNTC-001", f"{field} must not have more than {MOST_NAME} characters")
    return value


def _currency(account: Account, currency_id: Any) -> str:
    if currency_id is None:
        return account.shop.base_currency
    for currency in account.currencies.values():
        if currency.id == currency_id:
            return currency.code
    raise invalid("CNTC-005", f"You have supplied an invalid currency id: {currency_id}")


def _with_optional(call: Call, entry: render.Json) -> render.Json:
    wanted = call.request.args.get("includeOptional", "").split(",")
    extra: render.Json = {}
    if "customFields" in wanted:
        extra["customFields"] = {}
    if "postalAddresses" in wanted:
        ids = entry["postAddressIds"]
        assert isinstance(ids, dict)  # noqa: S101 - render.contact writes it so
        addresses = call.account.addresses
        extra["postalAddresses"] = {str(key): render.postal_address(addresses[key]) for key in set(ids.values())}
    return {**entry, **extra}


def _whole(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise bad_filter(name, value, "INTEGER")
    return int(value)

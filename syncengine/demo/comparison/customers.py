"""Customers in SYSPRO against the contacts of the shop."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from syncengine.demo.comparison import texts
from syncengine.demo.comparison.documented import Documented
from syncengine.demo.comparison.problems import Problem
from syncengine.demo.comparison.systems import Systems
from syncengine.demo.comparison.texts import Json
from syncengine.sandbox.shop.model import Contact, Shop, is_unstorable

PHONE_LENGTH, SHORT_NAME_LENGTH = 20, 20
Account = tuple[int, str]
"""A contact's id and a currency: SYSPRO has a customer for each."""


@dataclass(frozen=True, slots=True)
class Customers:
    """What was found: `present` counts SYSPRO customers of the shop's contacts, `missing` those that should be there."""

    problems: list[Problem]
    present: int
    missing: int


def compare(
    config: Documented,
    shop: Shop,
    systems: Systems,
    edited: Collection[int],
    edited_contacts: Collection[int],
) -> Customers:
    """Compare the customers of the shop's contacts. `edited`, `edited_contacts`: ids of orders and contacts."""
    required, allowed = _accounts(config, shop, edited)
    contacts = {contact.id: contact for contact in shop.contacts}
    problems: list[Problem] = []
    for contact_id, currency in sorted(required):
        is_edited = contact_id in edited_contacts
        problems += _account(config, shop, systems, contacts[contact_id], currency, is_edited=is_edited)
    codes = {config.customer_code(str(contact_id), currency) for contact_id, currency in allowed}
    created = {name for kind, name in systems.created if kind == "ArCustomer"}
    problems += [Problem("nobody needs it", "customer", code) for code in sorted(created - codes)]
    present = set(systems.customers)
    expected = {config.customer_code(str(contact_id), currency) for contact_id, currency in required}
    return Customers(problems, present=len(codes & present), missing=len(expected - present))


def held(shop: Shop) -> int:
    """Number of contacts that are held, since SYSPRO cannot store their names."""
    return sum(_is_held(contact) and shop.guest_tag not in contact.tags.split(",") for contact in shop.contacts)


def _is_held(contact: Contact) -> bool:
    return any(map(is_unstorable, (contact.first_name, contact.last_name, contact.company)))


def _accounts(config: Documented, shop: Shop, edited: Collection[int]) -> tuple[set[Account], set[Account]]:
    """Accounts that must exist, and those that may: an invalid order, and one cancelled since, may have needed one."""
    currencies = set(config.settings["syspro_currencies"])
    guests = {str(tag) for tag in config.settings["guest_contact_tags"]}
    storable = [contact for contact in shop.contacts if not _is_held(contact)]
    own = {(c.id, c.currency) for c in storable if not guests & set(c.tags.split(",")) and c.currency in currencies}
    orders = {(o.customer.contact_id, o.currency, shop.expected[o.id]) for o in shop.orders if o.currency in currencies}
    required = own | {(contact_id, currency) for contact_id, currency, fate in orders if fate == "pushed"}
    allowed = required | {(contact_id, currency) for contact_id, currency, fate in orders if fate == "invalid"}
    allowed |= {(o.customer.contact_id, o.currency) for o in shop.orders if o.id in edited}
    return required, allowed


def _account(
    config: Documented, shop: Shop, systems: Systems, contact: Contact, currency: str, *, is_edited: bool
) -> Iterable[Problem]:
    code = config.customer_code(str(contact.id), currency)
    created, found = systems.created["ArCustomer", code], systems.customers.get(code)
    if found is None or created != 1:
        yield Problem("missing" if found is None else f"created {created} times", "customer", code)
    if ("ArCustomer", code) in systems.changed and not is_edited:
        yield Problem("changed in SYSPRO although nothing changed in Brightpearl", "customer", code)
    if found is not None:
        differences = dict.fromkeys(_fields(config, shop, contact, currency, found, is_edited=is_edited))
        yield from (Problem(text, "customer", code) for text in differences)  # one name for two addresses: said once


def _fields(
    config: Documented, shop: Shop, contact: Contact, currency: str, found: Json, *, is_edited: bool
) -> Iterable[str]:
    settings = config.settings
    person = f"{contact.first_name} {contact.last_name}".strip()
    phone = contact.phone or contact.mobile
    yield from texts.fields(
        found,
        {
            "Currency": currency,
            "UserField1": str(contact.id),
            "Email": contact.email,
            "Telephone": phone if len(phone) <= PHONE_LENGTH else phone.replace(" ", "")[:PHONE_LENGTH],
            "Branch": settings["branch"],
            "Salesperson": settings["salesperson"],
            "TermsCode": config.lookup("terms_codes", contact.credit_term_days, settings["terms_code"]),
            "CreditLimit": str(contact.credit_limit),
            "BalanceType": "I",
            "TaxStatus": "N",
            "DateCustAdded": config.day(contact.created_on),
        },
    )
    name = contact.company or person
    yield from texts.cut(found, "Contact", person, texts.NAME_LENGTH)
    if not is_edited:  # it is set once
        yield from texts.cut(found, "ShortName", name, SHORT_NAME_LENGTH)
    yield from _addresses(config, shop, contact, name, found)


def _addresses(config: Documented, shop: Shop, contact: Contact, name: str, found: Json) -> Iterable[str]:
    addresses = {address.id: address for address in shop.addresses}
    for prefix, postcode, address in (
        ("SoldToAddr", "SoldPostalCode", addresses[contact.billing_address_id]),
        ("ShipToAddr", "ShipPostalCode", addresses[contact.delivery_address_id]),
    ):
        yield from texts.fields(found, {postcode: address.postal_code})
        lines = (address.line1, address.line2, address.line3, address.line4)
        country = config.countries.get(address.country, "")
        yield from texts.address(found, "Name", prefix, name, lines, country, address.country)

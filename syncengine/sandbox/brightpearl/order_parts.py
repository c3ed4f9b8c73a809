"""What several order resources share: finding and creating orders, changing their status, reading parts of a body."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from syncengine.sandbox.brightpearl.calls import integer, number, text
from syncengine.sandbox.brightpearl.errors import invalid
from syncengine.sandbox.brightpearl.responses import country_of
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.shop.model import Contact, Order, Party, Product, Row, Status

MOST_REFERENCE = 64
#: The status of a fresh order by its type (section 14.8: ids of one account, of which 3, 10 and 12 are the shop's too).
FRESH_STATUSES = {"SO": 3, "PO": 9, "SC": 10, "PC": 12}


def new_order(account: Account, contact: Contact, type_code: str = "SO") -> Order:
    """An order with everything that follows from its contact; it is not yet added to the account."""
    now = account.stamp()
    billing = Party.of(contact, account.addresses[contact.billing_address_id])
    return Order(
        account.new_id("order"),
        "",
        FRESH_STATUSES[type_code],
        now,
        now,
        None,
        contact.currency,
        account.currencies[contact.currency].rate,
        contact.price_list_id,
        "INC" if is_gross(account, contact.price_list_id) else "EXC",
        0,
        account.shop.warehouses[0].id,
        billing,
        replace(billing),
        Party.of(contact, account.addresses[contact.delivery_address_id]),
        {},
        delivery_date=now + timedelta(days=7) if type_code == "PO" else None,
        type_code=type_code,
        instance_id=None,
        payment_status="NOT_APPLICABLE",
        stock_status="NON",
        allocation_status="ANR",
        shipping_status="NST",
        fixed_rate=True,
        cost_price_list_id=0,
    )


def follow_row(order: Order, row: Row, product: Product | None) -> None:
    """Set the statuses that the first row of stock, and the first that costs something, give to a fresh order.

    Recorded are orders without rows, of stock that costs nothing (NOT_APPLICABLE), and of stock with a price (UNPAID).
    """
    if product is not None and product.stock_tracked and order.stock_status == "NON":
        order.stock_status, order.shipping_status = f"{order.type_code}N", "SNS"
        order.allocation_status = "ANA" if order.type_code == "SO" else "ANR"
    if row.net and order.payment_status == "NOT_APPLICABLE":
        order.payment_status = "UNPAID"


def change_status(account: Account, order: Order, status: Status, *, by: str = "api") -> None:
    """Give an order another status.

    Raises:
        ApiError: 400: an order that is invoiced, paid, or has goods-out notes cannot be cancelled (section 11.2).
    """
    is_final = order.closed_on or order.payment_status in ("PAID", "PARTIALLY_PAID")
    if status.fate == "cancelled" and (is_final or any(account.stock.noted(key) for key in order.rows)):
        raise invalid("ORDC-031", f"Order {order.id} cannot be cancelled: it is invoiced, or has payments or notes")
    order.status_id = status.id
    updates = account.switches.on("brightpearl_status_change_updates")
    account.save_order(order, "status", by=by, updates=updates, event="order-status")


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
    found = account.contacts.get(integer(contact_id, "contactId", "ORDC-020"))
    if found is None:
        raise invalid("ORDC-020", f"You have supplied an invalid contact id: {contact_id}")
    return found


def override_address(party: Party, given: Any) -> None:
    """Overwrite a party with the address fields that a client sent."""
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
        ApiError: 400: the currency is unknown, or the rate is not a positive number.
    """
    if code:
        if code not in account.currencies:
            raise invalid("ORDC-034", f"You have supplied an invalid currency code: {code}")
        order.currency, order.exchange_rate = code, account.currencies[code].rate
    if rate:
        order.exchange_rate = number(rate, "exchangeRate", "ORDC-034")
        if order.exchange_rate <= 0:
            raise invalid("ORDC-034", f"exchangeRate is not a valid number: {rate}")
    if fixed is not None:
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


def is_gross(account: Account, price_list_id: int) -> bool:
    """Whether a price list's prices include tax."""
    return any(entry.gross for entry in account.shop.price_lists if entry.id == price_list_id)

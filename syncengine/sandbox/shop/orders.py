"""The shop's ordinary orders, and how an order is made invalid."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal

from syncengine.sandbox.shop.catalogue import BUNDLE, GIFT, TOO_LONG_SKU, UNKNOWN_TO_SYSPRO, WITHOUT_SKU
from syncengine.sandbox.shop.model import CUT_OVER, Contact, Fate, Order
from syncengine.sandbox.shop.order_writer import OrderWriter
from syncengine.sandbox.shop.people import add_contact

NOMINAL_SHIPPING, NOMINAL_DISCOUNT = "4040", "4009"
#: Why an order cannot be accepted, as in `Shop.invalid`.
REASONS = {
    "unknown_sku": "SKU is not a stock code in SYSPRO",
    "row_without_sku": "row of a product that has no SKU",
    "negative_quantity": "negative quantity on a stock row",
    "currency": "currency does not exist in SYSPRO",
    "sku_too_long": "SKU is longer than a stock code can be",
    "no_rows": "order has no rows",
}
#: Those that show only once the order's customer is in SYSPRO.
SHOWN_LATE = (REASONS["unknown_sku"], REASONS["sku_too_long"])


def add(writer: OrderWriter, rng: random.Random, orders: int) -> None:
    """Add ordinary orders: most must be pushed, some are by guests, invalid, not yet eligible, or cancelled."""
    customers = [each for each in writer.shop.contacts if writer.shop.guest_tag not in each.tags.split(",")]
    if not customers:
        return
    start = max((order.placed_on for order in writer.shop.orders), default=CUT_OVER)
    for number in range(orders):
        placed = start + timedelta(minutes=7 * (number + 1)) + timedelta(seconds=rng.randrange(300))
        kind = rng.choices(("pushed", "guest", "invalid", "ineligible", "cancelled"), (78, 8, 5, 5, 4))[0]
        if kind == "guest":
            order = _guest_order(writer, rng, placed)
        else:
            order = _order_of(writer, rng, rng.choice(customers), placed, kind)
        _add_rows(writer, rng, order)
        if kind == "invalid":
            make_invalid(writer, order, rng.choice(list(REASONS)))
        if rng.random() < 0.4:
            writer.mark_updated(order, timedelta(minutes=rng.randint(1, 90)))


def make_invalid(writer: OrderWriter, order: Order, label: str) -> None:
    """Make an order invalid for the reason `REASONS[label]`."""
    writer.shop.expected[order.id] = "invalid"
    writer.shop.invalid[order.id] = REASONS[label]
    culprits = {"unknown_sku": UNKNOWN_TO_SYSPRO, "row_without_sku": WITHOUT_SKU, "sku_too_long": TOO_LONG_SKU}
    if label in culprits:
        writer.add(order, writer.products[culprits[label]])
    elif label == "negative_quantity":
        writer.add(order, writer.ordinary[0], -1)
    elif label == "no_rows":
        order.rows.clear()
    else:
        yen = next(entry for entry in writer.shop.currencies if not entry.in_syspro)
        order.currency, order.exchange_rate = yen.code, yen.rate


def _order_of(writer: OrderWriter, rng: random.Random, contact: Contact, placed: datetime, kind: str) -> Order:
    statuses = {"ineligible": (1, 4, 7), "cancelled": (5,)}.get(kind, (2, 2, 2, 3, 6))
    currency = rng.choice(("GBP", "EUR", "USD")) if rng.random() < 0.05 else None
    channel_id = 4 if contact.company else rng.choices((1, 2, 3), (6, 3, 1))[0]
    fate: Fate = "ineligible" if kind == "ineligible" else "cancelled" if kind == "cancelled" else "pushed"
    status_id = rng.choice(statuses)
    return writer.order(contact, placed, fate=fate, channel_id=channel_id, status_id=status_id, currency=currency)


def _guest_order(writer: OrderWriter, rng: random.Random, placed: datetime) -> Order:
    country = rng.choice(("GB", "GB", "GB", "DE", "FR", "PL", "US"))
    has_tag = rng.random() < 0.4
    contact = add_contact(writer.shop, rng, country, tags=writer.shop.guest_tag if has_tag else "")
    contact.created_on = placed
    contact.updated_on = None
    return writer.order(contact, placed, fate="guest", channel_id=1 if has_tag else 5)


def _add_rows(writer: OrderWriter, rng: random.Random, order: Order) -> None:
    for _ in range(rng.choices((1, 2, 3, 5), (45, 30, 17, 8))[0]):
        discount = rng.choice((5, 10, 15)) if rng.random() < 0.1 else 0
        writer.add(order, rng.choice(writer.ordinary), rng.choice((1, 1, 1, 2, 3, 6)), discount=discount)
    if rng.random() < 0.04 and writer.products[BUNDLE].bundle_components:
        writer.add_bundle(order)
    if rng.random() < 0.05:
        writer.add(order, writer.products[GIFT], unit=Decimal(0))
    if rng.random() < 0.05:
        writer.add_text(order, "Gift wrapping", Decimal("3.50"))
    if rng.random() < 0.04:
        writer.add_text(order, "Voucher SPRING5", Decimal("-1.00"), NOMINAL_DISCOUNT)
    if rng.random() < 0.6:
        writer.add_text(order, "Shipping: next day courier", Decimal("5.95"), NOMINAL_SHIPPING)
        order.shipping_method_id = 3

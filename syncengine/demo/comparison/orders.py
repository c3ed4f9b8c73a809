"""Orders in SYSPRO against the orders of the shop."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from syncengine.demo.comparison import lines, texts
from syncengine.demo.comparison.documented import Documented
from syncengine.demo.comparison.problems import Problem
from syncengine.demo.comparison.systems import Systems
from syncengine.demo.comparison.texts import Json
from syncengine.sandbox.brightpearl.responses import COUNTRIES
from syncengine.sandbox.shop.model import Order, Shop

ARRIVING = ("pushed", "guest")
REFERENCE_LENGTH = lines.REFERENCE_LENGTH

LETTERS = {
    "SKU is not a stock code in SYSPRO": ("StockCode", "NEW-NOT-IN-ERP"),
    "row of a product that has no SKU": ("productSku", "SKU"),
    "negative quantity on a stock row": ("quantity", "negative"),
    "currency does not exist in SYSPRO": ("Currency", "JPY"),
    "SKU is longer than a stock code can be": ("StockCode", "LIMITED-EDITION-BLANKET-XL-2025A"),
    "order has no rows": ("orderRows", "no rows"),
}
"""By the shop's reason: the field that the dead letter must name, and a word of its value or cause."""


def compare(
    config: Documented, shop: Shop, systems: Systems, dead_letters: Sequence[Json], edited: Collection[int]
) -> Iterable[Problem]:
    """What is wrong with the shop's orders."""
    for order in shop.orders:
        own = [letter for letter in dead_letters if letter["flow"] == "orders" and letter["key"] == str(order.id)]
        for text in _order(config, shop, systems, order, own, is_edited=order.id in edited):
            yield Problem(text, "order", str(order.id))


def missing(shop: Shop, systems: Systems) -> int:
    """Number of expected orders that SYSPRO does not have."""
    return sum(shop.expected[order.id] in ARRIVING and str(order.id) not in systems.orders for order in shop.orders)


def strays(shop: Shop, systems: Systems, dead_letters: Sequence[Json]) -> Iterable[Problem]:
    """Orders in SYSPRO and dead letters of objects that the shop does not have."""
    for po_number, orders in systems.orders.items():
        if not po_number.isdigit() or int(po_number) not in shop.expected:
            yield Problem(
                f"SYSPRO has {len(orders)} orders with the number {po_number!r}, which the shop does not have"
            )
    for letter in dead_letters:
        if letter["flow"] != "orders" or not (letter["key"].isdigit() and int(letter["key"]) in shop.expected):
            yield Problem(f"{letter['flow']} {letter['key']} has a dead letter: {letter['field']}: {letter['cause']}")


def held(shop: Shop) -> int:
    """Number of orders that are held, or wait for a customer that is."""
    return sum(fate == "held" for fate in shop.expected.values())


def _order(
    config: Documented, shop: Shop, systems: Systems, order: Order, dead_letters: Sequence[Json], *, is_edited: bool
) -> Iterable[str]:
    fate, found = shop.expected[order.id], systems.orders.get(str(order.id), [])
    if fate == "invalid":
        yield from _dead_letter(shop.invalid[order.id], dead_letters)
    elif dead_letters:
        yield f"is {fate} and has a dead letter: {dead_letters[0]['field']}: {dead_letters[0]['cause']}"
    if fate in ARRIVING:
        yield from _arrived(config, systems, order, found, is_guest=fate == "guest", is_edited=is_edited)
    elif not (fate == "cancelled" and is_edited):
        yield from (f"is {fate}, yet SYSPRO has it" for _ in found)
    elif not all(map(_is_cancelled, found)):
        yield "was cancelled after it was pushed, and is not cancelled in SYSPRO"


def _arrived(
    config: Documented, systems: Systems, order: Order, found: Sequence[Json], *, is_guest: bool, is_edited: bool
) -> Iterable[str]:
    name = ("SorMaster", str(order.id))
    if len(found) != 1 or systems.created[name] != 1:
        yield f"is in SYSPRO {len(found)} times, created {systems.created[name]} times"
    if name in systems.changed and not is_edited:
        yield "was changed in SYSPRO although nothing changed in Brightpearl"
    for row in found:
        yield from _header(config, order, row, is_guest=is_guest)
        yield from lines.compare(config, order, systems.lines[row["SalesOrder"]], systems.net_total(order.id))


def _is_cancelled(found: Json) -> bool:
    return found["OrderStatus"] in ("\\", "*") or found["CancelledFlag"] == "Y"


def _dead_letter(reason: str, dead_letters: Sequence[Json]) -> Iterable[str]:
    field, word = LETTERS[reason]
    if len(dead_letters) != 1:
        yield f"is invalid ({reason}) and has {len(dead_letters)} dead letters"
    for letter in dead_letters:
        text = f"{letter['field']} = {letter['value']}: {letter['cause']}"
        if field not in letter["field"] or word.lower() not in text.lower() or not letter["cause"]:
            yield f"is invalid ({reason}), and its dead letter says: {text}"


def _header(config: Documented, order: Order, found: Json, *, is_guest: bool) -> Iterable[str]:
    party, settings = order.delivery, config.settings
    customer = (
        config.lookup("house_accounts", order.currency)
        if is_guest
        else config.customer_code(str(order.customer.contact_id), order.currency)
    )
    yield from texts.fields(
        found,
        {
            "Customer": customer,
            "Currency": order.currency,
            "OrderDate": config.day(order.placed_on),
            "Warehouse": config.lookup("warehouses", order.warehouse_id),
            "ShipPostalCode": party.postal_code,
            "Email": party.email or order.customer.email or order.billing.email,
            "SpecialInstrs": order.reference if len(order.reference) <= REFERENCE_LENGTH else "",
            "ShippingInstrs": config.lookup("shipping_texts", order.shipping_method_id),
            "OrderType": config.lookup("order_sources", order.channel_id, settings.get("order_source", "")),
            "CancelledFlag": "",
        },
    )
    if order.delivery_date:
        yield from texts.fields(found, {"ReqShipDate": config.day(order.delivery_date)})
    if found["OrderStatus"] not in ("1", "2"):  # 2: all of it is on back order
        yield f"OrderStatus is {found['OrderStatus']!r}"
    country = COUNTRIES[party.country][1] if party.country in COUNTRIES else ""
    address = (party.line1, party.line2, party.line3, party.line4)
    yield from texts.address(
        found, "CustomerName", "ShipAddress", party.company or party.full_name, address, country, party.country
    )

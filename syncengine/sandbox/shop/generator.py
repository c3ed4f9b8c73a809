"""Makes a shop; the same seed and sizes give the same shop."""

from __future__ import annotations

import random

from syncengine.sandbox.shop import awkward as awkward_orders
from syncengine.sandbox.shop import catalogue, people
from syncengine.sandbox.shop import orders as ordinary_orders
from syncengine.sandbox.shop import tax_mix as tax_mix_orders
from syncengine.sandbox.shop.model import Shop, is_unstorable
from syncengine.sandbox.shop.order_writer import OrderWriter
from syncengine.sandbox.shop.orders import SHOWN_LATE


def generate(
    seed: int = 1,
    *,
    contacts: int = 60,
    products: int = 80,
    orders: int = 100,
    awkward: bool = True,
    tax_mix: int = 0,
) -> Shop:
    """Make a shop.

    Args:
        contacts: customers with an account; guests and customers of awkward orders come on top.
        products: SKUs; those with a special role (bundles, unknown to SYSPRO) come on top.
        orders: ordinary orders, of which some are invalid, not eligible, cancelled, or by guests.
        awkward: add the labelled awkward orders, with the lowest ids.
        tax_mix: further orders with all kinds of tax, after all others; the rest of the shop does not depend on it.
    """
    rng = random.Random(seed)
    shop = Shop(seed)
    catalogue.fill(shop, rng, products)
    people.fill(shop, rng, contacts)
    writer = OrderWriter(shop)
    if awkward:
        awkward_orders.add(writer, random.Random(seed + 1))
    ordinary_orders.add(writer, rng, orders)
    if tax_mix:
        mix_rng = random.Random(seed + 2)
        tax_mix_orders.add(writer, tax_mix_orders.add_goods(shop, mix_rng), mix_rng, tax_mix)
    _expect_held(shop)
    return shop


def _expect_held(shop: Shop) -> None:
    """Orders of customers whose texts no transliteration carries are held, unless they are skipped or refused before."""
    for order in shop.orders:
        texts = (order.customer.full_name, order.delivery.full_name, order.delivery.company, order.delivery.line1)
        may_be_held = shop.expected[order.id] in ("pushed", "guest") or shop.invalid.get(order.id) in SHOWN_LATE
        if may_be_held and any(map(is_unstorable, texts)):
            shop.expected[order.id] = "held"
            shop.invalid.pop(order.id, None)

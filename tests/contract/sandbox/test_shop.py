"""The generator of the shop."""

from __future__ import annotations

from decimal import Decimal

import pytest

from syncengine.sandbox.shop.generator import generate
from syncengine.sandbox.shop.model import FREE_TEXT_PRODUCT_ID, Order, Shop


@pytest.fixture(scope="module")
def shop() -> Shop:
    return generate(7, contacts=80, products=60, orders=400)


def awkward(shop: Shop, label: str) -> Order:
    return next(order for order in shop.orders if order.id == shop.awkward[label])


def test_same_seed_gives_the_same_shop(shop: Shop) -> None:
    assert generate(7, contacts=80, products=60, orders=400) == shop
    assert generate(8, contacts=80, products=60, orders=400) != shop


def test_awkward_orders_have_the_same_ids_for_every_seed(shop: Shop) -> None:
    assert generate(99, contacts=3, products=5, orders=2).awkward == shop.awkward


def test_every_order_has_a_fate_and_every_invalid_one_a_reason(shop: Shop) -> None:
    assert set(shop.expected) == {order.id for order in shop.orders}
    assert {key for key, fate in shop.expected.items() if fate == "invalid"} == set(shop.invalid)
    assert set(shop.expected.values()) == {"pushed", "guest", "invalid", "ineligible", "cancelled", "held"}


def test_orders_come_in_the_order_of_their_dates(shop: Shop) -> None:
    placed = [order.placed_on for order in shop.orders]
    assert placed == sorted(placed)
    assert [order.id for order in shop.orders] == sorted(order.id for order in shop.orders)
    assert [key for key, order in ((order.id, order) for order in shop.orders) if order.placed_on < shop.cut_over] == [
        shop.awkward["before_cut_over"]
    ]


def test_ids_are_used_once(shop: Shop) -> None:
    rows = [key for order in shop.orders for key in order.rows]
    for ids in (rows, [entry.id for entry in shop.contacts], [entry.id for entry in shop.addresses]):
        assert len(ids) == len(set(ids))


def test_names_reach_beyond_windows_1252(shop: Shop) -> None:
    for label in ("polish_name", "czech_name", "greek_name", "japanese_name", "emoji_name"):
        with pytest.raises(UnicodeEncodeError):
            awkward(shop, label).customer.full_name.encode("cp1252")


def test_order_of_sixty_rows(shop: Shop) -> None:
    assert len(awkward(shop, "sixty_rows").rows) == 60


def test_bundle_carries_its_price_on_the_parent(shop: Shop) -> None:
    _, parent, *children = awkward(shop, "bundle").rows.values()
    bundle = next(product for product in shop.products if product.id == parent.product_id)

    assert parent.bundle_parent
    assert parent.net > 0
    assert [(row.product_id, row.quantity) for row in children] == [
        (product_id, Decimal(number * 2)) for product_id, number in bundle.bundle_components
    ]
    assert all(row.parent_row_id == parent.id and row.net == 0 for row in children)


def test_prices_with_tax_are_kept_net_with_four_places(shop: Shop) -> None:
    order = awkward(shop, "prices_with_tax")
    row = next(iter(order.rows.values()))
    product = next(product for product in shop.products if product.id == row.product_id)
    gross = (product.price * (1 + shop.rate_of(product.tax_code))).quantize(Decimal("0.01"))

    assert order.price_mode == "INC"
    assert abs(row.net * (1 + shop.rate_of(row.tax_code)) - gross) < Decimal("0.0002")
    assert row.net.as_tuple().exponent == -4
    assert row.tax.as_tuple().exponent == -2


def test_two_currencies_of_one_customer(shop: Shop) -> None:
    first, second = awkward(shop, "two_currencies_first"), awkward(shop, "two_currencies_second")
    assert first.customer.contact_id == second.customer.contact_id
    assert (first.currency, second.currency) == ("GBP", "EUR")


def test_guests_are_marked_by_channel_or_tag_only(shop: Shop) -> None:
    tags = {contact.id: contact.tags.split(",") for contact in shop.contacts}
    guest_channels = {channel.id for channel in shop.channels if channel.is_guest}
    for order in shop.orders:
        is_marked = order.channel_id in guest_channels or shop.guest_tag in tags[order.customer.contact_id]
        assert is_marked == (shop.expected[order.id] == "guest")


def test_invalid_orders_are_invalid_for_the_reason_given(shop: Shop) -> None:
    known = {product.id: product for product in shop.products}
    in_syspro = {currency.code for currency in shop.currencies if currency.in_syspro}
    for order in shop.orders:
        if order.id not in shop.invalid:
            assert order.currency in in_syspro
            assert order.rows
            for row in order.rows.values():
                assert row.product_id == FREE_TEXT_PRODUCT_ID or known[row.product_id].in_syspro
                assert row.quantity > 0


def test_an_empty_shop_is_a_shop() -> None:
    assert generate(1, contacts=0, products=0, orders=5, awkward=False).orders == []


# -- orders with all kinds of tax --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed() -> Shop:
    return generate(7, contacts=5, products=5, orders=5, tax_mix=44)


def of_kind(shop: Shop, kind: str) -> list[Order]:
    return [order for order in shop.orders if order.id in shop.tax_mix[kind]]


def test_tax_mix_leaves_the_rest_of_the_shop_as_it_is(mixed: Shop) -> None:
    plain = generate(7, contacts=5, products=5, orders=5)

    assert mixed == generate(7, contacts=5, products=5, orders=5, tax_mix=44)
    assert mixed.orders[: len(plain.orders)] == plain.orders
    assert mixed.products[: len(plain.products)] == plain.products
    assert len(mixed.orders) == len(plain.orders) + 44
    assert {len(ids) for ids in mixed.tax_mix.values()} == {4}
    assert plain.tax_mix == {}


def test_tax_mix_has_every_rate_and_both_price_modes(mixed: Shop) -> None:
    orders = [order for order in mixed.orders if any(order.id in ids for ids in mixed.tax_mix.values())]

    assert {row.tax_code for order in orders for row in order.rows.values()} == {"T20", "T5", "T0", "T9", "T2", "DE19"}
    assert {order.price_mode for order in orders} == {"INC", "EXC"}
    assert any(row.discount for order in orders for row in order.rows.values())
    assert {mixed.expected[order.id] for order in orders} == {"pushed", "guest"}


def test_orders_of_the_mix_are_charged_as_their_kind_says(mixed: Shop) -> None:
    own = {product.sku: product.tax_code for product in mixed.products}
    codes = {
        kind: {row.tax_code for order in of_kind(mixed, kind) for row in order.rows.values()} for kind in mixed.tax_mix
    }

    assert codes["export"] == codes["guest_export"] == {"T0"}
    assert codes["exempt_customer"] == {"T2"}
    assert codes["one_stop_shop"] == {"DE19"}
    assert codes["export_with_a_taxed_row"] == {"T0", "T20"}
    assert {"T20", "T5", "T0", "T2"} == codes["own_codes_net"] == codes["own_codes_gross"]
    for order in of_kind(mixed, "own_codes_net"):
        assert all(own[row.sku] == row.tax_code for row in order.rows.values() if row.sku)
    for order in of_kind(mixed, "reduced_by_the_shop"):
        assert any(own[row.sku] != row.tax_code for row in order.rows.values())

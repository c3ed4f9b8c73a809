"""The shop's ordinary orders, and the means to write an order down row by row."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from syncengine.sandbox.shop import (
    CUT_OVER,
    FIRST_ORDER_ID,
    FREE_TEXT_PRODUCT_ID,
    Address,
    Contact,
    Fate,
    Order,
    Party,
    Product,
    Row,
    Shop,
    minutes,
)
from syncengine.sandbox.shop_catalogue import BUNDLE, GIFT, TOO_LONG_SKU, UNKNOWN_TO_SYSPRO, WITHOUT_SKU, list_price
from syncengine.sandbox.shop_people import add_contact

FIRST_ROW_ID = 8101
NOMINAL_SALES, NOMINAL_SHIPPING, NOMINAL_DISCOUNT = "4000", "4040", "4009"
#: Why an order cannot be accepted, as `Shop.invalid` says it.
REASONS = {
    "unknown_sku": "SKU is not a stock code in SYSPRO",
    "row_without_sku": "row of a product that has no SKU",
    "negative_quantity": "negative quantity on a stock row",
    "currency": "currency does not exist in SYSPRO",
    "sku_too_long": "SKU is longer than a stock code can be",
    "no_rows": "order has no rows",
}
_FOUR, _TWO = Decimal("0.0001"), Decimal("0.01")


class Scribe:
    """Writes orders into a shop, in order of their dates and ids."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.customers = list(shop.contacts)  # those of ordinary orders; awkward ones and guests come on top
        self.addresses = {address.id: address for address in shop.addresses}
        self.products = {product.sku: product for product in shop.products}
        self.by_id = {product.id: product for product in shop.products}
        special = (UNKNOWN_TO_SYSPRO, WITHOUT_SKU, TOO_LONG_SKU, BUNDLE, GIFT)
        self.ordinary = [product for product in shop.products if product.sku not in special]
        self._row_ids = itertools.count(FIRST_ROW_ID)
        self._order_ids = itertools.count(FIRST_ORDER_ID)

    def order(
        self,
        contact: Contact,
        placed_on: datetime,
        *,
        fate: Fate = "pushed",
        channel_id: int = 1,
        status_id: int = 2,
        currency: str | None = None,
        price_mode: str | None = None,
    ) -> Order:
        """A new order without rows, noted with what is to become of it."""
        currency = currency or contact.currency
        same = currency == contact.currency
        prices = self._price_list(contact.price_list_id if same else {"GBP": 2, "EUR": 4}.get(currency, 5), price_mode)
        order_id = next(self._order_ids)
        billing = self.party(contact, contact.billing_address_id)
        order = Order(
            order_id,
            f"WEB-{order_id + 5000}",
            status_id,
            placed_on,
            placed_on + timedelta(seconds=2),
            None,
            currency,
            next(entry.rate for entry in self.shop.currencies if entry.code == currency),
            prices,
            "INC" if self._is_gross(prices) else "EXC",
            channel_id,
            self.shop.warehouses[0].id,
            billing,
            replace(billing),
            self.party(contact, contact.delivery_address_id),
            {},
            tax_date=placed_on.replace(hour=0, minute=0, second=0),
            shipping_method_id=2,
            external_ref=f"ext-{order_id + 5000}",
        )
        self.shop.orders.append(order)
        self.shop.expected[order_id] = fate
        return order

    def party(self, contact: Contact, address_id: int) -> Party:
        """Name and address as they are printed on an order."""
        if address_id not in self.addresses:
            self.addresses = {address.id: address for address in self.shop.addresses}
        address: Address = self.addresses[address_id]
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

    def add(
        self,
        order: Order,
        product: Product,
        quantity: Decimal | int = 1,
        *,
        discount: Decimal | int = 0,
        tax_code: str | None = None,
        unit: Decimal | None = None,
        parent: Row | None = None,
    ) -> Row:
        """Add a row of a product at its list price, or at `unit` (with tax where the order's prices include it)."""
        tax_code = tax_code or (product.tax_code if order.delivery.country == "GB" else "T0")
        prices = next(entry for entry in self.shop.price_lists if entry.id == order.price_list_id)
        listed = list_price(self.shop, product, prices) if unit is None else unit
        if order.currency == "JPY":
            listed = (product.price * order.exchange_rate).quantize(Decimal(1))
        amount = listed * Decimal(quantity) * (1 - Decimal(discount) / 100)
        row = self._row(order, product.id, product.name, product.sku, amount, tax_code, Decimal(quantity))
        row.price = self._net(order, listed, tax_code)
        row.discount, row.cost = Decimal(discount), product.cost
        row.parent_row_id = parent.id if parent else 0
        return row

    def add_bundle(self, order: Order, quantity: int = 1) -> Row:
        """Add a bundle: its parent carries the price, its components follow at zero (section 11.2: they are added
        automatically)."""
        bundle = self.products[BUNDLE]
        parent = self.add(order, bundle, quantity)
        parent.bundle_parent = True
        for product_id, number in bundle.bundle_components:
            self.add(order, self.by_id[product_id], number * quantity, unit=Decimal(0), parent=parent)
        return parent

    def add_text(self, order: Order, name: str, amount: Decimal, nominal: str = NOMINAL_SALES) -> Row:
        """Add a free-text row; the amount includes tax where the order's prices do."""
        tax_code = "T20" if order.delivery.country == "GB" else "T0"
        row = self._row(order, FREE_TEXT_PRODUCT_ID, name, "", amount, tax_code, Decimal(1))
        row.price = row.net
        row.nominal_code = nominal
        return row

    def touch(self, order: Order, after: timedelta = timedelta(minutes=5)) -> None:
        """Note a first update."""
        order.updated_on = order.created_on + after
        order.version += 1

    def _row(
        self, order: Order, product_id: int, name: str, sku: str, amount: Decimal, tax_code: str, quantity: Decimal
    ) -> Row:
        rate = self.shop.rate_of(tax_code)
        exact_net = amount / (1 + rate) if order.price_mode == "INC" else amount
        net = exact_net.quantize(_FOUR, ROUND_HALF_UP)
        tax = (exact_net * rate).quantize(_TWO, ROUND_HALF_UP)
        row_id, sequence = next(self._row_ids), 10 * (len(order.rows) + 1)
        row = Row(row_id, sequence, product_id, name, sku, quantity, net, net, tax, tax_code)
        order.rows[row_id] = row
        return row

    def _net(self, order: Order, amount: Decimal, tax_code: str) -> Decimal:
        rate = self.shop.rate_of(tax_code)
        return (amount / (1 + rate) if order.price_mode == "INC" else amount).quantize(_FOUR, ROUND_HALF_UP)

    def _price_list(self, wanted: int, price_mode: str | None) -> int:
        if price_mode is None or self._is_gross(wanted) == (price_mode == "INC"):
            return wanted
        currency = next(entry.currency for entry in self.shop.price_lists if entry.id == wanted)
        fitting = [
            entry.id
            for entry in self.shop.price_lists
            if entry.kind == "SELL" and entry.currency == currency and entry.gross == (price_mode == "INC")
        ]
        return fitting[0] if fitting else wanted

    def _is_gross(self, price_list_id: int) -> bool:
        return next(entry.gross for entry in self.shop.price_lists if entry.id == price_list_id)


def add_ordinary(scribe: Scribe, chance: random.Random, orders: int) -> None:
    """Add orders as a shop has them: most to be pushed, some of guests, invalid, not eligible yet, or cancelled."""
    customers = [each for each in scribe.shop.contacts if scribe.shop.guest_tag not in each.tags.split(",")]
    if not customers:
        return
    start = max((order.placed_on for order in scribe.shop.orders), default=CUT_OVER)
    for number in range(orders):
        placed = start + minutes(7 * (number + 1)) + timedelta(seconds=chance.randrange(300))
        kind = chance.choices(("pushed", "guest", "invalid", "ineligible", "cancelled"), (78, 8, 5, 5, 4))[0]
        if kind == "guest":
            order = _guest_order(scribe, chance, placed)
        else:
            order = _order_of(scribe, chance, chance.choice(customers), placed, kind)
        _add_rows(scribe, chance, order)
        if kind == "invalid":
            make_invalid(scribe, order, chance.choice(list(REASONS)))
        if chance.random() < 0.4:
            scribe.touch(order, minutes(chance.randint(1, 90)))


def make_invalid(scribe: Scribe, order: Order, label: str) -> None:
    """Spoil an order in the way of `REASONS[label]`, and note the reason."""
    scribe.shop.expected[order.id] = "invalid"
    scribe.shop.invalid[order.id] = REASONS[label]
    spoiling = {"unknown_sku": UNKNOWN_TO_SYSPRO, "row_without_sku": WITHOUT_SKU, "sku_too_long": TOO_LONG_SKU}
    if label in spoiling:
        scribe.add(order, scribe.products[spoiling[label]])
    elif label == "negative_quantity":
        scribe.add(order, scribe.ordinary[0], -1)
    elif label == "no_rows":
        order.rows.clear()
    else:
        yen = next(entry for entry in scribe.shop.currencies if not entry.in_syspro)
        order.currency, order.exchange_rate = yen.code, yen.rate


def _order_of(scribe: Scribe, chance: random.Random, contact: Contact, placed: datetime, kind: str) -> Order:
    statuses = {"ineligible": (1, 4, 7), "cancelled": (5,)}.get(kind, (2, 2, 2, 3, 6))
    currency = chance.choice(("GBP", "EUR", "USD")) if chance.random() < 0.05 else None
    channel_id = 4 if contact.company else chance.choices((1, 2, 3), (6, 3, 1))[0]
    fate: Fate = "ineligible" if kind == "ineligible" else "cancelled" if kind == "cancelled" else "pushed"
    status_id = chance.choice(statuses)
    return scribe.order(contact, placed, fate=fate, channel_id=channel_id, status_id=status_id, currency=currency)


def _guest_order(scribe: Scribe, chance: random.Random, placed: datetime) -> Order:
    country = chance.choice(("GB", "GB", "GB", "DE", "FR", "PL", "US"))
    has_tag = chance.random() < 0.4
    contact = add_contact(scribe.shop, chance, country, tags=scribe.shop.guest_tag if has_tag else "")
    contact.created_on = placed
    contact.updated_on = None
    return scribe.order(contact, placed, fate="guest", channel_id=1 if has_tag else 5)


def _add_rows(scribe: Scribe, chance: random.Random, order: Order) -> None:
    for _ in range(chance.choices((1, 2, 3, 5), (45, 30, 17, 8))[0]):
        discount = chance.choice((5, 10, 15)) if chance.random() < 0.1 else 0
        scribe.add(order, chance.choice(scribe.ordinary), chance.choice((1, 1, 1, 2, 3, 6)), discount=discount)
    if chance.random() < 0.04 and scribe.products[BUNDLE].bundle_components:
        scribe.add_bundle(order)
    if chance.random() < 0.05:
        scribe.add(order, scribe.products[GIFT], unit=Decimal(0))
    if chance.random() < 0.05:
        scribe.add_text(order, "Gift wrapping", Decimal("3.50"))
    if chance.random() < 0.04:
        scribe.add_text(order, "Voucher SPRING5", Decimal("-1.00"), NOMINAL_DISCOUNT)
    if chance.random() < 0.6:
        scribe.add_text(order, "Shipping: next day courier", Decimal("5.95"), NOMINAL_SHIPPING)
        order.shipping_method_id = 3

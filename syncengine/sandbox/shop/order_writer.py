"""Writes orders into a shop, row by row."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from syncengine.sandbox.shop.catalogue import BUNDLE, GIFT, TOO_LONG_SKU, UNKNOWN_TO_SYSPRO, WITHOUT_SKU
from syncengine.sandbox.shop.model import (
    FREE_TEXT_PRODUCT_ID,
    Contact,
    Fate,
    Order,
    Party,
    Product,
    Row,
    Shop,
)

FIRST_ORDER_ID = 5001
FIRST_ROW_ID = 8101
NOMINAL_SALES = "4000"
_FOUR, _TWO = Decimal("0.0001"), Decimal("0.01")


class OrderWriter:
    """Writes orders into a shop, by ascending date and id."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.customers = list(shop.contacts)  # of ordinary orders; those of awkward orders and guests come on top
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
        """Add an order without rows; `fate` is what must become of it."""
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
        """A contact at one of the shop's addresses."""
        if address_id not in self.addresses:
            self.addresses = {address.id: address for address in self.shop.addresses}
        return Party.of(contact, self.addresses[address_id])

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
        """Add a row of a product at its list price, or at `unit` (with tax if the order's prices include it)."""
        tax_code = tax_code or (product.tax_code if order.delivery.country == "GB" else "T0")
        prices = next(entry for entry in self.shop.price_lists if entry.id == order.price_list_id)
        listed = self.shop.list_price(product, prices) if unit is None else unit
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

    def add_text(
        self, order: Order, name: str, amount: Decimal, nominal: str = NOMINAL_SALES, *, tax_code: str = ""
    ) -> Row:
        """Add a free-text row; the amount includes tax if the order's prices do."""
        tax_code = tax_code or ("T20" if order.delivery.country == "GB" else "T0")
        row = self._row(order, FREE_TEXT_PRODUCT_ID, name, "", amount, tax_code, Decimal(1))
        row.price = Decimal(0)  # as recorded: what it costs is in `rowNet` alone (brightpearl.md section 14.8)
        row.nominal_code = nominal
        return row

    def mark_updated(self, order: Order, after: timedelta = timedelta(minutes=5)) -> None:
        """Mark an order as updated once, some time after its creation."""
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

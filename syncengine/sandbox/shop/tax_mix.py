"""Orders with all kinds of tax, for comparing what the shop charged with what SYSPRO books.

They come after all other orders, with products and customers of their own, so that the rest of the shop stays as it is. The
kinds follow each other in turn, each under a label in `Shop.tax_mix`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from syncengine.sandbox.shop.model import CUT_OVER, Contact, Fate, Order, Product, Shop, TaxCode, Warehouse
from syncengine.sandbox.shop.order_writer import OrderWriter
from syncengine.sandbox.shop.orders import NOMINAL_DISCOUNT, NOMINAL_SHIPPING
from syncengine.sandbox.shop.people import add_contact

EXEMPT = "T2"
#: How many products have each tax code.
_GOODS = {"T20": 6, "T5": 4, "T0": 4, EXEMPT: 3}
_SHARE = Decimal("0.01")


def add_goods(shop: Shop, rng: random.Random) -> list[Product]:
    """Add the exempt tax code, and products of each tax code; returns the products."""
    shop.tax_codes.append(TaxCode(max(tax.id for tax in shop.tax_codes) + 1, EXEMPT, "Exempt", Decimal(0)))
    first = max(product.id for product in shop.products) + 1
    codes = [code for code, count in _GOODS.items() for _ in range(count)]
    goods = [_product(rng, first + number, code, shop.warehouses) for number, code in enumerate(codes)]
    shop.products.extend(goods)
    return goods


def _product(rng: random.Random, product_id: int, code: str, warehouses: list[Warehouse]) -> Product:
    return Product(
        product_id,
        f"MIX-{code}-{product_id}",
        f"Mixed goods {product_id}",
        Decimal(rng.randint(99, 9_999)) / 100,
        code,
        {warehouse.code: Decimal(rng.randint(0, 200)) for warehouse in warehouses},
        cost=Decimal("1.0000"),
        barcode=f"{6_000_000_000_000 + product_id:013d}",
    )


def add(writer: OrderWriter, goods: list[Product], rng: random.Random, orders: int) -> None:
    """Add this number of orders, of all kinds in turn."""
    mix = _Mix(writer, goods, rng)
    kinds: list[tuple[str, Callable[[_Mix], Order]]] = [
        ("own_codes_net", lambda mix: mix.domestic("EXC")),
        ("own_codes_gross", lambda mix: mix.domestic("INC")),
        ("export", _Mix.export),
        ("one_stop_shop", _Mix.one_stop_shop),
        ("exempt_customer", _Mix.exempt_customer),
        ("reduced_by_the_shop", lambda mix: mix.overridden("T5")),
        ("outside_the_scope", lambda mix: mix.overridden("T9")),
        ("discounts", _Mix.discounts),
        ("export_with_a_taxed_row", _Mix.export_with_a_taxed_row),
        ("guest_export", _Mix.guest_export),
        ("many_small_rows", _Mix.many_small_rows),
    ]
    for number in range(orders):
        label, write = kinds[number % len(kinds)]
        order = write(mix)
        writer.shop.tax_mix.setdefault(label, []).append(order.id)


@dataclass
class _Mix:
    """Writes the orders, some minutes apart, each by its own customer."""

    writer: OrderWriter
    goods: list[Product]
    rng: random.Random

    def domestic(self, price_mode: str) -> Order:
        """Goods of all rates, each under its own code."""
        order = self._order("GB", price_mode=price_mode)
        for code in _GOODS:
            self._row(order, code, code)
        self._shipping(order, "T20")
        return order

    def export(self) -> Order:
        """All goods at nothing: the order leaves the country."""
        order = self._order("US")
        self._rows(order, "T0", ("T20", "T5", "T0"))
        self._shipping(order, "T0")
        return order

    def one_stop_shop(self) -> Order:
        """German VAT on everything, in prices that include it."""
        order = self._order("DE", price_mode="INC")
        self._rows(order, "DE19", ("T20", "T0"))
        self._shipping(order, "DE19")
        return order

    def exempt_customer(self) -> Order:
        """A domestic customer who is exempt, whatever the goods."""
        order = self._order("GB", tax_code=EXEMPT)
        self._rows(order, EXEMPT, ("T20", "T5"))
        self._shipping(order, EXEMPT)
        return order

    def overridden(self, code: str) -> Order:
        """One row under a code that is not the item's, beside one that is."""
        order = self._order("GB")
        self._row(order, "T20", code)
        self._row(order, "T20", "T20")
        return order

    def discounts(self) -> Order:
        """A percentage before tax, and a voucher as a row."""
        order = self._order("GB", price_mode=self.rng.choice(("INC", "EXC")))
        self._row(order, "T20", "T20", discount=self.rng.choice((5, 10, 33)))
        self._row(order, "T5", "T5", discount=15)
        self._text(order, "Voucher MIX", Decimal("-1.00"), NOMINAL_DISCOUNT, "T20")
        return order

    def export_with_a_taxed_row(self) -> Order:
        """Not every row agrees, so no status of the whole order is right."""
        order = self.export()
        self._row(order, "T20", "T20")
        return order

    def guest_export(self) -> Order:
        """An export of somebody without an account."""
        contact = self._contact("US", "T0", tags=self.writer.shop.guest_tag)
        order = self._order("US", contact=contact, fate="guest")
        self._rows(order, "T0", ("T20", "T0"))
        return order

    def many_small_rows(self) -> Order:
        """Pennies, so that tax on the whole and line by line differ."""
        order = self._order("GB", price_mode="EXC")
        for _ in range(self.rng.randint(5, 9)):
            self._row(order, "T20", "T20", unit=Decimal(self.rng.choice((33, 13, 8, 63))) * _SHARE, quantity=1)
        return order

    def _order(
        self,
        country: str,
        *,
        price_mode: str | None = None,
        tax_code: str = "",
        contact: Contact | None = None,
        fate: Fate = "pushed",
    ) -> Order:
        start = self.writer.shop.orders[-1].placed_on if self.writer.shop.orders else CUT_OVER
        contact = contact or self._contact(country, tax_code or ("T20" if country == "GB" else "T0"))
        return self.writer.order(contact, start + timedelta(minutes=4), fate=fate, price_mode=price_mode)

    def _contact(self, country: str, tax_code: str, tags: str = "") -> Contact:
        contact = add_contact(self.writer.shop, self.rng, country, tags=tags)
        contact.tax_code = tax_code
        contact.delivery_address_id = contact.billing_address_id
        return contact

    def _rows(self, order: Order, charged: str, own: tuple[str, ...]) -> None:
        for code in own:
            self._row(order, code, charged)

    def _row(
        self,
        order: Order,
        own: str,
        charged: str,
        *,
        discount: int = 0,
        unit: Decimal | None = None,
        quantity: int = 0,
    ) -> None:
        product = self.rng.choice([product for product in self.goods if product.tax_code == own])
        number = quantity or self.rng.choice((1, 2, 3, 7))
        self.writer.add(order, product, number, discount=discount, tax_code=charged, unit=unit)

    def _shipping(self, order: Order, tax_code: str) -> None:
        if self.rng.random() < 0.7:
            self._text(order, "Shipping: courier", Decimal("5.95"), NOMINAL_SHIPPING, tax_code)
            order.shipping_method_id = 3

    def _text(self, order: Order, name: str, amount: Decimal, nominal: str, tax_code: str) -> None:
        self.writer.add_text(order, name, amount, nominal, tax_code=tax_code)

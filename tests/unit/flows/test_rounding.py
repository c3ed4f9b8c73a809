"""Random baskets under every policy of `rounding`: what SYSPRO gets adds up to the shop's net total, to the cent.

What is right is computed here with fractions, from the policies' description in docs/flows.md. A few hundred baskets by
default; `SYNCENGINE_BASKETS=20000 pytest -n0 tests/unit/flows/test_rounding.py` takes some minutes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest

from syncengine.errors import Rejected
from tests.unit.flows.flow_fixtures import mapped, order, row, text_row

BASKETS = int(os.environ.get("SYNCENGINE_BASKETS", "80"))
POLICIES = ("unit", "line", "total")
RATES = {"T20": 20, "T5": 5, "T0": 0, "DE19": 19}
TABLES = {"tax_codes": {code: code[:3] for code in RATES}}
CENT = Fraction(1, 100)


def rounded(value: Fraction, places: int) -> Fraction:
    """Half up, away from zero."""
    scaled = abs(value) * 10**places
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Fraction(whole if value > 0 else -whole, 10**places)


def digits(value: Fraction, places: int) -> str:
    return str(
        (Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    )


@dataclass
class Basket:
    """An order as the shop charged it, and the net value and pieces that each SYSPRO line is for, by key."""

    doc: dict[str, Any]
    total: Fraction
    stock: dict[str, tuple[Fraction, int]] = field(default_factory=dict)
    charges: dict[str, Fraction] = field(default_factory=dict)
    freight: dict[str, Fraction] = field(default_factory=dict)

    @property
    def allowed(self) -> Fraction:
        """A cent for each row and one more, and half of the fifth decimal for each piece."""
        pieces = sum(quantity for _, quantity in self.stock.values())
        return CENT * (len(self.doc["orderRows"]) + 1) + Fraction(5, 1_000_000) * pieces

    def prices(self, policy: str) -> dict[str, Fraction]:
        """Prices by key."""
        return {key: price(net, quantity, policy) for key, (net, quantity) in self.stock.items()}

    def moved(self, policy: str) -> Fraction:
        """What rounding takes from the net total."""
        prices = self.prices(policy)
        goods = sum(rounded(prices[key] * quantity, 2) for key, (_, quantity) in self.stock.items())
        others = sum(rounded(net, 2) for net in [*self.charges.values(), *self.freight.values()])
        return self.total - goods - others


def price(net: Fraction, quantity: int, policy: str) -> Fraction:
    """The price of a piece: in cents under `unit`, of a line in cents under `line`."""
    if policy == "unit":
        return rounded(net / quantity, 2)
    return rounded((rounded(net, 2) if policy == "line" else net) / quantity, 5)


class Writer:
    """Writes the rows of one basket, as Brightpearl computes them: nets in four places, tax in two."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.is_gross = rng.random() < 0.5
        self.rows: dict[str, dict[str, Any]] = {}
        self.nets: list[Fraction] = []
        self.rates: list[int] = []
        self.basket = Basket({}, Fraction(0))

    def write(self) -> Basket:
        for _ in range(self.rng.randint(1, 7)):
            self.product()
        if self.rng.random() < 0.3:
            self.bundle()
        if self.rng.random() < 0.3:
            self.text("Voucher", -self.amount(1, 900), self.basket.charges)
        if self.rng.random() < 0.4:
            self.text("Courier", self.amount(1, 1999), self.basket.freight, nominalCode="4040")
        self.basket.total = self.total()
        mode = "INC" if self.is_gross else "EXC"
        self.basket.doc = order(digits(self.basket.total, 2), self.rows, priceModeCode=mode)
        return self.basket

    def product(self) -> None:
        """A product, often discounted by a percentage before tax."""
        code, quantity = self.code(), self.quantity()
        discount = self.rng.choice((0, 0, 0, 5, 10, 33, 15))
        net = self.net(self.amount(1, 20_000) * quantity * Fraction(100 - discount, 100), code)
        self.basket.stock[self.add(row(digits(net, 4), f"{quantity}.0000", tax=code), net, code)] = net, quantity

    def bundle(self) -> None:
        """A bundle, whose price its components share by list price, by cost, or by quantity."""
        code, quantity = self.code(), self.rng.randint(1, 12)
        net = self.net(self.amount(100, 20_000) * quantity, code)
        parent = self.add(row(digits(net, 4), f"{quantity}.0000", tax=code, bundle=True, productSku="SET"), net, code)
        by = self.rng.choice(("price", "cost", "quantity"))
        parts = [(quantity * self.rng.randint(1, 4), self.amount(1, 5000)) for _ in range(self.rng.randint(1, 4))]
        weights = [Fraction(pieces) * (1 if by == "quantity" else each) for pieces, each in parts]
        for (pieces, each), weight in zip(parts, weights, strict=True):
            given = {} if by == "quantity" else {by: digits(each, 4)}
            part = row("0.0000", f"{pieces}.0000", tax=code, parent=int(parent), **given)
            self.basket.stock[self.add(part, Fraction(0), code)] = net * weight / sum(weights), pieces

    def text(self, name: str, gross: Fraction, kept: dict[str, Fraction], **changes: Any) -> None:
        """A row without a product: a discount after tax is what the customer sees, tax included."""
        code = self.code()
        net = rounded(gross / (1 + Fraction(RATES[code], 100)), 4)
        kept[self.add(text_row(digits(net, 4), name, tax=code, **changes), net, code)] = net

    def add(self, written: dict[str, Any], net: Fraction, code: str) -> str:
        key = str(8101 + len(self.rows))
        self.rows[key] = {**written, "orderRowSequence": str(len(self.rows))}
        self.nets.append(net)
        self.rates.append(RATES[code])
        return key

    def total(self) -> Fraction:
        """With gross prices the total is what was charged, and net is the rest without tax, which is in cents by row."""
        pairs = list(zip(self.nets, self.rates, strict=True))
        if not self.is_gross:
            return rounded(sum(self.nets, Fraction(0)), 2)
        gross = sum((net * (1 + Fraction(rate, 100)) for net, rate in pairs), Fraction(0))
        return rounded(gross, 2) - sum(rounded(net * rate / 100, 2) for net, rate in pairs)

    def net(self, charged: Fraction, code: str) -> Fraction:
        return rounded(charged / (1 + Fraction(RATES[code], 100)) if self.is_gross else charged, 4)

    def amount(self, least: int, most: int) -> Fraction:
        return CENT * self.rng.randint(least, most)

    def quantity(self) -> int:
        return self.rng.randint(1, self.rng.choice((3, 12, 12, 300, 20_000)))

    def code(self) -> str:
        return self.rng.choice(list(RATES))


def baskets() -> Iterator[Basket]:
    for number in range(BASKETS):
        yield Writer(random.Random(number)).write()


def lines(made: dict[str, Any], name: str, value: str) -> dict[str, Fraction]:
    return {line["@key"]: Fraction(line[value]) for line in made.get(name, [])}


def check_adds_up(basket: Basket, made: dict[str, Any], policy: str) -> None:
    """The lines are those of the policy, and their sum is the net total."""
    charges = lines(made, "MiscChargeLine", "MiscChargeValue")
    moved = charges.pop("rounding", Fraction(0))
    prices = lines(made, "StockLine", "Price")
    assert prices == basket.prices(policy)
    assert charges == {key: rounded(net, 2) for key, net in basket.charges.items()}
    assert lines(made, "FreightLine", "FreightValue") == {key: rounded(net, 2) for key, net in basket.freight.items()}
    goods = sum(rounded(Fraction(line["Price"]) * Fraction(line["OrderQty"]), 2) for line in made["StockLine"])
    freight = sum(lines(made, "FreightLine", "FreightValue").values())
    assert goods + sum(charges.values()) + freight + moved == basket.total
    assert abs(moved) <= basket.allowed
    untaxed = [line for line in made.get("MiscChargeLine", []) if line.get("MiscNotTaxable") == "Y"]
    assert [line["@key"] for line in untaxed] == (["rounding"] if moved else [])
    assert all("MiscTaxCode" not in line for line in untaxed)


def check_refused(basket: Basket, error: Rejected, policy: str) -> None:
    """An order is refused only if rounding moves more than the tolerance, with both figures."""
    moved = basket.moved(policy)
    assert abs(moved) > basket.allowed
    assert error.field == "totalValue.net"
    assert error.value == f"{digits(basket.total - moved, 2)}; expected {digits(basket.total, 2)}"
    assert "rounding: unit, choose line or total" in error.remedy


@pytest.mark.parametrize("policy", POLICIES)
def test_the_lines_add_up_to_the_net_total_or_the_order_is_refused(policy: str) -> None:
    refused = 0
    for basket in baskets():
        try:
            made = mapped(basket.doc, settings={"rounding": policy}, lookups=TABLES)
        except Rejected as error:
            refused += 1
            check_refused(basket, error, policy)
        else:
            check_adds_up(basket, made, policy)
    assert (refused > 0) == (policy == "unit"), refused
    assert refused < BASKETS * 0.8

"""What the tax of an order or of an invoice comes to.

SYSPRO computes it by itself, from codes and dated rates: on the total of each code, or line by line (Tax Options, Sales tax
calculation). Assumed: half a penny is rounded up; the rate is that of the invoice's date, for an order that of today; order
discounts are taken off merchandise before tax, not off freight and charges; amounts are in the customer's currency.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, text_of
from syncengine.sandbox.syspro.tax import codes
from syncengine.sandbox.syspro.xmlout import rounded

ZERO, HUNDRED = Decimal(0), Decimal(100)
MERCHANDISE, COMMENT = ("1", "7"), "6"
NOT_TAXED = "-"


@dataclass(frozen=True, slots=True)
class LineTax:
    """A line's part: `status` is N taxable, O by the other code, E exempt, - without tax; `tax` is rounded line by line."""

    line: Row
    net: Decimal
    code: str
    status: str
    percent: Decimal

    @property
    def tax(self) -> Decimal:
        return rounded(self.net * self.percent / HUNDRED, 2)


@dataclass(slots=True)
class CodeTotal:
    """Net and tax of one code under one status: exempt and zero-rated stay apart, as on a VAT return."""

    code: str
    status: str
    percent: Decimal
    net: Decimal = ZERO
    tax: Decimal = ZERO


@dataclass(slots=True)
class Figures:
    """Net, tax and what they consist of."""

    lines: list[LineTax] = field(default_factory=list)
    totals: list[CodeTotal] = field(default_factory=list)

    @property
    def net(self) -> Decimal:
        """The sum without tax."""
        return sum((total.net for total in self.totals), ZERO)

    @property
    def tax(self) -> Decimal:
        """The sum of all codes' tax."""
        return sum((total.tax for total in self.totals), ZERO)


def calculate(company: Company, order: Row, shares: Iterable[tuple[Row, Decimal]], on: date) -> Figures:
    """The figures of some lines of an order, each with the share of its ordered quantity (1: all of it), on a day."""
    lines = [
        _line(company, order, line, net_of(order, line, share), on)
        for line, share in shares
        if line["LineType"] != COMMENT
    ]
    totals: dict[tuple[str, str, Decimal], CodeTotal] = {}
    for line in lines:
        key = (line.code, line.status, line.percent)
        total = totals.setdefault(key, CodeTotal(*key))
        total.net += line.net
        total.tax += line.tax
    if company.switches.text("syspro_tax_calculation") == "I":
        for total in totals.values():
            total.tax = rounded(total.net * total.percent / HUNDRED, 2)
    return Figures(lines, list(totals.values()))


def net_of(order: Row, line: Row, share: Decimal) -> Decimal:
    """A share of a line without tax, less the order's discounts if it is merchandise."""
    value = booking.line_value(line, share)
    if line["LineType"] not in MERCHANDISE:
        return value
    for percent in ("DiscPct1", "DiscPct2", "DiscPct3"):
        value *= 1 - amount_of(order, percent) / HUNDRED
    return rounded(value, 2)


def _line(company: Company, order: Row, line: Row, net: Decimal, on: date) -> LineTax:
    is_stocked = line["LineType"] == "1"
    code = text_of(line, "MTaxCode" if line["LineType"] in MERCHANDISE else "NMscTaxCode")
    status = text_of(order, "TaxStatus") or codes.TAXABLE
    if status == codes.EXEMPT:
        return LineTax(line, net, code, status, ZERO)
    if line.get("_NotTaxable") == "Y":
        return LineTax(line, net, code, NOT_TAXED, ZERO)
    if is_stocked and codes.system(company) in codes.BY_ADDRESS and not code:
        return LineTax(line, net, code, status, codes.percent_at(text_of(order, "ShipPostalCode")))
    if not code:
        return LineTax(line, net, code, NOT_TAXED, ZERO)
    return LineTax(line, net, code, status, company.tax_rates.percent(code, on))

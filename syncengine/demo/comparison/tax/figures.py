"""What was charged, what was booked, and what lies between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Document = Literal["order", "invoice", "invoices"]
Kind = Literal["goods", "freight", "charge"]
#: The treatment of a line that is booked without regard to its code, because its order is exempt.
EXEMPT = "exempt"
#: The treatment of a line without any tax code.
UNTAXED = "untaxed"


@dataclass(frozen=True, slots=True)
class Part:
    """A line: `net` and `tax` are for the whole quantity, `tax` of a booked line is 0.

    `codes` are SYSPRO's tax codes, or `exempt` or `untaxed`: the one that a line is booked under, those that are right for a
    row that was charged, the usual one first.
    """

    kind: Kind
    key: str
    quantity: Decimal
    net: Decimal
    codes: tuple[str, ...]
    tax: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """Net, tax, and net by tax code."""

    net: Decimal
    tax: Decimal
    codes: dict[str, Decimal] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        """Net and tax."""
        return self.net + self.tax

    def __str__(self) -> str:
        codes = ", ".join(f"{code} {net:.2f}" for code, net in sorted(self.codes.items()))
        return f"net {self.net:.2f}, tax {self.tax:.2f}, total {self.total:.2f} ({codes})"


@dataclass(frozen=True, slots=True)
class Charged:
    """An order as the shop charged it; `net` and `tax` are the shop's own totals."""

    po: str
    net: Decimal
    tax: Decimal
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Booked:
    """An order or an invoice as SYSPRO has it. `complete`: the order has been invoiced to its end."""

    document: Literal["order", "invoice"]
    po: str
    number: str
    net: Decimal
    tax: Decimal
    parts: Sequence[Part]
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What rounding may move: an amount, more for each row and for each piece (a price has five places)."""

    amount: Decimal = Decimal("0.01")
    per_row: Decimal = Decimal("0.005")
    per_piece: Decimal = Decimal("0.000005")

    def of(self, parts: Sequence[Part]) -> Decimal:
        """The largest difference of net or of tax, in a document of these lines, that rounding explains."""
        pieces = sum((abs(part.quantity) for part in parts if part.kind == "goods"), Decimal(0))
        return self.amount + self.per_row * len(parts) + self.per_piece * pieces

    def of_total(self, parts: Sequence[Part]) -> Decimal:
        """The same of the total: the net and the tax of a row are both rounded."""
        return self.of(parts) + self.per_row * len(parts)


@dataclass(frozen=True, slots=True)
class Difference:
    """A document that differs in `fields`: net, codes, tax, total; or `missing` in SYSPRO, or `unexpected` there."""

    document: Document
    po: str
    number: str
    fields: tuple[str, ...]
    charged: Figures | None
    booked: Figures | None

    def __str__(self) -> str:
        where = f"{self.document} {self.number} of {self.po}" if self.number else f"{self.document} of {self.po}"
        charged, booked = self.charged or "nothing", self.booked or "nothing"
        return f"{where} ({', '.join(self.fields)}): charged {charged}; booked {booked}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What people are shown about an order: it is held, or needs their attention. `text` is what they read."""

    po: str
    kind: Literal["held", "attention"]
    text: str = ""

"""SORTOI: the options of a call, and an order of its document, from reading to booking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro.sortoi import fields
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row
from syncengine.sandbox.syspro.texts import EnetError, Problem
from syncengine.sandbox.syspro.xmlin import Section, parameters


@dataclass(frozen=True, slots=True)
class Options:
    """XmlParameters with their defaults filled in; flags are letters as SYSPRO has them."""

    values: dict[str, str]
    blank_allocation: str

    @classmethod
    def of(cls, company: Company, params: Element | None) -> Options:
        """Read the parameters; unknown ones are dropped.

        Raises:
            EnetError: a value that the parameter does not allow (an AllocationAction of S or R, for example).
        """
        values = parameters(params, fields.PARAMETERS, fields.CODES)
        for name, allowed in fields.ALLOWED.items():
            if values[name] not in allowed:
                raise EnetError(f"Value '{values[name]}' is invalid for XML element '{name}'")
        return cls(values, company.switches.text("syspro_blank_allocation"))

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def on(self, name: str) -> bool:
        """Whether a flag is Y."""
        return self.values[name] == "Y"

    @property
    def allocation(self) -> str:
        """F, B or A for lines without their own."""
        return self.values["AllocationAction"] or self.blank_allocation


@dataclass(slots=True)
class Line:
    """One line of the document, checked. `row` holds the values to book; `existing` the line that C and D refer to."""

    section: Section
    kind: str  # StockLine, CommentLine, MiscChargeLine or FreightLine
    action: str  # A, C or D
    allocation: str = "F"
    existing: Row | None = None
    row: Row = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """One order of the document: read, checked, and perhaps booked.

    Attributes:
        order: the sales order to change or cancel; after booking, the new one.
        warnings: section and text; each rejects the order where IgnoreWarnings is N.
        number: the sales order number as shown, once accepted.
    """

    element: Element
    header: Section
    action: str
    po_number: str = ""
    customer: Row | None = None
    order: Row | None = None
    lines: list[Line] = field(default_factory=list)
    warnings: list[tuple[Section, str]] = field(default_factory=list)
    status: str = "1"
    has_back_orders: bool = False
    refused_by_warnings: bool = False
    number: str = ""
    taken: dict[tuple[str, str], Decimal] = field(default_factory=dict)  # stock already used by earlier lines

    def sections(self) -> Iterator[Section]:
        """The header and all lines."""
        yield self.header
        yield from (line.section for line in self.lines)

    def problems(self) -> list[Problem]:
        """Why it is refused; empty if it is not."""
        return [problem for section in self.sections() for problem in section.problems]

    @property
    def accepted(self) -> bool:
        """Whether it was, or would be, accepted."""
        return not self.refused_by_warnings and not any(section.problems for section in self.sections())

"""Replies as SYSPRO writes them (syspro-transport.md sections 2.3 and 6).

The first line is the declaration, each element has a line of its own without indentation, root attributes are in single
quotes, an empty element is `<X/>`, numbers are right-aligned with blanks, and a newline and a blank end the document.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from xml.sax.saxutils import escape

from syncengine.sandbox.syspro.tables import Column, Value

DECLARATION = '<?xml version="1.0" encoding="Windows-1252"?>\n'
END = "\n "
VERSIONS = {"6.1": "6.1.000", "7": "7.0.073", "8": "8.0.004"}


@dataclass(frozen=True, slots=True)
class Node:
    """One element: text, or children. `open_when_empty` writes `<X></X>`, as some objects do."""

    name: str
    content: str | list[Node] = ""
    open_when_empty: bool = False

    def lines(self) -> Iterable[str]:
        """The element's text, line by line."""
        if isinstance(self.content, list):
            if not self.content:
                yield f"<{self.name}/>"
                return
            yield f"<{self.name}>"
            for child in self.content:
                yield from child.lines()
            yield f"</{self.name}>"
        elif self.content or self.open_when_empty:
            yield f"<{self.name}>{escape(self.content)}</{self.name}>"
        else:
            yield f"<{self.name}/>"


@dataclass(frozen=True, slots=True)
class Style:
    """How one session's replies look.

    Attributes:
        version: 6.1, 7 or 8.
        padded: whether numbers are padded as recorded.
        system_information: requested by the logon: an element instead of root attributes (section 5.1).
    """

    version: str = "8"
    padded: bool = True
    system_information: bool = False
    company: str = "T"
    currency: str = "GBP"

    def number(self, value: Decimal, width: int, places: int) -> str:
        """A number with this many decimals, right aligned in `width` characters."""
        written = f"{rounded(value, places):.{places}f}"
        return written.rjust(width) if self.padded else written

    def count(self, value: int, digits: int = 6) -> str:
        """A counter: zero-padded, as transactions write them."""
        return str(value).zfill(digits) if self.padded else str(value)

    def cell(self, value: Value, column: Column) -> str:
        """A table's value as COMFND shows it; a blank date is empty."""
        if isinstance(value, Decimal):
            return self.number(value, column.width, column.places)
        if column.kind == "rowversion":
            return f"{value:016X}" if isinstance(value, int) else ""
        if isinstance(value, int):
            return self.number(Decimal(value), column.width, 0)
        return plain(value)

    def edited(self, value: Decimal) -> str:
        """A number for people: three decimals and thousands commas."""
        return f"{rounded(value, 3):,.3f}"

    def document(self, root: str, children: list[Node], *, more_attributes: str = "", bare_root: bool = False) -> str:
        """The whole reply.

        Args:
            more_attributes: follow the usual ones (SORQRY declares namespaces there).
            bare_root: the root has no attributes but a SystemInformation element, as ARSQRY's has.
        """
        attributes = f" {self._attributes()}{more_attributes}"
        if self.system_information or bare_root:
            attributes = ""
            children = [self._system_information(), *children]
        inner = "".join(f"{line}\n" for child in children for line in child.lines())
        return f"{DECLARATION}<{root}{attributes}>\n{inner}</{root}>{END}"

    def _attributes(self) -> str:
        return (
            "Language='05' Language2='EN' CssStyle='' DecFormat='1' DateFormat='01' Role='01' "
            f"Version='{VERSIONS.get(self.version, self.version)}' OperatorPrimaryRole='   '"
        )

    def _system_information(self) -> Node:
        values = {
            "Language": "05",
            "DecFormat": "1",
            "DateFormat": "01",
            "Version": VERSIONS.get(self.version, self.version),
            "CompanyId": self.company,
            "LocalCurrency": self.currency,
        }
        return Node("SystemInformation", [Node(name, value) for name, value in values.items()])


@dataclass(slots=True)
class Writer:
    """Collects the children of one element."""

    style: Style
    nodes: list[Node] = field(default_factory=list)

    def put(self, name: str, value: Value = "") -> None:
        """A text, date or plain number."""
        self.nodes.append(Node(name, plain(value)))

    def number(self, name: str, value: Decimal | int, width: int, places: int) -> None:
        """A padded number."""
        self.nodes.append(Node(name, self.style.number(Decimal(value), width, places)))

    def quantity(self, name: str, value: Decimal, width: int = 19, *, twin: bool = False) -> None:
        """A quantity of six decimals, with its `Edited_` twin if the object has one."""
        self.number(name, value, width, 6)
        if twin:
            self.put(f"Edited_{name}", self.style.edited(value))

    def group(self, name: str, children: list[Node]) -> None:
        """An element with children."""
        self.nodes.append(Node(name, children))


def plain(value: Value) -> str:
    """A value without padding; dates as CCYY-MM-DD, blank for none."""
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)


def rounded(value: Decimal, places: int) -> Decimal:
    """Round half up."""
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def counters(style: Style, **counts: int) -> Node:
    """StatusOfItems with zero-padded counters, in the order given."""
    return Node("StatusOfItems", [Node(name, style.count(value)) for name, value in counts.items()])


def setup_counters(read: int, invalid: int) -> Node:
    """StatusOfItems of a Setup reply: unpadded."""
    return Node("StatusOfItems", [Node("RecordsRead", str(read)), Node("RecordsInvalid", str(invalid))])

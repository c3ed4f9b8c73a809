"""One item of a document that moves stock, read and checked. Sources: syspro-objects.md sections 5, 11 and 12.

Assumed: the texts of refusals that have no number; that a warehouse without NegStockAllow refuses what is not there, and one
with it warns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.inventory.movements import allows_negative, is_short
from syncengine.sandbox.syspro.items import ItemOptions
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, Value, integer_of, text_of
from syncengine.sandbox.syspro.texts import Problem, problem
from syncengine.sandbox.syspro.xmlin import Field, Section, choice, num, parameters, read, txt

ZERO = Decimal(0)

COMMON: Mapping[str, Field] = {
    "StockCode": txt(30),
    "Quantity": num(12, 6),
    "UnitOfMeasure": txt(10, 3),
    "Lot": txt(50, 10),
    "Reference": txt(30),
    "Notation": txt(100),
    "LedgerCode": txt(35, 15),
}
WAREHOUSE = txt(10, 2)
COST = num(10, 5)
YES_NO = choice("YN")

_PERIODS = {"C": 0, "P": 1, "B": 2}


@dataclass(slots=True)
class Posting:
    """One call: its parameters, what is wrong with them, and the journal that its first entry opens."""

    company: Company
    options: ItemOptions
    on: date
    period: tuple[int, int]
    values: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    journal: int = 0
    entries: int = 0
    warehouse: str = ""

    @classmethod
    def of(cls, company: Company, params: Element | None, **more: str) -> Posting:
        """Read the parameters; `more` are those of the object alone, with their defaults."""
        options = ItemOptions.of(params, apply="Y", validate="N")
        values = parameters(params, {"TransactionDate": "", "PostingPeriod": "C", **more})
        today, problems = company.today(), []
        given, on = values["TransactionDate"], today
        try:
            on = date.fromisoformat(given) if given else today
        except ValueError:
            problems.append(problem("100028", "TransactionDate", given, given, "TransactionDate"))
        if on > today:
            problems.append(problem("future", "TransactionDate", given, given))
        back = _PERIODS.get(values["PostingPeriod"])
        if back is None or (back and values.get("PhysicalCount") == "Y"):
            problems.append(problem("period", "PostingPeriod", values["PostingPeriod"], values["PostingPeriod"]))
        return cls(company, options, on, _period(today, back or 0), values, problems)

    def entry(self, warehouse: str) -> dict[str, Value]:
        """The columns of the journal for a movement that is posted now; the first entry's warehouse is the journal's."""
        if not self.journal:
            self.journal, self.warehouse = self.company.next_number("journal"), warehouse
        self.entries += 1
        return {"Journal": self.journal, "JournalEntry": self.entries}


def _period(today: date, back: int) -> tuple[int, int]:
    day = today
    for _ in range(back):
        day = day.replace(day=1) - timedelta(days=1)
    return day.year, day.month


@dataclass(slots=True)
class Entry:
    """One item. quantity: in stocking units; 0 where it is refused."""

    section: Section
    stock: Row | None
    quantity: Decimal = ZERO

    @property
    def code(self) -> str:
        """The stock code as it is stored."""
        return text_of(self.stock, "StockCode") if self.stock is not None else ""

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with it, so far."""
        return self.section.problems


def entry_of(posting: Posting, item: Element, more: Mapping[str, Field]) -> Entry:
    """Read and check what all objects have; `more` are the elements of this one."""
    section = read(item, {**COMMON, **more}, posting.company.reading())
    section.problems.extend(posting.problems)
    code = section.text("StockCode")
    stock = posting.company.table("InvMaster").get(code)
    entry = Entry(section, stock)
    if not code:
        section.refuse("100030", "StockCode", "{Item}{StockCode}")
    elif stock is None:
        section.refuse("240004", "StockCode", code)
    else:
        _check_item(entry, stock, item)
        entry.quantity = _quantity(section, stock)
    return entry


def check_place(posting: Posting, entry: Entry, element: str, *, may_lack: bool = False) -> str:
    """The warehouse that an element names, checked. may_lack: the stock code need not be stocked in it."""
    company, section = posting.company, entry.section
    warehouse = section.text(element)
    if not warehouse:
        section.refuse("100030", element, f"{{Item}}{{{element}}}")
    elif warehouse in company.listed("syspro_denied_warehouses"):
        section.refuse("240096", element, warehouse)
    elif company.table("InvWhControl").get(warehouse) is None:
        section.refuse("not_found", element, "Warehouse", warehouse)
    elif entry.stock is not None and not may_lack and company.table("InvWarehouse").get(entry.code, warehouse) is None:
        section.refuse("240008", element, entry.code, warehouse)
    return warehouse


def check_enough(posting: Posting, entry: Entry, warehouse: str, quantity: Decimal) -> None:
    """Refuse an issue of more than is on hand: always, or with IgnoreWarnings N where the warehouse may be negative."""
    if entry.problems or not is_short(posting.company, entry.code, warehouse, quantity):
        return
    is_warning = allows_negative(posting.company, warehouse)
    if not is_warning or posting.options.ignore_warnings == "N":
        entry.section.refuse("not_enough", "Quantity", quantity, entry.code, warehouse)


def check_positive(entry: Entry) -> None:
    """Refuse a quantity of 0 or less."""
    if entry.stock is not None and not entry.problems and entry.quantity <= 0:
        given = entry.section.amount("Quantity")
        entry.section.refuse("negative", "Quantity", given if given is not None else "")


def _check_item(entry: Entry, stock: Row, item: Element) -> None:
    section, code = entry.section, entry.code
    if stock["StockOnHold"] == "F":
        section.refuse("stock_on_hold", "StockCode", code)
    if stock["TraceableType"] in ("T", "I") and not section.text("Lot"):
        section.refuse("lot", "Lot", code)
    has_serials = item.find("Serials") is not None or item.find("SerialAllocation") is not None
    if stock["SerialMethod"] in ("M", "B") and not has_serials:
        section.refuse("serials", "Serials", code)


def _quantity(section: Section, stock: Row) -> Decimal:
    quantity, unit = section.amount("Quantity"), section.text("UnitOfMeasure")
    if quantity is None:
        if not section.problems:
            section.refuse("100030", "Quantity", "{Item}{Quantity}")
        return ZERO
    units = booking.stocking_units(stock, unit or text_of(stock, "StockUom"))
    if units is None:
        section.refuse("uom", "UnitOfMeasure", unit, stock["StockCode"])
        return ZERO
    exact, places = quantity * units, integer_of(stock, "Decimals")
    if exact != round(exact, places):
        section.refuse("decimals", "Quantity", quantity, places, stock["StockCode"])
    return exact

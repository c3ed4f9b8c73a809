"""What SYSPRO has of each stock code, by warehouse, and which order lines have allocated it. Read only.

COMFND on InvWarehouse reads many codes at once, where INVQRY would take a call for each. Facts: syspro-objects.md sections 4.2
and 10. DateLastStockMove has no time, a back-dated entry may leave an old one, and allocations change without it: the feed
`moved` misses those, so `pages` reads all.

Allocations are read before InvWarehouse. An order that is entered in between is then in QtyAllocated alone, so that what is
free errs low.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import ClassVar

from marshmallow import fields

from syncengine import clock
from syncengine.connectors.base import NameKind, Page, Position, Ref
from syncengine.connectors.declared import DeclaredSetting, flag, whole_number
from syncengine.connectors.declared import number as number_setting
from syncengine.connectors.syspro.documents import Filler
from syncengine.connectors.syspro.elements import DATE, Section, code, number, text
from syncengine.connectors.syspro.find import Condition, groups_after, uncut_rows_where
from syncengine.connectors.syspro.gateways import Gateway
from syncengine.connectors.syspro.order_options import OrderOptions
from syncengine.connectors.syspro.resources.sales_order import SalesOrder
from syncengine.connectors.syspro.resources.source import SysproSource
from syncengine.connectors.syspro.schemas import schema_of
from syncengine.connectors.syspro.settings import Settings, SettingsReader
from syncengine.connectors.syspro.stock_allocations import AllocationReader, Allocations
from syncengine.connectors.syspro.values import day_of
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import LINE_NUMBER, Doc, fingerprint

_QUANTITY = number(12, 6)
_QUANTITIES = (
    "QtyOnHand", "QtyAllocated", "QtyAllocatedWip", "QtyOnBackOrder", "QtyInTransit", "QtyInInspection", "QtyDispatched",
)  # fmt: skip
WAREHOUSE: Section = {
    "Warehouse": code(10),
    **dict.fromkeys(_QUANTITIES, _QUANTITY),
    "UnitCost": number(10, 5),
    "DateLastStockMove": DATE,
}
"""Columns of InvWarehouse (syspro-objects.md section 10)."""
ALLOCATION: Section = {
    "SalesOrder": code(20),
    "SalesOrderLine": code(4),
    "CustomerPoNumber": text(30),
    "Warehouse": code(10),
    "Quantity": _QUANTITY,
}
_KEY = ("StockCode", "Warehouse")
_MOVED = "DateLastStockMove"
_EVER = date(1900, 1, 1)


@dataclass(frozen=True, slots=True)
class StockOptions:
    """How levels are read. days_back: how late a movement may be dated back and still be in the feed.

    per_page: rows that one call returns. fresh_s: seconds for which a pass may use allocations that it has read. near_zero:
    what is free of an item at which it is urgent. names_orders: whether the CustomerPoNumber of allocating orders is read.
    """

    days_back: int
    per_page: int
    fresh_s: float
    near_zero: Decimal
    names_orders: bool


class StockLevel(SysproSource):
    """The key is the stock code. A code that is stocked nowhere has no `Warehouse`; one that SYSPRO does not have is absent."""

    name = "syspro.stock_level"
    schema = schema_of(
        "StockLevel",
        {"StockCode": code(30)},
        Warehouse=fields.List(fields.Nested(schema_of("StockLevelWarehouse", WAREHOUSE))),
        Allocation=fields.List(fields.Nested(schema_of("StockAllocation", ALLOCATION))),
    )
    searchable = {"StockCode": NameKind.SKU}
    feeds: ClassVar[tuple[str, ...]] = ("moved",)
    has_pages = True
    events: ClassVar[tuple[str, ...]] = ("stock_level",)
    table = "InvWarehouse"
    key_field = "StockCode"
    numeric_keys = {"StockCode": "numeric_stock_keys"}
    settings: ClassVar[tuple[DeclaredSetting, ...]] = (
        whole_number(
            "stock_days_back", 3, "days by which a stock movement may be dated back and still be seen by each poll"
        ),
        whole_number("stock_rows_per_page", 500, "rows of stock that one COMFND returns", least=2),
        number_setting(
            "stock_allocations_fresh_s", 60.0, "how long a pass over all stock may use the allocations it has read"
        ),
        number_setting("stock_near_zero", 5.0, "what is free of an item at which its changes overtake those of others"),
        flag("stock_order_references", True, "read the CustomerPoNumber of orders that have allocated stock"),
    )
    required_fields = ("StockCode",)
    field_notes: ClassVar[Mapping[str, str]] = {
        "Warehouse": "the rows of InvWarehouse by warehouse; none: stocked nowhere",
        "Warehouse.QtyAllocated": "by sales orders; Allocation shows which, as it was just before",
        "Warehouse.QtyAllocatedWip": "by jobs",
        "Warehouse.QtyDispatched": "dispatched and not invoiced; sites differ in whether QtyOnHand has it",
        "Warehouse.DateLastStockMove": "without a time; allocations do not change it",
        "Allocation": "lines of open sales orders with a ship quantity, by order and line",
        "Allocation.CustomerPoNumber": "empty unless stock_order_references",
        "Allocation.Quantity": "ship quantity in stocking units",
    }

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(gateway, settings)
        self._stock: StockOptions = settings.options[self.name]
        self._orders: OrderOptions = settings.options[SalesOrder.name]
        self._kept_allocations: tuple[str, Allocations | None] = ("", None)

    @classmethod
    def options(cls, given: SettingsReader) -> StockOptions:
        """The settings whose names begin with `stock_`."""
        return StockOptions(
            given.whole_number("stock_days_back"),
            given.whole_number("stock_rows_per_page"),
            given.number("stock_allocations_fresh_s"),
            Decimal(str(given.number("stock_near_zero"))),
            given.flag("stock_order_references"),
        )

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Levels by stock code. Calls: a COMFND on SorDetail for `find_at_once` codes, one on SorMaster for as many orders that
        have allocated some, one on InvWarehouse, and one on InvMaster if a code has no row."""
        filler = Filler(self._settings)
        stored = {key: filler.key(self.key_field, key.strip()) for key in keys}
        codes = list(dict.fromkeys(stored.values()))
        allocations = self._allocation_reader().of(codes)
        levels = self._documents(self._rows("InvWarehouse", codes, self._columns()), allocations)
        without = [own for own in codes if own not in levels]
        known = self._rows("InvMaster", without, ["StockCode"]) if without else []
        levels |= {self.key_of(row): _level(self.key_of(row), [], []) for row in known}
        return {key: levels[own] for key, own in stored.items() if own in levels}

    def version(self, doc: Doc) -> str:
        """The day of the last movement, and a hash of the rows of that day; empty if nothing was ever moved."""
        return _version(doc["Warehouse"])

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        """Codes by the day of their last movement: each poll reads those of the last days, a COMFND for each page of rows.

        Codes that were never moved are not in it.
        """
        if feed not in self.feeds:
            raise LookupError(f"{self.name} has no feed {feed!r}")
        read_to = day_of(str(position["on"])) if position else None
        start = read_to or (since.date() if since is not None else _EVER)
        is_midway = "after" in position
        if read_to and not is_midway:
            start -= timedelta(days=self._stock.days_back)
        latest, after = day_of(str(position.get("latest", ""))) or start, str(position.get("after", ""))
        while True:
            now = clock.now()
            rows, more = self._page(after, [Condition(_MOVED, "GE", start.isoformat())])
            found = _by_code(rows, self.key_of)
            days = [day for row in rows if (day := day_of(text_of(row, _MOVED))) is not None]
            latest = min(max([latest, *days]), max(now.date(), start))  # a wrong year must not stop the feed
            refs = [Ref(key, _version(mine), urgency=self._urgency(mine)) for key, mine in found.items()]
            if not more:
                yield Page(refs, {"on": latest.isoformat()}, now)
                return
            after = text_of(rows[-1], self.key_field)
            yield Page(refs, {"on": start.isoformat(), "latest": latest.isoformat(), "after": after}, now)

    def pages(self, position: Position) -> Iterator[Page]:
        """All codes that are stocked anywhere, behind `position` (`{}`: from the first), in SYSPRO's order, with documents.

        A page has all warehouses of its codes. The version of a ref is the fingerprint of its document. Calls: a COMFND on
        InvWarehouse for each page, one on SorDetail for a page of allocating lines, again when they are too old, and one on
        SorMaster for `find_at_once` orders.
        """
        after = str(position.get("after", ""))
        while True:
            allocations = self._allocations_after(after)
            until = [Condition(self.key_field, "LE", allocations.until)] if allocations.until else []
            now = clock.now()
            rows, more = self._page(after, until)
            levels = self._documents(rows, allocations)
            after = text_of(rows[-1], self.key_field) if more else allocations.until
            if levels:
                last = {"after": text_of(rows[-1], self.key_field)}
                refs = [Ref(key, fingerprint(level)) for key, level in levels.items()]
                yield Page(refs, last, now, levels)
            if not more and not allocations.until:
                return

    def _urgency(self, rows: Sequence[Doc]) -> int:
        """2 for an item of which a warehouse has nothing free, 1 if it is near that. An unreadable quantity is urgent."""
        free = min(map(_free, rows))
        return 2 if free <= 0 else int(free <= self._stock.near_zero)

    def _allocations_after(self, after: str) -> Allocations:
        """Allocations that cover the next codes: those that this pass has read last, while they are young and reach further."""
        begin, kept = self._kept_allocations
        is_young = kept is not None and (clock.now() - kept.read_at).total_seconds() <= self._stock.fresh_s
        reaches = kept is not None and bool(after) and begin <= after and (not kept.until or after < kept.until)
        if kept is None or not is_young or not reaches:
            begin, kept = after, self._allocation_reader().after(after)
            self._kept_allocations = begin, kept
        return kept

    def _page(self, after: str, conditions: Sequence[Condition]) -> tuple[list[Doc], bool]:
        behind = [Condition(self.key_field, "GT", after)] if after else []
        return groups_after(
            self._gateway, self.table, self.key_field, [*behind, *conditions], self._columns(),
            then_by="Warehouse", most=self._stock.per_page,
        )  # fmt: skip

    def _columns(self) -> list[str]:
        names = dict.fromkeys((*_KEY, *WAREHOUSE))
        return [name for name in names if name in _KEY or self._settings.asks_for(self.table, name)]

    def _rows(self, table: str, codes: Sequence[str], columns: Sequence[str]) -> list[Doc]:
        return uncut_rows_where(
            self._gateway, table, self.key_field, codes, columns, at_once=self._settings.find_at_once
        )

    def _documents(self, rows: Sequence[Doc], allocations: Allocations) -> dict[str, Doc]:
        found = _by_code(rows, self.key_of)
        return {key: _level(key, mine, allocations.lines.get(key, [])) for key, mine in found.items()}

    def _allocation_reader(self) -> AllocationReader:
        return AllocationReader(
            self._gateway,
            self._settings,
            self._stock.per_page,
            self._orders.has_numeric_keys,
            self._stock.names_orders,
        )


def _by_code(rows: Sequence[Doc], key_of: Callable[[Doc], str]) -> dict[str, list[Doc]]:
    found: dict[str, list[Doc]] = defaultdict(list)
    for row in rows:
        found[key_of(row)].append(row)
    return dict(found)


def _free(row: Doc) -> Decimal:
    try:
        on_hand, allocated = (Decimal(text_of(row, name) or "0") for name in ("QtyOnHand", "QtyAllocated"))
    except InvalidOperation:
        return Decimal(0)
    return on_hand - allocated


def _level(key: str, rows: Sequence[Doc], allocations: list[Doc]) -> Doc:
    warehouses = [
        {LINE_NUMBER: text_of(row, "Warehouse"), **{name: text_of(row, name) for name in WAREHOUSE if name in row}}
        for row in rows
    ]
    return {
        "StockCode": key,
        "Warehouse": sorted(warehouses, key=lambda row: row[LINE_NUMBER]),
        "Allocation": allocations,
    }


def _version(rows: Sequence[Doc]) -> str:
    """Both `moved`, which reads the rows of the last days alone, and a whole document have all rows of the last day."""
    days = [day for row in rows if (day := day_of(text_of(row, _MOVED))) is not None]
    if not days:
        return ""
    last = max(days)
    of_the_day = sorted(
        [text_of(row, name) for name in ("Warehouse", *_QUANTITIES)]
        for row in rows
        if day_of(text_of(row, _MOVED)) == last
    )
    return f"{last.isoformat()}/{fingerprint(of_the_day)[:16]}"

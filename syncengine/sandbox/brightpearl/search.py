"""Resource search: positional rows, filters by data type, sorting, paging (section 7).

Speed: an index keeps one tuple of raw values for each object and, per sort order asked for, the sorted tuples until the
next change; a search is then one pass over tuples.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from syncengine.sandbox.brightpearl.errors import ApiError, bad_filter
from syncengine.sandbox.brightpearl.responses import read_moment
from syncengine.sandbox.id_sets import spans
from syncengine.sandbox.switches import Switches

MOST_ROWS = 500
#: `lastResult` is sent by a client that runs against live accounts; that it has no effect is assumed.
_PARAMETERS = frozenset({"columns", "sort", "pageSize", "firstResult", "lastResult", "countOnly"})
_WORDS = {"true": True, "false": False}
Values = tuple[Any, ...]
Test = Callable[[Values], bool]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a search. `reference` names the block of the answer that explains its values."""

    name: str
    data_type: str
    reference: str = ""
    sortable: bool = True
    filterable: bool = True

    def described(self) -> dict[str, object]:
        """The column as `metaData.columns` shows it."""
        return {
            "name": self.name,
            "sortable": self.sortable,
            "filterable": self.filterable,
            "reportDataType": self.data_type,
            "referenceData": [self.reference] if self.reference else [],
            "isFreeTextSearchable": False,
            "required": False,
        }


@dataclass(frozen=True, slots=True)
class Search:
    """The declaration of one search; the first column is the id. `filters` can be asked for but are not shown."""

    columns: tuple[Column, ...]
    filters: tuple[Column, ...] = ()

    @property
    def everything(self) -> tuple[Column, ...]:
        """Columns and hidden filters, in the order of a row's values."""
        return self.columns + self.filters


class Index:
    """The values that a search sees, which may lag behind the objects by `brightpearl_search_delay_s`."""

    def __init__(self, search: Search, switches: Switches, now: Callable[[], datetime]) -> None:
        self.search = search
        self._switches = switches
        self._now = now
        self._rows: dict[int, Values] = {}
        self._later: list[tuple[datetime, int, int, Values | None]] = []
        self._ticket = itertools.count()
        self._sorted: dict[tuple[tuple[int, bool], ...], list[Values]] = {}

    def load(self, rows: Mapping[int, Values]) -> None:
        """Add many objects, visible at once."""
        self._rows.update(rows)
        self._sorted.clear()

    def put(self, key: int, values: Values) -> None:
        """Add or update one object; searches see it after the delay."""
        self._change(key, values)

    def drop(self, key: int) -> None:
        """Remove one object; searches find it until the delay has passed."""
        self._change(key, None)

    def in_order(self, order: tuple[tuple[int, bool], ...]) -> list[Values]:
        """All visible rows by `(position, is descending)`, empty values first when ascending."""
        self._catch_up()
        if order not in self._sorted:
            rows = list(self._rows.values())
            for position, descends in reversed(order):
                rows.sort(key=lambda values: _sort_key(values[position]), reverse=descends)
            if len(self._sorted) > 8:
                self._sorted.clear()
            self._sorted[order] = rows
        return self._sorted[order]

    def _catch_up(self) -> None:
        now = self._now()
        while self._later and self._later[0][0] <= now:
            _, _, key, values = heapq.heappop(self._later)
            self._show(key, values)

    def _change(self, key: int, values: Values | None) -> None:
        delay = self._switches.number("brightpearl_search_delay_s")
        if delay > 0 or self._later:
            due = self._now() + timedelta(seconds=delay)
            heapq.heappush(self._later, (due, next(self._ticket), key, values))
        else:
            self._show(key, values)

    def _show(self, key: int, values: Values | None) -> None:
        if values is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = values
        self._sorted.clear()


@dataclass(frozen=True, slots=True)
class Answer:
    """One page: raw values by column position, to be rendered by the caller."""

    rows: list[Values]
    columns: tuple[Column, ...]
    meta: dict[str, object]


def run(index: Index, arguments: Mapping[str, str], raw_query: str, switches: Switches) -> Answer:
    """Answer one search.

    Raises:
        ApiError: 500 `CMNC-018`: a filter, column, sort or page that cannot be parsed.
    """
    search = index.search
    positions = {column.name: position for position, column in enumerate(search.everything)}
    order, sorting = _sorting(search, positions, arguments.get("sort", ""))
    tests = [
        _test(search.everything[positions[name]], positions[name], value, raw_query, switches)
        for name, value in arguments.items()
        if _is_filter(search, positions, name, value, switches)
    ]
    rows = index.in_order(order)
    for test in tests:
        rows = [values for values in rows if test(values)]
    shown = _chosen(search, positions, arguments.get("columns", ""))
    page = _page(rows, arguments)
    columns = tuple(search.columns[position] for position in shown)
    picked = [tuple(values[position] for position in shown) for values in page.rows]
    meta = {**page.meta, "columns": [column.described() for column in columns], "sorting": sorting}
    return Answer(picked, columns, meta)


def described(search: Search) -> dict[str, object]:
    """`{resource}-search/meta-data`: the columns and the default sorting only."""
    _, sorting = _sorting(search, {}, "")
    return {"columns": [column.described() for column in search.columns], "sorting": sorting}


@dataclass(frozen=True, slots=True)
class _Page:
    rows: Sequence[Values]
    meta: dict[str, object]


def _page(rows: list[Values], arguments: Mapping[str, str]) -> _Page:
    size = min(_whole("pageSize", arguments.get("pageSize", str(MOST_ROWS))), MOST_ROWS)
    first = _whole("firstResult", arguments.get("firstResult", "1"))
    is_count = arguments.get("countOnly", "").lower() == "true"
    page = [] if is_count else rows[first - 1 : first - 1 + size]
    meta: dict[str, object] = {
        "morePagesAvailable": bool(page) and first - 1 + len(page) < len(rows),
        "resultsAvailable": len(rows),
        "resultsReturned": len(page),
    }
    if page:
        meta |= {"firstResult": first, "lastResult": first - 1 + len(page)}
    return _Page(page, meta)


def _whole(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise bad_filter(name, text, "INTEGER")
    return int(text)


def _sorting(
    search: Search, positions: Mapping[str, int], text: str
) -> tuple[tuple[tuple[int, bool], ...], list[dict[str, object]]]:
    order: list[tuple[int, bool]] = []
    shown: list[dict[str, object]] = []
    for part in filter(None, text.split(",")):
        name, _, direction = part.strip().replace("|", ".").partition(".")
        position = positions.get(name, len(search.columns))
        direction = direction.upper() or "ASC"
        if position >= len(search.columns) or not search.columns[position].sortable or direction not in ("ASC", "DESC"):
            raise ApiError(500, ("CMNC-018", f"The sort {part} cannot be parsed"))  # the text is invented
        order.append((position, direction == "DESC"))
        shown.append({"filterable": search.columns[position].described(), "direction": direction})
    if not order:
        return ((0, False),), [{"filterable": search.columns[0].described(), "direction": "ASC"}]
    if order[-1][0] != 0:
        order.append((0, False))  # so that pages are stable; not shown
    return tuple(order), shown


def _chosen(search: Search, positions: Mapping[str, int], text: str) -> list[int]:
    if not text:
        return list(range(len(search.columns)))
    chosen = []
    for name in text.split(","):
        position = positions.get(name.strip(), len(search.columns))
        if position >= len(search.columns):
            raise ApiError(500, ("CMNC-018", f"The column {name} does not exist"))  # the text is invented
        chosen.append(position)
    return chosen


def _is_filter(search: Search, positions: Mapping[str, int], name: str, value: str, switches: Switches) -> bool:
    if name in _PARAMETERS:
        return False
    if name in positions and search.everything[positions[name]].filterable:
        return True
    if switches.text("brightpearl_unknown_filters") == "ignore":
        return False
    raise ApiError(500, ("CMNC-018", f"The filter {name}={value} does not exist"))  # the text is invented


def _test(column: Column, position: int, value: str, raw_query: str, switches: Switches) -> Test:
    match column.data_type:
        case "PERIOD":
            return _period(column, position, value, raw_query, switches)
        case "IDSET" | "INTEGER":
            try:
                found = spans(value.strip())
            except ValueError:
                raise bad_filter(column.name, value, column.data_type) from None
            return _in_spans(position, found)
        case "BOOLEAN":
            if value.lower() not in _WORDS:
                raise bad_filter(column.name, value, column.data_type)
            flag = _WORDS[value.lower()]
            return lambda values: values[position] is flag
        case "SEARCH_STRING":
            part = value.casefold()
            return lambda values: part in (values[position] or "").casefold()
        case "STRING_SET":
            texts = set(value.split(","))
            return lambda values: values[position] in texts
    return lambda values: values[position] == value


def _in_spans(position: int, found: Sequence[tuple[int, int]]) -> Test:
    """Whether a row's number, or one of its numbers, is in one of the inclusive ranges."""
    if all(low == high for low, high in found):
        wanted = {low for low, _ in found}
        return lambda values: any(number in wanted for number in _numbers(values[position]))
    return lambda values: any(low <= number <= high for number in _numbers(values[position]) for low, high in found)


def _numbers(value: Any) -> tuple[int, ...]:
    if isinstance(value, tuple):
        return value
    return () if value is None else (value,)


def _period(column: Column, position: int, value: str, raw_query: str, switches: Switches) -> Test:
    _, named, rest = raw_query.partition(f"{column.name}=")
    encoded = named and "%2f" in rest.partition("&")[0].lower()
    if encoded and not switches.on("brightpearl_period_encoded_slash"):
        raise bad_filter(column.name, value, "PERIOD")
    try:
        low, high = _edges(value.strip(), switches)
    except ValueError:
        raise bad_filter(column.name, value, "PERIOD") from None
    inclusive = switches.text("brightpearl_period_inclusive")
    from_too, to_too = inclusive in ("both", "from"), inclusive in ("both", "to")

    def test(values: Values) -> bool:
        moment = values[position]
        return (
            moment is not None
            and (moment > low or (from_too and moment == low))
            and (moment < high or (to_too and moment == high))
        )

    return test


def _edges(value: str, switches: Switches) -> tuple[datetime, datetime]:
    earliest, latest = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    start, slash, end = value.partition("/")
    if not slash:
        if not switches.on("brightpearl_period_single_date") or len(value) != 10:
            raise ValueError("a period needs a slash")
        day = read_moment(value)
        return day, day + timedelta(days=1) - timedelta(milliseconds=1)
    if not start and (not end or not switches.on("brightpearl_period_open_start")):
        raise ValueError("a period needs a start")
    return read_moment(start) if start else earliest, read_moment(end) if end else latest


def _sort_key(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if not isinstance(value, str) else value.casefold())

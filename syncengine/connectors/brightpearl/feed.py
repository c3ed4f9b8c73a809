"""Reading what changed, by time and id, so that nothing is skipped while the pages are read.

Offset paging over a changing search loses rows: each edit moves a row to the end and all behind it one place up. So a
page begins at the last row's time. What the references leave open (reference/brightpearl.md section 7) is not relied on:

- Whether a period's ends belong to it: a page begins a millisecond before the last row's time, and rows given already
  are dropped. Once a row at the very beginning of a period was seen, its ends are known to belong to it.
- Many rows of one second (Brightpearl's times are whole seconds): where more than a few would be read again, the next
  page is read by offset, a few rows back, and counts only if the last row given is found in it: the rows after that row
  are new, those before it were given. If it is not found, the next page begins at its time, or, where that
  would be the same time again, reads that time by closed id ranges, since open ones are refused.
- How late a change shows up in the search: a reading ends at the source's clock of its first page, and the next one
  begins there, less `lag` and `overlap`.
- Whether the `Date` of an answer is right: a front end's clock may be wrong, and so may ours. The earlier of the two
  counts. If they differ by more than `CLOCKS_AGREE` a warning says so, a reading ends at the later one so that a slow
  clock does not end it before its last page, and the next one begins at the latest row: rows have the database's times.
  If both are wrong by the same amount, nothing shows it.
- Whether each row has a time (`updatedOn` is null until the first edit, section 11.1) and an id. A row without a time is
  given, but moves nothing. A row without an id cannot be given: it is logged with its time and skipped. What remains: a
  page of which no row has an id stops the feed until another object is edited behind it; a skipped object is found only
  when it is edited again, or by a search of its own.

A position is `{"at": TIME, "id": n}`. While a reading is unfinished it also has `end`, the time up to which it will have
read all, and `tie` if all rows of the time `at` up to `id` were given. `newest` is of a reading without overlap.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from syncengine import clock
from syncengine.connectors.base import Moved, Page, Position, Ref
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.gateway import Found, Gateway
from syncengine.errors import Transient

log = logging.getLogger(__name__)

TICK = timedelta(milliseconds=1)
"""The finest step of Brightpearl's times (section 3.1)."""

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""Before any object of any account."""

FEW = 10
"""Rows that may be read again rather than avoided: 2 % of a page."""

CLOCKS_AGREE = timedelta(seconds=45)
"""A right `Date` may be as old as the longest call (35 s, connect and read together) when its answer is whole."""

MOST_NAMED = 10
"""Rows that one line of the log names."""

Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a page: its place (the feed's own time, and the id), its version and last touch for the Ref.

    key: of the object that the row is about, if that is another one than the row itself. moved: what the row says of it, if
    it is a movement.
    """

    at: datetime
    id: int
    version: str
    touched: datetime | None
    key: str = ""
    moved: Moved | None = None

    @property
    def place(self) -> Place:
        """Where the row is in the order of the feed."""
        return self.at, self.id

    def ref(self) -> Ref:
        """The row as the engine takes it. Rows about one object in one second still differ in their version."""
        if self.key:
            return Ref(self.key, f"{self.version} {self.id}", self.touched)
        return Ref(str(self.id), self.version, self.touched)


@dataclass(frozen=True, slots=True)
class Batch:
    """One page of a search: its rows, and objects whose row has no time that can be read.

    count: all rows of the page, those that were skipped too. last_id: of the last row that has one.
    """

    rows: Sequence[Row]
    unplaced: Sequence[Ref]
    count: int
    last_id: int
    is_more: bool
    source_time: datetime


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed of one resource: a search, the column of its time and that of its id.

    touched: the columns that say when an object was last touched, latest first; the first that is set is its version.
    key_column: the column of the object's id, if the rows are about other objects (a movement is about a product).
    moved: what a row of movements says, from its columns, more_columns included; it raises Transient for what it cannot read.
    """

    gateway: Gateway
    path: str
    time_column: str
    id_column: str
    filters: Mapping[str, str]
    touched: Sequence[str]
    key_column: str = ""
    more_columns: Sequence[str] = ()
    moved: Callable[[Mapping[str, Any]], Moved] | None = None

    def pages(self, position: Position, since: datetime | None) -> Iterator[Page]:
        """Pages from `position`, or from `since` if it is empty. Raises Transient if the search ignores its sort or filters."""
        return _Reading(self, position, since).pages()

    def after(self, time: datetime, first_result: int) -> Batch:
        """Rows from a time on, by time and id, from the `first_result`-th of them."""
        sort = (f"{self.time_column}.ASC", f"{self.id_column}.ASC")
        batch = self._search({self.time_column: f"{times.text(time)}/"}, sort, first_result=first_result)
        if batch.is_more and not batch.count:
            raise Transient(f"{self.path}: the page is empty, but the answer says that there are more")
        if batch.is_more and any(later.at < earlier.at for earlier, later in pairwise(batch.rows)):
            raise Transient(f"{self.path}: the rows are not sorted by {self.time_column}")
        return replace(batch, rows=sorted(batch.rows, key=lambda row: row.at))

    def between(self, first_id: int, last_id: int, at: datetime) -> Batch:
        """Rows of one time (and a tick around it) in a range of ids, by id."""
        ids = f"{first_id}-{last_id}" if first_id < last_id else str(last_id)
        period = f"{times.text(at - TICK)}/{times.text(at + TICK)}"
        batch = self._search({self.time_column: period, self.id_column: ids}, (f"{self.id_column}.ASC",))
        if batch.is_more and batch.last_id < first_id:
            raise Transient(f"{self.path}: the search does not advance within the ids {ids}")
        return batch

    def highest_id(self) -> int:
        """The highest id of all; 0 if there is none."""
        period = {self.time_column: f"{times.text(BEGINNING)}/"}
        return self._search(period, (f"{self.id_column}.DESC",), page_size=1).last_id

    def _search(
        self, filters: Mapping[str, str], sort: Sequence[str], *, page_size: int | None = None, first_result: int = 1
    ) -> Batch:
        more = self.time_column, self.key_column, *self.more_columns
        found = self.gateway.search(
            self.path,
            columns=tuple(filter(None, dict.fromkeys((self.id_column, *reversed(self.touched), *more)))),
            sort=sort,
            page_size=page_size or self.gateway.account.page_size,
            first_result=first_result,
            filters={**self.filters, **filters},
        )
        return self._batch(found)

    def _batch(self, found: Found) -> Batch:
        """The rows that can be read; the others are logged. Raises Transient if none has an id."""
        rows: list[Row] = []
        unplaced: list[Ref] = []
        nameless: list[str] = []
        last_id = 0
        for found_row in found.rows:
            number = _id(self._cell(found_row, self.id_column))
            at = times.lenient(self._cell(found_row, self.time_column))
            if number is None:
                nameless.append(f"{found_row[self.id_column]!r:.20} of {found_row[self.time_column]!r:.40}")
                continue
            last_id = number
            if (key := self._key(found_row)) is None:
                nameless.append(f"{number} of {found_row[self.key_column]!r:.20}")
                continue
            row = Row(
                at or BEGINNING,
                number,
                times.version(found_row, self.touched),
                times.latest(found_row, self.touched),
                key,
                self.moved(found_row) if self.moved and at is not None else None,
            )
            if at is None:
                unplaced.append(row.ref())
            else:
                rows.append(row)
        if nameless and not last_id:
            raise Transient(f"{self.path}: a row cannot be read: it has no {self.id_column}: {nameless[0]}")
        self._log_rows(f"skipped, they have no {self.key_column or self.id_column}", nameless)
        self._log_rows(f"whose {self.time_column} cannot be read, given nevertheless", [ref.key for ref in unplaced])
        return Batch(rows, unplaced, len(found.rows), last_id, found.is_more, found.source_time)

    def _key(self, row: Mapping[str, Any]) -> str | None:
        """The key of the object that a row is about; empty if it is the row itself, None if it cannot be read."""
        if not self.key_column:
            return ""
        number = _id(self._cell(row, self.key_column))
        return None if number is None else str(number)

    def _cell(self, row: Mapping[str, Any], column: str) -> Any:
        if column not in row:
            raise Transient(f"{self.path}: a row cannot be read: the answer has no column {column}")
        return row[column]

    def _log_rows(self, what: str, rows: Sequence[str]) -> None:
        if rows:
            more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
            log.error("%s: rows %s: %s%s", self.path, what, ", ".join(rows[:MOST_NAMED]), more)


class _Reading:
    """One reading of a feed, from a position to the source's present."""

    def __init__(self, feed: Feed, position: Position, since: datetime | None) -> None:
        account = feed.gateway.account
        self._feed = feed
        self._lag = account.lag
        self._few = min(FEW, account.page_size // 2)
        self._position = position  # after the latest page
        at = times.parse(position.get("at"))
        self._end = times.parse(position.get("end"))
        self._tie_after = int(position["id"]) if at is not None and position.get("tie") else None
        self._reached = at or (since or BEGINNING).astimezone(UTC)
        is_new_reading = at is not None and self._end is None and not position.get("newest")
        self._from = self._reached - (account.overlap if is_new_reading else TICK)
        self._first = 1  # by offset from `_from`
        self._anchor: Place | None = None  # the last row given, which the next page by offset must show
        self._given: set[Place] = set()
        self._complete: datetime | None = None  # all rows up to this time were given, by id
        self._ends_belong = False
        self._highest: int | None = None
        self._clocks_differ = False
        self._earlier = self._last_row = BEGINNING  # the earlier of the two clocks; the latest time of a row

    def pages(self) -> Iterator[Page]:
        """All pages; see `Feed.pages`."""
        if self._tie_after is not None:
            yield from self._by_id(self._reached, self._tie_after)
        while True:
            batch = self._feed.after(self._from, self._first)
            rows = batch.rows
            self._note(batch)
            if self._anchor is not None and not self._is_anchored(batch):
                yield from self._without_anchor(self._anchor)
                continue
            fresh = [row for row in rows if self._is_new(row)]
            if not batch.is_more or (rows and rows[-1].at > self._known_end + self._lag):
                yield self._page(fresh, batch, {"at": times.text(self._next_begin()), "id": 0})
                return
            if not rows:
                yield self._page(fresh, batch, self._position)
                self._first += batch.count
                continue
            yield self._page(fresh, batch, self._unfinished(rows[-1].place, is_tie=_is_tie(batch)))
            yield from self._continue_after(batch)

    @property
    def _known_end(self) -> datetime:
        return self._end or BEGINNING

    def _next_begin(self) -> datetime:
        """Where the next reading begins: never later than either clock, nor than the rows if the clocks differ."""
        begin = min(self._known_end, self._earlier - self._lag)
        return max(self._reached, min(begin, self._last_row) if self._clocks_differ else begin)

    def _note(self, batch: Batch) -> None:
        """What a page says beside its rows: the source's clock, and whether a period's ends belong to it."""
        ours, theirs = clock.now(), batch.source_time
        self._earlier, later = min(ours, theirs), max(ours, theirs)
        if later - self._earlier > CLOCKS_AGREE and not self._clocks_differ:
            self._clocks_differ = True
            log.warning(
                "%s: the clocks differ: the answer says %s, this host %s. The feed follows the times of its rows",
                self._feed.path,
                times.text(theirs),
                times.text(ours),
            )
        self._end = self._end or (later if self._clocks_differ else self._earlier) - self._lag
        self._last_row = max([self._last_row, *(row.at for row in batch.rows)])
        self._ends_belong = self._ends_belong or any(row.at == self._from for row in batch.rows)

    def _is_new(self, row: Row) -> bool:
        return (self._complete is None or row.at > self._complete) and row.place not in self._given

    def _continue_after(self, batch: Batch) -> Iterator[Page]:
        """Decide where the next page begins."""
        rows, last = batch.rows, batch.rows[-1]
        again = sum(row.at == last.at for row in rows)
        is_ordered = _is_ordered(batch)
        self._given.update(row.place for row in rows)
        if again < len(rows) and (again <= self._few or not is_ordered) and self._begin_at(last.at):
            return
        if self._complete is not None and last.at <= self._complete:
            self._skip_complete(last.at)
        elif is_ordered:
            self._first += max(1, len(rows) - self._few)
            self._anchor = last.place
        else:
            yield from self._by_id(last.at, 0)

    def _begin_at(self, time: datetime) -> bool:
        """Begin the next page at a time; False if that would not be later than this one."""
        following = time if self._ends_belong else time - TICK
        if following <= self._from:
            return False
        self._from, self._first, self._anchor = following, 1, None
        self._reached = max(self._reached, time)
        self._given = {place for place in self._given if place[0] >= following}
        return True

    def _is_anchored(self, batch: Batch) -> bool:
        """Whether a page by offset shows the last row given, with rows after it if the answer says that there are more."""
        at = next((index for index, row in enumerate(batch.rows) if row.place == self._anchor), None)
        return at is not None and (at < len(batch.rows) - 1 or not batch.is_more)

    def _without_anchor(self, anchor: Place) -> Iterator[Page]:
        """Too many rows have moved: the pages before were in order, so all up to the anchor was given."""
        if not self._begin_at(anchor[0]):
            yield from self._by_id(*anchor)

    def _skip_complete(self, at: datetime) -> None:
        """A whole page of a time that was read by id: the ends belong to a period, so begin a tick later."""
        if self._from > at or not self._ends_belong:
            raise Transient(f"{self._feed.path}: rows before the period asked for; the search does not advance")
        self._from, self._first, self._anchor = at + TICK, 1, None

    def _by_id(self, at: datetime, after: int) -> Iterator[Page]:
        """All rows of one time with ids above `after`, by id; then those after that time."""
        if self._highest is None:
            self._highest = self._feed.highest_id()
        is_more = True
        while is_more and after < self._highest:
            batch = self._feed.between(after + 1, self._highest, at)
            self._note(replace(batch, rows=()))
            is_more = batch.is_more
            after = batch.last_id or after
            fresh = [row for row in batch.rows if row.at == at and self._is_new(row)]
            yield self._page(fresh, batch, self._unfinished((at, after), is_tie=True))
        self._given = set()
        self._complete = self._reached = at
        self._from, self._first, self._anchor = (at + TICK if self._ends_belong else at), 1, None

    def _unfinished(self, place: Place, *, is_tie: bool) -> dict[str, Any]:
        position: dict[str, Any] = {"at": times.text(place[0]), "id": place[1], "end": times.text(self._known_end)}
        return {**position, "tie": True} if is_tie else position

    def _page(self, rows: Sequence[Row], batch: Batch, position: Position) -> Page:
        self._position = position
        movements = [row.moved for row in rows if row.moved is not None]
        refs = [*(row.ref() for row in rows), *batch.unplaced]
        return Page(refs, position, batch.source_time, movements=movements)


def _id(value: Any) -> int | None:
    """An id: a whole number above 0 (section 3.1), as a number or as a text."""
    is_id = (
        isinstance(value, int | str) and not isinstance(value, bool) and str(value).isascii() and str(value).isdigit()
    )
    return (int(value) or None) if is_id else None


def _is_ordered(batch: Batch) -> bool:
    """Whether the rows of equal times came by id, as they were asked for. A row that has no place may be anywhere."""
    return len(batch.rows) == batch.count and all(
        earlier.place < later.place for earlier, later in pairwise(batch.rows)
    )


def _is_tie(batch: Batch) -> bool:
    """Whether a whole page is of one time, by id: all rows of that time up to the last one were given."""
    return batch.rows[0].at == batch.rows[-1].at and _is_ordered(batch)

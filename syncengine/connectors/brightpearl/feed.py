"""Reading what changed, by time and id, so that nothing is skipped while the pages are read.

Offset paging over a changing search loses rows: each edit moves a row to the end and all behind it one place up. So a
page begins at the last row's time. What the references leave open (reference/brightpearl.md section 7) is not relied on:

- Whether a period's ends belong to it: a page begins a millisecond before the last row's time, and rows given already
  are dropped. Once a row at the very beginning of a period was seen, its ends are known to belong to it.
- Many rows of one second (Brightpearl's times are whole seconds): where more than a few would be read again, the page
  goes on by offset, a few rows back, and counts only if the last row given is found in it: what stands behind that row
  has not been given, what stands before it has. If it is not found, the next page begins at its time, or, where that
  would be the same time again, reads that time by closed id ranges, since open ones are refused.
- How late a change shows up in the search: a reading goes on to the source's clock at its first page, and the next one
  begins there, less `lag` and `overlap`.

A position is `{"at": TIME, "id": n}`. While a reading is unfinished it also has `end`, the time up to which it will have
read all, and `tie` if all rows of the time `at` up to `id` were given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from syncengine.connectors.base import Page, Position, Ref
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.gateway import Found, Gateway
from syncengine.errors import Transient

TICK = timedelta(milliseconds=1)
"""The finest step of Brightpearl's times (section 3.1)."""

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""Before any object of any account."""

FEW = 10
"""Rows that are rather read again than avoided: 2 % of a page."""

Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a page: its place (the feed's own time, and the id), its version and last touch for the Ref."""

    at: datetime
    id: int
    version: str
    touched: datetime | None

    @property
    def place(self) -> Place:
        return self.at, self.id

    def ref(self) -> Ref:
        return Ref(str(self.id), self.version, self.touched)


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed of one resource: a search, the column of its time and that of its id."""

    gateway: Gateway
    path: str
    time_column: str
    id_column: str
    filters: Mapping[str, str]

    def pages(self, position: Position, since: datetime | None) -> Iterator[Page]:
        """Pages from `position`, or from `since` if it is empty. Raises Transient for a search that does not obey."""
        return _Reading(self, position, since).pages()

    def after(self, time: datetime, first_result: int) -> tuple[list[Row], Found]:
        """Rows from a time on, by time and id, from the `first_result`-th of them."""
        sort = (f"{self.time_column}.ASC", f"{self.id_column}.ASC")
        rows, found = self._search({self.time_column: f"{times.text(time)}/"}, sort, first_result=first_result)
        if found.is_more and not rows:
            raise Transient(f"{self.path}: an empty page, and yet there are said to be more")
        if found.is_more and any(later.at < earlier.at for earlier, later in pairwise(rows)):
            raise Transient(f"{self.path}: the rows are not sorted by {self.time_column}")
        return sorted(rows, key=lambda row: row.at), found

    def between(self, first_id: int, last_id: int, at: datetime) -> tuple[list[Row], Found]:
        """Rows of one time (and a tick around it) in a range of ids, by id."""
        ids = f"{first_id}-{last_id}" if first_id < last_id else str(last_id)
        period = f"{times.text(at - TICK)}/{times.text(at + TICK)}"
        rows, found = self._search({self.time_column: period, self.id_column: ids}, (f"{self.id_column}.ASC",))
        if found.is_more and (not rows or rows[-1].id < first_id):
            raise Transient(f"{self.path}: the id range {ids} does not get on")
        return rows, found

    def highest_id(self) -> int:
        """The highest id of all; 0 if there is none."""
        period = {self.time_column: f"{times.text(BEGINNING)}/"}
        rows, _ = self._search(period, (f"{self.id_column}.DESC",), page_size=1)
        return rows[0].id if rows else 0

    def _search(
        self, filters: Mapping[str, str], sort: Sequence[str], *, page_size: int | None = None, first_result: int = 1
    ) -> tuple[list[Row], Found]:
        found = self.gateway.search(
            self.path,
            columns=(self.id_column, "createdOn", "updatedOn"),
            sort=sort,
            page_size=page_size or self.gateway.account.page_size,
            first_result=first_result,
            filters={**self.filters, **filters},
        )
        return [self._row(row) for row in found.rows], found

    def _row(self, row: Mapping[str, Any]) -> Row:
        try:
            at = times.parse(row[self.time_column])
            if at is None:
                raise ValueError("no time")
            return Row(at, int(row[self.id_column]), times.version(row), times.touched_at(row))
        except (KeyError, TypeError, ValueError) as error:
            raise Transient(f"{self.path}: a row cannot be read: {error}") from None


class _Reading:
    """One reading of a feed, from a position to the source's present."""

    def __init__(self, feed: Feed, position: Position, since: datetime | None) -> None:
        account = feed.gateway.account
        self._feed = feed
        self._lag = account.lag
        self._few = min(FEW, account.page_size // 2)
        at = times.parse(position.get("at"))
        self._end = times.parse(position.get("end"))
        self._tie_after = int(position["id"]) if at is not None and position.get("tie") else None
        self._reached = at or (since or BEGINNING).astimezone(UTC)
        is_new_reading = at is not None and self._end is None
        self._from = self._reached - (account.overlap if is_new_reading else TICK)
        self._first = 1  # by offset from `_from`
        self._anchor: Place | None = None  # the last row given, which the next page by offset must show
        self._given: set[Place] = set()
        self._complete: datetime | None = None  # all rows up to this time were given, by id
        self._ends_belong = False
        self._highest: int | None = None

    def pages(self) -> Iterator[Page]:
        """All pages; see `Feed.pages`."""
        if self._tie_after is not None:
            yield from self._by_id(self._reached, self._tie_after)
        while True:
            rows, found = self._feed.after(self._from, self._first)
            self._note(rows, found)
            if self._anchor is not None and not self._is_anchored(rows, found):
                yield from self._without_anchor(self._anchor)
                continue
            fresh = [row for row in rows if self._is_new(row)]
            if not found.is_more or rows[-1].at > self._known_end + self._lag:
                yield self._page(fresh, found, {"at": times.text(max(self._known_end, self._reached)), "id": 0})
                return
            yield self._page(fresh, found, self._unfinished(rows[-1].place, is_tie=_is_tie(rows)))
            yield from self._go_on_after(rows)

    @property
    def _known_end(self) -> datetime:
        return self._end or BEGINNING

    def _note(self, rows: Sequence[Row], found: Found) -> None:
        """What a page tells beside its rows: the source's clock, and whether a period's ends belong to it."""
        self._end = self._end or found.source_time - self._lag
        self._ends_belong = self._ends_belong or any(row.at == self._from for row in rows)

    def _is_new(self, row: Row) -> bool:
        return (self._complete is None or row.at > self._complete) and row.place not in self._given

    def _go_on_after(self, rows: Sequence[Row]) -> Iterator[Page]:
        """Decide where the next page begins."""
        last = rows[-1]
        again = sum(row.at == last.at for row in rows)
        is_ordered = _is_ordered(rows)
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

    def _is_anchored(self, rows: Sequence[Row], found: Found) -> bool:
        """Whether a page by offset shows the last row given, with rows behind it if there are said to be more."""
        at = next((index for index, row in enumerate(rows) if row.place == self._anchor), None)
        return at is not None and (at < len(rows) - 1 or not found.is_more)

    def _without_anchor(self, anchor: Place) -> Iterator[Page]:
        """Too many rows have moved: the pages before were in order, so all up to the anchor was given."""
        if not self._begin_at(anchor[0]):
            yield from self._by_id(*anchor)

    def _skip_complete(self, at: datetime) -> None:
        """A whole page of a time that was read by id: the ends belong to a period, so begin a tick later."""
        if self._from > at or not self._ends_belong:
            raise Transient(f"{self._feed.path}: rows before the period asked for; the search does not get on")
        self._from, self._first, self._anchor = at + TICK, 1, None

    def _by_id(self, at: datetime, after: int) -> Iterator[Page]:
        """All rows of one time with ids above `after`, by id; then on behind that time."""
        if self._highest is None:
            self._highest = self._feed.highest_id()
        is_more = True
        while is_more and after < self._highest:
            rows, found = self._feed.between(after + 1, self._highest, at)
            self._note((), found)
            is_more = found.is_more
            after = rows[-1].id if rows else after
            fresh = [row for row in rows if row.at == at and self._is_new(row)]
            yield self._page(fresh, found, self._unfinished((at, after), is_tie=True))
        self._given = set()
        self._complete = self._reached = at
        self._from, self._first, self._anchor = (at + TICK if self._ends_belong else at), 1, None

    def _unfinished(self, place: Place, *, is_tie: bool) -> dict[str, Any]:
        position: dict[str, Any] = {"at": times.text(place[0]), "id": place[1], "end": times.text(self._known_end)}
        return {**position, "tie": True} if is_tie else position

    def _page(self, rows: Sequence[Row], found: Found, position: dict[str, Any]) -> Page:
        return Page([row.ref() for row in rows], position, found.source_time)


def _is_ordered(rows: Sequence[Row]) -> bool:
    """Whether the rows of equal times came by id, as they were asked for."""
    return all(earlier.place < later.place for earlier, later in pairwise(rows))


def _is_tie(rows: Sequence[Row]) -> bool:
    """Whether a whole page is of one time, by id: all rows of that time up to the last one were given."""
    return rows[0].at == rows[-1].at and _is_ordered(rows)

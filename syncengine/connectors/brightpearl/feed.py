"""Reading what changed, by time and id, so that nothing is skipped while the pages are read.

Offset paging over a changing search loses rows: each edit moves a row to the end and all behind it one place up. So each
page begins at the last row's time instead. What the references leave open (section 7 of reference/brightpearl.md) is not
relied on:

- whether a period's ends belong to it: a page begins one millisecond before the last row, rows given already are
  dropped; once a row at the very beginning of a period has been seen, the ends are known to belong to it;
- whether rows of one time come by id: more rows of one time than a page holds (an import, a mass update) are read by
  closed id ranges, since open ones are refused;
- how late a change shows up in the search: the next reading begins at the source's clock at this one's first page, less
  `lag` and `overlap`.

A position is `{"at": TIME, "id": n}`. While a reading is unfinished it also has `end`, the time up to which it will have
read all, and `tie` if `id` counts among the rows of the time `at`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from syncengine.connectors.base import Page, Position, Ref
from syncengine.connectors.brightpearl import times
from syncengine.connectors.brightpearl.gateway import Found, Gateway
from syncengine.errors import Transient

TICK = timedelta(milliseconds=1)
"""The resolution of Brightpearl's times (section 3.1)."""

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""Before any object of any account."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a page: the feed's own time and the id, by which it is sorted; version and last touch, for the Ref."""

    at: datetime
    id: int
    version: str
    touched: datetime | None

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

    def search(self, period: str, ids: str | None, sort: tuple[str, ...], page_size: int) -> tuple[list[Row], Found]:
        """One page of rows, in the order in which they came."""
        filters = {**self.filters, self.time_column: period}
        if ids is not None:
            filters[self.id_column] = ids
        found = self.gateway.search(
            self.path,
            columns=(self.id_column, "createdOn", "updatedOn"),
            sort=sort,
            page_size=page_size,
            filters={name: value for name, value in filters.items() if value},
        )
        return [self._row(row) for row in found.rows], found

    def highest_id(self) -> int:
        """The highest id of all; 0 if there is none."""
        rows, _ = self.search(f"{times.text(BEGINNING)}/", None, (f"{self.id_column}.DESC",), 1)
        return rows[0].id if rows else 0

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
        self._feed = feed
        account = feed.gateway.account
        self._lag, self._page_size = account.lag, account.page_size
        at = times.parse(position.get("at"))
        self._end = times.parse(position.get("end"))
        self._tie_after = int(position["id"]) if at is not None and position.get("tie") else None
        self._reached = at or (since or BEGINNING).astimezone(UTC)
        is_new_reading = at is not None and self._end is None
        self._from = self._reached - (account.overlap if is_new_reading else TICK)
        self._given: set[tuple[datetime, int]] = set()
        self._complete: datetime | None = None  # all rows up to this time were given
        self._ends_belong = False
        self._highest: int | None = None

    def pages(self) -> Iterator[Page]:
        if self._tie_after is not None:
            yield from self._tie(self._reached, self._tie_after)
        while True:
            rows, found = self._feed.search(f"{times.text(self._from)}/", None, self._sort, self._page_size)
            rows = self._checked(rows, found)
            self._end = self._end or found.source_time - self._lag
            self._ends_belong = self._ends_belong or any(row.at == self._from for row in rows)
            fresh = [row for row in rows if self._is_new(row)]
            self._given.update((row.at, row.id) for row in fresh)
            if not found.is_more or rows[-1].at > self._end:
                yield self._page(fresh, found, {"at": times.text(max(self._end, self._reached)), "id": 0})
                return
            last = rows[-1]
            yield self._page(fresh, found, self._unfinished(last.at, last.id))
            yield from self._go_on_after(last, rows)

    @property
    def _sort(self) -> tuple[str, ...]:
        return f"{self._feed.time_column}.ASC", f"{self._feed.id_column}.ASC"

    def _checked(self, rows: list[Row], found: Found) -> list[Row]:
        """The rows, if they are in the order of their time, on which everything here rests."""
        if found.is_more and not rows:
            raise Transient(f"{self._feed.path}: an empty page, and yet there are said to be more")
        if found.is_more and any(later.at < earlier.at for earlier, later in pairwise(rows)):
            raise Transient(f"{self._feed.path}: the rows are not sorted by {self._feed.time_column}")
        return sorted(rows, key=lambda row: row.at)

    def _is_new(self, row: Row) -> bool:
        return (self._complete is None or row.at > self._complete) and (row.at, row.id) not in self._given

    def _go_on_after(self, last: Row, rows: list[Row]) -> Iterator[Page]:
        """Set where the next page begins; where it would begin at the same time again, read that time by id first."""
        self._reached = max(self._reached, last.at)
        following = last.at if self._ends_belong else last.at - TICK
        is_one_time = rows[0].at == last.at
        if following > self._from and not is_one_time:
            self._given = {(row.at, row.id) for row in rows if row.at >= following}
            self._from = following
        elif self._complete is not None and last.at <= self._complete:
            self._skip_complete(last.at)
        else:
            is_by_id = all(later.id > earlier.id for earlier, later in pairwise(rows))
            yield from self._tie(last.at, last.id if is_by_id and is_one_time else 0)

    def _skip_complete(self, at: datetime) -> None:
        """A whole page of a time that was read by id: the ends belong to a period, so the next one begins a tick later."""
        if self._from > at or not self._ends_belong:
            raise Transient(f"{self._feed.path}: rows before the period asked for; the search does not get on")
        self._from = at + TICK

    def _tie(self, at: datetime, after: int) -> Iterator[Page]:
        """All rows of one time with ids above `after`, by id."""
        if self._highest is None:
            self._highest = self._feed.highest_id()
        period = f"{times.text(at - TICK)}/{times.text(at + TICK)}"
        is_more = True
        while is_more and after < self._highest:
            ids = f"{after + 1}-{self._highest}" if after + 1 < self._highest else str(self._highest)
            rows, found = self._feed.search(period, ids, (f"{self._feed.id_column}.ASC",), self._page_size)
            if found.is_more and (not rows or max(row.id for row in rows) <= after):
                raise Transient(f"{self._feed.path}: the id range {ids} does not get on")
            is_more = found.is_more
            after = max((row.id for row in rows), default=after)
            self._end = self._end or found.source_time - self._lag
            fresh = [row for row in rows if row.at == at and self._is_new(row)]
            yield self._page(fresh, found, {**self._unfinished(at, after), "tie": True})
        self._given = set()
        self._complete = at
        self._from = at + TICK if self._ends_belong else at

    def _unfinished(self, at: datetime, last_id: int) -> dict[str, Any]:
        return {"at": times.text(at), "id": last_id, "end": times.text(self._end) if self._end else None}

    def _page(self, rows: list[Row], found: Found, position: dict[str, Any]) -> Page:
        return Page([row.ref() for row in rows], position, found.source_time)

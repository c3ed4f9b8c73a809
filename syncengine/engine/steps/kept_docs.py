"""Documents that a fetch of levels uses again instead of reading them: those of a page, and of a rise that had to wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from syncengine import clock
from syncengine.document import Doc
from syncengine.engine.core import feeds, movements, payloads, readings
from syncengine.engine.core.engine import Route
from syncengine.engine.steps.discover import catch_up
from syncengine.engine.writes import link_keys
from syncengine.store.models import Link, Record
from syncengine.store.states import Lane


@dataclass(frozen=True, slots=True)
class Kept:
    """Documents by resource and key, and the revision that each record is fetched for, by the source's key."""

    docs: Mapping[str, Mapping[str, Doc]]
    revisions: Mapping[str, int]


def load(route: Route, found: Sequence[Record], linked: Mapping[int, Sequence[Link]]) -> Kept:
    """The stored documents of records that need not be read again (links by record id).

    The source's document is used while nothing newer is known and it is not older than a poll; the target's while nobody else
    has corrected its level since it was read. For those that wait to rise, the target's feeds are read to their present before.
    """
    now = clock.now()
    mine = [record for record in found if record.kept_until is not None and record.kept_until >= now]
    revisions = {record.key: record.claimed for record in found}
    if not mine:
        return Kept({}, revisions)
    with route.engine.store.read() as session:
        stored = payloads.load(session, route.engine.vault, "context", [record.id for record in mine])
    sources: dict[str, Doc] = {}
    pictures: dict[str, Doc] = {}
    for record in mine:
        docs = stored.get(record.id, {})
        doc = docs.get(route.source.name, {}).get(record.key)
        if doc is not None and _is_current(route, doc, record.claimed, now):
            sources[record.key] = doc
        for link in linked[record.id]:
            key = link_keys.target_key(route, link)
            if key is not None and key in docs.get(route.target.name, {}):
                pictures[key] = docs[route.target.name][key]
    return Kept({route.source.name: sources, route.target.name: _untouched(route, pictures, mine)}, revisions)


def _is_current(route: Route, doc: Doc, revision: int, now: datetime) -> bool:
    window = readings.between(route.source, doc)
    is_young = window is not None and now - window[0] <= timedelta(
        seconds=max(route.flow.every_s, route.target.search_lag_s)
    )
    return is_young and readings.revision(doc) == revision


def _untouched(route: Route, pictures: Mapping[str, Doc], found: Sequence[Record]) -> dict[str, Doc]:
    """The target's documents (by key) whose levels nobody else has corrected since they were read, as far as feeds tell."""
    windows = {key: window for key, doc in pictures.items() if (window := readings.between(route.target, doc))}
    if not windows:
        return {}
    needed = max(ended for _, ended in windows.values())
    with route.engine.store.read() as session:
        known = feeds.known_until(session, route)
    if known is None or known < needed <= route.target.now() - timedelta(seconds=route.target.search_lag_s):
        catch_up(route, Lane(min(record.lane for record in found)))
    with route.engine.store.read() as session:
        began = {key: window[0] for key, window in windows.items()}
        corrected = movements.corrected(session, route, route.target_side, began)
    return {key: pictures[key] for key in windows if key not in corrected}

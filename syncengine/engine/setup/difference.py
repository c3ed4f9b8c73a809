"""What a configuration changes: the stored facts before and after, their differences, and the consequences in words.

The facts never include the value of a secret, only how often it was stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.engine.core import observe_mode
from syncengine.redaction import redact
from syncengine.store.models import ConnectionRow, Endpoint, Installed, Lookup, Secret

GIVEN = "given "
"""Prefix of a secret's name: the fingerprint of the value that the file gave last, also kept in the vault."""
MOST_LISTED = 40  # changes of a connection or endpoint that its event lists


class Topic(StrEnum):
    """The kind of a fact; its value is the prefix of the fact's name."""

    PLAIN = ""
    SETTING = "settings."
    CEILING = "ceilings."
    SECRET = "secret "  # noqa: S105 - a heading
    LOOKUP = "lookup "
    OWN_FLOW = "own flow "


@dataclass(frozen=True, slots=True)
class Fact:
    """Identifies a stored value.

    kind: `endpoint`, `connection` or `flows`. owner: the name of the endpoint or connection. name: within the topic.
    """

    kind: str
    owner: str
    topic: Topic
    name: str

    @property
    def where(self) -> str:
        """`connection main`."""
        return f"{self.kind} {self.owner}".rstrip()

    @property
    def what(self) -> str:
        """`cut_over`, `settings.branch`."""
        return f"{self.topic}{self.name}"


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that differs. before, after: its value as text, None if absent."""

    fact: Fact
    before: str | None
    after: str | None

    @property
    def where(self) -> str:
        """`connection main`."""
        return self.fact.where

    @property
    def what(self) -> str:
        """`cut_over`, `settings.branch`."""
        return self.fact.what

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.what}: {self.after}"
        if self.after is None:
            return f"- {self.what}: {self.before}"
        return f"~ {self.what}: {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class Difference:
    """All changes, and their consequences in words.

    is_first: nothing was configured before, or only flows are new because an older version did not store them. not_synced:
    names of connections that are not in the file.
    """

    changes: tuple[Change, ...] = ()
    consequences: tuple[str, ...] = ()
    is_first: bool = False
    not_synced: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def to_doc(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "changes": [
                {"where": change.where, "what": change.what, "before": change.before, "after": change.after}
                for change in self.changes
            ],
            "consequences": list(self.consequences),
            "not_synced": list(self.not_synced),
        }

    def summary(self) -> dict[str, Any]:
        """For the timeline: the first changes at each place, and how many more there are."""
        places = {where: [str(change) for change in self.changes if change.where == where] for where in self.places}
        return {
            "changes": {where: [*some[:MOST_LISTED], *_more(some)] for where, some in places.items()},
            "consequences": list(self.consequences),
        }

    @property
    def places(self) -> list[str]:
        """Where something changes, in order: `connection main`."""
        return list(dict.fromkeys(change.where for change in self.changes))


def _more(some: list[str]) -> list[str]:
    return [f"... and {len(some) - MOST_LISTED:,} more"] if len(some) > MOST_LISTED else []


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection as stored. cut_over, verify_creates_until: UTC, None without one."""

    id: int
    mode: str
    cut_over: datetime | None
    verify_creates_until: datetime | None
    flows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A configuration as stored. facts: with their values as text. connections: by name.

    renewed: secrets that were replaced since the file gave them, by tokens that a system has granted. knows_flows: whether the
    folder of flows was stored, which versions before 0.1.0 did not do.
    """

    facts: Mapping[Fact, str]
    connections: Mapping[str, StoredConnection]
    renewed: frozenset[Fact]
    knows_flows: bool = True


def snapshot(session: Session) -> Snapshot:
    """The configuration as stored now, as the transaction sees it."""
    facts: dict[Fact, str] = {}
    names: dict[int, str] = {}
    for endpoint in _rows(session, Endpoint):
        names[endpoint.id] = endpoint.name
        facts[Fact("endpoint", endpoint.name, Topic.PLAIN, "system")] = endpoint.system
        for name, text in _settings(endpoint.settings):
            facts[Fact("endpoint", endpoint.name, Topic.SETTING, name)] = text
    versions = {(secret.endpoint_id, secret.name): secret.version for secret in _rows(session, Secret)}
    renewed = set()
    for (endpoint_id, mark), version in versions.items():
        if mark.startswith(GIVEN):
            name = mark.removeprefix(GIVEN)
            fact = Fact("endpoint", names[endpoint_id], Topic.SECRET, name)
            facts[fact] = str(version)
            if versions.get((endpoint_id, name), 0) > version:  # both increase together when the file gives a value
                renewed.add(fact)
    connections = _rows(session, ConnectionRow)
    for row in connections:
        facts |= {Fact("connection", row.name, topic, name): text for topic, name, text in _connection(row, names)}
    owners = {row.id: row.name for row in connections}
    for entry in _rows(session, Lookup):
        facts[Fact("connection", owners[entry.connection_id], Topic.LOOKUP, f"{entry.name} {entry.key}")] = entry.value
    installations = _rows(session, Installed)
    for installed in installations:
        if installed.flows_folder:
            facts[Fact("flows", "", Topic.PLAIN, "folder")] = installed.flows_folder
        facts |= {Fact("flows", "", Topic.OWN_FLOW, name): version for name, version in installed.own_flows.items()}
    return Snapshot(facts, {row.name: _stored(row) for row in connections}, frozenset(renewed), bool(installations))


def _rows(session: Session, model: Any) -> list[Any]:
    """Rows as they are in the database, whatever the session has loaded before."""
    return list(session.scalars(select(model).order_by(model.id).execution_options(populate_existing=True)))


def _stored(row: ConnectionRow) -> StoredConnection:
    mode = observe_mode.LIVE if row.mode == observe_mode.GOING_LIVE else row.mode
    return StoredConnection(row.id, mode, row.cut_over, row.verify_creates_until, tuple(row.flows))


def _connection(row: ConnectionRow, names: Mapping[int, str]) -> Iterable[tuple[Topic, str, str]]:
    yield Topic.PLAIN, "left", names[row.left_id]
    yield Topic.PLAIN, "right", names[row.right_id]
    yield Topic.PLAIN, "mode", _stored(row).mode
    for name, at in (("cut_over", row.cut_over), ("verify_creates_until", row.verify_creates_until)):
        if at is not None:
            yield Topic.PLAIN, name, time_text(at)
    yield Topic.PLAIN, "flows", ", ".join(row.flows) or "none"
    for name, seconds in (("quiet_s", row.quiet_s), ("sweep_s", row.sweep_s), ("relaxed_s", row.relaxed_s)):
        if seconds is not None:
            yield Topic.PLAIN, name, f"{seconds:g}"
    for topic, values in ((Topic.SETTING, row.settings), (Topic.CEILING, row.ceilings)):
        for name, text in _settings(values):
            yield topic, name, text


def _settings(values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        yield name, json.dumps(value, default=_exact, sort_keys=True, ensure_ascii=False)


def _exact(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def time_text(at: datetime) -> str:
    """A time as the file writes it: `2026-01-31T00:00:00Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


# -- before and after --------------------------------------------------------------------------------------------------


def compare(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    """The facts that differ, by place; the places and names of `after` first, in its order."""
    facts = list(dict.fromkeys([*after.facts, *before.facts]))
    places = list(dict.fromkeys(fact.where for fact in facts))
    differs = [fact for fact in facts if before.facts.get(fact) != after.facts.get(fact)]
    differs.sort(key=lambda fact: places.index(fact.where))  # stable: names stay in order
    return tuple(_change(fact, before.facts.get(fact), after.facts.get(fact)) for fact in differs)


def _change(fact: Fact, before: str | None, after: str | None) -> Change:
    """The change as people may see it, without secrets and without versions that mean nothing to them."""
    if fact.topic is Topic.SETTING:
        before, after = (None if value is None else redact(value, fact.name) for value in (before, after))
    if fact.topic is Topic.SECRET:
        before, after = (None if value is None else "stored" for value in (before, after))
        return Change(fact, before, "a new value" if before and after else after)
    if fact.topic is Topic.OWN_FLOW:
        before, after = (None if value is None else "taken over" for value in (before, after))
        return Change(fact, before, "changed since" if before and after else after)
    return Change(fact, before, after)


def consequences(before: Snapshot, after: Snapshot, changes: Iterable[Change], *, of_date: set[str]) -> list[str]:
    """The consequences of the changes, in words. of_date: names of flows that apply a cut-over date."""
    found: list[str] = []
    for name, now in after.connections.items():
        found += _of_connection(name, before.connections.get(name), now, of_date)
    found += _of_lookups(changes)
    if any(change.fact.topic is Topic.OWN_FLOW for change in changes):
        found.append("restart running processes for the site's own flows: they keep those that they started with")
    for fact in (change.fact for change in changes if change.after is None):
        if fact.topic is Topic.SECRET:
            granted = f", though it was renewed since. `syncengine authorise {fact.owner}` grants a new one"
            is_renewed = fact in before.renewed
            found.append(
                f"{fact.owner}: its secret {fact.name} is deleted from the vault{granted if is_renewed else ''}"
            )
        if fact.topic is Topic.OWN_FLOW:
            found.append(f"the site's own flow {fact.name} is no longer used")
    return found


def _of_connection(name: str, was: StoredConnection | None, now: StoredConnection, of_date: set[str]) -> Iterable[str]:
    dated = [flow for flow in now.flows if flow in of_date]
    yield from _of_flows(name, was, now)
    if was is None:
        if dated and now.cut_over is None:
            yield f"{name}: it has no cut_over, so {_and(dated)} of any age are synced once they change"
        return
    if was.cut_over == now.cut_over or not dated or now.cut_over is None:
        return
    if was.cut_over is not None and now.cut_over < was.cut_over:
        yield (
            f"{name}: {_and(dated)} created since {time_text(now.cut_over)} are synced, including those that were skipped as "
            "too old; their feeds are read again from that date"
        )
    else:
        yield f"{name}: {_and(dated)} created before {time_text(now.cut_over)} are not synced from now on, unless linked"


def _of_flows(name: str, was: StoredConnection | None, now: StoredConnection) -> Iterable[str]:
    had = was.flows if was is not None else ()
    verb = "write" if now.mode == observe_mode.LIVE else "plan"
    fresh = [flow for flow in now.flows if flow not in had]
    if was is not None and was.mode != now.mode and now.flows:
        if now.mode == observe_mode.LIVE:
            yield f"{name} goes live: it writes {_and(now.flows)}, including what has only been planned so far"
        else:
            yield f"{name} stops writing; it only plans"
    elif fresh:
        yield f"{name} starts to {verb} {_and(fresh)}"
    if gone := [flow for flow in had if flow not in now.flows]:
        yield f"{name} stops syncing {_and(gone)}; links and history are kept"


def _of_lookups(changes: Iterable[Change]) -> Iterable[str]:
    counts: dict[str, list[int]] = {}
    for change in changes:
        if change.fact.topic is Topic.LOOKUP:
            figures = counts.setdefault(change.fact.owner, [0, 0])
            figures[0] += change.after is None
            figures[1] += change.before is not None and change.after is not None
    for name, figures in counts.items():
        for figure, verb in zip(figures, ("removed", "changed"), strict=True):
            if figure:
                yield f"{name}: {figure:,} lookup {'entry is' if figure == 1 else 'entries are'} {verb}"


def _and(names: Iterable[str]) -> str:
    return ", ".join(names)

"""The engine and its parts: store, vault, flows, connectors, limits and the function that sends a chain; all passed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import select

from syncengine import clock
from syncengine.engine.core import record_keys
from syncengine.engine.core.record_keys import RecordKeys
from syncengine.errors import DatabaseAway, Misconfigured, SyncError
from syncengine.flows import BrokenFlow, Flow, FlowHead, Flows
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.store.states import Lane, Stage

if TYPE_CHECKING:
    from syncengine.connectors.base import Connector, Endpoint, Resource
    from syncengine.http.breaker import Breakers
    from syncengine.http.meter import Meter
    from syncengine.vault import Vault

T = TypeVar("T")

USUAL_WRITE_S = 0.5  # assumed seconds of a write, until some have been made

RELOAD_S = 15.0  # the maximum delay until a running worker uses a connection's changed settings


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the engine. Names that end in `_s` are in seconds.

    Attributes:
        lease_s: how long a lease lasts after it was taken or renewed.
        step_s: how long a step works before it releases the rest of its records.
        call_s: the longest possible call; every endpoint's time-outs must fit.
        fresh_s: how long fetched documents may be planned from without another fetch.
        retry_s: the longest wait of a Celery retry; longer waits are stored in the record's row.
        backoff_s: the longest wait after a failure.
        hold_again_s: how long a record stays held or waiting before it is planned again.
        picture_s: the maximum age of the target's document when a change is written; an older one is compared again first.
        crashes: how often a record may crash its step while it runs alone, before it becomes a dead letter.
        tries: how often a record may fail alone while its endpoint works.
        sends: how often one write is sent while its outcome is unknown.
        chains: how many chains of a lane may exist at once (the number of workers that serve it).
    """

    lease_s: float = 45.0
    call_s: float = 36.0  # the longest call: connect 5, read 30, and a second
    step_s: float = 60.0
    fresh_s: float = 300.0
    retry_s: float = 15.0
    backoff_s: float = 300.0
    hold_again_s: float = 3600.0
    picture_s: float = 30.0
    crashes: int = 3
    tries: int = 8
    sends: int = 5
    chains: Mapping[Lane, int] = field(default_factory=lambda: {Lane.REALTIME: 2, Lane.SCHEDULED: 3, Lane.BACKFILL: 2})


@dataclass(frozen=True, slots=True)
class Chain:
    """A message from the pump to a queue: a lease token and the remaining steps. It has no record ids, payload or secrets."""

    token: str
    flow: str
    stage: Stage
    lane: Lane
    shown: str  # for people: "main, 20 records, scheduled"

    @property
    def stages(self) -> list[Stage]:
        """The chain's steps in order, from the current stage on."""
        order = list(Stage)
        return order[order.index(self.stage) :]


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection with both connectors, as one process uses it."""

    row: m.ConnectionRow
    endpoints: Mapping[str, m.Endpoint]  # by side: left, right
    connectors: Mapping[str, Connector]

    def side(self, resource: str) -> str:
        """The side of the connection that has this resource: `left` or `right`. Raises Misconfigured."""
        system = resource.partition(".")[0]
        for side, endpoint in self.endpoints.items():
            if endpoint.system == system:
                return side
        raise Misconfigured(f"connection {self.row.name!r} has no endpoint of the system {system!r}")

    def resource(self, name: str) -> Resource:
        """The resource, bound to its endpoint. Raises Misconfigured."""
        try:
            return self.connectors[self.side(name)].resources[name]
        except KeyError:
            raise Misconfigured(f"there is no resource {name!r}") from None

    def endpoint(self, resource: str) -> m.Endpoint:
        """The endpoint that a resource belongs to. Raises Misconfigured."""
        return self.endpoints[self.side(resource)]

    def verifies_creates(self, now: datetime) -> bool:
        """True while the target is searched before every create (a first load, a restored backup)."""
        until = self.row.verify_creates_until
        return until is not None and now < until


@dataclass(frozen=True, slots=True)
class Route:
    """One flow on one connection, with the engine: what the engine works on at a time."""

    engine: Engine
    flow: Flow
    connection: Connection

    @property
    def connection_id(self) -> int:
        """The connection's id in the store."""
        return self.connection.row.id

    @property
    def source(self) -> Resource:
        """The flow's source; in a two-way flow its left resource. Raises Misconfigured."""
        return self.connection.resource(self.flow.source)

    @property
    def target(self) -> Resource:
        """The flow's target; in a two-way flow its right resource. Raises Misconfigured."""
        return self.connection.resource(self.flow.target)

    @property
    def source_side(self) -> str:
        """The side of the source: `left` or `right`. Raises Misconfigured."""
        return self.connection.side(self.flow.source)

    @property
    def target_side(self) -> str:
        """The side of the target: `left` or `right`. Raises Misconfigured."""
        return self.connection.side(self.flow.target)

    @property
    def settings(self) -> dict[str, Any]:
        """The flow's settings on this connection, with the flow's defaults."""
        return self.flow.settings_for(self.connection.row.settings)

    @property
    def keys(self) -> RecordKeys:
        """How the flow names its records."""
        return record_keys.of(self.flow, self.source_side, self.target_side)


class Engine:
    """The dependencies of every step. Created once per process, after its fork."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        flows: Mapping[str, Flow],
        *,
        connect: Callable[[Endpoint], Connector],
        send: Callable[[Chain], None],
        broken: Mapping[str, BrokenFlow] | None = None,
        limits: Limits | None = None,
        meter: Meter | None = None,
        breakers: Breakers | None = None,
        queued: Callable[[Lane], int | None] = lambda _: None,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        """Put the engine together.

        `broken`: flows that are disabled, by name; none of `flows`. `queued`: how many chains of a lane wait for a worker;
        None if unknown. `is_ending`: whether this process is shutting down; steps then release the records that they have
        not started.
        """
        self.store = store
        self.vault = vault
        self.flows = flows
        self.broken = broken or {}
        self.limits = limits or Limits()
        self.send = send
        self.meter = meter
        self.breakers = breakers
        self.queued = queued
        self.is_ending = is_ending
        self._connect = connect
        self._connectors: dict[int, tuple[object, Connector]] = {}
        self._connections: dict[int, tuple[float, Connection]] = {}
        self._probed: dict[int, float] = {}
        self._pace_s: dict[str, float] = {}

    def connection(self, connection_id: int) -> Connection:
        """The connection with its connectors; its row is cached for `RELOAD_S`. Raises Misconfigured, Transient."""
        cached = self._connections.get(connection_id)
        if cached and clock.monotonic() - cached[0] < RELOAD_S:
            return cached[1]
        stored = self.unconnected(connection_id)
        connectors = {side: self.connector(endpoint) for side, endpoint in stored.endpoints.items()}
        connection = replace(stored, connectors=connectors)
        self._connections[connection_id] = (clock.monotonic(), connection)
        return connection

    def unconnected(self, connection_id: int) -> Connection:
        """The connection as it is stored, without connectors: for what reads the store alone. Raises Transient."""
        with self.store.read() as session:
            row = session.get_one(m.ConnectionRow, connection_id)
            left, right = session.get_one(m.Endpoint, row.left_id), session.get_one(m.Endpoint, row.right_id)
        return Connection(row, {"left": left, "right": right}, {})

    def connector(self, row: m.Endpoint) -> Connector:
        """The connector of an endpoint; created again when the endpoint's settings change. Raises Misconfigured."""
        settings = dict(row.settings)
        known = self._connectors.get(row.id)
        if known and known[0] == settings:
            return known[1]
        from syncengine.connectors.base import Endpoint

        connector = self._connect(Endpoint(row.id, row.name, row.system, settings))
        if connector.longest_call_s > self.limits.call_s:
            connector.close()
            raise Misconfigured(
                f"endpoint {row.name}: a call may take {connector.longest_call_s:g} s, but SYNCENGINE_CALL_S is "
                f"{self.limits.call_s:g}",
                "Shorten the endpoint's time-outs, or raise SYNCENGINE_CALL_S and the lease",
            )
        self._connectors[row.id] = (settings, connector)
        return connector

    def flow(self, name: str) -> Flow:
        """A flow by name. Raises Misconfigured, also if it is disabled."""
        try:
            return self.flows[name]
        except KeyError:
            if name in self.broken:
                raise Misconfigured(str(self.broken[name]), self.broken[name].remedy) from None
            known = ", ".join(sorted(self.flows)) or "none"
            raise Misconfigured(f"there is no flow {name!r}", f"Known flows: {known}") from None

    def head(self, name: str) -> FlowHead:
        """What a flow is, apart from its mapping: fast, since nothing is compiled. Raises as `flow`."""
        known = self.flows
        return known.head(name) if isinstance(known, Flows) and name in known else self.flow(name)

    def keys_of(self, record: m.Record) -> RecordKeys:
        """How a record's flow names its records. Makes no connector. Raises Misconfigured, Transient."""
        flow, connection = self.head(record.flow), self.unconnected(record.connection_id)
        return record_keys.of(flow, connection.side(flow.source), connection.side(flow.target))

    def route(self, connection_id: int, flow: str) -> Route:
        """A flow on a connection. Raises Misconfigured, Transient."""
        return Route(self, self.flow(flow), self.connection(connection_id))

    def route_of(self, record: m.Record) -> Route:
        """The flow and connection of a record. Raises Misconfigured, Transient."""
        return self.route(record.connection_id, record.flow)

    def connections(self, flow: str | None = None, name: str | None = None) -> list[m.ConnectionRow]:
        """The connections by name: all, those with `flow`, or the one of `name`. Raises Misconfigured if `name` is unknown."""
        with self.store.read() as session:
            found = list(session.scalars(select(m.ConnectionRow).order_by(m.ConnectionRow.name)))
        if name is not None:
            known = ", ".join(connection.name for connection in found) or "none, run `syncengine configure`"
            found = [connection for connection in found if connection.name == name]
            if not found:
                raise Misconfigured(f"there is no connection {name!r}", f"Known connections: {known}")
        return [connection for connection in found if flow is None or flow in connection.flows]

    def rest(self, endpoint_id: int, *, for_s: float, because: str, now: datetime) -> None:
        """Pause an endpoint for `for_s` seconds from `now`; the pump claims none of its records until then.

        An existing pause that lasts longer is kept.
        """
        with self.store.write() as session:
            endpoint = session.get_one(m.Endpoint, endpoint_id)
            until = now + timedelta(seconds=for_s)
            if endpoint.paused_until is None or endpoint.paused_until < until:
                endpoint.paused_until, endpoint.paused_because = until, because
                endpoint.paused_by, endpoint.is_paused_by_person = "", False

    def note_probe(self, endpoint_id: int) -> None:
        """Note that an endpoint has just accepted a probe, a call made to find out whether it accepts calls."""
        self._probed[endpoint_id] = clock.monotonic()

    def was_probed(self, endpoint_id: int, *, within_s: float) -> bool:
        """True if the endpoint accepted a probe of this process within the last `within_s` seconds."""
        at = self._probed.get(endpoint_id)
        return at is not None and clock.monotonic() - at < within_s

    def note_pace(self, resource: str, seconds: float) -> None:
        """Note how long a write of a resource took; recent writes count most."""
        self._pace_s[resource] = (self._pace_s.get(resource, seconds) + seconds) / 2

    def pace_s(self, resource: str) -> float:
        """The expected seconds of a write of a resource, from recent writes of this process; at least 0.01."""
        return max(self._pace_s.get(resource, USUAL_WRITE_S), 0.01)

    def is_down(self, endpoint: str) -> bool:
        """True while the breaker of this endpoint (by name) is open."""
        state = self.breakers.state(endpoint) if self.breakers is not None else None
        return state is not None and state.is_open

    def count_call(self, endpoint: str, flow: str, lane: str, operation: str, took_s: float) -> None:
        """Count a call for its endpoint, flow and lane, if calls are counted (`syncengine budget`)."""
        if self.meter is not None:
            self.meter.count(endpoint=endpoint, flow=flow, lane=lane, operation=operation, took_s=took_s)

    def flush_calls(self) -> None:
        """Publish the counted calls at the end of a step or a feed."""
        if self.meter is not None:
            self.meter.tell()

    def close(self) -> None:
        """Close the connectors and the store."""
        for _, connector in self._connectors.values():
            connector.close()
        self._connectors.clear()
        self.flush_calls()
        self.store.close()


@contextmanager
def calling(endpoint: m.Endpoint) -> Iterator[None]:
    """Add the endpoint to every error that a call to it raises, so that the step knows which endpoint to pause."""
    try:
        yield
    except DatabaseAway:  # our own database, not the endpoint
        raise
    except SyncError as error:
        error.endpoint_id = endpoint.id
        error.endpoint = endpoint.name
        raise


def chunks(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    """Consecutive slices of at most `size` items."""
    return (items[start : start + size] for start in range(0, len(items), size))

"""The systems: is the configuration whole, can each endpoint be called, are its credentials taken, do all clocks agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import redis
from redis.exceptions import RedisError
from sqlalchemy import func, select

from syncengine import clock
from syncengine.engine.core import observe_mode
from syncengine.engine.core.engine import Engine
from syncengine.engine.doctor.finding import Finding, fail, misconfigured, ok, warn
from syncengine.engine.traffic import endpoints
from syncengine.errors import AuthenticationFailed, DatabaseAway, EndpointDown, Forbidden, Misconfigured, SyncError
from syncengine.http import dates
from syncengine.http.breaker import BreakerState
from syncengine.store import Store
from syncengine.store.models import Endpoint

LITTLE_SKEW_S, GREAT_SKEW_S = 2.0, 30.0
SET_UP = "Write syncengine.yml (docs/syncengine.example.yml) and run `syncengine configure`"


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of calling an endpoint: what it said, or why it cannot be used; skew_s: how far its clock is ahead."""

    says: str
    error: SyncError | None = None
    skew_s: float | None = None


def reach(engine: Engine) -> Iterator[tuple[str, Reached]]:
    """Call every endpoint of every connection with its credentials, one after the other. Raises Transient."""
    seen: set[str] = set()
    for row in engine.connections():
        try:
            connection = engine.connection(row.id)
        except Misconfigured as error:
            yield row.name, Reached(str(error), error)
            continue
        for side, endpoint in connection.endpoints.items():
            if endpoint.name not in seen:
                seen.add(endpoint.name)
                with dates.watched() as skews:
                    try:
                        says, trouble = connection.connectors[side].check(), None
                    except DatabaseAway:  # a call takes its seat there: it says nothing of the endpoint
                        raise
                    except SyncError as error:
                        says, trouble = error.says, error
                yield endpoint.name, Reached(says, trouble, skews.get(endpoint.name))


def configuration(engine: Engine) -> Iterator[Finding]:
    """Endpoints, connections and their flows, as they stand in the store. Raises Transient."""
    connections = engine.connections()
    if not connections:
        yield warn("connections", "there is none yet", SET_UP)
        return
    for connection in connections:
        part = f"connection {connection.name}"
        unknown = [name for name in connection.flows if name not in engine.flows]
        if unknown:
            remedy = (
                "Put the flow's file back into flows.d, or take it out of the connection and run `syncengine configure`"
            )
            yield fail(part, f"there is no flow {', '.join(unknown)}", remedy)
            continue
        try:
            engine.connection(connection.id)
        except Misconfigured as error:
            yield misconfigured(part, error)
            continue
        if not connection.flows:
            yield ok(part, "not synced: it has no flows in syncengine.yml")
        elif connection.mode == observe_mode.GOING_LIVE:
            yield warn(
                part, "going live was interrupted, or is not finished", "Run `syncengine configure` to finish it"
            )
        else:
            mode = f"{connection.mode}: it writes nothing" if connection.mode == observe_mode.MODE else connection.mode
            yield ok(part, f"{mode}; flows {', '.join(connection.flows)}")


def called(engine: Engine, skews: dict[str, float]) -> Iterator[Finding]:
    """Whether each endpoint may be called, and answers when it is; its clock is put into `skews`. Raises Transient."""
    resting = {finding.part: finding for finding in at_rest(engine)}
    yield from resting.values()
    for name, reached in reach(engine):
        part = f"endpoint {name}"
        if part in resting:
            continue
        if reached.error is None:
            if reached.skew_s is not None:
                skews[name] = reached.skew_s
            yield ok(part, reached.says)
        else:
            yield fail(part, reached.says, _remedy(name, reached.error))


def at_rest(engine: Engine) -> Iterator[Finding]:
    """Endpoints that are not called now, without calling them. Raises Transient."""
    now, states = clock.now(), endpoints.breakers(engine)
    with engine.store.read() as session:
        found = session.scalars(select(Endpoint).order_by(Endpoint.name)).all()
    for endpoint in found:
        part = f"endpoint {endpoint.name}"
        state = states.get(endpoint.name)
        if endpoints.is_paused(endpoint, now) and endpoint.is_paused_by_person:
            yield ok(part, endpoints.why(endpoint, state or BreakerState(), now))
        elif endpoints.is_paused(endpoint, now):
            says = f"it refuses its credentials and rests until {endpoint.paused_until:%H:%M:%S} UTC: {endpoint.paused_because}"
            yield fail(part, says, _remedy(endpoint.name, AuthenticationFailed("")))
        elif state is not None and state.is_open:
            yield fail(part, f"it is down: {state.why}", _remedy(endpoint.name, EndpointDown("")))


def _remedy(name: str, error: SyncError) -> str:
    if isinstance(error, Misconfigured):
        return "Correct syncengine.yml and run `syncengine configure`"
    if isinstance(error, AuthenticationFailed):
        return (
            "Correct its credentials in syncengine.yml or the environment, run `syncengine configure`, then "
            f"`syncengine endpoints resume {name}`"
        )
    if isinstance(error, Forbidden):
        return f"Check what the credentials of {name} may do there, and any firewall or access rule in between"
    return f"See whether {name} runs and can be reached from this host; its records go on by themselves when it is back"


# -- clocks ------------------------------------------------------------------------------------------------------------


def clocks(store: Store, client: redis.Redis | None, skews: Mapping[str, float]) -> Finding:
    """Whether the clocks of this host, Redis, the database and the systems agree. Raises Transient."""
    all_ = {"Redis": _redis_skew(client), "the database": _database_skew(store), **skews}
    known = {name: skew for name, skew in all_.items() if skew is not None}
    if not known:
        return ok("clocks", "there is only this host's")
    name = max(known, key=lambda one: abs(known[one]))
    skew = known[name]
    if abs(skew) <= LITTLE_SKEW_S:
        return ok("clocks", f"{', '.join(known)} and this host agree within {LITTLE_SKEW_S:g} s")
    says = f"{name} is {abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} this host"
    others = [other for other, by in known.items() if abs(by - skew) <= LITTLE_SKEW_S and other != name]
    if others or len(known) == 1:
        says += f" (and so is {', '.join(others)}: it is this host's clock)" if others else ""
    remedy = "Run NTP on all hosts: leases, cut-over and settle times are compared by their clocks"
    return fail("clocks", says, remedy) if abs(skew) > GREAT_SKEW_S else warn("clocks", says, remedy)


def _redis_skew(client: redis.Redis | None) -> float | None:
    if client is None:
        return None
    before = clock.now().timestamp()
    try:
        seconds, micros = client.time()
    except RedisError:
        return None  # said already
    return seconds + micros / 1e6 - (before + clock.now().timestamp()) / 2


def _database_skew(store: Store) -> float | None:
    """None for SQLite, which has this host's clock."""
    if store.is_sqlite:
        return None
    with store.read() as session:
        session.scalar(select(1))  # the connection is open, and what follows takes one round trip
        before = clock.now().timestamp()
        said: datetime | None = session.scalar(select(func.clock_timestamp()))
        after = clock.now().timestamp()
    return said.timestamp() - (before + after) / 2 if said is not None else None

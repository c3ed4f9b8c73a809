"""The systems: is the configuration complete, does each endpoint answer and accept its credentials, do all clocks agree?"""

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
from syncengine.http.breaker_state import BreakerState
from syncengine.store import Store
from syncengine.store.models import Endpoint

LITTLE_SKEW_S, GREAT_SKEW_S = 2.0, 30.0
SET_UP = "Write syncengine.yml (`syncengine init`) and run `syncengine configure`"


@dataclass(frozen=True, slots=True)
class Reached:
    """The result of calling an endpoint.

    says: its answer, or why it cannot be used. error: None if it can. skew_s: seconds by which its clock is ahead of ours, None
    if its answer had no date.
    """

    says: str
    error: SyncError | None = None
    skew_s: float | None = None


def reach(engine: Engine) -> Iterator[tuple[str, Reached]]:
    """Call each endpoint of every connection once, with its credentials, one after the other.

    Yields the endpoint's name and the result; of a connection that cannot be opened, the connection's name and the error.
    Raises Transient.
    """
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
                        says, failure = connection.connectors[side].try_credentials(), None
                    except DatabaseAway:  # a call takes its seat in the database: this says nothing about the endpoint
                        raise
                    except SyncError as error:
                        says, failure = error.says, error
                yield endpoint.name, Reached(says, failure, skews.get(endpoint.name))


def configuration(engine: Engine) -> Iterator[Finding]:
    """Flows that are disabled, then each connection in the store, with its flows and endpoints. Raises Transient."""
    for broken in engine.broken.values():
        yield fail(f"flow {broken.name}", f"disabled: {broken.error.says}", broken.remedy)
    connections = engine.connections()
    if not connections:
        yield warn("connections", "none is configured yet", SET_UP)
        return
    for connection in connections:
        part = f"connection {connection.name}"
        unknown = [name for name in connection.flows if name not in engine.flows and name not in engine.broken]
        if unknown:
            remedy = "Restore the flow's file in flows.d, or remove the flow from the connection and run `syncengine configure`"
            yield fail(part, f"unknown flow {', '.join(unknown)}", remedy)
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
                part, "going live was interrupted or has not finished", "Run `syncengine configure` to finish it"
            )
        else:
            mode = f"{connection.mode}: it writes nothing" if connection.mode == observe_mode.MODE else connection.mode
            yield ok(part, f"{mode}; flows {', '.join(connection.flows)}")


def called(engine: Engine, skews: dict[str, float], answered: set[str]) -> Iterator[Finding]:
    """Whether each endpoint can be called. Those that are down or paused are left out.

    Adds the skew of each endpoint's clock, in seconds, to `skews`, and the names of those that can be called to `answered`.
    Raises Transient.
    """
    resting = {finding.endpoint: finding for finding in at_rest(engine)}
    yield from resting.values()
    for name, reached in reach(engine):
        part = f"endpoint {name}"
        if name in resting:
            continue
        if reached.error is None:
            answered.add(name)
            if reached.skew_s is not None:
                skews[name] = reached.skew_s
            yield ok(part, reached.says, endpoint=name)
        else:
            yield fail(part, reached.says, _remedy(name, reached.error), endpoint=name)


def at_rest(engine: Engine) -> Iterator[Finding]:
    """Endpoints that are down or paused, found without calling any. Raises Transient."""
    now, states = clock.now(), endpoints.breakers(engine)
    with engine.store.read() as session:
        found = session.scalars(select(Endpoint).order_by(Endpoint.name)).all()
    for endpoint in found:
        name = endpoint.name
        part, state = f"endpoint {name}", states.get(name)
        if endpoints.is_paused(endpoint, now) and endpoint.is_paused_by_person:
            yield ok(part, endpoints.why(endpoint, state or BreakerState(), now), endpoint=name)
        elif endpoints.is_paused(endpoint, now):
            says = f"credentials refused; paused until {endpoint.paused_until:%H:%M:%S} UTC: {endpoint.paused_because}"
            yield fail(part, says, _remedy(name, AuthenticationFailed("")), endpoint=name)
        elif state is not None and state.is_open:
            yield fail(part, f"down: {state.why}", _remedy(name, EndpointDown("")), endpoint=name)


def _remedy(name: str, error: SyncError) -> str:
    if isinstance(error, Misconfigured):
        return error.remedy or "Correct syncengine.yml and run `syncengine configure`"
    if isinstance(error, AuthenticationFailed):
        return (
            "Correct its credentials in syncengine.yml or .env and run `syncengine configure`, which resumes it. If they are "
            f"right, run `syncengine endpoints resume {name}`"
        )
    if isinstance(error, Forbidden):
        return f"Check the permissions of the credentials for {name}, and any firewall or access rule in between"
    return f"Check that {name} is running and reachable from this host. Its records resume automatically"


# -- clocks ------------------------------------------------------------------------------------------------------------


def clocks(store: Store, client: redis.Redis | None, skews: Mapping[str, float]) -> Finding:
    """Whether the clocks of this host, Redis, the database and the systems agree. Raises Transient."""
    all_ = {"Redis": _redis_skew(client), "the database": _database_skew(store), **skews}
    known = {name: skew for name, skew in all_.items() if skew is not None}
    if not known:
        return ok("clocks", "only this host's clock is known")
    name = max(known, key=lambda clock_name: abs(known[clock_name]))
    skew = known[name]
    if abs(skew) <= LITTLE_SKEW_S:
        return ok("clocks", f"{', '.join(known)} and this host agree within {LITTLE_SKEW_S:g} s")
    says = f"{name} is {clock.spell(abs(skew))} {'ahead of' if skew > 0 else 'behind'} this host"
    others = [other for other, by in known.items() if abs(by - skew) <= LITTLE_SKEW_S and other != name]
    if others:
        says += f" (and so is {', '.join(others)}: this host's clock is wrong)"
    remedy = "Run NTP on all hosts: leases, cut-over dates and settle times depend on their clocks"
    return fail("clocks", says, remedy) if abs(skew) > GREAT_SKEW_S else warn("clocks", says, remedy)


def _redis_skew(client: redis.Redis | None) -> float | None:
    if client is None:
        return None
    before = clock.now().timestamp()
    try:
        seconds, micros = client.time()
    except RedisError:
        return None  # reported already
    return seconds + micros / 1e6 - (before + clock.now().timestamp()) / 2


def _database_skew(store: Store) -> float | None:
    """None for SQLite, which uses this host's clock."""
    if store.is_sqlite:
        return None
    with store.read() as session:
        session.scalar(select(1))  # opens the connection, so that the next query takes one round trip
        before = clock.now().timestamp()
        its_now: datetime | None = session.scalar(select(func.clock_timestamp()))
        after = clock.now().timestamp()
    return its_now.timestamp() - (before + after) / 2 if its_now is not None else None

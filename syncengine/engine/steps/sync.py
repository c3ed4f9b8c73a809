"""A sync by hand or by schedule: which connections, which objects, and one line with the result."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.engine.core import records
from syncengine.engine.core.call_context import on_account_of
from syncengine.engine.core.engine import Engine, chunks
from syncengine.engine.core.want import MOST_WOKEN, want
from syncengine.engine.steps.discover import Found, discover, due_connections
from syncengine.engine.steps.pump import pump
from syncengine.engine.steps.sweep import sweep
from syncengine.engine.traffic import endpoints
from syncengine.engine.writes.link_keys import keys_named
from syncengine.errors import Misconfigured, SyncError, Throttled
from syncengine.store.models import Record, Run
from syncengine.store.states import Lane

log = logging.getLogger(__name__)

PATIENCE_S = 70.0
"""The longest wait for a quota that a sync by hand sleeps: more than a window. A scheduled one is retried (`Waiting`)."""

MOST_RETRIES = 4  # by then the next tick is near


@dataclass(frozen=True, slots=True)
class Request:
    """What to sync.

    Attributes:
        connection: its name; None for every connection that has the flow (by schedule: every one that is due).
        since: read the feeds from this time (UTC).
        ids: keys of the source. If given, no feed is read, and both sides are compared even if the source is unchanged.
        trigger: `schedule`, `again` (retried after a wait), or `call` (a person).
    """

    flow: str
    connection: str | None = None
    since: datetime | None = None
    ids: tuple[str, ...] = ()
    trigger: str = "call"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The quota of a connection is used up: reading its feeds can continue in `retry_in_s` seconds."""

    connection: str
    retry_in_s: float
    because: str

    def __str__(self) -> str:
        return f"{self.connection}: {self.because}"


def run(engine: Engine, request: Request) -> str:
    """Want what the request names, or what its feeds report as changed; returns a line such as `run 42: 120 found`.

    A connection that fails stops no other. Raises Misconfigured for unknown names.
    """
    return line(start(engine, request))


def line(results: Sequence[Found | Waiting | str]) -> str:
    """The result of a sync in a line, as Flower shows it."""
    return "; ".join(str(result) for result in results) or "nothing due"


def to_retry(results: Sequence[Found | Waiting | str], request: Request, retries: int) -> list[Waiting]:
    """Connections for which a message must be sent again after their wait: none if a person runs it, or after four retries."""
    if request.trigger == "call" or retries >= MOST_RETRIES:
        return []
    return [result for result in results if isinstance(result, Waiting)]


def start(engine: Engine, request: Request) -> list[Found | Waiting | str]:
    """As `run`, with one result per connection: what its run found, its wait, or what went wrong."""
    results: list[Found | Waiting | str] = []
    resting = {} if request.ids else endpoints.at_rest(engine)
    for connection_id, name in _connections(engine, request, resting):
        if connection_id in resting:
            results.append(f"{name}: {resting[connection_id]}")
            continue
        try:
            results.append(_sync_connection(engine, request, connection_id))
            if _may_sweep(engine, request, connection_id) and (swept := sweep(engine, connection_id, request.flow)):
                results.append(f"sweep, {swept}")
        except Misconfigured:
            raise
        except Throttled as busy:
            log.info("%s of %s waits: %s", request.flow, name, busy)
            results.append(Waiting(name, busy.retry_in_s, str(busy)))
        except SyncError as error:
            log.warning("%s of %s: %s", request.flow, name, error)
            results.append(f"{name}: {error}")
        pump(engine)
    return results


def _may_sweep(engine: Engine, request: Request, connection_id: int) -> bool:
    """By schedule. A person who syncs all of a flow that is first loaded by a sweep need not wait for the schedule."""
    by_pages = engine.route(connection_id, request.flow).source.has_pages
    return request.trigger != "call" or (by_pages and not request.ids)


def _connections(engine: Engine, request: Request, resting: Collection[int]) -> list[tuple[int, str]]:
    """Id and name of the requested connections; by schedule those that are due, and those at rest, which keep their turn."""
    engine.flow(request.flow)
    found = engine.connections(request.flow, request.connection)
    if request.connection is not None and not found:
        raise Misconfigured(
            f"connection {request.connection!r} does not have the flow {request.flow!r}", "Add it in syncengine.yml"
        )
    by_schedule = request.trigger == "schedule"
    due = set(due_connections(engine, request.flow, but=resting)) if by_schedule else None
    return [(row.id, row.name) for row in found if due is None or row.id in due or row.id in resting]


def _sync_connection(engine: Engine, request: Request, connection_id: int) -> Found:
    if not request.ids:
        lane = Lane.SCHEDULED if request.since is None else Lane.BACKFILL
        with on_account_of(engine, request.flow, lane):
            return discover(
                engine,
                connection_id,
                request.flow,
                trigger=request.trigger,
                lane=lane,
                since=request.since,
                patience_s=PATIENCE_S if request.trigger == "call" else 0.0,
            )
    keys = record_keys(engine, request, connection_id)
    about = {"connection_id": connection_id, "flow": request.flow, "trigger": request.trigger, "lane": Lane.REALTIME}
    now = clock.now()
    with engine.store.write() as session:  # one transaction: a person waits for these
        run = Run(**about, started_at=now, finished_at=now)
        session.add(run)
        session.flush()
        run.found = want(session, connection_id, request.flow, keys, lane=Lane.REALTIME, now=now, run_id=run.id)
        _compare_in_full(session, connection_id, request.flow, keys)
    return Found(run.id, run.found, 0)


def _compare_in_full(session: Session, connection_id: int, flow: str, keys: Sequence[str]) -> None:
    """Whoever names an object wants both sides compared, even if nothing has changed at the source."""
    for chunk in chunks(keys, MOST_WOKEN):
        mine = (Record.connection_id == connection_id, Record.flow == flow, Record.key.in_(chunk))
        records.forget_last(session, session.scalars(select(Record.id).where(*mine)).all())


def record_keys(engine: Engine, request: Request, connection_id: int) -> list[str]:
    """The keys of the records that the request's ids refer to in a connection. Raises Misconfigured."""
    route = engine.route(connection_id, request.flow)
    with engine.store.read() as session:
        return list(dict.fromkeys(key for id_ in request.ids for key in keys_named(session, route, id_)))

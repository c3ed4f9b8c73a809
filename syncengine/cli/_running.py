"""Are processes running? Before a store is migrated none may, and without them nothing is synced."""

from __future__ import annotations

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.engine.watch import health
from syncengine.errors import Misconfigured
from syncengine.local import redis_server
from syncengine.settings import Settings
from syncengine.store import Store, migrate

ANSWER_S = 2.0
"""How long to wait for answers from the workers and beat of all hosts."""


def why_idle(engine: Engine, current: Settings, redis_problem: Misconfigured | None) -> str:
    """Why nothing is synced now, with a remedy, in one line; empty if the processes are running. Raises Transient.

    redis_problem: why Redis cannot be used, None if it answers.
    """
    if redis_server.is_stopped(current):
        return "No process is running, so nothing is synced. Start them with `syncengine up`."
    if redis_problem is not None:
        return f"Nothing is synced now: {redis_problem}."
    ran = health.last(engine, health.PUMP)
    if ran is None:
        return "No process has run yet, so nothing is synced. Start them with `syncengine up` (docs/processes.md)."
    idle_s = (clock.now() - ran).total_seconds()
    if idle_s <= current.stalled_s:
        return ""
    return f"Nothing has run for {clock.spell(idle_s)}, so nothing is synced. `syncengine health` says what to do."


def in_the_way(settings: Settings) -> list[str]:
    """Processes that use a store that is about to be migrated, a line for each; empty if no migration is due.

    Raises Misconfigured if the store is newer than this version, Transient.
    """
    store = Store(settings.database_url)
    try:
        return [*_answering(settings), *migrate.at_work(store)] if migrate.is_due(store) else []
    finally:
        store.close()


def _answering(settings: Settings) -> list[str]:
    """Workers and beats that answer through the installation's Redis. Without Redis they do nothing."""
    if not redis_server.is_known(settings):
        return []
    try:
        redis_server.answering_address(settings, patience_s=ANSWER_S)
    except Misconfigured as error:
        return [f"cannot check whether workers are running: {error}"] if settings.redis_url is not None else []
    from syncengine.celery import app

    return sorted(f"{name} is running" for reply in app.control.ping(timeout=ANSWER_S) for name in reply)

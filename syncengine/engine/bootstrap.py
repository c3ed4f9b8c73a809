"""Where everything is put together, from settings. Tests build an `Engine` from their own parts instead."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import redis

from syncengine import connectors
from syncengine.connectors.base import Connector, Endpoint
from syncengine.connectors.services import Services
from syncengine.engine.engine import Chain, Engine, Limits
from syncengine.flows import SHIPPED, Flow, load_flows
from syncengine.http.limiter import Limiter
from syncengine.http.meter import Meter
from syncengine.settings import Settings
from syncengine.store import Store, migrate
from syncengine.store.states import Lane
from syncengine.vault import Vault


def flows(settings: Settings) -> dict[str, Flow]:
    """The flows that ship, and the site's own. Raises Misconfigured, with file and line."""
    folders: list[Path] = [SHIPPED]
    if settings.flows_path is not None:
        folders.append(settings.flows_path)
    return load_flows(folders, connectors.resources())


def open_store(settings: Settings) -> Store:
    """The store, checked to be at the newest revision. Raises Misconfigured, Transient."""
    store = Store(settings.database_url)
    migrate.check(store)
    return store


def engine(settings: Settings, *, send: Callable[[Chain], None], redis_client: redis.Redis | None) -> Engine:
    """The engine of this process; make it after the fork. Raises Misconfigured, Transient.

    `redis_client` is for the limiter; None for a command that makes no call.
    """
    store = open_store(settings)
    vault = Vault(store, settings.keys)
    lent = services(store, vault, redis_client)

    def connect(endpoint: Endpoint) -> Connector:
        return connectors.connect(endpoint, lent)

    meter = Meter(redis_client) if redis_client is not None else None
    return Engine(store, vault, flows(settings), connect=connect, send=send, limits=limits(settings), meter=meter)


def services(store: Store, vault: Vault, redis_client: redis.Redis | None) -> Services:
    """What connectors are lent. Without a Redis they can be made and asked, and any call to a limited system is refused."""
    client = redis_client if redis_client is not None else redis.Redis(unix_socket_path=os.devnull)
    return Services(store, vault, Limiter(client), client)


def limits(settings: Settings) -> Limits:
    """The engine's figures, from settings."""
    return Limits(
        lease_s=settings.lease_s,
        step_s=settings.step_limit_s,
        fresh_s=settings.fresh_s,
        retry_s=settings.retry_max_s,
        backoff_s=settings.backoff_max_s,
        hold_again_s=settings.recheck_s,
        deaths=settings.max_deaths,
        chains={
            Lane.REALTIME: settings.realtime_workers,
            Lane.SCHEDULED: settings.workers,
            Lane.BACKFILL: settings.workers,
        },
    )

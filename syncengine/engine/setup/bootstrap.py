"""Assembles all parts of a process from its settings. Tests build an `Engine` from their own parts instead.

What only some processes need is imported where it is made: a command that reads the store neither calls nor watches.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.engine import make_url

from syncengine import connectors, keys
from syncengine.engine.core.engine import Chain, Engine, Limits
from syncengine.errors import Misconfigured
from syncengine.flows import SHIPPED, Flow, Flows, ShippedFlows
from syncengine.settings import Settings
from syncengine.store import Store, migrate
from syncengine.store.models import ConnectionRow, Installed, Link, Payload, Secret
from syncengine.store.states import Lane
from syncengine.vault import Vault

if TYPE_CHECKING:
    import redis

    from syncengine.connectors.base import Connector, Endpoint
    from syncengine.connectors.services import Services
    from syncengine.engine.upkeep.retention import Kept
    from syncengine.engine.watch.rule import Thresholds
    from syncengine.engine.watch.watcher import Watcher
    from syncengine.http.breaker import Breakers, Rules
    from syncengine.http.breaker_state import Hook


def flows(settings: Settings) -> Flows:
    """The shipped flows, and the site's own if `settings` finds them. A flow whose file is wrong is disabled."""
    return _load(settings.flows_path)


def _load(folder: Path | None) -> Flows:
    if folder is None:
        return ShippedFlows(SHIPPED, lambda: compiled_flows([SHIPPED]))
    return compiled_flows([SHIPPED, folder])


def compiled_flows(folders: Sequence[Path]) -> Flows:
    """The flows of these folders, as `load_sound_flows`. Raises Misconfigured."""
    from syncengine.flows.loader import load_sound_flows

    return load_sound_flows(folders, connectors.resources())


def flows_to_install(settings: Settings, store: Store) -> tuple[Flows, str]:
    """The flows that `configure` would install now, and the absolute path of the site's own folder, empty if it has none.

    If `settings` find no folder, the one installed before is used: a `flows.d` outside the working folder is not lost. A flow
    whose file is wrong is disabled. Raises Misconfigured, Transient.
    """
    with store.read() as session:
        row = session.scalars(select(Installed)).first()
    folder = settings.flows_path
    if folder is None:
        folder = Path(row.flows_folder) if row is not None and row.flows_folder else None
    if folder is not None and not folder.is_dir():
        raise Misconfigured(
            f"the folder {folder} with the site's own flows does not exist",
            "Restore it, or set SYNCENGINE_FLOWS to the folder with your flows (an empty folder if you have none)",
        )
    return _without_lost(_load(folder), row), str(folder or "")


def installed_flows(settings: Settings, store: Store) -> Flows:
    """The shipped flows, and the site's own from the folder that `configure` has installed: the same for every process.

    An edit of one of these files takes effect when a process starts. A flow whose file is wrong is disabled. If the folder or
    one of its flows is missing, the shipped flow would silently replace it, so this is refused. `SYNCENGINE_FLOWS` may name
    another folder, for example on another host, if it holds the same flows. Raises Misconfigured, Transient.
    """
    with store.read() as session:
        row = session.scalars(select(Installed)).first()
        used = {name for names in session.scalars(select(ConnectionRow.flows)) for name in names}
    if row is None:  # nothing is configured yet
        return flows(settings)
    stored = Path(row.flows_folder) if row.flows_folder else None
    folder = settings.flows_path if settings.is_flows_path_given else stored
    if folder is not None and not folder.is_dir():
        raise Misconfigured(
            f"the folder {folder} with the site's own flows does not exist",
            "Restore it, or set SYNCENGINE_FLOWS to the folder and run `syncengine configure`",
        )
    known = _without_lost(_load(folder), row)
    if folder is None and stored is None and not row.own_flows:
        return known
    own = {name: flow.version for name, flow in known.items() if flow.is_own}
    installed = {name: version for name, version in row.own_flows.items() if name not in known.broken}
    if folder != stored and own != installed:
        raise Misconfigured(
            f"SYNCENGINE_FLOWS = {str(folder)!r} has other flows than {stored or 'the shipped ones'}, which "
            "`syncengine configure` has installed",
            "Use the same flows, or run `syncengine configure`",
        )
    if changed := sorted(set(installed) - set(own)) or sorted((set(own) - set(installed)) & used):
        has = "has" if changed[0] in own else "no longer has"
        raise Misconfigured(
            f"{folder} {has} the flow {changed[0]}, unlike when it was installed",
            "Restore its files, or run `syncengine configure`",
        )
    return known


def _without_lost(known: Flows, row: Installed | None) -> Flows:
    """The flows without those that the site had replaced, if the file that did so may be one whose flow nobody can read."""
    unnamed = next((broken for broken in known.broken.values() if not broken.is_named), None)
    if unnamed is None or row is None:
        return known
    own = {name for name, flow in known.items() if flow.is_own}
    lost = {name: replace(unnamed, name=name) for name in row.own_flows if name not in own and name not in known.broken}
    return Flows({name: flow for name, flow in known.items() if name not in lost}, {**known.broken, **lost})


def open_store(settings: Settings) -> Store:
    """The store, which must exist and be at the newest revision. Raises Misconfigured, Transient."""
    if settings.database_url.startswith("sqlite"):
        _check_file(make_url(settings.database_url).database or "")
    store = Store(settings.database_url)
    migrate.check(store)
    store.hold_to(migrate.newest())
    return store


def check_flows(store: Store, known: Mapping[str, Flow]) -> None:
    """Refuse flow files under which a connection would create everything a second time. Raises Misconfigured, Transient."""
    from syncengine.engine.setup import continuity

    with store.read() as session:
        continuity.check_installed(session, known)


def _check_file(database: str) -> None:
    """Raises Misconfigured if the file does not exist: connecting would create an empty one."""
    if not Path(database).exists():
        raise Misconfigured(
            f"there is no installation yet: the database {database} does not exist",
            "Run `syncengine up`, or `syncengine migrate` for the database alone. If the installation is elsewhere, correct "
            "SYNCENGINE_HOME or DATABASE_URL",
        )


def open_vault(settings: Settings, store: Store) -> Vault:
    """The store's vault. Creates a missing key file, but never for a store that was sealed with a lost key.

    Raises Misconfigured, Transient.
    """
    if not settings.given_keys and not settings.key_file.exists():
        if _is_sealed(store):
            raise Misconfigured(
                f"the key file {settings.key_file} is missing, and a new key could not decrypt what is stored",
                "Restore it from your copy (docs/operate/keys.md), or set SYNCENGINE_KEYS to its content",
            )
        if settings.may_make_key:
            keys.make(settings.key_file)
    return Vault(store, settings.keys, file=None if settings.given_keys else settings.key_file)


def _is_sealed(store: Store) -> bool:
    """Whether the store holds anything that only its key can decrypt."""
    with store.read() as session:
        sealed = (select(Secret.id), select(Payload.id), select(Link.id).where(Link.base.is_not(None)))
        return any(session.scalar(rows.limit(1)) is not None for rows in sealed)


def engine(
    settings: Settings,
    *,
    send: Callable[[Chain], None],
    redis_client: redis.Redis | None,
    hooks: Sequence[Hook] = (),
    is_ending: Callable[[], bool] = lambda: False,
) -> Engine:
    """The engine of this process; create it after the fork.

    send: queues a chain. redis_client: for limiter and breakers; None for a command that makes no call. hooks: called when an
    endpoint goes down and when it is back. is_ending: whether the process was asked to end. Raises Misconfigured, Transient.
    """
    store = open_store(settings)
    vault = open_vault(settings, store)
    known = installed_flows(settings, store)
    put_together = functools.partial(
        Engine, store, vault, known, broken=known.broken, send=send, limits=limits(settings), is_ending=is_ending
    )
    if redis_client is None:  # nothing can be sent or called, so the command only reads
        return put_together(connect=_connecting(store, vault, None, None))
    from syncengine.engine.traffic import endpoints
    from syncengine.engine.traffic.queues import Queues
    from syncengine.http.breaker import Breakers
    from syncengine.http.meter import Meter

    check_flows(store, known)
    breakers = Breakers(redis_client, rules(settings), hooks=[endpoints.noting(store), *hooks])
    return put_together(
        connect=_connecting(store, vault, redis_client, breakers),
        meter=Meter(redis_client),
        breakers=breakers,
        queued=Queues(redis_client).waiting,
    )


def _connecting(
    store: Store, vault: Vault, redis_client: redis.Redis | None, breakers: Breakers | None
) -> Callable[[Endpoint], Connector]:
    """Makes the connector of an endpoint; what connectors share is made with the first."""
    lent = functools.cache(functools.partial(services, store, vault, redis_client, breakers))
    return lambda endpoint: connectors.connect(endpoint, lent())


def watcher(settings: Settings, engine: Engine, redis_client: redis.Redis | None) -> Watcher:
    """Evaluates the alert rules and notifies the sinks of the settings. redis_client: None if Redis is not used."""
    from syncengine.alerts import Sinks
    from syncengine.engine.watch.watcher import Watcher

    return Watcher(engine, Sinks(settings.alert_urls), thresholds(settings), client=redis_client)


def thresholds(settings: Settings) -> Thresholds:
    """The thresholds of alerts, from settings."""
    from syncengine.engine.watch.rule import Thresholds

    return Thresholds(
        dead_letters=settings.alert_dead_letters,
        gone=settings.alert_gone,
        window_s=settings.alert_window_s,
        oldest_s=settings.alert_oldest_s,
        waiting_s=settings.alert_waiting_s,
        stalled_s=settings.stalled_s,
        repeat_s=settings.alert_repeat_s,
    )


def kept(settings: Settings) -> Kept:
    """How long finished data is kept, from settings."""
    from syncengine.engine.upkeep.retention import Kept

    return Kept(
        events=settings.keep_events_days,
        writes=settings.keep_writes_days,
        letters=settings.keep_letters_days,
        documents=settings.keep_documents_days,
        runs=settings.keep_runs_days,
        alerts=settings.keep_alerts_days,
    )


def services(
    store: Store, vault: Vault, redis_client: redis.Redis | None, breakers: Breakers | None = None
) -> Services:
    """What connectors may use. Without Redis they can be created, and any call to a rate-limited system is refused."""
    from syncengine.connectors.services import Services
    from syncengine.http.limiter import Limiter

    client = redis_client if redis_client is not None else _no_redis()
    return Services(store, vault, Limiter(client), client, breakers)


def _no_redis() -> redis.Redis:
    """A client that refuses every command at once: nobody listens at its address, and it tries only once."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis(unix_socket_path=os.devnull, retry=Retry(NoBackoff(), 0))


def rules(settings: Settings) -> Rules:
    """When breakers open and for how long, from settings."""
    from syncengine.http.breaker import Rules

    return Rules(
        calls=settings.breaker_calls,
        failing_percent=settings.breaker_percent,
        window_s=settings.breaker_window_s,
        first_s=settings.breaker_first_s,
        most_s=max(settings.breaker_first_s, settings.breaker_most_s),
    )


def limits(settings: Settings) -> Limits:
    """The engine's limits, from settings."""
    return Limits(
        lease_s=settings.lease_s,
        call_s=settings.call_s,
        step_s=settings.step_limit_s,
        fresh_s=settings.fresh_s,
        retry_s=settings.retry_max_s,
        backoff_s=settings.backoff_max_s,
        hold_again_s=settings.recheck_s,
        picture_s=settings.picture_s,
        crashes=settings.max_crashes,
        tries=settings.max_tries,
        sends=settings.max_sends,
        chains={
            Lane.REALTIME: settings.realtime_workers,
            Lane.SCHEDULED: settings.workers,
            Lane.BACKFILL: settings.workers,
        },
    )

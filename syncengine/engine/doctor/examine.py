"""Examines one part after another; a part that depends on a broken one is skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import redis

from syncengine.alerts import Sinks
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.doctor import backlog, broker, database, sites, systems, webhooks
from syncengine.engine.doctor.finding import Finding, Level, fail, misconfigured, warn
from syncengine.engine.setup import bootstrap
from syncengine.errors import DatabaseFull, DatabaseLocked, Misconfigured, Transient
from syncengine.settings import Settings
from syncengine.store import Store
from syncengine.vault import Vault

AWAY = "Start it, or correct DATABASE_URL. Until then nothing is sent, and nothing is lost"
FULL = "Free space on its disk. Until then nothing is sent, and nothing is lost"
LOCKED = "End the process that locks it (a backup, a shell, an import). Until then nothing is sent, and nothing is lost"


@dataclass(frozen=True, slots=True)
class Patient:
    """The installation to examine.

    client: its Redis, None if none is configured. redis_complaint: why it cannot be used, None if it can. left_behind:
    processes of `syncengine up`, described, that still run although their supervisor does not answer. misspelt: a line for
    each variable that no setting reads. open_env: the mode of `.env` if others may read it, else empty.
    """

    settings: Settings
    client: redis.Redis | None
    redis_complaint: Misconfigured | None
    left_behind: tuple[str, ...] = ()
    misspelt: tuple[str, ...] = ()
    open_env: str = ""


def examine(patient: Patient, *, offline: bool = False) -> Iterator[Finding]:
    """Examine every part, and yield each finding as soon as it is known. offline: call no system.

    A part that cannot work because another one is broken (lanes without Redis, systems without the key to their secrets,
    records without a database) is left out.
    """
    yield from _environment(patient)
    if patient.left_behind:
        says = f"running without a supervisor: {', '.join(patient.left_behind)}"
        yield warn("processes", says, "Run `syncengine up`, which stops them first, or `syncengine down`")
    if patient.redis_complaint is not None:
        yield misconfigured("redis", patient.redis_complaint)
    elif patient.client is not None:
        yield from broker.examine(patient.client)
    yield database.space("disk", patient.settings.folder())
    try:
        store = Store(patient.settings.database_url)
    except Misconfigured as error:
        yield misconfigured("database", error)
        return
    try:
        yield from _with_store(patient, store, offline)
    except Transient as error:
        yield fail("database", str(error), _remedy(error))
    except Misconfigured as error:  # a damaged file
        yield misconfigured("database", error)
    finally:
        store.close()


def _environment(patient: Patient) -> Iterator[Finding]:
    for line in patient.misspelt:
        yield warn("settings", line, "Correct the name in .env or in the environment, or remove it")
    if patient.open_env:
        says = f".env has mode {patient.open_env}, so other users of this machine can read its passwords"
        yield warn("settings", says, "Run `chmod 600 .env`")


def _with_store(patient: Patient, store: Store, offline: bool) -> Iterator[Finding]:
    reached = list(database.reach(store))
    yield from reached
    if any(finding.level is not Level.OK for finding in reached):
        return
    yield from database.examine(store)
    try:
        key = database.key(store, Vault(store, replace(patient.settings, may_make_key=False).keys))
    except Misconfigured as error:
        yield misconfigured("key", error)
        return
    yield key
    try:
        engine = bootstrap.engine(patient.settings, send=_sends_nothing, redis_client=_usable(patient))
    except Misconfigured as error:
        yield misconfigured("flows", error)
        return
    try:
        yield from _with_engine(patient, engine, may_call=key.level is Level.OK and not offline)
    finally:
        engine.close()


def _with_engine(patient: Patient, engine: Engine, *, may_call: bool) -> Iterator[Finding]:
    """may_call: credentials can be decrypted, and the examination is not offline."""
    settings, skews, answered = patient.settings, dict[str, float](), set[str]()
    may_call = may_call and _usable(patient) is not None
    examinations: list[Callable[[], Iterator[Finding]]] = [
        lambda: systems.configuration(engine),
        lambda: systems.called(engine, skews, answered) if may_call else systems.at_rest(engine),
        lambda: sites.examine(engine, answered),
        lambda: webhooks.examine(engine, settings.web_url, answered),
        lambda: iter([systems.clocks(engine.store, _usable(patient), skews)]),
        lambda: backlog.moving(engine, stalled_s=settings.stalled_s) if _usable(patient) else iter(()),
        lambda: iter([backlog.schedule(engine), backlog.stuck(engine), backlog.crashes(engine)]),
        lambda: backlog.people(engine),
        lambda: iter([backlog.watching(engine, every_s=settings.alert_every_s)] if _usable(patient) else ()),
        lambda: backlog.alerts(engine, Sinks(settings.alert_urls)),
    ]
    yield from chain.from_iterable(part() for part in examinations)


def _remedy(error: Transient) -> str:
    if isinstance(error, DatabaseFull):
        return FULL
    return LOCKED if isinstance(error, DatabaseLocked) else AWAY


def _usable(patient: Patient) -> redis.Redis | None:
    return None if patient.redis_complaint else patient.client


def _sends_nothing(order: Chain) -> None:
    raise Misconfigured(f"an examination must not start work, but {order.flow} was claimed")

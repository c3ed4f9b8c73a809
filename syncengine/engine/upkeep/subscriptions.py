"""Makes the webhooks of accounts match the events that flows take: creates, repairs, and removes only its own.

A webhook is ours if its address is the one that we would give it, or if we have created it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from sqlalchemy import delete, select

from syncengine import clock
from syncengine.connectors.hooks import FORMER_SECRET, SECRET, Subscription, Subscriptions, widest
from syncengine.engine.core.call_context import on_account_of
from syncengine.engine.core.engine import Connection, Engine, calling
from syncengine.engine.core.events import declared_events
from syncengine.engine.traffic import endpoints
from syncengine.errors import DatabaseAway, Misconfigured, SyncError
from syncengine.store.dialect import upsert
from syncengine.store.lock import Lock
from syncengine.store.models import AcceptedOnce, Hook, Secret
from syncengine.store.states import Lane

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)
NOT_AGAIN_WITHIN = timedelta(minutes=15)
"""How long a check that somebody asks for waits after the last one."""

FORMER_KEPT = timedelta(days=1)
"""How long the secret before a replacement is accepted: deliveries with it may still be on their way."""

ACCEPTED_KEPT = timedelta(hours=1)
"""How long it is remembered that a signed message was accepted; longer than its time stamp is valid."""

SECRET_BYTES = 32
LOCK = "webhooks"
LEASE_S = 600.0
ACCOUNT = "webhooks"
"""For whom calls are counted."""

NO_ADDRESS = Misconfigured(
    "the systems do not know where to send webhooks", "Set SYNCENGINE_WEB_URL to the address of the web process"
)


@dataclass(frozen=True, slots=True)
class Place:
    """One side of a connection whose system lets us subscribe to events. events: those that it should have."""

    connection: Connection
    side: str
    subscriptions: Subscriptions
    events: tuple[str, ...]
    unsubscribable: tuple[str, ...]

    @property
    def name(self) -> str:
        """The connection's name."""
        return self.connection.row.name

    @property
    def system(self) -> str:
        """The system's name."""
        return self.connection.endpoints[self.side].system

    def address(self, web_url: str) -> str:
        """Where its webhooks are sent, without a secret. Raises Misconfigured if nobody has said where."""
        if not web_url:
            raise NO_ADDRESS
        return f"{web_url}/hooks/{self.system}/{quote(self.name, safe='')}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A webhook of an account, or an event that has none. is_ours, is_current: see `Subscription`; id is empty for none."""

    connection: str
    system: str
    id: str
    event: str
    is_ours: bool
    is_current: bool


@dataclass(frozen=True, slots=True)
class Synced:
    """What was changed on one side of a connection: events by what was done."""

    connection: str
    system: str
    created: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]

    def __str__(self) -> str:
        parts = (("created", self.created), ("removed", self.removed), ("unchanged", self.kept))
        said = "; ".join(f"{what}: {', '.join(events)}" for what, events in parts if events)
        return f"{self.connection}, {self.system}: {said or 'no flow takes events that can be subscribed'}"


def places(engine: Engine, connection: str | None = None) -> Iterator[Place]:
    """The sides whose systems let us subscribe, of all connections that have flows, or of one. Raises Misconfigured."""
    for row in engine.connections(name=connection):
        if not row.flows:
            continue
        found = engine.connection(row.id)
        for side, connector in found.connectors.items():
            subscriptions = connector.subscriptions
            if subscriptions is None:
                continue
            declared = {event for _, events in declared_events(engine, row.id, side) for event in events}
            wanted = [event for event in declared if connector.is_subscribable(event)]
            left_out = tuple(sorted(declared - set(wanted)))
            yield Place(found, side, subscriptions, tuple(widest(wanted)), left_out)


def listed(engine: Engine, place: Place, web_url: str) -> list[Listed]:
    """The webhooks of an account, then the events that lack one. Raises what the calls raise."""
    hook, secret = _stored(engine, place), _secret(engine, place)
    with _calls(engine, place):
        found = place.subscriptions.listed(place.address(web_url), secret or "")
    own = _own(found, place.address(web_url), hook)
    rows = [
        Listed(place.name, place.system, each.id, each.event, each in own, each in own and each.is_current)
        for each in found
    ]
    current = {row.event for row in rows if row.is_current}
    lacking = [event for event in place.events if event not in current]
    return [*rows, *(Listed(place.name, place.system, "", event, True, False) for event in lacking)]


def sync(engine: Engine, place: Place, web_url: str, *, new_secret: bool = False) -> Synced:
    """Make the webhooks of a side as they should be; new ones are created before old ones are removed.

    new_secret: replace the secret; the former one is accepted for another day. Raises what the calls raise.
    """
    address, now = place.address(web_url), clock.now()
    hook, secret = _stored(engine, place), _secret(engine, place)
    if secret is None or new_secret:
        secret = _replace_secret(engine, place, secret)
    with _calls(engine, place):
        own = _own(place.subscriptions.listed(address, secret), address, hook)
        current = {each.event: each for each in own if each.is_current and each.event in place.events}
        created = [event for event in place.events if event not in current]
        ids = [each.id for each in current.values()]
        ids += [place.subscriptions.create(event, address, secret) for event in created]
        _save(engine, place, ids=ids)  # before anything is removed: if that fails, we still know what is ours
        outdated = [each for each in own if each not in current.values()]
        for each in outdated:
            place.subscriptions.remove(each.id)
    _save(engine, place, ids=ids, checked_at=now, problem="", check_due=False)
    _forget_former_secret(engine, place, now)
    removed = tuple(each.event for each in outdated)
    return Synced(place.name, place.system, tuple(created), removed, tuple(sorted(current)))


def test(engine: Engine, place: Place, id_: str) -> None:
    """Have the system send one of its webhooks now. Raises what the call raises."""
    with _calls(engine, place):
        place.subscriptions.test(id_)


def run(engine: Engine, web_url: str) -> str:
    """Check and repair the webhooks that are due, once a day or when somebody asks; returns a line for people.

    Connections whose webhooks were never set up are left out. Raises Transient.
    """
    count = 0
    with Lock(engine.store, LOCK, LEASE_S).tried() as is_ours:
        if not is_ours:
            return "another process checks webhooks"
        _forget_accepted(engine)
        resting = endpoints.at_rest(engine)
        for place in places(engine):
            hook = _stored(engine, place)
            if hook is None or not _is_due(hook) or place.connection.row.id in resting or engine.is_ending():
                continue
            try:
                log.info("webhooks: %s", sync(engine, place, web_url))
                count += 1
            except DatabaseAway:
                raise
            except SyncError as error:
                log.warning("the webhooks of %s could not be checked: %s", place.name, error)
                _save(engine, place, ids=hook.ids, problem=error.says, checked_at=clock.now(), check_due=False)
    return f"{count} checked"


def _forget_accepted(engine: Engine) -> None:
    """Remove what was accepted long ago: such a message would be refused for its time stamp."""
    with engine.store.write(durable=False) as session:
        session.execute(delete(AcceptedOnce).where(AcceptedOnce.at < clock.now() - ACCEPTED_KEPT))


def _is_due(hook: Hook) -> bool:
    if hook.checked_at is None:
        return True
    age = clock.now() - hook.checked_at
    return age >= EVERY or (bool(hook.check_due or hook.problem) and age >= NOT_AGAIN_WITHIN)


def _own(found: Sequence[Subscription], address: str, hook: Hook | None) -> list[Subscription]:
    ids = set(hook.ids) if hook is not None else set()
    return [
        each for each in found if each.id in ids or each.address == address or each.address.startswith(f"{address}/")
    ]


@contextmanager
def _calls(engine: Engine, place: Place) -> Iterator[None]:
    with on_account_of(engine, ACCOUNT, Lane.SCHEDULED), calling(place.connection.endpoints[place.side]):
        yield


def _stored(engine: Engine, place: Place) -> Hook | None:
    with engine.store.read() as session:
        return session.get(Hook, (place.connection.row.id, place.side))


def _save(engine: Engine, place: Place, **values: object) -> None:
    row = {"connection_id": place.connection.row.id, "side": place.side, **values}
    with engine.store.write() as session:
        upsert(session, Hook, [row], keys=("connection_id", "side"), update=tuple(values))


def _secret(engine: Engine, place: Place) -> str | None:
    return engine.vault.read(place.connection.endpoints[place.side].id, SECRET) or None


def _replace_secret(engine: Engine, place: Place, former: str | None) -> str:
    endpoint_id, fresh = place.connection.endpoints[place.side].id, secrets.token_urlsafe(SECRET_BYTES)
    if former is not None:  # first, so that at no time a secret that is in use is not accepted
        engine.vault.write(endpoint_id, FORMER_SECRET, former)
    engine.vault.write(endpoint_id, SECRET, fresh)
    return fresh


def _forget_former_secret(engine: Engine, place: Place, now: datetime) -> None:
    endpoint_id = place.connection.endpoints[place.side].id
    with engine.store.read() as session:
        kept = select(Secret.updated_at).where(Secret.endpoint_id == endpoint_id, Secret.name == FORMER_SECRET)
        replaced_at = session.scalar(kept)
    if replaced_at is not None and now - replaced_at > FORMER_KEPT:
        engine.vault.remove(endpoint_id, FORMER_SECRET)

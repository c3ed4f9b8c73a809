"""The seat of a SYSPRO operator: one session and one call at a time, over all workers and hosts.

SYSPRO ends the first session when the same operator logs on again, and no client calls twice at a time on one session
(syspro-transport.md section 5.3). So session id and slot are one row of `store.models.Slot`, held for one call, given
in the order of lanes. A holder that died leaves a session that may still be working: the row stays closed until the
settle time is over, and whoever comes next logs on again, so that a frozen worker wakes up with a dead session.

All hosts read the times of that row by one clock, the database's: with clocks of their own that differ by more than a
lease they would think that one another's holders are dead, and close the row each time.
"""

from __future__ import annotations

import hashlib
import logging
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.services import Services
from syncengine.connectors.syspro.errors import OddAnswer, UnknownAnswer
from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.ticket import BothGuards, SeatLost, Ticket
from syncengine.document import from_json, to_json
from syncengine.errors import EndpointDown, OutcomeUnknown, SessionLost, SyncError, Throttled, Transient
from syncengine.http import guard
from syncengine.store import Store
from syncengine.store.dialect import insert_into
from syncengine.store.models import Slot
from syncengine.store.states import Lane
from syncengine.vault import Vault

log = logging.getLogger(__name__)
T = TypeVar("T")

LEASE_S = 45.0
"""How long the slot is held for one call of at most 35 s, connect and read together (design.md section 9)."""
MINUTE_S = 60.0
_ASK_EVERY_S = 0.03
_YIELD_S = 0.08  # longer than a waiter sleeps, so that it finds the slot free
_TURN_S = 1.0  # of calls one after the other; then whoever else waits in the same lane has the next turn
_WAITING_COUNTS_S = 2.0
_RENEW_EVERY_S = 5.0
_LONGEST_NAME = 128  # of Slot.name


class Seat:
    """The slot of one operator at one server.

    Args:
        name: what identifies operator and server, the same in all processes.
        endpoint: what people call it, for error texts.
        scope: what a session is good for (company, address); a session of another scope is not used.
        log_on: makes a session, returns its id. Called with the slot held.
        prove: raises SessionLost if the session is gone; asked before a write after `prove_after_s` of idleness, since a
            write that meets a lost session is an unknown outcome and costs the settle time.
        settle_s, read_settle_s: how long the server may still be working on a write, on a read, that was given up.
        patience_s: the longest wait for the slot; a longer one is raised as Throttled.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        *,
        name: str,
        endpoint: str,
        scope: str,
        log_on: Callable[[], str],
        prove: Callable[[str], object],
        settle_s: float,
        read_settle_s: float,
        prove_after_s: float = 60.0,
        patience_s: float = 20.0,
        logons_per_minute: int = 4,
        lease_s: float = LEASE_S,
    ) -> None:
        self._store, self._vault = store, vault
        self.name, self._endpoint, self._scope = name, endpoint, scope
        self._log_on, self._prove = log_on, prove
        self._settle_s, self._read_settle_s = settle_s, read_settle_s
        self._prove_after_s, self._patience_s = prove_after_s, patience_s
        self._logons_per_minute, self._lease_s = logons_per_minute, lease_s
        self._others_wait = False
        self._turn_began = clock.monotonic()

    def call(self, work: Callable[[str], T], *, is_write: bool) -> T:
        """Run `work(session_id)` alone, on a session that is logged on; a read whose session is lost runs once more.

        Raises:
            OutcomeUnknown: a write met a lost session, or got no answer.
            Throttled: the slot is closed, or did not come free in time. Nothing was sent.
            EndpointDown: too many logons within a minute: somebody else uses the operator. Nothing was sent.
            AuthenticationFailed, Transient, SessionLost: as raised by the call or the logon.
        """
        with self._held() as ticket:
            self._ready(ticket, is_write)
            try:
                return self._run(ticket, work, is_write)
            except SessionLost as lost:
                ticket.session_id = ""
                if is_write:
                    raise OutcomeUnknown(f"the session was lost during a write: {lost}") from None
            self._new_session(ticket)
            return self._run(ticket, work, is_write)

    def log_off(self, end: Callable[[str], object]) -> None:
        """End the session that all workers share, if there is one: gives back the licence. For the shutdown of all."""
        with self._held() as ticket:
            if ticket.session_id:
                self._run(ticket, end, is_write=False)
                ticket.session_id = ""

    @contextmanager
    def as_found(self, end: Callable[[str], object]) -> Iterator[None]:
        """End the session afterwards if there was none before, so that a command which only asks takes no licence."""
        with self._held() as ticket:
            was_logged_on = bool(ticket.session_id)
        try:
            yield
        finally:
            if not was_logged_on:
                self.log_off(end)

    def try_logon(self, work: Callable[[str], T], end: Callable[[str], object]) -> T:
        """Log on with the stored credentials, between two calls of the workers, and run `work(session_id)`.

        SYSPRO ends the operator's former session, so the new one takes its place; without a former one it is ended, which
        gives the licence back. A refused logon leaves the former session to the workers. It does not count as a logon
        forced by somebody else. Raises what a logon and `call` raise.
        """
        with self._held() as ticket:
            was_logged_on = bool(ticket.session_id)
            ticket.session_id = self._run(ticket, lambda _: self._log_on(), is_write=False)
            try:
                return self._run(ticket, work, is_write=False)
            finally:
                if not was_logged_on:
                    self._run(ticket, end, is_write=False)
                    ticket.session_id = ""

    def usage(self) -> str:
        """One line on the seat, for people: free, taken, or closed and for how long. Raises Transient."""
        with self._store.read() as session:
            slot, now = session.get(Slot, self.name), _now(session)
        if slot is None:
            return "one session, never used"
        if slot.closed_until is not None and slot.closed_until > now:
            return (
                f"one session, closed for {(slot.closed_until - now).total_seconds():.0f} s more: a call was given up"
            )
        taken = slot.holder != "" and slot.held_until is not None and slot.held_until > now
        return "one session, a call is running" if taken else "one session, free"

    def _ready(self, ticket: Ticket, is_write: bool) -> None:
        """Have a session that is most likely alive."""
        idle_s = self._prove_after_s + 1
        if ticket.used_at is not None:
            idle_s = (ticket.now() - ticket.used_at).total_seconds()
        if ticket.session_id and is_write and idle_s > self._prove_after_s:
            try:
                self._run(ticket, self._prove, is_write=False)
            except SessionLost:
                ticket.session_id = ""
        if not ticket.session_id:
            self._new_session(ticket)

    def _new_session(self, ticket: Ticket) -> None:
        minute_ago = ticket.now() - timedelta(seconds=MINUTE_S)
        ticket.logons = [at for at in ticket.logons if at > minute_ago]
        if len(ticket.logons) >= self._logons_per_minute:
            retry_in_s = (ticket.logons[0] - minute_ago).total_seconds()
            log.error("%s: %d logons within a minute; somebody else uses this operator", self.name, len(ticket.logons))
            raise EndpointDown(
                f"logged out {len(ticket.logons)} times within a minute. "
                "Give the engine an operator of its own, used by no person and no other program",
                retry_in_s=retry_in_s,
                of=self._endpoint,
            )
        ticket.logons.append(ticket.now())
        ticket.session_id = ""
        try:
            ticket.session_id = self._run(ticket, lambda _: self._log_on(), is_write=False)
        except EndpointDown:  # SYSPRO is away, or has no licence: nobody was logged on, so nobody was logged out
            ticket.logons.pop()
            raise

    def _run(self, ticket: Ticket, work: Callable[[str], T], is_write: bool) -> T:
        """One call with the slot held for all of it; one that SYSPRO may still be working on closes the slot."""
        if ticket.deadline - clock.monotonic() < self._lease_s / 2:
            self._extend(ticket)
        ticket.may_run = False
        try:
            with guard.guarded(BothGuards(guard.current(), ticket)):
                result = work(ticket.session_id)
        except BaseException as error:  # a time limit, a lost lease or a bug of ours ends it as well as a time-out
            if _may_still_run(error, ticket):
                ticket.closed_for_s = self._settle_s if is_write else self._read_settle_s
            raise
        ticket.used_at = ticket.now()
        return result

    @contextmanager
    def _held(self) -> Iterator[Ticket]:
        ticket = self._wait_for_turn()
        try:
            yield ticket
        finally:
            self._release(ticket)

    def _wait_for_turn(self) -> Ticket:
        lane = Lane.of(guard.current().lane)
        give_up = clock.monotonic() + self._patience_s
        renew_at = clock.monotonic() + _RENEW_EVERY_S
        if self._others_wait and clock.monotonic() >= self._turn_began + _TURN_S:
            self._others_wait = False
            clock.sleep(_YIELD_S)
        if ticket := self._take(lane):  # mostly it is free
            return ticket
        while True:
            if self._looks_free(lane) and (ticket := self._take(lane)):
                self._turn_began = clock.monotonic()
                return ticket
            if clock.monotonic() >= give_up:
                raise Throttled(f"{self._endpoint} is busy with other calls", retry_in_s=1.0)
            if clock.monotonic() >= renew_at:
                guard.current().renew()
                renew_at = clock.monotonic() + _RENEW_EVERY_S
            clock.sleep(_ASK_EVERY_S * random.uniform(0.7, 1.3))

    def _looks_free(self, lane: Lane) -> bool:
        """A check without a lock. False only if waiting is right and this lane is already known to be waiting."""
        with self._store.read() as session:
            slot, now = session.get(Slot, self.name), _now(session)
            if slot is None or _is_free(slot, lane, now):
                return True
            half = now + timedelta(seconds=_WAITING_COUNTS_S / 2)
            is_announced = slot.waiting_lane is not None and slot.waiting_lane <= lane
            return not (is_announced and slot.waiting_until is not None and slot.waiting_until > half)

    def _take(self, lane: Lane) -> Ticket | None:
        """Take the slot, or announce that this lane waits for it. Raises Throttled if it is closed."""
        with self._store.write() as session:
            slot, now = self._locked(session), _now(session)
            if slot.holder and slot.held_until is not None and slot.held_until <= now:
                self._close_after_crash(slot)
            closed_until = slot.closed_until
            if closed_until is None or closed_until <= now:
                if _is_free(slot, lane, now):
                    return self._seated(slot, lane, now)
                if slot.waiting_until is None or slot.waiting_until <= now or (slot.waiting_lane or 0) >= lane:
                    slot.waiting_lane, slot.waiting_until = lane, now + timedelta(seconds=_WAITING_COUNTS_S)
                return None
        retry_in_s = (closed_until - now).total_seconds()
        raise Throttled(
            f"{self._endpoint} rests for {retry_in_s:.0f} s more: SYSPRO may still be working on a call that was given up",
            retry_in_s=retry_in_s,
        )

    def _seated(self, slot: Slot, lane: Lane, now: datetime) -> Ticket:
        deadline = clock.monotonic() + self._lease_s
        ticket = Ticket(holder=str(uuid.uuid4()), deadline=deadline, ahead=now - clock.now())
        slot.holder, slot.held_until = ticket.holder, now + timedelta(seconds=self._lease_s)
        if slot.waiting_lane is not None and slot.waiting_lane >= lane:
            slot.waiting_lane = slot.waiting_until = None
        if slot.value:
            state = from_json(self._vault.open(slot.value))
            ticket.logons = state["logons"]
            if state["scope"] == self._scope:
                ticket.session_id, ticket.used_at = state["session"], state["used_at"]
        return ticket

    def _close_after_crash(self, slot: Slot) -> None:
        """The holder died in its call: closed from the start of its lease for the settle time, and its session is dropped."""
        log.warning("%s: the holder of the slot died in its call; resting for the settle time", self.name)
        if slot.held_until is not None:
            slot.closed_until = slot.held_until + timedelta(seconds=self._settle_s - self._lease_s)
        slot.holder, slot.held_until = "", None
        if slot.value:
            state = from_json(self._vault.open(slot.value))
            slot.value = self._vault.seal(to_json({**state, "session": ""}).encode())

    def _locked(self, session: Session) -> Slot:
        found = session.scalar(select(Slot).where(Slot.name == self.name).with_for_update())
        if found is None:
            session.execute(insert_into(session, Slot).values(name=self.name).on_conflict_do_nothing())
            found = session.scalars(select(Slot).where(Slot.name == self.name).with_for_update()).one()
        return found

    def _extend(self, ticket: Ticket) -> None:
        """Hold the slot for one more call. Raises SeatLost if it has been taken over."""
        with self._store.write() as session:
            slot = self._locked(session)
            if slot.holder != ticket.holder:
                raise SeatLost("the operator's slot has been taken over; nothing was sent")
            slot.held_until = _now(session) + timedelta(seconds=self._lease_s)
        ticket.deadline = clock.monotonic() + self._lease_s

    def _release(self, ticket: Ticket) -> None:
        """Free the slot and keep its session. What cannot be released lapses, so an error here must not hide the call's."""
        state = {
            "scope": self._scope,
            "session": ticket.session_id,
            "used_at": ticket.used_at,
            "logons": ticket.logons,
        }
        sealed = self._vault.seal(to_json(state).encode())
        try:
            with self._store.write(durable=False) as session:
                slot, now = self._locked(session), _now(session)
                if slot.holder != ticket.holder:
                    log.warning("%s: the slot had been taken over before its call ended", self.name)
                    return
                slot.holder, slot.held_until, slot.value = "", None, sealed
                if ticket.closed_for_s:
                    slot.closed_until = now + timedelta(seconds=ticket.closed_for_s)
                self._others_wait = slot.waiting_until is not None and slot.waiting_until > now
        except Transient as error:
            log.warning("%s: the slot could not be released and will lapse: %s", self.name, error)


def _now(session: Session) -> datetime:
    """The time (UTC) by the clock that all who use this database share: the server's; this host's for SQLite."""
    if session.get_bind().dialect.name != "postgresql":
        return clock.now()
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return now


def _may_still_run(error: BaseException, ticket: Ticket) -> bool:
    """Whether SYSPRO may be working on a call that ended so.

    A write without an answer says so itself. Else it takes bytes that left, and no answer that was understood as one.
    """
    if isinstance(error, OddAnswer | UnknownAnswer):  # an answer all the same
        return False
    if isinstance(error, OutcomeUnknown):
        return True
    return ticket.may_run and (isinstance(error, Transient) or not isinstance(error, SyncError))


def _is_free(slot: Slot, lane: Lane, now: datetime) -> bool:
    """True if nobody holds it and no more urgent lane waits for it; a slot that lapsed or is closed counts as worth a try."""
    if slot.holder and slot.held_until is not None and slot.held_until > now:
        return False
    is_waited_for = slot.waiting_until is not None and slot.waiting_until > now
    return not (is_waited_for and slot.waiting_lane is not None and slot.waiting_lane < lane)


def seat_of(
    settings: Settings, services: Services, *, base: str, log_on: Callable[[], str], prove: Callable[[str], object]
) -> Seat:
    """The seat of an endpoint's operator. Its name holds server and operator, not the endpoint: sessions end each other
    whichever company or gateway they were made for."""
    server = urlsplit(settings.url).netloc.rpartition("@")[2].lower()
    name = f"syspro:{settings.operator.upper()}@{server}/{settings.instance}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 33]}:{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"
    return Seat(
        services.store,
        services.vault,
        name=name,
        endpoint=settings.endpoint.name,
        scope=f"{settings.company}@{base}",
        log_on=log_on,
        prove=prove,
        settle_s=settings.settle_s,
        read_settle_s=settings.read_settle_s,
        prove_after_s=settings.prove_session_after_s,
        patience_s=settings.seat_patience_s,
        logons_per_minute=settings.logons_per_minute,
        lease_s=_lease_s(settings.connect_timeout_s + settings.read_timeout_s),
    )


def _lease_s(longest_call_s: float) -> float:
    """How long the slot is held for one call: 45 s for one of 35, some seconds more than it can take in any case."""
    return longest_call_s + max(3.0, 10.0 * longest_call_s / 35.0)

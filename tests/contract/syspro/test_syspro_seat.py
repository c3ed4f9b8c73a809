"""The operator's seat, against the sandbox and on both databases: one session, one call at a time, in lane order."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from syncengine import clock
from syncengine.connectors.base import Operation, Result, Verb
from syncengine.connectors.syspro.connector import Syspro
from syncengine.connectors.syspro.gateways.enet import Enet
from syncengine.connectors.syspro.operator import Seat
from syncengine.connectors.syspro.ticket import SeatLost
from syncengine.engine.core.lease import LeaseLost
from syncengine.errors import (
    AuthenticationFailed,
    DatabaseAway,
    EndpointDown,
    Forbidden,
    OutcomeUnknown,
    Throttled,
    Transient,
)
from syncengine.http import guard
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from syncengine.store import Store
from syncengine.store.models import Slot
from syncengine.vault import Vault
from tests.contract.syspro.conftest import Connect
from tests.contract.syspro.test_syspro_gateways import create, number_of, order
from tests.databases import Databases


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, databases: Databases) -> str:
    """Both databases."""
    return databases.sqlite() if request.param == "sqlite" else databases.postgres()


class Lane:
    """A guard of one lane that always agrees."""

    def __init__(self, lane: str) -> None:
        self.lane = lane

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Not counted here."""

    def renew(self) -> None:
        """Held."""

    def check(self) -> None:
        """Held."""


def slot(store: Store) -> Slot:
    with store.read() as session:
        found = session.query(Slot).one()
        session.expunge(found)
    return found


def read_order(syspro: Syspro, key: str = "999999") -> None:
    syspro.resources["syspro.sales_order"].read([key])


def test_eight_workers_with_one_operator_log_on_once_and_call_one_at_a_time(
    connect_to: Connect, sandbox: Sandbox
) -> None:
    syspros = [connect_to() for _ in range(8)]
    lock, at_once, most = threading.Lock(), 0, 0
    work = sandbox.syspro.call

    def watched(*args: object) -> object:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.005)
        try:
            return work(*args)
        finally:
            with lock:
                at_once -= 1

    sandbox.syspro.call = watched
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda syspro: [read_order(syspro) for _ in range(3)], syspros))
    assert most == 1
    assert sandbox.calls.total(system="syspro", operation="Logon") == 1
    assert sandbox.calls.total(system="syspro", operation="SORQRY") == 24


def test_an_evicted_session_is_renewed_and_a_read_repeats(connect_to: Connect, sandbox: Sandbox) -> None:
    syspro = connect_to()
    read_order(syspro)
    sandbox.syspro.sessions.end("BPSYNC")
    read_order(syspro)
    assert sandbox.calls.total(system="syspro", operation="Logon") == 2


def test_a_write_that_meets_an_evicted_session_is_unknown_and_the_next_call_logs_on(
    connect_to: Connect, sandbox: Sandbox
) -> None:
    syspro = connect_to()
    orders = syspro.resources["syspro.sales_order"]
    read_order(syspro)
    sandbox.syspro.sessions.end("BPSYNC")
    outcome = create(orders, order())
    assert outcome.result is Result.UNKNOWN
    assert number_of(orders, create(orders, order()), "500123")
    assert sandbox.calls.total(system="syspro", operation="Logon") == 2


def test_an_idle_session_is_proved_before_a_write_so_that_its_loss_costs_no_settle_time(
    connect_to: Connect, sandbox: Sandbox
) -> None:
    syspro = connect_to(prove_session_after_s=0)
    orders = syspro.resources["syspro.sales_order"]
    read_order(syspro)
    sandbox.syspro.sessions.end("BPSYNC")
    assert create(orders, order()).result is Result.DONE


def test_more_than_four_logons_a_minute_are_an_error(connect_to: Connect, sandbox: Sandbox) -> None:
    syspro = connect_to()
    for _ in range(4):
        read_order(syspro)
        sandbox.syspro.sessions.end("BPSYNC")
    with pytest.raises(EndpointDown, match="operator of its own") as raised:
        read_order(syspro)
    assert 0 < raised.value.retry_in_s <= 60
    assert sandbox.calls.total(system="syspro", operation="Logon") == 4


def test_a_call_that_timed_out_closes_the_slot_for_everybody_until_the_settle_time_is_over(
    connect_to: Connect, sandbox: Sandbox, store: Store
) -> None:
    syspro, other = connect_to(read_timeout_s=0.3), connect_to()
    read_order(syspro)
    sandbox.faults.add(Fault("syspro", "SORTOI", "hang", seconds=1.0))
    before = clock.now()
    assert create(syspro.resources["syspro.sales_order"], order()).result is Result.UNKNOWN
    closed_until = slot(store).closed_until
    assert closed_until is not None
    assert before + timedelta(seconds=60) <= closed_until <= clock.now() + timedelta(seconds=60)
    with pytest.raises(Throttled) as raised:
        read_order(other)
    assert 50 < raised.value.retry_in_s <= 60
    assert sandbox.calls.total(system="syspro", operation="SORQRY") == 1


def test_after_the_settle_time_the_slot_opens_again(connect_to: Connect, sandbox: Sandbox, store: Store) -> None:
    syspro = connect_to(read_timeout_s=0.3, settle_s=0.1)
    sandbox.faults.add(Fault("syspro", "SORTOI", "drop"))
    assert create(syspro.resources["syspro.sales_order"], order()).result is Result.UNKNOWN
    with store.write() as session:
        session.query(Slot).one().closed_until = clock.now()
    read_order(syspro)


def make_seat(store: Store, vault: Vault, *, lease_s: float = 45.0, patience_s: float = 10.0, **more: float) -> Seat:
    return Seat(
        store,
        vault,
        name="syspro:TEST@here/0",
        endpoint="erp",
        scope="T",
        log_on=lambda: "SESSION",
        prove=lambda _: None,
        settle_s=more.get("settle_s", 60.0),
        read_settle_s=30.0,
        patience_s=patience_s,
        lease_s=lease_s,
    )


def test_a_holder_that_died_leaves_the_slot_closed_and_its_session_dropped(store: Store, vault: Vault) -> None:
    seat = make_seat(store, vault, settle_s=60)
    seat.call(lambda _: None, is_write=False)
    with store.write() as session:  # a worker was killed 46 s ago in its call
        found = session.query(Slot).one()
        found.holder, found.held_until = "somebody", clock.now() - timedelta(seconds=1)
    with pytest.raises(Throttled) as raised:
        seat.call(lambda _: None, is_write=False)
    assert 0 < raised.value.retry_in_s <= 60 - 45
    assert str(raised.value).startswith("erp rests for ")


def test_who_takes_over_a_lapsed_slot_logs_on_anew(store: Store, vault: Vault) -> None:
    logons: list[str] = []
    seat = make_seat(store, vault, settle_s=0)
    seat._log_on = lambda: logons.append("logon") or f"SESSION{len(logons)}"
    seat.call(lambda _: None, is_write=False)
    with store.write() as session:
        found = session.query(Slot).one()
        found.holder, found.held_until = "somebody", clock.now() - timedelta(seconds=1)
    assert seat.call(lambda session_id: session_id, is_write=False) == "SESSION2"


def test_a_frozen_holder_finds_that_its_slot_ran_out_before_its_bytes_leave(store: Store, vault: Vault) -> None:
    seat = make_seat(store, vault, lease_s=0.2)

    def work(_: str) -> None:
        time.sleep(0.25)
        guard.current().check()  # what the session asks last, with the connection open

    with pytest.raises(SeatLost):
        seat.call(work, is_write=True)
    assert slot(store).closed_until is None  # nothing was sent


def test_a_realtime_call_goes_before_the_rest_of_a_backfill(store: Store, vault: Vault) -> None:
    order_of_calls: list[str] = []
    started = threading.Event()

    def backfill() -> None:
        seat = make_seat(store, vault)
        with guard.guarded(Lane("backfill")):
            for _ in range(6):
                seat.call(
                    lambda _: (order_of_calls.append("backfill"), started.set(), time.sleep(0.15)), is_write=False
                )

    def realtime() -> None:
        started.wait(5)
        with guard.guarded(Lane("realtime")):
            make_seat(store, vault).call(lambda _: order_of_calls.append("realtime"), is_write=False)

    threads = [threading.Thread(target=backfill), threading.Thread(target=realtime)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order_of_calls.count("backfill") == 6
    assert order_of_calls.index("realtime") <= 2


def test_waiting_for_the_slot_ends_with_throttled(store: Store, vault: Vault) -> None:
    seat, other = make_seat(store, vault), make_seat(store, vault, patience_s=0.1)
    with pytest.raises(Throttled, match="busy"):
        seat.call(lambda _: other.call(lambda _: None, is_write=False), is_write=False)


def test_an_answer_that_nobody_knows_does_not_close_the_slot(
    connect_to: Connect, sandbox: Sandbox, store: Store
) -> None:
    syspro = connect_to()
    sandbox.switches.turn({"syspro_expired_text": "nobody has seen this"})
    read_order(syspro)
    sandbox.syspro.sessions.end("BPSYNC")
    assert create(syspro.resources["syspro.sales_order"], order()).result is Result.UNKNOWN
    assert slot(store).closed_until is None


def test_the_session_is_sealed_in_the_row(connect_to: Connect, sandbox: Sandbox, store: Store) -> None:
    read_order(connect_to())
    (session,) = sandbox.syspro.sessions.open()
    value = slot(store).value
    assert value is not None
    assert session.id.encode() not in value


def test_two_endpoints_with_one_operator_share_the_slot_but_not_a_session_of_another_company(
    connect_to: Connect, sandbox: Sandbox, store: Store
) -> None:
    read_order(connect_to())
    read_order(connect_to(name="syspro-again"))
    assert sandbox.calls.total(system="syspro", operation="Logon") == 1
    read_order(connect_to("harmony-session", name="syspro-harmony"))
    assert sandbox.calls.total(system="syspro", operation="Logon") == 2
    assert slot(store).name.startswith("syspro:BPSYNC@")


def test_logging_off_gives_the_licence_back(connect_to: Connect, sandbox: Sandbox) -> None:
    syspro = connect_to()
    read_order(syspro)
    syspro.log_off()
    assert sandbox.syspro.sessions.open() == []
    read_order(syspro)
    assert sandbox.calls.total(system="syspro", operation="Logon") == 2


def test_nothing_secret_is_logged(connect_to: Connect, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    syspro = connect_to()
    orders = syspro.resources["syspro.sales_order"]
    create(orders, order())
    sandbox.faults.add(Fault("syspro", "SORTOI", "error"))
    create(orders, order("500124"))
    (session,) = sandbox.syspro.sessions.open()
    shown = caplog.text
    assert "/Transaction/Post" in shown
    for secret in ("s3cret", session.id, "UserId=", "XmlIn", "buyer"):
        assert secret not in shown


def test_a_connection_that_is_refused_sends_nothing_and_leaves_the_slot_open(connect_to: Connect, store: Store) -> None:
    syspro = connect_to(url="http://127.0.0.1:9")
    operation = Operation(Verb.CREATE, "500123", doc=order())
    with pytest.raises(EndpointDown):
        syspro.resources["syspro.sales_order"].write([operation])
    assert slot(store).closed_until is None
    assert isinstance(syspro.gateway, Enet)


def test_the_errors_of_a_call_are_not_hidden_by_the_seat(store: Store, vault: Vault) -> None:
    seat = make_seat(store, vault)

    def fails() -> None:
        raise OutcomeUnknown("no answer")

    with pytest.raises(OutcomeUnknown):
        seat.call(lambda _: fails(), is_write=True)
    assert slot(store).closed_until is not None
    assert isinstance(SeatLost("x"), Transient)


@pytest.mark.parametrize("is_write", [True, False])
@pytest.mark.parametrize(
    "error",
    [SoftTimeLimitExceeded(), LeaseLost("taken over"), KeyError("a fault of ours"), SystemExit(), Transient("cut")],
)
def test_whatever_ends_a_call_that_may_have_left_closes_the_seat(
    store: Store, vault: Vault, error: BaseException, is_write: bool
) -> None:
    def work(_: str) -> None:
        guard.current().check()  # asked last, and then the bytes leave
        raise error

    before = clock.now()
    with pytest.raises(type(error)):
        make_seat(store, vault, settle_s=60).call(work, is_write=is_write)
    closed_until = slot(store).closed_until
    assert closed_until is not None
    settle = timedelta(seconds=60 if is_write else 30)
    assert before + settle <= closed_until <= clock.now() + settle


class Failing(Lane):
    """A guard that fails: at a renewal, or at the last look before the bytes leave."""

    def __init__(self, *, renewal: Exception | None = None, check: Exception | None = None) -> None:
        super().__init__("scheduled")
        self._renewal, self._check = renewal, check

    def renew(self) -> None:
        """Raises."""
        if self._renewal is not None:
            raise self._renewal

    def check(self) -> None:
        """Raises."""
        if self._check is not None:
            raise self._check


@pytest.mark.parametrize(
    "failing",
    [
        Failing(renewal=DatabaseAway("the database is away")),
        Failing(renewal=KeyError("a fault of ours")),
        Failing(check=LeaseLost("taken over")),
    ],
)
def test_what_ends_a_call_before_it_leaves_does_not_close_the_seat(
    connect_to: Connect, sandbox: Sandbox, store: Store, failing: Failing
) -> None:
    syspro = connect_to()
    read_order(syspro)
    with guard.guarded(failing), pytest.raises((DatabaseAway, KeyError, LeaseLost)):
        create(syspro.resources["syspro.sales_order"], order())
    assert slot(store).closed_until is None
    assert sandbox.calls.total(system="syspro", operation="SORTOI.add") == 0


def test_our_own_database_blinking_after_a_call_was_answered_does_not_close_the_seat(
    store: Store, vault: Vault
) -> None:
    lease = Failing()

    def work(_: str) -> None:
        guard.current().renew()
        guard.current().check()  # the call leaves, and is answered
        lease._renewal = DatabaseAway("the database is away")
        guard.current().renew()  # before the next one

    with guard.guarded(lease), pytest.raises(DatabaseAway):
        make_seat(store, vault).call(work, is_write=True)
    assert slot(store).closed_until is None


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """As Celery ends a step: an exception out of a signal, wherever the process is."""

    def end(*_: object) -> None:
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_soft_time_limit_while_syspro_works_on_a_write_closes_the_seat(
    connect_to: Connect, sandbox: Sandbox, store: Store
) -> None:
    syspro = connect_to()
    read_order(syspro)
    sandbox.faults.add(Fault("syspro", "SORTOI", "hang", seconds=1.0))
    with pytest.raises(SoftTimeLimitExceeded), time_limit(0.3):
        create(syspro.resources["syspro.sales_order"], order())
    assert slot(store).closed_until is not None
    with pytest.raises(Throttled, match="may still be working"):
        read_order(connect_to())


def test_a_call_that_is_forbidden_was_answered_and_does_not_close_the_seat(store: Store, vault: Vault) -> None:
    def work(_: str) -> None:
        guard.current().check()
        raise Forbidden("HTTP 403")

    with pytest.raises(Forbidden):
        make_seat(store, vault).call(work, is_write=True)
    assert slot(store).closed_until is None


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("ahead_s", [600.0, -600.0])
def test_hosts_whose_clocks_differ_take_no_living_holder_for_dead(
    store: Store, vault: Vault, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ahead_s: float
) -> None:
    """SQLite is of one host, thus of one clock."""
    ahead = [0.0]
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(seconds=ahead[0]))
    here, there = make_seat(store, vault), make_seat(store, vault, patience_s=0.1)
    said: list[str] = []

    def work(_: str) -> None:
        ahead[0] = ahead_s  # the other host's clock
        said.append(there.usage())
        with pytest.raises(Throttled, match="busy"):
            there.call(lambda _: None, is_write=True)
        ahead[0] = 0.0

    here.call(work, is_write=True)
    ahead[0] = ahead_s
    assert there.call(lambda session_id: session_id, is_write=True) == "SESSION"
    assert said == ["one session, a call is running"]
    assert "died" not in caplog.text


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_hosts_whose_clocks_differ_rest_for_the_same_time(
    store: Store, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_: str) -> None:
        raise OutcomeUnknown("no answer")

    with pytest.raises(OutcomeUnknown):
        make_seat(store, vault, settle_s=60).call(lost, is_write=True)
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(minutes=10))
    with pytest.raises(Throttled) as raised:
        make_seat(store, vault).call(lambda _: None, is_write=True)
    assert 50 < raised.value.retry_in_s <= 60


def test_the_seat_says_how_it_is_used(store: Store, vault: Vault) -> None:
    seat = make_seat(store, vault)
    before = seat.usage()
    during: list[str] = []
    seat.call(lambda session_id: during.append(seat.usage()), is_write=False)

    assert [before, *during, seat.usage()] == [
        "one session, never used",
        "one session, a call is running",
        "one session, free",
    ]


def test_a_wrong_stored_password_is_found_while_a_session_lives_and_the_session_stays(
    connect_to: Connect, sandbox: Sandbox, vault: Vault
) -> None:
    worker, checked = connect_to(), connect_to()
    read_order(worker)
    vault.write(worker.settings.endpoint.id, "operator_password", "mistyped")
    assert "company" in checked.check()  # the session of before would do
    with pytest.raises(AuthenticationFailed, match="Invalid operator password"):
        checked.try_credentials()
    read_order(worker)
    assert sandbox.calls.total(system="syspro", operation="SORQRY") == 2


@pytest.mark.parametrize("way", ["enet", "harmony-session"])
def test_trying_the_credentials_replaces_the_session_or_leaves_none(
    connect_to: Connect, sandbox: Sandbox, way: str
) -> None:
    checked = connect_to(way)
    for _ in range(6):  # more than the logons a minute that mean that somebody else uses the operator
        assert "SYSPRO" in checked.try_credentials()
    assert sandbox.syspro.sessions.open() == []  # the licence is free again
    worker = connect_to(way)
    read_order(worker)
    checked.try_credentials()
    logons = sandbox.calls.total(system="syspro", operation="Logon")
    read_order(worker)  # with the new session
    assert sandbox.calls.total(system="syspro", operation="Logon") == logons

"""Which calls the session reports as failures: trouble and outages; and which not: throttles, refusals, a 401."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import redis
import requests
import responses

from syncengine.connectors.base import Endpoint
from syncengine.connectors.brightpearl import errors as brightpearl
from syncengine.connectors.syspro import errors as syspro
from syncengine.connectors.syspro.settings import Settings
from syncengine.errors import EndpointDown, OutcomeUnknown, Throttled, Transient
from syncengine.http import guard
from syncengine.http.breaker import Breakers, Rules
from syncengine.http.limiter import Limiter, Pool
from syncengine.http.session import Session
from syncengine.http.timeouts import Timeouts
from tests.contract.breaker.conftest import Time
from tests.services import free_port

URL = "http://shop.test"
THROTTLED = '{"response": "You have sent too many requests. Please wait before sending another request"}'


@pytest.fixture
def breakers(client: redis.Redis, time: Time) -> Breakers:
    return Breakers(client, Rules(calls=2), now=time)


@pytest.fixture
def session(breakers: Breakers) -> Session:
    return Session("shop", URL, breaker=breakers.of("shop"), outage=brightpearl.outage)


def _failures(breakers: Breakers) -> tuple[int, int]:
    state = breakers.states(["shop"])["shop"]
    return state.calls, state.failures


@pytest.mark.parametrize(
    ("status", "body", "is_failure"),
    [
        (200, "{}", False),
        (400, '{"errors": [{"code": "ORDC-005", "message": "x"}]}', False),
        (401, '{"response": "Invalid instance token"}', False),
        (403, "<html>blocked</html>", False),
        (404, '{"errors": [{"code": "CMNC-404", "message": "x"}]}', False),
        (429, "", False),
        (503, THROTTLED, False),
        (500, "{}", False),  # one record may bring that about: it is put off by itself
        (503, "<html>down for maintenance</html>", True),
        (502, "", True),
        (504, "", True),
    ],
)
@responses.activate
def test_answers_of_brightpearl(
    session: Session, breakers: Breakers, status: int, body: str, *, is_failure: bool
) -> None:
    responses.get(f"{URL}/x", status=status, body=body)

    session.send("GET", "/x", is_write=False)

    assert _failures(breakers) == (1, int(is_failure))


@pytest.mark.parametrize(
    ("error", "is_write", "raised"),
    [
        (requests.ReadTimeout(), False, Transient),
        (requests.ReadTimeout(), True, OutcomeUnknown),
        (requests.ConnectTimeout(), True, EndpointDown),
        (requests.ConnectionError(ConnectionResetError()), False, Transient),
    ],
)
@responses.activate
def test_network_trouble_is_a_failure(
    session: Session, breakers: Breakers, error: Exception, raised: type[Exception], *, is_write: bool
) -> None:
    responses.get(f"{URL}/x", body=error)

    with pytest.raises(raised):
        session.send("GET", "/x", is_write=is_write)

    assert _failures(breakers) == (1, 1)


def test_a_refused_connection_opens_it_and_then_nothing_is_tried(breakers: Breakers, time: Time) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        session = Session("shop", url, breaker=breakers.of("shop"))
        for _ in range(2):
            with pytest.raises(EndpointDown, match="connection was refused"):
                session.send("GET", "/x", is_write=False)
        with pytest.raises(EndpointDown, match="is down; the next attempt"):
            session.send("GET", "/x", is_write=False)
        time.at += 2
        with pytest.raises(EndpointDown, match="connection was refused"):
            session.send("GET", "/x", is_write=False)
    state = breakers.states(["shop"])["shop"]
    assert (state.retry_in_s, state.why) == (4.0, "GET /x: the connection was refused; nothing was sent")
    session.close()


def test_a_call_that_the_breaker_refuses_takes_no_slot_and_asks_for_no_credentials(
    breakers: Breakers, client: redis.Redis
) -> None:
    pool = Pool("system:account:app")
    asked: list[object] = []
    session = Session(
        "shop", f"http://127.0.0.1:{free_port()}", breaker=breakers.of("shop"), limiter=Limiter(client), pool=pool,
        authenticate=asked.append,
    )  # fmt: skip
    for _ in range(2):
        breakers.admit("shop").failed("x")

    with pytest.raises(EndpointDown):
        session.send("GET", "/x", is_write=False)

    assert asked == []
    assert Limiter(client).usage(pool).taken == 0


class _Lost(Exception):
    """What ends a step whose lease is lost."""


class _Guard:
    lane = "realtime"

    def renew(self) -> None:
        """Held."""

    def check(self) -> None:
        raise _Lost

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Nobody keeps an account."""


def test_a_call_that_was_not_made_says_nothing_and_leaves_the_probe_to_another(breakers: Breakers, time: Time) -> None:
    for _ in range(2):
        breakers.admit("shop").failed("x")
    time.at += 2
    session = Session("shop", f"http://127.0.0.1:{free_port()}", breaker=breakers.of("shop"), timeouts=Timeouts(1, 1))

    with guard.guarded(_Guard()), pytest.raises(_Lost):
        session.send("GET", "/x", is_write=False)

    assert breakers.states(["shop"])["shop"].wants_probe


def test_a_probe_that_finds_no_slot_is_left_to_another(breakers: Breakers, client: redis.Redis, time: Time) -> None:
    limiter, pool = Limiter(client), Pool("system:account:app")
    limiter.close(pool, 50)
    session = Session("shop", URL, breaker=breakers.of("shop"), limiter=limiter, pool=pool, patience_s=0)
    for _ in range(2):
        breakers.admit("shop").failed("x")
    time.at += 2

    with pytest.raises(Throttled):
        session.send("GET", "/x", is_write=False)

    assert breakers.states(["shop"])["shop"].wants_probe


@pytest.mark.parametrize(
    ("status", "body", "is_failure"),
    [
        (200, "<SorMaster/>", False),
        (200, "ERROR: The stock code 'A' does not exist", False),
        (200, "ERROR: Number of licensed users exceeded", False),
        (401, "", False),
        (403, "<html>blocked</html>", False),
        (500, "", False),
        (200, "ERROR: The SYSPRO service is unavailable", True),
        (200, "<!DOCTYPE html><html>Application pool stopped</html>", True),
        (503, "<html>Service Unavailable</html>", True),
    ],
)
def test_answers_of_syspro(
    status: int, body: str, settings_of_syspro: Callable[[], Settings], *, is_failure: bool
) -> None:
    outage = syspro.outage(status, body, settings_of_syspro())

    assert (outage is not None) == is_failure


@pytest.fixture
def settings_of_syspro() -> Callable[[], Settings]:
    """Settings with the patterns that an endpoint has by default."""

    def make() -> Settings:
        given = {"gateway": "enet", "url": URL, "operator": "BPSYNC", "company": "T"}
        return Settings.of(Endpoint(1, "erp", "syspro", given), [])

    return make

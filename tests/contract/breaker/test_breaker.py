"""The breaker on a real Valkey with a clock of the test's: when it opens, how it probes, how it closes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from syncengine.errors import EndpointDown
from syncengine.http.breaker import Breakers, Rules
from syncengine.http.breaker_state import Change
from tests.contract.breaker.conftest import Time
from tests.services import free_port

RULES = Rules(calls=4, failing_percent=50, window_s=30, first_s=2, most_s=60, probe_s=45)


@pytest.fixture
def changes() -> list[Change]:
    """The changes that hooks received."""
    return []


@pytest.fixture
def breakers(client: redis.Redis, time: Time, changes: list[Change]) -> Breakers:
    return Breakers(client, RULES, hooks=[changes.append], now=time)


def _call(breakers: Breakers, why: str | None = None) -> None:
    with breakers.admit("shop") as passage:
        if why is None:
            passage.answered()
        else:
            passage.failed(why)


def _open(breakers: Breakers) -> None:
    for _ in range(4):
        _call(breakers, "refused")


def test_it_opens_on_the_fourth_failure_of_four_and_not_before(breakers: Breakers, changes: list[Change]) -> None:
    for _ in range(3):
        _call(breakers, "refused")
        assert breakers.states(["shop"])["shop"].name == "closed"
    _call(breakers, "refused")

    assert breakers.states(["shop"])["shop"].name == "open"
    assert changes == [Change("shop", opened=True, why="refused", open_s=2.0)]
    with pytest.raises(EndpointDown) as down:
        breakers.admit("shop")
    assert down.value.retry_in_s == 2.0
    assert "refused" in str(down.value)


def test_a_share_below_the_half_does_not_open_it_and_the_half_does(breakers: Breakers) -> None:
    for why in (None, None, None, None, "x", "x", "x"):
        _call(breakers, why)
    assert not breakers.states(["shop"])["shop"].is_open  # 3 of 7
    _call(breakers, "x")

    assert breakers.states(["shop"])["shop"].is_open  # 4 of 8


def test_failures_older_than_half_a_minute_do_not_count(breakers: Breakers, time: Time) -> None:
    for _ in range(3):
        _call(breakers, "x")
    time.at += 31
    _call(breakers, "x")

    state = breakers.states(["shop"])["shop"]
    assert (state.name, state.calls, state.failures) == ("closed", 1, 1)


def test_endpoints_have_breakers_of_their_own(breakers: Breakers) -> None:
    _open(breakers)

    breakers.admit("erp")


def test_one_probe_at_a_time_is_let_through_after_the_rest(breakers: Breakers, time: Time) -> None:
    _open(breakers)
    time.at += 1.9
    with pytest.raises(EndpointDown):
        breakers.admit("shop")
    time.at += 0.2
    assert breakers.states(["shop"])["shop"].wants_probe

    with breakers.admit("shop") as probe:
        assert probe.is_probe
        assert breakers.states(["shop"])["shop"].name == "probing"
        with pytest.raises(EndpointDown):
            breakers.admit("shop")
        probe.answered()
    assert not breakers.admit("shop").is_probe


def test_the_rest_doubles_with_each_probe_that_fails_up_to_a_minute(breakers: Breakers, time: Time) -> None:
    _open(breakers)
    rests = []
    for _ in range(8):
        rest = breakers.states(["shop"])["shop"].retry_in_s
        rests.append(rest)
        time.at += rest
        _call(breakers, "still refused")

    assert rests == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_probe_that_succeeds_closes_it_and_forgets_the_failures(
    breakers: Breakers, time: Time, changes: list[Change]
) -> None:
    _open(breakers)
    time.at += 2
    _call(breakers)

    assert changes[-1] == Change("shop", opened=False, why="", open_s=2.0)
    _call(breakers, "x")
    assert breakers.states(["shop"])["shop"].name == "closed"


def test_a_prober_that_died_blocks_nobody_for_longer_than_its_lease(breakers: Breakers, time: Time) -> None:
    _open(breakers)
    time.at += 2
    dead = breakers.admit("shop")
    time.at += 44
    with pytest.raises(EndpointDown):
        breakers.admit("shop")
    time.at += 1
    _call(breakers)
    assert not breakers.states(["shop"])["shop"].is_open

    dead.failed("late")  # counts as one failure of the closed breaker, no more
    assert not breakers.states(["shop"])["shop"].is_open


def test_a_probe_that_was_never_sent_is_free_for_the_next_call(breakers: Breakers, time: Time) -> None:
    _open(breakers)
    time.at += 2
    with pytest.raises(ZeroDivisionError), breakers.admit("shop"):
        raise ZeroDivisionError  # the lease was lost, or no slot was free

    assert breakers.admit("shop").is_probe


def test_calls_that_began_before_it_opened_neither_close_nor_prolong_it(breakers: Breakers, time: Time) -> None:
    early, late = breakers.admit("shop"), breakers.admit("shop")
    _open(breakers)
    early.answered()
    late.failed("x")

    state = breakers.states(["shop"])["shop"]
    assert (state.name, state.retry_in_s) == ("open", 2.0)


def test_a_person_can_have_it_probed_at_once(breakers: Breakers) -> None:
    assert not breakers.probe_now("shop")
    _open(breakers)
    assert breakers.probe_now("shop")

    assert breakers.admit("shop").is_probe


def test_a_state_lost_with_redis_is_closed(breakers: Breakers, client: redis.Redis) -> None:
    _open(breakers)
    client.flushall()

    assert not breakers.admit("shop").is_probe


def test_without_redis_it_is_closed_and_redis_is_left_alone_for_a_while(time: Time) -> None:
    nobody = redis.Redis(port=free_port(), retry=None)
    breakers = Breakers(nobody, RULES, now=time)

    for _ in range(10):
        _call(breakers, "x")
    assert breakers.state("shop") is None
    assert breakers.states(["shop"])["shop"].name == "closed"


def test_only_one_of_many_workers_probes(client: redis.Redis, time: Time) -> None:
    breakers = Breakers(client, RULES, now=time)
    _open(breakers)
    time.at += 2
    start = threading.Barrier(8)

    def admitted(_: int) -> bool:
        start.wait()
        try:
            return breakers.admit("shop").is_probe
        except EndpointDown:
            return False

    with ThreadPoolExecutor(8) as workers:
        assert sum(workers.map(admitted, range(8))) == 1


def test_the_latest_failure_is_shown_without_secrets(breakers: Breakers) -> None:
    for _ in range(4):
        _call(breakers, "GET /x?UserId=0123456789abcdef: token=abcdef0123456789 refused")

    assert "abcdef0123456789" not in breakers.states(["shop"])["shop"].why


def test_answered_calls_are_told_with_the_next_question_and_not_after_half_a_minute(
    breakers: Breakers, client: redis.Redis, time: Time
) -> None:
    other = Breakers(client, RULES, now=time)
    for _ in range(3):
        _call(breakers)
    assert other.states(["shop"])["shop"].calls == 2  # the next call reports the third

    _call(breakers, "refused")
    assert other.states(["shop"])["shop"].calls == 4
    _call(breakers)
    time.at += 31
    assert breakers.states(["shop"])["shop"].calls == 0

"""The rolling window against a real Valkey, on a clock that the test moves. Expected values are worked out by hand."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from syncengine import clock as engine_clock
from syncengine.errors import Throttled
from syncengine.http.limiter import Limiter, Pool, RedisAway, Usage
from syncengine.sandbox.brightpearl.throttle import Throttle
from syncengine.sandbox.switches import Switches
from tests import services

START = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(client: redis.Redis, clock: Clock) -> Limiter:
    return Limiter(client, now=clock)


POOL = Pool("brightpearl:acme:app", limit=3, window_s=60, guard_s=0.5)


def known(limiter: Limiter, pool: Pool = POOL) -> None:
    """A window of which nothing is used, as after a probe that was answered a full window ago."""
    limiter.learn(pool, remaining=pool.limit, resets_in_s=0)


def waits(
    limiter: Limiter, count: int, patience: float = 1000, pool: Pool = POOL, lane: str = "realtime"
) -> list[float]:
    return [round(limiter.reserve(pool, lane, patience=patience).wait_s, 3) for _ in range(count)]


def test_calls_within_the_limit_may_leave_at_once_and_further_ones_a_window_and_guard_later(limiter: Limiter) -> None:
    known(limiter)
    assert waits(limiter, 7) == [0, 0, 0, 60.5, 60.5, 60.5, 121]


def test_a_slot_is_free_again_a_window_and_guard_after_its_call(limiter: Limiter, clock: Clock) -> None:
    known(limiter)
    waits(limiter, 3)
    clock.time += 60.4
    with pytest.raises(Throttled) as busy:
        limiter.reserve(POOL, "realtime", patience=0)
    assert busy.value.retry_in_s == pytest.approx(0.1)
    clock.time += 0.2
    assert waits(limiter, 1) == [0]


def test_a_wait_beyond_the_patience_holds_no_place_and_is_told(limiter: Limiter, clock: Clock) -> None:
    known(limiter)
    waits(limiter, 3)
    with pytest.raises(Throttled) as refused:
        limiter.reserve(POOL, "realtime", patience=5)
    assert refused.value.retry_in_s == pytest.approx(60.5)
    usage = limiter.usage(POOL)
    assert (usage.taken, usage.waiting) == (3, 0)


def test_a_slot_given_back_is_free_at_once(limiter: Limiter) -> None:
    known(limiter)
    booking = limiter.reserve(POOL, "realtime", patience=0)
    waits(limiter, 2)
    booking.give_back()
    assert waits(limiter, 2) == [0, 60.5]


def test_a_paced_slot_given_back_leaves_its_turn_to_the_next(limiter: Limiter) -> None:
    known(limiter)
    limiter.reserve(POOL, "backfill", patience=0).give_back()
    assert waits(limiter, 1, patience=0, lane="backfill") == [0]


def test_asking_again_for_the_same_slot_keeps_its_place(limiter: Limiter, clock: Clock) -> None:
    known(limiter)
    waits(limiter, 3)
    first = limiter.reserve(POOL, "realtime", patience=100)
    second = limiter.reserve(POOL, "realtime", patience=100)
    clock.time += 20
    again = limiter.reserve(POOL, "realtime", patience=100, slot=first.slot)
    assert (first.wait_s, second.wait_s, again.wait_s) == (60.5, 60.5, 40.5)
    assert limiter.usage(POOL).waiting == 2


def test_a_slot_whose_call_is_later_than_the_guard_is_taken_anew(limiter: Limiter, clock: Clock) -> None:
    known(limiter)
    late = limiter.reserve(POOL, "realtime", patience=0)
    clock.time += 10
    limiter.reserve(POOL, "realtime", patience=0, slot=late.slot)
    waits(limiter, 2)
    clock.time += 51  # the slot counts from its new time: at 61 s after the first booking it is still taken
    assert waits(limiter, 1) == [9.5]


def test_a_reserve_is_left_for_other_users_of_the_pool(limiter: Limiter) -> None:
    pool = Pool("brightpearl:acme:app", limit=3, reserve=1)
    known(limiter, pool)
    assert waits(limiter, 3, pool=pool) == [0, 0, 60.5]


def test_calls_of_others_are_learned_and_count_until_the_reset(limiter: Limiter, clock: Clock) -> None:
    known(limiter)
    waits(limiter, 1)
    limiter.learn(POOL, remaining=0, resets_in_s=30)  # we made one of the three calls that were counted
    assert waits(limiter, 1) == [30.5]
    assert limiter.usage(POOL).taken == 3


def test_others_take_from_what_is_left_to_them_and_only_beyond_that_from_ours(limiter: Limiter) -> None:
    pool = Pool("brightpearl:acme:app", limit=10, reserve=4)  # ours are 6
    known(limiter, pool)
    waits(limiter, 2, pool=pool)
    limiter.learn(pool, remaining=4, resets_in_s=30)  # 6 counted: 2 of ours, 4 of others
    assert limiter.usage(pool).taken == 2
    limiter.learn(pool, remaining=3, resets_in_s=30)  # 5 of others: together with 5 of ours they are 10
    assert limiter.usage(pool).taken == 3
    assert waits(limiter, 4, pool=pool) == [0, 0, 0, 30.5]


def test_a_window_just_found_again_leaves_nothing_where_all_its_calls_may_have_been_ours(limiter: Limiter) -> None:
    pool = Pool("brightpearl:acme:app", limit=10, reserve=4)
    limiter.reserve(pool, "realtime", patience=0)
    limiter.learn(pool, remaining=1, resets_in_s=30)
    assert limiter.usage(pool).taken == 6


def test_an_answer_that_took_long_is_compared_with_what_was_ours_when_it_was_counted(
    limiter: Limiter, clock: Clock
) -> None:
    known(limiter)
    waits(limiter, 3)
    clock.time += 65
    limiter.learn(POOL, remaining=0, resets_in_s=30, age_s=20)  # the three were ours
    assert limiter.usage(POOL).taken == 0
    limiter.learn(POOL, remaining=0, resets_in_s=30)  # these were not: ours had left the window
    assert limiter.usage(POOL).taken == 3


def test_more_remaining_than_we_know_of_changes_nothing(limiter: Limiter) -> None:
    known(limiter)
    waits(limiter, 3)
    limiter.learn(POOL, remaining=2, resets_in_s=30)  # a fixed window was reset; the rolling one is stricter
    assert waits(limiter, 1) == [60.5]


def test_learning_the_same_twice_adds_nothing(limiter: Limiter) -> None:
    known(limiter)
    limiter.learn(POOL, remaining=1, resets_in_s=30)
    limiter.learn(POOL, remaining=1, resets_in_s=30)
    assert limiter.usage(POOL).taken == 2


def test_a_refused_call_closes_the_gate_for_all_also_for_who_has_a_slot(limiter: Limiter, clock: Clock) -> None:
    known(limiter)
    booked = limiter.reserve(POOL, "realtime", patience=0)
    limiter.close(POOL, 31.25)
    assert limiter.reserve(POOL, "realtime", patience=100, slot=booked.slot).wait_s == pytest.approx(31.25)
    assert limiter.usage(POOL).closed_for_s == pytest.approx(31.25)
    limiter.close(POOL, 5)
    clock.time += 6
    assert limiter.usage(POOL).closed_for_s == pytest.approx(25.25)


def test_an_unknown_window_lets_one_probe_through_and_its_answer_seeds_it(limiter: Limiter, clock: Clock) -> None:
    pool = Pool("brightpearl:acme:app", limit=200)
    probe = limiter.reserve(pool, "realtime", patience=0)
    assert probe.wait_s == 0
    with pytest.raises(Throttled) as waiting:
        limiter.reserve(pool, "realtime", patience=0)
    assert waiting.value.retry_in_s <= 0.25
    # 150 calls were counted, the probe among them; the system's window resets in 20 s
    limiter.learn(pool, remaining=50, resets_in_s=20)
    usage = limiter.usage(pool)
    assert (usage.taken, usage.is_known) == (150, True)
    clock.time += 19
    assert limiter.usage(pool).taken == 150
    clock.time += 22  # of the 149 others half have left halfway between the reset and a full window
    assert 70 <= limiter.usage(pool).taken <= 80


def test_a_probe_may_ask_again_for_its_own_slot(limiter: Limiter, clock: Clock) -> None:
    probe = limiter.reserve(POOL, "realtime", patience=0)
    assert limiter.reserve(POOL, "realtime", patience=0, slot=probe.slot).wait_s == 0
    clock.time += 2  # later than the guard: booked again, and still the probe
    assert limiter.reserve(POOL, "realtime", patience=0, slot=probe.slot).wait_s == 0


def test_a_probe_that_was_not_made_leaves_the_way_to_the_next(limiter: Limiter) -> None:
    limiter.reserve(POOL, "realtime", patience=0).give_back()
    assert limiter.reserve(POOL, "realtime", patience=0).wait_s == 0


def test_a_probe_that_is_never_answered_is_followed_by_another_one(limiter: Limiter, clock: Clock) -> None:
    limiter.reserve(POOL, "realtime", patience=0)
    clock.time += 10.1
    assert limiter.reserve(POOL, "realtime", patience=0).wait_s == 0


def test_a_lost_state_is_noticed_by_who_has_booked(limiter: Limiter, client: redis.Redis, clock: Clock) -> None:
    known(limiter)
    waits(limiter, 3)
    booked = limiter.reserve(POOL, "realtime", patience=100)
    client.flushall()
    clock.time += booked.wait_s
    limiter.reserve(POOL, "realtime", patience=0)  # another worker is the probe
    with pytest.raises(Throttled):
        limiter.reserve(POOL, "realtime", patience=0, slot=booked.slot)


def test_a_redis_that_came_back_without_its_latest_writes_is_asked_about_by_one_probe(
    client: redis.Redis, clock: Clock
) -> None:
    limiter, other = Limiter(client, now=clock), Limiter(client, now=clock)
    known(limiter)
    waits(limiter, 1)
    client.script_flush()  # as a restart does: what was stored is there again, up to some moment
    assert limiter.usage(POOL).is_known is False
    assert limiter.usage(POOL).taken == 1
    waits(limiter, 1)
    with pytest.raises(Throttled, match="one call is determining"):
        other.reserve(POOL, "realtime", patience=0)
    limiter.learn(POOL, remaining=0, resets_in_s=30)  # a third call was made and forgotten
    assert other.usage(POOL).taken == 3


def test_a_restart_is_noticed_although_the_data_were_kept(tmp_path: Path) -> None:
    url, process = services.start_valkey(tmp_path, append_only=True)
    client = redis.Redis.from_url(url)
    try:
        limiter = Limiter(client)
        known(limiter)
        limiter.reserve(POOL, "realtime", patience=0)
        services.stop(process)
        _, process = services.start_valkey(tmp_path, port=urlsplit(url).port, append_only=True)
        usage = limiter.usage(POOL)
        assert (usage.taken, usage.is_known) == (1, False)
    finally:
        client.close()
        services.stop(process)


def test_each_pool_notices_by_itself_that_redis_began_anew(limiter: Limiter, client: redis.Redis) -> None:
    other = Pool("brightpearl:acme:other", limit=3)
    known(limiter)
    known(limiter, other)
    client.script_flush()
    assert [limiter.usage(pool).is_known for pool in (POOL, other)] == [False, False]


def test_a_clock_that_was_set_back_holds_no_slot_for_longer_than_a_window(limiter: Limiter, clock: Clock) -> None:
    known(limiter)
    waits(limiter, 5)
    limiter.close(POOL, 30)
    clock.time -= 3600
    assert limiter.usage(POOL) == Usage(taken=3, of=3, closed_for_s=0, is_known=False)
    clock.time += 60.6
    assert waits(limiter, 1) == [0]


def test_how_long_one_more_caller_of_the_low_lanes_would_wait(limiter: Limiter, clock: Clock) -> None:
    assert limiter.usage(POOL).paced_wait_s == 0  # nothing known: a probe may go
    known(limiter)
    assert limiter.usage(POOL).paced_wait_s == 0
    waits(limiter, 3)
    clock.time += 20
    assert limiter.usage(POOL).paced_wait_s == pytest.approx(40.5 + 60.5 * 0.005)  # a slot must have been free so long
    limiter.close(POOL, 50)
    assert limiter.usage(POOL).paced_wait_s == pytest.approx(50)


def test_pools_do_not_touch_one_another(limiter: Limiter) -> None:
    other = Pool("brightpearl:acme:other", limit=3)
    known(limiter)
    known(limiter, other)
    waits(limiter, 3)
    assert waits(limiter, 1, pool=other) == [0]


def test_keys_of_a_pool_lie_together_and_vanish_when_idle(limiter: Limiter, client: redis.Redis) -> None:
    known(limiter)
    waits(limiter, 1)
    base = b"limit:{brightpearl:acme:app}:"
    assert sorted(client.keys()) == [base + b"slots", base + b"state"]
    assert 60_000 < client.pttl(base + b"slots") < 123_000
    waits(limiter, 4)
    assert sorted(client.keys()) == [base + b"due", base + b"slots", base + b"state", base + b"urgent"]
    assert 60_000 < client.pttl(base + b"urgent") < 123_000


NOBODY = redis.Redis(port=1, socket_connect_timeout=0.1, retry=None)


def test_without_redis_no_call_may_be_made_but_what_was_learned_may_be_lost() -> None:
    limiter = Limiter(NOBODY)
    with pytest.raises(RedisAway, match="Redis is away"):
        limiter.reserve(POOL, "realtime", patience=1)
    limiter.learn(POOL, remaining=1, resets_in_s=1)
    limiter.close(POOL, 1)


def test_on_the_servers_clock_slots_are_taken_and_waited_for(client: redis.Redis) -> None:
    pool = Pool("brightpearl:acme:app", limit=2, window_s=0.2, guard_s=0.05)
    limiter = Limiter(client)
    known(limiter, pool)
    taken = [limiter.take(pool, "realtime", patience=5) for _ in range(5)]
    assert [booking.wait_s for booking in taken] == [0, 0, 0, 0, 0]


def test_while_redis_is_away_callers_wait_and_one_line_a_minute_tells_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(engine_clock, "sleep", slept.append)
    monkeypatch.setattr(engine_clock, "monotonic", lambda: sum(slept))
    with pytest.raises(RedisAway, match="Redis is away"):
        Limiter(NOBODY).take(POOL, "backfill", patience=90)
    assert sum(slept) == pytest.approx(90)
    assert [record.getMessage() for record in caplog.records] == [
        f"Redis is not reachable, or refuses writes (ConnectionError){since}, so call counts are unknown and calls wait. "
        "Is syncengine running? Start it with `syncengine up`"
        for since in ("", " for 60 s")
    ]


def test_an_unknown_lane_is_refused(limiter: Limiter) -> None:
    with pytest.raises(ValueError, match="unknown lane 'urgent'"):
        limiter.reserve(POOL, "urgent", patience=0)


@pytest.mark.parametrize(("window", "begun_at_s"), [("calendar", 0.0), ("calendar", 41.5), ("rolling", 41.5)])
def test_the_quota_is_fully_used_and_never_exceeded_whatever_the_systems_window(
    limiter: Limiter, clock: Clock, window: str, begun_at_s: float
) -> None:
    clock.time += begun_at_s - clock.time % 60
    system = Throttle(Switches({"brightpearl_window": window}), clock)
    pool = Pool(f"whole-{window}-{begun_at_s}", limit=200)
    end, made = clock.time + 300, 0
    while clock.time < end:
        try:
            wait_s = limiter.reserve(pool, "realtime", patience=0).wait_s
            assert wait_s == 0
        except Throttled as busy:
            clock.time += busy.retry_in_s
            continue
        grant = system.take(pool.name)
        assert grant.is_allowed
        made += 1
        limiter.learn(pool, grant.remaining, grant.next_period_ms / 1000)
    assert made >= 0.99 * 200 * 300 / 60

"""What the watcher sees: each rule speaks when it should, says what to do, and falls silent when it is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import redis
from sqlalchemy import update

from syncengine import clock
from syncengine.alerts import Severity, Sinks
from syncengine.connectors.base import Operation, Outcome, Safety, Verb
from syncengine.document import Doc
from syncengine.engine.core.engine import Limits
from syncengine.engine.people import manual_settlement
from syncengine.engine.traffic import endpoints
from syncengine.engine.watch import health
from syncengine.engine.watch.rule import Thresholds
from syncengine.engine.watch.watcher import Watcher, evaluate, last
from syncengine.errors import OutcomeUnknown, Rejected
from syncengine.http.breaker import Breakers
from syncengine.mapping.contract import Context, Need, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.lock import Lock
from syncengine.store.states import Lane
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow

THRESHOLDS = Thresholds(dead_letters=4, gone=3, window_s=600, oldest_s=1800)


def _signs(world: World, *, up_s: float = 0.0) -> dict[tuple[str, str], str]:
    """Rules and subjects that speak now, with their texts; and written into the book, as the watcher does."""
    found, _ = evaluate(world.engine, THRESHOLDS, clock.now(), up_s=up_s)
    Watcher(world.engine, Sinks(()), THRESHOLDS).watch()
    return {(sign.rule, sign.subject): sign.text for sign in found}


def _open(world: World) -> list[m.Alert]:
    with world.store.read() as session:
        return list(session.query(m.Alert).filter(m.Alert.resolved_at.is_(None)))


def _put(world: World, count: int) -> list[str]:
    keys = [str(number) for number in range(1, count + 1)]
    for key in keys:
        world.left.put("things", key, name=f"thing {key}")
    return keys


@pytest.mark.one_database
def test_all_well_is_no_sign(world: World) -> None:
    world.sync("things", *_put(world, 3))
    assert _signs(world) == {}


@pytest.mark.one_database
def test_refused_credentials_name_the_endpoint_and_the_way_out(world: World) -> None:
    with world.store.read() as session:
        endpoint = session.query(m.Endpoint).filter_by(name="right-1").one()
    world.engine.rest(endpoint.id, for_s=300, because="401 after a refresh", now=clock.now())

    assert _signs(world) == {("authentication", "right-1"): "right-1 rejects our credentials: 401 after a refresh"}
    (alert,) = _open(world)
    assert alert.severity == Severity.CRITICAL
    assert "syncengine endpoints resume right-1" in alert.remedy


@pytest.mark.one_database
def test_a_persons_pause_is_no_sign_and_lets_what_is_due_grow_old_in_peace(world: World) -> None:
    world.want("things", *_put(world, 1))
    until = clock.now() + timedelta(days=2)
    endpoints.pause(world.engine, "right-1", until=until, because="moving house", by="ann")
    world.time.pass_(86_400)
    assert _signs(world) == {}


def test_dead_letters_of_one_cause_speak_by_rate_and_until_they_are_dealt_with(world: World) -> None:
    world.right.faults = ["refused"] * 3
    keys = _put(world, 5)
    world.sync("things", *keys[:3])
    assert _signs(world) == {}  # three are not yet four

    world.right.faults = ["refused"]
    world.sync("things", keys[3])
    assert _signs(world) == {
        ("dead letters", "main: things: no such thing"): "4 dead letters of things in main: no such thing"
    }
    world.time.pass_(3600)  # no longer sudden, and still four
    assert len(_signs(world)) == 1

    world.sync("things", *keys[:2])  # two of them went through
    assert _signs(world) == {}
    assert _open(world) == []


@pytest.mark.one_database
def test_dead_letters_of_one_cause_speak_however_slowly_they_come(world: World) -> None:
    *some, last_ = _put(world, 4)
    for key in some:
        world.right.faults = ["refused"]
        world.sync("things", key)
        world.time.pass_(43_200)
    assert _signs(world) == {}
    world.right.faults = ["refused"]
    world.sync("things", last_)
    text = "4 dead letters of things in main: no such thing"
    assert _signs(world) == {("dead letters", "main: things: no such thing"): text}


@pytest.mark.one_database
def test_a_flow_of_which_nothing_goes_through_speaks_whatever_the_causes(make_world: Callable[..., World]) -> None:
    def _refused(doc: Doc, context: Context) -> Doc:
        if doc["name"].startswith("bad"):
            raise Rejected(field="name", value=doc["name"], reason=f"cannot take a {doc['name']}", remedy="fix it")
        return by_name(doc, context)

    def put(key: str, name: str) -> None:
        world.left.put("things", key, name=name)
        world.sync("things", key)
        world.time.pass_(20_000)

    world = make_world(flow("things", Plain(_refused)))
    for key, name in enumerate(("bad oak", "bad elm", "good", "bad fig", "bad pear", "bad kiwi", "bad plum"), 1):
        put(str(key), name)
    assert _signs(world) == {}  # four in a row are not yet five
    put("8", "bad lime")
    text = (
        "no record of things in main gets through: the last 5 became dead letters, the latest: cannot take a bad lime"
    )
    assert _signs(world) == {("none through", "main: things"): text}
    put("9", "good")
    assert _signs(world) == {}
    assert _open(world) == []


def test_what_is_held_for_long_is_told_with_its_commonest_reason(make_world: Callable[..., World]) -> None:
    def too_much(doc: Doc, context: Context) -> RuleDecision:
        return (
            RuleDecision(RuleVerdict.HOLD, "over the credit limit")
            if doc["name"].startswith("much")
            else RuleDecision()
        )

    world = make_world(flow("things", Plain(by_name, rules=too_much)))
    for key in ("1", "2"):
        world.left.put("things", key, name="much")
    world.sync("things", "1", "2")
    world.time.pass_(80_000)
    world.left.put("things", "3", name="much more")
    world.sync("things", "3")
    assert _signs(world) == {}

    for _ in range(3):  # held again every hour
        world.time.pass_(4000)
        world.settle()
    text = (
        "2 of 3 held records of things in main have been held for more than 24 hours, the longest for 26 hours; "
        "2 of them: over the credit limit"
    )
    assert _signs(world) == {("held", "main: things"): text}
    (alert,) = _open(world)
    assert alert.remedy.startswith("Run `syncengine held list --flow things`")
    world.configure(mode="observe")  # nothing would be written anyway
    assert _signs(world) == {}
    world.configure(mode="live")
    assert list(_signs(world)) == [("held", "main: things")]

    for key in ("1", "2"):
        world.left.put("things", key, name="little")
    world.sync("things", "1", "2")
    assert _signs(world) == {}
    assert _open(world) == []


@pytest.mark.one_database
def test_a_shut_ceiling_speaks_until_it_is_open(world: World) -> None:
    with world.store.write() as session:
        session.add(
            m.Ceiling(
                connection_id=world.connection_id, flow="things", shut_at=clock.now(), shut_because="100 within an hour"
            )
        )
    assert _signs(world) == {("ceiling", "main: things"): "things of main has stopped writing: 100 within an hour"}
    with world.store.write() as session:
        session.execute(update(m.Ceiling).values(shut_at=None))
    assert _signs(world) == {}


@pytest.mark.one_database
def test_a_wiped_target_creates_nothing_again_and_raises_the_alarm_until_it_is_back(world: World) -> None:
    keys = _put(world, 4)
    world.sync("things", *keys)
    before, world.right.objects["things"] = world.right.objects["things"], {}
    writes = len(world.right.writes)
    for key in keys:
        world.left.put("things", key, name=f"edited {key}")
    world.sync("things", *keys)

    text = "4 linked objects of things in main have suddenly disappeared"
    assert _signs(world) == {("gone", "main: things"): text}
    assert len(world.right.writes) == writes
    world.time.pass_(2 * 3600)
    world.settle()  # held records were checked again: it is not over
    assert _signs(world) == {("gone", "main: things"): text}
    assert len(_open(world)) == 1

    world.right.objects["things"] = before
    world.sync("things", *keys)
    assert _signs(world) == {}


@pytest.mark.one_database
def test_objects_that_go_one_by_one_are_no_alarm(world: World) -> None:
    keys = _put(world, 4)
    world.sync("things", *keys)
    for key in keys:
        del world.right.objects["things"][f"R{key}"]
        world.left.put("things", key, name=f"edited {key}")
        world.sync("things", key)
        assert world.record("things", key).status == "held"
        world.time.pass_(1500)
        world.settle()
    world.time.pass_(3700)
    world.settle()  # all of them are checked again at once
    assert _signs(world) == {}


@pytest.mark.parametrize(("lane", "speaks"), [(Lane.SCHEDULED, True), (Lane.BACKFILL, False)])
def test_a_record_that_nobody_takes_up_is_late_unless_it_is_part_of_a_first_load(
    world: World, lane: Lane, speaks: bool
) -> None:
    world.want("things", *_put(world, 1), lane=lane)
    world.time.pass_(1700)
    assert _signs(world) == {}
    world.time.pass_(200)
    late = "things of main is late: its oldest record has been due for 32 minutes"
    assert _signs(world) == ({("oldest due", "main: things"): late} if speaks else {})


@pytest.mark.one_database
def test_the_alert_of_a_shut_flow_ends_when_the_connection_has_that_flow_no_more(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("things", Plain(by_name)), flow("stuff", Plain(by_name)))
    world.configure(ceilings={"things": 1})
    world.sync("things", *_put(world, 3))
    assert ("ceiling", "main: things") in _signs(world)
    world.configure(flows=["stuff"])
    assert ("ceiling", "main: things") not in _signs(world)


@pytest.mark.one_database
def test_a_record_that_is_tried_again_and_again_is_late_too(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(by_name)), limits=Limits(backoff_s=300))
    world.right.faults = ["busy"] * 20
    world.want("things", *_put(world, 1))
    for _ in range(20):
        world.settle()
        world.time.pass_(100)
    assert list(_signs(world)) == [("oldest due", "main: things")]


@pytest.mark.one_database
def test_a_record_of_long_ago_that_fails_now_is_not_late_yet(world: World) -> None:
    keys = _put(world, 1)
    world.sync("things", *keys)
    world.time.pass_(100 * 86_400)
    world.right.faults = ["busy"] * 9
    world.left.put("things", "1", name="edited")
    world.want("things", *keys)
    for _ in range(4):
        world.settle()
        world.time.pass_(30)
    assert world.record("things", "1").attempts >= 3
    assert _signs(world) == {}


@pytest.mark.one_database
def test_a_write_that_is_sent_again_and_again_and_never_understood_is_told(make_world: Callable[..., World]) -> None:
    """A claim makes its record look young, and each send its write."""

    class Odd(Thing):
        def _one(self, operation: Operation) -> Outcome:
            return Outcome.unknown(OutcomeUnknown("nobody knows this answer"))

    world = make_world(flow("things", Plain(by_name)))
    world.resources["right.things"] = Odd(world.right, "right.things", settle_s=120.0)
    world.want("things", *_put(world, 1))
    shown = []
    for _ in range(50):
        world.settle()
        shown.append([text for (rule, _), text in _signs(world).items() if rule == "in doubt"])
        world.time.pass_(60)

    assert shown[:30] == [[]] * 30
    text = "1 write of things in main has an unknown outcome, for 40 minutes: record 1"
    assert [text] in shown
    (alert,) = [each for each in _open(world) if each.rule == "in doubt"]
    assert "`syncengine trace 1 --flow things`" in alert.remedy
    assert "`syncengine held settle 1 --flow things`" in alert.remedy


@pytest.mark.one_database
def test_a_write_that_a_person_must_settle_is_told_after_a_while_and_until_that_is_done(
    make_world: Callable[..., World],
) -> None:
    asks = {Verb.CREATE: Safety.ASK, Verb.CHANGE: Safety.ABSOLUTE, Verb.CANCEL: Safety.ABSOLUTE}
    world = make_world(flow("things", Plain(by_name)), right={"safety": asks})
    world.right.faults = ["lost"]
    keys = _put(world, 1)
    world.sync("things", *keys, patience_s=200)
    assert world.record("things", "1").status == "held"
    assert _signs(world) == {}

    for _ in range(3):  # it is checked again every hour
        world.time.pass_(3700)
        world.settle()
    assert list(_signs(world)) == [("in doubt", "main: things")]

    record = world.record("things", "1")
    with world.store.read() as session:
        doubt = manual_settlement.unknown_write_of(session, world.engine, record)
    manual_settlement.did_not(world.engine, record, doubt, by="anna")
    world.settle()
    assert world.record("things", "1").status == "done"
    assert _signs(world) == {}


def test_what_waits_for_another_object_for_long_is_told_with_what_it_waits_for(
    make_world: Callable[..., World],
) -> None:
    def owner(doc: Doc, context: Context) -> list[Need]:
        return [Need("owners", doc["owner"], "", "owners")]

    world = make_world(flow("things", Plain(by_name, needs_=owner)), flow("owners", Plain(by_name)))
    for key, its_owner in (("1", "7"), ("2", "7"), ("3", "8")):
        world.left.put("things", key, name="a lamp", owner=its_owner)
    world.sync("things", "1", "2", "3")
    world.time.pass_(80_000)
    world.left.put("things", "4", name="a lamp", owner="7")
    world.sync("things", "4")
    assert _signs(world) == {}

    for _ in range(3):  # each look begins the wait again, as the record sees it
        world.time.pass_(4000)
        world.settle()
    text = (
        "3 of 4 waiting records of things in main have waited for more than 24 hours, the longest for 26 hours; "
        "2 of them for owners 7"
    )
    assert _signs(world) == {("waiting", "main: things"): text}
    (alert,) = _open(world)
    assert alert.remedy.startswith("Run `syncengine trace 7 --flow owners` to see what became of it")

    for key in ("7", "8"):
        world.left.put("owners", key, name="Robin")
    world.sync("owners", "7", "8")
    world.settle()
    assert _signs(world) == {}
    assert _open(world) == []


@pytest.mark.one_database
def test_a_source_whose_clock_differs_is_told(world: World) -> None:
    ahead = [29.0]

    class Elsewhere(Thing):
        def now(self) -> datetime:
            return self.system.time.at + timedelta(seconds=ahead[0])

    world.resources["left.things"] = Elsewhere(world.left, "left.things")
    keys = _put(world, 2)
    world.sync("things", keys[0])
    assert _signs(world) == {}
    ahead[0] = -95.0
    world.time.pass_(60)
    world.sync("things", keys[1])
    assert _signs(world) == {("clock", "main: left"): "the clock of left in main is 95 seconds behind this host's"}


@pytest.mark.one_database
def test_an_endpoint_that_is_down_speaks_and_a_redis_that_is_away_ends_nothing(
    world: World, client: redis.Redis
) -> None:
    breakers = Breakers(client, hooks=[endpoints.noting(world.store)], now=world.time.monotonic)
    world.engine.breakers = breakers
    for _ in range(3):
        breakers.admit("right-1")._end("connection refused")
    assert _signs(world) == {("breaker", "right-1"): "right-1 is down: connection refused"}

    nowhere = redis.Redis(unix_socket_path="/dev/null")
    world.engine.breakers = Breakers(nowhere)
    world.time.pass_(600)
    assert _signs(world) == {}
    assert [alert.rule for alert in _open(world)] == ["breaker"]

    world.engine.breakers = breakers
    breakers.probe_now("right-1")
    breakers.admit("right-1").answered()
    assert _signs(world) == {}
    assert _open(world) == []


@pytest.mark.one_database
def test_a_lane_that_does_not_move_speaks_but_not_where_all_has_just_been_started(
    world: World, client: redis.Redis
) -> None:
    world.engine.breakers = Breakers(client, now=world.time.monotonic)
    with world.store.write() as session:
        for name in ("pump", "realtime", "backfill"):
            health.note(session, name, clock.now())
    assert _signs(world, up_s=60) == {}
    signs = _signs(world, up_s=200)
    assert list(signs) == [("stalled", "scheduled")]
    assert signs["stalled", "scheduled"].startswith("scheduled is stalled: ")


@pytest.mark.one_database
def test_one_watches_at_a_time_and_the_stand_in_only_where_nobody_does(world: World) -> None:
    watcher = Watcher(world.engine, Sinks(()), THRESHOLDS)
    with Lock(world.store, "watch", 120).tried():
        assert watcher.watch() == "another watcher is running"
    assert last(world.engine) is None
    assert watcher.watch() == "0 signs, 0 of 0 sinks notified"
    assert last(world.engine) == clock.now()

    world.time.pass_(30)
    assert watcher.watch(unless_within_s=60) == "another watcher is running"
    world.time.pass_(40)
    assert watcher.watch(unless_within_s=60) == "0 signs, 0 of 0 sinks notified"

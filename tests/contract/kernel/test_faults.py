"""Nothing lost, nothing twice: steps run twice, leases that run out, outcomes that are unknown, endpoints that are down."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from syncengine.connectors.base import Safety, Verb
from syncengine.document import Doc
from syncengine.engine.core.lease import Lease, LeaseLost
from syncengine.engine.steps import running
from syncengine.engine.steps.running import TryAgain
from syncengine.engine.writes import effects
from syncengine.errors import AuthenticationFailed, Rejected, Throttled, Transient
from syncengine.http.limiter import RedisAway
from syncengine.mapping.contract import Context
from syncengine.store import models as m
from syncengine.store.states import Stage
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow

ALL = (Stage.FETCH, Stage.TRANSFORM, Stage.PUSH)


def _begun(world: World, key: str = "1", name: str = "a lamp") -> str:
    world.left.put("things", key, name=name)
    world.want("things", key)
    world.pump()
    return world.messages[-1].token


@pytest.mark.one_database
@pytest.mark.parametrize("twice", ALL)
def test_a_step_that_is_delivered_twice_does_its_work_once(world: World, twice: Stage) -> None:
    token = _begun(world)
    for stage in ALL:
        running.run(world.engine, stage, token)
        if stage is twice:
            assert running.run(world.engine, stage, token) == "nothing to do"
    for stage in ALL:
        assert running.run(world.engine, stage, token) == "nothing to do"

    assert world.right.writes == [("create", "1", "R1")]


@pytest.mark.one_database
@pytest.mark.parametrize("stage", ALL)
def test_a_second_worker_with_the_same_message_cannot_enter_while_the_first_is_at_it(
    world: World, stage: Stage
) -> None:
    token = _begun(world)
    for before in ALL[: ALL.index(stage)]:
        running.run(world.engine, before, token)
    first, second = Lease(world.engine, token, stage), Lease(world.engine, token, stage)

    assert first.enter()
    assert not second.enter()


@pytest.mark.one_database
@pytest.mark.parametrize("lost_before", ALL)
def test_a_message_that_is_lost_costs_its_lease_and_nothing_else(world: World, lost_before: Stage) -> None:
    token = _begun(world)
    for stage in ALL[: ALL.index(lost_before)]:
        running.run(world.engine, stage, token)
    world.messages.clear()  # FLUSHALL
    world.time.pass_(46)
    world.settle()

    assert world.right.writes == [("create", "1", "R1")]
    assert world.record("things", "1").status == "done"


@pytest.mark.parametrize("stage", ALL)
def test_a_worker_that_dies_in_a_step_leaves_everything_to_the_next(world: World, stage: Stage) -> None:
    token = _begun(world)
    for before in ALL[: ALL.index(stage)]:
        running.run(world.engine, before, token)
    assert Lease(world.engine, token, stage).enter()  # and never comes back
    world.messages.clear()
    world.time.pass_(46)
    world.settle()

    assert world.right.writes == [("create", "1", "R1")]


@pytest.mark.one_database
def test_a_worker_that_dies_during_the_call_is_settled_by_a_search_and_nothing_is_created_twice(world: World) -> None:
    token = _begun(world)
    running.run(world.engine, Stage.FETCH, token)
    running.run(world.engine, Stage.TRANSFORM, token)

    def killed(operation: object) -> None:
        raise KeyboardInterrupt  # nothing catches it below the step, as nothing catches a SIGKILL

    world.right.during_write = killed
    with pytest.raises(KeyboardInterrupt):
        running.run(world.engine, Stage.PUSH, token)
    world.right.during_write = None
    world.messages.clear()
    world.settle(patience_s=200)

    assert world.right.writes == [("create", "1", "R1")]
    assert "not found in the target" in world.timeline("things", "1")


@pytest.mark.one_database
@pytest.mark.parametrize("fault", ["lost", "unheard", "late"])
def test_a_create_with_an_unknown_outcome_is_settled_and_there_is_one_object(world: World, fault: str) -> None:
    world.right.faults.append(fault)
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1", patience_s=300)

    assert [doc["ref"] for doc in world.right.objects["things"].values()] == ["1"]
    assert world.links("things") == [("1", "", "R1")]
    assert world.record("things", "1").status == "done"


@pytest.mark.one_database
def test_nothing_is_sent_again_before_the_settle_time_is_over_whatever_wants_it(world: World) -> None:
    world.right.faults.append("late")
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    for _ in range(11):
        world.time.pass_(10)
        world.want("things", "1")
        world.settle()
        assert len(world.right.writes) <= 1
    world.settle(patience_s=30)

    assert world.right.writes == [("create", "1", "R1")]
    assert "adopted" in world.timeline("things", "1")


@pytest.mark.one_database
def test_an_edit_during_the_settle_time_is_written_after_the_adoption(world: World) -> None:
    world.right.faults.append("late")
    world.left.put("things", "1", name="old")
    world.sync("things", "1")
    world.left.put("things", "1", name="new")
    world.sync("things", "1", patience_s=200)

    assert world.right.writes == [("create", "1", "R1"), ("change", "1", "R1")]
    assert world.right.objects["things"]["R1"]["name"] == "new"


@pytest.mark.one_database
@pytest.mark.parametrize("fault", ["lost", "unheard", "late"])
def test_a_change_with_an_unknown_outcome_is_fetched_again_and_the_difference_shows_it(
    world: World, fault: str
) -> None:
    world.left.put("things", "1", name="old")
    world.sync("things", "1")
    world.left.put("things", "1", name="new")
    world.right.faults.append(fault)
    world.sync("things", "1", patience_s=300)

    assert world.right.objects["things"]["R1"]["name"] == "new"
    assert [write for write in world.right.writes if write[0] == "change"] == [("change", "1", "R1")]
    with world.store.read() as session:
        assert {effect.state for effect in session.query(m.Effect)} == {"done"}


@pytest.mark.one_database
def test_somebody_elses_object_of_our_reference_is_not_adopted(world: World) -> None:
    world.right.faults.append("lost")
    world.left.put("things", "1", name="ours")
    world.sync("things", "1")
    world.right.put("things", "X", ref="1", name="typed in by a clerk", created=world.time.at.replace(year=2025))
    world.settle(patience_s=200)

    assert world.record("things", "1").status == "held"
    assert "older than our write" in world.record("things", "1").reason
    assert world.links("things") == []


@pytest.mark.one_database
def test_two_objects_of_our_reference_are_shown_to_a_person(world: World) -> None:
    world.right.faults.append("unheard")
    world.left.put("things", "1", name="ours")
    world.sync("things", "1")
    world.right.put("things", "X", ref="1", name="ours")
    world.settle(patience_s=200)

    assert world.record("things", "1").status == "held"
    assert "several objects" in world.record("things", "1").reason


@pytest.mark.one_database
def test_a_create_without_an_answer_is_refused_as_duplicate_and_then_adopted(make_world: Callable[..., World]) -> None:
    safety = {Verb.CREATE: Safety.ENFORCED, Verb.CHANGE: Safety.ABSOLUTE}
    world = make_world(flow("things", Plain(by_name)), right={"safety": safety})
    world.right.faults.append("late")
    world.resources[
        "right.things"
    ].settle_s = 10.0  # the site's settle time is set too short: the late one comes at 60 s
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.time.pass_(11)
    world.right.during_write = lambda operation: world.time.pass_(60)
    world.settle(patience_s=60)

    assert len(world.right.objects["things"]) == 1
    assert world.links("things") == [("1", "", "R1")]


@pytest.mark.one_database
def test_a_rejected_create_that_was_sent_before_is_looked_up_first(world: World) -> None:
    world.resources["right.things"].settle_s = 10.0
    world.right.faults += ["late", "refused"]
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.time.pass_(11)
    world.right.during_write = lambda operation: world.time.pass_(60)
    world.settle(patience_s=60)

    assert world.links("things") == [("1", "", "R1")]
    assert world.failures() == []


@pytest.mark.one_database
def test_a_write_that_nobody_can_check_is_held_for_a_person_and_never_repeated(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("things", Plain(by_name)), right={"safety": {Verb.CREATE: Safety.ASK}})
    world.right.faults.append("lost")
    world.left.put("things", "1", name="a payment")
    world.sync("things", "1", patience_s=300)
    world.sync("things", "1", patience_s=300)

    assert world.right.writes == []
    assert world.record("things", "1").status == "held"
    assert "nobody knows whether the create" in world.record("things", "1").reason


@pytest.mark.one_database
def test_a_write_that_nobody_can_check_is_done_by_an_answer_that_tells_no_key(make_world: Callable[..., World]) -> None:
    class Unsearchable(Thing):
        def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
            raise LookupError("it cannot be searched")

    world = make_world(flow("things", Plain(lambda doc, context: {"name": doc["name"]})))
    ask = dict.fromkeys(Verb, Safety.ASK)
    world.resources["right.things"] = Unsearchable(world.right, "right.things", settle_s=120.0, safety=ask)
    world.left.put("things", "1", name="a")
    world.right.faults = ["numberless"]
    world.sync("things", "1")

    assert world.record("things", "1").status == "done"
    assert world.links("things") == [("1", "", None)]
    assert world.timeline("things", "1") == ["fetched", "planned", "written"]
    world.sync("things", "1")
    assert (world.record("things", "1").status, len(world.right.writes)) == ("done", 1)

    world.left.put("things", "1", name="b")  # it can neither be read nor changed: a person must
    world.sync("things", "1")
    assert world.record("things", "1").status == "held"
    assert "written without a key" in world.record("things", "1").reason
    assert len(world.right.writes) == 1


@pytest.mark.one_database
def test_a_late_answer_of_a_frozen_worker_settles_its_effect_and_nothing_is_written_twice(world: World) -> None:
    token = _begun(world)
    running.run(world.engine, Stage.FETCH, token)
    running.run(world.engine, Stage.TRANSFORM, token)

    def frozen(operation: object) -> None:
        world.right.during_write = None
        world.time.pass_(60)
        world.pump()  # another worker finds the lease run out
        assert world.record("things", "1").token is None

    world.right.during_write = frozen
    running.run(world.engine, Stage.PUSH, token)
    assert world.links("things") == [("1", "", "R1")]
    world.settle(patience_s=200)

    assert world.right.writes == [("create", "1", "R1")]
    assert world.record("things", "1").status == "done"


@pytest.mark.one_database
def test_a_frozen_worker_that_wakes_up_before_its_call_makes_none(world: World) -> None:
    token = _begun(world)
    running.run(world.engine, Stage.FETCH, token)
    running.run(world.engine, Stage.TRANSFORM, token)
    lease = Lease(world.engine, token, Stage.PUSH)
    assert lease.enter()
    world.time.pass_(50)

    for asked in (lease.check, lease.renew):
        with pytest.raises(LeaseLost):
            asked()


def test_a_batch_whose_worker_died_goes_again_one_record_at_a_time(world: World) -> None:
    for key in "123":
        world.left.put("things", key, name="x")
    world.want("things", "1", "2", "3")
    world.pump()
    assert Lease(world.engine, world.messages[-1].token, Stage.FETCH).enter()
    world.messages.clear()
    world.time.pass_(46)
    world.pump()

    assert [message.shown for message in world.messages] == ["main, 1 record, scheduled", "main, 1 record, scheduled"]
    world.settle()
    assert len(world.right.writes) == 3


@pytest.mark.one_database
def test_a_record_that_alone_kills_its_worker_is_set_aside_and_the_others_go_on(world: World) -> None:
    for key in "123":
        world.left.put("things", key, name="x")
    world.right.during_write = lambda operation: _bomb(operation.natural_key)
    world.sync("things", "1", "2", "3", patience_s=900)
    for _ in range(6):
        world.time.pass_(130)
        world.settle(patience_s=130)

    assert [world.record("things", key).status for key in "123"] == ["done", "dead", "done"]
    assert "alone in its batch" in world.failures()[0][2]


def _bomb(natural_key: str) -> None:
    if natural_key == "2":
        raise RuntimeError("boom")


@pytest.mark.one_database
def test_a_refusal_becomes_a_dead_letter_with_field_value_cause_and_remedy(world: World) -> None:
    world.right.faults.append("refused")
    world.left.put("things", "1", name="x")
    world.left.put("things", "2", name="y")
    world.sync("things", "1", "2")

    assert world.failures() == [("1", "name", "no such thing")]
    assert world.record("things", "2").status == "done"


@pytest.mark.one_database
def test_one_records_transient_failure_puts_it_off_and_lets_the_others_go_on(world: World) -> None:
    world.right.faults.append("busy")
    for key in "12":
        world.left.put("things", key, name="x")
    world.sync("things", "1", "2")
    assert [world.record("things", key).status for key in "12"] == ["open", "done"]
    assert world.record("things", "1").attempts == 1
    world.settle(patience_s=10)

    assert world.record("things", "1").status == "done"


@pytest.mark.one_database
def test_an_endpoint_that_is_down_is_a_retry_of_the_step_with_backoff_and_then_a_put_off(world: World) -> None:
    token = _begun(world)
    world.left.down = True
    waits = []
    for retries in range(4):
        with pytest.raises(TryAgain) as again:
            running.run(world.engine, Stage.FETCH, token, retries=retries)
        waits.append(again.value.wait_s)
    assert running.run(world.engine, Stage.FETCH, token, retries=4).startswith("put off")
    for wait, longest in zip(waits, (1, 2, 4, 8), strict=True):
        assert longest / 2 <= wait <= longest
    assert world.record("things", "1").token is None

    world.left.down = False
    world.settle(patience_s=60)
    assert world.record("things", "1").status == "done"


@pytest.mark.one_database
def test_a_refused_call_leaves_its_effects_unsent(world: World) -> None:
    world.right.faults.append("down")
    world.left.put("things", "1", name="x")
    world.sync("things", "1", patience_s=30)

    assert world.right.writes == [("create", "1", "R1")]
    with world.store.read() as session:
        assert [(effect.state, effect.sends) for effect in session.query(m.Effect)] == [("done", 1)]


@pytest.mark.one_database
def test_a_throttle_waits_as_told_and_costs_no_attempt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = _begun(world)

    def throttled(*args: object, **more: object) -> None:
        raise Throttled("too many requests", retry_in_s=40)

    monkeypatch.setattr(world.resources["left.things"], "read", throttled)
    assert running.run(world.engine, Stage.FETCH, token).startswith("put off")

    record = world.record("things", "1")
    assert (record.not_before - world.time.at).total_seconds() == 40
    assert record.attempts == 0


@pytest.mark.one_database
def test_while_the_limiters_redis_is_away_records_wait_in_sql_and_no_attempt_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = _begun(world)

    def away(*args: object, **more: object) -> None:
        raise RedisAway("ConnectionError")

    monkeypatch.setattr(world.resources["left.things"], "read", away)
    assert running.run(world.engine, Stage.FETCH, token).startswith("put off")  # a Celery retry would need that Redis

    record = world.record("things", "1")
    assert (record.not_before - world.time.at).total_seconds() == 20
    assert (record.attempts, record.run_alone) == (0, False)


@pytest.mark.one_database
def test_refused_credentials_pause_the_endpoint_and_lose_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = _begun(world)

    def refused(*args: object, **more: object) -> None:
        raise AuthenticationFailed("wrong password")

    with monkeypatch.context() as patched:
        patched.setattr(world.resources["left.things"], "read", refused)
        running.run(world.engine, Stage.FETCH, token)
    world.messages.clear()
    world.left.put("things", "2", name="y")
    world.want("things", "2")
    world.time.pass_(200)
    assert world.pump() == 0

    world.time.pass_(200)
    world.settle()
    assert len(world.right.writes) == 2


@pytest.mark.one_database
def test_a_bulk_read_that_fails_for_the_moment_is_repeated_one_by_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in "123":
        world.left.put("things", key, name="x")
    read = world.resources["left.things"].read

    def fails_in_bulk(keys: list[str]) -> dict[str, dict[str, object]]:
        if "2" in keys:
            raise Transient("500 Internal Server Error")
        return read(keys)

    monkeypatch.setattr(world.resources["left.things"], "read", fails_in_bulk)
    world.sync("things", "1", "2", "3", patience_s=60)

    assert [world.record("things", key).status for key in "123"] == ["done", "open", "done"]


@pytest.mark.one_database
def test_a_write_whose_answer_tells_no_number_is_numbered_by_one_search(world: World) -> None:
    world.right.faults += ["numberless", "numberless", "numberless"]
    for key in "123":
        world.left.put("things", key, name="x")
    world.sync("things", "1", "2", "3")

    assert world.links("things") == [("1", "", "R1"), ("2", "", "R2"), ("3", "", "R3")]
    assert [keys for kind, keys in world.right.reads if kind == "find things"] == [["1", "2", "3"]]


@pytest.mark.one_database
def test_what_the_minute_did_not_suffice_for_goes_on_at_push_with_its_fetch(world: World) -> None:
    for key in "1234":
        world.left.put("things", key, name="x")
    world.right.during_write = lambda operation: world.time.pass_(20)
    world.sync("things", "1", "2", "3", "4")

    assert len(world.right.writes) == 4
    assert [keys for kind, keys in world.left.reads] == [["1", "2", "3", "4"]]


@pytest.mark.one_database
def test_a_stale_fetch_is_made_again_before_anything_is_written(world: World) -> None:
    token = _begun(world, name="old")
    running.run(world.engine, Stage.FETCH, token)
    running.run(world.engine, Stage.TRANSFORM, token)
    world.messages.clear()
    world.left.put("things", "1", name="new")
    world.time.pass_(400)
    world.settle()

    assert world.right.objects["things"]["R1"]["name"] == "new"


@pytest.mark.one_database
def test_two_records_that_mean_to_create_the_same_thing_do_it_once_and_one_is_held(
    make_world: Callable[..., World],
) -> None:
    def to(doc: dict[str, object], context: Context) -> dict[str, object]:
        return {"ref": "SKU-1", "name": doc["name"]}

    world = make_world(flow("things", Plain(to)))
    world.left.put("things", "1", name="x")
    world.left.put("things", "2", name="y")
    world.sync("things", "1", "2")

    assert [world.record("things", key).status for key in "12"] == ["done", "held"]
    assert len(world.right.objects["things"]) == 1


@pytest.mark.one_database
def test_a_key_that_the_target_refused_one_record_is_free_for_another(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(lambda doc, context: {"ref": doc["code"], "name": doc["name"]})))
    world.left.put("things", "1", name="a", code="C1")
    world.right.faults = ["refused"]
    world.sync("things", "1")
    world.left.put("things", "1", code="C2")  # corrected at the source: that code belongs to another one
    world.left.put("things", "2", name="b", code="C1")
    world.sync("things", "1", "2")

    assert [world.record("things", key).status for key in "12"] == ["done", "done"]
    assert [(verb, natural) for verb, natural, _ in world.right.writes] == [("create", "C2"), ("create", "C1")]


@pytest.mark.one_database
def test_an_effect_is_taken_as_sent_by_one_runner_only(world: World) -> None:
    token = _begun(world)
    running.run(world.engine, Stage.FETCH, token)
    running.run(world.engine, Stage.TRANSFORM, token)
    seen: list[set[int]] = []

    def another_runner(operation: object) -> None:
        with world.store.write() as session:
            effect = session.query(m.Effect).one()
            intent = effects.Intent(effect.id, world.record("things", "1"), None, None, "", 0)  # type: ignore[arg-type]
            seen.append(effects.send(session, [intent], "other", 1.0, world.time.at))

    world.right.during_write = another_runner
    running.run(world.engine, Stage.PUSH, token)

    assert seen == [set()]


def test_rejected_says_what_a_person_needs() -> None:
    error = Rejected(field="StockCode", value="ZZ-404", reason="not found", remedy="Create it in SYSPRO")
    assert str(error) == "StockCode = 'ZZ-404': not found. Create it in SYSPRO"

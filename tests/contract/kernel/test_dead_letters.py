"""What people do about dead letters: find them, correct the source, try again, set aside, close."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from syncengine import clock
from syncengine.connectors.base import Operation, Outcome
from syncengine.document import Doc
from syncengine.engine.core import failures
from syncengine.engine.core.engine import Limits
from syncengine.engine.decide import patches
from syncengine.engine.decide.plan import Plan, PlanKind
from syncengine.engine.people import dead_letter_bulk, dead_letter_detail, dead_letter_groups, dead_letters, trace
from syncengine.engine.people.dead_letters import LetterFilter
from syncengine.engine.steps import pump
from syncengine.errors import Misconfigured, Rejected
from syncengine.mapping.contract import Context, FieldGroup, Need, Policy, Reference
from syncengine.store import models as m
from syncengine.store.states import Lane, Pause, Stage
from tests.contract.kernel.world import Plain, World, by_name, flow, two_way

CUSTOMER = Need("customers", "310", "", "customers")


def only_known(doc: Doc, context: Context) -> Doc:
    """Names must be in the table `names` of the connection, and become its values."""
    try:
        return {"ref": doc["id"], "name": context.lookups["names"][doc["name"]]}
    except KeyError:
        raise Rejected(
            field="name", value=doc["name"], reason=f"the table has no entry {doc['name']!r}", remedy="Add it"
        ) from None


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """One flow whose names are looked up; the table knows `mug`."""
    world = make_world(flow("things", Plain(only_known, version="1")))
    teach(world, "mug")
    return world


def teach(world: World, *names: str) -> None:
    with world.store.write() as session:
        session.add_all(
            m.Lookup(connection_id=world.connection_id, name="names", key=name, value=name.upper()) for name in names
        )


def letters(world: World, chosen: LetterFilter | None = None) -> list[m.Failure]:
    """The oldest first."""
    with world.store.read() as session:
        return [one for one, _ in reversed(dead_letters.listed(session, chosen))]


def correct(world: World, id_: int, *values: str, add: Sequence[str] = ()) -> None:
    source = dead_letter_detail.source_of(world.engine, id_)
    patch = patches.of_values(source.present, values, add)
    dead_letter_detail.correct(world.engine, source, patch, because="as the shop says", by="anna")
    world.settle()


def dead(world: World, key: str = "1", name: str = "mgu") -> m.Failure:
    world.left.put("things", key, name=name)
    world.sync("things", key)
    return next(one for one in letters(world) if one.key == key)


def target(world: World) -> list[str]:
    return [doc["name"] for doc in world.right.objects.get("things", {}).values()]


# -- corrections -------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_a_correction_is_written_and_the_original_stays_as_it_is(world: World) -> None:
    one = dead(world)
    correct(world, one.id, "name=mug")

    assert target(world) == ["MUG"]
    assert world.left.objects["things"]["1"]["name"] == "mgu"
    assert letters(world) == []
    assert world.timeline("things", "1") == ["fetched", "dead", "corrected", "fetched", "planned", "written"]
    found = dead_letter_detail.detail(world.engine, one.id)
    assert found.documents["source"]["1"]["name"] == "mgu"
    assert found.documents["corrected"]["1"]["name"] == "mug"
    assert found.documents["mapped"][""]["name"] == "MUG"
    assert [(made["made_by"], made["because"], made["lapsed_at"]) for made in found.corrections] == [
        ("anna", "as the shop says", None)
    ]
    [traced] = trace.trace(world.engine, "1")
    assert traced.corrections[0]["made_by"] == "anna"
    planned = next(event for event in traced.events if event["what"] == "planned")
    assert planned["detail"]["corrected"] == "corrected by anna: /name"


@pytest.mark.one_database
def test_a_corrected_record_that_is_done_rests_while_its_source_is_unchanged(world: World) -> None:
    correct(world, dead(world).id, "name=mug")
    world.right.reads.clear()
    world.sync("things", "1")

    assert world.right.reads == []
    assert world.timeline("things", "1")[-1] == "unchanged"


@pytest.mark.one_database
def test_a_correction_lapses_when_the_source_changes_and_the_record_goes_by_what_it_is_now(world: World) -> None:
    one = dead(world)
    correct(world, one.id, "name=mug")
    world.left.put("things", "1", name="cup")
    teach(world, "cup")
    world.sync("things", "1")

    assert target(world) == ["CUP"]
    assert "correction lapsed" in world.timeline("things", "1")
    [made] = dead_letter_detail.detail(world.engine, one.id).corrections
    assert made["lapsed_because"] == "the object changed at the source"


@pytest.mark.one_database
def test_a_source_that_changed_to_something_wrong_again_is_a_dead_letter_again(world: World) -> None:
    correct(world, dead(world).id, "name=mug")
    world.left.put("things", "1", note="an edit of something else")
    world.sync("things", "1")

    assert [(one.field, one.value) for one in letters(world)] == [("name", "mgu")]
    assert target(world) == ["MUG"]


@pytest.mark.one_database
def test_a_correction_that_is_withdrawn_is_gone_from_the_next_plan(world: World) -> None:
    one = dead(world)
    correct(world, one.id, "name=mug")
    teach(world, "mgu")
    assert dead_letter_detail.withdraw(world.engine, one.id, by="anna")
    world.settle()

    assert target(world) == ["MGU"]
    assert not dead_letter_detail.withdraw(world.engine, one.id, by="anna")


@pytest.mark.one_database
def test_a_correction_that_is_made_between_two_steps_reaches_the_target(world: World) -> None:
    teach(world, "cup")
    one = dead(world)
    source = dead_letter_detail.source_of(world.engine, one.id)
    world.want("things", "1")
    world.pump()
    [message] = world.messages
    world.messages.clear()
    world.step(message, Stage.FETCH)
    dead_letter_detail.correct(
        world.engine, source, patches.of_values(source.present, ["name=mug"]), because="", by="anna"
    )
    world.step(message, Stage.TRANSFORM)
    world.step(message, Stage.PUSH)
    world.settle()
    assert target(world) == ["MUG"]
    assert world.record("things", "1").status == "done"


@pytest.mark.one_database
def test_a_second_correction_adds_to_the_first_and_takes_its_place(world: World) -> None:
    world.left.put("things", "1", colour="red")
    one = dead(world)
    correct(world, one.id, "colour=blue")
    one = letters(world)[0]  # still dead
    source = dead_letter_detail.source_of(world.engine, one.id)
    assert source.present["colour"] == "blue"
    assert source.active is not None
    patch = [*source.active.patch, *patches.of_values(source.present, ["name=mug"])]
    dead_letter_detail.correct(world.engine, source, patch, because="", by="bert")
    world.settle()

    assert target(world) == ["MUG"]
    made = dead_letter_detail.detail(world.engine, one.id).corrections
    assert [one["lapsed_because"] for one in made] == ["a newer correction replaced it", ""]


@pytest.mark.one_database
def test_what_a_corrected_document_refers_to_is_read(make_world: Callable[..., World]) -> None:
    def to(doc: Doc, context: Context) -> Doc:
        try:
            return {"ref": doc["id"], "name": context.references["left.owners"][doc["owner"]]["name"]}
        except KeyError:
            raise Rejected(field="owner", value=doc["owner"], reason="no such owner", remedy="Correct it") from None

    mapping = Plain(to, refs=lambda doc: [Reference("left.owners", doc["owner"])])
    world = make_world(flow("things", mapping), flow("owners", Plain(by_name)))
    world.left.put("owners", "7", name="Robin")
    world.left.put("things", "1", name="x", owner="70")
    world.sync("things", "1")
    correct(world, letters(world)[0].id, "owner=7")
    assert target(world) == ["Robin"]


@pytest.mark.one_database
def test_a_letter_shows_why_it_cannot_be_mapped_and_what_planning_comes_to_now(world: World) -> None:
    one = dead(world)
    found = dead_letter_detail.detail(world.engine, one.id)
    assert found.documents["mapped"] == "it cannot be mapped: name = 'mgu': the table has no entry 'mgu'. Add it"
    assert isinstance(found.outcome, Rejected)
    teach(world, "mgu")
    found = dead_letter_detail.detail(world.engine, one.id)
    assert found.documents["mapped"] == {"": {"ref": "1", "name": "MGU"}}
    assert isinstance(found.outcome, Plan)
    assert found.outcome.kind is PlanKind.WRITE


@pytest.mark.one_database
def test_what_a_correction_would_come_to_is_said_before_it_is_kept(world: World) -> None:
    source = dead_letter_detail.source_of(world.engine, dead(world).id)
    good = dead_letter_detail.preview_patch(world.engine, source, patches.of_values(source.present, ["name=mug"]))
    bad = dead_letter_detail.preview_patch(world.engine, source, patches.of_values(source.present, ["name=jug"]))
    assert isinstance(good, Plan)
    assert good.kind is PlanKind.WRITE
    assert isinstance(bad, Rejected)
    assert bad.value == "jug"
    assert world.right.writes == []


@pytest.mark.one_database
def test_a_patch_without_a_test_is_refused(world: World) -> None:
    source = dead_letter_detail.source_of(world.engine, dead(world).id)
    with pytest.raises(Misconfigured, match="changes /name without a test"):
        dead_letter_detail.correct(
            world.engine, source, [{"op": "replace", "path": "/name", "value": "mug"}], because="", by="a"
        )


@pytest.mark.one_database
@pytest.mark.parametrize("change", [{"op": "replace", "path": "/id", "value": "2"}, {"op": "remove", "path": "/id"}])
def test_a_correction_does_not_make_another_object_of_it(world: World, change: dict[str, str]) -> None:
    source = dead_letter_detail.source_of(world.engine, dead(world).id)
    with pytest.raises(Misconfigured, match="the patch changes the key 1 to"):
        dead_letter_detail.correct(
            world.engine, source, [{"op": "test", "path": "/id", "value": "1"}, change], because="", by="anna"
        )


@pytest.mark.one_database
def test_a_dry_run_shows_what_the_correction_makes_of_it(world: World) -> None:
    from syncengine.engine.people.preview import preview

    one = dead(world)
    source = dead_letter_detail.source_of(world.engine, one.id)
    dead_letter_detail.correct(
        world.engine, source, patches.of_values(source.present, ["name=mug"]), because="", by="anna"
    )
    [planned] = preview(world.engine.route(world.connection_id, "things"), ["1"])
    assert isinstance(planned.outcome, Plan)
    assert planned.outcome.steps[0].operation.doc["name"] == "MUG"


# -- discarded and closed ----------------------------------------------------------------------------------------------


def discard(world: World, *found: m.Failure) -> None:
    dead_letter_bulk.discard(world.engine, found, because="a test order", by="anna")


@pytest.mark.one_database
def test_a_discarded_record_rests_until_its_source_changes(world: World) -> None:
    discard(world, dead(world))
    assert letters(world) == []
    teach(world, "mgu")  # it would go through now
    world.sync("things", "1")
    record = world.record("things", "1")
    assert (record.status, record.reason) == ("skipped", "discarded by anna: a test order")
    assert world.right.writes == []

    world.left.put("things", "1", name="mug")
    world.sync("things", "1")
    assert target(world) == ["MUG"]


@pytest.mark.one_database
def test_a_discard_is_taken_back_by_trying_it_again(world: World) -> None:
    one = dead(world)
    discard(world, one)
    with world.store.read() as session:
        assert dead_letter_bulk.choose(session, LetterFilter(flow="things"), most=9).letters == []  # by its id alone
        assert [
            chosen.id for chosen in dead_letter_bulk.choose(session, LetterFilter(ids=[one.id]), most=9).letters
        ] == [one.id]
    teach(world, "mgu")
    assert dead_letters.retry(world.engine, [one.id], by="bert") == 1
    world.settle()
    assert target(world) == ["MGU"]
    [closed] = letters(world, LetterFilter(is_open=None))
    assert (closed.closed_because, closed.closed_by) == ("it succeeded later", "")
    with pytest.raises(Misconfigured, match="1 is closed: it succeeded later"):
        dead_letters.retry(world.engine, [one.id])


@pytest.mark.one_database
def test_a_record_that_was_discarded_and_then_skipped_for_another_reason_is_planned_as_ever(world: World) -> None:
    discard(world, dead(world))
    thing = world.left.objects["things"].pop("1")
    world.sync("things", "1")
    assert world.record("things", "1").reason == "not found in the source"
    world.left.objects["things"]["1"] = thing
    teach(world, "mgu")
    world.sync("things", "1")
    assert target(world) == ["MGU"]


@pytest.mark.one_database
def test_a_record_that_is_being_worked_on_is_not_discarded(world: World) -> None:
    one = dead(world)
    world.want("things", "1")
    world.pump()
    with pytest.raises(Misconfigured, match="being worked on"):
        discard(world, one)


def looked_at(world: World, key: str = "1") -> m.Failure:
    """A record that was written with a remark."""
    thing = world.resources["right.things"]
    write = thing.write

    def remarked(operations: list[Operation]) -> list[Outcome]:
        return [
            Outcome.done(one.key, lines=one.lines, attention="the journal failed") if one.key else one
            for one in write(operations)
        ]

    thing.write = remarked  # type: ignore[method-assign, assignment]
    world.left.put("things", key, name="mug")
    world.sync("things", key)
    thing.write = write  # type: ignore[method-assign]
    return letters(world)[0]


@pytest.mark.one_database
def test_what_needs_a_look_is_closed_by_a_person_alone(world: World) -> None:
    one = looked_at(world)
    assert one.kind == "attention"
    teach(world, "cup")
    world.left.put("things", "1", name="cup")
    world.sync("things", "1")  # a later success
    assert [still.id for still in letters(world)] == [one.id]

    for act in (lambda: dead_letters.retry(world.engine, [one.id]), lambda: discard(world, one)):
        with pytest.raises(Misconfigured, match="it can be closed, not"):
            act()
    dead_letter_bulk.close(world.engine, [one], because="booked by hand", by="anna")

    [closed] = letters(world, LetterFilter(is_open=None))
    assert (closed.closed_by, closed.closed_because) == ("anna", "booked by hand")
    assert world.timeline("things", "1")[-1] == "looked at"  # phrases: allow
    with pytest.raises(Misconfigured, match="1 was closed by anna: booked by hand"):
        dead_letter_bulk.close(world.engine, [closed], because="again", by="anna")


@pytest.mark.one_database
def test_a_dead_letter_is_not_closed_but_retried_or_discarded(world: World) -> None:
    with pytest.raises(Misconfigured, match="it can be retried or discarded, not closed"):
        dead_letter_bulk.close(world.engine, [dead(world)], because="seen", by="anna")


@pytest.mark.one_database
@pytest.mark.parametrize("observed", [False, True])
def test_a_later_success_closes_what_failed_before(world: World, observed: bool) -> None:
    dead(world)
    teach(world, "mgu")
    if observed:
        world.configure(mode="observe")
    world.sync("things", "1")
    [closed] = letters(world, LetterFilter(is_open=None))
    assert (closed.closed_because, closed.closed_by) == ("it succeeded later", "")


# -- found -------------------------------------------------------------------------------------------------------------


def test_letters_are_grouped_by_cause_whatever_value_stands_in_it(world: World) -> None:
    for key, name in (("1", "a"), ("2", "b"), ("3", "c")):
        dead(world, key, name)
        world.time.pass_(60)
    with world.store.read() as session:
        [group] = dead_letter_groups.groups(session, world.engine)
    assert (group.count, group.flow, group.stage, group.field) == (3, "things", "transform", "name")
    assert (group.example_key, group.example_value, group.remedy) == ("3", "c", "Add it")
    assert group.last - group.first == timedelta(seconds=120)


@pytest.mark.one_database
def test_what_waits_for_a_dead_record_stands_under_it(make_world: Callable[..., World]) -> None:
    needing = Plain(by_name, needs_=lambda doc, context: [CUSTOMER])
    world = make_world(flow("customers", Plain(only_known)), flow("orders", needing))
    world.left.put("customers", "310", name="?")
    for key in "123":
        world.left.put("orders", key, name="order")
    world.sync("orders", *"123")
    with world.store.read() as session:
        [group] = dead_letter_groups.groups(session, world.engine)
    assert [(one.flow, one.key, one.waiting) for one in group.blockers] == [("customers", "310", {"orders": 3})]
    outlook = dead_letter_bulk.forecast(world.engine, letters(world))
    assert dict(outlook.wakes) == {"orders": 3}


def test_every_filter_narrows(world: World) -> None:
    one, two = dead(world, "1", "a%b"), dead(world, "2", "aXb")
    world.time.pass_(3600)
    three = dead(world, "3", "c")
    wanted: list[tuple[LetterFilter, list[int]]] = [
        (LetterFilter(), [one.id, two.id, three.id]),
        (LetterFilter(cause="NO ENTRY 'a%b'"), [one.id]),  # capitals do not matter, and % is a character like others
        (LetterFilter(value="XB"), [two.id]),
        (LetterFilter(field="nam", flow="things", connection="main", stage="transform", kind="dead"), [1, 2, 3]),
        (LetterFilter(since=three.opened_at), [three.id]),
        (LetterFilter(until=three.opened_at), [one.id, two.id]),
        (LetterFilter(ids=[two.id]), [two.id]),
        (LetterFilter(flow="orders"), []),
        (LetterFilter(kind="attention"), []),
    ]
    for chosen, ids in wanted:
        assert [found.id for found in letters(world, chosen)] == ids, chosen


# -- tried again -------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_an_outlook_says_what_would_be_written_and_what_would_still_fail(world: World, monkeypatch: Any) -> None:
    for key, name in (("1", "cup"), ("2", "cup"), ("3", "jug")):
        dead(world, key, name)
    teach(world, "cup")
    monkeypatch.setattr(world.resources["right.things"], "worth", lambda doc: ("EUR", Decimal("2.50")), raising=False)
    outlook = dead_letter_bulk.forecast(world.engine, letters(world))
    assert (outlook.total, outlook.planned) == (3, 3)
    assert [(one.entity, one.verb, one.count, one.worth) for one in outlook.writes] == [
        ("things", "create", 2, {"EUR": Decimal("5.00")})
    ]
    assert [(one.state, one.why, one.count, one.keys) for one in outlook.stays] == [
        ("dead", "name: the table has no entry 'jug'", 1, ["3"])
    ]
    assert world.right.writes == []


@pytest.mark.one_database
def test_of_very_many_an_even_sample_is_planned(world: World) -> None:
    for number in range(10):
        world.left.put("things", str(number), name="mgu")
    world.sync("things", *map(str, range(10)))
    outlook = dead_letter_bulk.forecast(world.engine, letters(world), at_most=4)
    assert (outlook.total, outlook.planned) == (10, 4)
    assert sum(one.count for one in outlook.stays) == 4


def test_of_what_is_discarded_or_closed_the_oldest_go_first_and_one_of_the_other_kind_is_refused(world: World) -> None:
    look = looked_at(world, "4")
    found = [dead(world, key) for key in "123"]
    with world.store.read() as session:
        choice = dead_letter_bulk.choose_of_kind(session, LetterFilter(), "dead", most=2)
        assert ([one.id for one in choice.letters], choice.left) == ([one.id for one in found[:2]], 1)
        choice = dead_letter_bulk.choose_of_kind(session, LetterFilter(), "attention", most=2)
        assert ([one.id for one in choice.letters], choice.left) == ([look.id], 0)
        for id_, kind, says in (
            (look.id, "dead", "it can be closed, not discarded"),
            (found[0].id, "attention", "it can be retried or discarded, not closed"),
            (99, "dead", "no dead letter has the id 99"),
        ):
            with pytest.raises(Misconfigured, match=says):
                dead_letter_bulk.choose_of_kind(session, LetterFilter(ids=[id_]), kind, most=2)


@pytest.mark.one_database
def test_an_added_field_lapses_when_the_source_says_anything_new(pairs: World) -> None:
    pairs.left.put("things", "1", ref="1", colour="red")
    pairs.sync("things", "left:1")
    correct(pairs, letters(pairs)[0].id, add=["name=mug"])
    pairs.left.put("things", "1", name="cup")  # it has a name of its own now
    pairs.sync("things", "left:1")
    assert target(pairs) == ["cup"]
    assert "correction lapsed" in pairs.timeline("things", "left:1")


def test_the_oldest_are_taken_up_to_the_most_that_is_allowed(world: World) -> None:
    found = [dead(world, key) for key in "123"]
    with world.store.read() as session:
        choice = dead_letter_bulk.choose(session, LetterFilter(flow="things"), most=2)
    assert [one.id for one in choice.letters] == [one.id for one in found[:2]]
    assert choice.left == 1


@pytest.mark.one_database
def test_a_paced_replay_goes_one_after_the_other_and_a_change_at_the_source_goes_at_once(world: World) -> None:
    found = [dead(world, key) for key in "123"]
    teach(world, "mgu")
    now = clock.now()
    retried = dead_letters.retry(
        world.engine, [one.id for one in found], lane=Lane.BACKFILL, a_minute=2, by="anna"
    )  # fmt: skip
    assert retried == 3
    assert [(world.record("things", key).not_before - now).total_seconds() for key in "123"] == [0, 30, 60]
    assert {world.record("things", key).pause for key in "123"} == {Pause.PACED}
    world.settle()
    assert target(world) == ["MGU"]

    world.left.put("things", "3", name="mug")
    world.sync("things", "3")
    assert target(world) == ["MGU", "MUG"]
    world.settle(patience_s=40)
    assert target(world) == ["MGU", "MUG", "MGU"]
    assert letters(world) == []


@pytest.mark.one_database
def test_a_write_in_doubt_rests_its_settle_time_whatever_the_pace(world: World) -> None:
    one = dead(world)
    with world.store.write() as session:
        rest = clock.now() + timedelta(seconds=100)
        session.execute(update(m.Record).values(not_before=rest, pause=Pause.SETTLE))
    dead_letters.retry(world.engine, [one.id], a_minute=1)
    assert world.record("things", "1").not_before == rest


# -- poison ------------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_a_record_that_kills_its_worker_is_set_aside_with_what_is_known_and_holds_up_nothing(world: World) -> None:
    for key in "123":
        world.left.put("things", key, name="mug")
    world.want("things", *"123")
    for _ in range(40):
        world.pump()
        if not world.messages:
            break
        message = world.messages.pop(0)
        world.step(message, Stage.FETCH)
        with world.store.read() as session:
            keys = session.scalars(select(m.Record.key).where(m.Record.token == message.token)).all()
        if "2" in keys:  # the worker is killed in transform
            with world.store.write() as session:
                session.execute(update(m.Record).where(m.Record.token == message.token).values(runner="dead"))
            world.time.pass_(60)
        else:
            world.step(message, Stage.TRANSFORM)
            world.step(message, Stage.PUSH)

    assert sorted(doc["ref"] for doc in world.right.objects["things"].values()) == ["1", "3"]
    [one] = letters(world)
    assert one.key == "2"
    assert one.stage == "transform"
    assert one.cause.startswith("its step died 3 times in transform while it was alone in its batch")
    assert "version 2" in one.value
    assert "context" in one.value
    assert "bytes" in one.value
    shown = dead_letter_detail.detail(world.engine, one.id)
    assert shown.outcome == dead_letter_detail.NOT_PLANNED
    assert shown.documents["source"]["2"]["name"] == "mug"
    [stays] = dead_letter_bulk.forecast(world.engine, [one]).stays
    assert stays.state == "not planned"
    assert pump.pump(world.engine) == 0


@pytest.mark.one_database
def test_poison_that_dies_in_a_write_names_the_step_and_says_that_the_write_is_in_doubt(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("things", Plain(by_name)), limits=Limits(crashes=1))
    world.left.put("things", "1", name="mug")
    world.right.faults.append("bug")
    world.want("things", "1")
    world.pump()
    message = world.messages.pop(0)
    world.step(message, Stage.FETCH)
    world.step(message, Stage.TRANSFORM)
    with pytest.raises(RuntimeError):
        world.step(message, Stage.PUSH)

    [one] = letters(world)
    assert one.stage == "push"
    assert one.cause.startswith("its step died once in push while it was alone in its batch")
    assert "check the target before you discard" in one.remedy


# -- pairs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pairs(make_world: Callable[..., World]) -> World:
    """A flow in both directions, whose documents need a name."""
    return make_world(two_way("things", [FieldGroup("name", left=("name",), right=("name",), policy=Policy.NEWEST)]))


@pytest.mark.one_database
@pytest.mark.parametrize("side", ["left", "right"])
def test_in_a_two_way_flow_the_document_of_the_side_that_it_came_from_is_corrected(pairs: World, side: str) -> None:
    here, there = (pairs.left, pairs.right) if side == "left" else (pairs.right, pairs.left)
    here.put("things", "1", ref="1", colour="red")
    pairs.sync("things", f"{side}:1")
    [one] = letters(pairs)
    assert one.field == "name"
    correct(pairs, one.id, add=["name=mug"])
    assert [doc["name"] for doc in there.objects["things"].values()] == ["mug"]
    assert "name" not in here.objects["things"]["1"]
    assert letters(pairs) == []
    assert dead_letter_detail.detail(pairs.engine, one.id).documents["corrected"]["1"]["name"] == "mug"


@pytest.mark.one_database
def test_a_discarded_pair_is_looked_at_again_when_either_side_changes(pairs: World) -> None:
    pairs.left.put("things", "1", ref="1", name="mug")
    pairs.sync("things", "left:1")
    [right] = pairs.right.objects["things"]
    pairs.right.objects["things"][right].pop("name")
    pairs.sync("things", "left:1")
    discard(pairs, letters(pairs)[0])
    pairs.sync("things", "left:1")
    assert pairs.record("things", "left:1").status == "skipped"
    pairs.right.put("things", right, name="cup")
    pairs.sync("things", "left:1")
    assert pairs.record("things", "left:1").status == "done"


@pytest.mark.one_database
def test_letters_of_a_record_that_is_folded_into_its_pair_stay_and_follow_it(pairs: World) -> None:
    pairs.right.put("things", "R", ref="R", colour="red")
    pairs.sync("things", "right:R")
    [one] = letters(pairs)
    pairs.right.put("things", "R", name="mug")
    pairs.sync("things", "right:R")
    [left] = pairs.left.objects["things"]
    with pairs.store.read() as session:
        failure = session.get_one(m.Failure, one.id)
    assert failure.closed_because == "it succeeded later"
    pairs.left.objects["things"][left].pop("name")
    pairs.sync("things", f"left:{left}")
    again = letters(pairs)[0]
    assert dead_letters.retry(pairs.engine, [again.id]) == 1
    with pairs.store.read() as session:
        assert session.scalars(select(m.Record.key)).all() == [f"left:{left}"]


def test_a_letter_that_another_has_replaced_names_that_one(world: World) -> None:
    old = dead(world)
    dead_letters.retry(world.engine, [old.id])
    world.settle()
    [new] = letters(world)
    assert dead_letter_detail.detail(world.engine, old.id).newer == new.id
    assert dead_letter_detail.detail(world.engine, new.id).newer is None
    with pytest.raises(Misconfigured, match=f"it failed again. Its record's newer letter is open: correct {new.id}"):
        dead_letter_detail.source_of(world.engine, old.id)
    with world.store.read() as session, pytest.raises(Misconfigured, match=f"newer letter is open: use {new.id}"):
        dead_letter_bulk.choose_of_kind(session, LetterFilter(ids=[old.id]), failures.DEAD, most=1)

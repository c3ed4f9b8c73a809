"""Held records and a person's decision: what is approved is written as it was shown, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from syncengine.connectors.base import Safety, Verb
from syncengine.document import Doc
from syncengine.engine.people import held, manual_settlement, trace
from syncengine.engine.people.held import Held, HeldFilter
from syncengine.engine.people.seen import ActionResult
from syncengine.errors import Misconfigured
from syncengine.mapping.contract import Context, FieldGroup, Policy, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Why
from tests.contract.kernel.world import Plain, World, by_name, flow, two_way


def _dear(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.HOLD, "over the credit limit") if doc.get("dear") else RuleDecision()


@pytest.fixture
def shop(make_world: Callable[..., World]) -> World:
    """One flow; what is dear is held by a rule."""
    return make_world(flow("things", Plain(by_name, rules=_dear)))


def _held(world: World, key: str = "1") -> Held:
    with world.store.read() as session:
        return held.of_record(session, world.engine, world.record("things", key))


def _approve(world: World, *keys: str, **more: Any) -> None:
    held.approve(world.engine, [_held(world, key) for key in keys or ("1",)], by="anna", **more)
    world.settle(patience_s=300)


def _refuse(world: World, key: str = "1") -> None:
    held.refuse(world.engine, [_held(world, key)], by="anna", because="it is right as it is")
    world.settle(patience_s=300)


def _details(world: World, what: str, key: str = "1") -> list[Doc]:
    with world.store.read() as session:
        query = select(m.Event.detail).where(m.Event.what == what, m.Event.key == key).order_by(m.Event.id)
        return [dict(detail) for detail in session.scalars(query)]


def _standing(world: World) -> list[str]:
    with world.store.read() as session:
        return list(session.scalars(select(m.Decision.verdict).where(m.Decision.lapsed_at.is_(None))))


# -- rules -------------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_what_a_rule_holds_is_written_once_it_is_approved(shop: World) -> None:
    shop.left.put("things", "1", name="a lamp", dear=True)
    shop.sync("things", "1")
    assert (shop.right.writes, _held(shop).hold) == ([], Why.RULE)

    _approve(shop, because="the customer has paid")

    assert shop.right.writes == [("create", "1", "R1")]
    assert shop.record("things", "1").status == "done"
    assert _details(shop, "approved") == [
        {"by": "anna", "because": "the customer has paid", "held for": "over the credit limit"}
    ]
    assert _details(shop, "planned")[-1]["decided"] == "approved by anna: the customer has paid"


@pytest.mark.one_database
def test_an_approval_lapses_when_the_record_changes_before_it_is_written(shop: World) -> None:
    shop.left.put("things", "1", name="a lamp", dear=True)
    shop.sync("things", "1")
    one = _held(shop)
    shop.left.put("things", "1", name="a thousand lamps")
    held.approve(shop.engine, [one], by="anna")
    shop.settle()

    assert (shop.right.writes, shop.record("things", "1").status, _standing(shop)) == ([], "held", [])
    [lapsed] = _details(shop, "decision lapsed")
    assert lapsed == {
        "was": "approved by anna",
        "because": "the plan has changed: hold: over the credit limit",
    }


@pytest.mark.one_database
def test_an_approval_holds_until_it_is_carried_out_whatever_comes_between(shop: World) -> None:
    shop.right.faults += ["lost", "busy"]
    shop.left.put("things", "1", name="a lamp", dear=True)
    shop.sync("things", "1")
    _approve(shop)

    assert shop.right.writes == [("create", "1", "R1")]
    assert _details(shop, "decision lapsed") == []


@pytest.mark.one_database
def test_the_next_change_of_what_was_approved_is_held_anew(shop: World) -> None:
    shop.left.put("things", "1", name="a lamp", dear=True)
    shop.sync("things", "1")
    _approve(shop)
    shop.left.put("things", "1", name="two lamps")
    shop.sync("things", "1")

    assert (shop.record("things", "1").status, _standing(shop)) == ("held", [])
    assert _details(shop, "decision lapsed") == []  # it was carried out
    assert shop.right.objects["things"]["R1"]["name"] == "a lamp"


@pytest.mark.one_database
def test_a_create_that_is_refused_is_left_alone_until_its_plan_changes(shop: World) -> None:
    shop.left.put("things", "1", name="a lamp", dear=True)
    shop.sync("things", "1")
    _refuse(shop)
    shop.sync("things", "1")
    assert (shop.record("things", "1").status, shop.right.writes) == ("skipped", [])
    assert shop.record("things", "1").reason == "refused by anna: it is right as it is"

    shop.left.put("things", "1", dear=False)
    shop.sync("things", "1")
    assert shop.right.writes == [("create", "1", "R1")]


@pytest.mark.one_database
def test_a_change_that_is_refused_is_agreed_as_it_is_and_later_changes_are_written_without_it(
    make_world: Callable[..., World],
) -> None:
    world = make_world(
        flow("things", Plain(lambda doc, context: {**by_name(doc, context), "size": doc.get("size")}, rules=_dear))
    )
    world.left.put("things", "1", name="a lamp", size="S")
    world.sync("things", "1")
    world.left.put("things", "1", name="a costly lamp", dear=True)
    world.sync("things", "1")
    _refuse(world)
    world.left.put("things", "1", size="L", dear=False)
    world.sync("things", "1")

    there = world.right.objects["things"]["R1"]
    assert (there["name"], there["size"], world.record("things", "1").status) == ("a lamp", "L", "done")
    assert _standing(world) == []


# -- conflicts ---------------------------------------------------------------------------------------------------------


def _conflict(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.left.put("things", "1", name="a red lamp")
    world.right.put("things", "R1", name="a blue lamp")
    world.sync("things", "1")
    assert _held(world).hold == Why.CONFLICT


@pytest.mark.one_database
def test_a_conflict_that_is_approved_goes_by_the_source(world: World) -> None:
    _conflict(world)
    with world.store.read() as session:
        found = held.detail(session, world.engine, world.record("things", "1"))
    assert found.held.plan is not None
    [one] = found.held.plan.conflicts
    assert (one.base, one.wanted, one.current) == ("a lamp", "a red lamp", "a blue lamp")
    assert found.approved is not None
    assert found.approved.steps[0].operation.changes["name"].new == "a red lamp"

    _approve(world)
    assert world.right.objects["things"]["R1"]["name"] == "a red lamp"


@pytest.mark.one_database
def test_a_conflict_whose_values_change_meanwhile_is_not_approved_by_the_old_word(world: World) -> None:
    _conflict(world)
    one = _held(world)
    world.left.put("things", "1", name="a green lamp")
    held.approve(world.engine, [one], by="anna")
    world.settle()

    assert world.right.objects["things"]["R1"]["name"] == "a blue lamp"
    assert world.record("things", "1").status == "held"


@pytest.mark.one_database
def test_a_conflict_that_is_refused_is_not_held_again(world: World) -> None:
    _conflict(world)
    _refuse(world)
    world.time.pass_(4000)
    world.settle()

    assert world.record("things", "1").status in ("skipped", "done")
    assert world.right.objects["things"]["R1"]["name"] == "a blue lamp"
    world.left.put("things", "1", name="a lamp for good")
    world.sync("things", "1")
    assert world.record("things", "1").status == "held"  # the source has changed since: it is a new conflict


@pytest.mark.one_database
@pytest.mark.parametrize(("wins", "name"), [("left", "from the left"), ("right", "from the right")])
def test_in_a_pair_a_person_says_which_side_wins(make_world: Callable[..., World], wins: str, name: str) -> None:
    world = make_world(two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.HOLD)]))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "left:1")
    world.left.put("things", "1", name="from the left")
    world.right.put("things", "R1", name="from the right")
    world.sync("things", "left:1")
    _approve(world, "left:1", side=wins)

    names = [system.objects["things"][key]["name"] for system, key in ((world.left, "1"), (world.right, "R1"))]
    assert names == [name, name]


@pytest.mark.one_database
def test_a_conflict_and_a_rule_that_hold_a_record_are_both_named(shop: World) -> None:
    shop.left.put("things", "1", name="a lamp")
    shop.sync("things", "1")
    shop.left.put("things", "1", name="a red lamp", dear=True)
    shop.right.put("things", "R1", name="a blue lamp")
    shop.sync("things", "1")
    assert _held(shop).record.reason == "over the credit limit; name was changed on both sides"

    _approve(shop)
    assert shop.right.objects["things"]["R1"]["name"] == "a red lamp"


# -- what cannot be approved -------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_what_the_target_refuses_cannot_be_approved_but_refused(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.right.put("things", "R1", invoiced=True)
    world.left.put("things", "1", name="a red lamp")
    world.sync("things", "1")
    with pytest.raises(Misconfigured, match=r"it is invoiced\. It cannot be approved: the target would reject it"):
        _approve(world)

    _refuse(world)
    world.sync("things", "1")
    assert world.record("things", "1").status == "done"
    assert world.right.objects["things"]["R1"]["name"] == "a lamp"


@pytest.mark.one_database
def test_what_is_gone_in_the_target_is_unlinked_instead_of_approved(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    del world.right.objects["things"]["R1"]
    world.left.put("things", "1", name="a red lamp")
    world.sync("things", "1")

    with pytest.raises(Misconfigured, match=r"R1 no longer exists in the target.*`syncengine unlink 1 --recreate`"):
        _approve(world)


# -- many --------------------------------------------------------------------------------------------------------------


def test_many_are_listed_by_reason_and_approved_by_a_filter(shop: World) -> None:
    for key in "123":
        shop.left.put("things", key, name=f"lamp {key}", dear=True)
    shop.left.put("things", "4", name="a lamp")
    shop.sync("things", *"1234")
    shop.left.put("things", "4", name="a red lamp")
    shop.right.put("things", "R1", name="a blue lamp")
    shop.sync("things", "4")

    with shop.store.read() as session:
        groups = held.groups(held.listed(session, shop.engine))
        dear = held.listed(session, shop.engine, HeldFilter(flow="things", reason="CREDIT limit"))
        assert held.count(session, HeldFilter(connection="nowhere")) == 0
    assert [(group.count, group.hold) for group in groups] == [(3, Why.RULE), (1, Why.CONFLICT)]
    assert held.approve(shop.engine, dear, by="anna") == ActionResult(3)
    shop.settle()

    assert len(shop.right.objects["things"]) == 4
    assert shop.record("things", "4").status == "held"


# -- writes without a key ----------------------------------------------------------------------------------------------


@pytest.fixture
def payments(make_world: Callable[..., World]) -> World:
    """One whose create nobody can look up; its outcome is unknown."""
    asks = {Verb.CREATE: Safety.ASK, Verb.CHANGE: Safety.ASK}
    world = make_world(flow("things", Plain(by_name)), right={"safety": asks})
    world.left.put("things", "1", name="a payment")
    return world


def _doubtful(world: World, fault: str) -> None:
    world.right.faults.append(fault)
    world.sync("things", "1", patience_s=300)
    assert _held(world).hold == Why.UNKNOWN_WRITE


def _settle(world: World, happened: str | None, **more: Any) -> None:
    record = world.record("things", "1")
    with world.store.read() as session:
        doubt = manual_settlement.unknown_write_of(session, world.engine, record)
    if happened is None:
        manual_settlement.did_not(world.engine, record, doubt, by="anna", **more)
    else:
        manual_settlement.happened(world.engine, record, doubt, happened, by="anna", **more)
    world.settle(patience_s=300)


@pytest.mark.one_database
def test_a_write_that_did_not_happen_is_sent_once_more_on_a_persons_word(payments: World) -> None:
    _doubtful(payments, "lost")
    _settle(payments, None, because="it is not in the bank file")

    assert payments.right.writes == [("create", "1", "R1")]
    assert payments.record("things", "1").status == "done"
    [detail] = _details(payments, "settled by hand")
    assert (detail["outcome"], detail["by"], detail["because"]) == (
        "it did not happen", "anna", "it is not in the bank file",
    )  # fmt: skip


@pytest.mark.one_database
def test_a_write_that_happened_is_linked_with_what_a_person_found(payments: World) -> None:
    _doubtful(payments, "unheard")
    with payments.store.read() as session:
        found = held.detail(session, payments.engine, payments.record("things", "1"))
    assert [say for _, say in manual_settlement.possibilities(found.doubts[0], "1")] == [
        "syncengine held settle 1 --happened KEY",
        "syncengine held settle 1 --did-not",
    ]
    payments.resources["right.things"].pads_keys = True  # type: ignore[attr-defined]
    _settle(payments, "00R1")  # as a person may write it

    assert payments.links("things") == [("1", "", "R1")]
    assert payments.right.writes == [("create", "1", "R1")]
    assert payments.record("things", "1").status == "done"


@pytest.mark.one_database
def test_a_change_that_a_person_found_to_have_happened_is_agreed(payments: World) -> None:
    payments.sync("things", "1")
    payments.left.put("things", "1", name="a larger payment")
    _doubtful(payments, "unheard")
    _settle(payments, "")

    assert [verb for verb, _, _ in payments.right.writes] == ["create", "change"]
    assert payments.record("things", "1").status == "done"


@pytest.mark.one_database
def test_nobody_settles_a_write_that_the_target_may_still_carry_out_or_with_an_object_that_is_not_there(
    payments: World,
) -> None:
    payments.right.faults.append("late")
    payments.sync("things", "1")
    with pytest.raises(Misconfigured, match="the target may still carry out write 1"):
        _settle(payments, None)

    payments.settle(patience_s=300)
    with pytest.raises(Misconfigured, match=r"--happened R9: right\.things has no object with this key"):
        _settle(payments, "R9")
    with pytest.raises(Misconfigured, match="Check the target"):
        _approve(payments)
    assert payments.links("things") == []


@pytest.mark.one_database
def test_a_write_is_not_linked_with_an_object_that_belongs_to_another_record(payments: World) -> None:
    payments.left.put("things", "2", name="another")
    payments.sync("things", "2")
    _doubtful(payments, "lost")
    with pytest.raises(Misconfigured, match="2 is already linked with R1"):
        _settle(payments, "R1")

    assert _held(payments).hold == Why.UNKNOWN_WRITE  # nothing of it was kept


# -- the way -----------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_a_trace_shows_plans_writes_answers_and_decisions_in_one_order(shop: World) -> None:
    shop.left.put("things", "1", name="a lamp", dear=True)
    shop.sync("things", "1")
    shop.right.faults.append("lost")
    shop.right.during_write = lambda operation: shop.time.pass_(1)
    _approve(shop)

    for id_ in ("1", "R1"):
        [found] = trace.trace(shop.engine, id_)
        assert found.systems == {"left": "left", "right": "right"}
        assert [one["verdict"] for one in found.decisions] == ["approved"]
        assert [stop["what"] for stop in found.way] == [
            "fetched", "held", "approved", "fetched", "planned", "intended", "unknown", "not found in the target", "fetched",
            "planned", "sent", "written", "decision carried out",
        ]  # fmt: skip
        assert found.way[-3]["detail"] == {
            "write": "write 1",
            "subject": "create right.things 1",
            "times": "attempt 2",
        }

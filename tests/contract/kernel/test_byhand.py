"""What a person does with one object: pushed at once, ignored, linked, unlinked; nothing is created twice by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from syncengine import clock
from syncengine.cli import _named
from syncengine.document import Doc
from syncengine.engine.core.lease import Lease
from syncengine.engine.people import dead_letters, held, manual, manual_links, manual_settlement, record_search, trace
from syncengine.engine.steps.transform import transform
from syncengine.engine.traffic import endpoints
from syncengine.errors import EndpointDown, Misconfigured
from syncengine.mapping.contract import Context, FieldGroup, Need, Policy, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Lane, Stage, Why
from tests.contract.kernel.world import Plain, World, by_name, flow, two_way


def _ignore(world: World, flow: str, key: str) -> None:
    manual.ignore(world.engine, world.record(flow, key), by="anna", because="a test order")


# -- pushed now --------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_a_push_waits_for_no_quiet_period_and_the_next_change_does_again(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(by_name), quiet_s=60.0))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    assert (world.right.writes, world.record("things", "1").pause) == ([], "quiet")

    pushed = manual.push(world.engine, world.record("things", "1"), now=True, by="anna")
    world.settle()
    assert world.right.writes == [("create", "1", "R1")]
    progress = manual.progress(world.engine, pushed)
    assert (progress.is_over, progress.status, [event.what for event in progress.events]) == (
        True, "done", ["pushed by hand", "fetched", "planned", "written"],
    )  # fmt: skip

    world.left.put("things", "1", name="a red lamp")
    world.sync("things", "1")
    assert [verb for verb, _, _ in world.right.writes] == ["create"]


@pytest.mark.one_database
def test_a_push_of_what_is_equal_already_leaves_the_quiet_period_of_the_next_change_alone(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("things", Plain(by_name), quiet_s=60.0))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1", patience_s=200)
    world.right.put("things", "R1", name="a blue lamp")
    manual.push(world.engine, world.record("things", "1"), now=True, by="anna")
    world.settle()
    assert world.timeline("things", "1")[-1] == "skipped"  # read on both sides
    world.left.put("things", "1", name="a red lamp")
    world.right.put("things", "R1", name="a lamp")
    world.sync("things", "1")

    assert world.record("things", "1").pause == "quiet"


@pytest.mark.one_database
def test_a_push_names_the_endpoint_that_is_paused(world: World) -> None:
    world.left.put("things", "1", name="lamp")
    world.sync("things", "1")
    until = clock.now() + timedelta(minutes=10)
    endpoints.pause(world.engine, "right-1", until=until, by="kim", because="stocktaking")

    pushed = manual.push(world.engine, world.record("things", "1"), now=True, by="anna")
    state = manual.progress(world.engine, pushed).state
    assert state.startswith("due, next step fetch, not before 2026-03-02 09:00")
    assert state.endswith("; endpoint right-1 is paused until 2026-03-02 09:10:00 UTC by kim: stocktaking")

    endpoints.resume(world.engine, "right-1", by="kim")
    world.settle()
    assert manual.progress(world.engine, pushed).state == "done: already equal"


@pytest.mark.one_database
def test_a_push_of_what_the_source_does_not_have_says_so_by_its_reason_code(world: World) -> None:
    with world.store.write() as session:
        record = manual.get_or_create(session, world.engine, world.connection_id, "things", "9", world.time.at)
    pushed = manual.push(world.engine, record, now=True, by="anna")
    world.settle()
    progress = manual.progress(world.engine, pushed)
    assert (progress.is_over, progress.status, progress.why) == (True, "skipped", Why.NOT_THERE)


@pytest.mark.one_database
def test_a_push_waits_for_no_back_off_but_for_a_settle_time(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.faults += ["busy", "lost"]
    world.sync("things", "1")
    assert world.record("things", "1").pause == "backoff"

    manual.push(world.engine, world.record("things", "1"), now=True, by="anna")
    world.settle()
    assert (world.right.faults, world.record("things", "1").pause) == ([], "settle")  # it was sent at once

    pushed = manual.push(world.engine, world.record("things", "1"), now=True, by="anna")
    world.settle(patience_s=100)
    assert (world.right.writes, manual.progress(world.engine, pushed).is_over) == ([], False)
    world.settle(patience_s=100)
    assert world.right.writes == [("create", "1", "R1")]


@pytest.mark.one_database
def test_what_came_of_a_push_is_told_as_it_comes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.left.put("things", "1", name="a lamp")
    world.want("things", "1")
    pushed = manual.push(world.engine, world.record("things", "1"), now=True, by="anna")
    seen: list[str] = []

    def work(seconds: float) -> None:
        world.time.pass_(seconds)
        if world.messages:
            world.run_message(world.messages.pop())

    monkeypatch.setattr(manual.clock, "sleep", work)
    progress = manual.follow(world.engine, pushed, for_s=30, tell=lambda event: seen.append(event.what))

    assert seen == ["pushed by hand", "fetched", "planned", "written"]
    assert (progress.is_over, progress.status) == (True, "done")


@pytest.mark.one_database
def test_a_push_of_what_is_put_off_at_this_moment_is_asked_for_again(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(flow("things", Plain(by_name), quiet_s=60.0))
    world.left.put("things", "1", name="a lamp")
    world.want("things", "1")
    world.pump()
    [message] = world.messages
    world.messages.clear()
    world.step(message, Stage.FETCH)
    lease = Lease(world.engine, message.token, Stage.TRANSFORM)
    assert lease.enter()  # the step has read the record when the person comes
    pushed = manual.push(world.engine, world.record("things", "1"), now=True, by="anna")
    transform(world.engine, lease)
    assert world.right.writes == []

    def work(seconds: float) -> None:
        world.time.pass_(seconds)
        while world.messages:
            world.run_message(world.messages.pop(0))

    monkeypatch.setattr(manual.clock, "sleep", work)
    progress = manual.follow(world.engine, pushed, for_s=20, tell=lambda event: None)
    assert (progress.is_over, world.right.writes) == (True, [("create", "1", "R1")])


@pytest.mark.one_database
def test_of_a_key_that_the_source_does_not_have_nothing_is_stored(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    says = r"left-1 has no left\.things with the key 9\. Use the key that this system shows"
    with pytest.raises(Misconfigured, match=says):
        _named.record_or_new(world.engine, "9", None, "things", must_exist=True)

    assert world.left.reads == [("things", ["9"])]
    with world.store.read() as session:
        assert session.scalars(select(m.Record)).all() == session.scalars(select(m.Event)).all() == []
    assert _named.record_or_new(world.engine, "1", None, "things", must_exist=True).key == "1"


@pytest.mark.one_database
def test_a_record_that_is_there_is_pushed_without_asking_the_source_first(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    del world.left.objects["things"]["1"]
    reads = len(world.left.reads)

    assert _named.record_or_new(world.engine, "1", None, "things", must_exist=True).status == "done"
    assert len(world.left.reads) == reads


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("key", "there"), [("1", True), ("left:1", True), ("right:R7", True), ("right:1", False), ("R7", False)]
)
def test_an_object_of_a_pair_is_sought_on_its_side(make_world: Callable[..., World], key: str, *, there: bool) -> None:
    world = make_world(two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)]))
    world.left.put("things", "1", name="a lamp")
    world.right.put("things", "R7", name="a mug")
    if there:
        manual.must_exist(world.engine, world.connection_id, "things", key)
    else:
        with pytest.raises(Misconfigured, match=r"has no (left|right)\.things with the key"):
            manual.must_exist(world.engine, world.connection_id, "things", key)


@pytest.mark.one_database
def test_a_source_that_is_away_is_told_and_nothing_is_stored(world: World) -> None:
    world.left.down = True
    with pytest.raises(EndpointDown):
        _named.record_or_new(world.engine, "1", None, "things", must_exist=True)
    with world.store.read() as session:
        assert session.scalars(select(m.Record)).all() == []


# -- ignored -----------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_an_ignored_object_costs_no_calls_until_it_is_heeded(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.faults.append("refused")
    world.sync("things", "1")
    _ignore(world, "things", "1")
    calls = len(world.left.reads), len(world.right.reads)
    world.left.put("things", "1", name="a red lamp")
    world.sync("things", "1", patience_s=10)

    record = world.record("things", "1")
    assert (record.status, record.reason, world.backlog()) == ("skipped", "ignored by anna: a test order", 0)
    assert (len(world.left.reads), len(world.right.reads)) == calls
    assert world.failures() == []
    with pytest.raises(Misconfigured, match="`syncengine ignore 1 --undo` first"):
        manual.push(world.engine, record, now=True, by="anna")

    manual.unignore(world.engine, record, by="berta")
    world.settle()
    assert world.right.objects["things"]["R1"]["name"] == "a red lamp"
    assert world.timeline("things", "1")[-5:] == ["ignored", "no longer ignored", "fetched", "planned", "written"]


@pytest.mark.one_database
def test_what_needs_an_ignored_object_waits_and_says_so(make_world: Callable[..., World]) -> None:
    needs = Plain(by_name, needs_=lambda doc, context: [Need("people", doc["who"], flow="people")])
    people = two_way("people", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)])
    world = make_world(flow("orders", needs), people)
    world.left.put("people", "7", name="Robin")
    world.left.put("orders", "1", name="an order", who="7")
    with world.store.write() as session:
        record = manual.get_or_create(session, world.engine, world.connection_id, "people", "7", world.time.at)
    manual.ignore(world.engine, record, by="anna", because="a test contact")
    world.sync("orders", "1", patience_s=10)

    [found] = trace.trace(world.engine, "1")
    assert found.state == "waiting: needs people 7, which is skipped (ignored by anna: a test contact)"
    assert world.right.writes == []
    manual.unignore(world.engine, record, by="anna")
    world.settle()
    assert [kind for kind, _, _ in world.right.writes] == ["create", "create"]


@pytest.mark.one_database
def test_a_record_that_is_being_worked_on_is_not_ignored(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.want("things", "1")
    world.pump()
    with pytest.raises(Misconfigured, match="being worked on"):
        _ignore(world, "things", "1")
    assert not world.record("things", "1").ignored


@pytest.mark.one_database
def test_a_dead_letter_of_what_is_ignored_is_closed_with_the_reason(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.faults.append("refused")
    world.sync("things", "1")
    _ignore(world, "things", "1")
    with world.store.read() as session:
        [(letter, _)] = dead_letters.listed(session, dead_letters.LetterFilter(is_open=None))
    assert (letter.closed_because, letter.closed_by) == ("ignored: a test order", "anna")


# -- linked ------------------------------------------------------------------------------------------------------------


def _link(world: World, left: str, right: str, flow: str = "things", part: str = "") -> manual_links.Pairing:
    pairing = manual_links.inspect(world.engine, world.connection_id, flow, left, right, part=part)
    manual_links.join(world.engine, pairing, by="anna", because="the same lamp")
    world.settle(patience_s=300)
    return pairing


@pytest.mark.one_database
def test_two_objects_that_agree_are_linked_without_a_write(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.put("things", "R7", name="a lamp", ref="1")
    pairing = _link(world, "1", "R7")

    assert pairing.differences is not None
    assert not pairing.differences.conflicts
    assert (world.links("things"), world.right.writes) == ([("1", "", "R7")], [])
    assert world.record("things", "1").status == "done"
    world.left.put("things", "1", name="a red lamp")
    world.sync("things", "1")
    assert world.right.objects["things"]["R7"]["name"] == "a red lamp"


@pytest.mark.one_database
def test_what_differs_between_linked_objects_is_held_and_goes_by_a_persons_word(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.put("things", "R7", name="another lamp", ref="1")
    pairing = _link(world, "1", "R7")

    assert pairing.differences is not None
    assert [one.path for one in pairing.differences.conflicts] == ["name"]
    record = world.record("things", "1")
    assert (record.status, record.reason, world.right.writes) == ("held", "name was changed on both sides", [])
    with world.store.read() as session:
        held.approve(world.engine, [held.of_record(session, world.engine, record)], by="anna")
    world.settle()
    assert world.right.objects["things"]["R7"]["name"] == "a lamp"


@pytest.mark.one_database
def test_objects_are_found_by_their_references_too(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.put("things", "R7", name="a lamp", ref="1")

    assert _link(world, "1", "1").right[0] == "R7"  # the right one has the reference 1


def _order(doc: Doc, context: Context) -> Doc:
    rows = [{"@key": row["id"], "code": row["code"], "qty": Decimal(row["qty"])} for row in doc["rows"]]
    return {"ref": doc["id"], "name": doc["name"], "rows": rows}


@pytest.fixture
def orders(make_world: Callable[..., World]) -> World:
    return make_world(flow("orders", Plain(_order)), right={"line_fields": {"rows": ("code",)}})


def _rows(*rows: tuple[str, str, int]) -> list[dict[str, Any]]:
    return [{"id": key, "code": code, "qty": qty} for key, code, qty in rows]


def _lines(*lines: tuple[str, str, int]) -> list[dict[str, Any]]:
    return [{"@line": number, "code": code, "qty": qty} for number, code, qty in lines]


@pytest.mark.one_database
def test_lines_of_linked_objects_are_recognised_and_none_is_added_without_a_persons_word(orders: World) -> None:
    orders.left.put("orders", "1", name="order", rows=_rows(("a", "LAMP", 1), ("b", "TOTE", 2), ("c", "MUG", 3)))
    lines = _lines(("1", "TOTE", 2), ("2", "LAMP", 4), ("3", "NOTE", 0))
    orders.right.put("orders", "R7", name="order", ref="1", rows=lines)
    _link(orders, "1", "R7", "orders")

    assert (orders.right.writes, orders.record("orders", "1").status) == ([], "held")
    with orders.store.read() as session:
        found = held.of_record(session, orders.engine, orders.record("orders", "1"))
    assert found.plan is not None
    assert [(one.path, one.because) for one in found.plan.conflicts] == [
        ("rows[a].qty", "was changed on both sides"),
        ("rows[c]", "no longer exists in the target"),
    ]
    held.approve(orders.engine, [found], by="anna")
    orders.settle()
    there = orders.right.objects["orders"]["R7"]["rows"]
    assert [(line["@line"], line["code"], int(line["qty"])) for line in there] == [
        ("1", "TOTE", 2), ("2", "LAMP", 1), ("3", "NOTE", 0), ("4", "MUG", 3),
    ]  # fmt: skip


@pytest.mark.one_database
def test_linked_objects_whose_lines_agree_are_done_with_their_numbers_known(orders: World) -> None:
    orders.left.put("orders", "1", name="order", rows=_rows(("a", "LAMP", 1), ("b", "TOTE", 2)))
    orders.right.put("orders", "R7", name="order", ref="1", rows=_lines(("1", "TOTE", 2), ("2", "LAMP", 1)))
    _link(orders, "1", "R7", "orders")
    with orders.store.read() as session:
        assert session.scalars(select(m.Link.lines)).one() == {"orders": {"a": "2", "b": "1"}}

    orders.left.put("orders", "1", rows=_rows(("a", "LAMP", 5), ("b", "TOTE", 2)))
    orders.sync("orders", "1")
    assert [int(line["qty"]) for line in orders.right.objects["orders"]["R7"]["rows"]] == [2, 5]


@pytest.mark.one_database
def test_objects_that_are_linked_already_or_not_there_are_not_linked(world: World) -> None:
    for key in "12":
        world.left.put("things", key, name=f"lamp {key}")
    world.sync("things", "1", "2")
    for left, right, says in (
        ("1", "R2", "1 and R2 cannot be linked: 1 is already linked with R1, and 2 is already linked with R2"),
        ("1", "R1", "1 and R1 are linked already"),
        ("9", "R1", r"left 9: left\.things has no such object"),
    ):
        with pytest.raises(Misconfigured, match=says):
            _link(world, left, right)
    assert world.links("things") == [("1", "", "R1"), ("2", "", "R2")]


@pytest.mark.one_database
def test_a_key_in_another_spelling_is_the_same_object(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(by_name)), right={"pads_keys": True})
    for key in "12":
        world.left.put("things", key, name=f"lamp {key}")
    world.sync("things", "1")
    world.right.put("things", "R7", name="lamp 2", ref="2")

    with pytest.raises(Misconfigured, match="2 and R1 cannot be linked: 1 is already linked with R1"):
        _link(world, "2", "00R1")
    _link(world, "2", "00R7")

    assert world.links("things") == [("1", "", "R1"), ("2", "", "R7")]


@pytest.mark.one_database
def test_a_source_for_which_nothing_would_be_created_is_linked_with_that_said(make_world: Callable[..., World]) -> None:
    cancelled = RuleDecision(RuleVerdict.CANCEL, "it was cancelled at the source")
    world = make_world(flow("things", Plain(by_name, rules=lambda doc, context: cancelled)))
    world.left.put("things", "1", name="gone")
    world.right.put("things", "R7", name="a lamp", ref="1")

    pairing = manual_links.inspect(world.engine, world.connection_id, "things", "1", "R7")

    assert pairing.reason == "it was cancelled at the source; it was never sent"
    assert world.right.writes == []


@pytest.mark.one_database
def test_a_link_by_hand_settles_a_create_in_doubt_and_sends_it_no_more(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.faults.append("unheard")
    world.sync("things", "1")
    world.right.objects["things"]["R1"]["name"] = "a lamp that was renamed at once"
    world.settle(patience_s=300)
    assert world.record("things", "1").status in ("held", "done", "open")
    if not world.links("things"):
        _link(world, "1", "R1")

    assert world.right.writes.count(("create", "1", "R1")) == 1
    with world.store.read() as session:
        assert session.scalars(select(m.Effect.state).where(m.Effect.verb == "create")).all() == ["done"]


def test_a_pair_that_is_linked_by_hand_has_one_record_and_a_trace_of_both(make_world: Callable[..., World]) -> None:
    world = make_world(two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)]))
    world.left.put("things", "1", name="a lamp")
    world.right.put("things", "R7", name="lamp", ref="1")
    for key in ("left:1", "right:R7"):
        with world.store.write() as session:
            record = manual.get_or_create(session, world.engine, world.connection_id, "things", key, world.time.at)
        manual.ignore(world.engine, record, by="anna", because="until they are linked")
    _link(world, "1", "R7")

    with world.store.read() as session:
        assert list(session.scalars(select(m.Record.key))) == ["left:1"]
        [record] = record_search.find(session, world.engine, "R7")
    assert (world.links("things"), world.record("things", "left:1").status) == ([("1", "", "R7")], "done")
    assert world.right.objects["things"]["R7"]["name"] == "a lamp"
    [found] = trace.trace(world.engine, "R7")
    assert [event["what"] for event in found.events].count("ignored") == 2  # of both records


# -- unlinked ----------------------------------------------------------------------------------------------------------


def _unlink(world: World, key: str = "1", **more: Any) -> list[str]:
    record = world.record("things", key)
    with world.store.read() as session:
        link = manual.link_of(session, world.engine, record)
    return manual.unlink(world.engine, record, link, by="anna", because="not the same", **more)


@pytest.mark.one_database
def test_what_is_unlinked_is_ignored_and_created_anew_only_on_a_persons_word(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    assert _unlink(world) == ["1"]
    world.left.put("things", "1", name="a red lamp")
    world.sync("things", "1", patience_s=300)
    assert (world.links("things"), world.record("things", "1").ignored) == ([], "anna: unlinked, not the same")
    assert world.right.writes == [("create", "1", "R1")]

    world.right.objects["things"].clear()
    manual.unignore(world.engine, world.record("things", "1"), by="anna")
    world.settle(patience_s=600)
    assert world.right.writes == [("create", "1", "R1"), ("create", "1", "R2")]


@pytest.mark.one_database
def test_what_is_gone_in_the_target_is_created_anew_on_a_persons_word(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    del world.right.objects["things"]["R1"]
    world.left.put("things", "1", name="a red lamp")
    world.sync("things", "1")
    with world.store.read() as session:
        assert held.of_record(session, world.engine, world.record("things", "1")).hold == Why.GONE
    _unlink(world, recreate=True)
    world.settle(patience_s=600)

    assert world.links("things") == [("1", "", "R2")]
    assert world.record("things", "1").status == "done"


@pytest.mark.one_database
@pytest.mark.parametrize("by_hand", [False, True])
def test_what_is_still_there_is_not_recreated(world: World, by_hand: bool) -> None:
    world.left.put("things", "1", name="a lamp")
    if by_hand:
        world.right.put("things", "R1", name="a lamp", ref="1")
        _link(world, "1", "R1")
    world.sync("things", "1")
    writes = list(world.right.writes)
    with pytest.raises(Misconfigured, match=r"is not held because its counterpart is gone\. R1 would have a duplicate"):
        _unlink(world, recreate=True)
    world.settle(patience_s=600)

    assert (world.links("things"), world.right.writes) == ([("1", "", "R1")], writes)


def _gone(world: World) -> dict[str, Any]:
    """Order 1 was linked by hand under the reference A1, and no longer exists in the target; what it was there."""
    world.left.put("things", "1", name="a lamp", number="A1")
    world.right.put("things", "R7", name="a lamp", ref="A1")
    _link(world, "1", "R7")
    there = world.right.objects["things"].pop("R7")
    manual.push(world.engine, world.record("things", "1"), now=True, by="anna")
    world.settle()
    assert world.record("things", "1").reason == "R7 no longer exists in the target"
    return there


def _by_number(doc: Doc, context: Context) -> Doc:
    return {"ref": doc["number"], "name": doc["name"]}


@pytest.mark.one_database
def test_what_is_recreated_is_looked_for_first_by_its_reference(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(_by_number)))
    world.right.objects["things"] = {}
    there = _gone(world)
    _unlink(world, recreate=True)
    world.right.objects["things"]["R7"] = there  # restored by its people
    world.settle(patience_s=600)

    assert (world.links("things"), world.right.writes) == ([("1", "", "R7")], [])
    assert world.record("things", "1").must_find == {}


@pytest.mark.one_database
def test_and_by_the_reference_that_it_had(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(_by_number)))
    there = _gone(world)
    world.left.put("things", "1", number="A2")
    _unlink(world, recreate=True)
    world.right.objects["things"]["R7"] = there
    world.settle(patience_s=600)

    record = world.record("things", "1")
    assert (record.status, record.reason) == ("held", "R7 has the reference A1, by which it was linked before")
    assert world.right.writes == []
    _link(world, "1", "R7")
    assert (world.links("things"), world.record("things", "1").must_find) == ([("1", "", "R7")], {})


@pytest.mark.one_database
def test_what_is_gone_is_created_once_more(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(_by_number)))
    _gone(world)
    _unlink(world, recreate=True)
    world.settle(patience_s=600)

    assert [natural for _, natural, _ in world.right.writes] == ["A1"]
    assert world.record("things", "1").must_find == {}


@pytest.mark.one_database
def test_a_pair_that_is_unlinked_is_created_on_neither_side(make_world: Callable[..., World]) -> None:
    world = make_world(two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)]))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "left:1")
    with pytest.raises(Misconfigured, match="Each object would be created again"):
        _unlink(world, "left:1", recreate=True)
    assert sorted(_unlink(world, "left:1")) == ["left:1", "right:R1"]
    world.sync("things", "left:1", "right:R1", patience_s=300)

    assert world.right.writes == [("create", "1", "R1")]
    assert world.left.writes == []


@pytest.mark.one_database
def test_both_sides_of_an_unlinked_pair_get_a_twin_of_their_own_on_a_persons_word(
    make_world: Callable[..., World],
) -> None:
    """What the create of the left side has made belongs to another by now, which only a person can know."""
    world = make_world(two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)]))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "left:1")
    _unlink(world, "left:1")
    for key in ("right:R1", "left:1"):
        manual.unignore(world.engine, world.record("things", key), by="anna")
        world.settle(patience_s=600)
    record = world.record("things", "left:1")
    assert (record.status, record.reason) == ("held", "1 and R1 cannot be linked: L1 is already linked with R1")

    with world.store.read() as session:
        [seen] = held.listed(session, world.engine)
        doubt = manual_settlement.unknown_write_of(session, world.engine, record)
    assert "syncengine held settle left:1" in seen.advice
    manual_settlement.did_not(world.engine, record, doubt, by="anna")
    world.settle(patience_s=600)

    assert sorted(world.links("things")) == [("1", "", "R2"), ("L1", "", "R1")]


@pytest.mark.one_database
def test_one_side_of_a_pair_that_is_gone_is_created_anew(make_world: Callable[..., World]) -> None:
    world = make_world(two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)]))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "left:1")
    del world.right.objects["things"]["R1"]
    world.sync("things", "left:1")
    _unlink(world, "left:1", recreate=True)
    world.settle(patience_s=600)

    assert (world.links("things"), world.left.writes) == ([("1", "", "R2")], [])


@pytest.mark.one_database
def test_the_side_that_a_pair_was_created_on_is_created_anew_when_it_is_gone(make_world: Callable[..., World]) -> None:
    world = make_world(two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)]))
    world.right.put("things", "X", name="a lamp")
    world.sync("things", "right:X")
    del world.left.objects["things"]["L1"]
    world.sync("things", "left:L1")
    _unlink(world, "left:L1", recreate=True)
    world.settle(patience_s=600)

    assert (world.links("things"), world.right.writes) == ([("L2", "", "X")], [])


# -- named -------------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_an_id_that_names_several_records_is_asked_back(make_world: Callable[..., World]) -> None:
    world = make_world(flow("orders", Plain(by_name)), flow("people", Plain(by_name)))
    world.want("orders", "1", lane=Lane.SCHEDULED)
    world.want("people", "1")
    with world.store.read() as session:
        with pytest.raises(Misconfigured, match=r"1 names several records: orders 1 \(main\), people 1 \(main\)"):
            record_search.find_one(session, world.engine, "1")
        assert record_search.find_one(session, world.engine, "1", flow="people").flow == "people"
        with pytest.raises(Misconfigured, match="nothing is known of 77"):
            record_search.find_one(session, world.engine, "77")


@pytest.mark.one_database
def test_an_object_can_be_named_by_its_side(world: World) -> None:
    """The source's R1 is another order than the target's R1, which is linked with the source's 9."""
    world.left.put("things", "9", name="a lamp")
    world.sync("things", "9")
    world.left.put("things", "R1", name="a chair")
    world.want("things", "R1")
    with world.store.read() as session:
        with pytest.raises(Misconfigured, match=r"R1 names several records.* Use left:R1 or right:R1"):
            record_search.find_one(session, world.engine, "R1", flow="things")
        assert [record_search.find_one(session, world.engine, f"{side}:R1").key for side in ("left", "right")] == [
            "R1",
            "9",
        ]
        assert record_search.find_one(session, world.engine, "9").key == "9"


@pytest.mark.one_database
def test_a_key_that_is_not_heard_of_yet_is_not_taken_for_another_orders_number(world: World) -> None:
    world.left.put("things", "9", name="a lamp")
    world.sync("things", "9")
    assert _named.record_or_new(world.engine, "R1", None, "things").key == "9"  # the source has nothing under it
    world.left.put("things", "R1", name="a chair")
    with pytest.raises(Misconfigured, match=r"R1 names two objects\. Use right:R1 for things 9, or left:R1"):
        _named.record_or_new(world.engine, "R1", None, "things")
    world.left.down = True
    with pytest.raises(Misconfigured, match="cannot check whether R1 is also the key"):
        _named.record_or_new(world.engine, "R1", None, "things")
    assert _named.record_or_new(world.engine, "right:R1", None, "things").key == "9"
    assert _named.record_or_new(world.engine, "left:R1", None, "things").key == "R1"

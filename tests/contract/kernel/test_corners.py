"""Corners of the promises: rare orders of events, dear looks, parts that vanish, links that people correct, untold keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from syncengine.connectors.base import Operation, Outcome, Page, Position, Ref, Safety, Verb
from syncengine.document import Doc
from syncengine.engine.people import dead_letter_detail, manual, manual_links
from syncengine.engine.steps.discover import discover
from syncengine.errors import DatabaseAway, Forbidden, OutcomeUnknown
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Context, Need, Policy, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Lane
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow

pytestmark = pytest.mark.one_database

MakeWorld = Callable[..., World]


def _run(world: World, *, hours: float, every_s: float) -> None:
    end = world.time.at + timedelta(hours=hours)
    while world.time.at < end:
        world.pump()
        while world.messages:
            with suppress(OSError, MemoryError):  # as Celery: the task has failed
                world.run_message(world.messages.pop(0))
            world.pump(sweep=False)
        if not world.backlog():
            return
        world.time.pass_(every_s)


def _unlink(world: World, key: str) -> None:
    record = world.record("orders", key)
    with world.store.read() as session:
        link = manual.link_of(session, world.engine, record)
    manual.unlink(world.engine, record, link, by="anna", because="the wrong one")


def _link(world: World, flow_name: str, left: str, right: str) -> None:
    pairing = manual_links.inspect(world.engine, world.connection_id, flow_name, left, right)
    manual_links.join(world.engine, pairing, by="anna")


# -- one bad record stops nobody ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("most_per_write", [1, 2])
def test_a_record_of_two_writes_that_are_refused_together_is_not_tried_without_end(
    make_world: MakeWorld, most_per_write: int
) -> None:
    calls: list[int] = []

    class Forbids(Thing):
        def write(self, operations: Sequence[Operation]) -> list[Outcome]:
            calls.append(len(operations))
            raise Forbidden("right-1: refused with 403")

    mapping = Plain(
        lambda doc, context: {part: {"ref": f"{doc['id']}{part}", "name": doc["name"]} for part in ("N", "S")},
        parts=True,
    )
    world = make_world(flow("things", mapping))
    world.resources["right.things"] = Forbids(world.right, "right.things", most_per_write=most_per_write)
    world.left.put("things", "1", name="x")
    world.want("things", "1")
    for _ in range(30):
        world.pump()
        if not world.messages:
            break
        world.run_message(world.messages.pop(0))

    assert world.record("things", "1").status == "dead"
    assert len(calls) < 10


# -- old pictures ------------------------------------------------------------------------------------------------------


def _amended(make_world: MakeWorld, resource: type[Thing], count: int, **settings: Any) -> tuple[World, Any]:
    world = make_world(flow("things", Plain(by_name), batch=200))
    made = resource(world.right, "right.things", settle_s=120.0)
    world.resources["right.things"] = made
    keys = [str(number) for number in range(1, count + 1)]
    for key in keys:
        world.left.put("things", key, name="a")
    world.sync("things", *keys, patience_s=600)
    for key in keys:
        world.left.put("things", key, name="b")
    for name, value in settings.items():
        setattr(made, name, value)
    return world, made


class Restless(Thing):
    """Its documents hold something that is another at each read; a read takes a second for each object."""

    takes_s = 0.0
    count = 0

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        self.system.time.pass_(self.takes_s * len(keys))
        type(self).count += 1
        return {key: {**doc, "served": str(type(self).count)} for key, doc in super().read(keys).items()}


def test_a_target_that_never_shows_the_same_twice_is_not_planned_again_without_end(make_world: MakeWorld) -> None:
    world, _ = _amended(make_world, Restless, 40, takes_s=1.0, most_per_read=1)
    world.right.reads.clear()
    world.want("things", *[str(number) for number in range(1, 41)])
    chains = 0
    while world.pump() and chains < 20:
        world.run_message(world.messages.pop(0))
        chains += 1

    assert chains < 20, "it is read and planned again without a rest"


class SlowLook(Thing):
    """A check takes a read of a second for each object, as where SYSPRO refuses COMFND on SorDetail."""

    takes_s = 0.0
    looked = 0

    def unchanged(self, pictures: Mapping[str, Doc]) -> set[str]:
        self.looked += len(pictures)
        self.system.time.pass_(self.takes_s * len(pictures))
        return super().unchanged(pictures)


def test_looks_that_take_a_read_for_each_object_are_not_made_for_all_before_each_write(make_world: MakeWorld) -> None:
    world, slow = _amended(make_world, SlowLook, 40, takes_s=1.0)
    world.want("things", *[str(number) for number in range(1, 41)])
    world.pump()
    message = world.messages.pop()
    for stage in message.stages[:2]:
        world.step(message, stage)
    world.time.pass_(31)
    world.step(message, message.stages[2])
    _run(world, hours=1, every_s=5)

    assert {one["name"] for one in world.right.objects["things"].values()} == {"b"}
    assert slow.looked <= 3 * 40


def test_a_write_of_more_objects_than_a_look_takes_is_not_made_from_an_old_picture(make_world: MakeWorld) -> None:
    world, _ = _amended(make_world, Thing, 60, most_per_write=60, most_per_look=40)
    world.want("things", *[str(number) for number in range(1, 61)])
    world.pump()
    message = world.messages.pop()
    for stage in message.stages[:2]:
        world.step(message, stage)
    world.time.pass_(40)
    world.right.put("things", "R60", name="clerk")  # policy: hold
    world.step(message, message.stages[2])

    assert world.right.objects["things"]["R60"]["name"] == "clerk"


# -- parts -------------------------------------------------------------------------------------------------------------


def _by_warehouse(doc: Doc, context: Context) -> dict[str, Doc]:
    return {row["wh"]: {"ref": f"{doc['id']}-{row['wh']}", "name": doc["name"]} for row in doc["rows"]}


def _gone(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.CANCEL, "cancelled") if doc.get("gone") else RuleDecision()


def test_parts_that_are_all_no_longer_wanted_are_cancelled_or_held(make_world: MakeWorld) -> None:
    world = make_world(flow("orders", Plain(_by_warehouse, parts=True)))
    world.left.put("orders", "1", name="o", rows=[{"wh": "N"}, {"wh": "S"}])
    world.sync("orders", "1")
    world.left.put("orders", "1", rows=[])
    world.sync("orders", "1", patience_s=60)

    alive = [key for key, one in world.right.objects["orders"].items() if not one.get("cancelled")]
    assert alive == [] or world.record("orders", "1").status == "held"


def test_all_parts_of_a_cancelled_order_are_looked_for_while_creates_are_verified(make_world: MakeWorld) -> None:
    world = make_world(flow("orders", Plain(_by_warehouse, parts=True, rules=_gone)))
    world.configure(verify_creates_until=world.time.at + timedelta(days=1))
    world.right.put("orders", "R2", name="o", ref="1-S")  # the store has forgotten it
    world.left.put("orders", "1", name="o", rows=[{"wh": "N"}, {"wh": "S"}], gone=True)
    world.sync("orders", "1", patience_s=60)

    assert world.right.objects["orders"]["R2"].get("cancelled")


# -- links that people correct -----------------------------------------------------------------------------------------


def _status(**more: Any) -> Flow:
    mapping = Plain(lambda doc, context: {"state": doc.get("state", "new")}, policies={"state": Policy.ENFORCE})
    return flow(
        "status", mapping, entity="orders", source="right.orders", target="left.orders", **{"write_back": True, **more}
    )


def _order(doc: Doc, context: Context) -> Doc:
    return {"ref": doc["id"], "name": doc["name"]}


def test_a_doubt_about_one_object_recognises_nothing_of_another_that_is_linked_in_its_place(
    make_world: MakeWorld,
) -> None:
    world = make_world(flow("orders", Plain(_order)))
    world.left.put("orders", "1", name="A")
    world.sync("orders", "1")
    world.right.faults = ["lost"]
    world.left.put("orders", "1", name="B")
    world.sync("orders", "1")  # R1 may become B; nobody knows
    _unlink(world, "1")
    world.right.put("orders", "R9", name="B", ref="")  # a clerk's own order, by chance of that name
    world.left.put("orders", "1", name="C")
    world.time.pass_(300)
    _link(world, "orders", "1", "R9")
    world.settle(patience_s=600)

    assert world.right.objects["orders"]["R9"]["name"] == "B"
    assert world.record("orders", "1").status == "held"


def test_orders_whose_links_were_crossed_get_their_own_states_once_that_is_corrected(make_world: MakeWorld) -> None:
    world = make_world(flow("orders", Plain(_order)), _status())
    for key in ("1", "2"):
        world.left.put("orders", key, name="same")
        world.sync("orders", key)
    world.right.put("orders", "R1", state="picked")
    world.right.put("orders", "R2", state="shipped")
    discover(world.engine, world.connection_id, "status", trigger="schedule", lane=Lane.SCHEDULED)
    world.settle()
    for key in ("1", "2"):
        _unlink(world, key)
    _link(world, "orders", "1", "R2")
    _link(world, "orders", "2", "R1")
    world.settle(patience_s=600)
    discover(world.engine, world.connection_id, "status", trigger="schedule", lane=Lane.SCHEDULED)
    world.settle(patience_s=600)

    assert [world.left.objects["orders"][key]["state"] for key in ("1", "2")] == ["shipped", "picked"]


class ByContent(Thing):
    """Polled as a whole: a version that tells the content, and no time."""

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        refs = [Ref(key, str(doc["version"])) for key, doc in self.objects.items()]
        yield Page(refs, {}, self.system.time.at)


def test_what_nobody_has_linked_is_not_wanted_by_a_write_back_at_each_poll(make_world: MakeWorld) -> None:
    world = make_world(flow("orders", Plain(_order)), _status())
    world.resources["right.orders"] = ByContent(world.right, "right.orders", settle_s=120.0)
    for number in range(20):
        world.right.put("orders", f"X{number}", name="a sale at the till")
    for _ in range(3):
        found = discover(world.engine, world.connection_id, "status", trigger="schedule", lane=Lane.SCHEDULED)
        world.settle()
        world.time.pass_(300)

    assert found.wanted == 0
    assert world.timeline("status", "right:X1").count("skipped") == 1


def test_the_correction_of_a_write_back_is_of_the_source_that_is_invalid(make_world: MakeWorld) -> None:
    customers = flow(
        "customers",
        Plain(
            lambda doc, context: {part: {"ref": f"{doc['id']}{part}", "name": doc["name"]} for part in ("EUR", "GBP")},
            parts=True,
        ),
    )
    credit = flow(
        "credit", Plain(lambda doc, context: {"hold": doc.get("hold", "N")}, policies={"hold": Policy.ENFORCE}),
        entity="customers", source="right.customers", target="left.customers", write_back=True,
    )  # fmt: skip
    world = make_world(customers, credit)
    world.left.put("customers", "310", name="Robin")
    world.sync("customers", "310")
    del world.right.objects["customers"]["R2"]["name"]  # which the schema asks for
    world.sync("credit", "left:310", patience_s=60)
    with world.store.read() as session:
        letter_id = session.scalars(select(m.Failure.id)).one()

    assert dead_letter_detail.source_of(world.engine, letter_id).original["id"] == "R2"


# -- writes without a key ----------------------------------------------------------------------------------------------


@pytest.fixture
def payments(make_world: MakeWorld) -> World:
    world = make_world(flow("payments", Plain(lambda doc, context: {"name": doc["name"], "ref": ""})))
    world.resources["right.payments"].safety = dict.fromkeys(Verb, Safety.ASK)  # type: ignore[misc]
    return world


def test_a_write_without_a_key_does_not_read_the_links_of_all_earlier_ones(payments: World) -> None:
    keys = [str(number) for number in range(30)]
    payments.right.faults = ["numberless"] * 31
    for key in keys:
        payments.left.put("payments", key, name="1.00")
    payments.sync("payments", *keys, patience_s=60)
    loaded: list[m.Link] = []
    event.listen(m.Link, "load", lambda link, _: loaded.append(link))
    payments.left.put("payments", "99", name="1.00")
    payments.sync("payments", "99", patience_s=60)

    assert payments.record("payments", "99").status == "done"
    assert len(loaded) < 10


def test_what_stands_for_a_key_that_was_never_told_is_handed_to_nobody(make_world: MakeWorld) -> None:
    asked = Need("payments", "9", "", "payments")
    receipts = flow(
        "receipts",
        Plain(lambda doc, context: {"ref": doc["id"], "name": context.links[asked]}, needs_=lambda doc, context: [asked]),
        source="right.receipts", target="left.receipts", needs={"payments": "payments"},
    )  # fmt: skip
    payments = flow(
        "payments", Plain(lambda doc, context: {"name": doc["name"], "ref": ""}),
        source="right.payments", target="left.payments",
    )  # fmt: skip
    world = make_world(payments, receipts)
    world.resources["left.payments"].safety = dict.fromkeys(Verb, Safety.ASK)  # type: ignore[misc]
    world.left.faults = ["numberless"]
    world.right.put("payments", "9", name="1.00")
    world.sync("payments", "9", patience_s=60)
    world.right.put("receipts", "1", name="r")
    world.sync("receipts", "1", patience_s=60)

    assert [one["name"] for one in world.left.objects.get("receipts", {}).values()] == []


# -- doubts ------------------------------------------------------------------------------------------------------------


class Odd(Thing):
    """A change of some name is never understood, and never happens."""

    odd_names: tuple[str, ...] = ("odd",)
    sent = 0

    def _one(self, operation: Operation) -> Outcome:
        if operation.verb is Verb.CHANGE and operation.doc.get("name") in self.odd_names:
            self.sent += 1
            return Outcome.unknown(OutcomeUnknown("a text that nobody understands"))
        return super()._one(operation)


def test_a_change_that_was_never_understood_is_written_once_it_is_corrected_at_the_source(
    make_world: MakeWorld,
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    world.resources["right.things"] = Odd(world.right, "right.things", settle_s=120.0)
    world.left.put("things", "1", name="a")
    world.sync("things", "1")
    world.left.put("things", "1", name="odd")
    world.want("things", "1")
    _run(world, hours=2, every_s=120)
    assert world.record("things", "1").status == "held"
    world.left.put("things", "1", name="good")
    world.sync("things", "1", patience_s=600)

    assert (world.record("things", "1").status, world.right.objects["things"]["R1"]["name"]) == ("done", "good")


def test_what_is_held_since_it_was_never_understood_fills_no_history(make_world: MakeWorld) -> None:
    world = make_world(flow("things", Plain(by_name)))

    class Never(Thing):
        def _one(self, operation: Operation) -> Outcome:
            return Outcome.unknown(OutcomeUnknown("a text that nobody understands"))

    world.resources["right.things"] = Never(world.right, "right.things", settle_s=120.0)
    world.left.put("things", "1", name="a")
    world.want("things", "1")
    _run(world, hours=2, every_s=120)
    assert world.record("things", "1").status == "held"
    before = len(world.timeline("things", "1"))
    for _ in range(24):
        world.time.pass_(3700)
        world.settle(patience_s=60)

    assert world.timeline("things", "1")[before:].count("held") == 0


def test_a_write_whose_outcome_could_not_be_noted_and_that_is_ignored_then_blocks_nobody(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    from syncengine.engine.writes import outcomes

    class Notes(Thing):
        @property
        def object_kind(self) -> str:
            return "right.orders"

        @property
        def objects(self) -> dict[str, Doc]:
            return self.system.objects.setdefault("orders", {})

    notes = flow(
        "notes", Plain(lambda doc, context: {"note": doc["note"]}, policies={"note": Policy.ENFORCE}),
        entity="orders", source="left.orders", target="right.notes", write_back=True,
    )  # fmt: skip
    world = make_world(flow("orders", Plain(_order)), notes)
    world.resources["right.notes"] = Notes(world.right, "right.notes", settle_s=120.0)
    world.left.put("orders", "1", name="a", note="")
    world.sync("orders", "1")
    world.left.put("orders", "1", name="b", note="ring first")
    with monkeypatch.context() as patch:

        def away(*arguments: object, **more: object) -> None:
            raise DatabaseAway("the database cannot be used now")

        patch.setattr(outcomes, "note", away)
        world.want("notes", "right:R1")
        world.pump()
        world.run_message(world.messages.pop())
    manual.ignore(world.engine, world.record("notes", "right:R1"), by="anna", because="not wanted")
    world.want("orders", "1")
    _run(world, hours=1, every_s=120)

    assert (world.record("orders", "1").status, world.right.objects["orders"]["R1"]["name"]) == ("done", "b")


def test_a_state_is_not_held_for_each_order_that_was_cancelled_on_both_sides(make_world: MakeWorld) -> None:
    world = make_world(flow("orders", Plain(_order, rules=_gone)), _status())
    world.left.put("orders", "1", name="a")
    world.sync("orders", "1")
    world.left.put("orders", "1", gone=True, cancelled=True)
    world.sync("orders", "1", patience_s=60)
    assert world.right.objects["orders"]["R1"]["cancelled"]
    world.right.put("orders", "R1", state="cancelled")
    world.sync("status", "left:1", patience_s=60)

    assert world.record("status", "left:1").status != "held"

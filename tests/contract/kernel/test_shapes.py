"""The shapes that later flows need of the kernel: two-way pairs, a target reached by a delta, lines, three-way merges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, text

from syncengine.connectors.base import Operation, Outcome, Safety, Verb
from syncengine.engine.steps.discover import discover
from syncengine.errors import OutcomeUnknown
from syncengine.mapping.contract import Context, FieldGroup, Policy
from syncengine.store import models as m
from syncengine.store.states import Lane
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow, two_way

pytestmark = pytest.mark.one_database

GROUPS = [
    FieldGroup("identity", right=("name",), left=("name",), policy=Policy.LEFT),
    FieldGroup("credit", right=("limit",), left=("limit",), policy=Policy.RIGHT),
    FieldGroup("address", right=("street",), left=("street",), policy=Policy.HOLD),
]


NEWEST = [FieldGroup(name, (name,), (name,), Policy.NEWEST) for name in ("name", "street")]


@pytest.fixture
def pair(make_world: Callable[..., World]) -> World:
    """A two-way pair that is linked: the left is master of the name, the right of the credit limit."""
    world = make_world(two_way("accounts", GROUPS))
    world.left.put("accounts", "310", name="Robin", limit=1, street="A")
    world.sync("accounts", "left:310")
    return world


def test_a_pair_that_began_on_the_left_is_created_on_the_right(pair: World) -> None:
    assert pair.links("accounts") == [("310", "", "R1")]
    assert pair.right.objects["accounts"]["R1"]["name"] == "Robin"


def test_each_side_may_change_its_own_fields_and_both_arrive(pair: World) -> None:
    pair.left.put("accounts", "310", name="Robin S.")
    pair.right.put("accounts", "R1", limit=500)
    pair.sync("accounts", "left:310")

    assert pair.right.objects["accounts"]["R1"]["name"] == "Robin S."
    assert pair.left.objects["accounts"]["310"]["limit"] == 500


def test_a_field_changed_on_both_sides_goes_by_its_master_or_is_held(pair: World) -> None:
    pair.left.put("accounts", "310", name="left name", limit=10)
    pair.right.put("accounts", "R1", name="right name", limit=20)
    pair.sync("accounts", "left:310")
    assert pair.right.objects["accounts"]["R1"]["name"] == "left name"
    assert pair.left.objects["accounts"]["310"]["limit"] == 20

    pair.left.put("accounts", "310", street="B")
    pair.right.put("accounts", "R1", street="C")
    pair.sync("accounts", "left:310")
    assert pair.record("accounts", "left:310").status == "held"


def test_a_pair_that_began_on_the_right_is_created_on_the_left_and_has_one_record(
    make_world: Callable[..., World],
) -> None:
    world = make_world(two_way("accounts", GROUPS))
    world.right.put("accounts", "000123", name="Robin", limit=1, street="A")
    world.sync("accounts", "right:000123")

    assert world.links("accounts") == [("L1", "", "000123")]
    assert world.record("accounts", "left:L1").status == "done"


def test_our_own_writes_come_back_equal_and_cause_no_echo(pair: World) -> None:
    writes = len(pair.left.writes) + len(pair.right.writes)
    for _ in range(3):
        pair.time.pass_(10)
        discover(pair.engine, pair.connection_id, "accounts", trigger="schedule", lane=Lane.SCHEDULED)
        pair.settle()

    assert len(pair.left.writes) + len(pair.right.writes) == writes
    assert pair.record("accounts", "left:310").status == "done"


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("fault", ["busy", "lost", "unheard", "late"])
def test_of_two_changes_the_one_that_did_not_go_through_is_not_taken_back_on_the_other_side(
    make_world: Callable[..., World], side: str, fault: str
) -> None:
    world = make_world(two_way("accounts", NEWEST))
    world.left.put("accounts", "310", name="Robin", street="A")
    world.sync("accounts", "left:310")
    for system, key, change in ((world.left, "310", {"name": "Rob"}), (world.right, "R1", {"street": "B"})):
        world.time.pass_(5)
        system.put("accounts", key, **change)
    world.time.pass_(5)
    {"left": world.left, "right": world.right}[side].faults = [fault]
    world.sync("accounts", "left:310", patience_s=600)

    for doc in (world.left.objects["accounts"]["310"], world.right.objects["accounts"]["R1"]):
        assert (doc["name"], doc["street"]) == ("Rob", "B")
    assert (world.record("accounts", "left:310").status, world.backlog()) == ("done", 0)


def test_a_change_on_the_right_is_found_under_the_pairs_record(pair: World) -> None:
    pair.right.put("accounts", "R1", limit=77)
    discover(pair.engine, pair.connection_id, "accounts", trigger="schedule", lane=Lane.SCHEDULED)
    pair.settle()

    assert pair.left.objects["accounts"]["310"]["limit"] == 77


class Stock(Thing):
    """A quantity that can only be corrected by a delta, computed at the write."""

    def _apply(self, operation: Operation) -> Outcome:
        if operation.verb is Verb.CREATE:
            return super()._apply(operation)
        assert operation.key is not None
        doc = self.objects[operation.key]
        delta = Decimal(operation.changes["quantity"].new) - Decimal(doc["quantity"])
        doc["quantity"] = Decimal(doc["quantity"]) + delta
        doc.setdefault("corrections", []).append(delta)
        self._count(operation, operation.key)
        return Outcome.done()


@pytest.mark.parametrize("fault", ["", "lost", "unheard", "late"])
def test_an_absolute_target_reached_by_a_delta_is_corrected_once(make_world: Callable[..., World], fault: str) -> None:
    def to(doc: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"ref": doc["id"], "name": doc["name"], "quantity": doc["quantity"]}

    world = make_world(flow("stock", Plain(to, policies={"quantity": Policy.ENFORCE})))
    world.resources["right.stock"] = Stock(world.right, "right.stock", settle_s=120.0)
    world.left.put("stock", "1", name="lamp", quantity=Decimal(10))
    world.sync("stock", "1")
    world.right.faults += [fault] if fault else []
    world.left.put("stock", "1", quantity=Decimal(7))
    world.sync("stock", "1", patience_s=300)

    assert world.right.objects["stock"]["R1"]["quantity"] == 7
    assert world.right.objects["stock"]["R1"]["corrections"] == [Decimal(-3)]


def _order(doc: dict[str, Any], context: Context) -> dict[str, Any]:
    rows = [{"@key": row["id"], "code": row["code"], "qty": Decimal(row["qty"])} for row in doc["rows"]]
    return {"ref": doc["id"], "name": doc["name"], "rows": rows}


def _rows(*rows: tuple[str, str, int]) -> list[dict[str, Any]]:
    return [{"id": key, "code": code, "qty": qty} for key, code, qty in rows]


@pytest.fixture
def orders(make_world: Callable[..., World]) -> World:
    """An order of two lines, synced; the target numbers lines itself and tells nothing of it."""
    world = make_world(flow("orders", Plain(_order)), right={"line_fields": {"rows": ("code", "qty")}})
    world.left.put("orders", "1", name="order", rows=_rows(("a", "LAMP", 1), ("b", "MUG", 2)))
    world.sync("orders", "1")
    return world


def _lines(world: World) -> list[tuple[str, str, int]]:
    return [(line["@line"], line["code"], int(line["qty"])) for line in world.right.objects["orders"]["R1"]["rows"]]


def test_rows_added_changed_and_removed_change_the_order_by_its_own_line_numbers(orders: World) -> None:
    orders.left.put("orders", "1", rows=_rows(("b", "MUG", 5), ("c", "TOTE", 3)))
    orders.sync("orders", "1")

    assert _lines(orders) == [("2", "MUG", 5), ("3", "TOTE", 3)]


def test_a_second_amendment_knows_the_lines_that_the_first_one_added(orders: World) -> None:
    orders.left.put("orders", "1", rows=_rows(("a", "LAMP", 1), ("b", "MUG", 2), ("c", "TOTE", 3)))
    orders.sync("orders", "1")
    orders.left.put("orders", "1", rows=_rows(("a", "LAMP", 1), ("b", "MUG", 2), ("c", "TOTE", 4)))
    orders.sync("orders", "1")

    assert _lines(orders) == [("1", "LAMP", 1), ("2", "MUG", 2), ("3", "TOTE", 4)]


def test_a_line_that_a_clerk_added_survives_an_amendment(orders: World) -> None:
    orders.right.objects["orders"]["R1"]["rows"].append({"@line": "3", "code": "GIFT", "qty": Decimal(1)})
    orders.left.put("orders", "1", rows=_rows(("a", "LAMP", 9), ("b", "MUG", 2)))
    orders.sync("orders", "1")

    assert _lines(orders) == [("1", "LAMP", 9), ("2", "MUG", 2), ("3", "GIFT", 1)]


def test_a_line_that_a_clerk_changed_stays_while_another_is_amended(orders: World) -> None:
    orders.right.objects["orders"]["R1"]["rows"][0]["qty"] = Decimal(4)
    orders.left.put("orders", "1", rows=_rows(("a", "LAMP", 1), ("b", "MUG", 6)))
    orders.sync("orders", "1")

    assert _lines(orders) == [("1", "LAMP", 4), ("2", "MUG", 6)]


def test_a_line_changed_on_both_sides_is_held_and_nothing_is_written(orders: World) -> None:
    orders.right.objects["orders"]["R1"]["rows"][0]["qty"] = Decimal(4)
    orders.left.put("orders", "1", rows=_rows(("a", "LAMP", 7), ("b", "MUG", 6)))
    orders.sync("orders", "1")

    assert orders.record("orders", "1").status == "held"
    assert _lines(orders) == [("1", "LAMP", 4), ("2", "MUG", 2)]


def test_a_line_that_cannot_be_told_apart_is_held(orders: World) -> None:
    orders.right.objects["orders"]["R1"]["rows"].append({"@line": "3", "code": "LAMP", "qty": Decimal(1)})
    orders.left.put("orders", "1", rows=_rows(("a", "LAMP", 7), ("b", "MUG", 2)))
    orders.sync("orders", "1")

    assert orders.record("orders", "1").status == "held"
    assert "cannot be distinguished" in orders.record("orders", "1").reason


@pytest.mark.parametrize("fault", ["lost", "unheard", "late"])
def test_an_amendment_with_an_unknown_outcome_adds_its_line_once(orders: World, fault: str) -> None:
    orders.right.faults.append(fault)
    orders.left.put("orders", "1", rows=_rows(("a", "LAMP", 1), ("b", "MUG", 2), ("c", "TOTE", 3)))
    orders.sync("orders", "1", patience_s=300)

    assert _lines(orders) == [("1", "LAMP", 1), ("2", "MUG", 2), ("3", "TOTE", 3)]


@pytest.mark.parametrize("fault", ["lost", "unheard", "late"])
def test_an_edit_after_an_amendment_of_unknown_outcome_is_no_conflict(orders: World, fault: str) -> None:
    orders.right.faults.append(fault)
    orders.left.put("orders", "1", rows=_rows(("a", "LAMP", 5), ("b", "MUG", 2), ("c", "TOTE", 3)))
    orders.sync("orders", "1")
    orders.left.put("orders", "1", rows=_rows(("a", "LAMP", 6), ("b", "MUG", 2), ("c", "TOTE", 4)))
    orders.sync("orders", "1", patience_s=300)

    assert _lines(orders) == [("1", "LAMP", 6), ("2", "MUG", 2), ("3", "TOTE", 4)]


def test_a_write_of_several_operations_a_call_settles_each_by_itself(make_world: Callable[..., World]) -> None:
    class Bulk(Thing):
        most_per_write = 10

        def write(self, operations: Sequence[Operation]) -> list[Outcome]:
            return [
                Outcome.unknown(OutcomeUnknown("?")) if operation.natural_key == "2" else self._apply(operation)
                for operation in operations
            ]

    world = make_world(flow("things", Plain(lambda doc, context: {"ref": doc["id"], "name": doc["name"]})))
    world.resources["right.things"] = Bulk(world.right, "right.things", settle_s=120.0)
    for key in "123":
        world.left.put("things", key, name="x")
    world.sync("things", "1", "2", "3")

    assert [world.record("things", key).status for key in "123"] == ["done", "open", "done"]
    assert world.resources["right.things"].safety[Verb.CREATE] is Safety.SEARCH


def test_two_flows_may_share_a_link_each_with_fields_and_agreements_of_its_own(
    make_world: Callable[..., World],
) -> None:
    def names(doc: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"ref": doc["id"], "name": doc["name"]}

    def limits(doc: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"ref": doc["id"], "limit": doc["limit"]}

    shared = {"source": "left.things", "target": "right.things", "entity": "things"}
    world = make_world(flow("things", Plain(names)), flow("limits", Plain(limits), **shared))
    world.left.put("things", "1", name="lamp", limit=5)
    world.sync("things", "1")
    world.sync("limits", "1")
    world.left.put("things", "1", name="big lamp", limit=6)
    world.sync("limits", "1")
    world.sync("things", "1")

    found = world.right.objects["things"]["R1"]
    assert (found["name"], found["limit"]) == ("big lamp", 6)
    assert world.links("things") == [("1", "", "R1")]
    assert world.record("limits", "1").status == world.record("things", "1").status == "done"


def test_a_writes_mark_is_its_own_in_every_installation_and_after_a_restored_backup(
    make_world: Callable[..., World],
) -> None:
    marks: dict[str, set[str]] = {}

    class Marks(Thing):
        def _one(self, operation: Operation) -> Outcome:
            marks.setdefault(operation.token, set()).add(operation.natural_key)
            return super()._one(operation)

    world = make_world(flow("things", Plain(by_name)))
    world.resources["right.things"] = Marks(world.right, "right.things", settle_s=120.0)
    world.right.faults = ["lost"]
    world.left.put("things", "1", name="x")
    world.sync("things", "1", patience_s=600)  # sent twice, by one mark
    assert [len(world.right.writes), len(marks)] == [1, 1]
    with world.store.write() as session:  # the backup of before is restored
        for table in (m.Effect, m.Link, m.Payload, m.Record):
            session.execute(delete(table))
        if world.store.is_sqlite:
            session.execute(text("DELETE FROM sqlite_sequence"))
    world.left.put("things", "2", name="y")
    world.sync("things", "2")

    assert sorted(len(names) for names in marks.values()) == [1, 1]

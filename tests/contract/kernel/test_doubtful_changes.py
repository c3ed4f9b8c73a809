"""Amendments whose outcome is unknown: every line is there once, whatever happens between the tries."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from syncengine.document import Doc
from syncengine.mapping.contract import Context, RuleDecision, RuleVerdict
from syncengine.store import models as m
from tests.contract.kernel.world import Plain, World, flow

pytestmark = pytest.mark.one_database


def _order(doc: Doc, context: Context) -> Doc:
    rows = [{"@key": row["id"], "code": row["code"], "qty": Decimal(row["qty"])} for row in doc["rows"]]
    return {"ref": doc["id"], "name": doc["name"], "rows": rows}


def _rows(*rows: tuple[str, str, int]) -> list[dict[str, Any]]:
    return [{"id": key, "code": code, "qty": qty} for key, code, qty in rows]


LAMP, SAME, TOTE = ("a", "LAMP", 1), ("b", "LAMP", 1), ("c", "TOTE", 3)


def _rules(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.CANCEL, "it was cancelled") if doc.get("cancel") else RuleDecision()


@pytest.fixture
def orders(make_world: Callable[..., World]) -> World:
    """An order of one line, synced; the target numbers lines itself and tells nothing of it."""
    world = make_world(flow("orders", Plain(_order, rules=_rules)), right={"line_fields": {"rows": ("code", "qty")}})
    world.left.put("orders", "1", name="order", rows=_rows(LAMP))
    world.sync("orders", "1")
    return world


def _lines(world: World) -> list[tuple[str, str, int]]:
    return [(line["@line"], line["code"], int(line["qty"])) for line in world.right.objects["orders"]["R1"]["rows"]]


@pytest.mark.parametrize("fault", ["lost", "unheard", "late"])
def test_a_row_like_one_that_is_there_already_is_added_once(orders: World, fault: str) -> None:
    orders.right.faults.append(fault)
    orders.left.put("orders", "1", rows=_rows(LAMP, SAME))
    orders.sync("orders", "1", patience_s=300)

    assert _lines(orders) == [("1", "LAMP", 1), ("2", "LAMP", 1)]


@pytest.mark.parametrize("fault", ["lost", "unheard", "late"])
def test_what_was_tried_is_remembered_while_the_next_try_cannot_be_sent(orders: World, fault: str) -> None:
    orders.right.faults += [fault, *["down"] * 50]
    orders.left.put("orders", "1", rows=_rows(LAMP, SAME))
    orders.sync("orders", "1")
    orders.left.put("orders", "1", rows=_rows(LAMP, SAME, TOTE))
    orders.sync("orders", "1", patience_s=200)
    orders.right.faults.clear()
    orders.left.put("orders", "1", name="later", rows=_rows(LAMP, SAME, TOTE))
    orders.sync("orders", "1", patience_s=1000)

    assert _lines(orders) == [("1", "LAMP", 1), ("2", "LAMP", 1), ("3", "TOTE", 3)]
    assert orders.right.objects["orders"]["R1"]["name"] == "later"


@pytest.mark.parametrize("fault", ["lost", "unheard", "late"])
def test_what_was_tried_is_remembered_when_the_worker_dies_before_the_next_try(orders: World, fault: str) -> None:
    orders.right.faults += [fault, "bug", "busy"]
    orders.left.put("orders", "1", rows=_rows(LAMP, SAME))
    orders.sync("orders", "1")
    orders.left.put("orders", "1", rows=_rows(LAMP, SAME, TOTE))
    orders.sync("orders", "1", patience_s=2000)

    assert _lines(orders) == [("1", "LAMP", 1), ("2", "LAMP", 1), ("3", "TOTE", 3)]


def test_a_create_that_is_refused_after_its_doubt_was_settled_is_a_dead_letter(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("orders", Plain(_order)))
    world.right.faults += ["lost", *["refused"] * 20]
    world.left.put("orders", "1", name="order", rows=_rows(LAMP))
    world.sync("orders", "1", patience_s=2000)

    assert world.record("orders", "1").status == "dead"
    assert len(world.right.faults) > 15  # it was not sent again and again


@pytest.mark.parametrize("fault", ["lost", "unheard", "late"])
def test_no_doubt_is_left_of_what_was_cancelled(orders: World, fault: str) -> None:
    orders.right.faults += [fault]
    orders.left.put("orders", "1", rows=_rows(LAMP, SAME))
    orders.sync("orders", "1")  # a change whose outcome nobody knows
    orders.right.faults += [fault]
    orders.left.put("orders", "1", cancel=True)
    orders.sync("orders", "1", patience_s=2000)  # and a cancellation of the same kind

    assert orders.right.objects["orders"]["R1"]["cancelled"]
    with orders.engine.store.read() as session:
        assert set(session.scalars(select(m.Effect.state))) <= {"done", "intended"}

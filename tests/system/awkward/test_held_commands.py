"""`syncengine held`, `push`, `ignore`, `link`, `unlink` and `trace` as operators and scripts use them."""

from __future__ import annotations

import getpass
import json
from decimal import Decimal
from typing import Any

import pytest

from syncengine.engine.people import manual
from syncengine.sandbox.shop.model import Order
from tests.system.awkward.conftest import Cli
from tests.system.awkward.test_amended import number_of
from tests.system.awkward.world import World

D = Decimal


@pytest.fixture
def orders(world: World) -> list[Order]:
    """Two orders whose quantity both sides have changed."""
    shop, made = world.shop, []
    contact = shop.contact()
    for _ in range(2):
        mug = shop.row("MUG", 2, "16.00")
        made.append((shop.order(contact, mug), mug))
    world.sync()
    for order, mug in made:
        world.erp.act(f"orders/{number_of(world, order.id)}/lines/1", "PATCH", qty=3)
        shop.edit_row(order, mug, quantity=D(5), net=D("40.00"))
    world.sync()
    return [order for order, _ in made]


def _json(cli: Cli, *words: object, code: int = 0) -> Any:
    said, out, complaint = cli(*words, "--json")
    assert said == code, complaint
    return json.loads(out)


def test_held_orders_are_listed_by_reason_and_shown_with_all_three_values(cli: Cli, orders: list[Order]) -> None:
    _, out, _ = cli("held", "list", "--grouped")
    assert out.lstrip().startswith("2  orders (main), conflict: StockLine[")
    assert [one["key"] for one in _json(cli, "held", "list", "--reason", "BOTH sides")] == [
        str(one.id) for one in orders
    ]
    assert cli("held", "list", "--flow", "customers")[1] == "No matching records.\n"

    _, out, _ = cli("held", "show", orders[0].id)
    for part in (
        "agreed: 2",
        "source: 5",
        "target: 3",
        "if approved, writes:",
        "OrderQty: 3.000000 -> 5.000000",
        "if refused, the target",
    ):
        assert part in out
    whole = _json(cli, "held", "show", orders[0].id)
    assert (whole["may_be_approved"], whole["hold"]) == (True, "conflict")


def test_one_is_approved_by_the_number_of_syspro_and_the_other_refused(
    cli: Cli, world: World, orders: list[Order]
) -> None:
    approved, refused = orders
    number = number_of(world, approved.id)
    code, out, _ = cli("held", "approve", number)
    assert (code, out.splitlines()[-1]) == (1, "No changes made. Re-run with --yes to apply.")
    assert "OrderQty: 3.000000 -> 5.000000" in out
    assert "  change orders: 1, worth 40.00 GBP net" in out

    assert cli("held", "approve", number, "--yes", "--because", "the customer rang")[0] == 0
    assert _json(cli, "held", "refuse", refused.id, "--because", "the clerk is right", "--yes")["refused"] == 1
    world.settle()

    assert [world.erp.stock_lines(one.id)[0][1] for one in orders] == [D(5), D(3)]
    assert [world.status(one.id)[0] for one in orders] == ["done", "skipped"]
    assert cli("held", "approve", refused.id, "--yes")[0] == 2  # it is not held any more
    out = cli("trace", number)[1]
    me = getpass.getuser()
    assert f"decision 1 approved by {me}: the customer rang" in out
    words = [line.split("  ")[2].strip() for line in out.splitlines() if line.startswith("  20")]
    assert all(line[:25].endswith(" UTC") for line in out.splitlines() if line.startswith("  20"))
    assert words.index("held") < words.index("approved") < words.index("written", words.index("approved"))
    [found] = _json(cli, "trace", number)["found"]
    assert [stop["at"] for stop in found["way"]] == sorted(stop["at"] for stop in found["way"])
    assert found["systems"] == {"left": "brightpearl", "right": "syspro"}


def test_what_syspro_would_not_take_is_not_approved(cli: Cli, world: World, orders: list[Order]) -> None:
    one = orders[0]
    world.erp.act(f"orders/{number_of(world, one.id)}/lines/1", "PATCH", qty=2)  # the clerk takes it back
    world.erp.act(f"orders/{number_of(world, one.id)}/status", status="8")
    cli("push", one.id, "--now", "--no-wait")
    world.settle()
    code, _, complaint = cli("held", "approve", one.id, "--yes")

    assert code == 2
    assert "It cannot be approved: the target would reject it" in complaint
    assert _json(cli, "held", "approve", "--all", "--dry-run")["preview"]["records"] == 1  # the other one


def test_an_order_that_is_gone_is_made_anew_only_when_a_person_says_so(cli: Cli, world: World) -> None:
    order = world.shop.order()
    world.sync()
    number = number_of(world, order.id)
    with world.erp.company.lock:
        world.erp.company.table("SorMaster").delete(world.erp.company.order(number))
    world.shop.edit(order, reference="AMENDED")
    world.sync()
    assert "no longer exists in the target" in world.status(order.id)[1]

    code, out, _ = cli("unlink", order.id, "--flow", "orders", "--because", "deleted by mistake", "--recreate")
    assert (code, out.splitlines()[-1]) == (1, "No changes made. Re-run with --yes to apply.")
    cli("unlink", order.id, "--flow", "orders", "--because", "deleted by mistake", "--recreate", "--yes")
    world.settle(patience_s=200)
    assert number_of(world, order.id) != number
    assert world.status(order.id)[0] == "done"


def test_an_ignored_order_rests_and_is_pushed_when_it_is_heeded(cli: Cli, world: World) -> None:
    order = world.shop.order()
    assert cli("ignore", order.id, "--because", "a test order")[0] == 2  # nothing is known of it
    assert cli("ignore", order.id, "--flow", "orders", "--because", "a test order")[0] == 0
    world.sync()
    assert world.erp.orders(order.id) == []
    assert "is ignored" in cli("push", order.id, "--now")[2]
    assert f"ignored by {getpass.getuser()}: a test order" in cli("trace", order.id)[1]

    assert _json(cli, "ignore", order.id, "--undo") == {"flow": "orders", "key": str(order.id), "ignored": False}
    world.settle()
    assert world.erp.made(order.id) == 1


def test_two_orders_that_exist_are_linked_and_compared(cli: Cli, world: World) -> None:
    order = world.shop.order(None, world.shop.row("MUG", 2, "16.00"))
    world.sync()
    number = number_of(world, order.id)
    cli("unlink", order.id, "--flow", "orders", "--because", "to try it", "--yes")
    assert world.status(order.id) == ("skipped", f"ignored by {getpass.getuser()}: unlinked, to try it")

    code, out, _ = cli("link", "orders", order.id, number)
    assert (code, out.splitlines()[0]) == (1, f"orders: left {order.id}, right {number.zfill(6)}, reference {order.id}")
    assert len(out.splitlines()) < 10
    assert "orderRows" in cli("link", "orders", order.id, number, "--whole")[1]
    shown = _json(cli, "link", "orders", order.id, number, code=1)
    assert (shown["linked"], [one for one in shown["differs"] if one["then"] == "written"]) == (False, [])
    assert _json(cli, "link", "orders", order.id, number, "--yes", "--because", "it was right")["linked"]
    world.settle()
    assert world.status(order.id)[0] == "done"
    assert world.erp.made(order.id) == 1
    for spelling in (number, number.lstrip("0")):
        assert f"{number} are linked already (linked by hand: " in cli("link", "orders", order.id, spelling, "--yes")[2]


def test_what_a_shut_ceiling_holds_is_shown_field_by_field(cli: Cli, world: World) -> None:
    world.configure(ceilings={"orders": 1})
    contact = world.shop.contact()
    first, second = (world.shop.order(contact, world.shop.row("MUG", 2, "16.00")) for _ in range(2))
    world.sync()
    assert world.status(second.id)[0] == "held"
    _, out, _ = cli("held", "show", second.id)
    lines = out.splitlines()
    at = lines.index("  planned writes:")
    assert lines[at + 1] == f"    create {second.id}"
    assert f"      CustomerPoNumber: {second.id}" in lines
    assert any(line.startswith("      + StockLine: OrderQty 2.000000, ") for line in lines)
    assert "None" not in out
    [step] = _json(cli, "held", "show", second.id)["stopped"]["steps"]
    assert step["doc"]["CustomerPoNumber"] == str(second.id)
    assert cli("held", "show", first.id)[0] == 2


def test_previews_say_what_would_be_done_and_count_one_as_one(cli: Cli, orders: list[Order]) -> None:
    _, out, _ = cli("held", "refuse", orders[0].id, "--because", "t")
    reason, since, *rest = out.splitlines()
    assert reason == "    1  orders (main), conflict: StockLine[8101].OrderQty was changed on both sides"
    assert since.endswith(f" UTC; example: {orders[0].id}")
    assert rest == [
        "1 difference would be agreed, 0 records skipped.",
        "No changes made. Re-run with --yes to apply.",
    ]
    _, out, _ = cli("unlink", orders[0].id, "--flow", "orders", "--because", "t")
    first, last = out.splitlines()
    assert first.endswith("would be unlinked, and it would be ignored until you undo that.")
    assert last == "No changes made. Re-run with --yes to apply."


def test_a_conflict_is_named_once_in_a_line(cli: Cli, orders: list[Order]) -> None:
    for command in (("trace",), ("held", "show")):
        held = [line for line in cli(*command, orders[0].id)[1].splitlines() if "  held  " in line]
        assert [line.count("was changed on both sides") for line in held] == [1]


def test_a_push_that_neither_writes_nor_finds_it_equal_says_no(
    cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual.clock, "sleep", lambda seconds: world.settle())
    order = world.shop.order()
    world.configure(mode="observe")
    code, out, _ = cli("push", order.id, "--flow", "orders")
    assert (code, "observed, not written" in out) == (1, True)
    code, out, err = cli("push", 77777, "--flow", "orders")
    assert (code, out) == (2, "")
    assert "has no brightpearl.sales_order with the key 77777" in err
    assert cli("trace", 77777)[0] == 1  # nothing was stored of it
    world.configure(mode="live")
    world.settle()
    assert cli("push", order.id, "--flow", "orders")[0] == 0  # equal by now

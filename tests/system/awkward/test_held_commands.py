"""`syncengine held`, `push`, `ignore`, `link`, `unlink` and `trace` as operators and scripts use them."""

from __future__ import annotations

import getpass
import json
from decimal import Decimal
from typing import Any

import pytest

from syncengine.sandbox.shop import Order
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
    assert cli("held", "list", "--flow", "customers")[1] == "Nothing is held.\n"

    _, out, _ = cli("held", "show", orders[0].id)
    for part in (
        "agreed: 2",
        "source: 5",
        "target: 3",
        "approved, this is written:",
        "OrderQty: 3.000000 -> 5.000000",
        "refused: the target",
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
    assert (code, out.splitlines()[-1]) == (1, "Nothing was done. With --yes it is.")
    assert "OrderQty: 3.000000 -> 5.000000" in out
    assert "change 1 orders, worth 40.00 GBP net" in out

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
    assert "It cannot be approved: the target would not take it" in complaint
    assert _json(cli, "held", "approve", "--all", "--dry-run")["preview"]["records"] == 1  # the other one


def test_an_order_that_is_gone_is_made_anew_only_when_a_person_says_so(cli: Cli, world: World) -> None:
    order = world.shop.order()
    world.sync()
    number = number_of(world, order.id)
    with world.erp.company.lock:
        world.erp.company.table("SorMaster").delete(world.erp.company.order(number))
    world.shop.edit(order, reference="AMENDED")
    world.sync()
    assert "is gone in the target" in world.status(order.id)[1]

    code, out, _ = cli("unlink", order.id, "--flow", "orders", "--because", "deleted by mistake", "--recreate")
    assert (code, out.splitlines()[-1]) == (1, "Nothing was done. With --yes they are unlinked.")
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

    shown = _json(cli, "link", "orders", order.id, number, code=1)
    assert (shown["linked"], [one for one in shown["differs"] if one["then"] == "written"]) == (False, [])
    assert _json(cli, "link", "orders", order.id, number, "--yes", "--because", "it was right")["linked"]
    world.settle()
    assert world.status(order.id)[0] == "done"
    assert world.erp.made(order.id) == 1
    for spelling in (number, number.lstrip("0")):
        assert cli("link", "orders", order.id, spelling, "--yes")[2].strip().endswith(f"{number} are linked already")

"""Feeds that lose nothing, and orders that are never pushed half-built.

Search, its columns and its lag: brightpearl.md sections 7 and 11.1; an order's rows come one by one (section 11.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from syncengine.store.models import Record
from tests.depth import usually
from tests.system.awkward.conftest import Cli
from tests.system.awkward.world import World

D = Decimal
QUIET_S = 60.0
DRAFT = 1  # a status that is not eligible: what is found is read and skipped


def known(world: World) -> set[str]:
    """Keys of all orders that the engine has taken notice of and has nothing more to do about."""
    with world.store.read() as session:
        return set(session.scalars(select(Record.key).where(Record.flow == "orders", Record.wanted == Record.done)))


def drafts(world: World, count: int) -> list[Any]:
    contact = world.shop.contact()
    return [world.shop.order(contact, status_id=DRAFT) for _ in range(count)]


def at_call(world: World, operation: str, number: int, do: Callable[[], None]) -> None:
    """Do something while the engine's call of this kind is on its way, the answer already made."""
    run, seen = world.sandbox.run, {"calls": 0}

    def watched(system: str, its_operation: str, *rest: Any, **more: Any) -> Any:
        answer = run(system, its_operation, *rest, **more)
        if its_operation == operation:
            seen["calls"] += 1
            if seen["calls"] == number:
                do()
        return answer

    world.sandbox.run = watched  # type: ignore[method-assign]
    world.undo.append(lambda: setattr(world.sandbox, "run", run))


def test_three_pages_of_orders_of_the_same_updated_on_are_all_found(world: World) -> None:
    world.configure(shop={"page_size": 50})
    world.sync()  # the cursor is before them
    orders = drafts(world, 120)
    moment = world.time.now().replace(microsecond=0) - timedelta(seconds=5)
    for order in orders:
        world.shop.account.stamp_order(order, moment)
    world.sync()
    assert known(world) == {str(order.id) for order in orders}


@pytest.mark.parametrize("search", [1, 2, 3])
def test_orders_that_are_edited_while_the_pages_are_read_are_all_found(world: World, search: int) -> None:
    world.configure(shop={"page_size": 20})
    orders = drafts(world, 64)
    base = world.time.now().replace(microsecond=0) - timedelta(hours=1)
    for number, order in enumerate(orders):
        world.shop.account.stamp_order(order, base + timedelta(seconds=number))
    edited = orders[::7]

    def edit() -> None:
        for order in edited:
            world.shop.edit(order, reference="edited meanwhile")

    at_call(world, "order.search", search, edit)
    world.sync()
    assert known(world) == {str(order.id) for order in orders}
    world.time.pass_(10)
    world.sync()
    with world.store.read() as session:
        versions = dict(session.execute(select(Record.key, Record.seen_version).where(Record.flow == "orders")).all())
    for order in edited:
        assert datetime.fromisoformat(versions[str(order.id)]) == order.updated_on


def test_an_order_without_updated_on_is_found_once_it_is_there_and_again_when_edited(world: World) -> None:
    world.sync()
    order = world.shop.order(created_on=world.time.now().replace(microsecond=0))
    assert order.updated_on is None
    world.sync()
    assert world.erp.made(order.id) == 1
    world.time.pass_(30)
    world.shop.edit(order, reference="EDITED")
    world.sync()
    assert world.erp.order(order.id)["SpecialInstrs"] == "EDITED"


@pytest.mark.parametrize("gap_s", [2, 30, 400])
def test_a_second_edit_within_the_second_of_the_first_is_not_lost_though_we_read_between(
    world: World, gap_s: float
) -> None:
    shop = world.shop
    order = shop.order()
    world.sync()
    world.time.pass_(300)
    shop.edit(order, reference="FIRST")
    moment = order.updated_on
    assert moment is not None
    world.sync("orders", order.id)  # a webhook: the engine reads within the same second
    assert world.erp.order(order.id)["SpecialInstrs"] == "FIRST"
    order.reference = "SECOND"
    shop.account.stamp_order(order, moment)
    world.time.pass_(gap_s)
    world.sync()  # by the feed, which tells the same updatedOn as before
    assert world.erp.order(order.id)["SpecialInstrs"] == "SECOND"


def test_an_edit_that_comes_while_we_read_the_order_is_not_lost(world: World) -> None:
    shop = world.shop
    order = shop.order()
    world.sync()
    world.time.pass_(300)
    shop.edit(order, reference="FIRST")
    at_call(world, "order.read", 1, lambda: shop.edit(order, reference="SECOND"))
    world.sync()
    world.time.pass_(5)
    world.sync()
    assert world.erp.order(order.id)["SpecialInstrs"] == "SECOND"


def test_an_order_that_shows_in_the_search_20_s_late_is_found_though_a_later_one_was(world: World) -> None:
    shop, switches = world.shop, world.sandbox.switches
    contact = shop.contact()
    world.sync()
    switches.turn({"brightpearl_search_delay_s": 20})
    late = shop.order(contact, created_on=world.time.now().replace(microsecond=0))
    world.time.pass_(3)
    soon = shop.order(contact, created_on=world.time.now().replace(microsecond=0))
    _show_at_once(world, soon.id)
    world.sync()
    assert [world.erp.made(order.id) for order in (late, soon)] == [0, 1]
    world.time.pass_(20)
    world.sync()
    assert [world.erp.made(order.id) for order in (late, soon)] == [1, 1]


def _show_at_once(world: World, order_id: int) -> None:
    """Let the search show this order before those that came earlier."""
    index = world.shop.account.indexes["order"]
    mine = next(entry for entry in index._later if entry[2] == order_id)
    index._later.remove(mine)
    index._rows[order_id] = mine[3]
    index._sorted.clear()


def test_an_edit_that_shows_in_the_search_20_s_late_is_found(world: World) -> None:
    shop, switches = world.shop, world.sandbox.switches
    order, other = shop.order(), shop.order()
    world.sync()
    world.time.pass_(300)
    switches.turn({"brightpearl_search_delay_s": 20})
    shop.edit(order, reference="EDITED")
    world.time.pass_(1)
    shop.edit(other, reference="EDITED TOO")
    _show_at_once(world, other.id)
    world.sync()
    assert world.erp.order(other.id)["SpecialInstrs"] == "EDITED TOO"
    world.time.pass_(25)
    world.sync()
    assert world.erp.order(order.id)["SpecialInstrs"] == "EDITED"


# -- orders that are built row by row ------------------------------------------------------------------------------------


def new_order(world: World, **changes: Any) -> Any:
    now = world.time.now().replace(microsecond=0)
    row = world.shop.row("MUG", 1, "8.00")
    return world.shop.order(None, row, created_on=now, placed_on=now, **changes)


@pytest.mark.parametrize(
    ("gap_s", "stamped"),
    usually([(5, True), (25, False), (55, True)], full=[(gap, how) for gap in (5, 25, 55) for how in (True, False)]),
)
def test_an_order_whose_rows_come_one_by_one_is_pushed_once_and_whole(
    world: World, gap_s: float, stamped: bool
) -> None:
    world.configure(quiet_s=QUIET_S)
    order = new_order(world)
    for number in range(2, 7):
        world.sync("orders", order.id, patience_s=0)
        _live_for(world, gap_s)
        row = world.shop.row("BOOK", number, f"{number}.00")
        order.rows[row.id] = row
        world.shop.account.save_order(order, "rows", by="person", updates=stamped)  # section 16 no. 11: may not stamp
        world.sync(patience_s=0)
        assert world.erp.made(order.id) == 0, f"pushed with {number - 1} of 6 rows"
    world.settle(patience_s=300)
    assert world.erp.made(order.id) == 1
    assert len(world.erp.stock_lines(order.id)) == 6
    assert world.sandbox.calls.effects(object="SorMaster", reference=str(order.id), action="changed") == []


def _live_for(world: World, seconds: float) -> None:
    """Let this time pass, in which the engine does whatever is due."""
    end = world.time.now() + timedelta(seconds=seconds)
    world.settle(patience_s=seconds)
    world.time.pass_(max(0.0, (end - world.time.now()).total_seconds()))


def test_an_order_that_is_built_under_another_status_is_pushed_whole_when_it_is_eligible(world: World) -> None:
    world.configure(quiet_s=QUIET_S)
    order = new_order(world, status_id=DRAFT)
    for _ in range(3):
        world.sync(patience_s=200)
        assert world.status(order.id)[0] == "skipped"
        world.shop.add_row(order, world.shop.row("BOOK", 1, "12.50"))
    world.shop.set_status(order, 2)
    world.sync(patience_s=300)
    assert world.erp.made(order.id) == 1
    assert len(world.erp.stock_lines(order.id)) == 4


def test_without_a_quiet_period_an_eligible_order_goes_at_once(world: World) -> None:
    order = new_order(world)
    world.sync(patience_s=0)
    assert world.erp.made(order.id) == 1


def test_an_amendment_that_comes_row_by_row_is_written_when_it_is_complete(world: World) -> None:
    world.configure(quiet_s=QUIET_S)
    order = new_order(world)
    world.sync(patience_s=300)
    assert world.erp.made(order.id) == 1
    for number in range(2, 5):
        world.shop.add_row(order, world.shop.row("BOOK", number, f"{number}.00"))
        world.sync(patience_s=20)
    assert len(world.erp.stock_lines(order.id)) in (1, 4)
    world.settle(patience_s=300)
    assert len(world.erp.stock_lines(order.id)) == 4


def test_a_sync_that_finds_nothing_says_why_and_how_to_read_further_back(cli: Cli, world: World) -> None:
    world.configure(cut_over=datetime(2026, 1, 1, tzinfo=UTC))
    never = cli("status")[1]
    assert "main: orders were never read. `syncengine up` reads them by schedule, `syncengine sync orders` now" in never
    world.shop.order(status_id=1)
    world.sync()
    code, out, _ = cli("sync", "orders", "--dry-run")
    assert code == 0
    why, last = out.splitlines()
    assert re.fullmatch(r"main: No change of orders since they were read at [-0-9]{10} [:0-9]{5} UTC\. .*", why)
    assert (
        "Those created before the cut-over date 2026-01-01 are left out: to sync them, set an earlier cut_over: in "
        "syncengine.yml and run `syncengine configure`. Skipped by rules: 1 because its status is not one of the setting "
        "eligible_statuses. To read further back: `syncengine sync orders --since DATE`"
    ) in why
    assert last == "Dry run of 0 objects. No changes made."

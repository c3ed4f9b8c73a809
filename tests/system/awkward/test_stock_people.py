"""Stock levels as people see them: compared, shown before the first run, approved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from click.testing import CliRunner, Result

from syncengine.cli import _stock, commands
from syncengine.cli._person import me
from syncengine.engine.core.engine import Engine
from syncengine.engine.decide.level_plan import RISE_WAITS
from syncengine.engine.doctor import Level, sites
from syncengine.engine.people import level_comparison, level_report, observe_report, status, trace
from syncengine.engine.people.level_comparison import ComparedItem
from syncengine.engine.people.level_report import BeyondLimit
from syncengine.engine.people.observe_report import Report, ReportFilter
from syncengine.engine.writes import ceiling
from syncengine.errors import Misconfigured
from tests.system.awkward.test_stock import MAIN, STORE, Stock
from tests.system.awkward.world import World, both_gateways


@pytest.fixture
def stock(world: World) -> Stock:
    return Stock(world)


def compared(stock: Stock, *skus: str) -> dict[str, ComparedItem]:
    """The items by key, after a moment in which searches have caught up."""
    stock.world.time.pass_(3)
    (route,) = level_comparison.routes(stock.world.engine)
    return {item.key: item for item in level_comparison.compare(route, skus)}


def test_nothing_is_linked_or_written_by_a_comparison_before_the_first_sync(stock: Stock) -> None:
    found = compared(stock)
    mug = next(place for place in found["MUG"].places if place.place == str(MAIN))
    assert (mug.current, mug.low, mug.high, mug.difference) == (0, 1000, 1000, -1000)
    assert mug.values["on_hand"] == 1000
    assert stock.writes() == 0
    assert stock.world.timeline("MUG", "inventory") == []


def test_a_comparison_shows_the_movement_that_keeps_the_systems_apart(stock: Stock) -> None:
    stock.sync(90)
    order = stock.world.shop.order(stock.world.shop.contact(), stock.world.shop.row("MUG", 4, "32.00"))
    stock.shop_act(f"orders/{order.id}/ship")
    (item,) = compared(stock, "MUG").values()  # before any poll has seen the note
    place = next(each for each in item.places if each.place == str(MAIN))
    assert (place.current, place.low, place.high) == (996, 996, 1000)
    assert not item.differs
    shipped = [moved for moved in place.movements if not moved.is_correction]
    assert [(moved.quantity, moved.low, moved.high) for moved in shipped] == [(-4, -4, 0)]


def test_a_comparison_shows_syspros_own_demand_and_the_orders_behind_it(
    stock: Stock, capsys: pytest.CaptureFixture[str]
) -> None:
    stock.sync(90)
    company = stock.company
    company.table("InvWarehouse").get("MUG", "MN")["QtyAllocatedWip"] = Decimal(7)
    (item,) = compared(stock, "MUG").values()
    place = next(each for each in item.places if each.place == str(MAIN))
    assert (place.values["own_demand"], place.target, place.difference) == (7, 993, 7)
    _stock.show(item)
    shown = capsys.readouterr().out
    assert "less SYSPRO's own demand" in shown
    assert "falls to 993" in shown
    assert _stock.as_doc(item)["differs"] is True


def test_a_code_that_nobody_has_is_missing(stock: Stock) -> None:
    stock.sync(90)
    found = compared(stock, "NOTHING")
    assert found["NOTHING"].source is None
    assert found["NOTHING"].differs


@pytest.fixture
def typed(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """What a command line says, with the engine of the test."""

    @contextmanager
    def opened(**_: object) -> Iterator[Engine]:
        yield stock.world.engine

    for command in ("stock", "observe"):
        monkeypatch.setattr(f"syncengine.cli.{command}.open_engine", opened)
    return lambda *words: CliRunner().invoke(commands, list(words), standalone_mode=False)


def test_the_commands_show_and_approve_the_same(stock: Stock, typed: Callable[..., Result]) -> None:
    stock.configure(mode="observe", jump_limit=400)
    stock.sync(90)
    item = typed("stock", "compare", "--sku", "MUG")
    assert (item.return_value, item.exception) == (0, None)
    assert "rises to 1,000, held: inStock of 2 would rise from 0 to 1000, by more than 400" in item.output
    (doc,) = json.loads(typed("stock", "compare", "--sku", "MUG", "--json").output)
    assert (doc["differs"], [place["values"]["on_hand"] for place in doc["places"]]) == (True, ["1000.000000"] * 2)
    listed = typed("stock", "compare", "--differences").output
    assert "BOOK" in listed
    assert "CAN-MUG-0012" not in listed
    assert typed("stock", "compare", "--sku", "NOTHING").return_value == 1

    report = typed("observe", "report", "--flow", "inventory").output
    assert "MUG at 2: 0 -> 1000 (GBP 2,500.00), beyond the limit: held until approved" in report
    assert "No changes made" in typed("observe", "approve", "--because", "counted").output
    approved = typed("observe", "approve", "--because", "counted", "--yes").output
    assert "2 items approved. They are planned again" in approved
    stock.world.settle(90)
    assert "No matching records" in typed("observe", "approve", "--because", "counted", "--yes").output
    assert f"beyond the limit: approved by {me()}: counted" in typed("observe", "report").output


def reported(stock: Stock) -> tuple[Report, list[BeyondLimit]]:
    """What people are shown of the connection's levels, and which rises they may approve."""
    engine = stock.world.engine
    chosen = ReportFilter(engine.connections()[0], "inventory")
    planned = observe_report.planned_levels(engine, chosen)
    return observe_report.report(engine, chosen), level_report.beyond_limit(engine, chosen.connection, planned)


def test_the_first_run_is_shown_by_warehouse_and_written_once_a_person_has_approved_it(stock: Stock) -> None:
    world = stock.world
    stock.act("correct", warehouse=STORE, to=1100)
    stock.world.time.pass_(60)
    stock.configure(mode="observe", jump_limit=400)
    stock.sync(90)
    assert world.status("MUG", "inventory")[0] == "held"
    report, large = reported(stock)
    by_place = {total.place: total for total in report.levels}
    assert (by_place["2"].beyond, by_place["2"].unpriced) == (2, 0)
    assert (by_place["3"].falls, by_place["3"].down, by_place["3"].down_worth) == (1, 100, {"GBP": 250})
    assert [jump.units for jump in report.jumps[:3]] == [1000, 1000, 1000]
    assert {each.planned.key for each in large} == {"MUG", "BOOK"}
    assert level_report.approve(world.engine, large, by="anna", because="counted last night").count == 2
    world.settle(90)
    assert world.status("MUG", "inventory") == ("skipped", "observed, not written")
    assert stock.writes() == 0

    stock.count(980)  # the shop continues to sell
    stock.configure(mode="live", jump_limit=400)
    world.engine._connections.clear()
    stock.sync(90)
    assert (stock.level(), stock.level(warehouse=STORE), stock.level("BOOK")) == (980, 1000, 1000)
    assert world.timeline("MUG", "inventory").count("decision carried out") == 1

    stock.act("correct", warehouse=MAIN, to=0)  # the approval was for one rise
    stock.sync(90)
    assert stock.level() == 0
    assert world.status("MUG", "inventory")[0] == "held"


def test_a_second_person_is_told_who_has_approved(stock: Stock) -> None:
    stock.configure(mode="observe", jump_limit=400)
    stock.sync(90)
    _, large = reported(stock)
    level_report.approve(stock.world.engine, large, by="anna", because="counted")
    with pytest.raises(Misconfigured, match="it was approved by anna: counted"):
        level_report.approve(stock.world.engine, large, by="bert", because="counted, too")
    stock.world.settle(90)
    assert reported(stock)[1] == []
    assert stock.world.timeline("MUG", "inventory").count("rises approved") == 1


def test_a_larger_rise_than_the_one_approved_is_held(stock: Stock) -> None:
    stock.configure(mode="observe", jump_limit=400)
    stock.sync(90)
    level_report.approve(stock.world.engine, reported(stock)[1], by="anna", because="counted")
    stock.world.settle(90)
    stock.count(1500)
    stock.configure(mode="live", jump_limit=400)
    stock.sync(90)
    assert stock.level() == 0
    assert stock.level("BOOK") == 1000
    assert stock.world.status("MUG", "inventory")[0] == "held"
    assert "decision lapsed" in stock.world.timeline("MUG", "inventory")


def test_a_live_connection_holds_all_levels_until_it_is_said_who_posts_movements(stock: Stock) -> None:
    stock.act("correct", warehouse=STORE, to=1100)
    stock.world.time.pass_(60)
    stock.configure(posted_elsewhere="", jump_limit=400)
    stock.sync(90)
    assert stock.writes() == 0
    report, large = reported(stock)
    assert {total.place: (total.rises, total.falls) for total in report.levels}["3"][1] == 1
    level_report.approve(stock.world.engine, large, by="anna", because="counted")
    stock.world.settle(90)
    assert stock.world.status("MUG", "inventory")[0] == "held"
    stock.configure(jump_limit=400)
    stock.sync(90)
    assert (stock.level(), stock.level(warehouse=STORE), stock.level("BOOK")) == (1000, 1000, 1000)


@both_gateways
def test_the_check_names_warehouses_that_are_not_mapped_and_those_that_do_not_exist(stock: Stock) -> None:
    world = stock.world
    found = list(sites.examine(world.engine, ["shop", "erp"]))
    table = [each for each in found if each.part == "main stock_warehouses"]
    assert [each.level for each in table] == [Level.OK, Level.OK]
    assert "confirmed: erp has MN, ST" in table[0].says
    assert [each.level for each in found if each.part == "main posted_elsewhere"] == [Level.OK]
    world.time.pass_(61)  # SYSPRO's operator logs on again
    stock.configure(posted_elsewhere="", places={"MN": "2", "XX": "99"})
    found_now = list(sites.examine(world.engine, ["shop", "erp"]))
    wrong = [each.says for each in found_now if each.part == "main stock_warehouses" and each.level is Level.WARN]
    assert [text.partition(";")[0] for text in wrong] == ["erp has no warehouses XX", "shop has no warehouses 99"]
    assert any(each.part == "main posted_elsewhere" and each.level is Level.WARN for each in found_now)


def test_a_level_that_waits_to_rise_is_shown_as_such(stock: Stock) -> None:
    stock.sync(90)
    stock.count(1002)
    stock.sync(0)
    world = stock.world
    (flow,) = [each for each in status.flows(world.engine) if each.flow == "inventory"]
    assert (flow.moving, flow.moving_until) == (1, world.record("MUG", "inventory").not_before)
    (shown,) = trace.trace(world.engine, "MUG", flow="inventory")
    assert shown.state.startswith("due, not before ")
    assert shown.state.endswith(RISE_WAITS)
    events = {event["what"]: event["detail"] for event in shown.events}
    assert events["linked"] == {"to": "brightpearl.stock_level 3001", "by": "both have the key MUG"}
    assert set(events["rise waits"]) == {"reason", "until"}


def test_the_guard_against_vanishing_levels_says_what_to_do_and_is_opened_whole(
    stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = stock.world
    monkeypatch.setattr("syncengine.engine.writes.levels.FEWEST_VANISHED", 0)
    stock.configure(vanish_share="0.001")
    stock.sync(90)
    for warehouse in ("MN", "ST"):
        stock.count(0, warehouse=warehouse)
    stock.sync(90)
    assert stock.level() == 1000
    (state,) = [each for each in ceiling.listed(world.engine) if each.flow == "inventory"]
    assert (state.stops_all, state.held) == (True, 1)
    assert "Check whether the source was wiped" in world.status("MUG", "inventory")[1]
    (flow,) = [each for each in status.flows(world.engine) if each.flow == "inventory"]
    assert "stock compare --connection main" in ceiling.remedy("main", "inventory", stops_all=flow.stops_all)
    ceiling.open_(world.engine, "main", "inventory", by="anna", because="sold", uncounted=timedelta(hours=1))
    world.settle(90)
    assert (stock.level(), stock.level(warehouse=STORE)) == (0, 0)
    (state,) = [each for each in ceiling.listed(world.engine) if each.flow == "inventory"]
    assert not state.stops_all

"""Flows that set levels: falls at once, rises once the movements are known, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from syncengine.engine.core.want import want
from syncengine.engine.people import held
from syncengine.engine.people.held import Held
from syncengine.engine.steps import sync
from syncengine.errors import Transient
from syncengine.mapping.contract import RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Lane, Stage
from tests.contract.kernel.level_world import EVERY_S, LAG_S, SWEEP_S, Levelled, levelled, links_of, row_of
from tests.contract.kernel.world import World

pytestmark = pytest.mark.one_database


@pytest.fixture
def shop(make_world: Callable[..., World]) -> Levelled:
    """Two codes, equal on both sides, linked by the first sweep."""
    made = levelled(make_world)
    made.pair("A", 10, 10)
    made.pair("B", 5, 5)
    made.load()
    return made


def _held(world: Levelled, code: str) -> Held:
    with world.store.read() as session:
        return held.of_record(session, world.engine, world.record("stock", code))


def _approve(world: Levelled, code: str) -> None:
    held.approve(world.engine, [_held(world, code)], by="anna", because="counted twice")
    world.settle(patience_s=300)


# -- links -------------------------------------------------------------------------------------------------------------


def test_the_first_sweep_links_by_one_search_and_writes_nothing_that_is_equal(
    make_world: Callable[..., World],
) -> None:
    made = levelled(make_world)
    for code in "ABC":
        made.pair(code, 10, 10)
    made.time.pass_(3600)
    made.tick(60)
    assert links_of(made) == [("A", "PA"), ("B", "PB"), ("C", "PC")]
    assert [keys for name, keys in made.right.reads if name == "find stock"] == [["A", "B", "C"]]
    assert [keys for name, keys in made.left.reads if name == "stock"] == []  # the page has brought the documents
    assert (made.state("A"), made.changes()) == (("done", "equal"), [])


def test_of_several_products_with_one_key_none_is_linked_until_they_differ(shop: Levelled) -> None:
    shop.put("C", main=3)
    shop.shop.stock("PC", main=1)
    shop.shop.stock("PC2", main=1)
    shop.shop.objects["PC2"]["ref"] = "C"
    shop.tick(60)
    assert shop.state("C") == ("held", "write")
    assert ("C", "PC") not in links_of(shop)

    shop.shop.objects["PC2"]["ref"] = "C2"
    shop.time.pass_(3700)
    shop.tick(300)
    assert (shop.shop.level("PC"), shop.shop.level("PC2")) == (3, 1)


def test_of_two_codes_with_one_product_the_second_is_held(make_world: Callable[..., World]) -> None:
    made = levelled(make_world)
    made.pair("A", 10, 10)
    made.put("A2", main=4)
    made.left.objects["stock"]["A2"]["name"] = "A"
    made.time.pass_(3600)
    made.tick(300)
    assert links_of(made) == [("A", "PA")]
    assert (made.state("A"), made.state("A2"), made.changes()) == (("done", "equal"), ("held", "write"), [])
    assert "linked" not in made.timeline("stock", "A2")


def test_a_product_that_another_code_has_is_not_linked_whatever_the_keys_of_others_are(shop: Levelled) -> None:
    shop.put("C", main=1)
    shop.left.objects["stock"]["C"]["name"] = "A"  # the product of the code A
    shop.pair("PA", 7, 4)  # a code that is like the key of that product
    shop.tick(300)
    assert shop.state("C") == ("held", "write")
    assert (links_of(shop)[-1], shop.shop.level("PPA")) == (("PA", "PPA"), 7)


def test_a_code_without_a_product_is_linked_by_the_next_sweep_once_the_product_is_there(shop: Levelled) -> None:
    shop.put("C", main=3)
    shop.tick(60)
    assert shop.state("C") == ("skipped", "not linked")
    shop.shop.stock("PC", main=1)
    shop.time.pass_(SWEEP_S)
    shop.tick(300)
    assert (links_of(shop)[-1], shop.shop.level("PC")) == (("C", "PC"), 3)


def test_a_product_that_is_tracked_later_gets_its_level_by_the_next_sweep(shop: Levelled) -> None:
    shop.put("C", main=3)
    shop.shop.stock("PC", main=1)
    del shop.shop.objects["PC"]["places"]
    shop.tick(60)
    assert shop.state("C") == ("skipped", "no stock")
    shop.shop.stock("PC", main=1)
    shop.time.pass_(SWEEP_S)
    shop.tick(300)
    assert shop.shop.level("PC") == 3


# -- falls and rises ---------------------------------------------------------------------------------------------------


def test_a_fall_is_written_at_once_and_a_rise_when_the_feed_has_passed_the_read(shop: Levelled) -> None:
    shop.put("A", main=3)
    shop.put("B", main=9)
    shop.tick()
    assert shop.changes() == ["PA main 10>3"]
    began = shop.time.at
    shop.settle(patience_s=300)
    assert shop.changes() == ["PA main 10>3", "PB main 5>9"]
    assert LAG_S <= (shop.time.at - began).total_seconds() <= LAG_S + 15


def test_levels_rise_although_a_feed_without_news_gives_no_page(make_world: Callable[..., World]) -> None:
    made = levelled(make_world)
    made.shop.is_silent = True
    made.pair("A", 10, 4)
    made.tick(60)
    assert made.changes() == ["PA main 4>10"]


def test_a_fall_goes_first_and_the_rise_beside_it_follows_from_the_same_documents(shop: Levelled) -> None:
    shop.shop.stock("PA", main=10, side=0)
    shop.put("A", main=3, side=8)
    shop.tick()
    assert shop.changes() == ["PA main 10>3"]
    shop.settle(patience_s=300)
    assert shop.changes() == ["PA main 10>3", "PA side 0>8"]
    assert [keys for name, keys in shop.right.reads if name == "stock"] == [["PA"]]


def test_a_correction_by_others_during_the_wait_makes_it_read_again(shop: Levelled) -> None:
    shop.put("A", main=20)
    shop.tick()
    shop.time.pass_(5)
    shop.shop.move("PA", 4, kind="SC")
    shop.time.pass_(60)  # until searches show it
    shop.settle(patience_s=300)
    assert (shop.changes(), shop.shop.level("PA")) == (["PA main 14>20"], 20)


def test_a_correction_by_others_that_no_search_showed_yet_is_made_up_for_at_the_next_poll(shop: Levelled) -> None:
    shop.put("A", main=20)
    shop.tick()
    shop.time.pass_(20)
    shop.shop.move("PA", 4, kind="SC")
    shop.settle(patience_s=60)
    shop.tick(60)
    assert (shop.changes(), shop.shop.level("PA")) == (["PA main 10>20", "PA main 24>20"], 20)


def test_a_correction_that_becomes_known_after_the_plan_was_made_stops_its_write(shop: Levelled) -> None:
    shop.put("A", main=3)
    message = shop.begun("stock", "A", Stage.FETCH, Stage.TRANSFORM)
    shop.time.pass_(1)
    shop.shop.move("PA", -5, kind="SC")
    shop.time.pass_(LAG_S)
    sync.run(shop.engine, sync.Request("stock"))
    shop.step(message, Stage.PUSH)
    shop.settle(patience_s=120)
    assert shop.changes() == ["PA main 5>3"]


def test_a_movement_during_the_wait_is_tallied_and_the_level_is_not_read_again(shop: Levelled) -> None:
    shop.put("A", main=20)
    shop.tick()
    shop.right.reads.clear()
    shop.time.pass_(5)
    shop.shop.move("PA", -4)  # and the warehouse is informed later
    shop.time.pass_(26)  # not yet shown
    shop.settle(patience_s=10)
    assert shop.changes() == ["PA main 10>20"]
    assert [keys for name, keys in shop.right.reads if name == "stock"] == []
    assert shop.shop.level("PA") == 16

    shop.tick(60)  # now the feed tells of it, and 16 is right until the warehouse knows
    assert shop.changes() == ["PA main 10>20"]
    shop.put("A", main=16)
    shop.time.pass_(660)
    shop.tick(60)
    assert shop.changes() == ["PA main 10>20"]


def test_a_movement_that_the_warehouse_never_posts_is_given_back_when_its_time_is_over(shop: Levelled) -> None:
    shop.shop.move("PA", -4)
    shop.tick(60)
    assert shop.changes() == []
    shop.time.pass_(660)
    sync.run(shop.engine, sync.Request("stock", ids=("A",)))
    shop.settle(patience_s=60)
    assert shop.changes() == ["PA main 6>10"]


@pytest.mark.parametrize("wrong_by", [6, -3])
def test_a_level_at_the_end_of_its_range_is_compared_again_once_nothing_is_in_transit(
    shop: Levelled, wrong_by: int
) -> None:
    shop.shop.move("PA", 4, kind="GI")
    shop.put("A", main=14)  # posted at once, but nobody can tell
    shop.shop.move("PA", wrong_by, kind="SC")
    shop.tick(60)
    assert shop.shop.level("PA") == (18 if wrong_by > 0 else 14)
    shop.time.pass_(600)
    shop.settle(patience_s=120)
    assert shop.shop.level("PA") == 14


def test_a_movement_just_before_the_first_load_counts(make_world: Callable[..., World]) -> None:
    made = levelled(make_world)
    made.pair("A", 10, 10)
    made.time.pass_(900)
    made.shop.move("PA", -4)
    made.time.pass_(300)
    made.tick(120)
    assert (made.changes(), made.shop.level("PA")) == ([], 6)


def test_our_own_corrections_cause_nothing(shop: Levelled) -> None:
    shop.put("A", main=3)
    shop.put("B", main=9)
    shop.tick(300)
    shop.forget_calls()
    wanted = shop.record("stock", "A").wanted, shop.record("stock", "B").wanted
    for _ in range(3):
        shop.tick(60)
    assert shop.changes() == []
    assert (shop.record("stock", "A").wanted, shop.record("stock", "B").wanted) == wanted
    assert not [keys for name, keys in [*shop.left.reads, *shop.right.reads] if name == "stock"]


def test_a_hint_during_the_wait_reads_the_source_and_keeps_the_picture_of_the_target(shop: Levelled) -> None:
    shop.put("A", main=20)
    shop.tick()
    shop.forget_calls()
    shop.put("A", main=25)
    shop.want("stock", "A")
    shop.settle(patience_s=300)
    assert shop.changes() == ["PA main 10>25"]
    assert [keys for name, keys in shop.left.reads if name == "stock"] == [["A"]]
    assert [keys for name, keys in shop.right.reads if name == "stock"] == []


def test_a_hint_during_the_wait_that_makes_it_a_fall_is_written_at_once(shop: Levelled) -> None:
    shop.put("A", main=20)
    shop.tick()
    shop.put("A", main=2)
    shop.want("stock", "A")
    shop.settle()
    assert shop.changes() == ["PA main 10>2"]


def test_a_rise_needs_a_source_that_was_read_within_a_poll(shop: Levelled) -> None:
    shop.put("A", main=20)
    shop.tick()
    shop.forget_calls()
    shop.left.put("stock", "A", rows={"main": 15})
    shop.time.pass_(EVERY_S + 10)
    shop.settle(patience_s=300)
    assert shop.changes() == ["PA main 10>15"]


def test_a_code_that_is_gone_writes_nothing(shop: Levelled) -> None:
    del shop.left.objects["stock"]["A"]
    shop.sync("stock", "A")
    assert (shop.state("A"), shop.changes()) == (("skipped", "not there"), [])


# -- what a person decides ---------------------------------------------------------------------------------------------


def test_a_jump_is_held_and_a_fall_beside_it_is_still_written(shop: Levelled) -> None:
    shop.shop.stock("PA", main=10, side=10)
    shop.put("A", main=500, side=4)
    shop.tick(300)
    assert (shop.changes(), shop.state("A")) == (["PA side 10>4"], ("held", "rule"))
    shop.put("A", main=500, side=2)
    shop.tick(300)
    assert (shop.changes()[1:], shop.state("A")) == (["PA side 4>2"], ("held", "rule"))


def test_an_approved_jump_is_written_after_its_wait(shop: Levelled) -> None:
    shop.put("A", main=500)
    shop.tick(300)
    assert shop.state("A") == ("held", "rule")
    _approve(shop, "A")
    assert (shop.changes(), shop.state("A")[0]) == (["PA main 10>500"], "done")


def test_an_approved_jump_that_has_become_another_is_held_again(shop: Levelled) -> None:
    shop.put("A", main=500)
    shop.tick(300)
    shop.left.put("stock", "A", rows={"main": 700})
    _approve(shop, "A")
    assert (shop.changes(), shop.state("A")) == ([], ("held", "rule"))
    assert "decision lapsed" in shop.timeline("stock", "A")


def test_a_rise_without_a_cost_is_held_until_it_has_one(shop: Levelled) -> None:
    shop.shop.held_cost.add("PA")
    shop.put("A", main=12)
    shop.tick(300)
    assert (shop.changes(), shop.state("A")) == ([], ("held", "rule"))
    shop.shop.held_cost.clear()
    shop.time.pass_(3700)
    shop.tick(300)
    assert shop.changes() == ["PA main 10>12"]


def test_a_rule_that_holds_everything_writes_no_fall(make_world: Callable[..., World]) -> None:
    made = levelled(make_world)
    flow = made.flows["stock"]
    mapping = replace(flow.mapping, rules=lambda doc, context: RuleDecision(RuleVerdict.HOLD, "nobody posts"))  # type: ignore[type-var]
    made.flows["stock"] = replace(flow, mapping=mapping)
    made.pair("A", 3, 10)
    made.pair("B", 12, 10)
    made.tick(300)
    assert (made.changes(), made.state("A"), made.state("B")) == ([], ("held", "rule"), ("held", "rule"))


# -- unknown corrections -----------------------------------------------------------------------------------------------


def test_an_unknown_correction_that_is_found_by_its_token_is_done(shop: Levelled) -> None:
    shop.right.faults = ["unheard"]
    shop.put("A", main=3)
    shop.tick(600)
    assert (shop.changes(), shop.state("A")[0]) == (["PA main 10>3"], "done")
    assert "found in the target" in shop.timeline("stock", "A")


def test_an_unknown_correction_that_is_not_found_is_sent_again_once(shop: Levelled) -> None:
    shop.right.faults = ["lost"]
    shop.put("A", main=3)
    shop.tick(600)
    assert (shop.changes(), shop.state("A")[0]) == (["PA main 10>3"], "done")
    assert "not found in the target" in shop.timeline("stock", "A")


def test_a_late_correction_is_waited_for(shop: Levelled) -> None:
    shop.right.faults = ["late"]
    shop.put("A", main=3)
    shop.tick(600)
    assert (shop.changes(), shop.state("A")[0]) == (["PA main 10>3"], "done")


def test_a_correction_with_the_same_values_after_a_found_one_is_written_again(shop: Levelled) -> None:
    shop.right.faults = ["unheard"]
    shop.put("A", main=3)
    shop.tick(600)
    shop.shop.move("PA", 7, kind="SC")
    shop.right.faults = ["lost"]
    shop.tick(600)
    assert (shop.changes(), shop.shop.level("PA")) == (["PA main 10>3"] * 2, 3)


def test_a_contradiction_is_asked_about_later_and_then_held_for_a_person(shop: Levelled) -> None:
    shop.right.faults = ["unheard"]
    shop.put("A", main=3)
    shop.tick()
    shop.shop.journal.hidden.add(shop.shop.journal.moved[-1].note)
    shop.settle(patience_s=130)
    asked = [name for name, _ in shop.right.reads].count("took effect")
    assert asked == 1
    assert shop.record("stock", "A").status != "held"
    shop.settle(patience_s=900)
    assert shop.state("A") == ("held", "unknown write")
    assert shop.changes() == ["PA main 10>3"]


def test_a_contradiction_that_ends_is_resolved_without_a_person(shop: Levelled) -> None:
    shop.right.faults = ["unheard"]
    shop.put("A", main=3)
    shop.tick()
    shop.shop.journal.hidden.add(shop.shop.journal.moved[-1].note)
    shop.settle(patience_s=130)
    shop.shop.journal.hidden.clear()
    shop.settle(patience_s=900)
    assert (shop.changes(), shop.state("A")[0]) == (["PA main 10>3"], "done")


def test_the_rest_of_the_call_is_found_out_in_one_search(shop: Levelled) -> None:
    shop.right.faults = ["unheard", "lost"]
    shop.put("A", main=3)
    shop.put("B", main=2)
    shop.tick(600)
    assert sorted(shop.changes()) == ["PA main 10>3", "PB main 5>2"]
    assert [len(tokens) for name, tokens in shop.right.reads if name == "took effect"] == [2]


# -- sweeps ------------------------------------------------------------------------------------------------------------


def _many(make: Callable[..., World], count: int, **more: object) -> Levelled:
    made = levelled(make, **more)
    for number in range(count):
        made.pair(f"{number:03}", 10, 10)
    made.load()
    return made


def test_a_sweep_wants_only_what_differs_and_its_pages_bring_the_documents(make_world: Callable[..., World]) -> None:
    shop = _many(make_world, 10)
    for code in ("002", "007"):  # changes that no feed tells of
        shop.left.objects["stock"][code]["rows"] = {"main": 4}
    shop.time.pass_(SWEEP_S)
    shop.tick(60)
    assert shop.changes() == ["P002 main 10>4", "P007 main 10>4"]
    assert [len(keys) for name, keys in shop.left.reads if name == "page"] == [4, 4, 2, 0]
    assert [keys for name, keys in shop.left.reads if name == "stock"] == []


def test_a_level_that_drifts_without_a_movement_is_found_within_a_day(make_world: Callable[..., World]) -> None:
    shop = _many(make_world, 3)
    shop.shop.objects["P001"]["places"] = [{"id": "main", "level": 17}]
    for _ in range(3):
        shop.time.pass_(SWEEP_S)
        shop.tick(300)
    assert shop.changes() == []
    shop.time.pass_(SWEEP_S)
    shop.tick(300)
    assert shop.changes() == ["P001 main 17>10"]
    assert [keys for name, keys in shop.left.reads if name == "stock"] == []


def test_codes_that_vanish_from_the_pages_are_looked_at_wherever_a_page_begins(
    make_world: Callable[..., World],
) -> None:
    shop = _many(make_world, 10)
    for code in ("000", "003", "004", "006", "009"):
        del shop.left.objects["stock"][code]
    shop.time.pass_(SWEEP_S)
    shop.tick(60)
    states = {code: shop.state(code)[1] for code in ("000", "003", "004", "006", "009")}
    assert states == dict.fromkeys(states, "not there")
    assert shop.changes() == []


def test_documents_of_a_page_are_read_again_when_they_are_older_than_a_poll(make_world: Callable[..., World]) -> None:
    shop = _many(make_world, 4)
    shop.left.objects["stock"]["002"]["rows"] = {"main": 4}
    shop.time.pass_(SWEEP_S)
    sync.run(shop.engine, sync.Request("stock", trigger="schedule"))
    shop.messages.clear()
    shop.left.objects["stock"]["002"]["rows"] = {"main": 2}
    shop.time.pass_(EVERY_S + 1)
    shop.settle(patience_s=1000)  # its lease runs out first
    assert shop.changes() == ["P002 main 10>2"]


def test_a_sweep_continues_where_a_restart_has_stopped_it(make_world: Callable[..., World]) -> None:
    shop = levelled(make_world, batch=1)
    for number in range(20):
        shop.pair(f"{number:03}", 10, 10)
    shop.time.pass_(3600)
    sync.run(shop.engine, sync.Request("stock", trigger="schedule"))
    first = [keys for name, keys in shop.left.reads if name == "page"]
    assert 1 <= len(first) <= 2
    shop.messages.clear()
    shop.time.pass_(600)
    shop.tick(600)
    shop.tick(600)
    pages = [keys[0] for name, keys in shop.left.reads if name == "page" and keys]
    assert pages == ["000", "004", "008", "012", "016"]
    assert len(links_of(shop)) == 20


def test_a_page_that_cannot_be_read_stops_no_record(make_world: Callable[..., World]) -> None:
    shop = _many(make_world, 6)

    def broken(position: object) -> object:
        raise Transient("the page is cut off")

    shop.time.pass_(SWEEP_S)
    shop.warehouse.pages = broken  # type: ignore[method-assign,assignment]
    shop.put("001", main=0)
    shop.tick(60)
    assert shop.changes() == ["P001 main 10>0"]


def test_the_first_load_reads_no_old_movements(make_world: Callable[..., World]) -> None:
    made = levelled(make_world)
    made.pair("A", 10, 10)
    for _ in range(50):
        made.shop.move("PA", -1)
        made.shop.move("PA", 1)
    made.time.pass_(86_400)
    made.tick(60)
    assert row_of(made, m.Movement) == []
    assert made.record("stock", "A").wanted == 1


# -- urgency -----------------------------------------------------------------------------------------------------------


def test_an_item_that_sells_out_overtakes_a_backlog_of_its_lane_and_runs_in_real_time(
    make_world: Callable[..., World],
) -> None:
    shop = _many(make_world, 40, batch=5)
    for number in range(40):
        shop.put(f"{number:03}", main=0 if number == 37 else 8)
    sync.run(shop.engine, sync.Request("stock", trigger="schedule", connection=None))
    shop.time.pass_(EVERY_S)
    sync.run(shop.engine, sync.Request("stock", trigger="schedule"))
    record = shop.record("stock", "037")
    assert (record.lane, record.urgency) == (0, 1)
    chain = next(message for message in shop.messages if message.lane == 0)
    shop.messages.remove(chain)
    shop.run_message(chain)
    assert shop.changes() == ["P037 main 10>0"]
    assert shop.record("stock", "037").urgency == 0


def test_within_a_lane_the_urgent_are_claimed_first(make_world: Callable[..., World]) -> None:
    shop = levelled(make_world, batch=3)
    codes = [f"{number:04}" for number in range(1000)]
    with shop.store.write() as session:
        want(session, shop.connection_id, "stock", codes, lane=Lane.REALTIME, now=shop.time.at - timedelta(hours=1))
        for code, urgency in (("0990", 1), ("0991", 2)):
            want(session, shop.connection_id, "stock", [code], lane=Lane.BACKFILL, now=shop.time.at, urgency=urgency)
    shop.pump()
    first = shop.messages[0]
    with shop.store.read() as session:
        claimed = set(session.scalars(select(m.Record.key).where(m.Record.token == first.token)))
    assert claimed == {"0991", "0990", "0000"}


def test_the_urgent_never_keep_the_others_waiting_for_ever(make_world: Callable[..., World]) -> None:
    shop = levelled(make_world, batch=4)
    urgent = [f"{number:04}" for number in range(100)]
    with shop.store.write() as session:
        earlier = shop.time.at - timedelta(minutes=1)
        want(session, shop.connection_id, "stock", ["waits"], lane=Lane.REALTIME, now=earlier)
        want(session, shop.connection_id, "stock", urgent, lane=Lane.REALTIME, now=shop.time.at, urgency=2)
    shop.pump()
    assert shop.record("stock", "waits").token == shop.messages[0].token

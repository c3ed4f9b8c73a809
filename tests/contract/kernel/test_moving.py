"""How a record moves: the plain way, coalescing, order, staleness, waiting and waking, rules, cut-over, quiet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from syncengine.connectors.base import Safety, Verb
from syncengine.engine.people.dead_letters import retry
from syncengine.engine.steps.discover import discover
from syncengine.mapping.contract import Context, MissingLookup, Need, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Lane, Stage
from tests.contract.kernel.world import START, Plain, World, by_name, flow

pytestmark = pytest.mark.one_database


def test_an_object_that_is_wanted_arrives_once_and_is_linked(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")

    assert [doc["name"] for doc in world.right.objects["things"].values()] == ["a lamp"]
    assert world.links("things") == [("1", "", "R1")]
    assert world.record("things", "1").status == "done"
    assert world.timeline("things", "1") == ["fetched", "planned", "written"]


def test_an_object_that_is_wanted_again_without_a_change_is_not_written_again(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.sync("things", "1")

    assert world.right.writes == [("create", "1", "R1")]
    assert world.record("things", "1").status == "done"


def test_an_object_that_is_done_and_unchanged_costs_no_call_to_the_target(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    reads = len(world.right.reads)
    world.sync("things", "1")

    assert len(world.right.reads) == reads
    assert world.timeline("things", "1")[-1] == "unchanged"


def test_a_changed_lookup_entry_is_noticed_although_the_source_is_unchanged(make_world: Callable[..., World]) -> None:
    def to(doc: dict[str, object], context: Context) -> dict[str, object]:
        return {"ref": doc["id"], "name": context.lookups.get("names", {}).get("x", "none")}

    world = make_world(flow("things", Plain(to)))
    world.left.put("things", "1", name="x")
    world.sync("things", "1")
    with world.store.write() as session:
        session.add(m.Lookup(connection_id=world.connection_id, name="names", key="x", value="corrected"))
    world.sync("things", "1")

    assert world.right.objects["things"]["R1"]["name"] == "corrected"


def test_many_wants_before_the_pump_become_one_sync(world: World) -> None:
    world.left.put("things", "1", name="first")
    for name in ("second", "third", "newest"):
        world.want("things", "1")
        world.left.put("things", "1", name=name)
    world.settle()

    assert world.right.writes == [("create", "1", "R1")]
    assert world.right.objects["things"]["R1"]["name"] == "newest"


def test_an_edit_while_the_object_is_being_written_is_synced_after_it(world: World) -> None:
    world.left.put("things", "1", name="old")
    world.right.during_write = lambda operation: _edit_once(world)
    world.sync("things", "1")

    assert world.right.objects["things"]["R1"]["name"] == "edited meanwhile"
    assert world.record("things", "1").wanted == world.record("things", "1").done


def _edit_once(world: World) -> None:
    world.right.during_write = None
    world.left.put("things", "1", name="edited meanwhile")
    world.want("things", "1")


def test_an_object_is_never_in_two_chains_at_a_time(world: World) -> None:
    world.left.put("things", "1", name="a")
    world.want("things", "1")
    world.pump()
    world.want("things", "1")
    world.pump()

    assert len(world.messages) == 1


def test_discover_wants_what_changed_and_does_not_ask_again_for_what_is_done(world: World) -> None:
    for key in "1234567":
        world.left.put("things", key, name=f"thing {key}")
    found = discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)
    world.settle()
    world.time.pass_(10)
    world.left.put("things", "3", name="changed")
    second = discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)
    world.settle()

    assert (found.wanted, second.wanted) == (7, 1)
    assert world.right.objects["things"]["R3"]["name"] == "changed"
    assert len(world.right.writes) == 8


def test_an_edit_within_the_same_second_as_our_read_is_not_taken_for_done(world: World) -> None:
    world.left.put("things", "1", name="seen")
    discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)
    world.settle()
    same_version = world.left.objects["things"]["1"]["version"]
    world.left.objects["things"]["1"]["name"] = "edited in the same second"
    with world.store.write() as session:
        session.query(m.Cursor).delete()
    world.time.pass_(30)
    found = discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)
    world.settle()

    assert world.left.objects["things"]["1"]["version"] == same_version
    assert found.wanted == 1
    assert world.right.objects["things"]["R1"]["name"] == "edited in the same second"


def test_a_version_that_was_settled_long_before_its_fetch_costs_no_call(world: World) -> None:
    world.left.put("things", "1", name="seen")
    world.time.pass_(30)
    discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)
    world.settle()
    with world.store.write() as session:
        session.query(m.Cursor).delete()
    reads = len(world.left.reads)
    found = discover(world.engine, world.connection_id, "things", trigger="schedule", lane=Lane.SCHEDULED)
    world.settle()

    assert (found.wanted, found.known) == (0, 1)
    assert len(world.left.reads) == reads


def _order_world(make_world: Callable[..., World]) -> World:
    customers = flow("customers", Plain(by_name))
    orders = flow(
        "orders",
        Plain(
            to=lambda doc, context: {
                "ref": doc["id"],
                "name": doc["name"],
                "customer": context.links[Need("customers", doc["customer"], "", "customers")],
            },
            needs_=lambda doc, context: [Need("customers", doc["customer"], "", "customers")],
        ),
    )
    return make_world(customers, orders)


def test_an_order_that_arrives_before_its_customer_waits_and_is_woken(make_world: Callable[..., World]) -> None:
    world = _order_world(make_world)
    world.left.put("customers", "310", name="Robin")
    world.left.put("orders", "1", name="order", customer="310")
    world.sync("orders", "1")

    assert world.right.objects["orders"]["R2"]["customer"] == "R1"
    assert world.timeline("orders", "1") == ["fetched", "waiting", "woken", "planned", "written"]


def test_a_woken_record_goes_on_from_transform_while_its_fetch_is_fresh(make_world: Callable[..., World]) -> None:
    world = _order_world(make_world)
    world.left.put("customers", "310", name="Robin")
    world.left.put("orders", "1", name="order", customer="310")
    world.sync("orders", "1")

    assert [keys for kind, keys in world.left.reads if kind == "orders"] == [["1"]]


def test_a_record_whose_customer_is_dead_waits_until_it_is_mended(make_world: Callable[..., World]) -> None:
    world = _order_world(make_world)
    world.left.put("customers", "310", name=None)
    world.left.put("orders", "1", name="order", customer="310")
    world.sync("orders", "1")
    assert world.record("orders", "1").status == "waiting"
    assert world.record("customers", "310").status == "dead"

    world.left.put("customers", "310", name="Robin")
    world.sync("customers", "310")
    world.settle()

    assert world.record("orders", "1").status == "done"
    assert world.failures() == []


def test_forty_orders_of_one_new_customer_create_it_once(make_world: Callable[..., World]) -> None:
    world = _order_world(make_world)
    world.left.put("customers", "310", name="Robin")
    for number in range(40):
        world.left.put("orders", str(number), name="order", customer="310")
    world.sync("orders", *map(str, range(40)))

    assert len(world.right.objects["customers"]) == 1
    assert len(world.right.objects["orders"]) == 40


def test_an_object_that_needs_two_others_waits_for_both(make_world: Callable[..., World]) -> None:
    needs = lambda doc, context: [Need("a", doc["a"], "", "a"), Need("b", doc["b"], "", "b")]  # noqa: E731
    world = make_world(flow("a", Plain(by_name)), flow("b", Plain(by_name)), flow("c", Plain(by_name, needs_=needs)))
    world.left.put("a", "1", name="one")
    world.left.put("c", "9", name="both", a="1", b="2")
    world.sync("c", "9")
    assert world.record("c", "9").status == "waiting"
    assert world.record("c", "9").need_entity == "b"

    world.left.put("b", "2", name="two")
    world.sync("b", "2")

    assert world.record("c", "9").status == "done"


def test_a_missing_lookup_entry_is_waited_for_and_found_by_the_pump(make_world: Callable[..., World]) -> None:
    def to(doc: dict[str, object], context: object) -> dict[str, object]:
        table = context.lookups.get("codes", {})  # type: ignore[attr-defined]
        if doc["name"] not in table:
            raise MissingLookup(Need("lookup:codes", str(doc["name"])))
        return {"ref": doc["id"], "name": table[doc["name"]]}

    world = make_world(flow("things", Plain(to)))
    world.left.put("things", "1", name="lamp")
    world.sync("things", "1")
    assert world.record("things", "1").status == "waiting"

    with world.store.write() as session:
        session.add(m.Lookup(connection_id=world.connection_id, name="codes", key="lamp", value="LMP"))
    world.settle()

    assert world.right.objects["things"]["R1"]["name"] == "LMP"


def test_one_object_becomes_two_documents_with_a_link_each(make_world: Callable[..., World]) -> None:
    def split(doc: dict[str, object], context: object) -> dict[str, dict[str, object]]:
        return {part: {"ref": f"{doc['id']}-{part}", "name": f"{doc['name']} {part}"} for part in ("GBP", "EUR")}

    world = make_world(flow("things", Plain(split, parts=True)))
    world.left.put("things", "1", name="account")
    world.sync("things", "1")
    world.left.put("things", "1", name="renamed")
    world.sync("things", "1")

    assert world.links("things") == [("1", "GBP", "R1"), ("1", "EUR", "R2")]
    assert [doc["name"] for doc in world.right.objects["things"].values()] == ["renamed GBP", "renamed EUR"]


def test_a_need_may_ask_for_a_part_and_gets_just_that_part_more(make_world: Callable[..., World]) -> None:
    def parts(doc: dict[str, object], context: object) -> dict[str, dict[str, object]]:
        wanted = {"GBP", *context.parts}  # type: ignore[attr-defined]
        return {part: {"ref": f"{doc['id']}{part}", "name": doc["name"]} for part in sorted(wanted)}

    customers = flow("customers", Plain(parts, parts=True))
    needs = lambda doc, context: [Need("customers", "310", doc["currency"], "customers")]  # noqa: E731
    world = make_world(customers, flow("orders", Plain(by_name, needs_=needs)))
    world.left.put("customers", "310", name="Robin")
    world.sync("customers", "310")
    world.left.put("orders", "1", name="in euro", currency="EUR")
    world.left.put("orders", "2", name="in dollar", currency="USD")
    world.sync("orders", "1", "2")

    assert sorted(part for _, part, _ in world.links("customers")) == ["EUR", "GBP", "USD"]
    assert world.record("orders", "1").status == world.record("orders", "2").status == "done"


def test_a_part_that_is_asked_for_while_its_record_is_being_written_is_made_after_it(
    make_world: Callable[..., World],
) -> None:
    def parts(doc: dict[str, object], context: Context) -> dict[str, dict[str, object]]:
        return {part: {"ref": f"{doc['id']}{part}", "name": doc["name"]} for part in sorted({"GBP", *context.parts})}

    needs = lambda doc, context: [Need("customers", "310", "EUR", "customers")]  # noqa: E731
    world = make_world(flow("customers", Plain(parts, parts=True)), flow("orders", Plain(by_name, needs_=needs)))
    world.left.put("customers", "310", name="Robin")
    world.left.put("orders", "1", name="in euro")
    world.right.during_write = lambda operation: _order_arrives(world)
    world.sync("customers", "310")

    assert [part for _, part, _ in world.links("customers")] == ["GBP", "EUR"]
    assert world.record("orders", "1").status == "done"


def _order_arrives(world: World) -> None:
    world.right.during_write = None
    world.want("orders", "1")
    world.pump()
    world.run_message(world.messages.pop(0))


def test_rules_skip_hold_and_cancel(make_world: Callable[..., World]) -> None:
    def rules(doc: dict[str, object], context: object) -> RuleDecision:
        return RuleDecision(RuleVerdict(doc["rule"]), "because of the rule") if doc.get("rule") else RuleDecision()

    world = make_world(flow("things", Plain(by_name, rules=rules)))
    for key, rule in (("1", "skip"), ("2", "hold"), ("3", "cancel"), ("4", None)):
        world.left.put("things", key, name="x", rule=rule)
    world.sync("things", "1", "2", "3", "4")
    world.left.put("things", "4", rule="cancel")
    world.sync("things", "4")

    statuses = [world.record("things", key).status for key in "1234"]
    assert statuses == ["skipped", "held", "skipped", "done"]
    assert world.right.writes == [("create", "4", "R1"), ("cancel", "4", "R1")]


def test_an_object_that_the_target_no_longer_lets_change_is_held_with_what_would_be_changed(world: World) -> None:
    world.left.put("things", "1", name="old")
    world.sync("things", "1")
    world.right.objects["things"]["R1"]["invoiced"] = True
    world.left.put("things", "1", name="new")
    world.sync("things", "1")

    assert (world.record("things", "1").status, world.record("things", "1").reason) == ("held", "it is invoiced")
    assert world.right.objects["things"]["R1"]["name"] == "old"


def test_a_linked_object_that_is_gone_in_the_target_is_held_and_never_created_again(world: World) -> None:
    world.left.put("things", "1", name="old")
    world.sync("things", "1")
    del world.right.objects["things"]["R1"]
    world.left.put("things", "1", name="new")
    world.sync("things", "1")

    assert world.record("things", "1").reason == "R1 no longer exists in the target"
    assert len(world.right.writes) == 1


def test_absence_in_the_source_deletes_nothing(world: World) -> None:
    world.left.put("things", "1", name="old")
    world.sync("things", "1")
    del world.left.objects["things"]["1"]
    world.sync("things", "1")

    assert world.record("things", "1").status == "skipped"
    assert "R1" in world.right.objects["things"]


def test_what_was_created_before_the_cut_over_is_left_alone_unless_it_is_needed(
    make_world: Callable[..., World],
) -> None:
    needs = lambda doc, context: [Need("customers", "310", "", "customers")] if doc["id"] == "2" else []  # noqa: E731
    world = make_world(
        flow("customers", Plain(by_name), cut_over=True), flow("orders", Plain(by_name, needs_=needs), cut_over=True)
    )
    world.left.put("customers", "310", name="old customer")
    world.left.put("orders", "1", name="old order")
    world.time.pass_(3600)
    world.configure(cut_over=START + timedelta(minutes=30))
    world.left.put("orders", "2", name="new order")
    world.sync("orders", "1", "2")

    assert world.record("orders", "1").reason == "created before the cut-over date"
    assert world.record("customers", "310").status == "done"
    assert world.record("orders", "2").status == "done"


def test_an_order_that_is_still_being_built_is_not_pushed(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(by_name), quiet_s=60.0))
    world.left.put("things", "1", name="one row")
    world.sync("things", "1")
    for rows in ("two rows", "three rows"):
        world.time.pass_(40)
        world.left.put("things", "1", name=rows)
        world.settle()
        assert world.right.writes == []
    world.settle(patience_s=130)

    assert world.right.objects["things"]["R1"]["name"] == "three rows"
    assert len(world.right.writes) == 1


def test_an_old_object_is_quiet_at_the_first_look(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(by_name), quiet_s=60.0))
    world.left.put("things", "1", name="long finished")
    world.time.pass_(61)
    world.sync("things", "1")

    assert len(world.right.writes) == 1
    assert len([kind for kind, _ in world.left.reads]) == 1


def test_a_bad_record_becomes_a_dead_letter_and_the_rest_of_its_batch_goes_on(world: World) -> None:
    for key in "123":
        world.left.put("things", key, name="fine" if key != "2" else None)
    world.sync("things", "1", "2", "3")

    assert [world.record("things", key).status for key in "123"] == ["done", "dead", "done"]
    assert [(key, field) for key, field, _ in world.failures()] == [("2", "name")]


def test_a_dead_letter_that_is_retried_after_its_cause_is_mended_goes_through_and_closes(world: World) -> None:
    world.left.put("things", "1", name=None)
    world.sync("things", "1")
    world.left.objects["things"]["1"]["name"] = "fixed"
    retry(world.engine, [1])
    world.settle()

    assert world.failures() == []
    assert world.right.objects["things"]["R1"]["name"] == "fixed"


def test_realtime_goes_before_scheduled_and_backfill(world: World) -> None:
    for lane, key in ((Lane.BACKFILL, "1"), (Lane.SCHEDULED, "2"), (Lane.REALTIME, "3")):
        world.left.put("things", key, name="x")
        world.want("things", key, lane=lane)
    world.pump()

    assert [message.lane for message in world.messages] == [Lane.REALTIME, Lane.SCHEDULED, Lane.BACKFILL]


def test_a_full_lane_takes_no_more_chains_than_it_has_workers(world: World) -> None:
    for key in range(100):
        world.left.put("things", str(key), name="x")
    world.want("things", *map(str, range(100)))
    world.pump()
    world.pump()

    assert len(world.messages) == 2  # one right endpoint of concurrency 1: that and one more


def test_a_resource_that_enforces_its_keys_adopts_nobody_elses_object(make_world: Callable[..., World]) -> None:
    safety = {Verb.CREATE: Safety.ENFORCED, Verb.CHANGE: Safety.ABSOLUTE}
    world = make_world(flow("things", Plain(by_name)), right={"safety": safety})
    world.right.put("things", "X", ref="1", name="a stranger's")
    world.left.put("things", "1", name="ours")
    world.sync("things", "1")

    assert world.record("things", "1").status == "held"
    assert world.links("things") == []


def test_creates_that_are_verified_adopt_what_is_there(world: World) -> None:
    world.configure(verify_creates_until=START + timedelta(days=1))
    world.right.put("things", "X", ref="1", name="from before the backup")
    world.left.put("things", "1", name="ours")
    world.left.put("things", "2", name="new")
    world.sync("things", "1", "2", patience_s=10)

    assert sorted(world.links("things")) == [("1", "", "X"), ("2", "", "R1")]
    assert [write for write in world.right.writes if write[0] == "create"] == [("create", "2", "R1")]


def test_what_was_cancelled_in_the_target_is_created_anew_neither_while_creates_are_verified_nor_after(
    world: World,
) -> None:
    world.configure(verify_creates_until=START + timedelta(minutes=30))
    world.right.put("things", "X", ref="1", name="from before the backup", cancelled=True)
    world.left.put("things", "1", name="ours")
    world.sync("things", "1")
    assert world.record("things", "1").reason == "X has this reference but was cancelled in the target"

    world.time.pass_(2 * 3600)  # held records are checked again every hour
    world.configure(verify_creates_until=None)
    world.settle(patience_s=600)

    assert world.timeline("things", "1").count("held") == 2
    assert world.record("things", "1").reason == "X has this reference but was cancelled in the target"
    assert world.right.writes == []


def test_observe_writes_nothing_and_plans_what_depends_on_it(make_world: Callable[..., World]) -> None:
    world = _order_world(make_world)
    world.configure(mode="observe")
    world.left.put("customers", "310", name="Robin")
    world.left.put("orders", "1", name="order", customer="310")
    world.sync("orders", "1")

    assert world.right.writes == []
    assert world.links("customers") == [("310", "", None)]
    assert world.record("orders", "1").reason == "observed, not written"


def test_the_stages_of_a_chain_are_what_is_left_of_it(world: World) -> None:
    world.left.put("things", "1", name="x")
    world.want("things", "1")
    world.pump()

    assert world.messages[0].stages == [Stage.FETCH, Stage.TRANSFORM, Stage.PUSH]
    assert world.messages[0].shown == "main, 1 record, scheduled"

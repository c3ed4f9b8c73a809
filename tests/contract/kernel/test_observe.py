"""Going live after observing: what would have been written is written, all else is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.document import Doc
from syncengine.engine.core import observe_mode
from syncengine.engine.core.failures import common_text
from syncengine.engine.people import observe_report
from syncengine.engine.people.observe_report import Field, ReportFilter
from syncengine.engine.writes import links
from syncengine.errors import Rejected
from syncengine.mapping.contract import Context, Need, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Stage, Status
from tests.contract.kernel.world import Plain, World, by_name, flow
from tests.depth import usually


def _needs(doc: Doc, context: Context) -> list[Need]:
    return [Need("customers", doc["customer"], "", "customers")]


def _order(doc: Doc, context: Context) -> Doc:
    return {**by_name(doc, context), "customer": context.links[_needs(doc, context)[0]]}


def _rules(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.SKIP, "a draft") if doc["name"] == "draft" else RuleDecision()


def _observed(make_world: Callable[..., World]) -> World:
    orders = flow("orders", Plain(_order, needs_=_needs, rules=_rules), needs={"customers": "customers"})
    world = make_world(flow("customers", Plain(by_name)), orders)
    world.configure(mode="observe")
    world.left.put("customers", "310", name="Robin")
    world.left.put("orders", "1", name="order", customer="310")
    world.left.put("orders", "2", name="draft", customer="310")
    world.sync("orders", "1", "2")
    return world


def _connection(world: World) -> m.ConnectionRow:
    return world.engine.connections(name="main")[0]


def _go_live(world: World, **values: Any) -> int:
    world.configure(mode=observe_mode.GOING_LIVE, **values)
    return observe_mode.go_live(world.store, world.connection_id)


def test_what_was_observed_is_written_when_the_connection_goes_live_and_needs_come_first(
    make_world: Callable[..., World],
) -> None:
    world = _observed(make_world)
    assert world.right.writes == []

    assert _go_live(world) == 2  # the customer and the order
    world.settle(patience_s=10)

    assert [write[:2] for write in world.right.writes] == [("create", "310"), ("create", "1")]
    assert world.right.objects["orders"]["R2"]["customer"] == "R1"
    assert (world.record("orders", "1").status, world.record("orders", "2").reason) == (Status.DONE, "a draft")


@pytest.mark.one_database
def test_a_link_that_was_only_planned_is_none_once_the_connection_is_live(make_world: Callable[..., World]) -> None:
    world = _observed(make_world)
    world.configure(mode="live")  # as a worker may see it whose last observed write comes late
    world.left.put("orders", "3", name="order", customer="310")
    world.sync("orders", "3", patience_s=10)

    assert [write[:2] for write in world.right.writes] == [("create", "310"), ("create", "3")]


@pytest.mark.one_database
def test_an_order_shows_the_code_that_its_planned_customer_would_have_and_that_it_is_provisional(
    make_world: Callable[..., World],
) -> None:
    world = _observed(make_world)
    (planned,) = observe_report.written(world.engine, ReportFilter(_connection(world), "orders"))

    assert planned.plan.steps[0].operation.doc["customer"] == "310"  # the natural key of the create that is planned
    assert planned.plan.provisional == ("customers 310",)
    (customer,) = observe_report.written(world.engine, ReportFilter(_connection(world), "customers"))
    assert customer.plan.provisional == ()


@pytest.mark.one_database
def test_what_was_planned_with_a_provisional_key_is_planned_anew_when_the_connection_goes_live_before_it_is_pushed(
    make_world: Callable[..., World],
) -> None:
    world = _observed(make_world)
    world.left.put("orders", "3", name="order", customer="310")
    world.want("orders", "3")
    world.pump()
    chain = world.messages.pop(0)
    for stage in (Stage.FETCH, Stage.TRANSFORM):
        world.step(chain, stage)
    _go_live(world)
    world.step(chain, Stage.PUSH)
    assert world.right.writes == []
    world.settle(patience_s=10)

    customers = [key for verb, natural, key in world.right.writes if natural == "310"]
    assert len(customers) == 1
    third = next(doc for doc in world.right.objects["orders"].values() if doc["ref"] == "3")
    assert third["customer"] == customers[0]


@pytest.mark.one_database
def test_going_live_writes_what_was_created_at_or_after_the_cut_over_date_and_nothing_older(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("things", Plain(by_name), cut_over=True))
    world.configure(mode="observe")
    world.left.put("things", "1", name="before")
    world.time.pass_(3600)
    cut_over = clock.now()
    world.left.put("things", "2", name="at")
    world.time.pass_(3600)
    world.left.put("things", "3", name="after")
    world.sync("things", "1", "2", "3")
    assert [one.count for one in observe_report.report(world.engine, ReportFilter(_connection(world))).writes] == [3]

    _go_live(world, cut_over=cut_over)
    world.settle()

    assert [natural for _, natural, _ in world.right.writes] == ["2", "3"]
    assert world.record("things", "1").reason == "created before the cut-over date"


@pytest.mark.one_database
def test_an_order_that_was_only_planned_and_is_cancelled_since_was_never_sent(make_world: Callable[..., World]) -> None:
    def rules(doc: Doc, context: Context) -> RuleDecision:
        return RuleDecision(RuleVerdict.CANCEL, "cancelled") if doc["name"] == "cancelled" else RuleDecision()

    world = make_world(flow("things", Plain(by_name, rules=rules)))
    world.configure(mode="observe")
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.left.put("things", "1", name="cancelled")
    world.sync("things", "1")

    assert world.record("things", "1").reason == "cancelled; it was never sent"
    assert _go_live(world) == 0


def test_the_report_counts_writes_by_kind_and_names_what_stays_by_its_cause(make_world: Callable[..., World]) -> None:
    def to(doc: Doc, context: Context) -> Doc:
        if doc["name"] == "bad":
            raise Rejected(field="name", value=doc["id"], reason="it is bad", remedy="Make it good")
        return by_name(doc, context)

    def rules(doc: Doc, context: Context) -> RuleDecision:
        return {
            "draft": RuleDecision(RuleVerdict.SKIP, "a draft"),
            "big": RuleDecision(RuleVerdict.HOLD, "too big"),
        }.get(doc["name"], RuleDecision())

    world = make_world(flow("things", Plain(to, rules=rules)))
    world.left.put("things", "1", name="a lamp")
    world.left.put("things", "2", name="equal")
    world.sync("things", "1", "2")
    world.configure(mode="observe")
    world.left.put("things", "1", name="a lamp, changed")
    world.left.put("things", "2", name="equal", colour="red")
    for number, name in enumerate(("new", "newer", "bad", "bad", "draft", "big"), 3):
        world.left.put("things", str(number), name=name)
    world.time.pass_(60)
    world.sync("things", *map(str, range(1, 9)))

    found = observe_report.report(world.engine, ReportFilter(_connection(world)))
    assert [(one.flow, one.verb, one.count) for one in found.writes] == [
        ("things", "create", 2),
        ("things", "change", 1),
    ]
    assert [(one.status, one.count, one.keys) for one in found.stays] == [
        ("held", 1, ["8"]),
        ("dead", 2, ["5", "6"]),
        ("skipped", 1, ["7"]),
    ]
    assert (found.equal, found.unkept) == ({"things": 1}, 0)
    later = ReportFilter(_connection(world), since=clock.now() + timedelta(seconds=1))
    assert observe_report.report(world.engine, later).writes == []


@pytest.mark.one_database
def test_a_cause_with_different_values_names_them_all(make_world: Callable[..., World]) -> None:
    def to(doc: Doc, context: Context) -> Doc:
        raise Rejected(field="Currency", value=doc["name"], reason="it is not set up", remedy="Set it up")

    world = make_world(flow("things", Plain(to)))
    world.configure(mode="observe")
    for number, name in enumerate(("USD", "JPY", "USD"), 1):
        world.left.put("things", str(number), name=name)
    world.sync("things", "1", "2", "3")

    [group] = observe_report.report(world.engine, ReportFilter(_connection(world))).stays
    assert (group.count, group.reason) == (3, "Currency = 'USD' or 'JPY': it is not set up. Set it up")
    assert common_text(["a 'x'"]) == "a 'x'"
    assert common_text([f"a '{n}' b 'z'" for n in range(7)]) == "a '0', '1', '2', '3', '4' or others b 'z'"


@pytest.mark.one_database
def test_the_history_of_each_record_tells_its_own_planned_writes_and_no_others(
    make_world: Callable[..., World],
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.configure(mode="observe")
    world.left.put("things", "1", name="a lamp, changed")
    world.left.put("things", "2", name="a desk")
    world.sync("things", "1", "2")  # both in one batch

    with world.store.read() as session:
        query = select(m.Event.key, m.Event.detail).where(m.Event.what == "observed")
        listed = {key: detail["writes"] for key, detail in session.execute(query)}
    assert listed == {"1": ["change R1: name"], "2": ["create 2"]}


@pytest.mark.one_database
def test_each_field_of_each_write_can_be_shown(make_world: Callable[..., World]) -> None:
    world = _observed(make_world)
    world.configure(mode="live")
    world.sync("customers", "310")
    world.configure(mode="observe")
    world.left.put("customers", "310", name="Robin Sample")
    world.sync("customers", "310")

    (planned,) = observe_report.written(world.engine, ReportFilter(_connection(world), keys=("310",)))
    assert observe_report.fields(planned.plan.steps[0]) == [Field("name", "Robin", "Robin Sample")]
    (order,) = observe_report.written(world.engine, ReportFilter(_connection(world), "orders", keys=("1",)))
    shown = {field.path: field.after for field in observe_report.fields(order.plan.steps[0])}
    assert shown == {"ref": "1", "name": "order", "customer": "310"}


@pytest.mark.one_database
def test_what_is_observed_while_its_connection_goes_live_is_written(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(flow("things", Plain(by_name)))
    world.configure(mode="observe")
    world.left.put("things", "1", name="a lamp")
    world.want("things", "1")
    world.pump()
    message = world.messages.pop()
    live, provide = Thread(target=_go_live, args=(world,)), links.provide

    def provides(*args: Any) -> None:
        live.start()
        live.join(0.3)  # it has to wait until this transaction ends
        provide(*args)

    monkeypatch.setattr(links, "provide", provides)
    for stage in message.stages:
        world.step(message, stage)
    live.join()
    world.settle(patience_s=10)

    assert world.right.writes == [("create", "1", "R1")]
    assert world.links("things") == [("1", "", "R1")]


# -- many that were observed -------------------------------------------------------------------------------------------


class _Interrupted(Exception):
    """As when the process is killed."""


def _many(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> World:
    """Ten things that were observed, each with its provisional link."""
    monkeypatch.setattr(observe_mode, "AT_ONCE", 3)
    world = make_world(flow("things", Plain(by_name)))
    world.configure(mode="observe")
    for number in range(10):
        world.left.put("things", str(number), name="a lamp")
    world.sync("things", *map(str, range(10)))
    return world


def _state(world: World) -> tuple[int, int, str]:
    """How many provisional links there are, how many records are due, and the mode."""
    with world.store.read() as session:
        provisional = session.scalars(select(m.Link.id).where(m.Link.provisional)).all()
        mode = session.get_one(m.ConnectionRow, world.connection_id).mode
    return len(provisional), world.backlog(), mode


@pytest.mark.one_database
def test_many_observed_records_are_wanted_in_short_transactions_between_which_others_write(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = _many(make_world, monkeypatch)
    states: list[tuple[int, int, str]] = []
    write = world.store.write

    @contextmanager
    def counted(**more: bool) -> Iterator[Session]:
        with write(**more) as session:
            yield session
        states.append(_state(world))
        with write() as session:  # another writer gets in here
            session.execute(update(m.ConnectionRow).values(quiet_s=0.0))

    world.configure(mode=observe_mode.GOING_LIVE)
    monkeypatch.setattr(world.store, "write", counted)
    assert observe_mode.go_live(world.store, world.connection_id) == 10

    going = observe_mode.GOING_LIVE
    links_first = [(left, 0, going) for left in (7, 4, 1, 0)]
    assert states == [*links_first, *[(0, due, going) for due in (3, 6, 9, 10)], (0, 10, "live")]


@pytest.mark.one_database
@pytest.mark.parametrize("after", usually([0, 2, 4, 6, 8], full=list(range(9))))
def test_going_live_that_is_interrupted_is_finished_by_the_next_and_writes_nothing_twice(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    world = _many(make_world, monkeypatch)
    world.configure(mode=observe_mode.GOING_LIVE)
    left = [after]
    write = world.store.write

    @contextmanager
    def fails(**more: bool) -> Iterator[Session]:
        with write(**more) as session:
            yield session
            left[0] -= 1
            if left[0] < 0:
                raise _Interrupted

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "write", fails)
        with pytest.raises(_Interrupted):
            observe_mode.go_live(world.store, world.connection_id)
    assert _state(world)[2] == observe_mode.GOING_LIVE
    world.settle()  # workers continue meanwhile, and write what is wanted
    written = len(world.right.writes)
    assert written == min(10, max(0, 3 * (after - 4)))

    assert observe_mode.go_live(world.store, world.connection_id) == 10 - written
    world.settle()
    assert sorted(world.right.writes) == [("create", str(n), key) for n, key in _keys(world)]
    assert _state(world) == (0, 0, "live")
    assert {world.record("things", str(number)).done for number in range(10)} == {2}


def _keys(world: World) -> list[tuple[int, str]]:
    return sorted((int(doc["ref"]), key) for key, doc in world.right.objects["things"].items())


@pytest.mark.one_database
def test_a_connection_that_is_going_live_writes_and_can_be_observed_again(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = _many(make_world, monkeypatch)
    world.configure(mode=observe_mode.GOING_LIVE)
    world.left.put("things", "77", name="new")
    world.sync("things", "77")
    assert [natural for _, natural, _ in world.right.writes] == ["77"]

    world.configure(mode="observe")
    assert (
        observe_mode.go_live(world.store, world.connection_id) == 10
    )  # reported too late: the mode stays as a person has set it
    world.settle()
    assert (len(world.right.writes), _state(world)[2]) == (1, "observe")

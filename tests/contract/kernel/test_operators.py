"""What operators ask of the kernel: a sync by hand, a dry run, how things are, and everything about one object."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.engine.decide.plan import Plan, PlanKind
from syncengine.engine.people import preview, status, trace
from syncengine.engine.people.dead_letters import LetterFilter, listed, retry
from syncengine.engine.steps import sync
from syncengine.engine.traffic import quota
from syncengine.errors import EndpointDown, Misconfigured, Rejected
from syncengine.mapping.contract import Context, Need
from syncengine.store import models as m
from tests.contract.kernel.world import START, Plain, World, by_name, flow, two_way

CUSTOMER = Need("customers", "310", "", "customers")


@pytest.fixture
def shop(make_world: Callable[..., World]) -> World:
    """Orders that need their customer."""

    def to(doc: dict[str, object], context: Context) -> dict[str, object]:
        return {"ref": doc["id"], "name": doc["name"], "customer": context.links[CUSTOMER]}

    world = make_world(
        flow("customers", Plain(by_name)), flow("orders", Plain(to, needs_=lambda doc, context: [CUSTOMER]))
    )
    world.left.put("customers", "310", name="Robin")
    world.left.put("orders", "1", name="order")
    return world


@pytest.mark.one_database
def test_why_nothing_is_known_of_an_id_names_the_cut_over_date_and_what_an_id_can_be(shop: World) -> None:
    shop.configure(cut_over=START)
    assert trace.why_not(shop.engine, "WEB-10048") == [
        f"main: objects created before its cut-over date, {START:%Y-%m-%d %H:%M:%S} UTC, are not synced",
        "main: customers was never read",
        "main: orders was never read",
        "An object is found by its key in either system and, once it has been read, by its references, SKUs, "
        "e-mail addresses and telephone numbers",
        "If WEB-10048 is a key of the source, fetch it now: syncengine sync FLOW --id WEB-10048",
    ]


@pytest.mark.one_database
def test_a_sync_by_hand_reads_the_feeds_and_says_what_it_found(shop: World) -> None:
    says = sync.run(shop.engine, sync.Request("orders"))
    shop.settle()

    assert says == "run 1: 1 found"
    assert shop.record("orders", "1").status == "done"


@pytest.mark.one_database
def test_a_sync_of_named_objects_reads_no_feed_and_is_urgent(shop: World) -> None:
    sync.run(shop.engine, sync.Request("orders", ids=("1",)))

    assert [message.lane.label for message in shop.messages] == ["realtime"]
    assert shop.left.reads == []


@pytest.mark.one_database
def test_a_sync_since_a_time_leaves_the_cursors_where_they_are(shop: World) -> None:
    sync.run(shop.engine, sync.Request("orders", since=START))
    with shop.store.read() as session:
        assert session.query(m.Cursor).count() == 0


@pytest.mark.one_database
def test_the_schedule_starts_a_sync_only_when_it_is_due_and_a_second_tick_does_nothing(shop: World) -> None:
    says = [sync.run(shop.engine, sync.Request("orders", trigger="schedule")) for _ in range(2)]
    shop.time.pass_(299)  # a tick a little early still counts
    says.append(sync.run(shop.engine, sync.Request("orders", trigger="schedule")))

    assert [line.split(":")[0] for line in says] == ["run 1", "nothing due", "run 2"]


@pytest.mark.one_database
def test_a_system_that_is_down_is_told_in_the_line_and_fails_nothing(shop: World) -> None:
    shop.left.down = True
    assert sync.run(shop.engine, sync.Request("orders")) == "main: connection refused"
    assert status.flows(shop.engine)[1].last_error == "connection refused"


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (sync.Request("oders"), "there is no flow 'oders'. Known flows: customers, orders"),
        (sync.Request("orders", connection="mian"), "there is no connection 'mian'. Known connections: main"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(shop: World, request_: sync.Request, says: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        sync.run(shop.engine, request_)
    assert str(refused.value) == says


@pytest.mark.one_database
def test_a_connection_without_the_flow_says_so(shop: World) -> None:
    shop.configure(flows=["customers"])
    with pytest.raises(Misconfigured, match="does not have the flow 'orders'"):
        sync.run(shop.engine, sync.Request("orders", connection="main"))


@pytest.mark.one_database
def test_a_dry_run_plans_what_is_needed_first_as_if_created_and_touches_nothing(shop: World) -> None:
    made = preview.preview(shop.engine.route(shop.connection_id, "orders"), ["1"])

    assert [(one.flow, one.key) for one in made] == [("customers", "310"), ("orders", "1")]
    plans = [one.outcome for one in made]
    assert all(isinstance(plan, Plan) and plan.kind is PlanKind.WRITE for plan in plans)
    assert isinstance(plans[1], Plan)
    assert plans[1].steps[0].operation.doc["customer"] == "310"
    assert shop.right.objects.get("orders", {}) == {}
    with shop.store.read() as session:
        assert (
            session.query(m.Record).count() == session.query(m.Cursor).count() == session.query(m.Effect).count() == 0
        )


@pytest.mark.one_database
def test_a_dry_run_of_changes_reads_the_feeds_without_moving_the_cursors(shop: World) -> None:
    sync.run(shop.engine, sync.Request("orders"))
    shop.settle()
    shop.left.put("orders", "2", name="new")
    for _ in range(2):
        assert preview.changed_keys(shop.engine.route(shop.connection_id, "orders"), most=10) == ["2"]
    assert preview.changed_keys(shop.engine.route(shop.connection_id, "customers"), most=0) == []


@pytest.mark.one_database
def test_a_dry_run_shows_what_would_become_a_dead_letter(shop: World) -> None:
    shop.left.put("orders", "1", name=None)
    [*_, last] = preview.preview(shop.engine.route(shop.connection_id, "orders"), ["1"])
    assert isinstance(last.outcome, Rejected)
    assert last.outcome.field == "name"


@pytest.mark.one_database
def test_a_dry_run_of_a_pair_names_its_sides(make_world: Callable[..., World]) -> None:
    world = make_world(two_way("accounts", []))
    world.left.put("accounts", "310", name="Robin")
    assert preview.changed_keys(world.engine.route(world.connection_id, "accounts"), most=10) == ["left:310"]


def test_status_counts_what_is_due_done_waiting_held_and_dead(shop: World) -> None:
    shop.left.put("orders", "2", name=None)
    sync.run(shop.engine, sync.Request("orders"))
    before = {one.flow: one for one in status.flows(shop.engine)}
    shop.time.pass_(7)
    lag = {one.flow: one.lag_s for one in status.flows(shop.engine)}
    shop.settle()
    after = {one.flow: one for one in status.flows(shop.engine)}

    assert (before["orders"].due, lag["orders"]) == (2, 7.0)
    assert (after["orders"].due, after["orders"].done, after["orders"].dead) == (0, 1, 1)
    assert (after["customers"].done, after["orders"].lag_s) == (1, 0.0)
    assert status.backlog(shop.engine, "orders").statuses == {"dead": 1, "done": 1}
    assert status.as_rows([after["orders"]])[0]["flow"] == "orders"


@pytest.mark.one_database
def test_status_shows_endpoints_that_rest_and_quotas_that_are_told(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = shop.engine.connection(shop.connection_id).endpoints["left"]
    shop.engine.rest(endpoint.id, for_s=60, because="refused", now=shop.time.at)
    monkeypatch.setattr(
        type(shop.engine.connection(shop.connection_id).connectors["left"]), "quota", lambda self: "3 of 200"
    )

    assert [(one["endpoint"], one["because"]) for one in status.paused(shop.engine)] == [("left-1", "refused")]
    assert quota.left(shop.engine)[0] == {"endpoint": "left-1", "says": "3 of 200"}


@pytest.mark.one_database
@pytest.mark.parametrize("by", ["1", "R2", "310", "R1"])
def test_trace_finds_an_object_by_any_id_of_either_system(shop: World, by: str) -> None:
    sync.run(shop.engine, sync.Request("orders"))
    shop.settle()
    [found] = trace.trace(shop.engine, by)

    assert found.flow == ("orders" if by in ("1", "R2") else "customers")
    assert found.state.startswith("done")
    assert found.events[-1]["what"] == "written"
    assert found.links[0]["right_key"] in ("R1", "R2")


def test_trace_finds_a_key_without_the_zeros_before_it(shop: World) -> None:
    sync.run(shop.engine, sync.Request("orders"))
    shop.settle()
    with shop.store.write() as session:
        session.query(m.Link).filter(m.Link.entity == "orders").update({"right_key": "000512"})
    assert [found.key for found in trace.trace(shop.engine, "512")] == ["1"]


def test_trace_says_what_blocks_a_waiting_object(shop: World) -> None:
    shop.left.put("customers", "310", name=None)
    sync.run(shop.engine, sync.Request("orders"))
    shop.settle()
    [found] = trace.trace(shop.engine, "1")

    assert found.state.startswith("waiting: needs customers 310, which is dead (name")


@pytest.mark.one_database
def test_trace_says_why_nothing_is_known_of_an_object(shop: World) -> None:
    assert trace.trace(shop.engine, "999") == []
    assert trace.why_not(shop.engine, "999")[0] == "main: customers was never read"
    sync.run(shop.engine, sync.Request("orders"))
    assert "orders was read up to 2026-03-02 09:00:00 UTC" in trace.why_not(shop.engine, "999")[1]


def test_trace_tells_a_due_record_and_one_that_is_worked_on(shop: World) -> None:
    sync.run(shop.engine, sync.Request("customers"))
    assert trace.trace(shop.engine, "310")[0].state == "being worked on (fetch)"
    shop.messages.clear()
    shop.time.pass_(46)
    shop.left.down = True
    shop.settle()
    assert "due, next step fetch" in trace.trace(shop.engine, "310")[0].state


@pytest.mark.one_database
def test_only_open_dead_letters_can_be_retried(shop: World) -> None:
    with pytest.raises(Misconfigured, match="no open dead letter has the id 77"):
        retry(shop.engine, [77])
    shop.left.put("customers", "310", name=None)
    sync.run(shop.engine, sync.Request("customers"))
    shop.settle()
    with shop.store.write() as session:
        [(failure, connection)] = listed(session, LetterFilter(flow="customers", connection="main"))
        failure.kind = "attention"
    assert connection == "main"
    with pytest.raises(Misconfigured, match="it can be closed, not retried"):
        retry(shop.engine, [failure.id])


@pytest.mark.one_database
def test_a_connection_whose_system_has_no_endpoint_is_refused(shop: World) -> None:
    connection = shop.engine.connection(shop.connection_id)
    with pytest.raises(Misconfigured, match="has no endpoint of the system 'middle'"):
        connection.side("middle.things")
    with pytest.raises(Misconfigured, match=r"there is no resource 'left.nothing'"):
        connection.resource("left.nothing")


@pytest.mark.one_database
def test_one_misconfigured_connection_stops_no_other(shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop.store.write() as session:
        ends = [m.Endpoint(name=f"{side}-2", system=side, settings={"broken": True}) for side in ("left", "right")]
        session.add_all(ends)
        session.flush()
        second = {"left_id": ends[0].id, "right_id": ends[1].id, "flows": ["orders"], "settings": {}}
        session.add(m.ConnectionRow(name="broken", **second))
    connect = shop.engine._connect

    def refuse_broken(endpoint: object) -> object:
        if endpoint.settings:  # type: ignore[attr-defined]
            raise Misconfigured("endpoint left-2: no address")
        return connect(endpoint)  # type: ignore[arg-type]

    monkeypatch.setattr(shop.engine, "_connect", refuse_broken)
    shop.sync("orders", "1")

    assert shop.record("orders", "1").status == "done"


def test_errors_of_a_call_tell_their_endpoint() -> None:
    error = EndpointDown("x")
    assert error.endpoint == ""
    assert error.endpoint_id is None

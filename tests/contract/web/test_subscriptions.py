"""Webhooks of the simulated Brightpearl: created, repaired and removed to match the flows, and delivered to the web app."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from werkzeug.serving import make_server

from syncengine import clock, settings
from syncengine.connectors.base import Connector, Endpoint
from syncengine.connectors.brightpearl import connect as connect_brightpearl
from syncengine.connectors.services import Services
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.core.events import polling
from syncengine.engine.doctor import webhooks
from syncengine.engine.steps import sync
from syncengine.engine.steps.pump import pump
from syncengine.engine.steps.running import run as running_step
from syncengine.engine.upkeep import subscriptions
from syncengine.engine.upkeep.subscriptions import Place
from syncengine.errors import Misconfigured
from syncengine.sandbox.server import Running, Sandbox
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.vault import Vault
from syncengine.web.app import Parts, create_app
from tests.contract.kernel.world import Fake, Plain, System, Thing, Time, by_name, flow
from tests.contract.web.conftest import ORDERS

pytestmark = pytest.mark.one_database
PUBLIC = "http://127.0.0.1:{}"
STOCK = flow("stock", Plain(by_name), source="brightpearl.stock_level", target="syspro.sales_order", feeds=("moved",))
CONTACTS = flow("contacts", Plain(by_name), source="brightpearl.contact", target="syspro.sales_order")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Sandbox(seed=1, contacts=5, products=5, orders=5).start() as running:
        running.sandbox.switches.turn({"latency_s": 0.0, "brightpearl_limit": 0, "brightpearl_webhook_delay_s": 0.01})
        running.sandbox.switches.turn({"brightpearl_webhook_retry_s": 0.05})
        yield running


@pytest.fixture
def engine(store: Store, vault: Vault, running: Running) -> Iterator[Engine]:
    running.sandbox.brightpearl.webhooks.subscriptions.clear()
    running.sandbox.brightpearl.webhooks.outcomes.clear()
    things = {"syspro.sales_order": Thing(System("erp", Time()), "syspro.sales_order")}
    services = Services(store, vault)

    def connect(endpoint: Endpoint) -> Connector:
        return connect_brightpearl(endpoint, services) if endpoint.system == "brightpearl" else Fake(things)

    account = {
        "url": running.url, "account": "sandbox", "app_ref": "sandbox_app", "auth": "private", "limit_per_minute": 0,
        "lag_s": 0,
    }  # fmt: skip
    with store.write() as session:
        ends = [
            m.Endpoint(name="shop", system="brightpearl", settings=account),
            m.Endpoint(name="erp", system="syspro", settings={}),
        ]
        session.add_all(ends)
        session.flush()
        row = m.ConnectionRow(name="main", left_id=ends[0].id, right_id=ends[1].id, flows=["orders"], settings={})
        session.add(row)
        session.flush()
        shop_id = ends[0].id
    vault.write(shop_id, "account_token", "sandbox-account-token")
    engine = Engine(
        store, vault, {each.name: each for each in (ORDERS, STOCK, CONTACTS)}, connect=connect, send=lambda chain: None
    )
    yield engine
    for _, connector in engine._connectors.values():
        connector.close()


@pytest.fixture
def web(engine: Engine) -> Iterator[str]:
    """The web app on a port of its own."""
    parts = Parts(settings.load({}), lambda: engine, lambda: None, lambda flow: None)
    server = make_server("127.0.0.1", 0, create_app(parts), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield PUBLIC.format(server.server_port)
    server.shutdown()
    thread.join()


def _place(engine: Engine) -> Place:
    return next(subscriptions.places(engine))


def _configure(engine: Engine, **values: Any) -> None:
    with engine.store.write() as session:
        session.execute(update(m.ConnectionRow).values(**values))
    engine._connections.clear()


def _subscribed(running: Running) -> list[str]:
    return sorted(each.subscribe_to for each in running.sandbox.brightpearl.webhooks.subscriptions.values())


def _foreign(running: Running) -> int:
    body = {
        "subscribeTo": "order.modified", "httpMethod": "GET",
        "uriTemplate": "https://other.example/?${account-code}${resource-type}${lifecycle-event}${resource-id}",
    }  # fmt: skip
    return running.sandbox.brightpearl.webhooks.subscribe(body)


def test_webhooks_are_created_once_and_those_of_others_are_left_alone(engine: Engine, running: Running) -> None:
    foreign = _foreign(running)
    first = subscriptions.sync(engine, _place(engine), "https://sync.example")
    second = subscriptions.sync(engine, _place(engine), "https://sync.example")
    assert [(done.created, done.removed, done.kept) for done in (first, second)] == [
        (("order.modified",), (), ()),
        ((), (), ("order.modified",)),
    ]
    ours = next(each for key, each in running.sandbox.brightpearl.webhooks.subscriptions.items() if key != foreign)
    assert (ours.id_set_accepted, ours.quality_of_service) == (True, 1)
    assert ours.uri_template == "https://sync.example/hooks/brightpearl/main"
    secret = engine.vault.read(engine.connections()[0].left_id, "hook_secret")
    assert secret is not None
    assert secret in ours.body_template


def test_webhooks_follow_the_flows_the_address_and_the_secret(engine: Engine, running: Running) -> None:
    subscriptions.sync(engine, _place(engine), "https://old.example")
    moved = subscriptions.sync(engine, _place(engine), "https://sync.example")
    assert (moved.created, moved.removed) == (("order.modified",), ("order.modified",))

    _configure(engine, flows=["orders", "stock", "contacts"])
    assert subscriptions.sync(engine, _place(engine), "https://sync.example").created == (
        "product.modified.on-hand-modified",
    )
    renewed = subscriptions.sync(engine, _place(engine), "https://sync.example", new_secret=True)
    assert len(renewed.created) == len(renewed.removed) == 2

    _configure(engine, flows=["contacts"])
    removed = subscriptions.sync(engine, _place(engine), "https://sync.example").removed
    assert sorted(removed) == ["order.modified", "product.modified.on-hand-modified"]
    assert _subscribed(running) == []


def test_what_is_missing_or_outdated_is_listed(engine: Engine, running: Running) -> None:
    _foreign(running)
    rows = subscriptions.listed(engine, _place(engine), "https://sync.example")
    assert [(row.event, bool(row.id), row.is_ours, row.is_current) for row in rows] == [
        ("order.modified", True, False, False),
        ("order.modified", False, True, False),
    ]
    subscriptions.sync(engine, _place(engine), "https://sync.example")
    rows = subscriptions.listed(engine, _place(engine), "https://sync.example")
    assert [row.is_current for row in rows if row.is_ours] == [True]


def test_without_an_address_nothing_is_subscribed(engine: Engine) -> None:
    with pytest.raises(Misconfigured, match="SYNCENGINE_WEB_URL"):
        subscriptions.sync(engine, _place(engine), "")


def test_the_daily_task_repairs_what_somebody_has_removed_and_notes_what_it_cannot(
    engine: Engine, running: Running
) -> None:
    assert subscriptions.run(engine, "https://sync.example") == "0 checked"  # never set up
    subscriptions.sync(engine, _place(engine), "https://sync.example")
    running.sandbox.brightpearl.webhooks.subscriptions.clear()
    assert subscriptions.run(engine, "https://sync.example") == "0 checked"  # not due

    def age(**values: Any) -> None:
        with engine.store.write() as session:
            session.execute(update(m.Hook).values(**values))

    age(checked_at=clock.now() - timedelta(days=1, seconds=1))
    assert subscriptions.run(engine, "https://sync.example") == "1 checked"
    assert _subscribed(running) == ["order.modified"]
    age(checked_at=clock.now() - timedelta(hours=1), check_due=True)
    assert subscriptions.run(engine, "") == "0 checked"
    with engine.store.read() as session:
        assert "where to send webhooks" in session.scalars(select(m.Hook.problem)).one()


def test_doctor_says_what_is_missing_and_whether_webhooks_are_heard(engine: Engine, running: Running) -> None:
    def said(*answered: str) -> list[tuple[str, str]]:
        found = webhooks.examine(engine, "https://sync.example", answered or ("shop",))
        return [(finding.level.value, finding.says) for finding in found]

    assert said() == [("ok", "not set up; feeds alone are read for order.modified (docs/webhooks.md)")]
    subscriptions.sync(engine, _place(engine), "https://sync.example")
    assert said() == [("warn", "subscribed, but none has been heard yet")]
    assert said("erp") == []  # the shop cannot be called, which is said elsewhere
    with engine.store.write() as session:
        connection_id = _place(engine).connection.row.id
        session.add(m.Schedule(connection_id=connection_id, flow="orders", next_due=clock.now(), heard_at=clock.now()))
    assert [level for level, _ in said()] == ["ok"]
    running.sandbox.brightpearl.webhooks.subscriptions.clear()
    assert said() == [("warn", "missing or outdated: order.modified")]


def test_signed_messages_of_an_hour_ago_are_forgotten(engine: Engine) -> None:
    with engine.store.write() as session:
        session.add(m.AcceptedOnce(digest="a" * 64, at=clock.now() - timedelta(hours=2)))
        session.add(m.AcceptedOnce(digest="b" * 64, at=clock.now()))
    subscriptions.run(engine, "")
    with engine.store.read() as session:
        assert session.scalars(select(m.AcceptedOnce.digest)).all() == ["b" * 64]


def test_a_change_is_delivered_through_loss_of_answers_and_wanted(engine: Engine, running: Running, web: str) -> None:
    place, hooks = _place(engine), running.sandbox.brightpearl.webhooks
    subscriptions.sync(engine, place, web)
    order = next(iter(running.sandbox.brightpearl.orders.values()))
    running.sandbox.brightpearl.save_order(order, "reference")
    assert hooks.wait()
    assert hooks.outcomes["delivered"] == 1
    assert _wanted(engine) == [str(order.id)]


def test_a_test_is_heard_and_wants_nothing(engine: Engine, running: Running, web: str) -> None:
    place = _place(engine)
    subscriptions.sync(engine, place, web)
    row = next(row for row in subscriptions.listed(engine, place, web) if row.is_current)
    subscriptions.test(engine, place, row.id)
    assert running.sandbox.brightpearl.webhooks.wait()
    assert _wanted(engine) == []
    route = engine.route(place.connection.row.id, "orders")
    with engine.store.read() as session:
        now = polling(session, route, clock.now())
    assert (now.interval_s, now.why) == (3600.0, "")


def test_deliveries_with_the_former_secret_are_taken_for_another_day(
    engine: Engine, running: Running, web: str
) -> None:
    place, hooks = _place(engine), running.sandbox.brightpearl.webhooks
    subscriptions.sync(engine, place, web)
    former = next(iter(hooks.subscriptions.values()))
    subscriptions.sync(engine, place, web, new_secret=True)
    hooks.simulate(former, {"${resource-id}": "7"})
    assert hooks.wait()
    assert (hooks.outcomes["delivered"], _wanted(engine)) == (1, ["7"])

    endpoint_id = engine.connections()[0].left_id
    with engine.store.write() as session:
        session.execute(update(m.Secret).values(updated_at=clock.now() - timedelta(days=2)))
    subscriptions.sync(engine, place, web)
    assert engine.vault.read(endpoint_id, "hook_secret_old") is None


def test_lost_deliveries_are_spread_evenly(
    running: Running, engine: Engine, web: str, set_lost: Callable[[int], None]
) -> None:
    subscriptions.sync(engine, _place(engine), web)
    set_lost(20)
    hooks = running.sandbox.brightpearl.webhooks
    subscription = next(iter(hooks.subscriptions.values()))
    for number in range(10):
        hooks.simulate(subscription, {"${resource-id}": str(number + 1)})
    assert hooks.wait()
    assert (hooks.outcomes["delivered"], hooks.outcomes["lost"]) == (8, 2)


@pytest.fixture
def set_lost(running: Running) -> Iterator[Callable[[int], None]]:
    yield lambda percent: running.sandbox.switches.turn({"brightpearl_webhook_lost_percent": percent})
    running.sandbox.switches.turn({"brightpearl_webhook_lost_percent": 0})


def _wanted(engine: Engine) -> list[str]:
    with engine.store.read() as session:
        return sorted(session.scalars(select(m.Record.key).where(m.Record.wanted > m.Record.done)))


def test_with_a_fifth_of_the_deliveries_lost_everything_is_equal_after_the_next_reading_of_feeds(
    engine: Engine, running: Running, web: str, set_lost: Callable[[int], None]
) -> None:
    place, shop = _place(engine), running.sandbox.brightpearl
    mapping = Plain(lambda doc, context: {"ref": str(doc["id"]), "name": doc.get("reference") or "none"})
    orders = flow("orders", mapping, source="brightpearl.sales_order", target="syspro.sales_order", batch=200)
    engine.flows["orders"] = orders  # type: ignore[index]
    messages: list[Chain] = []
    engine.send = messages.append
    subscriptions.sync(engine, place, web)
    sync.start(engine, sync.Request("orders"))
    _run(engine, messages)
    set_lost(20)
    for number, order in enumerate(sorted(shop.orders.values(), key=lambda order: order.id)):
        order.reference = f"changed {number}"
        shop.save_order(order, "reference")
        assert shop.webhooks.wait()  # each in a delivery of its own
    _run(engine, messages)
    reported, lost = shop.webhooks.outcomes["delivered"], shop.webhooks.outcomes["lost"]
    assert (lost > 0, reported + lost) == (True, len(shop.orders))
    names = _written(engine)
    assert len([name for name in names if name.startswith("changed")]) == reported

    sync.start(engine, sync.Request("orders"))  # as after the relaxed interval
    _run(engine, messages)
    assert sorted(_written(engine)) == sorted(order.reference for order in shop.orders.values())


def _run(engine: Engine, messages: list[Chain]) -> None:
    pump(engine)
    while messages:
        message = messages.pop(0)
        for stage in message.stages:
            running_step(engine, stage, message.token)
        pump(engine)


def _written(engine: Engine) -> list[str]:
    target = engine.route(_place(engine).connection.row.id, "orders").target
    return [str(doc["name"]) for doc in target.objects.values()]  # type: ignore[attr-defined]

"""An earlier cut-over date: what was left alone for its age is synced, whoever works at that moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from syncengine import clock
from syncengine.connectors.base import Page, Position
from syncengine.document import Doc
from syncengine.engine.core import observe_mode
from syncengine.engine.decide.plan import TOO_OLD
from syncengine.engine.steps import discover
from syncengine.mapping.contract import Context, Need
from syncengine.store import models as m
from syncengine.store.states import Lane, Why
from tests.contract.kernel.world import START, Plain, World, by_name, flow

LATE = START + timedelta(minutes=30)
EARLY = START - timedelta(minutes=30)


@pytest.fixture
def shop(make_world: Callable[..., World]) -> World:
    """Order 1 is older than the cut-over date, order 2 is not; the feed leaves out what is older, as real ones do."""
    world = make_world(flow("orders", Plain(by_name), cut_over=True))
    orders: Any = world.resources["left.orders"]
    every = orders.changes

    def changes(feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        for page in every(feed, position, since=since):
            refs = [ref for ref in page.refs if since is None or ref.at >= since]
            yield Page(refs, page.position, page.source_time)

    orders.changes = changes
    world.left.put("orders", "1", name="old order")
    world.time.pass_(3600)
    world.configure(cut_over=LATE)
    world.left.put("orders", "2", name="new order")
    return world


def _read(shop: World) -> None:
    discover.discover(shop.engine, shop.connection_id, "orders", trigger="schedule", lane=Lane.SCHEDULED)
    shop.settle()


def _set(shop: World, date: datetime, *, unseen: bool = False) -> None:
    """As `configure` does it. unseen: the worker knows the connection from before."""
    with shop.store.write() as session:
        session.get_one(m.ConnectionRow, shop.connection_id).cut_over = date
        observe_mode.reconsider_too_old(session, shop.connection_id, ["orders"], clock.now())
    if not unseen:
        shop.engine._connections.clear()


def _written(shop: World) -> list[str]:
    return sorted(write[1] for write in shop.right.writes)


@pytest.mark.one_database
@pytest.mark.parametrize("mode", ["live", "observe"])
def test_an_earlier_date_has_what_was_too_old_looked_at(shop: World, mode: str) -> None:
    shop.configure(mode=mode)
    shop.sync("orders", "1", "2")
    assert shop.record("orders", "1").why == Why.TOO_OLD

    _set(shop, EARLY)
    shop.settle()
    if mode == "observe":
        assert shop.record("orders", "1").reason == "observed, not written"
        shop.configure(mode=observe_mode.GOING_LIVE)
        observe_mode.go_live(shop.store, shop.connection_id)
        shop.settle()

    assert _written(shop) == ["1", "2"]


@pytest.mark.one_database
def test_an_earlier_date_has_the_feeds_read_from_there(shop: World) -> None:
    _read(shop)
    assert _written(shop) == ["2"]

    _set(shop, EARLY)
    _read(shop)
    assert _written(shop) == ["1", "2"]


def test_a_worker_that_knows_the_connection_from_before_reads_and_plans_by_the_new_date(shop: World) -> None:
    _read(shop)
    shop.engine.connection(shop.connection_id)
    _set(shop, EARLY, unseen=True)
    with shop.store.read() as session:
        assert session.scalars(select(m.Cursor).where(m.Cursor.feed != "")).all() == []
    _read(shop)

    assert shop.engine.connection(shop.connection_id).row.cut_over == LATE
    assert _written(shop) == ["1", "2"]


@pytest.mark.one_database
def test_what_is_just_planned_by_the_former_date_is_planned_again(make_world: Callable[..., World]) -> None:
    meanwhile: list[Callable[[], None]] = []

    def needs(doc: Doc, context: Context) -> list[Need]:  # asked for once the date has been read
        while meanwhile:
            meanwhile.pop()()
        return []

    shop = make_world(flow("orders", Plain(by_name, needs_=needs), cut_over=True))
    shop.left.put("orders", "1", name="old order")
    shop.time.pass_(3600)
    shop.configure(cut_over=LATE)
    meanwhile.append(lambda: _set(shop, EARLY))
    shop.sync("orders", "1")

    assert _written(shop) == ["1"]
    with shop.store.read() as session:
        reasons = [one.detail.get("reason") for one in session.scalars(select(m.Event).order_by(m.Event.id))]
    assert TOO_OLD in reasons  # by the former date, and not for good

"""Feeds against the sandbox: nothing lost with equal times, edits meanwhile, absent times, late rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from syncengine.connectors.base import Page, Resource
from syncengine.sandbox.server import Sandbox
from tests.contract.brightpearl.conftest import Connect

ORDERS = "brightpearl.sales_order"


def read(orders: Resource, feed: str, position: Mapping[str, Any] | None = None) -> tuple[set[str], Mapping[str, Any]]:
    """The keys of a whole reading and the position after it."""
    pages = list(orders.changes(feed, position or {}))
    return {ref.key for page in pages for ref in page.refs}, pages[-1].position


def add_orders(sandbox: Sandbox, count: int, updated_on: datetime | None) -> set[str]:
    account = sandbox.brightpearl
    pattern = next(iter(account.orders.values()))
    added = set()
    with account.lock:
        for _ in range(count):
            order = replace(pattern, id=account.new_id("order"), rows={}, created_on=account.stamp())
            order.updated_on = updated_on
            account.add_order(order)
            added.add(str(order.id))
    return added


def touch(sandbox: Sandbox, key: int) -> None:
    account = sandbox.brightpearl
    with account.lock:
        account.save_order(account.orders[key], "reference", by="person")


def test_the_created_feed_finds_all_sales_orders_and_the_updated_feed_those_that_were_edited(
    sandbox: Sandbox, shop: Connect
) -> None:
    orders = shop().resources[ORDERS]
    state = sandbox.brightpearl.orders
    sales = {str(key) for key, order in state.items() if order.type_code == "SO"}
    edited = {str(key) for key, order in state.items() if order.type_code == "SO" and order.updated_on}
    assert read(orders, "created")[0] == sales
    assert read(orders, "updated")[0] == edited
    assert edited < sales


@pytest.mark.parametrize("inclusive", ["both", "from", "to", "none"])
def test_1200_orders_with_the_same_time_are_all_found(sandbox: Sandbox, shop: Connect, inclusive: str) -> None:
    sandbox.switches.turn({"brightpearl_period_inclusive": inclusive})
    orders = shop().resources[ORDERS]
    before = read(orders, "updated")[1]
    added = add_orders(sandbox, 1200, sandbox.now().replace(microsecond=0))
    sandbox.calls.reset()
    found, _ = read(orders, "updated", before)
    assert added <= found
    assert sandbox.calls.total("brightpearl") <= 4


def test_orders_edited_while_pages_are_read_are_found_in_their_last_state(sandbox: Sandbox, shop: Connect) -> None:
    orders = shop(page_size=10, overlap_s=2, lag_s=0).resources[ORDERS]
    added = sorted(map(int, add_orders(sandbox, 60, sandbox.now().replace(microsecond=0) - timedelta(seconds=90))))
    seen: dict[str, str] = {}
    position: Mapping[str, Any] = {}
    for number, page in enumerate(orders.changes("updated", {})):
        seen |= {ref.key: ref.version for ref in page.refs}
        position = page.position
        if number < len(added):
            touch(sandbox, added[number])
            touch(sandbox, added[-1 - number])
    sandbox.switches.turn({"clock_offset_s": 5.0})
    for page in orders.changes("updated", position):
        seen |= {ref.key: ref.version for ref in page.refs}
    documents = orders.read([str(key) for key in added])
    assert {key: orders.version(doc) for key, doc in documents.items()} == {str(key): seen[str(key)] for key in added}


def test_an_order_without_an_update_time_is_found_by_its_creation_and_bears_that_version(
    sandbox: Sandbox, shop: Connect
) -> None:
    orders = shop().resources[ORDERS]
    updated, created = read(orders, "updated")[1], read(orders, "created")[1]
    (key,) = add_orders(sandbox, 1, None)
    assert key not in read(orders, "updated", updated)[0]
    refs = {ref.key: ref for page in orders.changes("created", created) for ref in page.refs}
    document = orders.read([key])[key]
    assert "updatedOn" not in document
    assert refs[key].version == orders.version(document) != ""


def test_rows_that_appear_in_the_search_20_s_late_are_found_by_the_next_reading(
    sandbox: Sandbox, shop: Connect
) -> None:
    orders = shop(lag_s=1, overlap_s=25).resources[ORDERS]
    position = read(orders, "created")[1]
    sandbox.switches.turn({"brightpearl_search_delay_s": 20.0})
    late = add_orders(sandbox, 3, None)
    sandbox.switches.turn({"clock_offset_s": 10.0})
    found, position = read(orders, "created", position)
    assert not late & found
    sandbox.switches.turn({"clock_offset_s": 21.0})
    assert late <= read(orders, "created", position)[0]


def test_a_reading_that_broke_off_goes_on_after_the_pages_that_were_taken(sandbox: Sandbox, shop: Connect) -> None:
    orders = shop(page_size=10).resources[ORDERS]
    whole = read(orders, "created")[0]
    taken: set[str] = set()
    position: Mapping[str, Any] = {}
    for _ in range(100):  # each time only one page is taken, as after a throttle
        page: Page = next(iter(orders.changes("created", position)))
        taken |= {ref.key for ref in page.refs}
        position = page.position
        if "end" not in position:
            break
    assert taken == whole


@pytest.mark.parametrize("name", ["contact", "product"])
@pytest.mark.parametrize("feed", ["created", "updated"])
def test_contacts_and_products_have_feeds_too(sandbox: Sandbox, shop: Connect, name: str, feed: str) -> None:
    resource = shop(page_size=7).resources[f"brightpearl.{name}"]
    state = getattr(sandbox.brightpearl, f"{name}s")
    is_stamped_at_once = name == "contact"  # a search row has the time of creation as `updatedOn`
    expected = {
        str(key) for key, item in state.items() if is_stamped_at_once or getattr(item, f"{feed}_on") is not None
    }
    found: set[str] = set()
    for page in resource.changes(feed, {}):
        found |= {ref.key for ref in page.refs}
        for key, doc in resource.read([ref.key for ref in page.refs]).items():
            assert resource.version(doc) == next(ref.version for ref in page.refs if ref.key == key)
    assert found == expected


def test_10000_changed_orders_cost_hardly_more_searches_than_pages(sandbox: Sandbox, shop: Connect) -> None:
    orders = shop().resources[ORDERS]
    start = sandbox.now().replace(microsecond=0) - timedelta(seconds=500)
    for second in range(40):
        add_orders(sandbox, 250, start + timedelta(seconds=second))
    sandbox.calls.reset()
    position = {"at": start.isoformat(), "id": 0}
    assert len(read(orders, "updated", position)[0]) >= 10_000
    assert sandbox.calls.total("brightpearl") <= 1.1 * (10_000 // 500 + 1)

"""No more calls than the APIs make necessary, counted by the simulated systems; and what `syncengine budget` says of them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import calls
import pytest
from installation import Site, site

pytestmark = pytest.mark.process


def test_changed_orders_cost_at_most_a_tenth_more_calls_than_the_fewest_possible() -> None:
    orders, customers = 80, 16
    with site(orders=orders, customers=customers) as one:
        addresses = int(one.systems.ask("addresses")["addresses"])
        counts = calls.measure(one, orders=orders, customers=customers, addresses=addresses, phases=("create", "amend"))

    changed = [count for count in counts if count.phase in ("create", "amend")]
    assert len(changed) == 4
    assert {f"{count.phase}, {count.system}": count.operations for count in changed if count.ratio > calls.MOST} == {}


def test_a_sync_without_changes_costs_its_searches_alone() -> None:
    with site(orders=20, customers=4) as one:
        engine = one.engine()
        calls.drain(one, engine)
        one.systems.calls(reset=True)
        calls.drain(one, engine)
        made = one.systems.calls()
        engine.close()

    assert made == {"brightpearl": {"order.search": 2}}


def test_the_budget_tells_what_the_last_hours_calls_went_on_and_how_long_a_backfill_takes() -> None:
    with site(orders=30, customers=5) as one:
        one.start_redis()
        engine = one.engine()
        calls.drain(one, engine)
        engine.close()
        made = one.systems.calls()
        shown = _budget(one, "--backfill", "6000")

    counted = {
        (each["endpoint"], each["flow"], each["lane"], each["operation"]): each["calls"] for each in shown["calls"]
    }
    assert counted["erp", "orders", "scheduled", "SORTOI"] == made["syspro"]["SORTOI.add"] == 30
    assert counted["erp", "customers", "scheduled", "ARSSCS"] == 5
    assert counted["shop", "orders", "scheduled", "GET order-service/order-search"] == 2
    assert sum(counted.values()) == sum(sum(operations.values()) for operations in made.values())
    estimate = next(each for each in shown["backfills"] if each["flow"] == "orders")
    load = next(each for each in estimate["loads"] if each["endpoint"] == "erp")
    # 30 orders took 30 SORTOI, one COMFND and a logon, their customers 5 ARSSCS: 37 calls for 30 orders.
    assert load["calls"] == 7400
    assert estimate["minutes"] > 0


def _budget(one: Site, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "syncengine", "budget", "--json", *arguments]
    answer = subprocess.run(command, env=one.environment(), capture_output=True, text=True, timeout=60, check=True)
    return dict(json.loads(answer.stdout))

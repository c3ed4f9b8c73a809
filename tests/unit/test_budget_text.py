"""The lines of `syncengine budget`."""

from __future__ import annotations

from syncengine.cli.budget import _estimate
from syncengine.engine.traffic.budget import Backfill, Load

SHOP = Load("shop", 2, 198.0, 0.01, "limited by its quota")
ERP = Load("erp", 20, 2198.0, 0.01, "limited by its response time")


def test_where_nothing_is_due_the_capacity_is_shown() -> None:
    assert _estimate(Backfill("main", "orders", 0, "the fewest calls possible", [SHOP, ERP])) == (
        "[bold]main: orders[/bold]: nothing is due. Capacity: shop 198 calls a minute (limited by its quota), "
        "erp 2,198 calls a minute (limited by its response time)"
    )


def test_an_estimate_names_its_calls_and_what_limits_them() -> None:
    unknown = Load("erp", 20, None, None, "pace not known before its first calls")

    assert _estimate(Backfill("main", "orders", 400, "the fewest calls possible", [SHOP, unknown])) == (
        "[bold]main: orders, 400 objects[/bold]: not known yet; shop 2 calls, 198 calls a minute (limited by its quota), "
        "erp 20 calls, pace not known before its first calls; by the fewest calls possible"
    )

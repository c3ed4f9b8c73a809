"""What a demo runs: its flows, and what is shortened or set so that it fits into a minute or two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from syncengine.demo.comparison.stock import Rule

MAIN, SECOND, STORE = "MN", "FG", "ST"
WAREHOUSES = {MAIN: 2, SECOND: 2, STORE: 3}
"""Brightpearl's warehouse by SYSPRO's on a day of stock: two are one."""

LATENCY_S = 0.02
LATENCY = f"latency of the simulated systems {LATENCY_S * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Of the connection: flows, settings and lookups, quiet_s. Of the endpoints: shop, erp. Seconds.

    intervals: `every` and `sweep` of flows, instead of the shipped ones. environment: of all processes. shortened: what of
    this people should know. write_operation: of which `--faults` delays one.
    """

    flows: tuple[str, ...]
    shortened: tuple[str, ...]
    write_operation: tuple[str, str]
    quiet_s: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    lookups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shop: Mapping[str, Any] = field(default_factory=dict)
    erp: Mapping[str, Any] = field(default_factory=dict)
    intervals: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


ORDERS = DemoPlan(
    flows=("customers", "orders", "order_tax"),
    shortened=(LATENCY, "settle time 10 s instead of 120 s", "quiet period 2 s instead of 60 s"),
    write_operation=("syspro", "SORTOI.add"),
    quiet_s=2,
    settings={"tax_override": "applied"},  # as the sandbox's switch says
    erp={"settle_s": 10},
)

RULE = Rule(WAREHOUSES, safety=1, within_s=6.0, lag_s=1.0, poll_s=2.0, sweep_s=6.0, slack_s=20.0)
"""Of the slack, 5 s are those in which rises wait for one another."""

STOCK_DAY = DemoPlan(
    flows=("customers", "orders", "inventory"),
    shortened=(
        LATENCY,
        f"polls every {RULE.poll_s:g} s instead of 2 min",
        f"all of SYSPRO's stock every {RULE.sweep_s:g} s instead of 6 h",
        f"both systems are informed of goods within {RULE.within_s:g} s instead of 30 min",
    ),
    write_operation=("brightpearl", "stock_correction.create"),
    settings={"posted_within_minutes": RULE.within_s / 60, "safety_stock": RULE.safety},
    lookups={"stock_warehouses": {code: str(number) for code, number in WAREHOUSES.items()}},
    shop={"cost_currency": "GBP", "lag_s": RULE.lag_s, "correction_settle_s": 6},
    erp={"settle_s": 10},
    intervals={
        "customers": {"every": f"{RULE.poll_s:g} s"},
        "orders": {"every": f"{RULE.poll_s:g} s"},
        "inventory": {"every": f"{RULE.poll_s:g} s", "sweep": f"{RULE.sweep_s:g} s"},
    },
    environment={"SYNCENGINE_PUMP_EVERY_S": "1"},
)

"""Time from a change in Brightpearl to the order in SYSPRO by webhook, beside three plain Celery tasks, in one run.

The simulated Brightpearl delivers a webhook of each new order to the web process; the straight-line script is started by the
benchmark itself. One order at a time, quiet period 0. Then the same by webhook alone while a backfill uses up the quota.

    scripts/bench realtime [--samples 60] [--busy-samples 30] [--repeat 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pace
import report
from installation import Site, end_on_sigterm, site

from syncengine import clock

MOST, MOST_P99_MS, MOST_BUSY_P99_MS = 2.0, 1000.0, 5000.0
CUSTOMERS, WARM_UP, BACKFILL = 10, 10, 1500
LIMIT = 200
PATIENCE_S = 60.0


@dataclass
class WebhookRunner(pace.EngineRunner):
    """The product with its web process; an order is reported by the simulated Brightpearl."""

    name: str = "webhook"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.site.systems.turn(brightpearl_webhook_delay_s=0)
        self.site.subscribe(self.site.start_web())

    def order(self, order_id: int) -> None:
        """Nothing: its webhook is on its way."""


def measure(make: Any, samples: int) -> list[float]:
    """Milliseconds of each order, of customers that are there already."""
    with site(orders=CUSTOMERS, customers=CUSTOMERS) as installation:
        installation.start_redis()
        runner = make(installation)
        try:
            runner.sync("customers")
            pace.await_calls(installation, "ARSSCS", CUSTOMERS)
            clock.sleep(2.0)
            runner.sync("orders")
            pace.await_calls(installation, "SORTOI.add", CUSTOMERS)
            clock.sleep(2.0)
            return [_one_order(installation, runner, number) for number in range(WARM_UP + samples)][WARM_UP:]
        finally:
            runner.close()


def measure_busy(samples: int) -> list[float]:
    """As `measure` by webhook, while a backfill reads orders one by one and waits for its quota."""
    one_by_one = {"sales_order_per_read": 1}
    with site(orders=BACKFILL, customers=CUSTOMERS, limit_per_minute=LIMIT, shop=one_by_one) as installation:
        installation.start_redis()
        runner = WebhookRunner(installation)
        try:
            runner.sync("customers")
            pace.await_calls(installation, "ARSSCS", CUSTOMERS)
            runner.sync("orders")
            while installation.systems.calls()["brightpearl"].get("order.read", 0) < LIMIT // 2:
                clock.sleep(0.5)
            return [_one_order(installation, runner, number) for number in range(samples)]
        finally:
            runner.close()


def _one_order(installation: Site, runner: pace.Runner, number: int) -> float:
    """Milliseconds from the order in Brightpearl to the order in SYSPRO."""
    begun, deadline = clock.now(), clock.monotonic() + PATIENCE_S
    order_id = installation.systems.new_order(310 + number % CUSTOMERS, installation.systems.sku)
    runner.order(order_id)
    while not (made := installation.systems.effects(system="syspro", object="SorMaster", reference=str(order_id))):
        if clock.monotonic() > deadline:
            raise SystemExit(f"order {order_id} did not arrive in {PATIENCE_S:.0f} s; logs: {installation.home}")
        clock.sleep(0.01)
    clock.sleep(0.3)  # until the step behind the write is over too
    return (datetime.fromisoformat(made[0]["at"]) - begun).total_seconds() * 1000


def _figures(name: str, taken: list[float]) -> dict[str, Any]:
    taken = sorted(taken)
    return {
        "runner": name,
        "samples": len(taken),
        "median ms": round(statistics.median(taken), 1),
        "p99 ms": round(taken[min(len(taken) - 1, int(len(taken) * 0.99))], 1),
        "worst ms": round(taken[-1], 1),
    }


def main() -> int:
    """Returns 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--busy-samples", type=int, default=30)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    end_on_sigterm()
    hooked: list[float] = []
    straight: list[float] = []
    ratios = []
    for _ in range(options.repeat):
        mine, theirs = measure(WebhookRunner, options.samples), measure(pace.StraightRunner, options.samples)
        ratios.append(statistics.median(mine) / statistics.median(theirs))
        hooked += mine
        straight += theirs
    rows = [_figures("webhook", hooked), _figures("straight line", straight)]
    if options.busy_samples:
        rows.append(_figures("webhook, quota used up", measure_busy(options.busy_samples)))
    ratio = round(statistics.median(ratios), 3)
    report.show("From Brightpearl to SYSPRO", rows)
    report.show(f"Webhook to straight line, at most {MOST}", [{"ratio": ratio}])
    report.save(options.json, "realtime", {"rows": rows, "ratio": ratio, "ratios": ratios})
    busy = [row for row in rows[2:] if row["p99 ms"] > MOST_BUSY_P99_MS]
    return int(ratio > MOST or rows[0]["p99 ms"] > MOST_P99_MS or bool(busy))


if __name__ == "__main__":
    raise SystemExit(main())

"""Time from a realtime trigger to the order in SYSPRO, the engine beside a straight-line script, in one run.

One order at a time, in an idle installation. The clock starts where a webhook would `want` the order, and stops where the
simulated SYSPRO notes that it created it.

    scripts/bench latency [--samples 60] [--latency 0] [--repeat 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pace
import report
from installation import Site, end_on_sigterm, site

from syncengine import clock

MOST = 2.0
CUSTOMERS, WARM_UP = 10, 10
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Latency:
    """One runner's times, milliseconds."""

    runner: str
    systems_ms: float
    samples: int
    median_ms: float
    p90_ms: float
    worst_ms: float


def measure(make: Any, *, samples: int, latency_s: float) -> Latency:
    """Orders of customers that are there already, one after the other; the first ones warm the workers up."""
    with site(orders=CUSTOMERS, customers=CUSTOMERS, latency_s=latency_s) as installation:
        installation.start_redis()
        runner = make(installation)
        try:
            runner.sync("customers")
            pace.await_calls(installation, "ARSSCS", CUSTOMERS)
            clock.sleep(2.0)
            runner.sync("orders")
            pace.await_calls(installation, "SORTOI.add", CUSTOMERS)
            clock.sleep(2.0)
            taken = [_one_order(installation, runner, number) for number in range(WARM_UP + samples)][WARM_UP:]
        finally:
            runner.close()
    ninth = statistics.quantiles(taken, n=10)[-1]
    return Latency(runner.name, latency_s * 1000, samples, statistics.median(taken), ninth, max(taken))


def _one_order(installation: Site, runner: pace.Runner, number: int) -> float:
    """Milliseconds from the trigger to the order in SYSPRO."""
    order_id = installation.systems.new_order(310 + number % CUSTOMERS, installation.systems.sku)
    begun, deadline = clock.now(), clock.monotonic() + PATIENCE_S
    runner.order(order_id)
    while not (made := installation.systems.effects(system="syspro", object="SorMaster", reference=str(order_id))):
        if clock.monotonic() > deadline:
            raise SystemExit(f"order {order_id} did not arrive in {PATIENCE_S:.0f} s")
        clock.sleep(0.01)
    clock.sleep(0.15)  # until the step behind the write is over too
    return (datetime.fromisoformat(made[0]["at"]) - begun).total_seconds() * 1000


def main() -> int:
    """Returns 1 if the engine is slower than the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=60)
    pace.add_options(parser)
    options = parser.parse_args()
    end_on_sigterm()
    found, ratios = pace.compare(
        lambda make, latency_s: measure(make, samples=options.samples, latency_s=latency_s),
        lambda latency: latency.median_ms, options,
    )  # fmt: skip
    report.show("Latency", [_row(latency) for latency in found])
    report.show(f"Engine to straight line, at most {MOST}", ratios)
    report.save(
        options.json, "latency", {"most": MOST, "latencies": [asdict(latency) for latency in found], "ratios": ratios}
    )
    return int(any(ratio["ratio"] > MOST for ratio in ratios))


def _row(latency: Latency) -> dict[str, Any]:
    times = {"median ms": latency.median_ms, "p90 ms": latency.p90_ms, "worst ms": latency.worst_ms}
    return {
        "runner": latency.runner,
        "systems ms": f"{latency.systems_ms:.0f}",
        "samples": latency.samples,
        **{name: f"{value:.1f}" for name, value in times.items()},
    }


if __name__ == "__main__":
    raise SystemExit(main())

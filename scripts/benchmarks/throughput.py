"""Orders a second from the feed to SYSPRO, the engine beside a straight-line script (straight_line.py), in one run.

scripts/bench throughput [--orders 1000] [--latency 0] [--repeat 3] [--json FILE]
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import Any

import pace
import report
from installation import end_on_sigterm, site

from syncengine import clock

LEAST = 0.6


@dataclass(frozen=True)
class Pace:
    """One runner's figures; CPU seconds of its workers and of the simulated systems."""

    runner: str
    latency_ms: float
    orders: int
    seconds: float
    orders_a_second: float
    workers_cpu_s: float
    systems_cpu_s: float

    @property
    def systems_share(self) -> float:
        return self.systems_cpu_s / max(0.001, self.systems_cpu_s + self.workers_cpu_s)


def measure(make: Any, *, orders: int, latency_s: float) -> Pace:
    """Bring a shop of `orders` over; customers, a tenth of that, are there before the clock starts."""
    customers = max(1, orders // 10)
    with site(orders=orders, customers=customers, latency_s=latency_s) as installation:
        installation.start_redis()
        runner = make(installation)
        try:
            runner.sync("customers")
            pace.await_calls(installation, "ARSSCS", customers)
            clock.sleep(2.0)  # until all of it is committed
            used, systems, begun = pace.cpu_s(runner), installation.systems.cpu_s(), clock.monotonic()
            runner.sync("orders")
            pace.await_calls(installation, "SORTOI.add", orders)
            seconds = clock.monotonic() - begun
            used, systems = pace.cpu_s(runner) - used, installation.systems.cpu_s() - systems
        finally:
            runner.close()
    return Pace(runner.name, latency_s * 1000, orders, seconds, orders / seconds, used, systems)


def main() -> int:
    """Returns 1 if the engine falls below the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=1000)
    pace.add_options(parser)
    options = parser.parse_args()
    end_on_sigterm()
    paces, ratios = pace.compare(
        lambda make, latency_s: measure(make, orders=options.orders, latency_s=latency_s),
        lambda run: run.orders_a_second, options,
    )  # fmt: skip
    report.show("Throughput", [_row(run) for run in paces])
    report.show(f"Engine to straight line, at least {LEAST}", ratios)
    report.save(options.json, "throughput", {"least": LEAST, "paces": [asdict(run) for run in paces], "ratios": ratios})
    return int(any(ratio["ratio"] < LEAST for ratio in ratios))


def _row(run: Pace) -> dict[str, Any]:
    return {
        "runner": run.runner,
        "latency ms": f"{run.latency_ms:.0f}",
        "orders": run.orders,
        "seconds": f"{run.seconds:.1f}",
        "orders/s": f"{run.orders_a_second:.1f}",
        "CPU of its workers s": f"{run.workers_cpu_s:.1f}",
        "CPU of the systems s": f"{run.systems_cpu_s:.1f}",
        "systems' share": f"{run.systems_share:.0%}",
    }


if __name__ == "__main__":
    raise SystemExit(main())

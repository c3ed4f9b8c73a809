"""Resident memory of a worker with 1,000, 10,000 and 100,000 records due: it must not grow with the backlog.

Each size has an installation and workers of its own; they work on their backlog for some seconds, the pump included, while
the resident memory of every worker process is measured.

    scripts/bench memory [--sizes 1000 10000 100000] [--seconds 45] [--json FILE]
"""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import asdict, dataclass

import pace
import report
from installation import Site, end_on_sigterm, family, rss_mb, site

from syncengine import clock
from syncengine.engine.core.want import want
from syncengine.store import Store
from syncengine.store.states import Lane

MOST = 1.10
ORDERS, CUSTOMERS = 1000, 100
AT_ONCE = 5000


@dataclass(frozen=True)
class Memory:
    """The peak memory of the largest worker process (MB) while `due` records were due, and what it did meanwhile."""

    due: int
    peak_mb: float
    median_of_peaks_mb: float
    orders_made: int


def measure(due: int, *, seconds: float) -> Memory:
    """Work for some seconds with `due` records waiting: a thousand existing orders, and unknown ones behind them."""
    with site(orders=ORDERS, customers=CUSTOMERS) as installation:
        installation.start_redis()
        _want(installation, due)
        runner = pace.EngineRunner(installation)
        peaks: dict[int, float] = {}
        try:
            until = clock.monotonic() + seconds
            while clock.monotonic() < until:
                for process in runner.processes[:1]:  # the worker; realtime has no part in a backfill
                    _look(process, peaks)
                clock.sleep(0.25)
            made = installation.systems.calls().get("syspro", {}).get("SORTOI.add", 0)
        finally:
            runner.close()
    workers = sorted(peaks.values())
    return Memory(due, workers[-1], workers[len(workers) // 2], made)


def _want(installation: Site, due: int) -> None:
    """Orders from the shop's first id on, in the lane of a backfill."""
    store = Store(installation.database_url)
    for start in range(0, due, AT_ONCE):
        keys = [str(5001 + number) for number in range(start, min(due, start + AT_ONCE))]
        with store.write() as session:
            want(session, 1, "orders", keys, lane=Lane.BACKFILL, now=clock.now())
    store.close()


def _look(process: subprocess.Popen[bytes], peaks: dict[int, float]) -> None:
    for pid in family(process.pid)[1:]:  # the children do the work
        peaks[pid] = max(peaks.get(pid, 0.0), rss_mb(pid))


def main() -> int:
    """Returns 1 if memory grows by more than the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--seconds", type=float, default=45.0)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    end_on_sigterm()
    found = [measure(due, seconds=options.seconds) for due in options.sizes]
    growth = max(size.peak_mb for size in found) / found[0].peak_mb
    rows = [
        {
            "records due": size.due,
            "worker's peak MB": f"{size.peak_mb:.1f}",
            "median child MB": f"{size.median_of_peaks_mb:.1f}",
            "orders made": size.orders_made,
        }
        for size in found
    ]
    report.show("Memory of a worker process", rows)
    print(f"Largest to smallest backlog: {growth:.3f}, at most {MOST}")
    report.save(
        options.json, "memory", {"most": MOST, "growth": round(growth, 3), "sizes": [asdict(size) for size in found]}
    )
    return int(growth > MOST)


if __name__ == "__main__":
    raise SystemExit(main())

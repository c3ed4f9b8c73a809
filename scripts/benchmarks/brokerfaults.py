"""Redis restarted, emptied, cut half-open, stopped and frozen under a running sync: when do records move again?

All processes run as `syncengine up` runs them, against a Redis behind a TCP line. Records are due all the time, in the
lanes realtime and backfill. Nobody lends a hand. A fault is over when Redis can be used again; from then on it is counted
until records are fetched (a second later or more, so that no step counts which ran all the while), and until each lane's
canary has arrived. At the end each order must be in the simulated SYSPRO once.

    scripts/bench brokerfaults [--times 5] [--seconds 60] [--orders 12000] [--only KIND ...] [--logs FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import backlog
import report
from broker import Broker, free_port
from installation import ROOT, Site, end_on_sigterm, site
from sqlalchemy import func, select

from syncengine import clock
from syncengine.local.supervisor import Supervisor
from syncengine.settings import load
from syncengine.store import Store
from syncengine.store.models import Event, Pulse
from syncengine.store.states import Lane

KINDS = ("restarted", "emptied", "cut", "stopped", "frozen")
MOST_S = 60.0
GIVEN_UP_S = 240.0
CUSTOMERS = 50
FEED_EVERY_S = 2.0
ALWAYS_DUE = 60
CALM_S = 8.0
DRAIN_S = 900.0
LATENCY_S = 0.05
CANARY_EVERY_S = 5.0


@dataclass(frozen=True)
class Fault:
    """One fault: seconds from Redis's return until records moved, and until all lanes did; workers that were restarted."""

    kind: str
    records_s: float
    lanes_s: float
    new_workers: int


class Feeder:
    """Keeps orders due, so that there is load: some urgent, the rest a backfill."""

    def __init__(self, store: Store, orders: int) -> None:
        self._store, self._orders = store, orders
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._feed, name="feeder", daemon=True)
        self.wanted = 0
        self._thread.start()

    def stop(self) -> None:
        """Want no more."""
        self._over.set()
        self._thread.join()

    def _feed(self) -> None:
        while not self._over.wait(FEED_EVERY_S):
            missing = min(ALWAYS_DUE - backlog.due(self._store), self._orders - self.wanted)
            if missing > 0:
                keys = backlog.order_keys(self.wanted, missing)
                backlog.want_orders(self._store, keys[:2], Lane.REALTIME)
                backlog.want_orders(self._store, keys[2:], Lane.BACKFILL)
                self.wanted += missing


@contextmanager
def running(installation: Site, broker: Broker, logs: str | None) -> Iterator[Supervisor]:
    """All processes under their supervisor, as an operator starts them; their logs are kept in a folder if one is named."""
    environment = {
        **installation.environment(),
        "REDIS_URL": broker.url,
        "SYNCENGINE_CANARY_EVERY_S": str(CANARY_EVERY_S),
        "SYNCENGINE_FLOWER_PORT": str(free_port()),
    }
    up = subprocess.Popen(
        [sys.executable, "-m", "syncengine", "up"], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    supervisor = Supervisor(load(environment))
    try:
        _await(lambda: set(supervisor.states().values()) == {"RUNNING"}, "the processes did not start")
        yield supervisor
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(120)
        if logs is not None:
            shutil.copytree(supervisor.log_folder, logs, dirs_exist_ok=True)


def measure(
    kinds: Sequence[str], *, times: int, seconds: float, orders: int, logs: str | None
) -> tuple[list[Fault], backlog.Verdict]:
    """Every kind `times` times, in turn; `seconds`: how long Redis is away, where it is."""
    faults: list[Fault] = []
    with site(orders=orders, customers=CUSTOMERS, latency_s=LATENCY_S) as installation:
        broker, store = Broker(installation.home, free_port()), Store(installation.database_url)
        backlog.read_no_feeds(store)
        try:
            with running(installation, broker, logs) as supervisor:
                feeder = Feeder(store, orders)
                _moved(store, clock.now())
                for _ in range(times):
                    for kind in kinds:
                        clock.sleep(min(CALM_S, seconds))
                        faults.append(_strike(kind, seconds, broker, store, supervisor))
                        print(_summary(faults[-1]), file=sys.stderr)
                feeder.stop()
                _await(lambda: backlog.due(store) == 0, "not all was done at the end", DRAIN_S)
            verdict = backlog.judge(installation, store, backlog.order_keys(0, feeder.wanted))
        finally:
            store.close()
            broker.close()
    return faults, verdict


def _strike(kind: str, seconds: float, broker: Broker, store: Store, supervisor: Supervisor) -> Fault:
    before = supervisor.pids()
    broker.faults[kind](seconds)
    back = clock.now()
    records_s, lanes_s = _moved(store, back)
    after = supervisor.pids()
    return Fault(kind, records_s, lanes_s, sum(after.get(name) != pid for name, pid in before.items()))


def _moved(store: Store, since: datetime) -> tuple[float, float]:
    """Seconds from `since` until records that were claimed later were fetched, and until all lanes' canaries arrived."""
    records_s = lanes_s = 0.0
    deadline = clock.monotonic() + GIVEN_UP_S
    while not (records_s and lanes_s):
        if clock.monotonic() > deadline:
            return records_s or float("inf"), lanes_s or float("inf")
        clock.sleep(0.2)
        later = since + timedelta(seconds=1)
        with store.read() as session:
            first = session.scalar(select(func.min(Event.at)).where(Event.what == "fetched", Event.at > later))
            pulses = {row.name: row.at for row in session.execute(select(Pulse.name, Pulse.at))}
        lanes = [pulses.get(lane.label, since) for lane in Lane]
        if first is not None and not records_s:
            records_s = (first - since).total_seconds()
        if min(lanes) > since and not lanes_s:
            lanes_s = (max(lanes) - since).total_seconds()
    return records_s, lanes_s


def _await(what: Callable[[], bool], complaint: str, patience_s: float = 90.0) -> None:
    deadline = clock.monotonic() + patience_s
    while not what():
        if clock.monotonic() > deadline:
            raise SystemExit(f"{complaint} within {patience_s:.0f} s")
        clock.sleep(0.5)


def _summary(fault: Fault) -> str:
    times = f"records after {fault.records_s:.1f} s, all lanes after {fault.lanes_s:.1f} s"
    return f"{fault.kind}: {times}; {fault.new_workers} processes restarted"


def main() -> int:
    """Returns 1 if anything took longer than a minute, or an order is missing or there twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="how often each kind")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long Redis is away where it is")
    parser.add_argument("--orders", type=int, default=12_000, help="that the shop has; some dozens are always due")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--logs", metavar="FOLDER", help="keep the processes' logs there")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    end_on_sigterm()
    faults, verdict = measure(
        options.only, times=options.times, seconds=options.seconds, orders=options.orders, logs=options.logs
    )
    report.show(f"Seconds from Redis's return until all moves, at most {MOST_S:.0f}", _rows(options.only, faults))
    print(
        f"{verdict.wanted:,} orders: {verdict.missing} missing, {verdict.twice} twice, {verdict.not_done} records not done"
    )
    figures = {"most_s": MOST_S, "away_s": options.seconds, "faults": [asdict(fault) for fault in faults]}
    report.save(options.json, "brokerfaults", {**figures, "verdict": asdict(verdict)})
    slow = any(max(fault.records_s, fault.lanes_s) > MOST_S for fault in faults)
    return int(slow or not verdict.is_right)


def _rows(kinds: Sequence[str], faults: Sequence[Fault]) -> list[dict[str, Any]]:
    rows = []
    for kind in kinds:
        mine = [fault for fault in faults if fault.kind == kind]
        rows.append(
            {
                "Redis": kind,
                "times": len(mine),
                "records: each": ", ".join(f"{fault.records_s:.0f}" for fault in mine),
                "median": f"{statistics.median(fault.records_s for fault in mine):.1f}",
                "worst": f"{max(fault.records_s for fault in mine):.1f}",
                "all lanes: median": f"{statistics.median(fault.lanes_s for fault in mine):.1f}",
                "all lanes: worst": f"{max(fault.lanes_s for fault in mine):.1f}",
                "processes restarted": sum(fault.new_workers for fault in mine),
            }
        )
    return rows


if __name__ == "__main__":
    raise SystemExit(main())

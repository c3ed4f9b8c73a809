"""The engine and the straight-line script, each with workers of its own, behind one face: start, sync, one order."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from celery import Celery, chain
from installation import HERE, Site, cpu_of
from kombu import Queue

from syncengine import clock
from syncengine.engine.core.engine import Chain
from syncengine.engine.steps import sync
from syncengine.store import Store

Found = TypeVar("Found")

PATIENCE_S = 900.0
STARTED_S = 60.0


class Runner(Protocol):
    """One way to bring orders over."""

    name: str
    processes: list[subprocess.Popen[bytes]]

    def sync(self, flow: str) -> None:
        """Have a whole flow read and brought over."""

    def order(self, order_id: int) -> None:
        """Have one order brought over at once."""

    def close(self) -> None:
        """Give back what this process holds; the workers end with the site."""


@dataclass
class EngineRunner:
    """The product: its worker, its realtime worker, and beat."""

    site: Site
    name: str = "engine"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.processes = self.site.start_workers(processes=2, beat=True)
        self._app = _sender(self.site.redis_url, "syncengine:")
        self._engine = self.site.engine(send=self._send)
        _wait_for(self._app, 2)

    def sync(self, flow: str) -> None:
        self._app.send_task(f"{flow}.sync", queue="scheduled")

    def order(self, order_id: int) -> None:
        """As a webhook does: `want`, and the pump."""
        sync.start(self._engine, sync.Request("orders", ids=(str(order_id),)))

    def close(self) -> None:
        self._engine.close()
        self._app.close()

    def _send(self, order: Chain) -> None:
        steps = [
            self._app.signature(f"{order.flow}.{stage}", args=(order.token,), immutable=True, queue=order.lane.label)
            for stage in order.stages
        ]
        chain(*steps).apply_async()


@dataclass
class StraightRunner:
    """straight_line.py: a worker of two processes, and one for what is urgent."""

    site: Site
    name: str = "straight line"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        environment = {**self.site.environment(), "PYTHONPATH": str(HERE)}
        app = ("-A", "straight_line", "worker")
        for name, count in (("scheduled", 2), ("realtime", 1)):
            options = (f"--hostname={name}@%h", f"--queues={name}", f"--concurrency={count}")
            self.processes.append(self.site.start(*app, *options, name=name, environment=environment))
        os.environ["REDIS_URL"] = self.site.redis_url
        sys.modules.pop("straight_line", None)  # its app is made for the Redis of the environment
        import straight_line

        store = Store(self.site.database_url)
        straight_line.tables.create_all(store.engine)
        store.close()
        self._script: Any = straight_line
        _wait_for(straight_line.app, 2)

    def sync(self, flow: str) -> None:
        self._script.sync.apply_async((flow,))

    def order(self, order_id: int) -> None:
        self._script.send("orders", [str(order_id)], queue="realtime")

    def close(self) -> None:
        self._script.app.close()


RUNNERS: tuple[Callable[[Site], Runner], ...] = (EngineRunner, StraightRunner)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every comparison of the two takes."""
    parser.add_argument(
        "--latency", type=float, action="append", help="of the simulated systems, s; default 0 and 0.02"
    )
    parser.add_argument("--repeat", type=int, default=1, help="runs of both; the ratio is the median of theirs")
    parser.add_argument("--json", metavar="FILE")


def compare(
    measure: Callable[[Callable[[Site], Runner], float], Found], figure: Callable[[Found], float],
    options: argparse.Namespace,
) -> tuple[list[Found], list[dict[str, float]]]:  # fmt: skip
    """Measure both runners in turn, and their ratio (engine to straight line) at each latency: the median of all repeats."""
    found: list[Found] = []
    ratios = []
    for latency_s in options.latency or [0.0, 0.02]:
        quotients = []
        for _ in range(options.repeat):
            engine, straight = (measure(make, latency_s) for make in RUNNERS)
            quotients.append(figure(engine) / figure(straight))
            found += [engine, straight]
        ratios.append({"systems ms": latency_s * 1000, "ratio": round(statistics.median(quotients), 3)})
    return found, ratios


def await_calls(site: Site, operation: str, count: int) -> None:
    """Wait until SYSPRO has been called so often."""
    deadline = clock.monotonic() + PATIENCE_S
    while (made := site.systems.calls().get("syspro", {}).get(operation, 0)) < count:
        if clock.monotonic() > deadline:
            raise SystemExit(f"{made} of {count} {operation} after {PATIENCE_S:.0f} s; logs: {site.home}")
        clock.sleep(0.1)


def cpu_s(runner: Runner) -> float:
    """CPU seconds that a runner's workers have used."""
    return sum(cpu_of(process) for process in runner.processes)


def _sender(url: str, prefix: str) -> Celery:
    app = Celery("benchmark", broker=url)
    app.conf.update(
        task_queues=[Queue("realtime"), Queue("scheduled"), Queue("backfill")], task_ignore_result=True,
        broker_transport_options={"global_keyprefix": prefix},
    )  # fmt: skip
    return app


def _wait_for(app: Celery, workers: int) -> None:
    deadline = clock.monotonic() + STARTED_S
    while len(app.control.ping(timeout=1.0)) < workers:
        if clock.monotonic() > deadline:
            raise SystemExit(f"not all of {workers} workers answer")

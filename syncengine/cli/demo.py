"""`syncengine demo`: the whole product against two simulated systems, on nothing but this machine."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from syncengine import clock
from syncengine.cli import _demo_check
from syncengine.cli._demo_site import SHORTENED, Shop, Site
from syncengine.cli._engine import engine, show_json
from syncengine.engine.core.engine import Engine
from syncengine.engine.people import dead_letters, status
from syncengine.engine.steps import sync
from syncengine.sandbox.shop.generator import generate
from syncengine.store.states import Status

FLOWS = ("customers", "orders")
PATIENCE_S = 270.0
CALM_S = 2.0
FAILED = 1


@click.command("demo")
@click.option(
    "--check", is_flag=True, help="Unattended: exit 0 only if every order arrived once, with every field right."
)
@click.option("--gateway", type=click.Choice(["enet", "harmony"]), default="enet", show_default=True)
@click.option(
    "--faults", is_flag=True, help="Kill a worker, empty Redis, and lose the answer to a create that comes late."
)
@click.option("--orders", default=500, show_default=True, help="Orders in the simulated shop.")
@click.option("--contacts", default=150, show_default=True, help="Customers in the simulated shop.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same shop.")
@click.option("--home", default="var/demo", show_default=True, type=click.Path(path_type=Path), help="Its data folder.")
@click.option("--flower-port", type=int, help="Default: the first free one from 5555 on.")
def command(
    check: bool, gateway: str, faults: bool, orders: int, contacts: int, seed: int, home: Path, flower_port: int | None
) -> int:
    """Show orders and their customers reaching a simulated SYSPRO, and keep running.

    Brings its own Redis, a SQLite store and both systems; touches no setting of yours.
    """
    begun = clock.monotonic()
    screen = Console(stderr=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, with all that was started
    connection = Site(home.absolute(), gateway, Shop(seed, contacts, 200, orders), flower_port)
    try:
        url = connection.start()
        _introduce(screen, connection, url)
        with engine(sends=True) as one:
            summary = _Demo(one, connection, url, screen, faults).run()
        summary["seconds"] = round(clock.monotonic() - begun, 1)
        if check:
            show_json(summary)
            return FAILED if summary["problems"] else 0
        _conclude(screen, summary, url, connection)
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return 0 if not check else FAILED
    finally:
        screen.print("Stopping…")
        connection.stop()


def _introduce(screen: Console, connection: Site, url: str) -> None:
    screen.print(f"[bold]Sandbox[/bold]  {url}/   (both simulated systems, gateway {connection.gateway})")
    screen.print(f"[bold]Flower[/bold]   http://127.0.0.1:{connection.settings.flower_port}/")
    screen.print(f"[bold]Logs[/bold]     {connection.home / 'log'}")
    screen.print(f"For the demo only: {'; '.join(SHORTENED)}.")


def _conclude(screen: Console, summary: dict[str, Any], url: str, connection: Site) -> None:
    counts = ", ".join(f"{summary[name]} {name}" for name in ("pushed", "waiting", "held", "dead", "duplicates"))
    calls = ", ".join(f"{system} {count['total']}" for system, count in summary["calls"].items())
    screen.print(f"[bold]Orders:[/bold] {counts}, in {summary['seconds']} s. Calls: {calls}.")
    for problem in summary["problems"][:10]:
        screen.print(f"  [red]{problem}[/red]")
    screen.print(f"It keeps running. Look at {url}/ and try, with SYNCENGINE_HOME={connection.home}:")
    screen.print(f"  syncengine status     syncengine deadletters list     syncengine trace {summary['an_order']}")
    screen.print("Ctrl-C stops it.")


@dataclass
class _Demo:
    """One run: sync both flows, do harm if asked to, wait until all is calm, compare."""

    engine: Engine
    connection: Site
    url: str
    screen: Console
    faults: bool

    def run(self) -> dict[str, Any]:
        if self.faults:
            self._late_create()
        for flow in FLOWS:
            for found in sync.start(self.engine, sync.Request(flow)):
                self.screen.print(f"{flow}: {found}")
        self._watch()
        return self._summary()

    def _late_create(self) -> None:
        """The answer to one create is lost, and it takes effect some seconds after the client gave up."""
        fault = {"system": "syspro", "operation": "SORTOI.add", "kind": "late", "times": 1, "seconds": 4}
        requests.post(f"{self.url}/_sandbox/faults", json=fault, timeout=10).raise_for_status()

    def _watch(self) -> None:
        harms = [(0.25, "kill -9 of the worker", self._kill_worker), (0.5, "FLUSHALL", self.connection.flush_redis)]
        harms = harms if self.faults else []
        columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        deadline, calm_since = clock.monotonic() + PATIENCE_S, clock.monotonic()
        with Progress(*columns, TextColumn("{task.fields[told]}"), console=self.screen) as progress:
            bars = {flow: progress.add_task(flow, total=None, told="") for flow in FLOWS}
            while clock.monotonic() < deadline:
                lefts = {flow: status.backlog(self.engine, flow) for flow in FLOWS}
                for flow, left in lefts.items():
                    told = ", ".join(f"{count} {name}" for name, count in sorted(left.statuses.items()))
                    progress.update(bars[flow], total=left.total, completed=left.total - left.due, told=told)
                pushed, total = lefts["orders"].statuses.get(Status.DONE, 0), lefts["orders"].total
                while harms and total and pushed >= harms[0][0] * total:
                    _, name, do = harms.pop(0)
                    progress.console.print(f"[red]{name}[/red]")
                    do()
                if any(left.due for left in lefts.values()):
                    calm_since = clock.monotonic()
                elif clock.monotonic() - calm_since > CALM_S:
                    return
                clock.sleep(0.25)

    def _kill_worker(self) -> None:
        os.kill(self.connection.pid("worker"), signal.SIGKILL)

    def _summary(self) -> dict[str, Any]:
        flows = {one.flow: one for one in status.flows(self.engine)}
        with self.engine.store.read() as session:
            letters = [
                {
                    "flow": one.flow,
                    "key": one.key,
                    "field": one.field,
                    "value": one.value,
                    "cause": one.cause,
                    "kind": one.kind,
                }
                for one, _ in dead_letters.listed(session)
            ]
        statuses = {name: status.backlog(self.engine, name).statuses for name in FLOWS}
        shop = self.connection.shop
        made = generate(shop.seed, contacts=shop.contacts, products=shop.products, orders=shop.orders)
        report = _demo_check.check(self.url, made, letters, statuses)
        orders = flows["orders"]
        problems = list(report.problems)
        problems += [f"{one.due} {one.flow} are still due" for one in flows.values() if one.due]
        return {
            "gateway": self.connection.gateway,
            "found": orders.records,
            "pushed": orders.done,
            "skipped": orders.skipped,
            "waiting": orders.waiting,
            "held": orders.held,
            "dead": orders.dead,
            "customers": flows["customers"].done,
            "duplicates": report.duplicates,
            "an_order": next((str(key) for key, fate in made.expected.items() if fate == "pushed"), ""),
            "calls": self._calls(),
            "problems": problems,
        }

    def _calls(self) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/_sandbox/calls", timeout=10).json()
        totals: dict[str, Any] = answer.get("by_system", answer)
        return totals

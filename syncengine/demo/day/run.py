"""One run of the day of stock: a first load, the day itself, and when nothing is due any more the comparison and its echo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import requests
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from syncengine import clock
from syncengine.demo import faults
from syncengine.demo.comparison.stock import Report, compare
from syncengine.demo.day.script import WEIGHTS, Day, begin
from syncengine.demo.day.systems import Systems
from syncengine.demo.installation import DemoInstallation
from syncengine.demo.plan import RULE
from syncengine.engine.core.engine import Engine
from syncengine.engine.people import status
from syncengine.engine.steps import sync
from syncengine.sandbox.shop.catalogue import GIFT
from syncengine.sandbox.shop.generator import generate
from syncengine.sandbox.shop.model import Shop

FLOW = "inventory"
ITEMS = 10
CYCLES = 3
ACT_S = 0.35
CALM_S = 3.0
FAULTS_TAKE_S = 60.0
"""A lease of the worker that is killed, and what became of a correction is asked after its settle time."""
MAX_LOAD_S, MAX_SETTLE_S = 90.0, 120.0


class DayRun:
    """Runs the day in an installation that has been started; `url` is the sandbox's address. play_s: its length."""

    def __init__(
        self, engine: Engine, installation: DemoInstallation, url: str, screen: Console, *,
        with_faults: bool, play_s: float,
    ) -> None:  # fmt: skip
        self._engine, self._installation, self._url, self._screen = engine, installation, url, screen
        self._faults = faults.planned(installation) if with_faults else []
        self._rule = replace(RULE, slack_s=RULE.slack_s + FAULTS_TAKE_S) if with_faults else RULE
        self._play_s = play_s
        self._systems = Systems(url, clock.now)
        self._day = self._begin()

    def run(self) -> dict[str, Any]:
        """Load, trade, settle and compare; returns the summary that `--check` prints, with `problems` empty if all is right."""
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}"),
        )
        with Progress(*columns, console=self._screen) as progress:
            self._load(progress)
            self._trade(progress)
            self._settle(progress)
            self._screen.print("Comparing every level, every write and every stay at 0 with the ledger…")
            report = self._compare()
            self._screen.print(f"Waiting for {CYCLES} more cycles, in which nothing may be written…")
            echo = self._echo()
        return self._summary(report, echo)

    def _begin(self) -> Day:
        shop = self._shop()
        skus = [each.sku for each in shop.products if each.stock_tracked and each.in_syspro and each.sku != GIFT]
        contacts = [each.id for each in shop.contacts if each.currency == "GBP" and each.email]
        return begin(self._systems, [sku for sku in skus if sku][:ITEMS], contacts, self._installation.shop.seed)

    def _shop(self) -> Shop:
        size = self._installation.shop
        return generate(
            size.seed, contacts=size.contacts, products=size.products, orders=size.orders, awkward=size.awkward
        )

    # -- the three parts -----------------------------------------------------------------------------------------------

    def _load(self, progress: Progress) -> None:
        """The first load, and its customers."""
        task = progress.add_task("first load", total=None, now="")
        for flow in self._installation.plan.flows:
            for found in sync.start(self._engine, sync.Request(flow)):
                self._screen.print(f"{flow}: {found}")
        self._until_calm(progress, task, MAX_LOAD_S, least_s=RULE.poll_s)
        progress.update(task, total=1, completed=1)

    def _trade(self, progress: Progress) -> None:
        """The day: people act, and the other system is informed of what they did."""
        task, begun, acted = progress.add_task("the day", total=self._play_s, now=""), clock.monotonic(), 0
        late = bool(self._faults)
        while (passed := clock.monotonic() - begun) < self._play_s or set(self._day.done) < set(WEIGHTS):
            self._day.people.tend()
            if passed >= acted * ACT_S:
                self._day.act()
                acted += 1
            while self._faults and passed >= self._faults[0][0] * self._play_s:
                _, name, inject = self._faults.pop(0)
                progress.console.print(f"[red]{name}[/red]")
                inject()
            if late and passed >= 0.75 * self._play_s:
                progress.console.print("[red]a correction is carried out late[/red]")
                faults.delay_a_write(self._installation, self._url)
                late = False
            progress.update(task, completed=passed, now=f"{sum(self._day.done.values())} acts")
            clock.sleep(0.05)

    def _settle(self, progress: Progress) -> None:
        """Until both systems were informed of everything, and the engine has read and done all that follows."""
        task = progress.add_task("settling", total=None, now="")
        people = self._day.people
        while not people.is_idle:
            people.tend()
            clock.sleep(0.1)
        self._until_calm(
            progress, task, MAX_SETTLE_S, least_s=RULE.within_s + 2 * RULE.sweep_s + RULE.poll_s + RULE.lag_s
        )
        people.tend()
        progress.update(task, total=1, completed=1)

    def _until_calm(self, progress: Progress, task: Any, most_s: float, *, least_s: float) -> None:
        """Wait until nothing has been due for a while, for `least_s` at least and `most_s` at most."""
        begun = calm_since = clock.monotonic()
        while clock.monotonic() - begun < most_s:
            backlogs = {flow: status.backlog(self._engine, flow) for flow in self._installation.plan.flows}
            progress.update(task, now=_statuses(backlogs[FLOW].statuses))
            if any(backlog.due for backlog in backlogs.values()):
                calm_since = clock.monotonic()
            elif min(clock.monotonic() - calm_since - CALM_S, clock.monotonic() - begun - least_s) > 0:
                return
            self._day.people.tend()
            clock.sleep(0.25)

    # -- what came of it -----------------------------------------------------------------------------------------------

    def _compare(self) -> Report:
        return compare(self._url, self._day.people.ledger, self._rule, clock.now())

    def _echo(self) -> dict[str, int]:
        """What is written in some more cycles of polls and sweeps, by what it is: nothing."""
        before = self._written()
        clock.sleep(CYCLES * (RULE.sweep_s + RULE.poll_s))
        return dict(self._written() - before)

    def _written(self) -> Counter[str]:
        """What the API has created or changed, by object, and the calls for corrections whatever came of them."""
        effects = requests.get(f"{self._url}/_sandbox/effects", timeout=30).json()
        found = Counter(each["object"] for each in effects if each["by"] == "api")
        calls = requests.get(f"{self._url}/_sandbox/calls", timeout=30).json()
        found["calls of stock-correction"] = calls["brightpearl"]["operations"].get("stock_correction.create", 0)
        return found

    def _summary(self, report: Report, echo: Mapping[str, int]) -> dict[str, Any]:
        flows = {flow.flow: flow for flow in status.flows(self._engine)}
        inventory, people = flows[FLOW], self._day.people
        missing = sorted(set(WEIGHTS) - set(self._day.done))
        problems = [
            *map(str, report.problems),
            *(f"after settling {count} of {name} were written" for name, count in echo.items()),
            *(f"{flow.due} of {name} are still due" for name, flow in flows.items() if flow.due),
            *(f"{flow.dead} of {name} are dead" for name, flow in flows.items() if flow.dead),
            *(f"{flow.held} of {name} are held" for name, flow in flows.items() if flow.held),
            *(f"nobody could {kind}" for kind in missing),
        ]
        return {
            "gateway": self._installation.gateway,
            "acts": sum(self._day.done.values()),
            "kinds": dict(sorted(self._day.done.items())),
            "orders": len(people.orders),
            "corrections_undone": people.corrections,
            "items": inventory.records,
            "levels": report.levels,
            "differences": report.differences,
            "writes": report.writes,
            "writes_outside": report.outside,
            "hidden": report.hidden,
            "longest_hidden_s": round(report.longest_hidden_s, 1),
            "echo": sum(echo.values()),
            "calls": requests.get(f"{self._url}/_sandbox/calls", timeout=30).json(),
            "problems": problems,
        }


def _statuses(found: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(found.items()))

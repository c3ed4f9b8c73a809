"""One run of the demo: sync all flows, inject faults if asked to, wait until nothing is due, invoice, compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from syncengine import clock
from syncengine.demo import faults
from syncengine.demo.comparison import Report, compare
from syncengine.demo.comparison.tax import Verdict, compare_tax
from syncengine.demo.faults import Fault
from syncengine.demo.installation import DemoInstallation
from syncengine.demo.tax_shown import tax_problems, tax_shown
from syncengine.engine.core.engine import Engine
from syncengine.engine.people import dead_letters, status
from syncengine.engine.people.status import Backlog
from syncengine.engine.steps import sync
from syncengine.sandbox.shop.generator import generate
from syncengine.sandbox.shop.model import Shop
from syncengine.store.states import Status

FLOWS = ("customers", "orders")
TAX_FLOW = "order_tax"
EVERY_IN_PART = 5
"""Each fifth order is invoiced in two parts."""
LETTER_FIELDS = ("flow", "key", "field", "value", "cause", "kind")
MAX_RUN_S = 270.0
CALM_S = 2.0
INVOICING_S = 60


class DemoRun:
    """Runs the demo in an installation that has been started; `url` is the sandbox's address."""

    def __init__(
        self, engine: Engine, installation: DemoInstallation, url: str, screen: Console, *, with_faults: bool
    ) -> None:
        self._engine, self._installation, self._url, self._screen = engine, installation, url, screen
        self._with_faults = with_faults

    def run(self) -> dict[str, Any]:
        """Sync, wait and compare; returns the summary that `--check` prints, with `problems` empty if all is right."""
        planned = faults.planned(self._installation) if self._with_faults else []
        if self._with_faults:
            faults.delay_a_write(self._installation, self._url)
        for flow in FLOWS:
            self._start(flow)
        self._watch(planned)
        shop = self._generated()
        report = self._compared(shop)
        for _ in range(2):
            self._invoice()
        self._start(TAX_FLOW)
        self._watch([])
        return self._summary(shop, report, self._tax_compared(shop))

    def _start(self, flow: str) -> None:
        for found in sync.start(self._engine, sync.Request(flow)):
            self._screen.print(f"{flow}: {found}")

    def _invoice(self) -> None:
        """Let SYSPRO's people ship and invoice what is open; an order that is open in part afterwards needs another day."""
        day = {"every_in_part": EVERY_IN_PART}
        requests.post(f"{self._url}/_sandbox/syspro/day", json=day, timeout=INVOICING_S).raise_for_status()

    def _watch(self, planned: list[Fault]) -> None:
        """Show progress and inject the faults, until nothing has been due for a while or the time is up."""
        columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        deadline, calm_since = clock.monotonic() + MAX_RUN_S, clock.monotonic()
        with Progress(*columns, TextColumn("{task.fields[statuses]}"), console=self._screen) as progress:
            bars = {flow: progress.add_task(flow, total=None, statuses="") for flow in (*FLOWS, TAX_FLOW)}
            while clock.monotonic() < deadline:
                backlogs = {flow: status.backlog(self._engine, flow) for flow in bars}
                _show(progress, bars, backlogs)
                pushed, total = backlogs["orders"].statuses.get(Status.DONE, 0), backlogs["orders"].total
                while planned and total and pushed >= planned[0][0] * total:
                    _, name, inject = planned.pop(0)
                    progress.console.print(f"[red]{name}[/red]")
                    inject()
                if any(backlog.due for backlog in backlogs.values()):
                    calm_since = clock.monotonic()
                elif clock.monotonic() - calm_since > CALM_S:
                    return
                clock.sleep(0.25)

    def _generated(self) -> Shop:
        size = self._installation.shop
        return generate(
            size.seed, contacts=size.contacts, products=size.products, orders=size.orders, tax_mix=size.tax_mix
        )

    def _summary(self, shop: Shop, report: Report, tax: Verdict) -> dict[str, Any]:
        flows = {flow.flow: flow for flow in status.flows(self._engine)}
        still_due = [f"{flow.due} {flow.flow} are still due" for flow in flows.values() if flow.due]
        orders = flows["orders"]
        return {
            "gateway": self._installation.gateway,
            "found": orders.records,
            "pushed": orders.done,
            "skipped": orders.skipped,
            "waiting": orders.waiting,
            "held": orders.held,
            "dead": orders.dead,
            "customers": flows["customers"].done,
            "duplicates": report.duplicates,
            "an_order": next((str(key) for key, fate in shop.expected.items() if fate == "pushed"), ""),
            "tax": {
                "orders": tax.orders,
                "invoices": tax.invoices,
                "explained": len(tax.explained),
                "silent": len(tax.silent),
            },
            "calls": self._calls(),
            "problems": [*map(str, report.problems), *tax_problems(tax), *still_due],
        }

    def _compared(self, shop: Shop) -> Report:
        with self._engine.store.read() as session:
            letters = [
                {name: getattr(failure, name) for name in LETTER_FIELDS} for failure, _ in dead_letters.listed(session)
            ]
        statuses = {flow: status.backlog(self._engine, flow).statuses for flow in FLOWS}
        return compare(self._url, shop, [letter for letter in letters if letter["flow"] in FLOWS], statuses)

    def _tax_compared(self, shop: Shop) -> Verdict:
        """What the shop charged against what SYSPRO booked and invoiced, and what people are shown of it."""
        booked = requests.get(f"{self._url}/_sandbox/syspro/tax/orders", timeout=INVOICING_S).json()
        numbers = {str(order["number"]): str(order["po"]) for order in booked}
        with self._engine.store.read() as session:
            shown = tax_shown(session, numbers)
        return compare_tax(self._url, shop, shown)

    def _calls(self) -> dict[str, Any]:
        answer = requests.get(f"{self._url}/_sandbox/calls", timeout=10).json()
        totals: dict[str, Any] = answer.get("by_system", answer)
        return totals


def _show(progress: Progress, bars: Mapping[str, TaskID], backlogs: Mapping[str, Backlog]) -> None:
    for flow, backlog in backlogs.items():
        statuses = ", ".join(f"{count} {name}" for name, count in sorted(backlog.statuses.items()))
        progress.update(bars[flow], total=backlog.total, completed=backlog.total - backlog.due, statuses=statuses)

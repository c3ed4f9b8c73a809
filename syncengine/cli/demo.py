"""`syncengine demo`: the whole product against two simulated systems, on this machine alone."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from syncengine import clock
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._output import show_json
from syncengine.demo.day.run import DayRun
from syncengine.demo.installation import DemoInstallation, ShopSize
from syncengine.demo.plan import ORDERS, STOCK_DAY
from syncengine.demo.run import DemoRun
from syncengine.engine.core.engine import Engine

MAX_PROBLEMS_SHOWN = 10
PRODUCTS, PRODUCTS_OF_A_DAY = 200, 60
TAX_MIX = 22
CONTACTS, ORDERS_OF_THE_SHOP = 150, 500
CONTACTS_OF_A_DAY = 12


@dataclass(frozen=True, slots=True)
class _Options:
    day: str
    check: bool
    gateway: str
    faults: bool
    seconds: float


@click.command("demo")
@click.option(
    "--day", type=click.Choice(["stock"]), help="A trading day instead: goods move at both systems for a minute."
)
@click.option("--check", is_flag=True, help="Run unattended; exit 0 only if every order, or level, is correct.")
@click.option(
    "--gateway", type=click.Choice(["enet", "harmony"]), default="enet", show_default=True, help="API of SYSPRO to use."
)
@click.option("--faults", is_flag=True, help="Kill a worker, empty Redis, and delay one write beyond its time-out.")
@click.option("--orders", type=int, help="Number of orders in the simulated shop. Default: 500; on a day none.")
@click.option("--contacts", type=int, help="Number of customers in the simulated shop. Default: 150; on a day 12.")
@click.option("--seconds", default=45.0, show_default=True, help="Length of a day.")
@click.option("--seed", default=1, show_default=True, help="Seed of the shop; the same seed gives the same shop.")
@click.option("--home", default="var/demo", show_default=True, type=click.Path(path_type=Path), help="Data folder.")
@click.option("--flower-port", type=int, help="Port of Flower. Default: the first free one from 5555.")
def command(
    day: str | None, check: bool, gateway: str, faults: bool, orders: int | None, contacts: int | None, seconds: float,
    seed: int, home: Path, flower_port: int | None,
) -> int:  # fmt: skip
    """Sync a simulated shop to a simulated SYSPRO.

    Keeps running until Ctrl-C. The demo starts its own Redis, a SQLite store and both systems. It does not use your
    configuration.
    """
    started = clock.monotonic()
    screen = Console(stderr=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: stops everything that was started
    shop = _shop_of_a_day(seed, contacts, orders) if day else _shop(seed, contacts, orders)
    options = _Options(day or "", check, gateway, faults, seconds)
    installation = DemoInstallation(home.absolute(), gateway, shop, flower_port, STOCK_DAY if day else ORDERS)
    try:
        url = installation.start()
        _introduce(screen, installation, url)
        with open_engine(sends=True) as engine:
            summary = _run(engine, installation, url, screen, options)
        summary["seconds"] = round(clock.monotonic() - started, 1)
        if check:
            show_json(summary)
            return Exit.NO if summary["problems"] else Exit.OK
        _conclude(screen, summary, url, installation)
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return Exit.NO if check else Exit.OK
    finally:
        screen.print("Stopping…")
        installation.stop()


def _shop(seed: int, contacts: int | None, orders: int | None) -> ShopSize:
    return ShopSize(
        seed, CONTACTS if contacts is None else contacts, PRODUCTS, ORDERS_OF_THE_SHOP if orders is None else orders,
        TAX_MIX,
    )  # fmt: skip


def _shop_of_a_day(seed: int, contacts: int | None, orders: int | None) -> ShopSize:
    return ShopSize(
        seed, CONTACTS_OF_A_DAY if contacts is None else contacts, PRODUCTS_OF_A_DAY, orders or 0, awkward=False
    )


def _run(
    engine: Engine, installation: DemoInstallation, url: str, screen: Console, options: _Options
) -> dict[str, Any]:
    if options.day:
        run = DayRun(engine, installation, url, screen, with_faults=options.faults, play_s=options.seconds)
        return run.run()
    return DemoRun(engine, installation, url, screen, with_faults=options.faults).run()


def _introduce(screen: Console, installation: DemoInstallation, url: str) -> None:
    screen.print(f"[bold]Sandbox[/bold]  {url}/   (both simulated systems, gateway {installation.gateway})")
    address = f"http://127.0.0.1:{installation.settings.flower_port}/"
    screen.print(f"[bold]Flower[/bold]   {address}   (user demo, password {installation.flower_password})")
    screen.print(f"[bold]Logs[/bold]     {installation.home / 'log'}")
    screen.print(f"For the demo only: {'; '.join(installation.plan.shortened)}.")


def _conclude(screen: Console, summary: dict[str, Any], url: str, installation: DemoInstallation) -> None:
    calls = ", ".join(f"{system} {count['total']}" for system, count in summary["calls"].items())
    if "levels" in summary:
        names = ("acts", "levels", "differences", "writes", "writes_outside", "hidden", "echo")
        counts = ", ".join(f"{summary[name]} {name.replace('_', ' ')}" for name in names)
        screen.print(f"[bold]Stock:[/bold] {counts}, in {summary['seconds']} s. Calls: {calls}.")
        example = ""
    else:
        counts = ", ".join(f"{summary[name]} {name}" for name in ("pushed", "waiting", "held", "dead", "duplicates"))
        tax = ", ".join(f"{count} {name}" for name, count in summary["tax"].items())
        screen.print(f"[bold]Orders:[/bold] {counts}, in {summary['seconds']} s. Calls: {calls}.")
        screen.print(f"[bold]Tax compared:[/bold] {tax}.")
        example = f"     syncengine trace {summary['an_order']}"
    for problem in summary["problems"][:MAX_PROBLEMS_SHOWN]:
        screen.print(f"  [red]{problem}[/red]")
    screen.print(f"The demo keeps running. Open {url}/ and try, with SYNCENGINE_HOME={installation.home}:")
    screen.print(f"  syncengine status     syncengine deadletters list{example}")
    screen.print("Press Ctrl-C to stop it.")

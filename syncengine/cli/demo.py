"""`syncengine demo`: the whole product against two simulated systems, on this machine alone."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from syncengine import clock
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._output import show_json
from syncengine.demo.installation import SHORTENED, DemoInstallation, ShopSize
from syncengine.demo.run import DemoRun

MAX_PROBLEMS_SHOWN = 10
PRODUCTS = 200
TAX_MIX = 22


@click.command("demo")
@click.option("--check", is_flag=True, help="Run unattended; exit 0 only if every order arrived once and is correct.")
@click.option(
    "--gateway", type=click.Choice(["enet", "harmony"]), default="enet", show_default=True, help="API of SYSPRO to use."
)
@click.option("--faults", is_flag=True, help="Kill a worker, empty Redis, and delay one create beyond its time-out.")
@click.option("--orders", default=500, show_default=True, help="Number of orders in the simulated shop.")
@click.option("--contacts", default=150, show_default=True, help="Number of customers in the simulated shop.")
@click.option("--seed", default=1, show_default=True, help="Seed of the shop; the same seed gives the same shop.")
@click.option("--home", default="var/demo", show_default=True, type=click.Path(path_type=Path), help="Data folder.")
@click.option("--flower-port", type=int, help="Port of Flower. Default: the first free one from 5555.")
def command(
    check: bool, gateway: str, faults: bool, orders: int, contacts: int, seed: int, home: Path, flower_port: int | None
) -> int:
    """Sync a simulated shop to a simulated SYSPRO.

    Keeps running until Ctrl-C. The demo starts its own Redis, a SQLite store and both systems. It does not use your
    configuration.
    """
    started = clock.monotonic()
    screen = Console(stderr=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: stops everything that was started
    shop = ShopSize(seed, contacts, PRODUCTS, orders, TAX_MIX)
    installation = DemoInstallation(home.absolute(), gateway, shop, flower_port)
    try:
        url = installation.start()
        _introduce(screen, installation, url)
        with open_engine(sends=True) as engine:
            summary = DemoRun(engine, installation, url, screen, with_faults=faults).run()
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


def _introduce(screen: Console, installation: DemoInstallation, url: str) -> None:
    screen.print(f"[bold]Sandbox[/bold]  {url}/   (both simulated systems, gateway {installation.gateway})")
    address = f"http://127.0.0.1:{installation.settings.flower_port}/"
    screen.print(f"[bold]Flower[/bold]   {address}   (user demo, password {installation.flower_password})")
    screen.print(f"[bold]Logs[/bold]     {installation.home / 'log'}")
    screen.print(f"For the demo only: {'; '.join(SHORTENED)}.")


def _conclude(screen: Console, summary: dict[str, Any], url: str, installation: DemoInstallation) -> None:
    counts = ", ".join(f"{summary[name]} {name}" for name in ("pushed", "waiting", "held", "dead", "duplicates"))
    calls = ", ".join(f"{system} {count['total']}" for system, count in summary["calls"].items())
    tax = ", ".join(f"{count} {name}" for name, count in summary["tax"].items())
    screen.print(f"[bold]Orders:[/bold] {counts}, in {summary['seconds']} s. Calls: {calls}.")
    screen.print(f"[bold]Tax compared:[/bold] {tax}.")
    for problem in summary["problems"][:MAX_PROBLEMS_SHOWN]:
        screen.print(f"  [red]{problem}[/red]")
    screen.print(f"The demo keeps running. Open {url}/ and try, with SYNCENGINE_HOME={installation.home}:")
    screen.print(f"  syncengine status     syncengine deadletters list     syncengine trace {summary['an_order']}")
    screen.print("Press Ctrl-C to stop it.")

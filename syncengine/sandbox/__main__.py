"""`python -m syncengine.sandbox`: both simulated systems in the foreground."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from syncengine.sandbox.server import Running, Sandbox
from syncengine.sandbox.switches import Switches, UnknownSwitch


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code. 2: an argument or the address cannot be used."""
    options = parser().parse_args(argv)
    try:
        switches: dict[str, object] = dict(_pair(text) for text in options.switch)
        if options.latency is not None:
            switches["latency_s"] = options.latency
        sandbox = Sandbox(
            options.seed,
            switches,
            contacts=options.contacts,
            products=options.products,
            orders=options.orders,
            tax_mix=options.tax_mix,
            awkward=not options.plain,
        )
        running = sandbox.start(options.host, options.port, options.tls)
    except (UnknownSwitch, OSError) as problem:
        sys.stderr.write(f"sandbox: {problem}\n")
        return 2
    _announce(running, options.ready_file)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    running.stop()
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser("syncengine sandbox", description="A simulated Brightpearl and SYSPRO on one port.")
    found.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    found.add_argument("--port", type=int, default=8900, help="port, 0 for a free one (default %(default)s)")
    found.add_argument("--seed", type=int, default=1, help="the same seed gives the same shop (default %(default)s)")
    found.add_argument("--contacts", type=int, default=150, help="customers in the shop (default %(default)s)")
    found.add_argument("--products", type=int, default=200, help="SKUs in the shop (default %(default)s)")
    found.add_argument("--orders", type=int, default=500, help="orders in the shop (default %(default)s)")
    found.add_argument(
        "--tax-mix", type=int, default=0, help="further orders with all kinds of tax (default %(default)s)"
    )
    found.add_argument("--plain", action="store_true", help="leave out the orders and customers that are awkward")
    found.add_argument("--latency", type=float, metavar="SECONDS", help="time before each answer (default 0.02)")
    found.add_argument("--tls", action="store_true", help="serve HTTPS with a certificate made on the spot")
    found.add_argument("--switch", action="append", default=[], metavar="NAME=VALUE", help="turn a switch; repeatable")
    found.add_argument("--ready-file", metavar="PATH", help="JSON with the address, written once it answers")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise UnknownSwitch(f"--switch {text}: write it as NAME=VALUE")
    return name.strip(), value.strip()


def _announce(running: Running, ready_file: str | None) -> None:
    url = running.url
    sys.stdout.write(
        f"sandbox      {url}/\n"
        f"Brightpearl  {url}/public-api/{running.sandbox.brightpearl.code}/\n"
        f"SYSPRO e.net {url}/SYSPROWCFService/Rest/\n"
        f"Harmony      {url}/api/harmony/2.0/\n"
    )
    if running.ca_file:
        sys.stdout.write(f"CA file      {running.ca_file}\n")
    sys.stdout.write(f"\n{credentials(running.sandbox.switches, url)}\n{_how_to_change(url)}")
    sys.stdout.flush()
    if ready_file:
        Path(ready_file).write_text(json.dumps({"url": running.url, "ca_file": running.ca_file}), encoding="utf-8")


def credentials(switches: Switches, url: str) -> str:
    """With which credentials both systems are called, for people."""
    operators = str(switches["syspro_operators"]).split(",")
    operator, _, password = operators[0].partition(":")
    redirect = switches["brightpearl_redirect_uri"] or "any address"
    return (
        f"Brightpearl  account {switches['brightpearl_account']}, app_ref {switches['brightpearl_app_ref']}\n"
        f"  private    account_token {switches['brightpearl_account_token']}\n"
        f"  staff      staff_token {switches['brightpearl_staff_token']}\n"
        f"  oauth      dev_ref {switches['brightpearl_dev_ref']}, redirect_uri {redirect},\n"
        f"             token_url {url}/token/{{account}}, authorize_url {url}/authorize/{{account}}\n"
        f"SYSPRO       company {switches['syspro_company']}, operator {operator}, operator_password {password}\n"
        f"  Harmony    api_key {switches['syspro_harmony_api_key']}\n"
    )


def _how_to_change(url: str) -> str:
    edit = f'curl -X POST {url}/_sandbox/brightpearl/orders/5002/edit -d \'{{"reference": "new"}}\''
    return (
        f"Write .env and syncengine.yml for it: syncengine init --sandbox --sandbox-url {url}\n"
        f"Edit an order: {edit}\n"
        "More (switches, faults, SYSPRO's side): docs/sandbox.md\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())

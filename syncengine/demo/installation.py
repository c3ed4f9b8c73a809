"""The demo's installation: the sandbox, its configuration file and all processes, in one data folder."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from syncengine import clock, environment, settings
from syncengine.demo.plan import LATENCY_S, ORDERS, DemoPlan
from syncengine.engine.setup import bootstrap, configure
from syncengine.engine.setup.configure import Given
from syncengine.errors import Misconfigured
from syncengine.flows import SHIPPED
from syncengine.flows.connections import connection_template
from syncengine.local import redis_server
from syncengine.local.supervisor import Supervisor
from syncengine.sandbox.shop.model import CUT_OVER
from syncengine.settings import Settings
from syncengine.store import migrate

SANDBOX_START_S = 30.0
FIRST_FLOWER_PORT = 5555
FIRST_WEB_PORT = 5560
OVERRIDES = ("REDIS_URL", "DATABASE_URL", "SYNCENGINE_KEYS", "SYNCENGINE_KEY_FILE", "SYNCENGINE_FLOWS")


@dataclass(frozen=True, slots=True)
class ShopSize:
    """Seed and sizes of the generated shop; the same figures give the same shop.

    tax_mix: number of further orders with all kinds of tax. awkward: with orders and customers that are.
    """

    seed: int
    contacts: int
    products: int
    orders: int
    tax_mix: int = 0
    awkward: bool = True


class DemoInstallation:
    """Starts and stops the demo's processes: the sandbox, Redis, workers, beat and Flower.

    Construction sets the environment variables that child processes read, and empties the data folder `home` unless an
    installation is running in it.
    """

    def __init__(
        self, home: Path, gateway: str, shop: ShopSize, flower_port: int | None, plan: DemoPlan = ORDERS
    ) -> None:
        self.home, self.gateway, self.shop, self.plan = home, gateway, shop, plan
        self.flower_password = secrets.token_urlsafe(9)
        self.sandbox: subprocess.Popen[bytes] | None = None
        self.supervisor: Supervisor | None = None
        for name in OVERRIDES:
            os.environ.pop(name, None)
        os.environ.update(plan.environment)
        if home.exists() and not Supervisor(self.load_settings(flower_port)).pid():
            shutil.rmtree(home)  # each demo starts from scratch
        home.mkdir(parents=True, exist_ok=True)
        self._change_intervals()
        self.settings = self.load_settings(flower_port)

    def load_settings(self, flower_port: int | None) -> Settings:
        """Point the environment at the data folder and return the settings read from it. Raises Misconfigured."""
        os.environ["SYNCENGINE_HOME"] = str(self.home)
        os.environ["FLOWER_BASIC_AUTH"] = f"demo:{self.flower_password}"
        os.environ["SYNCENGINE_FLOWER_PORT"] = str(flower_port or _free_port(FIRST_FLOWER_PORT))
        os.environ["SYNCENGINE_WEB_PORT"] = str(_free_port(FIRST_WEB_PORT))
        self.home.mkdir(parents=True, exist_ok=True)
        config = self.home / "syncengine.yml"
        config.touch()
        os.environ["SYNCENGINE_CONFIG"] = str(config)
        return settings.load()

    def start(self) -> str:
        """Start everything; returns the sandbox's address. Raises Misconfigured."""
        url = self.start_sandbox()
        self.configure(url)
        self.supervisor = Supervisor(self.settings)
        self.supervisor.start()
        return url

    def configure(self, sandbox_url: str) -> None:
        """Write the configuration file, migrate the store and apply the file to it. Raises Misconfigured."""
        current = self.settings
        text = yaml.safe_dump(self._configuration(sandbox_url), sort_keys=False)
        current.config_path.write_text(text, encoding="utf-8")
        migrate.upgrade(current.database_url)
        store = bootstrap.open_store(current)
        try:
            vault = bootstrap.open_vault(current, store)
            flows, folder = bootstrap.flows_to_install(current, store)
            installation = configure.read_file(current.config_path, environment.current())
            given = Given(flows_folder=folder, call_s=current.call_s, by="demo")
            configure.apply(store, vault, flows, installation, given)
        finally:
            store.close()

    def stop(self) -> None:
        """Stop everything that was started."""
        if self.supervisor is not None:
            self.supervisor.stop()
        if self.sandbox is not None:
            self.sandbox.terminate()
            self.sandbox.wait(10)

    def pid(self, program: str) -> int:
        """Process id of one of the supervised processes. Raises Misconfigured if it is not running."""
        pids = self.supervisor.pids() if self.supervisor is not None else {}
        if program not in pids:
            raise Misconfigured(f"the demo's {program} is not running. See the logs in {self.home / 'log'}")
        return pids[program]

    def flush_redis(self) -> None:
        """Empty the demo's own Redis."""
        client = redis_server.connect(self.settings)
        client.flushall()
        client.close()

    def start_sandbox(self) -> str:
        """Start both simulated systems in a process; returns their address. Raises Misconfigured."""
        ready = self.home / "sandbox.json"
        ready.unlink(missing_ok=True)
        shop = self.shop
        options = {
            "--port": 0, "--seed": shop.seed, "--contacts": shop.contacts, "--products": shop.products,
            "--orders": shop.orders, "--tax-mix": shop.tax_mix, "--latency": LATENCY_S, "--ready-file": ready,
            "--switch": "syspro_tax_override=accepted",
        }  # fmt: skip
        arguments = [str(part) for pair in options.items() for part in pair]
        arguments += [] if shop.awkward else ["--plain"]
        log = (self.home / "sandbox.log").open("wb")
        self.sandbox = subprocess.Popen(
            [sys.executable, "-m", "syncengine.sandbox", *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = clock.monotonic() + SANDBOX_START_S
        while not ready.exists() or not ready.read_text(encoding="utf-8"):
            if self.sandbox.poll() is not None or clock.monotonic() > deadline:
                raise Misconfigured(f"the sandbox did not start. See {self.home / 'sandbox.log'}")
            clock.sleep(0.1)
        return str(json.loads(ready.read_text(encoding="utf-8"))["url"])

    def _change_intervals(self) -> None:
        """Write the flows whose intervals the plan changes into the folder of the installation's own flows."""
        folder = self.home / "flows.d"
        for name, changed in self.plan.intervals.items():
            folder.mkdir(exist_ok=True)
            flow = yaml.safe_load((SHIPPED / f"{name}.yml").read_text(encoding="utf-8"))
            (folder / f"{name}.yml").write_text(json.dumps({**flow, **changed, "replaces": True}), encoding="utf-8")
            for table in SHIPPED.glob("*.csv"):
                shutil.copy(table, folder)

    def _configuration(self, url: str) -> dict[str, Any]:
        plan = self.plan
        flow_settings, lookups = connection_template(plan.flows)
        shop = {"url": url, "account": "sandbox", "app_ref": "sandbox_app", "auth": "private", **plan.shop}
        return {
            "endpoints": {
                "shop": {
                    "system": "brightpearl",
                    "settings": shop,
                    "secrets": {"account_token": "sandbox-account-token"},
                },
                "erp": {"system": "syspro", **self._syspro(url)},
            },
            "connections": {
                "main": {
                    "left": "shop",
                    "right": "erp",
                    "mode": "live",
                    "flows": list(plan.flows),
                    "cut_over": CUT_OVER.isoformat(),
                    "quiet_s": plan.quiet_s,
                    "settings": {**_plain(flow_settings), **plan.settings},
                    "lookups": {**lookups, **plan.lookups},
                }
            },
        }

    def _syspro(self, url: str) -> dict[str, Any]:
        """Settings and secrets of the SYSPRO endpoint, by gateway."""
        if self.gateway == "enet":
            address = {"url": f"{url}/SYSPROWCFService/Rest", "operator": "BPSYNC", "company": "T"}
            secrets = {"operator_password": "s3cret!"}
        else:
            address = {"url": url, "auth": "api_key"}
            secrets = {"api_key": "harmony-sandbox-key"}
        return {"settings": {"gateway": self.gateway, **address, **self.plan.erp}, "secrets": secrets}


def _plain(value: Any) -> Any:
    """Without the line numbers that a table read from YAML carries."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


def _free_port(first: int) -> int:
    for port in range(first, first + 100):
        if redis_server.is_free(port):
            return port
    raise Misconfigured(f"no free port between {first} and {first + 99}. Set --flower-port")

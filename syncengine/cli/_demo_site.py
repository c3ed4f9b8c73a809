"""The demo's installation: the sandbox, its configuration file, all processes; everything in one data folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from syncengine import clock, settings
from syncengine.cli.configure import take_over
from syncengine.errors import Misconfigured
from syncengine.flows.connections import connection_template
from syncengine.local import redis_server
from syncengine.local.supervisor import Supervisor
from syncengine.sandbox.shop.model import CUT_OVER
from syncengine.settings import Settings
from syncengine.store import migrate

SETTLE_S = 10
QUIET_S = 2
LATENCY_S = 0.02
SHORTENED = (
    f"latency of the simulated systems {LATENCY_S * 1000:.0f} ms",
    f"settle time {SETTLE_S} s instead of 120 s",
    f"quiet period {QUIET_S} s instead of 60 s",
)
SANDBOX_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Shop:
    """What the sandbox is made of; the same figures give the same shop."""

    seed: int
    contacts: int
    products: int
    orders: int


class Site:
    """Starts and stops the demo's processes. All of them are ours, and end with it."""

    def __init__(self, home: Path, gateway: str, shop: Shop, flower_port: int | None) -> None:
        self.home, self.gateway, self.shop = home, gateway, shop
        self.flows = ["customers", "orders"]
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._supervisor: Supervisor | None = None
        for name in ("REDIS_URL", "DATABASE_URL", "SYNCENGINE_KEYS", "SYNCENGINE_KEY_FILE", "SYNCENGINE_FLOWS"):
            os.environ.pop(name, None)
        if home.exists() and not Supervisor(self._settings(flower_port)).pid():
            shutil.rmtree(home)  # each demo begins anew
        home.mkdir(parents=True, exist_ok=True)
        self.settings = self._settings(flower_port)

    def _settings(self, flower_port: int | None) -> Settings:
        os.environ["SYNCENGINE_HOME"] = str(self.home)
        os.environ["SYNCENGINE_FLOWER_PORT"] = str(flower_port or _free_port(5555))
        self.home.mkdir(parents=True, exist_ok=True)
        config = self.home / "syncengine.yml"
        config.touch()
        os.environ["SYNCENGINE_CONFIG"] = str(config)
        return settings.load()

    def start(self) -> str:
        """Bring everything up; returns the sandbox's address. Raises Misconfigured."""
        url = self._start_sandbox()
        current = self.settings
        current.config_path.write_text(yaml.safe_dump(self._configuration(url), sort_keys=False), encoding="utf-8")
        migrate.upgrade(current.database_url)
        take_over(current, current.config_path)
        self._supervisor = Supervisor(current)
        self._supervisor.start()
        return url

    def stop(self) -> None:
        """End everything that was started."""
        if self._supervisor is not None:
            self._supervisor.stop()
        if self._sandbox is not None:
            self._sandbox.terminate()
            self._sandbox.wait(10)

    def pid(self, program: str) -> int:
        """Process id of one of the processes. Raises Misconfigured if it does not run."""
        pids = self._supervisor.pids() if self._supervisor is not None else {}
        if program not in pids:
            raise Misconfigured(f"the demo's {program} does not run. See the logs in {self.home / 'log'}")
        return pids[program]

    def flush_redis(self) -> None:
        """Empty the demo's own Redis."""
        client = redis_server.connect(self.settings)
        client.flushall()
        client.close()

    def _start_sandbox(self) -> str:
        ready = self.home / "sandbox.json"
        ready.unlink(missing_ok=True)
        shop = self.shop
        arguments = {
            "--port": 0, "--seed": shop.seed, "--contacts": shop.contacts, "--products": shop.products,
            "--orders": shop.orders, "--latency": LATENCY_S, "--ready-file": ready,
        }  # fmt: skip
        words = [str(word) for pair in arguments.items() for word in pair]
        log = (self.home / "sandbox.log").open("wb")
        self._sandbox = subprocess.Popen(
            [sys.executable, "-m", "syncengine.sandbox", *words],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = clock.monotonic() + SANDBOX_PATIENCE_S
        while not ready.exists() or not ready.read_text(encoding="utf-8"):
            if self._sandbox.poll() is not None or clock.monotonic() > deadline:
                raise Misconfigured(f"the sandbox did not start. See {self.home / 'sandbox.log'}")
            clock.sleep(0.1)
        return str(json.loads(ready.read_text(encoding="utf-8"))["url"])

    def _configuration(self, url: str) -> dict[str, Any]:
        flow_settings, lookups = connection_template()
        enet = {
            "gateway": "enet", "url": f"{url}/SYSPROWCFService/Rest", "operator": "BPSYNC", "company": "T",
        }  # fmt: skip
        harmony = {"gateway": "harmony", "url": url, "auth": "api_key"}
        syspro_secrets = (
            {"operator_password": "s3cret!"} if self.gateway == "enet" else {"api_key": "harmony-sandbox-key"}
        )
        return {
            "endpoints": {
                "shop": {
                    "system": "brightpearl",
                    "settings": {"url": url, "account": "sandbox", "app_ref": "sandbox_app", "auth": "private"},
                    "secrets": {"account_token": "sandbox-account-token"},
                },
                "erp": {
                    "system": "syspro",
                    "settings": {**(enet if self.gateway == "enet" else harmony), "settle_s": SETTLE_S},
                    "secrets": syspro_secrets,
                },
            },
            "connections": {
                "main": {
                    "left": "shop",
                    "right": "erp",
                    "mode": "live",
                    "flows": self.flows,
                    "cut_over": CUT_OVER.isoformat(),
                    "quiet_s": QUIET_S,
                    "settings": _plain(flow_settings),
                    "lookups": lookups,
                }
            },
        }


def _plain(value: Any) -> Any:
    """Without the line numbers that a table read from YAML carries."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _free_port(preferred: int) -> int:
    for port in range(preferred, preferred + 100):
        if redis_server.is_free(port):
            return port
    raise Misconfigured(f"no port from {preferred} on is free. Say --flower-port")

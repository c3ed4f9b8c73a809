"""An installation of one's own to be harmed: both simulated systems, a Redis, a store, workers and beat, all started here.

Everything is in one folder and ends with the `with` block. What dies is started again by `tend`, as a supervisor would.
Calls, leases and settle times are shortened together (`TIMES`), so that what takes minutes takes seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import redis
import yaml
from cryptography.fernet import Fernet

from scripts.crashes import points
from syncengine import connectors
from syncengine.demo.plan import WAREHOUSES
from syncengine.engine.setup import configure
from syncengine.engine.setup.configure import ConnectionPlan, EndpointPlan, Installation
from syncengine.flows import SHIPPED
from syncengine.flows.connections import connection_template
from syncengine.flows.flow import HIGHEST_CEILING
from syncengine.flows.loader import load_flows
from syncengine.local import redis_server
from syncengine.sandbox.server import Sandbox
from syncengine.store import Store, migrate
from syncengine.vault import Vault

ROOT = Path(__file__).resolve().parents[2]
FLOWS, STOCK = ("customers", "orders"), "inventory"
STOP_S = 15.0
LAG_S = 1  # seconds until a change shows in a search


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. A late commit takes effect within the settle time, as the product is promised by its setting."""

    connect_s: float = 1.0
    read_s: float = 3.0
    lease_s: float = 8.0
    settle_s: float = 10.0
    frozen_s: float = 11.0  # longer than a lease
    late_s: float = 7.0
    every_s: float = 4.0
    sweep_s: float = 12.0
    within_s: float = 10.0  # both systems are informed of the same goods, whatever is killed meanwhile
    quiet_s: float = 1.0
    backoff_most_s: float = 5.0
    breaker_most_s: float = 4.0

    @property
    def call_s(self) -> float:
        return self.connect_s + self.read_s + 1.0

    def environment(self) -> dict[str, str]:
        """The product's own settings."""
        return {
            "SYNCENGINE_CALL_S": str(self.call_s),
            "SYNCENGINE_LEASE_S": str(self.lease_s),
            "SYNCENGINE_RETRY_MAX_S": "3",
            "SYNCENGINE_BACKOFF_MAX_S": str(self.backoff_most_s),
            "SYNCENGINE_PUMP_EVERY_S": "1",
            "SYNCENGINE_BREAKER_FIRST_S": "1",
            "SYNCENGINE_BREAKER_MOST_S": str(self.breaker_most_s),
            "SYNCENGINE_BREAKER_WINDOW_S": "10",
        }


@dataclass(frozen=True, slots=True)
class Shape:
    """How large an installation is, and on which systems."""

    seed: int = 1
    contacts: int = 30
    orders: int = 60
    workers: int = 2
    gateway: str = "enet"
    database_url: str = ""  # empty: SQLite in its folder
    most_deaths: int = 12  # of one record: faults at random may hit the same one often, without poison
    deaths_apart_s: float = 60.0  # seconds; deaths of one record closer together count once
    awkward: int | None = None  # in which way some orders are awkward (`awkward.ways_of`); None: none is
    times: Times = field(default_factory=Times)
    latency_s: float = 0.02
    trades: bool = False  # goods move at both systems, and stock is synced too

    @property
    def flows(self) -> tuple[str, ...]:
        """The flows that are synced."""
        return (*FLOWS, STOCK) if self.trades else FLOWS

    @property
    def settled_s(self) -> float:
        """Seconds after which both systems must have been informed of all goods, and a sweep has read all stock."""
        return self.times.within_s + 2 * self.times.sweep_s

    @property
    def load(self) -> int:
        """How many records there are at the start, about."""
        return self.orders + self.contacts


class Site:
    """The installation; see the module's text."""

    def __init__(self, home: Path, shape: Shape) -> None:
        self.home, self.shape = home, shape
        shutil.rmtree(home, ignore_errors=True)
        self.points = home / "points"
        self.points.mkdir(parents=True)
        self.key = Fernet.generate_key().decode()
        self.database_url = shape.database_url or f"sqlite:///{home}/syncengine.db"
        self.restarts = 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()
        switches = {"latency_s": shape.latency_s, "brightpearl_limit": 0}
        self.sandbox = Sandbox(
            shape.seed, switches, contacts=shape.contacts, products=60, orders=shape.orders, awkward=False
        )
        self._running = self.sandbox.start()
        self.url = self._running.url
        self._redis_folder = home / "redis"
        self._redis_folder.mkdir()

    # -- from start to end ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        migrate.upgrade(self.database_url)
        self.store = Store(self.database_url)
        flows = load_flows([SHIPPED], connectors.resources())
        configure.apply(self.store, Vault(self.store, [self.key]), flows, installation(self.url, self.shape))
        self._hurry_flows()
        self.start_redis()
        for name in self._commands():
            self._start(name)
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()
        for name in [name for name in self._processes if name != "redis"]:
            self._end(name)
        if "redis" in self._processes:
            self._end("redis")
        self._running.stop()

    def tend(self) -> None:
        """Start again what died, as a supervisor does."""
        with self._lock:
            for name, process in list(self._processes.items()):
                if process.poll() is not None:
                    self.restarts += 1
                    self.start_redis() if name == "redis" else self._start(name)

    # -- what can be harmed --------------------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        """Process id of `worker`, `realtime`, `beat` or `redis`."""
        return self._processes[name].pid

    def restart_redis(self) -> None:
        """Kill it and start it again with what its append-only file has kept."""
        with self._lock:
            self._processes["redis"].kill()
            self._processes["redis"].wait()
            self.start_redis()

    def empty_redis(self) -> None:
        """FLUSHALL."""
        self._client().flushall()

    def cut_database(self, for_s: float) -> None:
        """PostgreSQL: end all connections of the product. SQLite: keep the write lock for some seconds, in the background."""
        if self.store.is_sqlite:
            threading.Thread(target=self._hold_lock, args=(for_s,), daemon=True).start()
            time.sleep(0.05)
            return
        with self.store.engine.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def _hold_lock(self, for_s: float) -> None:
        holder = sqlite3.connect(self.home / "syncengine.db", isolation_level=None, timeout=30)
        holder.execute("BEGIN IMMEDIATE")
        time.sleep(for_s)
        holder.execute("ROLLBACK")
        holder.close()

    # -- processes -----------------------------------------------------------------------------------------------------

    def start_redis(self) -> None:
        """Start it on a socket, and wait until it answers."""
        options = ["--port", "0", "--unixsocket", str(self._socket), "--dir", str(self._redis_folder)]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]  # as the embedded one
        self._launch("redis", [redis_server.binary(), *options, *durable])
        client = self._client()
        until = time.monotonic() + 20
        while True:
            try:
                client.ping()
                return
            except (redis.ConnectionError, redis.BusyLoadingError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    @property
    def _socket(self) -> Path:
        return self.home / "redis.sock"

    def _client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self._socket))

    def _commands(self) -> dict[str, list[str]]:
        low = ["--hostname=worker@%h", "--queues=scheduled,backfill", f"--concurrency={self.shape.workers}"]
        fast = ["--hostname=realtime@%h", "--queues=realtime", "--concurrency=1"]
        return {"worker": ["worker", *low], "realtime": ["worker", *fast], "beat": ["beat"]}

    def _start(self, name: str) -> None:
        self._launch(name, [sys.executable, "-m", "scripts.crashes.process", *self._commands()[name]])

    def _launch(self, name: str, command: list[str]) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                cwd=ROOT, env=self._environment(), start_new_session=True,
            )  # fmt: skip

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        for number in (signal.SIGCONT, signal.SIGTERM):
            _signal_group(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()

    def _environment(self) -> dict[str, str]:
        config = self.home / "syncengine.yml"
        config.touch()
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("SYNCENGINE_")},
            "SYNCENGINE_HOME": str(self.home),
            "SYNCENGINE_CONFIG": str(config),
            "SYNCENGINE_FLOWS": str(self.home / "flows.d"),
            "DATABASE_URL": self.database_url,
            "SYNCENGINE_KEYS": self.key,
            "REDIS_URL": f"redis+socket://{self._socket}",
            "SYNCENGINE_WORKERS": str(self.shape.workers),
            "SYNCENGINE_MAX_CRASHES": str(self.shape.most_deaths),
            "SYNCENGINE_LOG_LEVEL": "WARNING",
            points.FOLDER: str(self.points),
            points.APART: str(self.shape.deaths_apart_s),
            **self.shape.times.environment(),
        }

    # -- its configuration ---------------------------------------------------------------------------------------------

    def _hurry_flows(self) -> None:
        """The flows that ship, read every few seconds."""
        folder = self.home / "flows.d"
        folder.mkdir()
        for name in self.shape.flows:
            flow = yaml.safe_load((SHIPPED / f"{name}.yml").read_text(encoding="utf-8"))
            flow |= {"every": f"{self.shape.times.every_s:g} s", "replaces": True}
            if name == STOCK:
                flow |= {"sweep": f"{self.shape.times.sweep_s:g} s"}
            (folder / f"{name}.yml").write_text(json.dumps(flow), encoding="utf-8")
        for table in SHIPPED.glob("*.csv"):
            shutil.copy(table, folder)


def installation(url: str, shape: Shape) -> Installation:
    """What `syncengine configure` would read: both simulated systems at `url`, and the connection between them."""
    times = shape.times
    shop = {
        "url": url, "account": "sandbox", "app_ref": "sandbox_app", "auth": "private", "limit_per_minute": 0,
        "connect_s": times.connect_s, "read_s": times.read_s, "lag_s": LAG_S,
    }  # fmt: skip
    enet = {"gateway": "enet", "url": f"{url}/SYSPROWCFService/Rest", "operator": "BPSYNC", "company": "T"}
    harmony = {"gateway": "harmony", "url": url, "auth": "api_key"}
    is_enet = shape.gateway == "enet"
    erp = {
        **(enet if is_enet else harmony),
        "connect_timeout_s": times.connect_s, "read_timeout_s": times.read_s,
        "settle_s": times.settle_s, "read_settle_s": times.read_s, "logons_per_minute": 60,
    }  # fmt: skip
    secret = {"operator_password": "s3cret!"} if is_enet else {"api_key": "harmony-sandbox-key"}
    settings, lookups = connection_template(shape.flows)
    if shape.trades:
        settings |= {"posted_within_minutes": times.within_s / 60}
        lookups |= {"stock_warehouses": {code: str(number) for code, number in WAREHOUSES.items()}}
        shop |= {"cost_currency": "GBP", "correction_settle_s": times.settle_s}
    plan = ConnectionPlan(
        name="main", left="shop", right="erp", mode="live", cut_over=datetime(2025, 1, 1, tzinfo=UTC),
        verify_creates_until=None, flows=list(shape.flows), quiet_s=times.quiet_s,
        settings=settings, lookups=lookups, where="scripts/chaos",
        ceilings=dict.fromkeys(shape.flows, HIGHEST_CEILING),
    )  # fmt: skip
    return Installation(
        [
            EndpointPlan("shop", "brightpearl", shop, {"account_token": "sandbox-account-token"}, plan.where),
            EndpointPlan("erp", "syspro", erp, secret, plan.where),
        ],
        [plan],
    )


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def describe(shape: Shape) -> dict[str, Any]:
    """What an installation was, for a report."""
    database = "sqlite" if not shape.database_url else "postgresql"
    return {
        "gateway": shape.gateway, "database": database, "workers": shape.workers, "seed": shape.seed,
        "settle_s": shape.times.settle_s,
    }  # fmt: skip

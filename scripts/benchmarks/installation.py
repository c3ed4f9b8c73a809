"""An installation of the benchmarks' own: simulated systems in a process, a store, a Redis and workers if asked for.

Everything is in one temporary folder and ends with the `with` block.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
import requests
from cryptography.fernet import Fernet

from syncengine import clock, connectors
from syncengine.connectors.hooks import SECRET
from syncengine.engine.core.engine import Chain, Engine, Limits
from syncengine.engine.setup import bootstrap, configure
from syncengine.engine.setup.configure import ConnectionPlan, EndpointPlan, Installation
from syncengine.flows import SHIPPED
from syncengine.flows.connections import connection_template
from syncengine.flows.flow import HIGHEST_CEILING
from syncengine.flows.loader import load_flows
from syncengine.http.meter import Meter
from syncengine.local import redis_server
from syncengine.store import Store, migrate
from syncengine.vault import Vault

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STOP_S = 30.0


class Systems:
    """The simulated systems in a process of their own (shop.py)."""

    def __init__(self, orders: int, customers: int, latency_s: float, status: int = 2) -> None:
        command = [sys.executable, str(HERE / "shop.py"), "--orders", str(orders), "--customers", str(customers)]
        self._process = subprocess.Popen(
            [*command, "--latency", str(latency_s), "--status", str(status)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        about = self._answer()
        self.url, self.sku = str(about["url"]), str(about["sku"])
        self._http = requests.Session()

    def ask(self, *words: object) -> dict[str, Any]:
        """Give a command of shop.py; its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def cpu_s(self) -> float:
        """CPU seconds that the simulated systems have used."""
        return float(self.ask("cpu")["cpu_s"])

    def calls(self, *, reset: bool = False) -> dict[str, dict[str, int]]:
        """Calls since the last reset, by system and operation."""
        answer = self._http.get(f"{self.url}/_sandbox/calls", params={"reset": "1"} if reset else {}, timeout=30)
        answer.raise_for_status()
        return {system: dict(entry["operations"]) for system, entry in answer.json().items()}

    def new_order(self, contact_id: int, sku: str) -> int:
        """A customer orders one piece; the order's id."""
        body = {"contactId": contact_id, "statusId": 2, "rows": [{"sku": sku, "quantity": 1}]}
        answer = self._http.post(f"{self.url}/_sandbox/brightpearl/orders", json=body, timeout=30)
        answer.raise_for_status()
        return int(answer.json()["id"])

    def effects(self, **filters: str) -> list[dict[str, Any]]:
        """What was created, changed or cancelled (sandbox/calls.py)."""
        answer = self._http.get(f"{self.url}/_sandbox/effects", params=filters, timeout=60)
        answer.raise_for_status()
        return list(answer.json())

    def turn(self, **switches: object) -> None:
        """Turn switches of the simulated systems (sandbox/switches/)."""
        self._http.patch(f"{self.url}/_sandbox/switches", json=switches, timeout=30).raise_for_status()

    def fault(self, **fault: object) -> int:
        """Activate a fault (sandbox/faults.py). Returns its id, for `end_fault`."""
        answer = self._http.post(f"{self.url}/_sandbox/faults", json=fault, timeout=30)
        answer.raise_for_status()
        return int(answer.json()["id"])

    def end_fault(self, fault: int) -> None:
        """Take a fault away."""
        self._http.delete(f"{self.url}/_sandbox/faults/{fault}", timeout=30).raise_for_status()

    def latest_calls(self) -> list[dict[str, Any]]:
        """The latest calls one by one, oldest first; some thousands at most."""
        answer = self._http.get(f"{self.url}/_sandbox/calls/latest", timeout=60)
        answer.raise_for_status()
        return list(answer.json())

    def stop(self) -> None:
        """End the process."""
        self._http.close()
        _end(self._process)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the simulated systems ended; see above")
        return dict(json.loads(line))


class Site:
    """A configured installation against `systems`: no throttle unless a limit is given, no quiet period, SQLite, guests
    recognised by channel alone."""

    def __init__(
        self,
        systems: Systems,
        home: Path,
        *,
        settings: dict[str, Any] | None = None,
        limit_per_minute: int = 0,
        flows: Sequence[str] = ("customers", "orders"),
        lookups: dict[str, Any] | None = None,
        database_url: str = "",
        shop: dict[str, Any] | None = None,
    ) -> None:
        """shop: further settings of the Brightpearl endpoint. The others are the connection's."""
        self.systems, self.home = systems, home
        self._flows, self._lookups, self._shop = list(flows), lookups or {}, shop or {}
        self.key = Fernet.generate_key().decode()
        self.database_url = database_url or f"sqlite:///{home}/syncengine.db"
        migrate.upgrade(self.database_url)
        self.flows = load_flows([SHIPPED], connectors.resources())
        self.messages: list[Chain] = []
        self._redis: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes]] = []
        store = Store(self.database_url)
        plan = self._installation(settings or {}, limit_per_minute)
        configure.apply(store, Vault(store, [self.key]), self.flows, plan)
        store.close()

    def engine(self, *, send: Callable[[Chain], None] | None = None, limits: Limits | None = None) -> Engine:
        """An engine for this process; chains go into `messages` unless `send` is given."""
        store = Store(self.database_url)
        vault = Vault(store, [self.key])
        lent = bootstrap.services(store, vault, None)
        return Engine(
            store, vault, self.flows, connect=lambda end: connectors.connect(end, lent),
            send=self.messages.append if send is None else send,
            limits=limits,
            meter=Meter(redis.Redis(unix_socket_path=self._socket)) if self._redis else None,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """The variables under which any process of the product finds this installation."""
        config = self.home / "syncengine.yml"
        config.touch()
        return {
            **os.environ,
            "SYNCENGINE_HOME": str(self.home),
            "SYNCENGINE_CONFIG": str(config),
            "DATABASE_URL": self.database_url,
            "SYNCENGINE_KEYS": self.key,
            "SYNCENGINE_LOG_LEVEL": "WARNING",
            "SYNCENGINE_WEB_PORT": "0",
            "REDIS_URL": self.redis_url,
        }

    @property
    def redis_url(self) -> str:
        return f"redis+socket://{self._socket}"

    @property
    def _socket(self) -> str:
        return f"{self.home}/redis.sock"

    def start_redis(self) -> redis.Redis:
        """Start a Redis on a socket, and connect to it."""
        options = ["--port", "0", "--unixsocket", self._socket, "--dir", str(self.home)]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]  # as the embedded one
        self._redis = subprocess.Popen(
            [redis_server.binary(), *options, *durable],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        client = redis.Redis(unix_socket_path=self._socket)
        for _ in range(100):
            try:
                client.ping()
                return client
            except redis.ConnectionError:
                clock.sleep(0.05)
        raise SystemExit("Redis did not start")

    def start(
        self, *command: str, name: str, environment: dict[str, str] | None = None, module: str = "celery"
    ) -> subprocess.Popen[bytes]:
        """Start `celery ...`, or another module, with this Python; its log is in the home folder."""
        log = (self.home / f"{name}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", module, *command],
            stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=environment or self.environment(),
            start_new_session=True,
        )  # fmt: skip
        self._workers.append(process)
        return process

    def start_workers(self, *, processes: int = 2, beat: bool = False) -> list[subprocess.Popen[bytes]]:
        """The worker and the realtime worker (and beat), as an installation runs them."""
        app = ("-A", "syncengine")
        environment = {**self.environment(), "SYNCENGINE_WORKERS": str(processes)}
        low = ("worker", "--hostname=worker@%h", "--queues=scheduled,backfill", f"--concurrency={processes}")
        fast = ("worker", "--hostname=realtime@%h", "--queues=realtime", "--concurrency=1")
        started = [
            self.start(*app, *low, name="worker", environment=environment),
            self.start(*app, *fast, name="realtime", environment=environment),
        ]
        if beat:
            started.append(self.start(*app, "beat", name="beat", environment=environment))
        return started

    def start_web(self, *, environment: dict[str, str] | None = None) -> str:
        """The web process with its defaults, once it answers; its address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        given = {
            **self.environment(),
            **(environment or {}),
            "SYNCENGINE_WEB_PORT": str(port),
            "SYNCENGINE_WEB_URL": url,
        }
        self.web = self.start("--config=python:syncengine.web.server", name="web", environment=given, module="gunicorn")
        for _ in range(200):
            try:
                if requests.get(f"{url}/readyz", timeout=5).ok:
                    return url
            except requests.RequestException:
                pass
            clock.sleep(0.1)
        raise SystemExit(f"the web process did not start; logs: {self.home}")

    def subscribe(self, web_url: str) -> str:
        """Subscribe to the webhooks of the simulated Brightpearl; returns their secret."""
        environment = {**self.environment(), "SYNCENGINE_WEB_URL": web_url}
        command = [sys.executable, "-m", "syncengine", "webhooks", "sync"]
        subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        engine = self.engine()
        try:
            return engine.vault.read(engine.connections()[0].left_id, SECRET) or ""
        finally:
            engine.close()

    def stop(self) -> None:
        """End all processes that were started, Redis last."""
        for process in [*self._workers, *([self._redis] if self._redis else [])]:
            _end(process)
        self._workers, self._redis = [], None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _installation(self, settings: dict[str, Any], limit: int) -> Installation:
        url = self.systems.url
        shop = {
            "url": url,
            "account": "sandbox",
            "app_ref": "sandbox_app",
            "auth": "private",
            "limit_per_minute": limit,
            **self._shop,
        }
        erp = {"gateway": "enet", "url": f"{url}/SYSPROWCFService/Rest", "operator": "BPSYNC", "company": "T"}
        flow_settings, lookups = connection_template(self._flows)
        plan = ConnectionPlan(
            name="main", left="shop", right="erp", mode="live", cut_over=datetime(2025, 1, 1, tzinfo=UTC),
            verify_creates_until=None, flows=self._flows, quiet_s=0.0,
            settings={**flow_settings, "guest_contact_tags": [], **settings}, lookups={**lookups, **self._lookups},
            where="the benchmark", ceilings=dict.fromkeys(self._flows, HIGHEST_CEILING),
        )  # fmt: skip
        return Installation(
            [
                EndpointPlan("shop", "brightpearl", shop, {"account_token": "sandbox-account-token"}, plan.where),
                EndpointPlan("erp", "syspro", erp, {"operator_password": "s3cret!"}, plan.where),
            ],
            [plan],
        )


@contextmanager
def site(
    *, orders: int, customers: int, latency_s: float = 0.0, limit_per_minute: int = 0, status: int = 2, **more: Any
) -> Iterator[Site]:
    """Systems and an installation against them; all of it ends with the block.

    limit_per_minute: Brightpearl's; 0: none. status: of every order. more: as of a Site.
    """
    systems = Systems(orders, customers, latency_s, status)
    systems.turn(brightpearl_limit=limit_per_minute)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            Site(systems, Path(folder), limit_per_minute=limit_per_minute, **more) as made,
        ):
            yield made
    finally:
        systems.stop()


def end_on_sigterm() -> None:
    """Have SIGTERM end a benchmark like Ctrl-C: with all that it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds of a process and all its living children, from /proc."""
    tick = os.sysconf("SC_CLK_TCK")
    return sum(_ticks(pid) for pid in family(process.pid)) / tick


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        found = [int(child) for child in children.read_text().split()]
    except FileNotFoundError:
        return []
    return [pid, *(pid for child in found for pid in family(child))]


def rss_mb(pid: int) -> float:
    """Resident memory of a process, MB; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    for line in lines:
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0
    return int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])


def _end(process: subprocess.Popen[Any]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

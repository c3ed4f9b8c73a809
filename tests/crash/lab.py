"""Both simulated systems, a store, and processes that can be killed or frozen at any place (`zygote.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import select

from scripts.crashes import points
from scripts.crashes.installation import ROOT, Shape, Times, installation
from scripts.crashes.judge import due, judge
from scripts.crashes.people import People
from syncengine import connectors
from syncengine.engine.core.want import want
from syncengine.engine.setup import configure
from syncengine.engine.steps.discover import CURSOR_LEASES
from syncengine.flows import SHIPPED
from syncengine.flows.loader import load_flows
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from syncengine.store import Store, migrate
from syncengine.store.models import Failure, Record
from syncengine.store.states import Lane
from syncengine.vault import Vault

#: As in production; nobody waits for them here.
TIMES = Times(connect_s=5, read_s=30, lease_s=45, settle_s=120, quiet_s=0, within_s=600)
PATIENCE_S = 2000.0
DEATHS = 3  # SYNCENGINE_MAX_CRASHES's default


class Lab:
    """Made once for all places: what one death leaves behind is what the next one meets."""

    def __init__(self, home: Path, seed: int, times: Times = TIMES, *, orders: int = 6, trades: bool = False) -> None:
        self.shape = shape = Shape(seed=seed, contacts=4, orders=orders, times=times, trades=trades)
        switches = {"latency_s": 0.0, "brightpearl_limit": 0}
        sizes = {"contacts": shape.contacts, "products": 20, "orders": shape.orders, "awkward": False}
        self.sandbox = Sandbox(seed, switches, **sizes)  # type: ignore[arg-type]
        self._running = self.sandbox.start()
        self.url, self.points, self._order = self._running.url, home / "points", 0
        self.points.mkdir()
        self._database_url, self._key = f"sqlite:///{home}/lab.db", Fernet.generate_key().decode()
        migrate.upgrade(self._database_url)
        self.store = Store(self._database_url)
        flows = load_flows([SHIPPED], connectors.resources())
        configure.apply(self.store, Vault(self.store, [self._key]), flows, installation(self.url, shape))
        self.people = People(self.sandbox, self.url, seed)
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=ROOT, env={**os.environ, points.FOLDER: str(self.points)},
        )  # fmt: skip
        self._begin = {"database_url": self._database_url, "key": self._key, "url": self.url}
        self._ask({"do": "begin", "patience_s": PATIENCE_S, **self._begin})

    def close(self) -> None:
        """End the processes and both systems."""
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        self._zygote.wait(20)
        self.store.close()
        self._running.stop()

    def run(self, *, patience_s: float = 0.0) -> dict[str, Any]:
        """Let a process work; without patience, on what is due now. What became of it: `killed`, `frozen`, or its `code`."""
        return self._ask({"do": "run", "patience_s": patience_s, **self._begin})

    def settle(self) -> None:
        """Let processes work until nothing is due; a cursor that somebody kept when he died is free by then."""
        self.pass_(CURSOR_LEASES * self.shape.times.lease_s + 1)
        assert self.run(patience_s=PATIENCE_S)["code"] == 0
        assert due(self.store) == 0

    def wake(self, pid: int) -> dict[str, Any]:
        """A frozen process continues; what became of it in the end."""
        return self._ask({"do": "wake", "pid": pid})

    def pass_(self, seconds: float) -> None:
        """Move all clocks on."""
        self._ask({"do": "pass", "url": self.url, "seconds": seconds})

    def arm(self, point: str, action: str) -> None:
        """The next process that passes there is killed (`kill`) or frozen (`stop`)."""
        self._order += 1
        order = {"id": self._order, "point": point, "action": action}
        (self.points / points.ARMED[0]).write_text(json.dumps(order), encoding="utf-8")

    def poison(self, point: str, key: str | None) -> None:
        """Every process that passes there with the record of this key dies; None ends it."""
        path = self.points / points.POISON
        path.unlink(missing_ok=True)
        if key is not None:
            path.write_text(json.dumps({"point": point, "key": key}), encoding="utf-8")

    def deaths(self) -> list[int]:
        """Of each process that died of poison: how many records it had with it."""
        lines = (self.points / "deaths").read_text(encoding="utf-8").splitlines()
        return [int(line.split()[1]) for line in lines]

    def status(self, key: str) -> str:
        """Status of an order's record."""
        with self.store.read() as session:
            return session.scalars(select(Record.status).where(Record.flow == "orders", Record.key == key)).one()

    def cause(self, key: str) -> str:
        """Cause of an order's open dead letter."""
        with self.store.read() as session:
            return session.scalars(select(Failure.cause).where(Failure.key == key, Failure.closed_at.is_(None))).one()

    def retry(self, key: str) -> None:
        """Sync an order again, and let processes work."""
        with self.store.write() as session:
            want(session, 1, "orders", [key], lane=Lane.REALTIME, now=datetime.now(UTC))
        self.settle()

    def trouble(self) -> None:
        """Something to do that a fault can meet: a new order, an edited one, and whatever comes into people's minds."""
        for act in (self.people.new_order, self.people.edit_order, self.people.act):
            act()
        self.pass_(3)

    def lose_an_answer(self) -> None:
        """One create takes effect and its answer is lost; its settle time is over."""
        self.people.new_order()
        self.pass_(3)
        self.sandbox.faults.add(Fault(system="syspro", operation="SORTOI.add", kind="drop", after="commit"))
        assert self.run()["code"] == 0
        self.pass_(self.shape.times.settle_s + 1)

    def problems(self, awkward: Collection[int] = ()) -> list[str]:
        """What is wrong, with all that was lost or is there twice. Of `awkward` orders the judge expects nothing."""
        verdict = judge(self.store, self.url, self.people, awkward)
        return [*verdict.problems, *["lost"] * verdict.lost, *["twice"] * verdict.duplicates]

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.write(json.dumps(order) + "\n")
        self._zygote.stdin.flush()
        return dict(json.loads(self._zygote.stdout.readline()))

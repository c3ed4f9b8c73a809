"""`python -m tests.crash.zygote`: forks a process for each run of the engine, so that one can be killed or frozen anywhere.

A run is what workers and beat do, in one process and with the messages in a list: read the feeds, pump, fetch, transform,
push, until nothing is due. The clocks of all processes are the machine's, moved on by what is in shared memory: leases
and settle times pass without waiting. Commands and answers are lines of JSON.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from sqlalchemy import func, select

from scripts.crashes import points
from syncengine import clock, connectors
from syncengine.connectors.syspro import operator
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.setup import bootstrap
from syncengine.engine.steps import running, sync
from syncengine.engine.steps.pump import pump
from syncengine.flows import SHIPPED
from syncengine.flows.loader import load_flows
from syncengine.store import Store
from syncengine.store.models import Record
from syncengine.store.states import Stage
from syncengine.vault import Vault

LEAST_SLEEP_S = 2.0  # who polls for a seat, or for a place that a dead chain takes, shall not ask a thousand times
_ahead = mmap.mmap(-1, 8)
FLOWS = load_flows([SHIPPED], connectors.resources())


def ahead_s() -> float:
    return float(struct.unpack("d", _ahead[:8])[0])


def pass_(url: str, seconds: float) -> None:
    """Move all clocks on, the sandbox's too."""
    _ahead[:8] = struct.pack("d", ahead_s() + seconds)
    requests.post(f"{url}/_sandbox/switches", json={"clock_offset_s": ahead_s()}, timeout=10).raise_for_status()


class Run:
    """One process that works."""

    def __init__(self, store: Store, key: str, url: str) -> None:
        self.url, self.messages = url, list[Chain]()
        clock.sleep = lambda seconds: pass_(url, max(seconds, LEAST_SLEEP_S))
        vault = Vault(store, [key])
        lent = bootstrap.services(store, vault, None)
        send = points.sending(self.messages.append)
        self.engine = Engine(store, vault, FLOWS, connect=lambda end: connectors.connect(end, lent), send=send)

    def until_idle(self, *, patience_s: float) -> None:
        """Read the feeds, then do what is due; where nothing is, move on to when something will be."""
        for flow in FLOWS:
            sync.start(self.engine, sync.Request(flow))
        until = clock.now() + timedelta(seconds=patience_s)
        while True:
            self._pump()
            wait_s = self._next_s()
            if wait_s is None or clock.now() + timedelta(seconds=wait_s) > until:
                return
            pass_(self.url, max(wait_s, LEAST_SLEEP_S))

    def _pump(self) -> None:
        pump(self.engine, sweep=True)
        while self.messages:
            self._chain(self.messages.pop(0))
            pump(self.engine, sweep=True)

    def _chain(self, chain: Chain) -> None:
        for stage in chain.stages:
            self._step(stage, chain.token)

    def _step(self, stage: Stage, token: str) -> None:
        for retries in range(10):
            try:
                running.run(self.engine, stage, token, retries=retries)
                return
            except running.TryAgain as again:
                pass_(self.url, again.wait_s)

    def _next_s(self) -> float | None:
        """Seconds until a record is due, or until the lease of one whose worker is gone runs out."""
        due_at = func.coalesce(Record.lease_until, Record.not_before)
        with self.engine.store.read() as session:
            due = session.scalar(select(func.min(due_at)).where(Record.wanted > Record.done))
        return None if due is None else float((due - clock.now()).total_seconds()) + 0.01


_stores: list[Store] = []  # none, or the one whose compiled statements all children inherit


def _serve(order: dict[str, Any]) -> dict[str, Any]:
    if order["do"] == "begin":
        _stores.append(Store(order["database_url"]))
        Run(_stores[0], order["key"], order["url"]).until_idle(patience_s=order["patience_s"])
        return {}
    if order["do"] == "pass":
        pass_(order["url"], order["seconds"])
        return {}
    if order["do"] == "wake":
        os.kill(order["pid"], signal.SIGCONT)
        return _watched(order["pid"])
    pid = os.fork()
    if pid == 0:
        _stores[0].engine.dispose(close=False)  # the parent's connections are not ours
        Run(_stores[0], order["key"], order["url"]).until_idle(patience_s=order["patience_s"])
        os._exit(0)
    return _watched(pid)


def _watched(pid: int) -> dict[str, Any]:
    """Wait until the process has ended or is frozen."""
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return {"pid": pid, "frozen": True}
    return {"pid": pid, "killed": os.WIFSIGNALED(status), "code": None if os.WIFSIGNALED(status) else status >> 8}


def main() -> None:
    """Serve until standard input ends."""
    machine = time.monotonic
    clock.now = lambda: datetime.now(UTC) + timedelta(seconds=ahead_s())
    clock.monotonic = lambda: machine() + ahead_s()
    operator._now = lambda session: clock.now()  # PostgreSQL's clock cannot be moved
    points.install()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_serve(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""The operator's seat while a backfill never stops calling: a realtime call waits for the call that is running, no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from syncengine.connectors.syspro.connector import Syspro
from syncengine.http import guard
from syncengine.sandbox.server import Sandbox
from tests.contract.syspro.conftest import Connect
from tests.contract.syspro.test_syspro_seat import Lane, database_url  # noqa: F401 - a fixture: both databases

CALL_S = 0.7
BACKFILL, REALTIME = "100", "900"  # the orders that are read


class Calls:
    """What the simulated SYSPRO was asked, in order, each call taking its time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.lanes: list[str] = []
        self._news = threading.Condition()
        self._work = sandbox.syspro.call
        sandbox.syspro.call = self._watched

    def wait_for_next(self) -> None:
        """Until a further call has begun."""
        with self._news:
            count = len(self.lanes)
            assert self._news.wait_for(lambda: len(self.lanes) > count, timeout=30)

    def _watched(self, *arguments: object) -> object:
        text = repr(arguments)
        with self._news:
            self.lanes.append("realtime" if REALTIME * 2 in text else "backfill" if BACKFILL * 2 in text else "other")
            self._news.notify_all()
        time.sleep(CALL_S)
        return self._work(*arguments)


@contextmanager
def backfill(syspros: list[Syspro]) -> Iterator[None]:
    """Workers of a backfill, each one call after the other, until the end."""
    is_over = threading.Event()

    def work(syspro: Syspro) -> None:
        with guard.guarded(Lane("backfill")):
            while not is_over.is_set():
                read(syspro, BACKFILL)

    threads = [threading.Thread(target=work, args=(syspro,)) for syspro in syspros]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def read(syspro: Syspro, key: str) -> None:
    syspro.resources["syspro.sales_order"].read([key * 2])


def test_a_realtime_call_gets_the_very_next_call_after_the_one_that_is_running(
    connect_to: Connect, sandbox: Sandbox
) -> None:
    workers, urgent = [connect_to() for _ in range(2)], connect_to()
    read(urgent, BACKFILL)  # logs on
    calls = Calls(sandbox)
    with backfill(workers):
        for _ in range(2):
            calls.wait_for_next()
            begun = len(calls.lanes)
            with guard.guarded(Lane("realtime")):
                read(urgent, REALTIME)
            assert calls.lanes[begun] == "realtime"
    assert calls.lanes.count("realtime") == 2

"""Calls without a lease, counted for a flow and queued in a lane: the reading of feeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from syncengine.engine.core.engine import Engine
from syncengine.http.guard import guarded
from syncengine.store.states import Lane


@dataclass(slots=True)
class _Reader:
    """A guard without a lease: the feed's cursor is locked while its pages are read."""

    engine: Engine
    flow: str
    lane: str

    def renew(self) -> None:
        """Do nothing: nobody else reads this feed."""

    def check(self) -> None:
        """Do nothing: nobody else reads this feed."""

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Count the call."""
        self.engine.count_call(endpoint, self.flow, self.lane, operation, took_s)


@contextmanager
def on_account_of(engine: Engine, flow: str, lane: Lane) -> Iterator[None]:
    """Queue the calls made inside this context in the lane, and count them for the flow."""
    try:
        with guarded(_Reader(engine, flow, lane.label)):
            yield
    finally:
        engine.flush_calls()

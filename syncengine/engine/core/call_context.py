"""Calls that are made outside of a lease, on the account of a flow and in its lane: the reading of feeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from syncengine.engine.core.engine import Engine
from syncengine.http.guard import guarded
from syncengine.store.states import Lane


@dataclass(slots=True)
class _Reader:
    """A guard without a lease: a feed's cursor is taken for as long as its pages come."""

    engine: Engine
    flow: str
    lane: str

    def renew(self) -> None:
        """Nobody else reads this feed."""

    def check(self) -> None:
        """Nobody else reads this feed."""

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Have the call counted."""
        self.engine.count_call(endpoint, self.flow, self.lane, operation, took_s)


@contextmanager
def on_account_of(engine: Engine, flow: str, lane: Lane) -> Iterator[None]:
    """Have the calls that are made inside queue in this lane, and be counted as this flow's."""
    try:
        with guarded(_Reader(engine, flow, lane.label)):
            yield
    finally:
        engine.flush_calls()

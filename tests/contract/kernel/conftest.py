"""The world of the kernel's tests: see `world.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from syncengine import clock
from syncengine.connectors.base import Resource
from syncengine.engine.core.engine import Limits
from syncengine.flows.flow import Flow
from syncengine.store import Store
from syncengine.vault import Vault
from tests.contract.kernel.texts import Guarded, read_through
from tests.contract.kernel.world import Plain, System, Thing, Time, World, by_name, flow


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(clock, "now", time.now)
    monkeypatch.setattr(clock, "monotonic", time.monotonic)
    return time


@pytest.fixture
def make_world(store: Store, vault: Vault, time: Time) -> Callable[..., World]:
    """Makes a world with given flows and, where a test needs special ones, resources."""

    def make(*flows: Flow, limits: Limits | None = None, **settings: dict[str, object]) -> World:
        left, right = System("left", time), System("right", time)
        resources: dict[str, Resource] = {}
        for one in flows:
            for side, system in (("left", left), ("right", right)):
                name = f"{side}.{one.name}"
                resources[name] = Thing(
                    system, name, settle_s=120.0 if side == "right" else 0.0, **settings.get(side, {})
                )
        return World(store, vault, time, left, right, resources, {one.name: one for one in flows}, limits or Limits())

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """One flow, `things`, from left to right: the name is mapped, the left key is the reference."""
    return make_world(flow("things", Plain(by_name)))


@pytest.fixture(autouse=True)
def _texts_are_for_people() -> Iterator[None]:
    """In all of these tests nothing of the product may compare or search a text for people."""
    with read_through(Guarded):
        yield

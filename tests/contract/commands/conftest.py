"""The real commands on a real store, between the two small systems of the kernel's tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from syncengine.cli import _engine
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.setup import bootstrap
from syncengine.http.breaker import Breakers
from syncengine.settings import Settings
from syncengine.store import Store
from syncengine.vault import Vault
from tests.conftest import KEY
from tests.contract.commands.people import People
from tests.contract.kernel.conftest import make_world, time
from tests.contract.kernel.world import World
from tests.system.frame_fixtures import redis_url

__all__ = ["make_world", "redis_url", "time"]


@pytest.fixture
def people(tmp_path: Path, redis_url: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> People:
    """Two people, or more, at the command line of the test's store."""
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    client.close()
    for name, value in {
        "SYNCENGINE_HOME": str(tmp_path / "var"),
        "SYNCENGINE_CONFIG": "",
        "DATABASE_URL": store.url,
        "SYNCENGINE_KEYS": KEY,
        "REDIS_URL": redis_url,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return People(monkeypatch)


@pytest.fixture
def lend(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], World]:
    """Has each command make an engine of its own, on the store and between the systems of a world."""

    def lend(world: World) -> World:
        def engine(
            current: Settings, *, send: Callable[[Chain], None], redis_client: redis.Redis | None,
            hooks: Sequence[Any] = (), **more: Any,
        ) -> Engine:  # fmt: skip
            store = Store(current.database_url)
            breakers = Breakers(redis_client, bootstrap.rules(current)) if redis_client is not None else None
            return Engine(
                store, Vault(store, [KEY]), world.flows, connect=world._connect, send=send, limits=world.limits,
                breakers=breakers,
            )  # fmt: skip

        monkeypatch.setattr(bootstrap, "engine", engine)
        monkeypatch.setattr(_engine, "_celery_send", world.messages.append)
        return world

    return lend

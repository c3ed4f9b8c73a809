"""An endpoint in a store with a vault, and a sandbox in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from syncengine.connectors.base import Endpoint
from syncengine.connectors.brightpearl.connector import Brightpearl, connect
from syncengine.connectors.services import Services
from syncengine.sandbox.server import Running, Sandbox
from syncengine.store import Store
from syncengine.store import models as rows
from syncengine.store.models import Base
from syncengine.vault import Vault
from tests.conftest import KEY

FIRST_TOKENS = {"access_token": "sandbox-access-token=", "refresh_token": "sandbox-refresh-token="}
APP = {"account": "sandbox", "app_ref": "sandbox_app", "dev_ref": "sandbox", "limit_per_minute": 0}

Connect = Callable[..., Brightpearl]


def endpoint_in(store: Store, vault: Vault, settings: dict[str, Any], secrets: dict[str, str]) -> Endpoint:
    """The store's endpoint `shop`, with settings and secrets."""
    with store.write() as session:
        row = session.scalar(select(rows.Endpoint).where(rows.Endpoint.name == "shop"))
        if row is None:
            row = rows.Endpoint(name="shop", system="brightpearl", settings=settings)
            session.add(row)
            session.flush()
        number = row.id
    for name, value in secrets.items():
        vault.write(number, name, value)
    return Endpoint(number, "shop", "brightpearl", settings)


@pytest.fixture
def local_store(tmp_path: Path) -> Iterator[Store]:
    """A store for what does not depend on the database."""
    store = Store(f"sqlite:///{tmp_path}/local.db")
    Base.metadata.create_all(store.engine)
    yield store
    store.close()


@pytest.fixture
def local(local_store: Store) -> Services:
    return Services(local_store, Vault(local_store, [KEY]))


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """One sandbox for the tests of a module; `sandbox` resets it for each."""
    with Sandbox(seed=1, contacts=40, products=20, orders=30).start() as running:
        yield running


@pytest.fixture
def sandbox(running: Running) -> Sandbox:
    """The sandbox as new, without latency and throttle."""
    sandbox = running.sandbox
    sandbox.switches.turn({name: about["default"] for name, about in sandbox.switches.described().items()})
    sandbox.switches.turn({"latency_s": 0.0, "brightpearl_limit": 0})
    sandbox.reset(1)
    return sandbox


@pytest.fixture
def shop(running: Running, sandbox: Sandbox, local: Services) -> Connect:
    """Makes connectors to the sandbox, as an OAuth app by default."""
    made: list[Brightpearl] = []

    def make(secrets: dict[str, str] | None = None, **settings: Any) -> Brightpearl:
        given = {**APP, "url": running.url, "token_url": f"{running.url}/token/{{account}}", **settings}
        endpoint = endpoint_in(local.store, local.vault, given, FIRST_TOKENS if secrets is None else secrets)
        made.append(connect(endpoint, local))
        return made[-1]

    yield make
    for connector in made:
        connector.close()

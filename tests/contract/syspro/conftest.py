"""A sandbox, and connectors to it by every gateway and every way of authentication."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from syncengine.connectors.base import Endpoint
from syncengine.connectors.services import Services
from syncengine.connectors.syspro import connect
from syncengine.connectors.syspro.connector import Syspro
from syncengine.sandbox.server import Running, Sandbox
from syncengine.store import Store
from syncengine.store.models import Endpoint as EndpointRow
from syncengine.vault import Vault
from tests.databases import Databases

WAYS = {
    "enet": {"gateway": "enet"},
    "harmony-key": {"gateway": "harmony", "auth": "api_key"},
    "harmony-oauth": {"gateway": "harmony", "auth": "oauth", "client_id": "syncengine"},
    "harmony-session": {"gateway": "harmony", "auth": "session"},
}
SECRETS = {
    "operator_password": "s3cret!",
    "api_key": "harmony-sandbox-key",
    "client_secret": "harmony-sandbox-secret",
}


@pytest.fixture
def database_url(databases: Databases) -> str:
    """SQLite for the gateways; the operator's seat is tested on both databases."""
    return databases.sqlite()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """One server for a module; each test starts with a sandbox as new."""
    with Sandbox(switches={"latency_s": 0.0}, contacts=3, products=5, orders=0, awkward=False).start() as running:
        yield running


@pytest.fixture
def sandbox(running: Running) -> Iterator[Sandbox]:
    """The sandbox as new; switches that a test turned are turned back."""
    sandbox = running.sandbox
    before = dict(sandbox.switches)
    sandbox.reset()
    yield sandbox
    sandbox.faults.clear()
    sandbox.switches.turn(before)


Connect = Callable[..., Syspro]


@pytest.fixture
def connect_to(running: Running, sandbox: Sandbox, store: Store, vault: Vault) -> Iterator[Connect]:
    """A function that makes a connector, `enet` by default, as another process would: settings may be added."""
    made: list[Syspro] = []

    def make(way: str = "enet", *, vault: Vault = vault, name: str = "syspro-test", **more: Any) -> Syspro:
        settings = {"url": running.url, "operator": "BPSYNC", "company": "T", "settle_s": 60, **WAYS[way], **more}
        if way == "harmony-oauth":
            settings.setdefault("token_url", f"{running.url}/api/harmony/2.0/token")
        endpoint = Endpoint(_endpoint(store, vault, name), name, "syspro", settings)
        connector = connect(endpoint, Services(store, vault))
        assert isinstance(connector, Syspro)
        made.append(connector)
        return connector

    yield make
    for connector in made:
        connector.close()


def _endpoint(store: Store, vault: Vault, name: str) -> int:
    with store.write() as session:
        row = session.query(EndpointRow).filter_by(name=name).one_or_none()
        if row is not None:
            return row.id
        row = EndpointRow(name=name, system="syspro", settings={})
        session.add(row)
        session.flush()
        endpoint_id = row.id
    for secret, value in SECRETS.items():
        vault.write(endpoint_id, secret, value)
    return endpoint_id

"""The web app on a real store, without a server: a shop whose orders go to an ERP, which tells of its stock."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from syncengine import settings
from syncengine.connectors.base import Connector, Endpoint
from syncengine.engine.core.engine import Engine
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.vault import Vault
from syncengine.web.app import Parts, create_app
from tests.contract.kernel.world import Fake, Plain, System, Thing, Time, by_name, flow

SHOP_SECRET, ERP_SECRET = "correct-horse", "battery-staple"
STOCK = flow("stock", Plain(by_name), source="syspro.stock_level", target="brightpearl.stock_level")
ORDERS = flow("orders", Plain(by_name), source="brightpearl.sales_order", target="syspro.sales_order")


@dataclass
class Site:
    """The app's client, its engine, and what it has asked others to do."""

    engine: Engine
    client: FlaskClient
    pumped: list[str]
    synced: list[str]
    ids: dict[str, int] = field(default_factory=dict)

    def wanted(self, flow: str = "orders") -> list[str]:
        """The keys of the records of a flow that are due, sorted."""
        with self.engine.store.read() as session:
            mine = (m.Record.flow == flow, m.Record.wanted > m.Record.done)
            return sorted(session.scalars(select(m.Record.key).where(*mine)), key=lambda key: (len(key), key))

    def is_untouched(self) -> bool:
        """Whether nothing at all has been stored by a webhook."""
        with self.engine.store.read() as session:
            tables = (m.Record, m.Hook, m.AcceptedOnce, m.Schedule)
            return not any(session.scalars(select(table)).all() for table in tables)


@pytest.fixture
def site(store: Store, vault: Vault) -> Site:
    return make_site(store, vault)


def make_site(store: Store, vault: Vault) -> Site:
    """Two connections between a shop and an ERP in an empty store."""
    resources = {
        "brightpearl.sales_order": Thing(System("shop", Time()), "brightpearl.sales_order", events=("order.modified",)),
        "brightpearl.stock_level": Thing(System("shop", Time()), "brightpearl.stock_level"),
        "syspro.sales_order": Thing(System("erp", Time()), "syspro.sales_order"),
        "syspro.stock_level": Thing(System("erp", Time()), "syspro.stock_level", events=("stock_level",)),
    }

    def connect(endpoint: Endpoint) -> Connector:
        return Fake({name: thing for name, thing in resources.items() if name.startswith(f"{endpoint.system}.")})

    pumped, synced = list[str](), list[str]()
    engine = Engine(store, vault, {"orders": ORDERS, "stock": STOCK}, connect=connect, send=lambda chain: None)
    parts = Parts(settings.load({}), lambda: engine, lambda: pumped.append("pump"), synced.append)
    site = Site(engine, create_app(parts).test_client(), pumped, synced)
    with store.write() as session:
        for name in ("main", "other"):
            ends = [
                m.Endpoint(name=f"{name}-{system}", system=system, settings={}) for system in ("brightpearl", "syspro")
            ]
            session.add_all(ends)
            session.flush()
            row = m.ConnectionRow(
                name=name, left_id=ends[0].id, right_id=ends[1].id, flows=["orders", "stock"], settings={}
            )
            session.add(row)
            session.flush()
            site.ids[name] = row.id
            site.ids |= {end.name: end.id for end in ends}
    vault.write(site.ids["main-brightpearl"], "hook_secret", SHOP_SECRET)
    vault.write(site.ids["main-syspro"], "hook_secret", ERP_SECRET)
    vault.write(site.ids["other-brightpearl"], "hook_secret", "another-secret")
    return site

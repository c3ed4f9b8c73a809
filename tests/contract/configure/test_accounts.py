"""What links mean stays: a connection that has written keeps its accounts, its name and the entities of its flows."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet
from sqlalchemy import select

from syncengine import clock
from syncengine.engine.setup import bootstrap, configure
from syncengine.errors import Misconfigured
from syncengine.flows import Flow, Flows
from syncengine.settings import load
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.vault import Vault
from tests import shipped
from tests.conftest import KEY

INSTALLED = """\
endpoints:
  shop:
    system: brightpearl
    settings: {url: "https://ws-eu1.example.com", account: acme, app_ref: app, auth: private}
    secrets: {account_token: "${TOKEN}"}
  erp:
    system: syspro
    settings: {url: "http://erp.example.com:30661/SYSPROWCFService/Rest", operator: BPSYNC, company: T}
    secrets: {operator_password: "${PASSWORD}"}
  erp_live:
    system: syspro
    settings: {url: "http://erp.example.com:30661/SYSPROWCFService/Rest", operator: BPSYNC, company: P}
    secrets: {operator_password: "${PASSWORD}"}
connections:
  main:
    left: shop
    right: erp
    mode: live
    cut_over: 2026-01-31T00:00:00Z
    flows: [customers, orders]
    lookups: {currencies: {1: GBP}}
"""
ENV = {"TOKEN": "t0ken", "PASSWORD": "s3cret"}
NEWER = {"TOKEN": "another", "PASSWORD": "another"}
TABLES = (m.Endpoint, m.ConnectionRow, m.Lookup, m.Secret, m.Cursor)


@pytest.fixture
def flows() -> dict[str, Flow]:
    return shipped.flows()


class Site:
    """An installation whose file is edited and taken over again."""

    def __init__(self, store: Store, vault: Vault, flows: dict[str, Flow], folder: Path) -> None:
        self.store, self.vault, self.flows, self.path = store, vault, dict(flows), folder / "syncengine.yml"
        self.configure()

    def configure(self, *edits: tuple[str, str], env: dict[str, str] = ENV, **more: Any) -> list[str]:
        """Take over the file with these edits; returns the connections that were left out."""
        text = INSTALLED
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        self.path.write_text(text, encoding="utf-8")
        installation = configure.read_file(self.path, env)
        given = configure.Given(**more)
        return list(configure.apply(self.store, self.vault, self.flows, installation, given).not_synced)

    def link(self, entity: str = "orders", *, provisional: bool = False) -> None:
        now = clock.now()
        with self.store.write() as session:
            session.add(
                m.Link(
                    connection_id=1, entity=entity, left_key="5001", right_key="000512", provisional=provisional, lines={},
                    created_at=now, updated_at=now,
                )
            )  # fmt: skip

    def effect(self, state: str, entity: str = "orders", resource: str = "syspro.sales_order") -> None:
        now = clock.now()
        with self.store.write() as session:
            session.add(
                m.Effect(
                    connection_id=1, endpoint_id=2, record_id=1, entity=entity, resource=resource, verb="create",
                    dedupe=f"{entity} {state}", natural_key="5001", state=state, warnings=[], created_at=now, updated_at=now,
                )
            )  # fmt: skip

    def cursor(self) -> None:
        with self.store.write() as session:
            session.add(m.Cursor(connection_id=1, flow="orders", feed="updated", position={"id": 7}))

    def rows(self) -> list[Any]:
        """All that `configure` may change."""
        with self.store.read() as session:
            return [session.execute(select(table.__table__)).all() for table in TABLES]

    def connection(self) -> m.ConnectionRow:
        with self.store.read() as session:
            return session.scalars(select(m.ConnectionRow).where(m.ConnectionRow.name == "main")).one()


@pytest.fixture
def site(store: Store, vault: Vault, flows: dict[str, Flow], tmp_path: Path) -> Site:
    return Site(store, vault, flows, tmp_path)


SHOP = '{url: "https://ws-eu1.example.com", account: acme, app_ref: app, auth: private}'
ERP = '{url: "http://erp.example.com:30661/SYSPROWCFService/Rest", operator: BPSYNC, company: T}'

EXCHANGED = [
    (f"system: brightpearl\n    settings: {SHOP}", "@"),
    (f"system: syspro\n    settings: {ERP}", f"system: brightpearl\n    settings: {SHOP}"),
    ("@", f"system: syspro\n    settings: {ERP}"),
]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([("company: T", "company: P")], "endpoint erp: company changes from 'T' to 'P', and the links of connection main"),
        ([("company: T", "company: T, instance: 1")], "instance changes from '0' to '1'"),
        ([("account: acme", "account: other")], "endpoint shop: account changes from 'acme' to 'other'"),
        ([("ws-eu1.example.com", "ws-eu1.example.com/public-api/other")], "account in url changes from 'acme' to 'other'"),
        ([("ws-eu1", "ws-use")], "address changes from ws-eu1.example.com:443/public-api/acme to ws-use.example.com:443/"),
        ([("http://erp.", "http://erp2.")], "run `syncengine configure --same-account erp`"),
        ([("30661", "30662")], "address changes from erp.example.com:30661/sysprowcfservice/rest to erp.example.com:30662/"),
        (EXCHANGED, "endpoint shop: system changes from brightpearl to syspro"),
        ([("right: erp", "right: erp_live")], "joins shop (left) and erp (right), and its links name objects there"),
        ([("left: shop", "left: erp"), ("right: erp", "right: shop")], "Restore left: shop and right: erp"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("trace", ["link", "done", "sent", "unknown"])
def test_a_connection_that_has_written_keeps_its_accounts_and_a_refusal_stores_nothing(
    site: Site, edits: list[tuple[str, str]], says: str, trace: str
) -> None:
    site.link() if trace == "link" else site.effect(trace)
    site.cursor()
    before = site.rows()
    with pytest.raises(Misconfigured) as refused:
        site.configure(*edits, ("1: GBP", "1: USD"), env=NEWER)

    assert says in str(refused.value)
    assert str(refused.value).startswith(f"{site.path.parent.name}/syncengine.yml:")
    assert "\n" not in str(refused.value)
    assert site.rows() == before


@pytest.mark.one_database
@pytest.mark.parametrize(
    "edit",
    [
        ("https://ws-eu1.example.com", "https://WS-EU1.example.com:443/public-api/acme/"),
        ("account: acme", "account: ACME"),
        ("company: T}", "company: t, instance: 0}"),
        ("erp.example.com:30661/SYSPROWCFService/Rest", "ERP.example.com:30661/SYSPROWCFService/Rest/"),
        ("operator: BPSYNC, company: T", "operator: OTHER, company: T"),
    ],
)
def test_another_spelling_of_the_same_account_is_the_same_account(site: Site, edit: tuple[str, str]) -> None:
    site.link()
    site.cursor()
    site.configure(edit, env=NEWER)

    assert site.vault.read(1, "account_token") == "another"
    with site.store.read() as session:
        assert session.scalars(select(m.Cursor.position)).all() == [{"id": 7}]


def test_an_account_may_move_to_another_address_when_a_person_says_that_it_is_the_same(site: Site) -> None:
    site.link()
    site.configure(("http://erp.", "http://erp2."), same_account=["erp"])
    with site.store.read() as session:
        assert session.get_one(m.Endpoint, 2).settings["url"].startswith("http://erp2.")
    site.configure(("http://erp.", "http://erp2."))  # known from now on

    with pytest.raises(Misconfigured, match="company changes from 'T' to 'P'"):
        site.configure(("http://erp.", "http://erp2."), ("company: T", "company: P"), same_account=["erp"])
    with pytest.raises(Misconfigured, match="--same-account er: the file has no endpoint with this name"):
        site.configure(same_account=["er"])


def test_a_connection_that_has_written_nothing_may_get_another_account_and_reads_it_from_the_beginning(
    site: Site,
) -> None:
    site.link(provisional=True)
    site.effect("rejected")
    site.cursor()
    now = clock.now()
    with site.store.write() as session:
        session.add(
            m.Record(
                connection_id=1, flow="orders", key="5001", lane=1, not_before=now, created_at=now, updated_at=now, done=1,
                done_version="7", done_fingerprint="x", token="1t", runner="r", stage="push",
            )
        )  # fmt: skip
    site.configure(("company: T", "company: P"))

    with site.store.read() as session:
        assert session.get_one(m.Endpoint, 2).settings["company"] == "P"
        assert session.scalars(select(m.Link)).all() == session.scalars(select(m.Cursor)).all() == []
        record = session.scalars(select(m.Record)).one()
    assert (record.done_version, record.done_fingerprint, record.token, record.stage) == ("", "", None, "fetch")
    site.cursor()
    site.configure(("company: T", "company: P"))  # the same once more
    site.configure(("company: T", "company: P"), ("right: erp", "right: erp_live"))
    with site.store.read() as session:
        assert session.scalars(select(m.Cursor)).all() == []


def test_a_connection_that_is_renamed_together_with_its_endpoints_is_refused(site: Site) -> None:
    renamed = (
        ("  shop:", "  store:"),
        ("left: shop", "left: store"),
        ("  erp:", "  syspro:"),
        ("right: erp", "right: syspro"),
    )
    with pytest.raises(Misconfigured, match=r"Name it main, with left: shop and right: erp"):
        site.configure(*renamed, ("  main:", "  production:"))


@pytest.mark.one_database
def test_settings_that_the_connector_refuses_store_nothing(site: Site) -> None:
    before = site.rows()
    with pytest.raises(Misconfigured, match="operator"):
        site.configure(
            ("operator: BPSYNC, company: T", "company: T"), ("  main:", "  main:\n    quiet_s: 9"), env=NEWER
        )
    assert site.rows() == before


def test_a_vault_of_another_key_stores_nothing(site: Site) -> None:
    before = site.rows()
    site.vault = Vault(site.store, [Fernet.generate_key().decode()])
    with pytest.raises(Misconfigured, match="encrypted with another key"):
        site.configure(("  main:", "  main:\n    quiet_s: 9"), env=NEWER)
    assert site.rows() == before


# -- flows -------------------------------------------------------------------------------------------------------------

RENAMED = ("flows: [customers, orders]", "flows: [customers, sales_orders]")


def _rename(site: Site, *, entity: str, keeps_file: bool) -> None:
    renamed = dataclasses.replace(
        site.flows["orders"], name="sales_orders", entity=entity, file="flows.d/sales_orders.yml"
    )
    site.flows["sales_orders"] = renamed
    if not keeps_file:
        del site.flows["orders"]


@pytest.mark.parametrize("keeps_file", [True, False])
def test_a_flow_that_is_renamed_without_its_entity_is_refused(site: Site, *, keeps_file: bool) -> None:
    site.link()
    site.effect("done")
    _rename(site, entity="sales_orders", keeps_file=keeps_file)
    before = site.rows()
    with pytest.raises(Misconfigured) as refused:
        site.configure(RENAMED, env=NEWER)

    assert "the flow sales_orders (entity sales_orders) has no links yet" in str(refused.value)
    assert "write `entity: orders` into flows.d/sales_orders.yml, or restore the former name" in str(refused.value)
    assert site.rows() == before
    site.flows["sales_orders"] = dataclasses.replace(site.flows["sales_orders"], entity="orders")
    site.configure(RENAMED)
    assert site.connection().flows == ["customers", "sales_orders"]


def test_a_flow_that_is_taken_out_first_and_comes_back_renamed_later_is_refused_too(site: Site) -> None:
    site.link()
    site.effect("done")
    site.configure(("flows: [customers, orders]", "flows: [customers]"))
    _rename(site, entity="sales_orders", keeps_file=False)
    with pytest.raises(Misconfigured, match="has no links yet"):
        site.configure(RENAMED)


def test_a_new_flow_for_other_objects_takes_the_place_of_one_that_is_left_out(site: Site) -> None:
    site.link()
    site.effect("done")
    resources = {"source": "brightpearl.product", "target": "syspro.stock_code"}
    site.flows["products"] = dataclasses.replace(
        site.flows["orders"], name="products", entity="products", needs={}, **resources
    )
    site.configure(("flows: [customers, orders]", "flows: [customers, products]"))
    assert site.connection().flows == ["customers", "products"]


def test_a_changed_entity_stops_every_process_and_not_only_configure(
    site: Site, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.link()
    site.effect("done")
    site.flows["orders"] = dataclasses.replace(site.flows["orders"], entity="sales", file="flows/orders.yml")
    with pytest.raises(
        Misconfigured,
        match=r"syncengine.yml:\d+: the flow orders \(entity sales\) has no links yet, .* `entity: orders`",
    ):
        site.configure()

    env = {"DATABASE_URL": database_url, "SYNCENGINE_HOME": str(tmp_path / "home"), "SYNCENGINE_KEYS": KEY}
    monkeypatch.setattr(bootstrap, "compiled_flows", lambda folders: Flows(site.flows, {}))
    with pytest.raises(Misconfigured, match=r"connection main: the flow orders \(entity sales\)"):
        bootstrap.engine(load(env), send=lambda chain: None, redis_client=redis.Redis(port=1))


# -- connections that are taken out ------------------------------------------------------------------------------------


def test_a_connection_that_is_taken_out_of_the_file_is_not_synced_and_keeps_all_it_knows(site: Site) -> None:
    site.link()
    site.cursor()
    main = INSTALLED[INSTALLED.index("connections:") :]
    assert site.configure((main, "connections: {}\n")) == ["main"]

    out = site.connection()
    assert (out.id, out.flows) == (1, [])
    with site.store.read() as session:
        assert len(session.scalars(select(m.Link)).all()) == len(session.scalars(select(m.Cursor)).all()) == 1

    assert site.configure() == []
    back = site.connection()
    assert (back.id, back.flows) == (1, ["customers", "orders"])


def test_a_connection_that_is_taken_out_is_not_replaced_by_one_of_another_name(site: Site) -> None:
    site.link()
    site.configure((INSTALLED[INSTALLED.index("connections:") :], "connections: {}\n"))
    with pytest.raises(Misconfigured, match="Name it main"):
        site.configure(("  main:", "  production:"))

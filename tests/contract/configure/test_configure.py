"""The installation's file: what is read from it, what is refused and how, and what becomes of secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy import select

from syncengine.engine.setup import bootstrap, configure
from syncengine.errors import Misconfigured
from syncengine.flows import Flow
from syncengine.settings import load
from syncengine.store import Store
from syncengine.store.models import ConnectionRow, Endpoint, Lookup
from syncengine.vault import Vault
from tests import shipped

GOOD = """\
endpoints:
  shop:
    system: brightpearl
    settings: {url: "https://ws-eu1.example.com", account: acme, app_ref: app, auth: private}
    secrets: {account_token: "${TOKEN}"}
  erp:
    system: syspro
    settings: {url: "http://erp.example.com:30661", operator: BPSYNC, company: T, settle_s: 90}
    secrets: {operator_password: "${PASSWORD}", company_password: ""}
connections:
  main:
    left: shop
    right: erp
    mode: observe
    cut_over: 2026-01-31T00:00:00Z
    flows: [customers, orders]
    quiet_s: 30
    ceilings: {orders: 2500}
    settings: {time_zone: Europe/London, eligible_statuses: [2, 3]}
    lookups:
      currencies: {1: GBP, 2: EUR}
"""
ENV = {"TOKEN": "t0ken", "PASSWORD": "s3cret"}


@pytest.fixture
def flows() -> dict[str, Flow]:
    return shipped.flows()


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "syncengine.yml"
    path.write_text(dedent(text), encoding="utf-8")
    return path


def test_endpoints_connections_and_tables_are_stored_and_secrets_are_in_the_vault(
    store: Store, vault: Vault, flows: dict[str, Flow], tmp_path: Path
) -> None:
    configure.apply(store, vault, flows, configure.read_file(_file(tmp_path, GOOD), ENV))

    with store.read() as session:
        shop, erp = session.scalars(select(Endpoint).order_by(Endpoint.id))
        main = session.scalars(select(ConnectionRow)).one()
        entries = {(one.name, one.key): one.value for one in session.scalars(select(Lookup))}
    assert shop.settings["account"] == "acme"
    assert "t0ken" not in str(shop.settings)
    assert vault.read(shop.id, "account_token") == "t0ken"
    assert vault.read(erp.id, "operator_password") == "s3cret"
    assert vault.read(erp.id, "company_password") is None
    assert (main.mode, main.flows, main.quiet_s) == ("observe", ["customers", "orders"], 30.0)
    assert main.cut_over == datetime(2026, 1, 31, tzinfo=UTC)
    assert main.ceilings == {"orders": 2500}
    assert main.settings["eligible_statuses"] == [2, 3]
    assert entries == {("currencies", "1"): "GBP", ("currencies", "2"): "EUR"}


def test_running_it_again_changes_what_has_changed_and_keeps_a_renewed_token(
    store: Store, vault: Vault, flows: dict[str, Flow], tmp_path: Path
) -> None:
    configure.apply(store, vault, flows, configure.read_file(_file(tmp_path, GOOD), ENV))
    with store.read() as session:
        shop = session.scalars(select(Endpoint).where(Endpoint.name == "shop")).one()
    vault.write(shop.id, "account_token", "renewed since")
    again = GOOD.replace("mode: observe", "mode: live").replace("1: GBP", "1: USD")
    configure.apply(store, vault, flows, configure.read_file(_file(tmp_path, again), ENV))

    assert vault.read(shop.id, "account_token") == "renewed since"
    with store.read() as session:
        assert session.scalars(select(ConnectionRow)).one().mode == "live"
        assert session.scalars(select(Lookup).where(Lookup.key == "1")).one().value == "USD"
    configure.apply(store, vault, flows, configure.read_file(_file(tmp_path, again), {**ENV, "TOKEN": "another"}))
    assert vault.read(shop.id, "account_token") == "another"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("system: syspro", "system: sysprro", "syncengine.yml:7: there is no system 'sysprro' (did you mean syspro?)"),
        ("left: shop", "left: shp", "syncengine.yml:12: there is no endpoint 'shp' (did you mean shop?)"),
        ("mode: observe", "mode: watch", "syncengine.yml:14:"),
        (
            "2026-01-31T00:00:00Z",
            "soon",
            "syncengine.yml:15: cut_over: 'soon' is not a time. Write 2026-01-31T00:00:00Z",
        ),
        ("2026-01-31T00:00:00Z", "2026-01-31T00:00:00", "has no time zone"),
        (
            "mode: observe",
            "mod: observe",
            "syncengine.yml:14: connection main has no entry 'mod' (did you mean mode?)",
        ),
        ("{1: GBP, 2: EUR}", "[1, 2]", "syncengine.yml:21: lookup currencies must be a table of names and values"),
        (
            "{1: GBP, 2: EUR}",
            "{1 GBP, 2: EUR}",
            "lookup currencies: '1 GBP' has no value instead of a text or a number. Write KEY: VALUE",
        ),
        (
            "{1: GBP, 2: EUR}",
            "{1: [GBP]}",
            """syncengine.yml:21: lookup currencies: '1' has ["GBP"] instead of a text""",
        ),
        ("{1: GBP, 2: EUR}", "{1: true}", "lookup currencies: '1' has true instead of a text or a number"),
        ("{orders: 2500}", "{orders: none}", "orders: must be a whole number from 1 to 10000000"),
        ("connections:", "conections:", "syncengine.yml:10: the configuration has no entry 'conections'"),
        ("${TOKEN}", "${TOKN}", "syncengine.yml:5: TOKN is not set. Set it in .env or the environment"),
        ("left: shop", "left: [", "syncengine.yml:"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_its_place_and_remedy(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        configure.read_file(_file(tmp_path, GOOD.replace(old, new)), ENV)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[customers, orders]", "[customers, oders]", "there is no flow 'oders' (did you mean orders?)"),
        ("[customers, orders]", "[orders]", "the flow orders needs the flow customers. Add it to flows:"),
        (
            "{orders: 2500}",
            "{oders: 2500}",
            "syncengine.yml:18: ceilings: it has no flow 'oders' (did you mean orders?)",
        ),
        (
            "currencies:",
            "currencie:",
            "syncengine.yml:21: lookups: none of its flows has a table 'currencie' (did you mean currencies?)",
        ),
        ("time_zone:", "time_zon:", "no flow has a setting 'time_zon' (did you mean time_zone?)"),
        ("operator: BPSYNC, ", "", "operator"),
        ("settle_s: 90", "settle_s: soon", "settle_s"),
        ("app_ref: app", "app_reff: app", "app_reff"),
        ("left: shop", "left: erp", "the flow customers needs an endpoint of brightpearl"),
    ],
)
def test_what_does_not_fit_systems_and_flows_is_refused_before_anything_runs(
    store: Store, vault: Vault, flows: dict[str, Flow], tmp_path: Path, old: str, new: str, says: str
) -> None:
    installation = configure.read_file(_file(tmp_path, GOOD.replace(old, new)), ENV)
    with pytest.raises(Misconfigured) as refused:
        configure.apply(store, vault, flows, installation)

    assert says in str(refused.value)


def test_a_connection_that_is_renamed_is_refused_since_it_would_create_everything_once_more(
    store: Store, vault: Vault, flows: dict[str, Flow], tmp_path: Path
) -> None:
    configure.apply(store, vault, flows, configure.read_file(_file(tmp_path, GOOD), ENV))
    renamed = configure.read_file(_file(tmp_path, GOOD.replace("  main:", "  production:")), ENV)
    with pytest.raises(Misconfigured, match=r"shop and erp are joined by the connection main, .* Name it main"):
        configure.apply(store, vault, flows, renamed)
    with store.read() as session:
        assert session.scalars(select(ConnectionRow.name)).all() == ["main"]


def test_a_file_that_is_not_there_says_where_to_begin(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="does not exist"):
        configure.read_file(tmp_path / "none.yml", {})


def test_an_installation_is_put_together_from_its_settings(
    database_url: str, tmp_path: Path, vault: Vault, flows: dict[str, Flow]
) -> None:
    store = Store(database_url)
    configure.apply(store, vault, flows, configure.read_file(_file(tmp_path, GOOD), ENV))
    from tests.conftest import KEY

    env = {"DATABASE_URL": database_url, "SYNCENGINE_HOME": str(tmp_path / "home"), "SYNCENGINE_KEYS": KEY}
    engine = bootstrap.engine(load({**env, "SYNCENGINE_WORKERS": "7"}), send=lambda chain: None, redis_client=None)
    [row] = engine.connections("orders")
    connection = engine.connection(row.id)

    assert connection.side("syspro.sales_order") == "right"
    assert connection.resource("brightpearl.contact").name == "brightpearl.contact"
    assert set(engine.limits.chains.values()) == {1, 7}
    engine.close()
    store.close()

"""`configure` is one transaction after all checks: it tells what changes, and has no effect that it did not tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from syncengine import clock
from syncengine.engine.core import lookups
from syncengine.engine.decide.plan import TOO_OLD
from syncengine.engine.setup import configure
from syncengine.engine.setup.configure import Given
from syncengine.engine.setup.difference import Difference
from syncengine.errors import Misconfigured
from syncengine.flows import Flow
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.store.states import Why
from syncengine.vault import Vault
from tests import shipped

FILE = """\
endpoints:
  shop:
    system: brightpearl
    settings: {url: "https://ws-eu1.example.com", account: acme, app_ref: app, auth: private}
    secrets: {account_token: "${TOKEN}"}
  erp:
    system: syspro
    settings: {url: "http://erp.example.com:30661", operator: BPSYNC, company: T, settle_s: 90}
    secrets: {operator_password: "${PASSWORD}", company_password: "c0mpany"}
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
CUT_OVER = "    cut_over: 2026-01-31T00:00:00Z\n"
TABLES = (m.Endpoint, m.ConnectionRow, m.Lookup, m.Secret, m.Cursor, m.Installed, m.Ceiling, m.Event)
GIVE = "Give it under secrets: in syncengine.yml, then run `syncengine configure`"
Edits = Sequence[tuple[str, str]]


@pytest.fixture
def flows() -> dict[str, Flow]:
    return shipped.flows()


class Site:
    """An installation whose file is edited and taken over again."""

    def __init__(self, store: Store, vault: Vault, flows: dict[str, Flow], folder: Path) -> None:
        self.store, self.vault, self.flows, self.path = store, vault, dict(flows), folder / "syncengine.yml"

    def read(self, *edits: tuple[str, str], env: dict[str, str] = ENV) -> configure.Installation:
        text = FILE
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        self.path.write_text(text, encoding="utf-8")
        return configure.read_file(self.path, env)

    def look(self, *edits: tuple[str, str]) -> Difference:
        return configure.compare(self.store, self.vault, self.flows, self.read(*edits), Given())

    def apply(self, *edits: tuple[str, str], seen: Difference | None = None, **given: Any) -> Difference:
        return configure.apply(self.store, self.vault, self.flows, self.read(*edits), Given(**given), seen=seen)

    def rows(self) -> list[Any]:
        """All that `configure` may change."""
        with self.store.read() as session:
            return [session.execute(select(table.__table__)).all() for table in TABLES]

    def all(self, model: Any) -> list[Any]:
        with self.store.read() as session:
            return list(session.scalars(select(model).order_by(model.id)))

    def add(self, *rows: Any) -> None:
        with self.store.write() as session:
            session.add_all(rows)

    def link(self, entity: str = "orders") -> None:
        now = clock.now()
        mine = {"connection_id": 1, "entity": entity, "lines": {}, "created_at": now, "updated_at": now}
        self.add(m.Link(left_key="5001", right_key="000512", **mine))

    def secret(self, name: str, endpoint: str) -> str | None:
        ids = {one.name: one.id for one in self.all(m.Endpoint)}
        return self.vault.read(ids[endpoint], name)


@pytest.fixture
def site(store: Store, vault: Vault, flows: dict[str, Flow], tmp_path: Path) -> Site:
    return Site(store, vault, flows, tmp_path)


@pytest.fixture
def installed(site: Site) -> Site:
    site.apply()
    return site


def _shown(found: Difference) -> list[tuple[str, str]]:
    return [(one.where, str(one)) for one in found.changes]


LIVE = ("mode: observe", "mode: live")


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([LIVE, ("settle_s: 90", "settle_s: soon")], "settle_s"),
        ([LIVE, ("app_ref: app", "app_reff: app")], "app_reff"),
        ([LIVE, ("company: T", "company: T, read_timeout_s: 90")], "a call may take 95 s, but SYNCENGINE_CALL_S is 36"),
        ([LIVE, ("Europe/London", "Europe/Lodnon")], "the setting time_zone must be an IANA time zone such as Europe/London"),
        ([LIVE, ("time_zone: Europe/London", 'time_zone: ""')], "the setting time_zone must be an IANA time zone"),
        ([LIVE, ("time_zone: Europe/London", "delivery_date_zone: London")], "delivery_date_zone must be an IANA time zone"),
        ([LIVE, ("[2, 3]", "[two, 3]")], "syncengine.yml:19: the setting eligible_statuses must be a list of ids"),
        ([LIVE, ("[2, 3]", "[2, true]")], "must be a list of ids, which are numbers, not True"),
        ([LIVE, ("time_zone: Europe/London", "home_currency: null")], ":19: settings.home_currency has no value. Write one"),
        ([(CUT_OVER, "")], "connection main has the cut-over date 2026-01-31T00:00:00Z, but the file has none"),
    ],
)  # fmt: skip
def test_a_file_that_is_refused_changes_nothing_at_all(installed: Site, edits: Edits, says: str) -> None:
    before = installed.rows()
    with pytest.raises(Misconfigured) as refused:
        installed.apply(*edits, call_s=36.0)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert installed.rows() == before


def test_what_would_change_is_shown_and_nothing_is_stored(installed: Site) -> None:
    before = installed.rows()
    found = installed.look(
        LIVE, ("settle_s: 90", "settle_s: 60"), ("ceilings: {orders: 2500}", "ceilings: {customers: 10}"),
        ("1: GBP, 2: EUR", "1: USD, 3: SEK"), ("2026-01-31", "2026-01-01"), ("[2, 3]", "[2]"), ("quiet_s: 30", "quiet_s: 1.5"),
    )  # fmt: skip

    assert _shown(found) == [
        ("endpoint erp", "~ settings.settle_s: 90 -> 60"),
        ("connection main", "~ mode: observe -> live"),
        ("connection main", "~ cut_over: 2026-01-31T00:00:00Z -> 2026-01-01T00:00:00Z"),
        ("connection main", "~ quiet_s: 30 -> 1.5"),
        ("connection main", "~ settings.eligible_statuses: [2, 3] -> [2]"),
        ("connection main", "+ ceilings.customers: 10"),
        ("connection main", "~ lookup currencies 1: GBP -> USD"),
        ("connection main", "+ lookup currencies 3: SEK"),
        ("connection main", "- ceilings.orders: 2500"),
        ("connection main", "- lookup currencies 2: EUR"),
    ]
    assert found.consequences == (
        "main goes live: it writes customers, orders, including what has only been planned so far",
        "main: orders created since 2026-01-01T00:00:00Z are synced, including those that were skipped as too old; their "
        "feeds are read again from that date",
        "main: 1 lookup entry is removed",
        "main: 1 lookup entry is changed",
    )
    assert installed.rows() == before


def test_a_file_that_changes_nothing_says_so_and_leaves_no_event(installed: Site) -> None:
    before = installed.rows()
    assert not installed.look()
    assert not installed.apply()
    assert installed.rows() == before


def test_the_first_time_is_known_and_an_unlimited_age_is_told(site: Site) -> None:
    found = site.look(LIVE, (CUT_OVER, ""))
    assert found.is_first
    assert found.consequences == (
        "main starts to write customers, orders",
        "main: it has no cut_over, so orders of any age are synced once they change",
    )
    site.apply()
    assert not site.look(LIVE).is_first


def test_what_has_changed_is_an_event_with_its_author_and_without_secrets(installed: Site) -> None:
    installed.apply(LIVE, ("c0mpany", "n3w-c0mpany"), by="anna")

    event = installed.all(m.Event)[-1]
    assert (event.what, event.detail["by"]) == ("configured", "anna")
    assert event.detail["changes"]["connection main"] == ["~ mode: observe -> live"]
    assert event.detail["consequences"][0].startswith("main goes live")
    assert set(event.detail["changes"]) == {"endpoint erp", "connection main"}
    assert "c0mpany" not in str([one.detail for one in installed.all(m.Event)])
    assert not any(value in str(one.detail) for one in installed.all(m.Event) for value in ENV.values())


def test_an_event_lists_the_first_of_many_changes(installed: Site) -> None:
    installed.apply(("{1: GBP, 2: EUR}", str({str(key): "SEK" for key in range(1, 1001)})))

    [listed] = installed.all(m.Event)[-1].detail["changes"].values()
    assert len(listed) == 41
    assert listed[-1] == "... and 960 more"


def test_what_was_agreed_to_is_not_applied_to_a_store_that_has_changed_since(installed: Site) -> None:
    seen = installed.look(LIVE)
    installed.apply(("1: GBP", "1: USD"))
    before = installed.rows()
    with pytest.raises(Misconfigured, match=r"has changed since the changes were shown\. No changes made"):
        installed.apply(LIVE, seen=seen)
    assert installed.rows() == before

    installed.apply(LIVE, seen=installed.look(LIVE))
    assert installed.all(m.ConnectionRow)[0].mode == "live"


def test_a_long_setting_and_one_that_is_not_shown_are_compared_whole(installed: Site) -> None:
    long = ("eligible_statuses: [2, 3]", f"eligible_statuses: {list(range(2, 200))}")
    installed.apply(long)
    found = installed.look((long[0], long[1].replace("199]", "200]")))
    assert [one.what for one in found.changes] == ["settings.eligible_statuses"]


def test_a_connection_that_has_written_nothing_says_that_its_feeds_begin_again_with_another_account(
    installed: Site,
) -> None:
    begins = "main has written nothing and now reads another account, so its feeds are read from the beginning"
    assert installed.apply(("company: T", "company: P")).consequences == (begins,)
    [settings] = [one.settings for one in installed.all(m.Endpoint) if one.name == "erp"]
    assert settings["company"] == "P"


def test_a_number_and_the_same_digits_as_a_text_differ(installed: Site) -> None:
    text = ("eligible_statuses: [2, 3]", 'branch: "10"')
    installed.apply(text)
    assert [str(one) for one in installed.look((text[0], "branch: 10")).changes] == ['~ settings.branch: "10" -> 10']


# -- what is lost in the file ------------------------------------------------------------------------------------------


def test_a_connection_says_its_mode(site: Site) -> None:
    with pytest.raises(Misconfigured, match=r"syncengine.yml:12: connection main needs mode:\. Write mode: observe"):
        site.read(("    mode: observe\n", ""))


def test_a_secret_that_the_file_has_no_more_or_has_emptied_is_deleted_from_the_vault(installed: Site) -> None:
    ids = {one.name: one.id for one in installed.all(m.Endpoint)}
    installed.vault.write(ids["shop"], "access_token", "granted by the system")
    found = installed.apply((', company_password: "c0mpany"', ""), ('account_token: "${TOKEN}"', 'account_token: ""'))

    assert [(one.where, one.what, one.after) for one in found.changes] == [
        ("endpoint shop", "secret account_token", None),
        ("endpoint erp", "secret company_password", None),
    ]
    assert found.consequences == (
        "shop: its secret account_token is deleted from the vault",
        "erp: its secret company_password is deleted from the vault",
        f"shop cannot be called, since its secret account_token is not stored. {GIVE}",
    )
    assert installed.secret("company_password", "erp") is installed.secret("account_token", "shop") is None
    assert installed.secret("operator_password", "erp") == "s3cret"
    assert installed.secret("access_token", "shop") == "granted by the system"

    installed.apply()
    assert installed.secret("company_password", "erp") == "c0mpany"


def test_a_token_that_was_renewed_since_it_was_given_is_deleted_with_a_word_of_warning(installed: Site) -> None:
    [shop] = [one.id for one in installed.all(m.Endpoint) if one.name == "shop"]
    installed.vault.write(shop, "account_token", "renewed")
    found = installed.apply(('secrets: {account_token: "${TOKEN}"}', "secrets: {}"))
    assert found.consequences == (
        "shop: its secret account_token is deleted from the vault, though it was renewed since. `syncengine authorise shop` "
        "grants a new one",
        f"shop cannot be called, since its secret account_token is not stored. {GIVE}",
    )
    assert installed.secret("account_token", "shop") is None


def test_the_secrets_of_an_endpoint_that_the_file_has_no_more_are_deleted_too(installed: Site) -> None:
    text = FILE[FILE.index("  erp:") :]
    installed.apply((text, "connections: {}\n"))
    assert installed.secret("operator_password", "erp") is None
    assert installed.secret("account_token", "shop") == "t0ken"
    assert installed.apply().consequences == ("main starts to plan customers, orders",)
    assert installed.secret("operator_password", "erp") == "s3cret"


def test_entries_of_the_files_tables_follow_the_file_and_those_of_people_stay(installed: Site) -> None:
    installed.add(m.Lookup(connection_id=1, name="currencies", key="7", value="SEK", origin=lookups.PERSON))
    found = installed.apply(("{1: GBP, 2: EUR}", "{1: GBP}"))
    assert _shown(found) == [("connection main", "- lookup currencies 2: EUR")]
    assert found.consequences == ("main: 1 lookup entry is removed",)

    found = installed.apply(("    lookups:\n      currencies: {1: GBP, 2: EUR}\n", ""))
    assert [(one.key, one.value) for one in installed.all(m.Lookup)] == [("7", "SEK")]

    installed.apply(("{1: GBP, 2: EUR}", "{7: NOK}"))  # the file has it now
    assert [(one.key, one.value, one.origin) for one in installed.all(m.Lookup)] == [("7", "NOK", "file")]
    installed.apply(("{1: GBP, 2: EUR}", "{8: NOK}"))
    assert [one.key for one in installed.all(m.Lookup)] == ["8"]


def test_keys_of_tables_are_stored_as_they_are_looked_up(installed: Site) -> None:
    installed.apply(("{1: GBP, 2: EUR}", '{" Zu\u0308rich ": CHF}'))
    assert [one.key for one in installed.all(m.Lookup)] == ["Z\u00fcrich"]
    with pytest.raises(Misconfigured, match="lookup currencies: '1' occurs twice"):
        installed.read(("{1: GBP, 2: EUR}", '{1: GBP, " 1": EUR}'))
    with pytest.raises(Misconfigured, match="a key must have 1 to 255 characters"):
        installed.read(("{1: GBP, 2: EUR}", '{" ": GBP}'))


# -- two connections, other entities, renamed flows ---------------------------------------------------------------------

SECOND = """\
  second:
    left: shop
    right: {right}
    mode: live
    flows: [{flows}]
"""


@pytest.mark.parametrize("right", ["erp", "same"])
def test_two_connections_between_the_same_two_accounts_share_no_flow(site: Site, right: str) -> None:
    same = FILE[FILE.index("  erp:") : FILE.index("connections:")].replace("  erp:", "  same:")
    ends = ("connections:\n", f"{same}connections:\n")
    table = "      currencies: {1: GBP, 2: EUR}\n"
    copied = (table, table + SECOND.format(right=right, flows="customers, orders"))
    with pytest.raises(
        Misconfigured,
        match=r"connection second joins the same two accounts as main, and both have a flow from brightpearl\.contact to "
        r"syspro\.customer: .* created twice",
    ):
        site.apply(ends, copied)
    assert site.all(m.ConnectionRow) == []

    alone = ("flows: [customers, orders]", "flows: [customers]")
    site.flows["guests"] = dataclasses.replace(site.flows["orders"], name="guests", needs={})
    site.apply(
        (table, table + SECOND.format(right=right, flows="guests")), ends, alone, ("    ceilings: {orders: 2500}\n", ""),
        ("settings: {time_zone: Europe/London, eligible_statuses: [2, 3]}", "settings: {}"),
    )  # fmt: skip
    assert [one.name for one in site.all(m.ConnectionRow)] == ["main", "second"]


def _renamed(site: Site, **values: Any) -> None:
    orders = site.flows.pop("orders")
    site.flows["sales"] = dataclasses.replace(orders, **{"name": "sales", "file": "flows.d/sales.yml", **values})


RENAMED = [("[customers, orders]", "[customers, sales]"), ("{orders: 2500}", "{sales: 2500}")]


def test_the_entity_of_a_flow_is_kept_also_where_its_links_were_made_by_hand(installed: Site) -> None:
    installed.link()  # and no write tells which resource they name
    _renamed(installed, entity="sales")
    with pytest.raises(
        Misconfigured,
        match=r"the flow sales has the entity sales, and objects of brightpearl\.sales_order and syspro\.sales_order are "
        r"linked as orders: .* Write `entity: orders` into flows\.d/sales\.yml",
    ):
        installed.apply(*RENAMED)


def test_a_flow_under_another_entity_beside_the_one_that_has_linked_is_refused_too(installed: Site) -> None:
    installed.link()
    installed.flows["again"] = dataclasses.replace(installed.flows["orders"], name="again", entity="again")
    more = ("[customers, orders]", "[customers, orders, again]")
    with pytest.raises(Misconfigured, match="under the entities orders and again: everything would be created twice"):
        installed.apply(more)
    installed.flows["again"] = dataclasses.replace(installed.flows["orders"], name="again")
    installed.apply(more)


def test_without_links_a_flow_may_get_another_entity(installed: Site) -> None:
    _renamed(installed, entity="sales")
    installed.apply(*RENAMED)
    assert installed.all(m.ConnectionRow)[0].entities["sales"] == [
        "sales",
        "brightpearl.sales_order",
        "syspro.sales_order",
    ]


def test_a_flow_that_is_renamed_while_it_is_shut_stays_shut(installed: Site) -> None:
    at = datetime(2026, 2, 1, tzinfo=UTC)
    installed.add(m.Ceiling(connection_id=1, flow="orders", shut_at=at, shut_because="2,500 writes within an hour"))
    _renamed(installed)
    installed.apply(*RENAMED)

    rows = {one.flow: (one.shut_at, one.shut_because) for one in installed.all(m.Ceiling)}
    assert rows["sales"] == (at, "2,500 writes within an hour")

    with installed.store.write() as session:  # a person opens it; it is renamed back, and open
        session.query(m.Ceiling).update({"shut_at": None, "shut_because": ""})
    installed.flows["orders"] = dataclasses.replace(installed.flows["sales"], name="orders")
    installed.apply()
    assert all(one.shut_at is None for one in installed.all(m.Ceiling))


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["30 s", "-1", "true", "700000", "[30]", '"30"'])
def test_the_time_between_sweeps_is_a_number_of_seconds(site: Site, value: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        site.read(("quiet_s: 30", f"sweep_s: {value}"))
    assert str(refused.value).endswith("is not a number of seconds from 0 to 604800. Write sweep_s: 3600")


def test_the_time_between_sweeps_is_stored_and_its_change_shown(installed: Site) -> None:
    assert installed.apply(("quiet_s: 30", "sweep_s: 1800"))
    assert installed.all(m.ConnectionRow)[0].sweep_s == 1800
    assert ("connection main", "- sweep_s: 1800") in _shown(installed.look())


@pytest.mark.one_database
@pytest.mark.parametrize("value", ["30 s", "-1", "true", "90000", "[30]", '"30"'])
def test_a_quiet_period_is_a_number_of_seconds(site: Site, value: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        site.read(("quiet_s: 30", f"quiet_s: {value}"))
    assert "/syncengine.yml:17: quiet_s: " in str(refused.value)
    assert str(refused.value).endswith("is not a number of seconds from 0 to 86400. Write quiet_s: 30")


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("$${abc}", "${abc}"),
        ("a$${TOKEN}b", "a${TOKEN}b"),
        ("a$b$$c", "a$b$$c"),
        ("x${TOKEN}$${TOKEN}", "xt0ken${TOKEN}"),
    ],
)
def test_a_password_may_hold_what_looks_like_a_variable(site: Site, given: str, stored: str) -> None:
    site.apply(("${PASSWORD}", given))
    assert site.secret("operator_password", "erp") == stored


def test_a_name_that_no_store_can_keep_is_refused(site: Site) -> None:
    with pytest.raises(Misconfigured, match=r"syncengine\.yml:11: a name in connections: must have 1 to 64 characters"):
        site.read(("  main:", f"  {'m' * 65}:"))


MOVED_TO = """\
  second:
    left: shop
    right: erp
    mode: live
    cut_over: 2026-01-31T00:00:00Z
    flows: [orders]
"""
END = "      currencies: {1: GBP, 2: EUR}\n"
KEEPS = ("[customers, orders]\n    quiet_s: 30\n    ceilings: {orders: 2500}", "[customers]\n    quiet_s: 30")
NO_SETTINGS = ("    settings: {time_zone: Europe/London, eligible_statuses: [2, 3]}\n", "")


@pytest.mark.parametrize("name", ["orders", "sales"])
def test_a_flow_is_not_moved_to_another_connection_of_the_same_accounts(installed: Site, name: str) -> None:
    """`main` has written orders; `second` has none of its links, and would create each of them a second time."""
    installed.link()
    orders = dataclasses.replace(installed.flows["orders"], name=name, needs={})
    installed.flows[name] = orders
    moved = (LIVE, KEEPS, NO_SETTINGS, (END, END + MOVED_TO.replace("[orders]", f"[{name}]")))
    with pytest.raises(
        Misconfigured, match=r"main, which has written orders: .* a second time\. Keep the flow in main"
    ):
        installed.apply(*moved)


def test_the_same_flow_under_another_name_in_a_second_connection_is_refused(installed: Site) -> None:
    installed.link()
    sales = dataclasses.replace(installed.flows["orders"], name="sales", file="flows.d/sales.yml", needs={})
    installed.flows["sales"] = sales
    with pytest.raises(Misconfigured, match=r"both have a flow from brightpearl\.sales_order to syspro\.sales_order"):
        installed.apply(LIVE, (END, END + MOVED_TO.replace("[orders]", "[sales]")))


def test_an_earlier_date_reaches_a_flow_that_was_left_out_meanwhile(installed: Site) -> None:
    now = clock.now()
    times = {"not_before": now, "created_at": now, "updated_at": now}
    skipped = {"status": "skipped", "reason": TOO_OLD, "why": Why.TOO_OLD, "lane": 1, "wanted": 1, "done": 1}
    installed.add(
        m.Record(connection_id=1, flow="orders", key="4001", **skipped, **times),
        m.Cursor(connection_id=1, flow="orders", feed="updated", position={}),
    )
    earlier = ("2026-01-31", "2026-01-01")
    installed.apply((KEEPS[0], "[customers]"), earlier, NO_SETTINGS)
    installed.apply(earlier)
    with installed.store.read() as session:
        record = session.scalars(select(m.Record)).one()
        assert record.wanted > record.done
        assert session.scalars(select(m.Cursor)).all() == []


# -- where an error is -------------------------------------------------------------------------------------------------

LONG = """\
      time_zone: Europe/London
      eligible_statuses:
        - 2
        - two
"""
ERP = 'settings: {url: "http://erp.example.com:30661", operator: BPSYNC, company: T, settle_s: 90}'
ERP_LINES = """\
settings:
      url: "http://erp.example.com:30661"
      operator: BPSYNC
      company: T
      settle_s: soon"""


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([("{time_zone: Europe/London, eligible_statuses: [2, 3]}", f"\n{LONG}")], ":23: the setting eligible_statuses"),
        ([("settings: {time_zone", "settings:\n      {time_zone"), ("London", "Londn")], ":20: the setting time_zone must be"),
        ([("flows: [customers, orders]", "flows:\n      - customers\n      - oders")], ":18: there is no flow 'oders'"),
        ([("currencies:", "currncies:")], ":21: lookups: none of its flows has a table 'currncies'"),
        ([(ERP, ERP_LINES)], ":12: endpoint erp: setting settle_s = 'soon'"),
    ],
)  # fmt: skip
def test_an_error_points_at_the_line_of_the_entry(site: Site, edits: Edits, says: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        site.apply(*edits)
    assert f"syncengine.yml{says}" in str(refused.value)


def test_the_remedy_of_a_connector_is_a_remedy(site: Site) -> None:
    with pytest.raises(Misconfigured) as refused:
        site.apply(("settle_s: 90", "settle_s: soon"))
    assert refused.value.says.endswith("setting settle_s = 'soon'")
    assert refused.value.remedy


def test_an_app_that_needs_consent_says_so_when_it_is_configured(site: Site) -> None:
    oauth = (
        "app_ref: app, auth: private",
        "app_ref: app, dev_ref: dev, redirect_uri: 'https://example.com', auth: oauth",
    )
    says = "shop cannot be called, since its secret refresh_token is not stored. Run `syncengine authorise shop`"
    assert site.apply(oauth, ('secrets: {account_token: "${TOKEN}"}', "secrets: {}")).consequences[-1] == says


@pytest.mark.one_database
def test_a_live_connection_that_names_nobody_who_posts_movements_is_told_that_it_holds_all_levels(
    installed: Site,
) -> None:
    stock = ("[customers, orders]", "[customers, orders, inventory]")

    observed = installed.apply(stock)
    live = installed.apply(stock, LIVE)
    named = installed.apply(
        stock, LIVE, ("settings: {time_zone:", "settings: {posted_elsewhere: the warehouse, time_zone:")
    )

    warning = "main: inventory holds every level that it would write"
    assert not any(line.startswith(warning) for line in (*observed.consequences, *named.consequences))
    (found,) = [line for line in live.consequences if line.startswith(warning)]
    assert "settings.posted_elsewhere" in found
    assert "observe report --connection main --flow inventory" in found

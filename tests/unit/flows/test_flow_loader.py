"""The loader: one YAML file more is one flow more; whatever is wrong is one line."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from syncengine.errors import Misconfigured
from syncengine.flows import SHIPPED, Flows, ShippedFlows
from syncengine.flows.connections import connection_template, read_connection
from syncengine.flows.loader import load_flow, load_flows, load_sound_flows
from syncengine.flows.settings import check_connection
from syncengine.mapping.contract import Context, Policy
from tests.unit.flows.flow_fixtures import CATALOGUE, flows, order, row


def main_at(entry: str) -> str:
    return "connection main"


SMALL = """
flow: notes
source: brightpearl.sales_order
target: syspro.customer
mapping:
  SalesWarehouse: {from: reference}
"""


BACK = """
flow: credit
entity: customers
writes: linked
source: syspro.customer
target: brightpearl.contact
mapping:
  lastName: {from: Name}
"""


def write(folder: Path, text: str, name: str = "notes.yml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return folder


def test_the_flows_that_ship() -> None:
    orders, customers = flows()["orders"], flows()["customers"]

    assert (orders.source, orders.target, orders.entity) == ("brightpearl.sales_order", "syspro.sales_order", "orders")
    assert (orders.every_s, orders.quiet_s, orders.cut_over) == (300.0, 60.0, True)
    assert orders.sweep_s == 3600.0
    assert orders.feeds == ("updated", "created")
    assert orders.needs == {"customers": "customers"}
    assert orders.settings["bundles"] == "spread"
    assert orders.file == "flows/orders.yml"
    assert customers.lookups["countries"]["GB"] == "United Kingdom"
    assert not customers.two_way
    assert not customers.cut_over


def test_a_file_in_a_folder_is_a_flow(tmp_path: Path) -> None:
    found = load_flows([SHIPPED, write(tmp_path / "mine", SMALL)], CATALOGUE)

    assert sorted(found) == ["customers", "inventory", "notes", "order_tax", "orders"]
    doc = order("10.00", {"1": row("10.0000")})
    assert found["notes"].mapping.apply(doc, Context()) == {"": {"SalesWarehouse": "WEB-10001"}}
    assert found["notes"].feeds == ("updated", "created")
    assert found["notes"].file == "mine/notes.yml"


def test_the_flows_that_ship_have_the_names_of_their_files_and_are_compiled_when_asked_for() -> None:
    compiled: list[str] = []

    def load() -> Flows:
        compiled.append("once")
        return load_flows([SHIPPED], CATALOGUE)

    shipped = ShippedFlows(SHIPPED, load)
    assert (list(shipped), "orders" in shipped, len(shipped), compiled) == (
        ["customers", "inventory", "order_tax", "orders"],
        True,
        4,
        [],
    )
    heads = {name: shipped.head(name) for name in shipped}
    assert compiled == []
    assert {name: flow.name for name, flow in shipped.items()} == {name: name for name in shipped}
    assert compiled == ["once"]
    for name, head in heads.items():
        flow = shipped[name]
        assert dataclasses.asdict(head) == {field: getattr(flow, field) for field in dataclasses.asdict(head)}


def test_a_site_takes_the_place_of_a_flow_that_ships_only_if_it_says_so(tmp_path: Path) -> None:
    for name in ("orders.yml", "customers.yml", "countries.csv"):
        shutil.copy(SHIPPED / name, tmp_path / name)

    with pytest.raises(
        Misconfigured, match=r"the flow 'customers' already exists in flows/customers.yml; rename this flow, or add"
    ):
        load_flows([SHIPPED, tmp_path], CATALOGUE)
    for name in ("orders.yml", "customers.yml"):
        text = (tmp_path / name).read_text("utf-8").replace("cut_over: true", "cut_over: false")
        (tmp_path / name).write_text(text + "\nreplaces: true\n", "utf-8")
    assert load_flows([SHIPPED, tmp_path], CATALOGUE)["orders"].cut_over is False


def test_the_version_changes_with_the_file(tmp_path: Path) -> None:
    one = load_flow(write(tmp_path, SMALL) / "notes.yml", CATALOGUE)
    two = load_flow(write(tmp_path, SMALL + "  # more\n") / "notes.yml", CATALOGUE)

    assert one.version != two.version
    assert one.mapping.version == two.mapping.version


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flow: notes\nflow: x\n", "mine/notes.yml:2: not valid YAML: 'flow' occurs twice, first on line 1"),
        ("flo: notes\n", "mine/notes.yml:1: a flow has no entry 'flo' (did you mean flow?)"),
        ("source: x\n", "mine/notes.yml:1: the file needs flow:, a text"),
        ("flow: My Notes\n", "mine/notes.yml:1: 'My Notes' is not a valid flow name: use small letters, digits and _"),
        ("flow: notes\nsource: brightpearl.sales_ordr\n", "mine/notes.yml:2: source: there is no resource"),
        ("flow: notes\nsource: brightpearl.contact\ntarget: sypro.customer\n", "(did you mean syspro.customer?)"),
        (SMALL + "direction: both\n", "direction: cannot be 'both'"),
        (SMALL + "direction: two-way\n", "direction: two-way and backward: require each other"),
        (
            SMALL + "direction: two-way\nneeds: [customers]\nbackward: {mapping: {reference: {value: x}}}\n",
            "mine/notes.yml:7: needs: a two-way flow cannot wait for links",
        ),
        (
            SMALL + "backward: {mapping: {reference: {value: x}}}\n",
            "direction: two-way and backward: require each other",
        ),
        (
            SMALL + "direction: two-way\nbackward: {mpping: {}}\n",
            "backward has no entry 'mpping' (did you mean mapping?)",
        ),
        (SMALL + "feeds: [updatd]\n", "brightpearl.sales_order has no feed 'updatd' (did you mean updated?)"),
        (SMALL + "every: soon\n", "every: 'soon' is not a duration such as 30 s or 5 min"),
        (SMALL + "quiet: -1\n", "quiet: -1 is not a duration"),
        (SMALL + "ceiling: none\n", "ceiling: must be a whole number from 1 to 10000000"),
        (SMALL + "batch: 0\n", "batch: must be a whole number from 1 to 1000"),
        (SMALL + "cut_over: maybe\n", "cut_over: must be true or false"),
        (SMALL + "needs: [custmers]\n", "needs: there is no flow 'custmers' (did you mean customers?)"),
        (SMALL + "needs: {people: customers}\n", "needs: the flow 'customers' links 'customers', not 'people'"),
        (SMALL + "needs: 3\n", "needs must be a list of names"),
        (SMALL + "groups: [{name: x}]\n", "groups: is for two-way flows"),
        (SMALL + "lookups: [a]\n", "lookups must be a table"),
        (SMALL + "lookups: {a: 3}\n", "a must be a table"),
        (SMALL + "lookups: {a: {b: [1]}}\n", "lookup a: b needs a single value"),
        (SMALL + "lookups: {a: {b: 1, ' b': 2}}\n", "lookup a: the key 'b' occurs twice; surrounding white space"),
        (SMALL + "lookups: {a: {\u00e9: 1, e\u0301: 2}}\n", "lookup a: the key '\u00e9' occurs twice"),
        (SMALL + "lookups: {a: false}\n", "a must be a table"),
        (SMALL + "lookups: {a: nowhere.csv}\n", "lookup a: nowhere.csv cannot be read as a UTF-8 CSV file"),
        (SMALL + "lookups: {a: ../a.csv}\n", "must be a table or a .csv file in the folder of the flow's file"),
        (SMALL + "lookups: {a: a.txt}\n", "must be a table or a .csv file in the folder of the flow's file"),
        (SMALL + "settings: {a: text}\n", "setting a must be a table"),
        (SMALL + "settings: {a: {type: txt}}\n", "type: cannot be 'txt' (did you mean text?)"),
        (
            SMALL + "settings: {a: {type: integer, default: 1.5}}\n",
            "setting a: its default: the setting a must be integer",
        ),
        (
            SMALL + "settings: {a: {type: text, choices: [x, y], default: z}}\n",
            "setting a: its default: the setting a must be x or y",
        ),
        (
            SMALL + "settings: {a: {type: integer, choices: ['1']}}\n",
            "setting a: choices: is for the type text, not integer",
        ),
        (SMALL + "settings: {a: {type: text, choices: 3}}\n", "choices of the setting a must be a list of names"),
        (SMALL + "settings: {time_zone: {type: list}}\n", "the setting time_zone is list here and text in flows/"),
        (SMALL.replace("notes", "orders", 1), "the flow 'orders' already exists in flows/orders.yml"),
        (
            SMALL.replace("SalesW", "SaleW"),
            "mine/notes.yml:5: the target has no field 'SaleWarehouse' (did you mean SalesWarehouse?)",
        ),
        (
            SMALL.replace("reference", "referenc"),
            "mine/notes.yml:5: SalesWarehouse: the source has no field 'referenc'",
        ),
        (SMALL + "writes: linkd\n", "writes: cannot be 'linkd' (did you mean linked?)"),
        (SMALL + "unwanted_parts: drop\n", "unwanted_parts: cannot be 'drop'"),
        (SMALL + "writes: linked\n", "writes: linked needs entity:, the entity of the flow whose links it uses"),
        (
            BACK.replace("customers", "custmers"),
            "links syspro.customer and brightpearl.contact as 'custmers' (did you mean cust",
        ),
        (
            BACK.replace("syspro.customer", "syspro.sales_order").replace("from: Name", "from: Customer"),
            "writes: linked: no flow links",
        ),
        (SMALL + "writes: nothing\n", "writes: nothing needs entity:, the entity of the flow whose links it uses"),
        (SMALL + "writes: nothin\n", "writes: cannot be 'nothin' (did you mean nothing?)"),
        (
            SMALL + "writes: nothing\nentity: orders\nparts: [id]\n",
            "parts: a flow with writes: nothing makes no objects, so no parts",
        ),
        (
            SMALL + "writes: nothing\nentity: orders\nrules: [{cancel: it is gone, when: id == 1}]\n",
            "rules: a flow with writes: nothing cancels nothing",
        ),
        (
            SMALL + "writes: nothing\nentity: orders\nbackward_feeds: [updatd]\n",
            "backward_feeds: syspro.customer has no feed 'updatd'",
        ),
        (
            SMALL + "differences: {CustomerPoNumber: {reason: a, remedy: b}}\n",
            "differences: is for flows with writes: nothing",
        ),
        (BACK + "parts: [Currency]\n", "parts: a flow with writes: linked makes no objects, so no parts"),
        (BACK + "rules: [{cancel: it is gone, when: not Name}]\n", "rules: a flow with writes: linked cancels nothing"),
        (
            BACK + "direction: two-way\nbackward: {mapping: {Name: {from: lastName}}}\n",
            "writes: linked is for one-way flows",
        ),
        (
            SMALL.replace("target: syspro.customer", "target: brightpearl.postal_address"),
            "mine/notes.yml:3: target: brightpearl.postal_address is read-only. Name a resource that can be written, or make"
            " its class a Resource with write",
        ),
        (
            SMALL + "direction: two-way\nbackward: {mapping: {reference: {value: x}}}\n",
            "mine/notes.yml:2: source: brightpearl.sales_order is read-only. Name a resource that can be written",
        ),
        (
            SMALL.replace("SalesWarehouse:", "Email:"),
            "writes Email of syspro.customer, but so does flows/customers.yml",
        ),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misconfigured) as error:
        load_flows([SHIPPED, write(tmp_path / "mine", text)], CATALOGUE)

    assert said in str(error.value)
    assert str(error.value).startswith("mine/notes.yml:") or "settings" in text or "flows/" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "entry", "sweep_s"),
    [
        ("brightpearl.sales_order", "", 3600.0),  # its feeds may miss changes
        ("brightpearl.sales_order", "sweep: 0\n", 0.0),
        ("brightpearl.contact", "", 0.0),
        ("brightpearl.contact", "sweep: 1 d\n", 86_400.0),
    ],
)
def test_a_flow_is_swept_if_its_feeds_may_miss_changes_or_its_file_says_so(
    tmp_path: Path, source: str, entry: str, sweep_s: float
) -> None:
    field = "reference" if source.endswith("order") else "lastName"
    text = SMALL.replace("brightpearl.sales_order", source).replace("from: reference", f"from: {field}")
    found = load_flows([write(tmp_path, text + entry)], CATALOGUE)

    assert next(iter(found.values())).sweep_s == sweep_s


def test_a_write_back_uses_the_links_of_another_flow(tmp_path: Path) -> None:
    found = load_flows([SHIPPED, write(tmp_path / "mine", BACK, "credit.yml")], CATALOGUE)

    credit, customers = found["credit"], found["customers"]
    assert (credit.write_back, credit.entity, credit.targets) == (True, "customers", (credit.target,))
    assert (customers.write_back, customers.keeps_parts, found["orders"].keeps_parts) == (False, True, False)
    needs = BACK.replace("credit", "notes", 1).replace("lastName", "firstName") + "needs: {customers: credit}\n"
    write(tmp_path / "mine", needs)
    with pytest.raises(Misconfigured, match="the flow 'credit' makes no links; name the flow that does"):
        load_flows([SHIPPED, tmp_path / "mine"], CATALOGUE)
    write(tmp_path / "mine", BACK.replace("credit", "notes", 1))
    with pytest.raises(Misconfigured, match=r"writes lastName of brightpearl.contact, but so does mine/credit.yml"):
        load_flows([SHIPPED, tmp_path / "mine"], CATALOGUE)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="does not exist; create it or correct the setting"):
        load_flows([tmp_path / "nowhere"], CATALOGUE)


def test_files_that_are_no_flows_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "x", "notes.txt")
    (tmp_path / "sub.yml").mkdir()

    assert load_flows([tmp_path], CATALOGUE) == {}


def test_a_link_to_a_flow_that_is_gone_disables_that_flow_alone(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere.yml")

    found = load_sound_flows([tmp_path], CATALOGUE)
    assert list(found) == ["notes"]
    assert "/gone.yml: cannot be read: No such file or directory" in str(found.broken["gone"])
    assert not found.broken["gone"].is_named


def test_a_table_may_be_a_csv_beside_the_flow(tmp_path: Path) -> None:
    folder = write(tmp_path, SMALL + "lookups: {a: a.csv, b: {1: one, x: 2}, c: }\n")
    (folder / "a.csv").write_text("key,value\n1,one\n\n2 , two\n", "utf-8")

    assert load_flow(folder / "notes.yml", CATALOGUE).lookups == {
        "a": {"1": "one", "2": "two"}, "b": {"1": "one", "x": "2"}, "c": {},
    }  # fmt: skip


def test_keys_of_a_table_are_compared_without_blanks_and_in_one_unicode_form(tmp_path: Path) -> None:
    folder = write(tmp_path, SMALL + "lookups: {a: a.csv, b: {' GB ': UK, cafe\u0301: C}}\n")
    (folder / "a.csv").write_text("key,value\n cafe\u0301 ,C\n", "utf-8")

    assert load_flow(folder / "notes.yml", CATALOGUE).lookups == {
        "a": {"caf\u00e9": "C"},
        "b": {"GB": "UK", "caf\u00e9": "C"},
    }


def test_decimals_of_a_table_keep_their_digits(tmp_path: Path) -> None:
    folder = write(tmp_path, SMALL + "lookups: {a: {x: 4000.10, 1.10: y, z: 007.50}}\n")

    assert load_flow(folder / "notes.yml", CATALOGUE).lookups == {"a": {"x": "4000.10", "1.10": "y", "z": "007.50"}}


@pytest.mark.parametrize("line", ["1,one,more", "1", ",one", "0,again", " 0 ,again"])
def test_a_csv_line_that_is_no_entry_is_told_by_its_number(tmp_path: Path, line: str) -> None:
    folder = write(tmp_path, SMALL + "lookups: {a: a.csv}\n")
    (folder / "a.csv").write_text(f"key,value\n0,zero\n{line}\n", "utf-8")

    with pytest.raises(Misconfigured, match=r"a.csv:3: a line must be a unique key, a comma and a value"):
        load_flow(folder / "notes.yml", CATALOGUE)


TWO_WAY = """
flow: people
source: brightpearl.contact
target: syspro.customer
direction: two-way
every: 1 h
quiet: 30
mapping:
  Fax: {from: communication.telephones.FAX}
  Contact: {from: firstName}
backward:
  mapping:
    firstName: {from: Contact}
groups:
  - {name: names, left: [firstName], right: Contact, policy: left}
"""


def test_a_two_way_flow_has_a_mapping_back_and_groups_with_masters(tmp_path: Path) -> None:
    flow = load_flow(write(tmp_path, TWO_WAY) / "notes.yml", CATALOGUE)

    assert flow.two_way
    assert flow.backward is not None
    assert flow.backward.apply({"Contact": "Robin"}, Context()) == {"": {"firstName": "Robin"}}
    assert [(one.name, one.left, one.right, one.policy) for one in flow.groups] == [
        ("names", ("firstName",), ("Contact",), Policy.LEFT)
    ]
    assert flow.backward_feeds == ()
    assert (flow.every_s, flow.quiet_s) == (3600.0, 30.0)


def test_a_group_names_mapped_fields(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"left: 'firstNme' is not mapped \(did you mean firstName\?\)"):
        load_flow(write(tmp_path, TWO_WAY.replace("left: [firstName]", "left: [firstNme]")) / "notes.yml", CATALOGUE)


def test_a_setting_that_nobody_declares_or_of_the_wrong_kind_is_refused_for_a_connection() -> None:
    check_connection(flows().values(), {"time_zone": "Europe/London", "eligible_statuses": [2]}, main_at)

    with pytest.raises(
        Misconfigured, match=r"connection main: no flow has a setting 'timezone' \(did you mean time_zone"
    ):
        check_connection(flows().values(), {"timezone": "UTC"}, main_at)
    with pytest.raises(Misconfigured, match="connection main: the setting eligible_statuses must be a list, not 2"):
        check_connection(flows().values(), {"eligible_statuses": 2}, main_at)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"time_zone": "Europe/Lodnon"}, "the setting time_zone must be an IANA time zone such as Europe/London, not"),
        ({"time_zone": ""}, "the setting time_zone must be an IANA time zone"),
        ({"time_zone": None}, "settings.time_zone has no value. Write one, or remove the line for its default"),
        ({"delivery_date_zone": "GMT+1h"}, "the setting delivery_date_zone must be an IANA time zone"),
    ],
)
def test_a_time_zone_that_does_not_exist_is_refused_for_a_connection(settings: dict[str, object], says: str) -> None:
    check_connection(flows().values(), {"time_zone": "Europe/London", "delivery_date_zone": ""}, main_at)
    with pytest.raises(Misconfigured) as refused:
        check_connection(flows().values(), settings, main_at)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rounding": "lines"}, "the setting rounding must be none, unit, line or total, not 'lines'"),
        ({"rounding": ""}, "the setting rounding must be none, unit, line or total, not ''"),
        ({"tax_override": "accepted"}, "the setting tax_override must be applied, ignored or rejected"),
        ({"tax_difference": "held"}, "the setting tax_difference must be hold or attention"),
        ({"tax_calculation": "I"}, "the setting tax_calculation must be invoice or line"),
        ({"bundles": "spred"}, "the setting bundles must be spread, lines or charge"),
    ],
)
def test_a_text_that_is_not_one_of_the_choices_is_refused_for_a_connection(
    settings: dict[str, object], says: str
) -> None:
    check_connection(flows().values(), {"rounding": "line", "tax_calculation": ""}, main_at)
    with pytest.raises(Misconfigured) as refused:
        check_connection(flows().values(), settings, main_at)
    assert says in str(refused.value)


def test_the_default_of_a_time_zone_exists(tmp_path: Path) -> None:
    text = SMALL + "settings: {zone: {type: zone, default: Nowhere}}\n"
    with pytest.raises(Misconfigured, match="setting zone: its default: the setting zone must be an IANA time zone"):
        load_flow(write(tmp_path, text) / "notes.yml", CATALOGUE)


@pytest.mark.parametrize("name", ["notes.YML", "notes.Yaml"])
def test_a_flow_file_in_capitals_is_read_too(tmp_path: Path, name: str) -> None:
    assert "notes" in load_flows([SHIPPED, write(tmp_path / "mine", SMALL, name)], CATALOGUE)


def test_the_sandboxs_connection_fits_the_flows() -> None:
    settings, lookups = connection_template(flows())

    check_connection(flows().values(), settings, main_at)
    known = {name for flow in flows().values() for name in flow.lookups}
    assert set(lookups) <= known
    assert lookups["currencies"]["2"] == "EUR"
    assert settings["eligible_statuses"] == [2, 3, 6, 8]
    assert type(settings["eligible_statuses"]) is list


def test_a_connections_file_that_is_wrong_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, "settings: {a: {b: 1}}\nlookup: {}\n", "c.yml")

    with pytest.raises(Misconfigured, match=r"c.yml:2: a connection has no entry 'lookup' \(did you mean lookups\?\)"):
        read_connection(tmp_path / "c.yml")
    write(tmp_path, "settings: {a: {b: [1]}}\nlookups: {}\n", "c.yml")
    assert read_connection(tmp_path / "c.yml") == ({"a": {"b": [1]}}, {})

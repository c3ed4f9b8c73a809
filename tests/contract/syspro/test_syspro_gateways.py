"""One suite for every gateway: the same resources, the same documents, the same outcomes, against the sandbox."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import responses

from syncengine.connectors.base import Change, LineChange, Operation, Resource, Result, Verb
from syncengine.connectors.syspro.connector import Syspro
from syncengine.document import Doc
from syncengine.errors import (
    LONGEST_WAIT_S,
    AuthenticationFailed,
    EndpointDown,
    Forbidden,
    Misconfigured,
    OutcomeUnknown,
    Rejected,
    Throttled,
    Transient,
)
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from tests.contract.syspro.conftest import WAYS, Connect

CUSTOMER: Doc = {
    "Customer": "BP310",
    "Name": "Żółw Trading Ltd",
    "Salesperson": "W1",
    "Branch": "10",
    "TermsCode": "01",
    "Area": "S",
    "Currency": "GBP",
    "BalanceType": "I",
    "CreditLimit": Decimal("5000.4"),
    "Email": "accounts@example.com",
    "SoldToAddr1": "1 Sample Street",
    "SoldPostalCode": "ZZ1 1ZZ",
}


def order(po_number: str = "500123", **more: Any) -> Doc:
    return {
        "CustomerPoNumber": po_number,
        "Customer": "WEB001",
        "OrderDate": date(2026, 3, 4),
        "Currency": "GBP",
        "CustomerName": "Łukasz & Søn <Ltd>",
        "ShipAddress1": "Unit 4",
        "ShipAddress3": "Harborough",
        "ShipPostalCode": "ZZ1 9ZZ",
        "Email": "buyer@example.test",
        "Warehouse": "MN",
        "StockLine": [
            {
                "@key": "11",
                "StockCode": "kb-1001",
                "OrderQty": Decimal(2),
                "OrderUom": "EA",
                "Price": Decimal("24.95"),
                "PriceUom": "EA",
            }
        ],
        "CommentLine": [{"@key": "12", "Comment": "Engrave: happy birthday"}],
        "MiscChargeLine": [
            {
                "@key": "13",
                "MiscChargeValue": Decimal("-3.50"),
                "MiscProductClass": "KTCH",
                "MiscDescription": "Coupon",
                "MiscTaxCode": "A",
            }
        ],
        "FreightLine": [{"@key": "14", "FreightValue": Decimal("4.99"), "FreightTaxCode": "A"}],
        **more,
    }


def create(resource: Resource, doc: Doc, natural_key: str = "CustomerPoNumber") -> Any:
    wanted = resource.canonical(doc)
    return resource.write([Operation(Verb.CREATE, wanted[natural_key], doc=wanted)])[0]


def number_of(orders: Resource, outcome: Any, po_number: str) -> str:
    """The number of a created order, whether the reply has it or not."""
    assert outcome.result is Result.DONE, outcome.error
    return outcome.key or orders.keys_of([po_number])[po_number][0]


@pytest.fixture(params=list(WAYS))
def syspro(request: pytest.FixtureRequest, connect_to: Connect) -> Syspro:
    """A connector, by each gateway in turn."""
    return connect_to(request.param)


@pytest.fixture
def orders(syspro: Syspro) -> Resource:
    return syspro.resources["syspro.sales_order"]


@pytest.fixture
def customers(syspro: Syspro) -> Resource:
    return syspro.resources["syspro.customer"]


def test_check_says_what_was_reached(syspro: Syspro) -> None:
    assert "SYSPRO" in syspro.check()


def test_an_order_arrives_whole_and_reads_back_as_its_canonical_form(orders: Resource) -> None:
    outcome = create(orders, order())
    key = number_of(orders, outcome, "500123")
    assert any("Łukasz" in warning for warning in outcome.warnings)
    found = orders.load(orders.read([key])[key])
    wanted = orders.canonical(order())
    for name in ("CustomerPoNumber", "Customer", "OrderDate", "CustomerName", "ShipAddress1", "ShipAddress3", "Email"):
        assert found[name] == wanted[name], name
    assert found["CustomerName"] == "Lukasz & Søn <Ltd>"
    for kind in ("StockLine", "CommentLine", "MiscChargeLine", "FreightLine"):
        (line,), (asked,) = found[kind], wanted[kind]
        assert line["@line"]
        for name in orders.line_fields[kind]:
            assert line[name] == asked[name], f"{kind}.{name}"


def test_an_order_is_found_by_its_reference_and_by_nothing_else(orders: Resource) -> None:
    key = number_of(orders, create(orders, order("500123")), "500123")
    create(orders, order("500124"))
    found = orders.find(["500123", "nothing"])
    assert [orders.key_of(doc) for doc in found["500123"]] == [key]
    assert "nothing" not in found
    assert orders.keys_of(["500123"]) == {"500123": [key]}


def test_an_unknown_order_is_absent(orders: Resource) -> None:
    assert orders.read(["999999"]) == {}
    assert orders.find(["nothing"]) == {}


def test_the_sales_channel_goes_where_the_gateway_takes_it(orders: Resource) -> None:
    doc = order(OrderSourceCode="wb")
    key = number_of(orders, create(orders, doc), "500123")
    found = orders.load(orders.read([key])[key])
    assert found.get("OrderSourceCode", "WB") == orders.canonical(doc)["OrderSourceCode"] == "WB"


def test_a_sales_channel_that_does_not_fit_is_refused_by_its_own_name(orders: Resource) -> None:
    outcome = create(orders, order(OrderSourceCode="MARKETPLACE"))
    assert outcome.result is Result.REJECTED
    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == "OrderSourceCode"


def test_a_second_order_of_the_same_reference_exists(orders: Resource, sandbox: Sandbox) -> None:
    create(orders, order())
    outcome = create(orders, order())
    assert outcome.result is Result.EXISTS
    assert len(sandbox.calls.effects(system="syspro", object="SorMaster", action="created")) == 1


def test_an_unknown_stock_code_is_rejected_by_name(orders: Resource) -> None:
    doc = order()
    doc["StockLine"][0]["StockCode"] = "NO-SUCH"
    outcome = create(orders, doc)
    assert outcome.result is Result.REJECTED
    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field.endswith("StockCode")
    assert outcome.error.value == "NO-SUCH"
    assert "Create the stock code" in outcome.error.remedy
    assert "stock code" in outcome.error.remedy


def test_an_amendment_changes_adds_and_removes_lines(orders: Resource) -> None:
    doc = order()
    doc["StockLine"].append({"@key": "15", "StockCode": "BP-TEE-RED-M", "OrderQty": 3, "OrderUom": "EA"})
    key = number_of(orders, create(orders, doc), "500123")
    current = orders.load(orders.read([key])[key])
    numbers = {line["StockCode"]: line["@line"] for line in current["StockLine"]}
    wanted = orders.canonical(order(ShipAddress1="Unit 5", ShipAddress3=""))
    lines = (
        LineChange(
            "StockLine",
            "change",
            "11",
            numbers["KB-1001"],
            wanted["StockLine"][0],
            {"OrderQty": Change(Decimal(2), Decimal(5))},
        ),
        LineChange("StockLine", "remove", "15", numbers["BP-TEE-RED-M"], current["StockLine"][1]),
        LineChange("CommentLine", "add", "16", None, {"@key": "16", "Comment": "Ring the bell"}),
    )
    changes = {"ShipAddress1": Change("Unit 4", "Unit 5"), "ShipAddress3": Change("Harborough", "")}
    change = Operation(Verb.CHANGE, "500123", doc=wanted, key=key, changes=changes, lines=lines, current=current)
    (outcome,) = orders.write([change])
    assert outcome.result is Result.DONE, outcome.error
    found = orders.load(orders.read([key])[key])
    assert (found["ShipAddress1"], found["ShipAddress3"]) == ("Unit 5", "")
    (line,) = found["StockLine"]
    assert (line["StockCode"], line["OrderQty"], line["Price"]) == ("KB-1001", Decimal(5), Decimal("24.95"))
    assert [line["Comment"] for line in found["CommentLine"]] == ["Engrave: happy birthday", "Ring the bell"]


def test_a_cancelled_order_is_seen_as_cancelled_and_has_no_live_key(orders: Resource) -> None:
    key = number_of(orders, create(orders, order()), "500123")
    current = orders.load(orders.read([key])[key])
    (outcome,) = orders.write([Operation(Verb.CANCEL, "500123", doc=current, key=key, current=current)])
    assert outcome.result is Result.DONE, outcome.error
    assert orders.is_cancelled(orders.load(orders.read([key])[key]))
    assert orders.keys_of(["500123"]) == {}
    assert len(orders.find(["500123"])["500123"]) == 1


def test_cancelling_what_is_not_there_is_rejected(orders: Resource) -> None:
    (outcome,) = orders.write([Operation(Verb.CANCEL, "1", doc={}, key="999999")])
    assert outcome.result is Result.REJECTED


def test_an_order_of_60_rows_goes_through(orders: Resource) -> None:
    lines = [
        {"@key": str(row), "StockCode": "KB-1001", "OrderQty": row, "OrderUom": "EA", "Price": "1.5", "PriceUom": "EA"}
        for row in range(1, 61)
    ]
    key = number_of(orders, create(orders, order(StockLine=lines)), "500123")
    found = orders.load(orders.read([key])[key])
    assert [line["OrderQty"] for line in found["StockLine"]] == [Decimal(row) for row in range(1, 61)]


def test_what_syspro_would_drop_or_cut_is_refused_without_a_call(orders: Resource, sandbox: Sandbox) -> None:
    for wrong in (
        {"ShipAddress1": "x" * 41},
        {"Colour": "red"},
        {"StockLine": []} | dict.fromkeys(("CommentLine", "MiscChargeLine", "FreightLine"), ()),
    ):
        assert create(orders, order(**wrong)).result is Result.REJECTED
    assert sandbox.calls.total(system="syspro") == 0


def test_a_customer_is_created_once_changed_and_read(customers: Resource) -> None:
    outcome = create(customers, CUSTOMER, "Customer")
    assert (outcome.result, outcome.key) == (Result.DONE, "BP310")
    assert create(customers, CUSTOMER, "Customer").result is Result.EXISTS
    found = customers.load(customers.read(["BP310", "NOBODY"])["BP310"])
    assert (found["Name"], found["CreditLimit"], found["SoldToAddr1"]) == ("Zólw Trading Ltd", 5000, "1 Sample Street")
    changes = {"Email": Change(found["Email"], "new@example.com")}
    (changed,) = customers.write([Operation(Verb.CHANGE, "BP310", doc=CUSTOMER, key="BP310", changes=changes)])
    assert changed.result is Result.DONE, changed.error
    again = customers.load(customers.read(["BP310"])["BP310"])
    assert (again["Email"], again["Name"]) == ("new@example.com", "Zólw Trading Ltd")


def test_an_unknown_branch_is_rejected_by_name(customers: Resource) -> None:
    outcome = create(customers, {**CUSTOMER, "Branch": "ZZ"}, "Customer")
    assert outcome.result is Result.REJECTED
    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field.lower() == "branch"


def test_changing_a_customer_who_is_not_there_is_rejected(customers: Resource) -> None:
    changes = {"Email": Change("", "x@example.com")}
    (outcome,) = customers.write([Operation(Verb.CHANGE, "NOBODY", doc={}, key="NOBODY", changes=changes)])
    assert outcome.result is Result.REJECTED


def test_stock_codes_are_read_in_bulk(syspro: Syspro, sandbox: Sandbox) -> None:
    stock = syspro.resources["syspro.stock_code"]
    found = stock.read(["KB-1001", "KB-2040", "NO-SUCH"])
    assert sorted(found) == ["KB-1001", "KB-2040"]
    assert stock.load(found["KB-1001"])["Description"] == "Kettle brass 1.5l"
    assert sandbox.calls.total(system="syspro", operation="COMFND") == 1


def test_40_references_cost_one_call(orders: Resource, sandbox: Sandbox) -> None:
    orders.keys_of([str(500_000 + number) for number in range(40)])
    assert sandbox.calls.total(system="syspro", operation="COMFND") == 1


@pytest.mark.parametrize("after", ["before", "commit"])
def test_a_create_whose_answer_is_lost_is_unknown(orders: Resource, sandbox: Sandbox, after: str) -> None:
    orders.read(["1"])  # the session is there
    sandbox.faults.add(Fault("syspro", "SORTOI", "drop", after=after))
    outcome = create(orders, order())
    assert outcome.result is Result.UNKNOWN
    assert isinstance(outcome.error, OutcomeUnknown)
    assert len(sandbox.calls.effects(object="SorMaster", action="created")) == (1 if after == "commit" else 0)


def test_a_read_whose_answer_is_lost_is_transient(orders: Resource, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("syspro", "SORQRY", "drop"))
    with pytest.raises(Transient):
        orders.read(["1"])


def test_a_server_error_in_answer_to_a_write_is_unknown(orders: Resource, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("syspro", "SORTOI", "error"))
    assert create(orders, order()).result is Result.UNKNOWN


def test_a_broken_body_in_answer_to_a_write_is_unknown(orders: Resource, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("syspro", "SORTOI", "malformed", after="commit"))
    assert create(orders, order()).result is Result.UNKNOWN


def test_a_service_that_restarts_is_down(orders: Resource, sandbox: Sandbox) -> None:
    sandbox.syspro.restart(0.0, 60.0)
    with pytest.raises(EndpointDown):
        orders.read(["1"])


BLOCKED = "<html><body>Request blocked</body></html>"


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("body", ["", BLOCKED])
def test_a_403_concerns_one_call_and_leaves_the_seat_open(way: str, body: str, connect_to: Connect) -> None:
    """A firewall that dislikes one order: e.net puts its address into the URL."""
    syspro = connect_to(way)
    orders = syspro.resources["syspro.sales_order"]
    with responses.RequestsMock() as refusing:
        refusing.add_passthru("http")
        verb, path = ("GET", ".*/Transaction/Post.*") if way == "enet" else ("POST", ".*/SalesOrder$")
        refusing.add(verb, re.compile(path), status=403, body=body)
        with pytest.raises(Forbidden, match="firewall"):
            create(orders, order())
    assert number_of(orders, create(orders, order("500124")), "500124")


@pytest.mark.parametrize("way", list(WAYS))
def test_a_check_that_is_answered_with_403_says_what_to_look_at(way: str, connect_to: Connect) -> None:
    syspro = connect_to(way)
    syspro.check()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as refusing:
        refusing.add(responses.GET, re.compile(".*"), status=403, body=BLOCKED)
        refusing.add(responses.POST, re.compile(".*"), status=403, body=BLOCKED)
        with pytest.raises(Forbidden, match=r"HTTP 403.*Check .*firewall|firewall.*Check"):
            syspro.check()


@pytest.mark.parametrize("way", ["enet", "harmony-session"])
def test_a_logon_that_is_answered_with_403_is_a_matter_of_credentials(way: str, connect_to: Connect) -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as refusing:
        refusing.add_passthru("http")
        for verb in (responses.GET, responses.POST):
            refusing.add(verb, re.compile(".*/Logon.*"), status=403, body=BLOCKED)
        with pytest.raises(AuthenticationFailed):
            connect_to(way).resources["syspro.sales_order"].read(["999999"])


@pytest.mark.parametrize("status", [408, 409, 423, 425, 499])
@pytest.mark.parametrize("way", ["enet", "harmony-key"])
def test_a_status_that_a_proxy_gives_says_nothing_about_a_write(way: str, status: int, connect_to: Connect) -> None:
    orders = connect_to(way).resources["syspro.sales_order"]
    with responses.RequestsMock(assert_all_requests_are_fired=False) as refusing:
        refusing.add_passthru("http")
        refusing.add(responses.GET, re.compile(".*/Transaction/Post.*"), status=status, body=BLOCKED)
        refusing.add(responses.POST, re.compile(".*/SalesOrder$"), status=status, body=BLOCKED)
        assert create(orders, order()).result is Result.UNKNOWN


@pytest.mark.parametrize("told_s", ["3600", "9" * 400])
def test_a_wait_that_is_told_is_obeyed_for_a_quarter_of_an_hour_at_most(told_s: str, connect_to: Connect) -> None:
    orders = connect_to("harmony-key").resources["syspro.sales_order"]
    with responses.RequestsMock() as refusing:
        refusing.add(responses.GET, re.compile(".*/SalesOrder/999999"), status=429, headers={"Retry-After": told_s})
        with pytest.raises(Throttled) as raised:
            orders.read(["999999"])
    assert raised.value.retry_in_s == LONGEST_WAIT_S


@pytest.mark.parametrize("way", ["enet", "harmony-session"])
def test_a_wrong_password_is_told_without_showing_any(way: str, connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_operators": "BPSYNC:another"})
    with pytest.raises(AuthenticationFailed) as raised:
        connect_to(way).check()
    assert "BPSYNC" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("way", "switch", "value"),
    [
        ("harmony-key", "syspro_harmony_api_key", "another"),
        ("harmony-oauth", "syspro_harmony_client", "syncengine:another"),
    ],
)
def test_a_refused_key_or_client_is_an_authentication_failure(
    way: str, switch: str, value: str, connect_to: Connect, sandbox: Sandbox
) -> None:
    sandbox.switches.turn({switch: value})
    with pytest.raises(AuthenticationFailed):
        connect_to(way).check()


def test_an_expired_token_is_renewed_once(connect_to: Connect, sandbox: Sandbox) -> None:
    syspro = connect_to("harmony-oauth")
    syspro.check()
    sandbox.switches.turn({"clock_offset_s": 4000})
    syspro.check()
    assert sandbox.calls.total(system="syspro", operation="token") == 2


@pytest.mark.parametrize("way", list(WAYS))
def test_a_missing_secret_is_named(way: str, connect_to: Connect, vault: Any, store: Any) -> None:
    syspro = connect_to(way)
    with store.write() as session:
        from syncengine.store.models import Secret

        session.query(Secret).delete()
    with pytest.raises(Misconfigured, match="syspro-test"):
        syspro.check()

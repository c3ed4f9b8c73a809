"""The proposed Harmony interface (syspro-transport.md section 4.3): the same company and rules in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from syncengine.sandbox import Fault, Running, Sandbox

from .conftest import EnetClient, example

KEY = {"X-Api-Key": "harmony-sandbox-key"}
SECRET = "harmony-sandbox-secret"
HARMONY_ORDER = json.loads(example("harmony_salesorder_post_request.json"))


def call(running: Running, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
    """Status and JSON of one call, by API key unless other headers are given."""
    answer = requests.request(
        method,
        f"{running.url}/api/harmony/2.0/{path}",
        json=body,
        headers=KEY if headers is None else headers,
        timeout=5,
    )
    return answer.status_code, answer.json()


def test_order_is_created_as_the_example_shows(running: Running) -> None:
    running.sandbox.syspro.start_numbers_at("order", 512)
    status, body = call(running, "POST", "SalesOrder", HARMONY_ORDER)

    expected = json.loads(example("harmony_salesorder_post_response.json"))
    expected.pop("_note")
    assert (status, body) == (200, expected)


def test_refused_order_is_400_with_number_path_and_value(running: Running) -> None:
    document = json.loads(json.dumps(HARMONY_ORDER).replace("KB-1001", "NO-SUCH"))
    expected = json.loads(example("harmony_error.json"))
    expected.pop("_note")

    assert call(running, "POST", "SalesOrder", document) == (400, expected)


def test_an_import_first_makes_the_moves_of_the_warehouse_that_are_due(make_sandbox: Callable[..., Running]) -> None:
    running = make_sandbox(syspro_warehouse_step_s=60)
    in_stock = json.dumps(HARMONY_ORDER).replace("KB-1001", "KB-2040")
    call(running, "POST", "SalesOrder", json.loads(in_stock))
    table = running.sandbox.syspro.table("SorMaster")
    call(running, "GET", "SalesOrder/1001")
    running.sandbox.switches.turn({"clock_offset_s": 61})

    call(running, "POST", "SalesOrder", json.loads(in_stock.replace("500123", "500124")))

    assert [row["OrderStatus"] for row in table.rows()] == ["4", "1"]


def test_a_cancellation_carries_its_reason(make_sandbox: Callable[..., Running]) -> None:
    running = make_sandbox(syspro_cancel_reasons="WEB")
    call(running, "POST", "SalesOrder", HARMONY_ORDER)

    assert call(running, "DELETE", "SalesOrder/1001")[0] == 400
    assert call(running, "DELETE", "SalesOrder/1001?CancelReasonCode=WEB")[0] == 200


def test_order_is_read_found_and_cancelled(running: Running) -> None:
    call(running, "POST", "SalesOrder", HARMONY_ORDER)

    status, order = call(running, "GET", "SalesOrder/1001")
    assert (status, order["CustomerPoNumber"]) == (200, "500123")
    assert [next(iter(line)) for line in order["SalesOrderLine"]] == ["Merchandise", "Freight"]
    status, found = call(running, "GET", "SalesOrder?CustomerPoNumber=500123&Customer=WEB001")
    assert [one["SalesOrder"] for one in found["SalesOrder"]] == ["001001"]
    assert call(running, "DELETE", "SalesOrder/1001")[0] == 200
    assert call(running, "GET", "SalesOrder/1001")[1]["OrderStatus"] == "\\"
    status, refused = call(running, "DELETE", "SalesOrder/1001")
    assert (status, refused["Path"]) == (400, "Item.SalesOrder")
    assert call(running, "GET", "SalesOrder/9999")[0] == 404


def test_both_gateways_meet_the_same_orders_and_rules(running: Running) -> None:
    call(running, "POST", "SalesOrder", HARMONY_ORDER)
    client = EnetClient(running.url)
    client.log_on()

    assert client.find("SorMaster", "CustomerPoNumber") == [{"CustomerPoNumber": "500123"}]
    status, refused = call(running, "POST", "SalesOrder", HARMONY_ORDER)
    assert (status, refused["Path"]) == (400, "Orders[0].OrderHeader.CustomerPoNumber")


def test_change_of_an_order(running: Running) -> None:
    call(running, "POST", "SalesOrder", HARMONY_ORDER)
    header = {"CustomerPoNumber": "500123", "OrderActionType": "C", "Customer": "WEB001", "SalesOrder": "001001"}
    line = {"CustomerPoLine": "1", "LineActionType": "C", "OrderQty": "7"}
    body = {
        "Parameters": {"Process": "IMPORT", "IgnoreWarnings": "W"},
        "Orders": [{"OrderHeader": header, "OrderDetails": {"StockLine": [line]}}],
    }

    assert call(running, "POST", "SalesOrder", body)[0] == 200
    assert call(running, "GET", "SalesOrder/1001")[1]["SalesOrderLine"][0]["Merchandise"]["MOrderQty"] == "7.000000"


def test_customers_are_added_changed_read_and_refused(running: Running) -> None:
    customer = {"Key": {"Customer": "BP310"}, "Name": "Alder", "Salesperson": "W1", "Branch": "10", "TermsCode": "30"}

    assert call(running, "POST", "Customer", customer)[0] == 200
    status, refused = call(running, "POST", "Customer", customer)
    assert (status, refused["ErrorNumber"]) == (400, "120001")
    assert call(running, "PUT", "Customer/BP310", {"Name": "Finch"})[0] == 200
    assert call(running, "GET", "Customer/BP310")[1]["Header"]["Name"] == "Finch"
    assert call(running, "GET", "Customer/NOBODY")[0] == 404
    assert call(running, "DELETE", "Customer/BP310")[0] == 200


def test_generic_form_reaches_any_object(running: Running) -> None:
    call(running, "POST", "SalesOrder", HARMONY_ORDER)
    where = {"Expression": [{"Column": "CustomerPoNumber", "Condition": "EQ", "Value": "500123"}]}
    query = {"TableName": "SorMaster", "Columns": {"Column": ["SalesOrder", "OrderStatus"]}, "Where": where}

    status, found = call(running, "POST", "Query/Query/COMFND", {"XmlIn": query})
    assert (status, found["Row"]) == (200, [{"SalesOrder": "000000000001001", "OrderStatus": "2"}])


def test_generic_form_posts_movements_of_stock(running: Running) -> None:
    item = {"Warehouse": "MN", "StockCode": "BP-TEE-RED-M", "Quantity": "-3"}
    body = {"XmlParameters": {"Parameters": {"PhysicalCount": "N"}}, "XmlIn": {"Item": [item]}}

    status, answer = call(running, "POST", "Transaction/Post/INVTMA", body)
    assert (status, answer["Key"]["Warehouse"]) == (200, "MN")
    row = running.sandbox.syspro.table("InvWarehouse").get("BP-TEE-RED-M", "MN")
    assert row is not None
    assert row["QtyOnHand"] == 1247


def test_values_must_be_strings(running: Running) -> None:
    status, refused = call(running, "POST", "SalesOrder", {"Orders": [{"OrderHeader": {"CustomerPoNumber": 5}}]})

    assert (status, refused["ErrorDescription"]) == (400, "CustomerPoNumber: all values are strings")


def token(running: Running, *, secret: str) -> requests.Response:
    """Ask for an access token."""
    form = {"grant_type": "client_credentials", "client_id": "syncengine", "client_secret": secret}
    return requests.post(f"{running.url}/api/harmony/2.0/token", data=form, timeout=5)


def test_client_credentials_give_a_token_that_ends(running: Running) -> None:
    answer = token(running, secret=SECRET).json()
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}

    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    assert call(running, "POST", "SalesOrder", HARMONY_ORDER, bearer)[0] == 200
    running.sandbox.switches.turn({"clock_offset_s": 3601})
    assert call(running, "GET", "SalesOrder/1001", headers=bearer)[0] == 401
    assert token(running, secret="wrong").status_code == 401


def test_session_is_evicted_by_a_logon_through_the_other_gateway(running: Running) -> None:
    logon = {"Operator": "BPSYNC", "OperatorPassword": "s3cret!", "CompanyId": "T", "CompanyPassword": ""}
    status, answer = call(running, "POST", "Logon", logon, {})
    session = {"X-Syspro-Session": answer["UserId"]}

    assert status == 200
    assert call(running, "POST", "SalesOrder", HARMONY_ORDER, session)[0] == 200
    EnetClient(running.url).log_on()
    assert call(running, "GET", "SalesOrder/1001", headers=session)[0] == 401
    assert call(running, "POST", "Logon", {**logon, "OperatorPassword": "x"}, {})[0] == 401


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "wrong"}, {"Authorization": "Bearer wrong"}])
def test_nobody_else_gets_in(running: Running, headers: dict[str, str]) -> None:
    assert call(running, "GET", "SalesOrder/1001", headers=headers)[0] == 401


def test_way_of_authentication_is_a_switch(make_sandbox: Callable[..., Running]) -> None:
    running = make_sandbox(syspro_harmony_auth="oauth2")

    assert call(running, "GET", "SalesOrder/1001")[0] == 401
    assert token(running, secret=SECRET).status_code == 200


def test_full_licence_and_restarting_service_are_told_by_status(make_sandbox: Callable[..., Running]) -> None:
    running = make_sandbox(syspro_licences=0)
    logon = {"Operator": "BPSYNC", "OperatorPassword": "s3cret!", "CompanyId": "T", "CompanyPassword": ""}

    assert call(running, "POST", "Logon", logon, {})[0] == 429
    running.sandbox.syspro.restart(0, 60)
    assert call(running, "GET", "SalesOrder/1001")[0] == 503


@pytest.mark.parametrize(("kind", "status"), [("error", 500), ("throttle", 503)])
def test_service_troubles_are_json(sandbox: Sandbox, running: Running, kind: str, status: int) -> None:
    sandbox.faults.add(Fault(system="syspro", operation="SORQRY", kind=kind))

    assert call(running, "GET", "SalesOrder/1001")[0] == status


def test_faults_hit_harmony_alike(sandbox: Sandbox, running: Running) -> None:
    sandbox.faults.add(Fault(system="syspro", operation="SORTOI", kind="drop", after="commit"))

    with pytest.raises(requests.ConnectionError):
        call(running, "POST", "SalesOrder", HARMONY_ORDER)
    assert call(running, "GET", "SalesOrder?CustomerPoNumber=500123")[1]["SalesOrder"][0]["SalesOrder"] == "001001"
    sandbox.faults.add(Fault(system="syspro", operation="SORQRY", kind="expired"))
    assert call(running, "GET", "SalesOrder/1001")[0] == 401

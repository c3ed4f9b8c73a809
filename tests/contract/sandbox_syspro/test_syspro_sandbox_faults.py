"""Faults at SYSPRO's calls: what the client sees, and what became of the write."""

from __future__ import annotations

import pytest
import requests

from syncengine.sandbox import Fault, Sandbox

from .conftest import EnetClient, head, parsed, stock_line

EXPIRED = "ERROR: Invalid user id or user not logged in"


def created(sandbox: Sandbox) -> int:
    """How many orders were created."""
    return len(sandbox.calls.effects(system="syspro", object="SorMaster", action="created"))


def where_po(*numbers: str) -> str:
    """Inside of Where: one of these CustomerPoNumbers."""
    return "".join(
        f"<Expression>{'<AndOr>Or</AndOr>' if place else ''}<Column>CustomerPoNumber</Column><Condition>EQ</Condition>"
        f"<Value>{number}</Value></Expression>"
        for place, number in enumerate(numbers)
    )


@pytest.mark.parametrize(("after", "orders"), [("before", 0), ("commit", 1)])
def test_connection_is_dropped_before_or_after_the_write(
    sandbox: Sandbox, enet: EnetClient, after: str, orders: int
) -> None:
    sandbox.faults.add(Fault(system="syspro", operation="SORTOI.add", kind="drop", after=after))

    with pytest.raises(requests.ConnectionError):
        enet.import_order(head(), stock_line())
    assert created(sandbox) == orders


def test_late_write_takes_effect_after_the_client_gave_up_even_if_its_session_was_ended(
    sandbox: Sandbox, enet: EnetClient
) -> None:
    sandbox.faults.add(Fault(system="syspro", operation="SORTOI", kind="late", seconds=0.2))

    with pytest.raises(requests.ConnectionError):
        enet.import_order(head(), stock_line())
    enet.log_on()
    assert created(sandbox) == 0
    sandbox.faults.wait_for_late_writes()
    assert created(sandbox) == 1
    assert enet.find("SorMaster", "CustomerPoNumber") == [{"CustomerPoNumber": "500123"}]


def test_fault_about_an_order_hits_its_import_and_its_finds_and_no_others(sandbox: Sandbox, enet: EnetClient) -> None:
    sandbox.faults.add(Fault(system="syspro", kind="drop", about="500123", times=None))

    with pytest.raises(requests.ConnectionError):
        enet.import_order(head(), stock_line())  # CustomerPoNumber 500123
    with pytest.raises(requests.ConnectionError):
        enet.find("SorMaster", "CustomerPoNumber", where=where_po("500122", "500123"))
    enet.import_order(head("5001234"), stock_line())

    assert enet.find("SorMaster", "CustomerPoNumber", where=where_po("5001234")) == [{"CustomerPoNumber": "5001234"}]
    assert created(sandbox) == 1


def test_expired_session_is_really_gone(sandbox: Sandbox, enet: EnetClient) -> None:
    sandbox.faults.add(Fault(system="syspro", operation="SORQRY", kind="expired"))
    query = "<Query><Key><SalesOrder>1</SalesOrder></Key></Query>"

    assert enet.query("SORQRY", query) == EXPIRED
    assert enet.query("SORQRY", query) == EXPIRED
    enet.log_on()
    assert enet.query("SORQRY", query) == "ERROR: Sales order '1' not found"


@pytest.mark.parametrize(("kind", "status"), [("error", 500), ("throttle", 503)])
def test_service_troubles_are_html(sandbox: Sandbox, enet: EnetClient, kind: str, status: int) -> None:
    sandbox.faults.add(Fault(system="syspro", operation="GetVersion", kind=kind))

    answer = enet.get("GetVersion")
    assert (answer.status_code, "<HTML>" in answer.text) == (status, True)


def test_malformed_answer_is_a_document_cut_short(sandbox: Sandbox, enet: EnetClient) -> None:
    sandbox.faults.add(Fault(system="syspro", operation="SORTOI", kind="malformed", after="commit"))
    params = "<P><Parameters><Process>IMPORT</Process><IgnoreWarnings>W</IgnoreWarnings></Parameters></P>"
    order = f"<SalesOrders><Orders><OrderHeader>{head()}</OrderHeader></Orders></SalesOrders>"
    reply = enet.post("SORTOI", params, order)

    assert reply.startswith("<?xml")
    assert not reply.rstrip().endswith("</SalesOrders>")
    assert created(sandbox) == 1


def test_fault_hits_the_order_it_is_meant_for(sandbox: Sandbox, enet: EnetClient) -> None:
    sandbox.faults.add(Fault(system="syspro", operation="SORTOI", kind="drop", match="<CustomerPoNumber>B"))

    enet.import_order(head("A"), stock_line())
    with pytest.raises(requests.ConnectionError):
        enet.import_order(head("B"), stock_line())
    assert created(sandbox) == 1


def test_calls_are_counted_by_object_and_action(sandbox: Sandbox, enet: EnetClient) -> None:
    enet.import_order(head(), stock_line())
    enet.import_order(head(action="D", more="<SalesOrder>1001</SalesOrder>"))
    enet.read_order("1001")

    counted = {name: sandbox.calls.total("syspro", name) for name in ("Logon", "SORTOI.add", "SORTOI.cancel", "SORQRY")}
    assert counted == {"Logon": 1, "SORTOI.add": 1, "SORTOI.cancel": 1, "SORQRY": 1}


def test_session_evicted_in_mid_run(sandbox: Sandbox, enet: EnetClient) -> None:
    enet.import_order(head(), stock_line())
    sandbox.syspro.sessions.end("BPSYNC")

    assert enet.post("SORTOI", "", "<SalesOrders/>") == EXPIRED
    enet.log_on()
    assert parsed(enet.query("SORQRY", "<Query><Key><SalesOrder>1001</SalesOrder></Key></Query>")).tag == "SorDetail"

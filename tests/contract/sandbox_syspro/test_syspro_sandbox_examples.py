"""The references' example documents: sent unchanged, answered byte for byte as the examples say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from syncengine.sandbox import Running

from .conftest import EnetClient, example, parsed, same_but_version

#: The examples come from a site whose order numbers have six digits, and whose status stays 1 on back order.
EXAMPLE_SITE = {
    "syspro_order_key_width": 6,
    "syspro_back_order_status": "1",
    "syspro_error_numbers": True,
    "syspro_version": "7",
}


@pytest.fixture
def enet(make_sandbox: Callable[..., Running]) -> EnetClient:
    """A client of the examples' site; the next order is 000512."""
    running = make_sandbox(**EXAMPLE_SITE)
    running.sandbox.syspro.start_numbers_at("order", 512)
    client = EnetClient(running.url)
    client.log_on()
    return client


def post_example(enet: EnetClient, **replacements: str) -> str:
    """Import the example order; stock of KB-1001 in FG is none, so that its line is back-ordered."""
    return enet.post("SORTOI", example("sortoi_xmlparams.xml"), example("sortoi_xmlin.xml", **replacements))


def test_import_with_a_back_order(enet: EnetClient) -> None:
    assert same_but_version(post_example(enet), "sortoi_xmlout_ok.xml")


def test_clean_import_of_version_8_tells_no_number(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox().url)
    client.log_on()

    reply = post_example(client, _KB1001="KB-2040", **{"_KB-1001": "KB-2040"})

    assert reply == example("sortoi_xmlout_ok_clean.xml")


def test_clean_import_with_its_number_and_nested_status(make_sandbox: Callable[..., Running]) -> None:
    running = make_sandbox(syspro_clean_reply="always", syspro_nested_status=True)
    running.sandbox.syspro.start_numbers_at("order", 513)
    client = EnetClient(running.url)
    client.log_on()

    reply = post_example(client, _500123="500124", **{"_KB-1001": "KB-2040"})

    assert same_but_version(reply, "sortoi_xmlout_ok_nested_status.xml")


def test_rejection_without_reasons(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_rejection="empty").url)
    client.log_on()

    reply = post_example(client, _500123="500125", **{"_KB-1001": "NO-SUCH"})

    assert reply == example("sortoi_xmlout_failed_empty.xml")


def test_rejection_with_reasons(enet: EnetClient) -> None:
    document = (
        "<SalesOrders><Orders><OrderHeader><CustomerPoNumber>500126</CustomerPoNumber>"
        "<OrderActionType>A</OrderActionType><Customer>WEB001</Customer><OrderDate>2026-03-04</OrderDate></OrderHeader>"
        "<OrderDetails><StockLine><CustomerPoLine>0001</CustomerPoLine><LineActionType>A</LineActionType>"
        "<StockCode>NO-SUCH</StockCode><OrderQty>1.000</OrderQty><OrderUom>EA</OrderUom></StockLine></OrderDetails>"
        "</Orders></SalesOrders>"
    )

    assert same_but_version(enet.post("SORTOI", example("sortoi_xmlparams.xml"), document), "sortoi_xmlout_error.xml")


def test_validation_echoes_the_document(enet: EnetClient) -> None:
    document = (
        "<SalesOrders><Orders><OrderHeader><CustomerPoNumber>500123</CustomerPoNumber>"
        "<OrderActionType>A</OrderActionType><Customer>WEB001</Customer></OrderHeader>"
        "<OrderDetails><StockLine><CustomerPoLine>0001</CustomerPoLine><LineActionType>A</LineActionType>"
        "<StockCode>KB-1001</StockCode><OrderQty>2.000</OrderQty><OrderUom>EA</OrderUom></StockLine></OrderDetails>"
        "</Orders></SalesOrders>"
    )
    params = example("sortoi_xmlparams.xml", _IMPORT="validate")

    assert same_but_version(enet.post("SORTOI", params, document), "sortoi_validate_out.xml")
    assert enet.find("SorMaster", "SalesOrder") == []


def test_reading_the_order(enet: EnetClient) -> None:
    """The example order lost its line 2, has no order comments, and was entered by BPSYNC.

    The example was shortened: what it has is there in its order and form, between more elements.
    """
    post_example(enet, **{"_<OrderComments>Gift order</OrderComments>": ""})
    cancel = example("sortox_xmlin.xml", **{"_<SalesOrderLine/>": "<SalesOrderLine>2</SalesOrderLine>"})
    enet.post("SORTOX", example("sortox_xmlparams.xml"), cancel)

    reply = iter(enet.query("SORQRY", example("sorqry_xmlin.xml")).splitlines())
    missing = [line for line in example("sorqry_xmlout.xml").splitlines()[2:] if line not in reply]

    assert missing == []


def test_listing_orders(enet: EnetClient) -> None:
    post_example(enet)

    assert same_but_version(enet.query("SORQSO", example("sorqso_xmlin.xml")), "sorqso_xmlout.xml")


def test_finding_the_order_by_its_po_number(enet: EnetClient) -> None:
    assert same_but_version(
        enet.query("COMFND", example("comfnd_sormaster_xmlin.xml")), "comfnd_sormaster_xmlout_none.xml"
    )
    post_example(enet)

    assert same_but_version(enet.query("COMFND", example("comfnd_sormaster_xmlin.xml")), "comfnd_sormaster_xmlout.xml")


def test_finding_stock_pads_numbers_to_twenty_places(enet: EnetClient) -> None:
    reply = enet.query("COMFND", example("comfnd_invwarehouse_xmlin.xml"))

    assert "<StockCode>BP-TEE-RED-M</StockCode>" in reply
    assert "<QtyOnHand>         1250.000000</QtyOnHand>" in reply
    assert "<DateLastStockMove/>" in reply


def test_cancelling(enet: EnetClient) -> None:
    post_example(enet)
    reply = enet.post("SORTOX", example("sortox_xmlparams.xml"), example("sortox_xmlin.xml"))

    assert same_but_version(reply, "sortox_xmlout.xml")
    assert enet.find("SorMaster", "OrderStatus CancelledFlag") == [{"OrderStatus": "\\", "CancelledFlag": "Y"}]


def test_status_change(enet: EnetClient, control: Callable[..., requests.Response]) -> None:
    post_example(enet)
    control("POST", "orders/512/status", status="4")
    reply = enet.post("SORTOS", example("sortos_xmlparams.xml"), example("sortos_xmlin.xml"))

    assert same_but_version(reply, "sortos_xmlout.xml")
    assert enet.read_order("512").findtext("OrderStatus") == "8"


def test_back_order_release(enet: EnetClient) -> None:
    post_example(enet)
    reply = enet.post("SORTBO", example("sortbo_xmlparams.xml"), example("sortbo_xmlin.xml"))

    assert same_but_version(reply, "sortbo_xmlout.xml")
    order = enet.read_order("512")
    assert order.findtext("OrderStatus") == "3"
    assert (order.findtext(".//MShipQty") or "").strip() == "2.000000"


def test_invoicing_sets_the_last_invoice(enet: EnetClient, control: Callable[..., requests.Response]) -> None:
    post_example(enet, **{"_KB-1001": "KB-2040"})
    control("POST", "orders/512/status", status="8")
    reply = parsed(enet.post("SORTIC", example("sortic_xmlparams.xml"), example("sortic_xmlin.xml")))

    number = reply.findtext("Item/Key/InvoiceNumber")
    order = enet.read_order("512")
    assert (order.findtext("OrderStatus"), order.findtext("LastInvoice")) == ("9", number)


def test_change_and_cancellation_by_import(enet: EnetClient) -> None:
    post_example(enet)
    params = example("sortoi_xmlparams.xml")
    enet.post("SORTOI", params, example("sortoi_xmlin_change.xml"))

    order = enet.read_order("512")
    assert [line.findtext("*/SalesOrderLine") for line in order.iter("SalesOrderLine") if len(line)] == [
        "1",
        "3",
        "4",
        "5",
    ]
    assert (order.findtext(".//MOrderQty") or "").strip() == "3.000000"
    assert order.findtext("ShipAddress2") == ""
    enet.post("SORTOI", params, example("sortoi_xmlin_cancel.xml"))
    assert enet.read_order("512").findtext("OrderStatus") == "\\"


def test_customer_with_numeric_keys(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_numeric_customers=True).url)
    client.log_on()
    params, document = example("customer_setup_params.xml"), example("customer_setup_xmlin.xml")

    assert same_but_version(client.call("Setup/Add", "ARSSCS", params, document), "customer_setup_xmlout.xml")
    assert same_but_version(client.call("Setup/Add", "ARSSCS", params, document), "customer_setup_error_xmlout.xml")
    statement = parsed(client.query("ARSQRY", example("arsqry_xmlin.xml")))
    assert statement.findtext("Header/Name") == "Example Garden Supplies Ltd"
    assert statement.findtext("Header/CreditLimit") == "        5000"


def test_stock_query_pads_and_twins_its_quantities(enet: EnetClient) -> None:
    reply = enet.query("INVQRY", example("invqry_xmlin.xml"))

    assert "<QtyOnHand>         1250.000000</QtyOnHand>\n<Edited_QtyOnHand>1,250.000</Edited_QtyOnHand>" in reply
    assert "<AvailableQty>         1250.000000</AvailableQty>" in reply
    assert "<UnitCost>          0.00000</UnitCost>" in reply
    assert "<DateWarehouseAdded>2023/09/01</DateWarehouseAdded>" in reply
    assert [item.findtext("Warehouse") for item in parsed(reply).iter("WarehouseItem")] == ["MN", "RT"]


def test_error_number_becomes_its_text(enet: EnetClient) -> None:
    reply = parsed(enet.query("COMQER", example("comqer_xmlin.xml")))

    assert reply.tag == "TranslatedErrorMessages"
    assert [(child.tag, child.text) for child in reply.find("MessageDetails") or ()] == [
        ("ErrorCode", "240004"),
        ("TranslatedMessage", "Stock code 'ZZ-404' not found"),
        ("Parameter1", "ZZ-404"),
        ("Parameter2", None),
        ("Parameter3", None),
    ]

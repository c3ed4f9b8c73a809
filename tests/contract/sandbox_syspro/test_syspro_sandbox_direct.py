"""Direct invoicing: SORTBO, SORTOS and SORTIC as the vendor's schemas describe them, and the traps of their defaults.

Stock in FG: 100 of KB-2040, so that an order of 5 is all to be shipped.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from syncengine.sandbox import Running
from tests.contract.sandbox_syspro.conftest import EnetClient, errors, head, parsed, stock_line
from tests.contract.sandbox_syspro.test_syspro_sandbox_dispatch import line_of, order_of, post, site, stock_of

Control = Callable[..., requests.Response]
NOW = {"ValidateOnly": "N", "ApplyIfEntireDocumentValid": "N", "IgnoreWarnings": "N"}


def release(client: EnetClient, quantity: str = "0", status: str = "N", more: str = "", line: int = 1) -> str:
    item = f"<SalesOrder>1001</SalesOrder><Quantity>{quantity}</Quantity><SalesOrderLine>{line}</SalesOrderLine>"
    return post(client, "SORTBO", f"{item}<OrderStatus>{status}</OrderStatus>{more}", **NOW)


def set_status(client: EnetClient, new: str, more: str = "", **parameters: str) -> str:
    item = f"<SalesOrder>1001</SalesOrder><NewOrderStatus>{new}</NewOrderStatus>{more}"
    return post(client, "SORTOS", item, **(NOW | parameters))


def refused(reply: str) -> list[str]:
    return [text for _, text in errors(parsed(reply))]


ZERO = "<ReleaseFromShip>Y</ReleaseFromShip><ZeroShipQuantity>Y</ZeroShipQuantity>"
SHIP = "<ReleaseFromShip>Y</ReleaseFromShip>"
GOODS_OUT = "<DeliveryNoteNumber>7001</DeliveryNoteNumber><DateDeliveryNotePrinted>2026-03-04</DateDeliveryNotePrinted>"


@pytest.fixture
def client(enet: EnetClient) -> EnetClient:
    """A client with an order of 5 and of 3."""
    enet.import_order(head(), stock_line(qty="5") + stock_line(qty="3"))
    return enet


# -- one shipment, step by step ----------------------------------------------------------------------------------------


def test_a_shipment_zeroes_releases_marks_and_invoices(client: EnetClient, control: Control) -> None:
    """2 of 5 leave: all to back order, the order gets the note's id, 2 are released for invoicing."""
    for number in (1, 2):
        assert refused(release(client, more=ZERO, line=number)) == []
    assert (line_of(control, 1), line_of(control, 2)) == (("5", "0", "5", "0"), ("3", "0", "3", "0"))
    assert refused(set_status(client, "4", GOODS_OUT)) == []
    order = order_of(control)
    assert (order["DeliveryNote"], order["LastDelNote"], order["OrderStatus"]) == ("7001", "2026-03-04", "4")
    assert refused(release(client, "2", "8")) == []
    assert (line_of(control), order_of(control)["OrderStatus"]) == (("5", "2", "3", "0"), "8")
    assert stock_of(control) == ("100", "2", "0")

    reply = parsed(post(client, "SORTIC", "<SalesOrder>1001</SalesOrder>", **NOW))
    number = reply.findtext("Item/Key/InvoiceNumber")
    order = order_of(control)
    assert (order["OrderStatus"], order["LastInvoice"]) == ("2", number)
    (invoice,) = control("GET", "ArInvoice").json()
    assert (invoice["LastDelNote"], invoice["Invoice"]) == ("7001", number)
    assert (line_of(control), stock_of(control)) == (("5", "0", "3", "0"), ("98", "0", "0"))


def test_ship_quantities_are_set_in_one_step_for_invoicing(client: EnetClient, control: Control) -> None:
    assert refused(release(client, "2", "8", SHIP)) == []
    assert (line_of(control), order_of(control)["OrderStatus"]) == (("5", "2", "3", "0"), "8")


# -- traps -------------------------------------------------------------------------------------------------------------


def test_trap_of_validate_only_releases_nothing(client: EnetClient, control: Control) -> None:
    item = "<SalesOrder>1001</SalesOrder><SalesOrderLine>1</SalesOrderLine><Quantity>0</Quantity>"
    reply = parsed(post(client, "SORTBO", f"{item}<OrderStatus>N</OrderStatus>{ZERO}"))
    assert reply.findtext("StatusOfItems/ItemsProcessed") == "000001"  # it looks done
    assert line_of(control) == ("5", "5", "0", "0")


def test_trap_of_validate_only_sets_no_status(client: EnetClient, control: Control) -> None:
    item = f"<SalesOrder>1001</SalesOrder><NewOrderStatus>4</NewOrderStatus>{GOODS_OUT}"
    reply = parsed(post(client, "SORTOS", item))
    assert (reply.findtext("StatusOfItems/ItemsProcessed"), reply.findtext("Item/Order/NewOrderStatus")) == (
        "000001", "4",
    )  # fmt: skip
    assert (order_of(control)["OrderStatus"], order_of(control)["DeliveryNote"]) == ("1", "")


def test_trap_of_all_that_can_be_shipped_is_invoiced(client: EnetClient, control: Control) -> None:
    """Without SORTBO, what is allocated is invoiced, whatever left."""
    set_status(client, "8")
    post(client, "SORTIC", "<SalesOrder>1001</SalesOrder>", **NOW)
    assert (line_of(control, 1), line_of(control, 2)) == (("5", "0", "0", "0"), ("3", "0", "0", "0"))
    assert stock_of(control)[0] == "92"


def test_a_document_of_zero_and_release_must_be_applied_item_by_item(client: EnetClient, control: Control) -> None:
    """With ApplyIfEntireDocumentValid Y, its default, the release is checked before the line is zeroed, and fails."""
    head_ = "<SalesOrder>1001</SalesOrder><SalesOrderLine>1</SalesOrderLine>"
    zero = f"{head_}<Quantity>0</Quantity><OrderStatus>N</OrderStatus>{ZERO}"
    both = f"{zero}</Item><Item>{head_}<Quantity>2</Quantity><OrderStatus>N</OrderStatus>"
    assert errors(parsed(post(client, "SORTBO", both, ValidateOnly="N")))
    assert line_of(control) == ("5", "5", "0", "0")
    assert refused(post(client, "SORTBO", both, **NOW)) == []
    assert line_of(control) == ("5", "2", "3", "0")


@pytest.mark.parametrize(
    ("entry", "new", "is_taken"),
    [("4", "4", True), ("4", "8", False), ("any", "8", True), ("never", "4", False)],
)
def test_a_delivery_note_number_is_taken_where_the_site_has_it(
    make_sandbox: Callable[..., Running], control: Control, entry: str, new: str, is_taken: bool
) -> None:
    client = site(make_sandbox, syspro_delivery_note_entry=entry)
    client.import_order(head(), stock_line(qty="5"))
    assert (refused(set_status(client, new, GOODS_OUT)) == []) is is_taken
    assert (order_of(control)["DeliveryNote"] == "7001") is is_taken


# -- what SORTBO refuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "status", "more"),
    [
        ("1", "N", ""),  # nothing is on back order
        ("6", "8", SHIP),  # more than the ship quantity
        ("2", "3", SHIP),  # a ship quantity other than zero needs status 8
        ("2", "N", ZERO),  # zero with a quantity
        ("0", "N", "<ZeroShipQuantity>Y</ZeroShipQuantity>"),  # zero without ReleaseFromShip
        ("0", "4", ZERO),  # a status that it does not set
        ("-1", "N", ""),
    ],
)
def test_a_release_that_does_not_fit_is_refused(
    client: EnetClient, control: Control, quantity: str, status: str, more: str
) -> None:
    assert refused(release(client, quantity, status, more))
    assert line_of(control) == ("5", "5", "0", "0")


def test_status_4_takes_changes_for_invoicing_alone(make_sandbox: Callable[..., Running], control: Control) -> None:
    client = site(make_sandbox)
    client.import_order(head(), stock_line(qty="5"))
    release(client, more=ZERO)
    set_status(client, "4")
    assert refused(release(client, "2", "3"))
    running = make_sandbox(syspro_warehouse_quantities=False)
    other = EnetClient(running.url)
    other.log_on()
    other.import_order(head(), stock_line(qty="5"))
    release(other, more=ZERO)
    set_status(other, "4")
    assert refused(release(other, "2", "8"))


def test_a_line_is_completed_or_its_order_quantity_raised(client: EnetClient, control: Control) -> None:
    release(client, more=ZERO)
    assert refused(release(client, "2", more="<CompleteLine>Y</CompleteLine>")) == []
    assert line_of(control) == ("5", "2", "0", "0")
    release(client, more=ZERO, line=2)
    assert refused(release(client, "4", more="<AdjustOrderQuantity>Y</AdjustOrderQuantity>", line=2)) == []
    assert line_of(control, 2) == ("4", "4", "0", "0")


def test_several_lines_are_released_from_the_first_on(client: EnetClient, control: Control) -> None:
    for number in (1, 2):
        release(client, more=ZERO, line=number)
    item = "<SalesOrder>1001</SalesOrder><StockCode>KB-2040</StockCode><Warehouse>FG</Warehouse><Quantity>6</Quantity>"
    more = "<ReleaseFromMultipleLines>Y</ReleaseFromMultipleLines><OrderStatus>3</OrderStatus>"
    assert refused(post(client, "SORTBO", item + more, **NOW)) == []
    assert (line_of(control, 1), line_of(control, 2)) == (("5", "5", "0", "0"), ("3", "1", "2", "0"))


def test_an_order_with_dispatches_is_not_complete_when_the_rest_is_invoiced(
    client: EnetClient, control: Control
) -> None:
    control("POST", "orders/1001/dispatch", lines={"1": "2"})
    set_status(client, "8")
    post(client, "SORTIC", "<SalesOrder>1001</SalesOrder>", **NOW)
    assert (order_of(control)["OrderStatus"], line_of(control)) == ("2", ("5", "0", "0", "2"))
    control("POST", "dispatches/invoice", order="1001")
    assert order_of(control)["OrderStatus"] == "9"

"""Changing, cancelling and moving orders that exist (syspro-transport.md sections 9.6 and 10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
import requests

from syncengine.sandbox import Running, Sandbox

from .conftest import EnetClient, errors, head, parsed, stock_line
from .test_syspro_sandbox_import_rules import count, lines, value

Control = Callable[..., requests.Response]
NUMBER = "<SalesOrder>1001</SalesOrder>"
POST = "<Parameters><ValidateOnly>N</ValidateOnly></Parameters>"


@pytest.fixture
def ordered(enet: EnetClient) -> EnetClient:
    """An order 001001 with two lines of KB-2040 and a comment to the first."""
    comment = "<CommentLine><Comment>wrap it</Comment><AttachedLineNumber>1</AttachedLineNumber></CommentLine>"
    enet.import_order(head(), stock_line(qty="2") + stock_line() + comment)
    return enet


def line(number: int, action: str, more: str = "") -> str:
    """A StockLine that means an existing one."""
    return f"<StockLine><CustomerPoLine>{number}</CustomerPoLine><LineActionType>{action}</LineActionType>{more}</StockLine>"


def change(client: EnetClient, document: str, header: str = NUMBER, **parameters: str) -> list[tuple[str, str]]:
    """Change the order; the errors."""
    return errors(client.import_order(head(more=header, action="C"), document, **parameters))


def numbers(client: EnetClient) -> list[str]:
    """The line numbers of the order."""
    return [value(one, "SalesOrderLine") for one in lines(client.read_order("1001"))]


def test_lines_are_added_changed_and_cancelled_by_their_real_numbers(ordered: EnetClient) -> None:
    added = stock_line("KB-2040", "4", "7.50")

    assert change(ordered, line(1, "C", "<OrderQty>5</OrderQty>") + line(2, "D") + added) == []
    read = lines(ordered.read_order("1001"), "Merchandise")
    assert [(value(one, "SalesOrderLine"), value(one, "MOrderQty")) for one in read] == [
        ("1", "5.000000"),
        ("4", "4.000000"),
    ]


def test_numbers_of_cancelled_lines_are_not_used_again(ordered: EnetClient) -> None:
    change(ordered, line(2, "D"))
    change(ordered, stock_line())

    assert numbers(ordered) == ["1", "3", "4"]


def test_change_leaves_out_what_it_does_not_name(ordered: EnetClient) -> None:
    change(ordered, line(1, "C", "<OrderQty>1</OrderQty>"))

    read = lines(ordered.read_order("1001"))[0]
    assert (value(read, "MPrice"), value(read, "MOrderQty")) == ("8.00000", "1.000000")


def test_price_of_a_line_is_changed_with_its_unit(ordered: EnetClient) -> None:
    change(ordered, line(1, "C", "<Price>6.25</Price><PriceUom>EA</PriceUom>"))

    assert value(lines(ordered.read_order("1001"))[0], "MPrice") == "6.25000"


def test_header_is_changed_field_by_field_and_blank_clears(ordered: EnetClient) -> None:
    more = "<ShipAddress1>{blank}</ShipAddress1><SpecialInstrs>Ring twice</SpecialInstrs><Currency>EUR</Currency>"
    change(ordered, "", more + NUMBER)

    read = ordered.read_order("1001")
    assert [read.findtext(name) for name in ("ShipAddress1", "SpecialInstrs", "Currency")] == ["", "Ring twice", "GBP"]


def test_po_number_is_changed_unless_another_order_has_it(ordered: EnetClient) -> None:
    ordered.import_order(head("500124"), stock_line())

    taken = change(ordered, "", f"<NewCustomerPoNumber>500124</NewCustomerPoNumber>{NUMBER}")
    assert taken == [("", "Customer purchase order number '500124' already used on sales order '001002'")]
    assert change(ordered, "", f"<NewCustomerPoNumber>500199</NewCustomerPoNumber>{NUMBER}") == []
    assert ordered.read_order("1001").findtext("CustomerPoNumber") == "500199"


@pytest.mark.parametrize(
    ("document", "header", "text"),
    [
        ("", "", "XML element '{OrderHeader}{SalesOrder}' cannot be spaces"),
        ("", "<SalesOrder>4444</SalesOrder>", "Sales order '4444' not found"),
        (line(9, "C"), NUMBER, "Line 9 of sales order '001001' not found"),
        (line(3, "C"), NUMBER, "Line 3 of sales order '001001' is not of this type"),
        (
            line(1, "C", "<StockCode>KB-1001</StockCode>"),
            NUMBER,
            "Stock code 'KB-1001' does not match line 1 of sales order '001001'",
        ),
        (line(1, ""), NUMBER, "XML element '{StockLine}{LineActionType}' cannot be spaces"),
    ],
)
def test_refused_changes(ordered: EnetClient, document: str, header: str, text: str) -> None:
    assert [found for _, found in change(ordered, document, header)] == [text]


def test_order_of_another_customer_is_not_changed(ordered: EnetClient) -> None:
    reply = ordered.import_order(head(customer="WEBGBP", more=NUMBER, action="C"), "")

    assert errors(reply) == [("", "Sales order '1001' is not for customer 'WEBGBP'")]


def test_refused_line_leaves_the_whole_order_alone(ordered: EnetClient) -> None:
    change(ordered, line(1, "C", "<OrderQty>9</OrderQty>") + line(9, "D"))

    assert value(lines(ordered.read_order("1001"))[0], "MOrderQty") == "2.000000"


@pytest.mark.parametrize("status", ["4", "8", "9", "0"])
def test_status_that_lets_nothing_change_any_more(ordered: EnetClient, control: Control, status: str) -> None:
    control("POST", "orders/1001/status", status=status)

    text = f"Sales order '1001' in status '{status}' cannot be changed"
    assert change(ordered, line(1, "C", "<OrderQty>9</OrderQty>")) == [("", text)]
    cancel = ordered.import_order(head(more=NUMBER, action="D"))
    assert errors(cancel) == [("", text.replace("changed", "cancelled"))]


def test_order_in_the_warehouse_may_be_changed_where_the_site_allows_it(
    make_sandbox: Callable[..., Running], control: Control
) -> None:
    client = EnetClient(make_sandbox(syspro_warehouse_orders="allow").url)
    client.log_on()
    client.import_order(head(), stock_line(), OrderStatus="4")

    assert change(client, line(1, "C", "<OrderQty>9</OrderQty>")) == []


def test_raised_quantity_beyond_the_stock_warns(ordered: EnetClient) -> None:
    reply = ordered.import_order(head(more=NUMBER, action="C"), line(1, "C", "<OrderQty>200</OrderQty>"))

    assert reply.findtext(".//WarningDescription") == "Line 0001 for stock code 'KB-2040' was placed on back order"
    read = lines(ordered.read_order("1001"))[0]
    assert (value(read, "MShipQty"), value(read, "MBackOrderQty")) == ("99.000000", "101.000000")


def test_cancellation_by_import_gives_the_stock_back(ordered: EnetClient, control: Control) -> None:
    assert count(ordered.import_order(head(more=NUMBER, action="D"))) == 1

    assert ordered.find("SorMaster", "OrderStatus CancelledFlag") == [{"OrderStatus": "\\", "CancelledFlag": "Y"}]
    assert float(control("GET", "InvWarehouse/KB-2040/FG").json()["QtyAllocated"]) == 0


def test_second_cancellation_is_refused(ordered: EnetClient) -> None:
    document = "<PostSalesOrderCancel><Item><SalesOrder>1001</SalesOrder></Item></PostSalesOrderCancel>"
    ordered.post("SORTOX", "", document)

    reply = parsed(ordered.post("SORTOX", "", document))
    assert errors(reply) == [("", "Sales order '001001' in status '\\' cannot be cancelled")]
    assert reply.findtext("StatusOfItems/ItemsInvalid") == "000001"


def test_cancelled_line_takes_its_comments_along_where_asked(ordered: EnetClient) -> None:
    params = "<P><Parameters><CancelAttachedComments>Y</CancelAttachedComments></Parameters></P>"
    item = "<Item><SalesOrder>001001</SalesOrder><SalesOrderLine>1</SalesOrderLine></Item>"
    ordered.post("SORTOX", params, f"<PostSalesOrderCancel>{item}</PostSalesOrderCancel>")

    assert numbers(ordered) == ["2"]


def test_partial_processing_keeps_the_good_items_unless_all_must_be_valid(ordered: EnetClient) -> None:
    def cancel(apply: str) -> str:
        params = f"<P><Parameters><ApplyIfEntireDocumentValid>{apply}</ApplyIfEntireDocumentValid></Parameters></P>"
        items = "<Item><SalesOrder>1001</SalesOrder></Item><Item><SalesOrder>4444</SalesOrder></Item>"
        return ordered.post("SORTOX", params, f"<P>{items}</P>")

    cancel("Y")
    assert ordered.read_order("1001").findtext("OrderStatus") == "1"
    reply = parsed(cancel("N"))
    assert ordered.read_order("1001").findtext("OrderStatus") == "\\"
    assert [item.findtext("ItemNumber") for item in reply.iter("Item")] == ["000001", "000002"]


def test_status_change_validates_only_by_default(ordered: EnetClient) -> None:
    item = "<Item><SalesOrder>1001</SalesOrder><NewOrderStatus>4</NewOrderStatus></Item>"

    assert count(parsed(ordered.post("SORTOS", "", f"<P>{item}</P>"))) == 1
    assert ordered.read_order("1001").findtext("OrderStatus") == "1"
    ordered.post("SORTOS", f"<P>{POST}</P>", f"<P>{item}</P>")
    read = ordered.read_order("1001")
    assert (read.findtext("OrderStatus"), read.findtext("DeliveryNote")) == ("4", "001001")
    assert date.fromisoformat(read.findtext("LastDelNote") or "")  # a date, as both known databases have it


def test_suspended_order_needs_an_authority_to_go_on(ordered: EnetClient, control: Control) -> None:
    control("POST", "orders/1001/status", status="S")
    item = "<Item><SalesOrder>1001</SalesOrder><NewOrderStatus>1</NewOrderStatus><CreditAuthority>{}</CreditAuthority></Item>"

    refused = ordered.post("SORTOS", f"<P>{POST}</P>", f"<P>{item.format('')}</P>")
    assert errors(parsed(refused)) == [("", "Credit authority required for sales order '001001'")]
    ordered.post("SORTOS", f"<P>{POST}</P>", f"<P>{item.format('BOSS')}</P>")
    assert ordered.read_order("1001").findtext("OrderStatus") == "1"


def test_warehouse_moves_orders_and_invoices_them_step_by_step(ordered: EnetClient, control: Control) -> None:
    seen = []
    for _ in range(4):
        read = ordered.read_order("1001")
        seen.append((read.findtext("OrderStatus"), bool(read.findtext("LastInvoice"))))
        control("POST", "warehouse/advance", order="1001")

    assert seen == [("1", False), ("4", False), ("8", False), ("9", True)]
    assert float(control("GET", "InvWarehouse/KB-2040/FG").json()["QtyOnHand"]) == 97


def test_warehouse_moves_by_itself_where_switched_on(make_sandbox: Callable[..., Running]) -> None:
    running = make_sandbox(syspro_warehouse_step_s=60)
    client = EnetClient(running.url)
    client.log_on()
    client.import_order(head(), stock_line())

    assert client.read_order("1001").findtext("OrderStatus") == "1"
    running.sandbox.switches.turn({"clock_offset_s": 61})
    assert client.read_order("1001").findtext("OrderStatus") == "4"
    running.sandbox.switches.turn({"clock_offset_s": 200})
    assert client.read_order("1001").findtext("OrderStatus") == "9"


def test_partial_invoice_goes_back_to_status_2_with_its_number(ordered: EnetClient, control: Control) -> None:
    ordered.import_order(head("500124"), stock_line(qty="150"))
    control("POST", "orders/1002/status", status="8")
    control("POST", "warehouse/advance", order="1002")

    read = ordered.read_order("1002")
    assert (read.findtext("OrderStatus"), bool(read.findtext("LastInvoice"))) == ("2", True)


def test_what_people_do_is_seen_and_marked_as_theirs(sandbox: Sandbox, ordered: EnetClient, control: Control) -> None:
    control("POST", "orders/1001/lines", stock_code="KB-2040", qty="3", warehouse="FG")
    control("PATCH", "orders/1001/lines/1", qty="7")
    control("DELETE", "orders/1001/lines/2")

    assert numbers(ordered) == ["1", "3", "4"]
    assert value(lines(ordered.read_order("1001"))[0], "MOrderQty") == "7.000000"
    effects = sandbox.calls.effects(object="SorMaster", action="changed")
    assert {effect.by for effect in effects} == {"person"}


def test_person_enters_an_order_under_our_po_number(ordered: EnetClient, control: Control) -> None:
    control(
        "POST",
        "orders",
        customer="WEB001",
        po="500123",
        lines=[{"stock_code": "KB-2040", "qty": "1", "warehouse": "FG"}],
    )

    found = requests.get(
        f"{ordered.url.partition('/SYSPRO')[0]}/_sandbox/syspro/orders/count?po=500123", timeout=5
    ).json()
    assert (found["orders"], found["numbers"]) == (2, ["001001", "001002"])


# -- traps of the schema (syspro-objects.md section 14 item 7) ----------------------------------------------------------


def at_site(make_sandbox: Callable[..., Running], **switches: object) -> EnetClient:
    """A client of a site with these switches."""
    client = EnetClient(make_sandbox(**switches).url)
    client.log_on()
    return client


def test_the_unit_of_an_existing_line_is_ignored(enet: EnetClient) -> None:
    enet.import_order(head(), stock_line("BP-TEE-RED-M").replace(">FG<", ">MN<"))

    assert change(enet, line(1, "C", "<OrderQty>2</OrderQty><OrderUom>BX</OrderUom>")) == []
    assert value(lines(enet.read_order("1001"), "Merchandise")[0], "MOrderUom") == "EA"


CHARGE = (
    "<MiscChargeLine><MiscChargeValue>3.50</MiscChargeValue><MiscProductClass>WRAP</MiscProductClass></MiscChargeLine>"
)
AMENDED = (
    "<MiscChargeLine><CustomerPoLine>2</CustomerPoLine><LineActionType>C</LineActionType>"
    "<MiscChargeValue>4.00</MiscChargeValue>{}</MiscChargeLine>"
)


def test_an_amended_charge_needs_its_product_class(enet: EnetClient) -> None:
    enet.import_order(head(), stock_line() + CHARGE)

    refused = change(enet, AMENDED.format(""))
    assert refused == [("", "XML element '{MiscChargeLine}{MiscProductClass}' cannot be spaces")]
    assert change(enet, AMENDED.format("<MiscProductClass>WRAP</MiscProductClass>")) == []
    assert value(lines(enet.read_order("1001"), "MiscCharge")[0], "NMscChargeValue") == "4.00"


def test_an_amended_charge_keeps_its_class_where_the_site_is_lenient(make_sandbox: Callable[..., Running]) -> None:
    client = at_site(make_sandbox, syspro_charge_class_on_change=False)
    client.import_order(head(), stock_line() + CHARGE)

    assert change(client, AMENDED.format("")) == []


@pytest.mark.parametrize(
    ("option", "parameter", "error"),
    [
        (False, "Y", [("", "Quantity '-2' cannot be negative")]),
        (True, "N", [("", "Quantity '-2' cannot be negative")]),
        (True, "Y", []),
    ],
)
def test_a_negative_quantity_needs_the_setup_option_and_the_parameter(
    make_sandbox: Callable[..., Running], option: bool, parameter: str, error: list[tuple[str, str]]
) -> None:
    client = at_site(make_sandbox, syspro_negative_quantities=option)
    document = stock_line() + stock_line(qty="-2")
    reply = client.import_order(head(), document, AllowBackOrderForNegativeMerchLine=parameter)

    assert errors(reply) == error
    if not error:
        read = lines(client.read_order("1001"), "Merchandise")[1]
        assert (value(read, "MOrderQty"), value(read, "MBackOrderQty")) == ("-2.000000", "-2.000000")
        assert change(client, line(2, "C", "<OrderQty>-1</OrderQty>"), AllowBackOrderForNegativeMerchLine="Y") == []


def test_a_shipping_code_sets_the_text_unless_the_document_has_one(make_sandbox: Callable[..., Running]) -> None:
    client = at_site(make_sandbox, syspro_shipping_codes="ND24:Courier next day,SEC:Second class")
    coded = "<ShippingInstrsCode>ND24</ShippingInstrsCode>"
    client.import_order(head("1", coded), stock_line())
    client.import_order(head("2", f"<ShippingInstrs>By hand</ShippingInstrs>{coded}"), stock_line())

    read = [client.read_order(number).findtext("ShippingInstrs") for number in ("1001", "1002")]
    assert read == ["Courier next day", "By hand"]
    change(client, "", f"{NUMBER}<ShippingInstrsCode>SEC</ShippingInstrsCode>")
    assert client.read_order("1001").findtext("ShippingInstrs") == "Second class"
    unknown = head("3", "<ShippingInstrsCode>ZZ</ShippingInstrsCode>")
    refused = errors(client.import_order(unknown, stock_line(), ValidateShippingInstrs="Y"))
    assert refused == [("", "Shipping instructions 'ZZ' not found")]


def test_what_is_cancelled_needs_a_reason_where_the_site_retains_it(make_sandbox: Callable[..., Running]) -> None:
    client = at_site(make_sandbox, syspro_cancel_reasons="WEB")
    comment = "<CommentLine><Comment>wrap it</Comment></CommentLine>"
    client.import_order(head(), stock_line(qty="2") + stock_line() + comment)
    removed_comment = (
        "<CommentLine><CustomerPoLine>3</CustomerPoLine><LineActionType>D</LineActionType>"
        "<Comment>wrap it</Comment></CommentLine>"
    )

    assert change(client, line(2, "D")) == [("", "Cancel reason code '' not found")]
    assert change(client, line(2, "D", "<LineCancelCode>OLD</LineCancelCode>")) == [
        ("", "Cancel reason code 'OLD' not found")
    ]
    assert change(client, line(2, "D", "<LineCancelCode>WEB</LineCancelCode>") + removed_comment) == []
    item = f"<P><Item>{NUMBER}{{}}</Item></P>"
    refused = parsed(client.post("SORTOX", f"<P>{POST}</P>", item.format("")))
    assert errors(refused) == [("", "Cancel reason code '' not found")]
    reason = "<CancelReasonCode>WEB</CancelReasonCode>"
    assert errors(parsed(client.post("SORTOX", f"<P>{POST}</P>", item.format(reason)))) == []


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (
            stock_line(more="<StockNotTaxable>N</StockNotTaxable>"),
            "Value 'N' is invalid for XML element 'StockNotTaxable'",
        ),
        (
            stock_line(more="<NonStockedLine>N</NonStockedLine>"),
            "Value 'N' is invalid for XML element 'NonStockedLine'",
        ),
        (
            stock_line()
            + CHARGE.replace("</MiscChargeLine>", "<MiscSvcChargePrice>1.123456</MiscSvcChargePrice></MiscChargeLine>"),
            "XML element 'MiscSvcChargePrice' must be numeric",
        ),
    ],
)
def test_values_that_the_schema_does_not_have_are_refused(enet: EnetClient, document: str, text: str) -> None:
    assert errors(enet.import_order(head(), document)) == [("", text)]


def test_a_company_has_orders_that_are_complete_invoiced_in_part_and_cancelled() -> None:
    """As every company has before a client comes: each status of section 10.1 that no import makes."""
    with Sandbox(1, {"latency_s": 0}, contacts=2, products=30, orders=0, awkward=True).start() as running:
        client = EnetClient(running.url)
        client.log_on()
        columns = "SalesOrder CustomerPoNumber OrderStatus CancelledFlag LastInvoice"
        rows = {row["CustomerPoNumber"]: row for row in client.find("SorMaster", columns)}

        assert {name: (row["OrderStatus"], bool(row["LastInvoice"])) for name, row in rows.items()} == {
            "BEFORE-COMPLETE": ("9", True),
            "BEFORE-PARTIAL": ("2", True),
            "BEFORE-CANCELLED": ("\\", False),
            "BEFORE-CANCELLED-IN-ENTRY": ("*", False),
            "BEFORE-SUSPENSE": ("S", False),
            "BEFORE-FORWARD": ("F", False),
        }
        complete = rows["BEFORE-COMPLETE"]["SalesOrder"].lstrip("0")
        refused = client.import_order(
            head("BEFORE-COMPLETE", f"<SalesOrder>{complete}</SalesOrder>", action="C"), stock_line()
        )
        assert errors(refused) == [("", f"Sales order '{complete}' in status '9' cannot be changed")]
        assert client.read_order(complete).findtext("LastInvoice") == rows["BEFORE-COMPLETE"]["LastInvoice"]

"""SORTOI's rules for new orders (syspro-transport.md section 9, syspro-objects.md section 12)."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element

import pytest
import requests

from syncengine.sandbox import Running, Sandbox

from .conftest import EnetClient, errors, head, order, parsed, stock_line

Control = Callable[..., requests.Response]


def count(root: Element, name: str = "ItemsProcessed") -> int:
    """A counter of StatusOfItems."""
    return int(root.findtext(f".//StatusOfItems/{name}") or 0)


def lines(root: Element, kind: str = "*") -> list[Element]:
    """The lines of a SORQRY reply."""
    return [line[0] for line in root.iter("SalesOrderLine") if len(line) and kind in ("*", line[0].tag)]


def value(element: Element, name: str) -> str:
    """A field without its padding."""
    return (element.findtext(name) or "").strip()


def test_unknown_elements_are_dropped_in_silence(enet: EnetClient) -> None:
    reply = enet.import_order(
        head(more="<ShippingInstrsCod>ND24</ShippingInstrsCod><OrderSource>WEB</OrderSource>"),
        stock_line(more="<TaxCode>Z</TaxCode>"),
        ValidateOnly="Y",
    )

    assert count(reply) == 1
    assert enet.read_order("1001").findtext("ShippingInstrsCod") == ""


@pytest.mark.parametrize(
    ("header", "line", "number", "text"),
    [
        (head(customer="NOBODY"), stock_line(), "", "Customer 'NOBODY' not found"),
        (head(po=""), stock_line(), "100030", "XML element '{OrderHeader}{CustomerPoNumber}' cannot be spaces"),
        (head(po="P" * 31), stock_line(), "", "XML element 'CustomerPoNumber' exceeds 30 characters"),
        (
            head(more="<OrderDate>04/03/2026</OrderDate>"),
            stock_line(),
            "100028",
            "Date '04/03/2026' is invalid for XML element 'OrderDate' it must be CCYY-MM-DD format",
        ),
        (
            head(more="<OrderDate>2026-02-30</OrderDate>"),
            stock_line(),
            "100028",
            "Date '2026-02-30' is invalid for XML element 'OrderDate' it must be CCYY-MM-DD format",
        ),
        (
            head(more="<Currency>EUR</Currency>"),
            stock_line(),
            "",
            "Currency 'EUR' does not match currency 'GBP' of customer 'WEB001'",
        ),
        (head(more="<Salesperson>ZZ</Salesperson>"), stock_line(), "", "Salesperson 'ZZ' not found"),
        (
            head(more="<AlternateReference>WEB-SHOP</AlternateReference>"),
            stock_line(),
            "",
            "Alternate key 'WEB-SHOP' not found",
        ),
        (head(more="<SalesOrder>77</SalesOrder>"), stock_line(), "", "Manual sales order number '77' is not allowed"),
        (head(), stock_line("NO-SUCH"), "240004", "Stock code 'NO-SUCH' not found"),
        (head(), stock_line("BP-TEE-RED-M"), "240008", "Stock code 'BP-TEE-RED-M' not stocked in warehouse 'FG'"),
        (head(), stock_line(""), "100030", "XML element '{StockLine}{StockCode}' cannot be spaces"),
        (head(), stock_line(qty=""), "100030", "XML element '{StockLine}{OrderQty}' cannot be spaces"),
        (head(), stock_line(qty="two"), "100031", "XML element 'OrderQty' must be numeric"),
        (head(), stock_line(qty="1.5"), "", "Quantity '1.5' has more than 0 decimals for stock code 'KB-2040'"),
        (head(), stock_line(price="24.949999999999999"), "100031", "XML element 'Price' must be numeric"),
        (
            head(),
            stock_line().replace("<OrderUom>EA", "<OrderUom>BX"),
            "",
            "Unit of measure 'BX' is invalid for stock code 'KB-2040'",
        ),
        (
            head(),
            stock_line().replace("<OrderUom>EA</OrderUom>", ""),
            "100030",
            "XML element '{StockLine}{OrderUom}' cannot be spaces",
        ),
        (
            head(),
            stock_line().replace("<PriceUom>EA</PriceUom>", ""),
            "100030",
            "XML element '{StockLine}{PriceUom}' cannot be spaces",
        ),
        (
            head(),
            stock_line().replace("<LineActionType>A", "<LineActionType>C"),
            "",
            "Line action type must be A for a new sales order",
        ),
        (
            head(),
            "<MiscChargeLine><MiscChargeValue>3.50</MiscChargeValue></MiscChargeLine>",
            "100030",
            "XML element '{MiscChargeLine}{MiscProductClass}' cannot be spaces",
        ),
        (head(), "<FreightLine/>", "100030", "XML element '{FreightLine}{FreightValue}' cannot be spaces"),
    ],
)
def test_refused_orders(make_sandbox: Callable[..., Running], header: str, line: str, number: str, text: str) -> None:
    enet = EnetClient(make_sandbox(syspro_error_numbers=True).url)
    enet.log_on()
    reply = enet.import_order(header, line)

    assert (number, text) in errors(reply)
    assert count(reply) == 0
    assert count(reply, "ItemsInvalid") == 1
    assert enet.find("SorMaster", "SalesOrder") == []


def test_an_error_has_no_number_by_default_as_in_the_vendors_samples(enet: EnetClient) -> None:
    """syspro-objects.md section 14 item 7."""
    assert errors(enet.import_order(head(), stock_line("NO-SUCH"))) == [("", "Stock code 'NO-SUCH' not found")]


def test_errors_stand_in_the_section_that_has_them(enet: EnetClient) -> None:
    reply = enet.import_order(head(customer="WEB001"), stock_line() + stock_line("NO-SUCH"))

    first, second = reply.iter("StockLine")
    assert first.find("ErrorMessages") is None
    assert second[-1].tag == "ErrorMessages"
    assert reply.findtext("ValidationStatus/Status") == "Failed"


def test_over_long_value_is_truncated_where_the_site_does_so(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_over_length="truncate").url)
    client.log_on()
    client.import_order(head(more=f"<ShipAddress1>{'x' * 45}</ShipAddress1>"), stock_line())

    assert client.read_order("1001").findtext("ShipAddress1") == "x" * 40


@pytest.mark.parametrize(("version", "longest"), [("6.1", 30), ("7", 50), ("8", 50)])
def test_the_version_decides_about_lengths(make_sandbox: Callable[..., Running], version: str, longest: int) -> None:
    client = EnetClient(make_sandbox(syspro_version=version).url)
    client.log_on()

    def imported(length: int) -> Element:
        return client.import_order(
            head(f"{length}", more=f"<ShippingInstrs>{'x' * length}</ShippingInstrs>", customer="WEB001"), stock_line()
        )

    assert errors(imported(longest)) == []
    assert errors(imported(longest + 1)) == [("", f"XML element 'ShippingInstrs' exceeds {longest} characters")]


def test_headerless_defaults_come_from_the_customer(enet: EnetClient) -> None:
    enet.import_order(head(), stock_line())

    read = enet.read_order("1001")
    assert [
        read.findtext(name) for name in ("CustomerName", "Salesperson", "Branch", "InvTermsOverride", "ShipAddress1")
    ] == [
        "Web Sales Account",
        "W1",
        "10",
        "01",
        "Head Office",
    ]


def test_any_given_address_line_replaces_the_customers_whole_address(enet: EnetClient) -> None:
    enet.import_order(head(more="<ShipAddress2>12 Kiln Street</ShipAddress2>"), stock_line())

    read = enet.read_order("1001")
    assert (read.findtext("ShipAddress1"), read.findtext("ShipAddress2")) == ("", "12 Kiln Street")


def test_order_comments_are_cut_into_pieces_of_100(enet: EnetClient) -> None:
    enet.import_order(head(more=f"<OrderComments>{'a' * 150}</OrderComments>"), stock_line())

    assert enet.read_order("1001").findtext("HeaderText") == "\n" + "a" * 100 + "\n" + "a" * 50 + "\n"


# -- customer PO numbers -----------------------------------------------------------------------------------------------


def test_po_number_that_the_customer_used_before_is_refused(enet: EnetClient) -> None:
    enet.import_order(head(), stock_line())
    reply = enet.import_order(head(), stock_line())

    assert errors(reply) == [("", "Customer purchase order number '500123' already used on sales order '001001'")]


def test_same_po_number_of_another_customer_is_accepted(enet: EnetClient) -> None:
    enet.import_order(head(customer="WEBGBP"), stock_line())

    assert count(enet.import_order(head(), stock_line())) == 1


@pytest.mark.parametrize(
    ("forbidden", "parameter", "accepted"),
    [(False, "N", 0), (False, "Y", 1), (False, "A", 1), (True, "N", 0), (True, "Y", 0), (True, "A", 1)],
)
def test_duplicates_by_setup_option_and_parameter(
    make_sandbox: Callable[..., Running], forbidden: bool, parameter: str, accepted: int
) -> None:
    client = EnetClient(make_sandbox(syspro_forbid_duplicate_po=forbidden).url)
    client.log_on()
    client.import_order(head(), stock_line())

    assert count(client.import_order(head(), stock_line(), AllowDuplicateOrderNumbers=parameter)) == accepted


@pytest.mark.parametrize(("blocks", "accepted"), [(False, 1), (True, 0)])
def test_whether_a_cancelled_order_blocks_its_po_number(
    make_sandbox: Callable[..., Running], control: Control, blocks: bool, accepted: int
) -> None:
    client = EnetClient(make_sandbox(syspro_cancelled_blocks_po=blocks).url)
    client.log_on()
    client.import_order(head(), stock_line())
    control("POST", "orders/1001/cancel")

    assert count(client.import_order(head(), stock_line())) == accepted


@pytest.mark.parametrize(
    ("needed", "mandatory", "accepted"), [("N", "Y", 1), ("C", "N", 1), ("C", "Y", 0), ("Y", "N", 0)]
)
def test_whether_a_po_number_is_needed(
    enet: EnetClient, control: Control, needed: str, mandatory: str, accepted: int
) -> None:
    control("POST", "customers/WEB001", PoNumberMandatory=mandatory)

    assert count(enet.import_order(head(po=""), stock_line(), CheckForCustomerPoNumbers=needed)) == accepted


# -- several orders ----------------------------------------------------------------------------------------------------


def test_each_order_of_a_document_stands_alone(enet: EnetClient) -> None:
    reply = enet.import_orders(
        order(head("1"), stock_line()), order(head("2"), stock_line("NO-SUCH")), order(head("3"), stock_line())
    )

    assert (count(reply), count(reply, "ItemsInvalid")) == (2, 1)
    assert enet.find("SorMaster", "SalesOrder CustomerPoNumber") == [
        {"SalesOrder": "000000000001001", "CustomerPoNumber": "1"},
        {"SalesOrder": "000000000001002", "CustomerPoNumber": "3"},
    ]


def test_second_of_two_orders_with_one_po_number_is_refused(enet: EnetClient) -> None:
    reply = enet.import_orders(order(head("1"), stock_line()), order(head("1"), stock_line()))

    assert (count(reply), count(reply, "ItemsInvalid")) == (1, 1)


def test_reply_without_numbers_does_not_tell_which_order_was_refused(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_rejection="empty").url)
    client.log_on()
    reply = client.import_orders(order(head("1"), stock_line()), order(head("2"), stock_line("NO-SUCH")))

    assert [(o.findtext("CustomerPoNumber"), o.findtext("SalesOrder")) for o in reply.iter("Order")] == [("2", "")]
    assert (count(reply), count(reply, "ItemsRejectedWithWarnings")) == (1, 1)


# -- prices, discounts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "on_line", "price"),
    [("Y", "", "7.12345"), ("N", "", "8.00000"), ("N", "Y", "7.12345"), ("Y", "N", "8.00000")],
)
def test_syspro_prices_the_line_itself_unless_told_to_use_the_price(
    enet: EnetClient, parameter: str, on_line: str, price: str
) -> None:
    flag = f"<AlwaysUsePriceEntered>{on_line}</AlwaysUsePriceEntered>"
    enet.import_order(head(), stock_line(price="7.12345", more=flag), AlwaysUsePriceEntered=parameter)

    assert value(lines(enet.read_order("1001"))[0], "MPrice") == price


def test_zero_price_needs_its_permission(enet: EnetClient) -> None:
    reply = enet.import_order(head(), stock_line(price="0.00"), AllowZeroPrice="N")

    assert errors(reply) == [("", "Price of stock code 'KB-2040' cannot be zero")]
    assert count(enet.import_order(head(), stock_line(price="0.00"), AllowZeroPrice="Y")) == 1


def test_line_value_after_percents_and_values(enet: EnetClient) -> None:
    """3 x 8.00 = 24.00; less 10 % = 21.60; less 5 % = 20.52; less 0.50 a unit = 19.02."""
    more = (
        "<LineDiscPercent1>10.00</LineDiscPercent1><LineDiscPercent2>5.00</LineDiscPercent2>"
        "<LineDiscValue>0.50</LineDiscValue><LineDiscValFlag>U</LineDiscValFlag>"
    )
    enet.import_order(head(), stock_line(qty="3", more=more))

    assert value(lines(enet.read_order("1001"))[0], "OrderLineValue") == "19.02"


def test_price_in_another_unit_than_the_quantity(enet: EnetClient) -> None:
    """Two boxes of twelve at 1.50 each: 36.00."""
    line = stock_line("BP-TEE-RED-M", "2", "1.50").replace("<OrderUom>EA", "<OrderUom>BX").replace(">FG<", ">MN<")
    enet.import_order(head(), line)

    read = lines(enet.read_order("1001"))[0]
    assert (value(read, "OrderLineValue"), value(read, "MStockQtyToShp")) == ("36.00", "24.000000")


def test_customer_in_another_currency(enet: EnetClient) -> None:
    """The list price of 8.00 GBP at the shop's rate of 1.1724 EUR for a pound is 9.3792 EUR."""
    enet.import_order(head(customer="WEBEUR", more="<Currency>EUR</Currency>"), stock_line(), AlwaysUsePriceEntered="N")

    read = enet.read_order("1001")
    assert (read.findtext("Currency"), value(read, "ExchangeRate")) == ("EUR", "1.172400")
    assert value(lines(read)[0], "MPrice") == "9.37920"


# -- stock -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "ship", "back", "status"),
    [("A", "3.000000", "2.000000", "1"), ("F", "0.000000", "5.000000", "2"), ("B", "0.000000", "5.000000", "2")],
)
def test_allocation_of_five_with_three_on_hand(
    enet: EnetClient, control: Control, action: str, ship: str, back: str, status: str
) -> None:
    control("POST", "stock/KB-2040/FG", on_hand="3")
    enet.import_order(head(), stock_line(qty="5"), AllocationAction=action)

    read = enet.read_order("1001")
    assert [value(lines(read)[0], name) for name in ("MShipQty", "MBackOrderQty")] == [ship, back]
    assert read.findtext("OrderStatus") == status


@pytest.mark.parametrize(("meaning", "ship"), [("F", "5.000000"), ("B", "0.000000")])
def test_blank_allocation_action_is_a_switch(make_sandbox: Callable[..., Running], meaning: str, ship: str) -> None:
    client = EnetClient(make_sandbox(syspro_blank_allocation=meaning).url)
    client.log_on()
    client.import_order(head(), stock_line(qty="5"), AllocationAction="")

    assert value(lines(client.read_order("1001"))[0], "MShipQty") == ship


def test_allocation_action_s_is_not_valid(enet: EnetClient) -> None:
    params = "<SalesOrders><Parameters><AllocationAction>S</AllocationAction></Parameters></SalesOrders>"

    assert enet.post("SORTOI", params, f"<SalesOrders>{order(head())}</SalesOrders>").startswith("ERROR: ")


def test_ship_quantity_allocates_stock_and_back_order_does_not(enet: EnetClient, control: Control) -> None:
    control("POST", "stock/KB-2040/FG", on_hand="3")
    enet.import_order(head(), stock_line(qty="2") + stock_line(qty="2"))

    row = control("GET", "InvWarehouse/KB-2040/FG").json()
    assert (float(row["QtyAllocated"]), float(row["QtyOnBackOrder"])) == (3, 1)


def test_back_order_is_a_warning_that_ignore_warnings_decides(enet: EnetClient) -> None:
    text = "Line 0001 for stock code 'KB-1001' was placed on back order"
    refused = enet.import_order(head("1"), stock_line("KB-1001"), IgnoreWarnings="N")
    silent = enet.import_order(head("2"), stock_line("KB-1001"), IgnoreWarnings="Y")
    answer = enet.import_order(head("3"), stock_line("KB-1001"), IgnoreWarnings="W")

    assert errors(refused) == [("", text)]
    assert (count(silent), silent.find(".//WarningMessages")) == (1, None)
    assert (count(answer), answer.findtext(".//WarningDescription")) == (1, text)
    assert count(answer, "ItemsProcessedWithWarnings") == 1


def test_non_stocked_lines_by_parameter(enet: EnetClient) -> None:
    line = stock_line("WEB-EXTRA", more="<NsProductClass>WEB</NsProductClass><NonStockedLine>Y</NonStockedLine>")

    assert count(enet.import_order(head("1"), line, AllowNonStockItems="N")) == 0
    assert count(enet.import_order(head("2"), line, AllowNonStockItems="S")) == 1
    unflagged = line.replace("<NonStockedLine>Y</NonStockedLine>", "")
    assert errors(enet.import_order(head("3"), unflagged, AllowNonStockItems="S")) == [
        ("", "Stock code 'WEB-EXTRA' not found")
    ]
    assert count(enet.import_order(head("4"), unflagged, AllowNonStockItems="Y")) == 1


def test_stock_on_hold_and_denied_warehouse(make_sandbox: Callable[..., Running]) -> None:
    running = make_sandbox(syspro_denied_warehouses="MN")
    client = EnetClient(running.url)
    client.log_on()
    table = running.sandbox.syspro.table("InvMaster")
    table.update(table.get("KB-2040"), StockOnHold="P")

    assert errors(client.import_order(head("1"), stock_line())) == [("", "Stock code 'KB-2040' is on hold")]
    denied = client.import_order(head("2"), stock_line("KB-1001").replace(">FG<", ">MN<"))
    assert errors(denied) == [("", "Access to warehouse 'MN' denied")]


# -- customer ----------------------------------------------------------------------------------------------------------


def test_customer_on_hold_is_refused_or_warned_of(enet: EnetClient, control: Control) -> None:
    control("POST", "customers/WEB001", CustomerOnHold="Y")

    assert errors(enet.import_order(head(), stock_line())) == [("", "Customer 'WEB001' is on hold")]
    warned = enet.import_order(head(), stock_line(), WarnIfCustomerOnHold="Y")
    assert warned.findtext(".//WarningDescription") == "Customer 'WEB001' is on hold"
    assert warned.findtext(".//SalesOrder") == "001001"


def test_credit_limit_counts_open_orders(enet: EnetClient, control: Control) -> None:
    control("POST", "customers/WEB001", CreditCheckFlag="L", CreditLimit="20")

    assert count(enet.import_order(head("1"), stock_line(qty="2"))) == 1
    refused = enet.import_order(head("2"), stock_line())
    assert errors(refused) == [("", "Credit limit exceeded for customer 'WEB001'")]
    assert count(enet.import_order(head("3"), stock_line(), AcceptOrdersIfNoCredit="Y")) == 1


def test_credit_failure_may_suspend_the_order(make_sandbox: Callable[..., Running], control: Control) -> None:
    client = EnetClient(make_sandbox(syspro_credit_fail="suspense").url)
    client.log_on()
    control("POST", "customers/WEB001", CreditCheckFlag="B", CreditLimit="1")
    client.import_order(head(), stock_line())

    assert client.read_order("1001").findtext("OrderStatus") == "S"


@pytest.mark.parametrize(
    ("parameters", "status"),
    [({"OrderStatus": "4"}, "4"), ({"OrderStatus": "S"}, "S"), ({"TypeOfOrder": "FWD"}, "F"), ({}, "1")],
)
def test_status_of_a_new_order(enet: EnetClient, parameters: dict[str, str], status: str) -> None:
    enet.import_order(head(), stock_line(), **parameters)

    assert enet.read_order("1001").findtext("OrderStatus") == status


# -- lines -------------------------------------------------------------------------------------------------------------


def test_syspro_numbers_the_lines_in_document_order_whatever_the_document_says(enet: EnetClient) -> None:
    document = (
        "<CommentLine><CustomerPoLine>0009</CustomerPoLine><LineActionType>A</LineActionType><Comment>Hi</Comment></CommentLine>"
        + stock_line().replace("0001", "0042")
        + "<FreightLine><FreightValue>4.99</FreightValue></FreightLine>"
        + "<MiscChargeLine><CustomerPoLine>0001</CustomerPoLine><LineActionType>A</LineActionType>"
        "<MiscChargeValue>-2.50</MiscChargeValue><MiscProductClass>DISC</MiscProductClass></MiscChargeLine>"
    )
    enet.import_order(head(), document)

    read = [(line.tag, value(line, "SalesOrderLine")) for line in lines(enet.read_order("1001"))]
    assert read == [("CommentLine", "1"), ("Merchandise", "2"), ("Freight", "3"), ("MiscCharge", "4")]
    assert [row["NMscChargeValue"] for row in enet.find("SorDetail", "NMscChargeValue")] == [
        "0.00",
        "0.00",
        "4.99",
        "-2.50",
    ]


def test_order_of_sixty_lines_goes_by_postld(enet: EnetClient) -> None:
    document = f"<SalesOrders>{order(head(), stock_line() * 60)}</SalesOrders>"
    params = "<P><Parameters><Process>IMPORT</Process><AlwaysUsePriceEntered>Y</AlwaysUsePriceEntered></Parameters></P>"
    body = (
        '<TransactionPostLD xmlns="http://SYSPROWcfService">'
        f"<UserId>{enet.user_id}</UserId><BusinessObject>SORTOI</BusinessObject>"
        f"<XmlParameters><![CDATA[{params}]]></XmlParameters><XmlIn><![CDATA[{document}]]></XmlIn></TransactionPostLD>"
    )
    requests.post(f"{enet.url}/Transaction/PostLD", data=body.encode(), timeout=10)

    assert len(lines(enet.read_order("1001"))) == 60


def test_an_import_without_its_process_only_validates(enet: EnetClient) -> None:
    """The schema's default: the reply looks fine, and nothing is there."""
    reply = parsed(enet.post("SORTOI", "<P><Parameters/></P>", f"<S>{order(head(), stock_line())}</S>"))

    assert reply.findtext("ValidationStatus/Status") == "Successful"
    assert enet.find("SorMaster", "SalesOrder") == []


def test_manual_order_number_where_it_is_allowed(enet: EnetClient) -> None:
    header = head(more="<SalesOrder>77</SalesOrder>")
    enet.import_order(header, stock_line(), AllowManualOrderNumberToBeUsed="Y")

    assert enet.find("SorMaster", "SalesOrder") == [{"SalesOrder": "000000000000077"}]


def test_every_created_order_is_an_effect_that_bears_its_po_number(sandbox: Sandbox, enet: EnetClient) -> None:
    enet.import_order(head("A1"), stock_line())
    enet.import_order(head("A1"), stock_line("NO-SUCH"))

    effects = sandbox.calls.effects(system="syspro", object="SorMaster", reference="A1")
    assert [(effect.action, effect.key, effect.by) for effect in effects] == [("created", "001001", "api")]

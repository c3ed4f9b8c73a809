"""Invoices, whole and in part, with SYSPRO's own tax. All amounts are worked out by hand; KB-2040 is taxed at 20 %."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import requests

from syncengine.sandbox import Running, Sandbox

from .conftest import EnetClient, errors, head, parsed, stock_line

Control = Callable[..., requests.Response]
MISC = (
    "<MiscChargeLine><CustomerPoLine>0001</CustomerPoLine><LineActionType>A</LineActionType>"
    "<MiscChargeValue>{value}</MiscChargeValue><MiscProductClass>WEB</MiscProductClass>"
    "<MiscTaxCode>{code}</MiscTaxCode></MiscChargeLine>"
)
FREIGHT = (
    "<FreightLine><CustomerPoLine>0001</CustomerPoLine><LineActionType>A</LineActionType>"
    "<FreightValue>5.95</FreightValue><FreightTaxCode>T20</FreightTaxCode></FreightLine>"
)


def site(make_sandbox: Callable[..., Running], **switches: object) -> EnetClient:
    """A client of a site with these options."""
    client = EnetClient(make_sandbox(**switches).url)
    client.log_on()
    return client


def amounts(found: dict[str, Any]) -> tuple[str, str, str]:
    """Net, tax and total."""
    return found["net"], found["tax"], found["total"]


def post_invoice(client: EnetClient, item: str = "", parameters: str = "") -> str:
    """SORTIC for order 1001."""
    given = f"<P><Parameters>{parameters}<ApplyIfEntireDocumentValid>N</ApplyIfEntireDocumentValid></Parameters></P>"
    return client.post("SORTIC", given, f"<P><Item><SalesOrder>1001</SalesOrder>{item}</Item></P>")


# -- calculation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "tax", "total"), [("I", "0.20", "1.19"), ("L", "0.21", "1.20")])
def test_tax_on_the_invoice_and_line_by_line_differ_by_a_penny(
    make_sandbox: Callable[..., Running], control: Control, mode: str, tax: str, total: str
) -> None:
    """Three lines of 0.33: 20 % of 0.99 is 0.198; 0.066 a line is 0.07, three times."""
    client = site(make_sandbox, syspro_tax_calculation=mode)
    client.import_order(head(), stock_line(price="0.33") * 3)

    assert amounts(control("POST", "orders/1001/invoice").json()) == ("0.99", tax, total)


def test_several_rates_add_up_code_by_code(enet: EnetClient, control: Control) -> None:
    """8.00 + 5.95 at 20 % under two codes, 3.50 at 5 %, 1.00 at 0 %: 1.60 + 1.19 + 0.175."""
    charges = MISC.format(value="3.50", code="T5") + MISC.format(value="1.00", code="T0") + FREIGHT
    enet.import_order(head(), stock_line() + charges)
    found = control("POST", "orders/1001/invoice").json()

    assert amounts(found) == ("18.45", "2.97", "21.42")
    assert {(total["code"], total["net"], total["tax"]) for total in found["codes"]} == {
        ("A", "8.00", "1.60"),
        ("T5", "3.50", "0.18"),
        ("T0", "1.00", "0.00"),
        ("T20", "5.95", "1.19"),
    }


def test_half_a_penny_is_rounded_up_also_of_a_negative_charge(enet: EnetClient, control: Control) -> None:
    """0.125 is 0.13; a voucher of 2.50 at 5 % takes off 0.125, which is 0.13."""
    enet.import_order(head("1"), MISC.format(value="2.50", code="T5"))
    enet.import_order(head("2"), stock_line() + MISC.format(value="-2.50", code="T5"))

    assert control("POST", "orders/1001/invoice").json()["tax"] == "0.13"
    assert amounts(control("POST", "orders/1002/invoice").json()) == ("5.50", "1.47", "6.97")


def test_order_discount_comes_off_the_goods_before_tax_and_not_off_freight(enet: EnetClient, control: Control) -> None:
    """10 % off 80.00 is 72.00, with freight 77.95; tax 14.40 + 1.19."""
    enet.import_order(head(more="<OrderDiscPercent1>10</OrderDiscPercent1>"), stock_line(qty="10") + FREIGHT)

    assert amounts(control("POST", "orders/1001/invoice").json()) == ("77.95", "15.59", "93.54")


def test_rate_of_the_invoices_date_is_used_not_the_orders(enet: EnetClient, control: Control) -> None:
    control("POST", "tax/rates", **{"code": "A", "percent": "17.5", "from": "2020-01-01"})
    control("POST", "tax/rates", **{"code": "A", "percent": "20", "from": "2021-01-01"})
    enet.import_order(head(more="<OrderDate>2021-03-01</OrderDate>"), stock_line(qty="10"))
    control("POST", "orders/1001/status", status="8")
    post_invoice(enet, parameters="<InvoiceDate>2020-12-31</InvoiceDate>")

    (invoice,) = control("GET", "tax/invoices").json()
    assert (invoice["date"], *amounts(invoice)) == ("2020-12-31", "80.00", "14.00", "94.00")


def test_invoice_of_an_order_under_a_wrong_code_shows_it_in_its_total(enet: EnetClient, control: Control) -> None:
    """The shop charged an export of 100.00 at nothing; the site ignored the code."""
    enet.import_order(head(), stock_line(price="100.00", more="<StockTaxCode>T0</StockTaxCode>"))
    found = control("POST", "orders/1001/invoice").json()

    assert (found["total"], found["codes"][0]["code"]) == ("120.00", "A")


# -- parts -------------------------------------------------------------------------------------------------------------


def test_parts_are_taxed_by_themselves_and_need_not_add_up_to_the_whole(enet: EnetClient, control: Control) -> None:
    """0.13 at 20 % is 0.026, three times 0.03; the whole order of 0.39 has 0.08."""
    enet.import_order(head(), stock_line(qty="3", price="0.13"))
    whole = control("GET", "tax/orders").json()[0]
    parts = [control("POST", "orders/1001/invoice", lines={"1": "1"}).json() for _ in range(3)]

    assert amounts(whole) == ("0.39", "0.08", "0.47")
    assert [part["tax"] for part in parts] == ["0.03", "0.03", "0.03"]
    assert amounts(control("GET", "tax/orders").json()[0]) == ("0.39", "0.08", "0.47")  # as the whole order, still


def test_part_invoice_has_its_quantities_and_all_charges_once(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5") + FREIGHT)
    first = control("POST", "orders/1001/invoice", lines={"1": "2"}).json()
    middle = enet.read_order("1001")
    second = control("POST", "orders/1001/invoice").json()
    last = enet.read_order("1001")

    assert amounts(first) == ("21.95", "4.39", "26.34")
    assert [(line["line"], line["quantity"]) for line in first["lines"]] == [(1, "2"), (2, "1")]
    assert amounts(second) == ("24.00", "4.80", "28.80")
    assert [(line["line"], line["quantity"]) for line in second["lines"]] == [(1, "3")]
    assert (middle.findtext("OrderStatus"), middle.findtext("LastInvoice")) == ("2", first["number"])
    assert (last.findtext("OrderStatus"), last.findtext("LastInvoice")) == ("9", second["number"])


def test_discount_value_of_a_line_is_shared_by_its_parts(enet: EnetClient, control: Control) -> None:
    """4 x 8.00 less 2.00 is 30.00; a quarter is 7.50, the rest 22.50."""
    enet.import_order(head(), stock_line(qty="4", more="<LineDiscValue>2.00</LineDiscValue>"))
    parts = [control("POST", "orders/1001/invoice", lines={"1": quantity}).json() for quantity in ("1", "3")]

    assert [part["net"] for part in parts] == ["7.50", "22.50"]


def test_posting_invoices_what_is_in_stock_and_back_orders_the_rest(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="150"))  # 100 are on hand
    control("POST", "orders/1001/status", status="8")
    reply = parsed(post_invoice(enet))

    (invoice,) = control("GET", "tax/invoices").json()
    assert reply.findtext("Item/Key/InvoiceNumber") == invoice["number"]
    assert amounts(invoice) == ("800.00", "160.00", "960.00")
    assert (enet.read_order("1001").findtext(".//MBackOrderQty") or "").strip() == "50.000000"


def test_posting_some_lines_leaves_the_others_ready(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line() + stock_line(price="9.00"))
    control("POST", "orders/1001/status", status="8")
    wrong = post_invoice(enet, "<SalesOrderLineList>1,7</SalesOrderLineList>")
    first = post_invoice(enet, "<SalesOrderLineList>2</SalesOrderLineList>")
    middle = enet.read_order("1001").findtext("OrderStatus")
    post_invoice(enet)

    assert errors(parsed(wrong)) == [("", "Line 7 of sales order '001001' not found")]
    assert errors(parsed(first)) == []
    assert middle == "8"
    assert [invoice["net"] for invoice in control("GET", "tax/invoices").json()] == ["9.00", "8.00"]
    assert enet.read_order("1001").findtext("OrderStatus") == "9"


def test_posting_refuses_a_bad_date(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line())
    control("POST", "orders/1001/status", status="8")

    reply = parsed(post_invoice(enet, parameters="<InvoiceDate>31/12/2020</InvoiceDate>"))
    assert [number for number, _ in errors(reply)] == ["100028"]


# -- ledger ------------------------------------------------------------------------------------------------------------


def test_invoice_is_found_by_its_sales_order(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line())
    number = control("POST", "orders/1001/invoice").json()["number"]
    where = (
        "<Expression><Column>SalesOrder</Column><Condition>EQ</Condition><Value>000000000001001</Value></Expression>"
    )

    (row,) = enet.find("ArInvoice", "Customer Invoice DocumentType CurrencyValue TaxPortion InvoiceBal1", where)
    assert row == {
        "Customer": "WEB001",
        "Invoice": number,
        "DocumentType": "I",
        "CurrencyValue": "9.60",
        "TaxPortion": "1.60",
        "InvoiceBal1": "9.60",
    }


def test_value_less_payments_is_the_balance(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line())
    number = control("POST", "orders/1001/invoice").json()["number"]
    control("POST", f"invoices/{number}/pay", value="4.00", reference="PAY-1")
    after_one = enet.find("ArInvoice", "InvoiceBal1 YearInvBalZero")
    control("POST", f"invoices/{number}/pay", reference="PAY-2")
    payments = enet.find("ArInvoicePay", "Invoice EntryNumber TrnType Reference TrnValue")

    assert after_one == [{"InvoiceBal1": "5.60", "YearInvBalZero": "0"}]
    assert [(row["TrnType"], row["Reference"], row["TrnValue"]) for row in payments] == [
        ("P", "PAY-1", "-4.00"),
        ("P", "PAY-2", "-5.60"),
    ]
    (invoice,) = enet.find("ArInvoice", "CurrencyValue InvoiceBal1")
    paid = sum(Decimal(row["TrnValue"]) for row in payments)
    assert Decimal(invoice["CurrencyValue"]) + paid == Decimal(invoice["InvoiceBal1"]) == 0


def test_codes_and_lines_of_every_invoice_add_up_to_its_value(enet: EnetClient, control: Control) -> None:
    charges = MISC.format(value="3.50", code="T5") + FREIGHT
    enet.import_order(head(), stock_line(qty="7", price="1.23") + charges)
    control("POST", "day", every_in_part=1)
    control("POST", "day")

    invoices = control("GET", "tax/invoices").json()
    assert len(invoices) == 2
    for invoice in invoices:
        by_code = sum(Decimal(code["net"]) + Decimal(code["tax"]) for code in invoice["codes"])
        lines = sum(Decimal(line["net"]) for line in invoice["lines"])
        assert (by_code, lines) == (Decimal(invoice["total"]), Decimal(invoice["net"]))


# -- what people do ----------------------------------------------------------------------------------------------------


def test_day_ships_every_nth_order_in_part_and_the_next_day_the_rest(enet: EnetClient, control: Control) -> None:
    for po in ("1", "2", "3"):
        enet.import_order(head(po), stock_line(qty="3"))
    enet.import_order(head("4"), stock_line(qty="500"))  # more than there is: goods arrive
    first = control("POST", "day", every_in_part=2).json()
    second = control("POST", "day", every_in_part=2).json()

    assert [(invoice["po"], invoice["net"]) for invoice in first["invoices"]] == [
        ("1", "24.00"),
        ("2", "16.00"),
        ("3", "24.00"),
        ("4", "2000.00"),
    ]
    assert first["in_part"] == ["001002", "001004"]
    assert [(invoice["po"], invoice["net"]) for invoice in second["invoices"]] == [("2", "8.00"), ("4", "2000.00")]
    assert second["in_part"] == []
    assert [enet.read_order(str(number)).findtext("OrderStatus") for number in range(1001, 1005)] == ["9"] * 4


def test_order_of_single_pieces_is_shipped_line_by_line_in_part(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line() + stock_line(price="9.00"))

    assert control("POST", "day", every_in_part=1).json()["invoices"][0]["net"] == "8.00"


def test_day_leaves_cancelled_suspended_and_complete_orders(enet: EnetClient, control: Control) -> None:
    for po in ("1", "2", "3"):
        enet.import_order(head(po), stock_line())
    control("POST", "orders/1001/cancel")
    control("POST", "orders/1002/status", status="S")
    control("POST", "orders/1003/invoice")

    assert control("POST", "day").json() == {"invoices": [], "notes": [], "in_part": []}
    assert control("POST", "orders/1001/invoice").status_code == 400


def test_what_the_day_does_is_done_by_people(sandbox: Sandbox, enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line())
    control("POST", "day", orders=["1001"])

    assert {effect.by for effect in sandbox.calls.effects(object="ArInvoice")} == {"person"}
    assert float(control("GET", "InvWarehouse/KB-2040/FG").json()["QtyOnHand"]) == 99
    assert float(control("GET", "InvWarehouse/KB-2040/FG").json()["QtyAllocated"]) == 0


def test_person_changes_the_tax_code_of_a_line(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line())
    control("PATCH", "orders/1001/lines/1", tax_code="T0")

    assert amounts(control("GET", "tax/orders").json()[0]) == ("8.00", "0.00", "8.00")

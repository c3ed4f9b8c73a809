"""The flow order_tax computes invoices again as the site is declared to, at the rates of the invoice's date."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from syncengine.document import Doc
from syncengine.mapping.contract import Context
from tests.unit.flows.flow_fixtures import CATALOGUE, flows, order, row, text_row

RATES = {"T20": "20", "T20@2026-04-01": "21", "T5": "5"}


def _booked(day: str, tax: str) -> Doc:
    """An order that is invoiced by one invoice: two lines of 10.02 under T20, and one of 3.00 under T5."""
    lines = [
        {
            "SalesOrderLine": number,
            "LineType": "1",
            "StockCode": f"S{number}",
            "OrderQty": "1",
            "Value": "0",
            "TaxCode": code,
        }
        for number, code in (("1", "T20"), ("2", "T20"), ("3", "T5"))
    ]
    nets = ("10.02", "10.02", "3.00")
    return {
        "SalesOrder": "1", "OrderStatus": "9", "InvoicedTax": tax, "Line": lines,
        "Invoice": [{"@line": "7", "Invoice": "7", "InvoiceDate": day, "Net": "23.04", "Tax": tax, "TaxBooked": tax}],
        "InvoiceLine": [
            {**line, "@line": f"7/{line['SalesOrderLine']}", "Invoice": "7", "Quantity": "1", "Net": net}
            for line, net in zip(lines, nets, strict=True)
        ],
        "InvoiceCode": [
            {"@line": "7/T20", "Invoice": "7", "TaxCode": "T20", "Net": "20.04"},
            {"@line": "7/T5", "Invoice": "7", "TaxCode": "T5", "Net": "3.00"},
        ],
    }  # fmt: skip


def _expected(day: str, tax: str, rates: Mapping[str, str] = RATES, **settings: Any) -> Decimal | None:
    """What SYSPRO's tax of the invoice should be by the flow; None where amounts are not compared."""
    booked = CATALOGUE["syspro.booked_order"]
    found = booked.schema().load(_booked(day, tax))
    context = Context(lookups={"tax_rates": dict(rates)}, settings=settings, found=found)
    mapped = flows()["order_tax"].mapping.apply(order("10.00", {"1": row("10.0000")}), context)[""]
    invoices = mapped.get("Invoice")
    return invoices[0]["TaxBooked"] if invoices else None


@pytest.mark.parametrize(
    ("day", "calculation", "expected"),
    [
        ("2026-03-31", "invoice", "4.16"),  # 20.04 x 20 % = 4.008, and 0.15
        ("2026-03-31", "line", "4.15"),  # twice 10.02 x 20 % = 2.004
        ("2026-04-01", "invoice", "4.36"),  # 20.04 x 21 % = 4.2084
        ("2026-04-01", "line", "4.35"),  # twice 2.1042
        ("2027-01-01", "line", "4.35"),
    ],
)
def test_an_invoice_is_computed_at_the_rates_of_its_date(day: str, calculation: str, expected: str) -> None:
    assert _expected(day, "9.99", tax_calculation=calculation) == Decimal(expected)


def test_without_a_rate_of_that_day_the_amount_is_not_computed() -> None:
    rates = {"T20@2026-04-01": "21", "T5": "5"}

    assert _expected("2026-03-31", "9.99", rates, tax_calculation="line") == Decimal("9.99")
    assert _expected("2026-04-01", "9.99", rates, tax_calculation="line") == Decimal("4.35")


def test_where_tax_goes_by_area_no_amount_is_compared() -> None:
    assert _expected("2026-04-01", "9.99", tax_calculation="line", tax_by_area=True) is None


def _line(number: str, code: str, quantity: str, price: str, tax_code: str) -> Doc:
    """A booked line; without a stock code a charge of that price."""
    return {
        "@line": number, "SalesOrderLine": number, "LineType": "1" if code else "5", "StockCode": code, "OrderQty": quantity,
        "Price": price if code else "0", "Value": "0" if code else price, "TaxCode": tax_code,
    }  # fmt: skip


def _codes(rows: Mapping[str, Any], lines: list[Doc]) -> list[Any]:
    """The code that each line should have by the flow."""
    found = CATALOGUE["syspro.booked_order"].schema().load({"SalesOrder": "1", "OrderStatus": "1", "Line": lines})
    mapped = flows()["order_tax"].mapping.apply(order("20.00", rows), Context(settings={}, found=found))[""]
    return [line["TaxCode"] for line in mapped["Line"]]


def test_a_charge_is_not_taken_for_goods_of_the_same_value() -> None:
    rows = {"1": row("10.0000"), "2": text_row("10.0000", "Delivery to Jersey", tax="T0")}

    assert _codes(rows, [_line("1", "TOTE-001", "1", "10", "T20"), _line("2", "", "0", "10", "T20")]) == ["T20", "T0"]


def test_a_component_is_not_taken_for_the_same_goods_sold_alone() -> None:
    rows = {
        "1": row("10.0000", tax="T0"),
        "2": row("30.0000", productSku="HAMPER", productId=2009, bundle=True),
        "3": row("0.0000", parent=2, tax="T0"),
    }
    lines = [_line("1", "TOTE-001", "1", "10", "T0"), _line("2", "TOTE-001", "1", "20", "T0")]

    assert _codes(rows, lines) == ["T0", "T20"]


def test_a_line_whose_quantity_was_changed_in_syspro_is_compared_too() -> None:
    assert _codes({"1": row("50.0000", "5.0000", tax="T0")}, [_line("1", "TOTE-001", "4", "10", "T20")]) == ["T0"]

"""A picture of SORQRY compared with rows of SorMaster and SorDetail, in the forms that each of them may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from syncengine.connectors.syspro import comparison, orders
from syncengine.connectors.syspro.documents import Filler
from syncengine.connectors.syspro.find import finds_where
from syncengine.connectors.syspro.order_schema import SalesOrderSchema
from syncengine.connectors.syspro.xml import parse
from syncengine.document import Doc
from tests.unit.syspro.syspro_fixtures import settings

SORQRY = """<SorDetail><SalesOrder>000512</SalesOrder><Customer>WEB001</Customer><OrderStatus>1</OrderStatus>
<OrderDate>2026-03-04</OrderDate><DateLastInvPrt/><DiscPct1> 0.00</DiscPct1><TransactionNature>000</TransactionNature>
<ExchangeRate>     1.000000</ExchangeRate><LastDelNote/><MultShipCode>A1</MultShipCode><Unheard>x</Unheard>
<SalesOrderLine><Merchandise><SalesOrderLine>1</SalesOrderLine><MStockCode>KB-1001</MStockCode>
<MOrderQty>     1,002.000000</MOrderQty><MPrice>       24.95000</MPrice><MLineShipDate>2026-03-05</MLineShipDate>
</Merchandise></SalesOrderLine>
<SalesOrderLine><MiscCharge><SalesOrderLine>0004</SalesOrderLine><NComment>Coupon</NComment>
<NMscChargeValue>          3.50-</NMscChargeValue></MiscCharge></SalesOrderLine></SorDetail>"""
ROW: Doc = {
    "SalesOrder": "000000000000512",
    "Customer": "WEB001",
    "OrderStatus": "1",
    "CancelledFlag": "",
    "OrderDate": "2026-03-04",
    "DateLastInvPrt": "",
    "DiscPct1": "   0.00",
    "TransactionNature": "   0",
    "ExchangeRate": "     1.000000",
    "LastDelNote": "",
    "MultiShipCode": "A1",
}
STOCK: Doc = {
    "SalesOrder": "000000000000512",
    "SalesOrderLine": "     1",
    "LineType": "1",
    "MStockCode": "KB-1001",
    "MOrderQty": "         1002.000000",
    "MPrice": "         24.95000",
    "MLineShipDate": "2026-03-05",
}
CHARGE: Doc = {
    "SalesOrder": "000000000000512",
    "SalesOrderLine": "     4",
    "LineType": "5",
    "NComment": "Coupon",
    "NMscChargeValue": "           -3.50",
}


def picture(text: str = SORQRY) -> Doc:
    return dict(SalesOrderSchema().load(orders.from_sorqry(parse(text), "OrderType")))


def differences(
    shown: Doc | None = None, row: Mapping[str, Any] = ROW, lines: tuple[Doc, ...] = (STOCK, CHARGE), **more: Any
) -> list[str]:
    filler = Filler(settings(**more))
    return comparison.differences(shown or picture(), dict(row), lines, filler, is_cancelled=False)


def test_the_same_values_in_the_forms_of_both_are_no_difference() -> None:
    assert differences() == []


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("OrderDate", "2026/03/04"),
        ("DateLastInvPrt", "0000-00-00"),
        ("DiscPct1", "0"),
        ("DiscPct1", ""),
        ("ExchangeRate", "1"),
        ("TransactionNature", "000"),
        ("TransactionNature", ""),
        ("CancelledFlag", "N"),
    ],
)
def test_a_value_in_another_form_is_no_difference(column: str, text: str) -> None:
    assert differences(row={**ROW, column: text}) == []


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("OrderDate", ""),
        ("OrderDate", "2026-03-05"),
        ("DateLastInvPrt", "2026-03-05"),
        ("DiscPct1", "0.01"),
        ("TransactionNature", "11"),
        ("MultiShipCode", ""),
        ("LastDelNote", "000017"),
        ("Customer", "WEB002"),
        ("CancelledFlag", "Y"),
    ],
)
def test_another_value_is_named_by_its_column(column: str, text: str) -> None:
    assert differences(row={**ROW, column: text}) == [f"SorMaster.{column}"]


def test_a_line_of_another_type_or_number_or_one_that_comes_twice_is_named() -> None:
    assert differences(lines=(STOCK, {**CHARGE, "LineType": "4"})) == ["SorDetail.LineType"]
    assert differences(lines=(STOCK, {**CHARGE, "LineType": "?"})) == ["SorDetail.LineType"]
    assert differences(lines=(STOCK, {**CHARGE, "SalesOrderLine": "5"})) == ["SorDetail.SalesOrderLine"]
    assert differences(lines=(STOCK,)) == ["SorDetail.SalesOrderLine"]
    assert differences(lines=(STOCK, CHARGE, CHARGE)) == ["SorDetail.SalesOrderLine"]
    assert differences(lines=(STOCK, {**CHARGE, "NMscChargeValue": "3.50"})) == ["SorDetail.NMscChargeValue"]


def test_the_case_of_elements_does_not_matter() -> None:
    assert differences(picture(SORQRY.replace("MultShipCode", "multshipcode").replace("MPrice", "mprice"))) == []


def test_numeric_customers_are_compared_in_stored_form() -> None:
    shown = {**picture(), "Customer": "000000000000017"}
    assert differences(shown, row={**ROW, "Customer": "17"}, numeric_customer_keys=True) == []
    assert differences(shown, row={**ROW, "Customer": "18"}, numeric_customer_keys=True) == ["SorMaster.Customer"]


def test_columns_are_asked_for_that_a_picture_shows_and_the_site_has() -> None:
    asked = comparison.columns_of("SorMaster", [picture()], settings())
    assert sorted(asked) == sorted(ROW)
    assert sorted(comparison.columns_of("SorDetail", [picture()], settings())) == sorted({**STOCK, **CHARGE})

    fewer = settings(unread_columns="SorMaster.MultiShipCode, MPrice, SorDetail.SalesOrderLine, SorDetail.OrderDate")
    assert sorted(comparison.columns_of("SorMaster", [picture()], fewer)) == sorted(ROW.keys() - {"MultiShipCode"})
    left = {**STOCK, **CHARGE}.keys() - {"MPrice"}
    assert sorted(comparison.columns_of("SorDetail", [picture()], fewer)) == sorted(left)
    filler = Filler(fewer)
    other = {**ROW, "MultiShipCode": "another"}
    lines = ({**STOCK, "MPrice": "1"}, CHARGE)
    assert comparison.differences(picture(), other, lines, filler, is_cancelled=False) == []


def test_an_order_without_lines_asks_for_the_keys_of_lines_alone() -> None:
    bare = {**picture(), "StockLine": [], "MiscChargeLine": []}
    assert comparison.columns_of("SorDetail", [bare], settings()) == ["SalesOrder", "SalesOrderLine", "LineType"]
    assert differences(bare, lines=()) == []
    assert differences(bare, lines=(STOCK,)) == ["SorDetail.SalesOrderLine"]


class Gateway:
    """Answers each find with `rows` rows, and says that there are `says` of them."""

    def __init__(self, rows: int, says: str) -> None:
        self.rows, self.says = rows, says

    def call(self, *_: object, **__: object) -> Doc:
        return {"SorDetail": {"Row": [{"SalesOrder": "1"}] * self.rows, "RowsReturned": self.says}}

    def fits(self, *_: object, **__: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("rows", "says", "is_whole"),
    [
        (0, "       0", True),
        (0, "", True),
        (3, "       3", True),
        (3, "       4", False),
        (3, "", False),
        (3, "many", False),
        (100, "     100", False),
        (101, "     101", True),
    ],
)
def test_a_reply_that_may_be_cut_is_not_whole(rows: int, says: str, is_whole: bool) -> None:
    (found,) = finds_where(Gateway(rows, says), "SorDetail", "SalesOrder", ["1"], ["SalesOrder"], at_once=40)
    assert (len(found.rows), found.is_whole) == (rows, is_whole)

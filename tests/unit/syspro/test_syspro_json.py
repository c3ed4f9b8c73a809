"""The pure document function of the gateway `harmony` (section 4.3, a proposal)."""

from __future__ import annotations

from decimal import Decimal

from syncengine.connectors.syspro import errors
from syncengine.connectors.syspro.gateways.harmony import refused
from syncengine.connectors.syspro.json_documents import document, from_json, to_json


def test_repeatable_elements_are_lists_and_values_are_texts() -> None:
    content = {
        "Orders": {
            "OrderHeader": {"CustomerPoNumber": "500123", "OrderComments": "Gift"},
            "OrderDetails": {"StockLine": {"StockCode": "KB-1001"}, "FreightLine": [{"FreightValue": "4.99"}]},
        }
    }
    assert to_json(content) == {
        "Orders": [
            {
                "OrderHeader": {"CustomerPoNumber": "500123", "OrderComments": ["Gift"]},
                "OrderDetails": {"StockLine": [{"StockCode": "KB-1001"}], "FreightLine": [{"FreightValue": "4.99"}]},
            }
        ]
    }


def test_a_line_keeps_its_own_number_beside_the_element_of_the_same_name() -> None:
    content = {"SalesOrderLine": {"Merchandise": {"SalesOrderLine": "1"}}}
    assert to_json(content) == {"SalesOrderLine": [{"Merchandise": {"SalesOrderLine": "1"}}]}


def test_the_columns_of_a_find_are_a_list_and_that_of_a_condition_is_none() -> None:
    content = {"Columns": {"Column": "A"}, "Where": {"Expression": {"Column": "A"}}}
    assert to_json(content) == {"Columns": {"Column": ["A"]}, "Where": {"Expression": [{"Column": "A"}]}}


def test_json_values_become_texts_exactly() -> None:
    told = {"_note": "x", "Price": Decimal("24.95000"), "Lines": [1, None, True], "SalesOrder": " 000512 "}
    assert from_json(told) == {"Price": "24.95000", "Lines": ["1", "", "Y"], "SalesOrder": "000512"}
    assert document("SalesOrders", {"Order": []}) == {"SalesOrders": {"Order": []}}


def test_a_refusal_has_the_shape_in_which_enet_gives_it() -> None:
    complaint = {
        "ErrorNumber": "240004",
        "ErrorDescription": "Stock code 'NO-SUCH' not found",
        "Path": "Orders[0].OrderDetails.StockLine[1].StockCode",
        "Value": "NO-SUCH",
    }
    (error,) = errors.item_errors(refused("SalesOrders", [complaint]))
    assert (error.field, error.value, error.number, error.line) == ("StockCode", "NO-SUCH", "240004", "2")

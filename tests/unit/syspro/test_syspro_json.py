"""The pure document function of the gateway `harmony` (section 4.3, a proposal)."""

from __future__ import annotations

from decimal import Decimal

from syncengine.connectors.syspro import errors
from syncengine.connectors.syspro.gateways.harmony import refused
from syncengine.connectors.syspro.json_documents import document, from_json, to_json


def test_lists_stay_lists_attributes_keep_their_sign_and_values_are_texts() -> None:
    content = {
        "Orders": [{"@id": "1", "OrderHeader": {"CustomerPoNumber": "500123", "OrderComments": ["Gift"], "Lines": 2}}],
        "Currency": None,
    }
    assert to_json(content) == {
        "Orders": [
            {"@id": "1", "OrderHeader": {"CustomerPoNumber": "500123", "OrderComments": ["Gift"], "Lines": "2"}}
        ],
        "Currency": "",
    }


def test_json_values_become_texts_exactly() -> None:
    given = {"_note": "x", "Price": Decimal("24.95000"), "Lines": [1, None, True], "SalesOrder": " 000512 "}
    assert from_json(given) == {"Price": "24.95000", "Lines": ["1", "", "Y"], "SalesOrder": "000512"}
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

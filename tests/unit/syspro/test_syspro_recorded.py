"""Recorded and vendor replies as contracts of the connector: each is read into the same keys, types and blanks."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from syncengine.connectors.syspro import errors, order_replies, orders, replies
from syncengine.connectors.syspro.replies import Said
from syncengine.connectors.syspro.resources.sales_order import SalesOrder
from syncengine.connectors.syspro.values import count, number
from syncengine.connectors.syspro.xml import all_of, content_of, decode, parse, text_of
from syncengine.document import Doc
from tests.unit.syspro.syspro_fixtures import settings

EXAMPLES = Path(__file__).parents[2] / "contract" / "sandbox_syspro" / "examples"


def reply(name: str) -> Doc:
    """An example as the gateway reads it: bytes of Windows-1252 with a newline and a blank at the end."""
    return parse(decode((EXAMPLES / name).read_text(encoding="utf-8").encode("cp1252")))


class NoGateway:
    """What makes no call needs none."""


def loaded(name: str) -> Doc:
    resource = SalesOrder(NoGateway(), settings())  # type: ignore[arg-type]
    return resource.load(orders.from_sorqry(reply(name), "OrderType"))


def test_an_order_is_read_with_its_keys_types_and_blanks() -> None:
    order = loaded("sorqry_xmlout.xml")

    kinds: dict[type, list[str]] = {
        str: ["SalesOrder", "Customer", "OrderStatus", "CustomerPoNumber", "TaxExemptionStatus", "AlternateReference"],
        date: ["OrderDate", "RequestedShipDate"],
        Decimal: ["ExchangeRate", "NumDispatches", "OrderDiscPercent1"],
        type(None): ["DateLastInvPrt"],
    }
    for kind, names in kinds.items():
        assert {name: type(order[name]) for name in names} == dict.fromkeys(names, kind)
    assert (order["AlternateReference"], order["ShipAddress3Locality"], order["LastInvoice"]) == ("", "", "")
    assert not [name for name in order if name.startswith("Edited_") or ":" in name]
    assert "MultiShipCode" not in order  # what a reply does not carry is absent, and never blank


def test_the_lines_of_an_order_are_read_by_kind_with_syspros_numbers() -> None:
    order = loaded("sorqry_xmlout.xml")

    (stock,), (comment,) = order["StockLine"], order["CommentLine"]
    assert (stock["@line"], stock["OrderQty"], stock["Price"]) == ("1", Decimal(2), Decimal("24.95"))
    assert (stock["LineShipDate"], stock["OrderLineValue"]) == (date(2026, 3, 5), Decimal("44.91"))
    assert comment == {"@line": "3", "Comment": "Engrave: happy birthday", "NCommentFromLin": "1"}
    (charge,), (freight,) = order["MiscChargeLine"], order["FreightLine"]
    assert (charge["@line"], charge["MiscChargeValue"], charge["MiscTaxCode"]) == ("4", Decimal("3.5"), "A")
    assert "MiscProductClass" not in charge
    assert (freight["@line"], freight["FreightValue"]) == ("5", Decimal("4.99"))


@pytest.mark.parametrize(
    ("name", "said", "key", "reasons"),
    [
        ("sortoi_xmlout_ok.xml", Said.DONE, "000512", []),
        ("sortoi_xmlout_ok_clean.xml", Said.DONE, "", []),
        ("sortoi_xmlout_ok_nested_status.xml", Said.DONE, "000513", []),
        ("sortoi_xmlout_failed_empty.xml", Said.REFUSED, "", []),
        ("sortoi_xmlout_error.xml", Said.REFUSED, "", ["Stock code 'NO-SUCH' not found"]),
    ],
)
def test_each_shape_of_an_import_is_judged(name: str, said: Said, key: str, reasons: list[str]) -> None:
    (answer,) = order_replies.sales_orders(reply(name), ["500123"])
    assert (answer.said, answer.key, [error.text for error in answer.errors]) == (said, key, reasons)


def test_a_validation_a_cancellation_and_setups_are_judged() -> None:
    assert order_replies.validation(reply("sortoi_validate_out.xml")).said is Said.DONE
    cancelled = order_replies.cancellation(reply("sortox_xmlout.xml"))
    assert (cancelled.said, cancelled.key) == (Said.DONE, "000512")
    (added,) = replies.setups(reply("customer_setup_xmlout.xml"), ["4711"], "Customer")
    assert (added.said, added.key) == (Said.DONE, "000000000004711")
    (twice,) = replies.setups(reply("customer_setup_error_xmlout.xml"), ["4711"], "Customer")
    assert (twice.said, twice.errors[0].number) == (Said.REFUSED, errors.DUPLICATE_KEY)
    assert replies.counters(reply("setup_ok_out.xml")) == (1, 0)


def test_an_error_group_is_named_like_the_faulty_field() -> None:
    (error,) = errors.item_errors(reply("setup_error_out.xml"))
    assert (error.field, error.value, error.number) == ("stockcode", "ZZ-404", "240004")
    (partial,) = errors.item_errors(reply("transaction_partial_out.xml"))
    assert (partial.field, partial.value, partial.number) == ("SalesOrder", "000599", "100031")
    assert replies.counters(reply("transaction_partial_out.xml")) == (1, 1)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        (
            "comfnd_sormaster_xmlout.xml",
            [{"SalesOrder": "000512", "OrderStatus": "1", "CancelledFlag": "", "LastInvoice": ""}],
        ),
        ("comfnd_sormaster_xmlout_none.xml", []),
    ],
)
def test_rows_of_a_find_have_blanks_and_a_padded_count(name: str, rows: list[dict[str, str]]) -> None:
    content = content_of(reply(name))
    found: list[Any] = all_of(content, "Row")
    assert [{column: text_of(row, column) for column in row} for row in found] == rows
    assert count(text_of(content, "RowsReturned")) == len(rows)


def test_padded_quantities_of_a_find_are_exact_and_a_blank_date_is_none() -> None:
    first, second = all_of(content_of(reply("comfnd_invwarehouse_xmlout.xml")), "Row")
    assert [number(text_of(first, name)) for name in ("QtyOnHand", "QtyAllocated")] == [Decimal(1250), Decimal(12)]
    assert text_of(second, "DateLastStockMove") == ""

"""Whether sales orders still show what was read: by COMFND on SorMaster and SorDetail for many, against the sandbox.

Columns and values are written out here by hand, from SORQRY's recorded reply and the tables that hold its elements.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connectors.base import Operation, Resource, Verb
from syncengine.connectors.syspro.connector import Syspro
from syncengine.document import Doc, from_json, to_json
from syncengine.errors import Transient
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.syspro import booking, invoicing
from syncengine.sandbox.syspro.tables import TIMESTAMP, Column, Row
from tests.contract.syspro.conftest import WAYS, Connect

GATEWAYS = ("enet", "harmony-key")
STOCK_LINE: Doc = {"StockCode": "KB-2040", "OrderQty": "2", "OrderUom": "EA", "Price": "8", "PriceUom": "EA"}
TEE: Doc = {"StockCode": "BP-TEE-RED-M", "OrderQty": "3", "OrderUom": "BX", "Price": "19.12345", "PriceUom": "EA"}
FREIGHT: Doc = {"FreightValue": "4.99", "FreightTaxCode": "A"}
CHARGE: Doc = {"MiscChargeValue": "-3.5", "MiscProductClass": "KTCH", "MiscDescription": "Coupon", "MiscTaxCode": "A"}
EURO_CUSTOMER: Doc = {
    "Customer": "EU100",
    "Name": "Fähnlein GmbH",
    "Salesperson": "W1",
    "Branch": "10",
    "TermsCode": "01",
    "Area": "S",
    "Currency": "EUR",
    "BalanceType": "I",
}

KINDS: dict[str, Doc] = {
    "as little as SORTOI takes": {"StockLine": [STOCK_LINE]},
    "every kind of line": {
        "StockLine": [STOCK_LINE, TEE],
        "CommentLine": [{"Comment": "Ring the bell"}, {"Comment": "Zażółć & <co> ½", "CommentType": "O"}],
        "MiscChargeLine": [CHARGE],
        "FreightLine": [FREIGHT],
    },
    "comments alone": {"CommentLine": [{"Comment": "Nothing else"}]},
    "freight alone": {"FreightLine": [{"FreightValue": "-12345.67"}]},
    "a whole header": {
        "OrderDate": date(2026, 3, 4),
        "RequestedShipDate": date(2026, 3, 9),
        "InvoiceTerms": "14",
        "CustomerName": "Alder & Finch",
        "ShippingInstrs": "By courier",
        "ShippingInstrsCode": "ND24",
        "ShipAddress1": "Unit 4",
        "ShipAddress3Locality": "Old Town",
        "ShipAddress5": "United Kingdom",
        "ShipPostalCode": "ZZ1 9ZZ",
        "Email": "buyer@example.test",
        "OrderDiscPercent1": "2.5",
        "OrderDiscPercent3": "10",
        "Warehouse": "FG",
        "SpecialInstrs": "Leave with reception",
        "OrderType": "WB",
        "AlternateReference": "10",
        "Salesperson": "100",
        "Branch": "20",
        "Area": "N",
        "OrderComments": "Written by hand",
        "Nationality": "DE",
        "DeliveryTerms": "DAP",
        "ShippingLocation": "DOVER",
        "TransactionNature": "011",
        "TransportMode": "03",
        "ProcessFlag": "1",
        "TaxExemptNumber": "X-1",
        "TaxExemptionStatus": "E",
        "GstExemptNumber": "G-1",
        "CompanyTaxNumber": "GB123",
        "StockLine": [STOCK_LINE],
    },
    "discounts and dates of lines": {
        "StockLine": [
            {
                **STOCK_LINE,
                "LineDiscPercent1": "10",
                "LineDiscPercent2": "0.01",
                "LineDiscPercent3": "99.99",
                "LineShipDate": date(2026, 5, 1),
                "CustRequestDate": date(2026, 5, 2),
                "CustomersPartNumber": "THEIRS-1",
                "UserDefined": "abcd",
            },
            {**STOCK_LINE, "LineDiscValue": "1.25", "LineDiscValFlag": "U"},
            {**STOCK_LINE, "LineDiscValue": "0.5", "LineDiscValFlag": "V", "Price": "0"},
        ]
    },
    "on back order": {"StockLine": [{**STOCK_LINE, "StockCode": "KB-1001", "Warehouse": "FG"}]},
    "partly on back order": {"StockLine": [{**STOCK_LINE, "OrderQty": "12345"}]},
    "not stocked": {
        "StockLine": [
            {
                **STOCK_LINE,
                "StockCode": "SPECIAL",
                "StockDescription": "Made to measure",
                "NonStockedLine": "Y",
                "NsProductClass": "KTCH",
                "OrderQty": "1.234567",
                "Price": "0.00001",
            }
        ]
    },
    "in foreign currency": {
        "Customer": "EU100",
        "Currency": "EUR",
        "StockLine": [STOCK_LINE],
        "FreightLine": [FREIGHT],
    },
    "in suspense": {"OrderStatus": "S", "StockLine": [STOCK_LINE]},
    "to invoice": {"OrderStatus": "8", "StockLine": [STOCK_LINE]},
}


@pytest.fixture(params=GATEWAYS)
def syspro(request: pytest.FixtureRequest, connect_to: Connect) -> Syspro:
    return connect_to(request.param, sortoi={"AllowNonStockItems": "S"})


@pytest.fixture
def orders(syspro: Syspro) -> Resource:
    return syspro.resources["syspro.sales_order"]


def create(orders: Resource, po_number: str, **more: Any) -> str:
    """The number of a new order, as SYSPRO shows it."""
    wanted = orders.canonical({"CustomerPoNumber": po_number, "Customer": "WEB001", **more})
    (outcome,) = orders.write([Operation(Verb.CREATE, po_number, doc=wanted)])
    assert outcome.error is None, outcome.error
    return outcome.key or orders.keys_of([po_number])[po_number][0]


def pictures_of(orders: Resource, *keys: str) -> dict[str, Doc]:
    """What was read, as the store gives it back."""
    return {key: from_json(to_json(orders.load(doc))) for key, doc in orders.read(keys).items()}


def reads(sandbox: Sandbox) -> int:
    return sandbox.calls.total(system="syspro", operation="SORQRY")


def row_of(sandbox: Sandbox, key: str) -> Row:
    row = sandbox.syspro.order(key)
    assert row is not None
    return row


# -- what nobody touched ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_order_just_read_is_unchanged_by_its_rows_alone(
    kind: str, syspro: Syspro, orders: Resource, sandbox: Sandbox
) -> None:
    if kind == "in foreign currency":
        customers = syspro.resources["syspro.customer"]
        customers.write([Operation(Verb.CREATE, "EU100", doc=customers.canonical(EURO_CUSTOMER))])
    shown = pictures_of(orders, create(orders, "500123", **KINDS[kind]))
    before = reads(sandbox)
    assert orders.unchanged(shown) == set(shown)
    assert reads(sandbox) == before


def cancelled(sandbox: Sandbox, order: Row) -> None:
    booking.cancel_order(sandbox.syspro, order)


def with_a_cancelled_line(sandbox: Sandbox, order: Row) -> None:
    booking.remove_line(sandbox.syspro, sandbox.syspro.lines(order)[0])


def with_a_completed_line(sandbox: Sandbox, order: Row) -> None:
    booking.remove_line(sandbox.syspro, sandbox.syspro.lines(order)[0], complete=True)


def in_the_warehouse(sandbox: Sandbox, order: Row) -> None:
    booking.set_status(sandbox.syspro, order, "4")


def invoiced(sandbox: Sandbox, order: Row) -> None:
    invoicing.invoice(sandbox.syspro, order)


def without_any_line(sandbox: Sandbox, order: Row) -> None:
    for line in sandbox.syspro.lines(order):
        booking.remove_line(sandbox.syspro, line)


ACTS = (cancelled, with_a_cancelled_line, with_a_completed_line, in_the_warehouse, invoiced, without_any_line)


@pytest.mark.parametrize("act", ACTS)
def test_what_syspros_people_made_of_an_order_is_noticed_once_and_then_unchanged(
    act: Callable[[Sandbox, Row], None], orders: Resource, sandbox: Sandbox
) -> None:
    key = create(orders, "500123", **KINDS["every kind of line"])
    shown = pictures_of(orders, key)
    act(sandbox, row_of(sandbox, key))
    assert orders.unchanged(shown) == set()

    shown = pictures_of(orders, key)
    before = reads(sandbox)
    assert orders.unchanged(shown) == {key}
    assert reads(sandbox) == before


@pytest.mark.parametrize(
    "switches",
    [{"syspro_padded_numbers": False}, {"syspro_version": "7"}, {"syspro_clean_reply": False}],
    ids=["plain numbers", "version 7", "replies with numbers"],
)
def test_the_form_of_replies_does_not_matter(switches: dict[str, object], orders: Resource, sandbox: Sandbox) -> None:
    sandbox.switches.turn(switches)
    shown = pictures_of(orders, create(orders, "500123", **KINDS["every kind of line"]))
    before = reads(sandbox)
    assert orders.unchanged(shown) == set(shown)
    assert reads(sandbox) == before


def test_numeric_customers_are_the_same_in_short_and_in_stored_form(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_numeric_customers": True})
    table = sandbox.syspro.table("ArCustomer")
    customer = {name: value for name, value in (table.get("WEB001") or {}).items() if name != TIMESTAMP}
    table.insert(**{**customer, "Customer": "000000000000017"})
    orders = connect_to("enet", numeric_customer_keys=True).resources["syspro.sales_order"]
    shown = pictures_of(orders, create(orders, "500123", Customer="17", StockLine=[STOCK_LINE]))
    before = reads(sandbox)
    assert orders.unchanged(shown) == set(shown)
    assert reads(sandbox) == before


# -- what somebody changed -------------------------------------------------------------------------------------------

HEADER_EDITS: dict[str, object] = {
    "OrderStatus": "S",
    "DocumentType": "B",
    "ScheduledOrdFlag": "Y",
    "InterWhSale": "Y",
    "Customer": "WEB002",
    "CustomerName": "Another",
    "Salesperson": "W2",
    "DiscPct1": Decimal("0.01"),
    "DiscPct2": Decimal("5"),
    "DiscPct3": Decimal("5"),
    "CustomerPoNumber": "another",
    "OrderDate": date(2027, 1, 1),
    "ReqShipDate": date(2027, 1, 1),
    "ShippingInstrs": "another",
    "ShippingInstrsCod": "XX",
    "SpecialInstrs": "another",
    "InvTermsOverride": "60",
    "DeliveryNote": "4711",
    "LastDelNote": "4711",
    "LastInvoice": "4711",
    "DateLastInvPrt": date(2027, 1, 1),
    "Branch": "99",
    "EntInvoice": "4711",
    "OrderType": "ZZ",
    "Area": "Z",
    "TaxExemptNumber": "another",
    "GstExemptNum": "another",
    "Currency": "USD",
    "ShipAddress1": "another",
    "ShipAddress2": "another",
    "ShipAddress3": "another",
    "ShipAddress3Loc": "another",
    "ShipAddress4": "another",
    "ShipAddress5": "another",
    "ShipPostalCode": "another",
    "Email": "another@example.test",
    "FixExchangeRate": "Y",
    "ExchangeRate": Decimal("1.000001"),
    "MulDiv": "D",
    "TransactionNature": "012",
    "TransportMode": "04",
    "ProcessFlag": "2",
    "AlternateKey": "20",
    "LastOperator": "CLERK",
    "Operator": "CLERK",
    "WebCreated": "Y",
    "DispatchesMade": "Y",
    "LiveDispExist": "Y",
    "NumDispatches": 1,
    "IncludeInMrp": "N",
}
STOCK_LINE_EDITS: dict[str, object] = {
    "MStockCode": "KB-1001",
    "MStockDes": "another",
    "MProductClass": "ZZ",
    "MWarehouse": "MN",
    "MBin": "B2",
    "MOrderQty": Decimal("2.000001"),
    "MShipQty": Decimal(1),
    "MStockQtyToShp": Decimal(1),
    "QtyReserved": Decimal(1),
    "QtyReservedShip": Decimal(1),
    "MBackOrderQty": Decimal(1),
    "MQtyDispatched": Decimal(1),
    "MOrderUom": "BX",
    "MStockingUom": "BX",
    "MPrice": Decimal("8.00001"),
    "MPriceUom": "BX",
    "MPriceCode": "B",
    "MTaxCode": "Z",
    "MDiscValFlag": "U",
    "MDiscPct1": Decimal("0.01"),
    "MDiscPct2": Decimal("0.01"),
    "MDiscPct3": Decimal("0.01"),
    "MLineShipDate": date(2027, 1, 1),
    "SalesOrderInitLine": 9,
}
COMMENT_EDITS: dict[str, object] = {"NComment": "another", "NCommentFromLin": 1}
CHARGE_EDITS: dict[str, object] = {**COMMENT_EDITS, "NMscChargeValue": Decimal("4.98"), "NMscTaxCode": "Z"}


def test_every_edit_of_a_header_column_is_noticed(orders: Resource, sandbox: Sandbox) -> None:
    key = create(orders, "500123", **KINDS["a whole header"])
    shown, row, table = pictures_of(orders, key), row_of(sandbox, key), sandbox.syspro.table("SorMaster")
    missed = []
    for column, value in HEADER_EDITS.items():
        before = row[column]
        assert before != value, column
        table.update(row, **{column: value})
        missed += [column] if orders.unchanged(shown) else []
        table.update(row, **{column: before})
    assert missed == []
    assert orders.unchanged(shown) == {key}


@pytest.mark.parametrize(
    ("line_type", "edits"), [("1", STOCK_LINE_EDITS), ("6", COMMENT_EDITS), ("5", CHARGE_EDITS), ("4", CHARGE_EDITS)]
)
def test_every_edit_of_a_line_column_is_noticed(
    line_type: str, edits: dict[str, object], orders: Resource, sandbox: Sandbox
) -> None:
    key = create(orders, "500123", **KINDS["every kind of line"])
    shown, table = pictures_of(orders, key), sandbox.syspro.table("SorDetail")
    line = next(line for line in sandbox.syspro.lines(row_of(sandbox, key)) if line["LineType"] == line_type)
    missed = []
    for column, value in edits.items():
        before = line[column]
        assert before != value, column
        table.update(line, **{column: value})
        missed += [column] if orders.unchanged(shown) else []
        table.update(line, **{column: before})
    assert missed == []
    assert orders.unchanged(shown) == {key}


def test_a_blank_field_that_was_filled_in_is_noticed(orders: Resource, sandbox: Sandbox) -> None:
    key = create(orders, "500123", **KINDS["as little as SORTOI takes"])
    shown = pictures_of(orders, key)
    sandbox.syspro.table("SorMaster").update(row_of(sandbox, key), ShipAddress2="Second floor")
    assert orders.unchanged(shown) == set()


@pytest.mark.parametrize("line_type", ["1", "4", "5", "6"])
def test_an_added_line_of_any_kind_is_noticed(line_type: str, orders: Resource, sandbox: Sandbox) -> None:
    key = create(orders, "500123", StockLine=[STOCK_LINE])
    shown = pictures_of(orders, key)
    booking.add_line(sandbox.syspro, row_of(sandbox, key), LineType=line_type, NComment="x", MStockCode="KB-2040")
    assert orders.unchanged(shown) == set()


def test_only_the_order_that_was_changed_is_read_by_sorqry(orders: Resource, sandbox: Sandbox) -> None:
    keys = [create(orders, str(500_000 + number), StockLine=[STOCK_LINE, TEE]) for number in range(3)]
    shown = pictures_of(orders, *keys)
    booking.change_line(sandbox.syspro, sandbox.syspro.lines(row_of(sandbox, keys[1]))[1], MPrice=Decimal(7))
    before = reads(sandbox)
    assert orders.unchanged(shown) == {keys[0], keys[2]}
    assert reads(sandbox) == before + 1


def test_an_order_that_is_gone_is_not_unchanged(orders: Resource, sandbox: Sandbox) -> None:
    key = create(orders, "500123", StockLine=[STOCK_LINE])
    shown = pictures_of(orders, key)
    sandbox.syspro.table("SorMaster").delete(row_of(sandbox, key))
    assert orders.unchanged(shown) == set()


def test_an_order_that_find_gave_is_unchanged_until_it_is_cancelled(orders: Resource, sandbox: Sandbox) -> None:
    key = create(orders, "500123", StockLine=[STOCK_LINE, TEE])
    (document,) = orders.find(["500123"])["500123"]
    shown = {key: orders.load(document)}
    assert orders.unchanged(shown) == {key}
    sandbox.switches.turn({"syspro_find_most_rows": 1})  # SORQRY decides, which does not give the flag
    assert orders.unchanged(shown) == {key}
    booking.cancel_order(sandbox.syspro, row_of(sandbox, key))
    assert orders.unchanged(shown) == set()


# -- what it costs, and what may go wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "settings", "finds"),
    [("harmony-key", {}, 2), ("enet", {"get_limit_bytes": 12_000}, 2), ("enet", {}, 4)],
    ids=["harmony", "e.net with long addresses", "e.net"],
)
def test_40_orders_cost_two_finds_or_as_many_as_the_length_of_an_address_asks_for(
    way: str, settings: dict[str, object], finds: int, connect_to: Connect, sandbox: Sandbox
) -> None:
    orders = connect_to(way, **settings).resources["syspro.sales_order"]
    assert orders.most_per_look == 40
    keys = [
        create(orders, str(500_000 + number), StockLine=[STOCK_LINE], FreightLine=[FREIGHT]) for number in range(40)
    ]
    shown = pictures_of(orders, *keys)
    sandbox.calls.reset()
    assert orders.unchanged(shown) == set(keys)
    assert sandbox.calls.total(system="syspro", operation="COMFND") == finds
    assert sandbox.calls.total(system="syspro") == finds


@pytest.mark.parametrize("most_rows", [1, 2, 3, 4])
def test_a_reply_that_is_cut_hides_no_edit(most_rows: int, orders: Resource, sandbox: Sandbox) -> None:
    keys = [create(orders, str(500_000 + number), StockLine=[STOCK_LINE, TEE]) for number in range(3)]
    shown = pictures_of(orders, *keys)
    sandbox.switches.turn({"syspro_find_most_rows": most_rows})
    assert orders.unchanged(shown) == set(keys)
    booking.add_line(sandbox.syspro, row_of(sandbox, keys[2]), LineType="6", NComment="Another")
    assert orders.unchanged(shown) == set(keys[:2])


def test_a_reply_that_is_cut_just_before_an_added_line_does_not_hide_it(orders: Resource, sandbox: Sandbox) -> None:
    keys = [create(orders, str(500_000 + number), StockLine=[STOCK_LINE] * 50) for number in range(2)]
    shown = pictures_of(orders, *keys)
    sandbox.switches.turn({"syspro_find_most_rows": 100})
    booking.add_line(sandbox.syspro, row_of(sandbox, keys[1]), LineType="6", NComment="Another")
    assert orders.unchanged(shown) == {keys[0]}


def test_a_find_that_syspro_answers_oddly_leaves_it_to_sorqry(orders: Resource, sandbox: Sandbox) -> None:
    keys = [create(orders, str(500_000 + number), StockLine=[STOCK_LINE]) for number in range(2)]
    shown = pictures_of(orders, *keys)
    booking.set_status(sandbox.syspro, row_of(sandbox, keys[0]), "S")
    sandbox.faults.add(Fault("syspro", "COMFND", "malformed"))
    assert orders.unchanged(shown) == {keys[1]}


def test_a_find_without_an_answer_fails_as_a_read_does(orders: Resource, sandbox: Sandbox) -> None:
    shown = pictures_of(orders, create(orders, "500123", StockLine=[STOCK_LINE]))
    sandbox.faults.add(Fault("syspro", "COMFND", "drop"))
    with pytest.raises(Transient):
        orders.unchanged(shown)


def test_a_column_that_the_site_does_not_have_costs_reads_until_it_is_left_out(
    connect_to: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    orders = connect_to("enet").resources["syspro.sales_order"]
    keys = [create(orders, str(500_000 + number), StockLine=[STOCK_LINE]) for number in range(2)]
    shown = pictures_of(orders, *keys)
    monkeypatch.delitem(sandbox.syspro.table("SorMaster").columns, "WebCreated")
    booking.set_status(sandbox.syspro, row_of(sandbox, keys[0]), "S")
    before = reads(sandbox)
    with caplog.at_level(logging.WARNING):
        assert orders.unchanged(shown) == {keys[1]}
    assert reads(sandbox) == before + 2
    assert "WebCreated" in caplog.text
    assert "unread_columns" in caplog.text

    informed = connect_to("enet", unread_columns="SorMaster.WebCreated").resources["syspro.sales_order"]
    assert informed.unchanged(shown) == {keys[1]}
    assert reads(sandbox) == before + 3


def test_a_column_that_sorqry_shows_in_another_form_stops_no_change_and_is_named_once(
    orders: Resource, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = create(orders, "500123", StockLine=[STOCK_LINE])
    table = sandbox.syspro.table("SorMaster")
    monkeypatch.setitem(table.columns, "ExchangeRate", Column("decimal", 13, 0))  # COMFND rounds it, SORQRY does not
    table.update(row_of(sandbox, key), ExchangeRate=Decimal("1.4"))
    shown = pictures_of(orders, key)
    with caplog.at_level(logging.WARNING):
        assert orders.unchanged(shown) == {key}
        assert orders.unchanged(shown) == {key}
    assert caplog.text.count("SorMaster.ExchangeRate") == 1


@pytest.mark.parametrize("way", list(WAYS))
def test_customers_are_compared_by_one_find(way: str, connect_to: Connect, sandbox: Sandbox) -> None:
    customers = connect_to(way).resources["syspro.customer"]
    full = {"CreditLimit": "5000", "UserField2": "1.5", "SoldToAddr2": "Yard", "Email": "a@example.test"}
    for code, more in (("A1", {}), ("A2", full)):
        wanted = customers.canonical({**EURO_CUSTOMER, "Customer": code, **more})
        customers.write([Operation(Verb.CREATE, code, doc=wanted)])
    shown = pictures_of(customers, "A1", "A2")
    sandbox.calls.reset()
    assert customers.unchanged(shown) == {"A1", "A2"}
    assert sandbox.calls.total(system="syspro", operation="COMFND") == 1
    table = sandbox.syspro.table("ArCustomer")
    row = table.get("A1")
    assert row is not None
    table.update(row, SoldToAddr2="Another")
    assert customers.unchanged(shown) == {"A2"}

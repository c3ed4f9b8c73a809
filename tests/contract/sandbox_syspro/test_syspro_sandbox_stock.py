"""Stock in SYSPRO, by figures worked out by hand: what posts it, what people do to it, and what it leaves in the tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import requests

from syncengine.sandbox import Running
from tests.contract.sandbox_syspro.conftest import EnetClient, errors, example, head, parsed, stock_line

Control = Callable[..., requests.Response]
TEE = "BP-TEE-RED-M"  # 1250 in MN, 3 in RT; a BX has 12
ROOTS = {
    "INVTMA": "PostInvAdjustments",
    "INVTMR": "PostInvReceipts",
    "INVTME": "PostInvExpenseIssues",
    "INVTMO": "PostInvWhTransferOut",
    "INVTMI": "PostInvWhTransferIn",
}


def item(warehouse: str = "MN", code: str = TEE, quantity: str = "-3", more: str = "") -> str:
    place = f"<Warehouse>{warehouse}</Warehouse>" if warehouse else ""
    return f"<Item>{place}<StockCode>{code}</StockCode><Quantity>{quantity}</Quantity>{more}</Item>"


def transfer(more: str = "", quantity: str = "4", to: str = "RT") -> str:
    return item("", quantity=quantity, more=f"<FromWarehouse>MN</FromWarehouse><ToWarehouse>{to}</ToWarehouse>{more}")


def post(enet: EnetClient, code: str, *items: str, **parameters: str) -> str:
    root = ROOTS[code]
    given = "".join(f"<{name}>{value}</{name}>" for name, value in parameters.items())
    return enet.post(code, f"<{root}><Parameters>{given}</Parameters></{root}>", f"<{root}>{''.join(items)}</{root}>")


def refusals(reply: str) -> list[tuple[str, str]]:
    return errors(parsed(reply))


def level(enet: EnetClient, code: str = TEE, warehouse: str = "MN", columns: str = "QtyOnHand") -> list[str]:
    """The columns of one row of InvWarehouse as plain numbers or texts."""
    where = (
        f"<Expression><Column>StockCode</Column><Condition>EQ</Condition><Value>{code}</Value></Expression>"
        f"<Expression><AndOr>And</AndOr><Column>Warehouse</Column><Condition>EQ</Condition><Value>{warehouse}</Value></Expression>"
    )
    (row,) = enet.find("InvWarehouse", columns, where)
    return [plain(row[name]) for name in columns.split()]


def plain(value: str) -> str:
    return f"{Decimal(value).normalize():f}" if value.replace(".", "").removeprefix("-").isdigit() else value


def journal(control: Control) -> list[tuple[str, ...]]:
    """Kind, stock code, warehouse, quantity, what was left, and who."""
    names = ("TrnType", "StockCode", "Warehouse", "Quantity", "OnHand", "By")
    return [tuple(plain(row[name]) for name in names) for row in control("GET", "_StockJournal").json()]


def today() -> str:
    return datetime.now(UTC).date().isoformat()


# -- INVTMA ------------------------------------------------------------------------------------------------------------


def test_example_of_an_adjustment(enet: EnetClient, control: Control) -> None:
    reply = enet.post("INVTMA", example("invtma_params.xml"), example("invtma_xmlin.xml"))

    expected = [node.tag for node in parsed(example("invtma_xmlout.xml")).iter()]
    assert [node.tag for node in parsed(reply).iter()] == expected
    assert level(enet) == ["1247"]
    names = "MovementType TrnType TrnQty Reference AddReference EntryDate"
    assert [[plain(value) for value in row.values()] for row in enet.find("InvMovements", names)] == [
        ["I", "A", "-3", "BP-GM-77812", "Brightpearl stock correction", "2026-03-05"]
    ]
    assert journal(control) == [("A", TEE, "MN", "-3", "1247", "api")]


def test_example_of_a_refused_adjustment(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_denied_warehouses="BB", syspro_version="7").url)
    client.log_on()
    reply = post(client, "INVTMA", item("BB"))

    assert reply == example("invtma_error_xmlout.xml")


def test_count_sets_the_level_and_forgets_what_came_in_since_it_was_read(enet: EnetClient, control: Control) -> None:
    """The trap of an absolute write: 10 came in after 1250 were counted."""
    control("POST", "stock/receive", stock_code=TEE, warehouse="MN", quantity="10")
    post(enet, "INVTMA", item(quantity="1250"), PhysicalCount="Y")

    assert level(enet, columns="QtyOnHand DateLastStockCnt") == ["1250", today()]
    assert [entry[0] for entry in journal(control)] == ["R", "P"]
    assert journal(control)[1][3:5] == ("-10", "1250")


def test_quantity_of_a_count_taken_for_a_difference_is_added(enet: EnetClient) -> None:
    """The trap of the default: without PhysicalCount 1250 counted are 1250 more."""
    post(enet, "INVTMA", item(quantity="1250"))
    assert level(enet) == ["2500"]


def test_one_bad_item_stops_all_unless_told_otherwise(enet: EnetClient) -> None:
    both = (item(quantity="-3"), item(code="NONE"))
    first = parsed(post(enet, "INVTMA", *both))
    assert (level(enet), first.find("Key")) == (["1250"], None)

    second = parsed(post(enet, "INVTMA", *both, ApplyIfEntireDocumentValid="N"))
    assert (level(enet), second.findtext("Key/EntryNumber")) == (["1247"], "00001")
    assert second.findtext("StatusOfItems/ItemsInvalid") == "000001"


def test_validation_alone_posts_nothing(enet: EnetClient, control: Control) -> None:
    reply = parsed(post(enet, "INVTMA", item(), ValidateOnly="Y"))
    assert (reply.find("Key"), level(enet), journal(control)) == (None, ["1250"], [])


@pytest.mark.parametrize(
    ("refused", "number", "text"),
    [
        (item(code="NONE"), "240004", "Stock code 'NONE' not found"),
        (item("FG"), "240008", f"Stock code '{TEE}' not stocked in warehouse 'FG'"),
        (item("ZZ"), "", "Warehouse 'ZZ' not found"),
        (item(""), "100030", "XML element '{Item}{Warehouse}' cannot be spaces"),
        (item(quantity="three"), "100031", "XML element 'Quantity' must be numeric"),
        (item(quantity=""), "100030", "XML element '{Item}{Quantity}' cannot be spaces"),
        (item(quantity="0.5"), "", f"Quantity '0.5' has more than 0 decimals for stock code '{TEE}'"),
        (
            item(more="<UnitOfMeasure>KG</UnitOfMeasure>"),
            "",
            f"Unit of measure 'KG' is invalid for stock code '{TEE}'",
        ),
        (item(more=f"<Reference>{'x' * 31}</Reference>"), "", "XML element 'Reference' exceeds 30 characters"),
        (item(quantity="-1251"), "", f"Quantity '1251' of stock code '{TEE}' is not available in warehouse 'MN'"),
    ],
)
def test_refused_adjustments(enet: EnetClient, refused: str, number: str, text: str) -> None:
    assert refusals(post(enet, "INVTMA", refused)) == [(number, text)]
    assert level(enet) == ["1250"]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"TransactionDate": "5.3.2026"}, "Date '5.3.2026' is invalid for XML element 'TransactionDate'"),
        ({"TransactionDate": "2999-01-01"}, "Transaction date '2999-01-01' is in the future"),
        ({"PostingPeriod": "3"}, "Posting period '3' cannot be used"),
        ({"PhysicalCount": "Y", "PostingPeriod": "P"}, "Posting period 'P' cannot be used"),
    ],
)
def test_refused_parameters(enet: EnetClient, parameters: dict[str, str], text: str) -> None:
    ((_, found),) = refusals(post(enet, "INVTMA", item(quantity="3"), **parameters))
    assert found.startswith(text)


def test_negative_count_is_refused(enet: EnetClient) -> None:
    reply = post(enet, "INVTMA", item(quantity="-1"), PhysicalCount="Y")
    assert refusals(reply) == [("", "Quantity '-1' cannot be negative")]


def test_other_units_are_converted(enet: EnetClient) -> None:
    post(enet, "INVTMA", item(quantity="2", more="<UnitOfMeasure>BX</UnitOfMeasure>"))
    assert level(enet) == ["1274"]


# -- receipts, issues, transfers ---------------------------------------------------------------------------------------


def test_receipt_moves_the_average_cost(enet: EnetClient) -> None:
    """100 at 0.00 and 100 at 3.00 are 200 at 1.50; 100 more for 450 in all are 300 at 2.50."""
    post(enet, "INVTMR", item("FG", "KB-2040", "100", "<UnitCost>3.00</UnitCost>"))
    assert level(enet, "KB-2040", "FG", "QtyOnHand UnitCost") == ["200", "1.5"]

    post(enet, "INVTMR", item("FG", "KB-2040", "100", "<TotalCost>450.00</TotalCost>"))
    columns = "QtyOnHand UnitCost DateLastPurchase DateLastCostChange"
    assert level(enet, "KB-2040", "FG", columns) == ["300", "2.5", today(), today()]


def test_goods_that_leave_do_not_move_the_average_cost(enet: EnetClient, control: Control) -> None:
    """100 at 0.00 and 100 at 3.00 are 1.50 each; a receipt of 50 at 3.00 that is taken back leaves it."""
    kettle = {"stock_code": "KB-2040", "warehouse": "FG", "unit_cost": "3.00"}
    control("POST", "stock/receive", quantity="100", **kettle)
    control("POST", "stock/receive", quantity="-50", **kettle)
    assert level(enet, "KB-2040", "FG", "QtyOnHand UnitCost") == ["150", "1.5"]


@pytest.mark.parametrize("costs", ["", "<UnitCost>1</UnitCost><TotalCost>1</TotalCost>"])
def test_receipt_has_exactly_one_cost(enet: EnetClient, costs: str) -> None:
    reply = post(enet, "INVTMR", item(quantity="1", more=costs))
    assert refusals(reply) == [("", f"Either a unit cost or a total cost is needed for stock code '{TEE}'")]


def test_issue_takes_stock_below_zero_only_where_the_warehouse_may_and_the_warning_is_ignored(
    enet: EnetClient, control: Control
) -> None:
    issue = item("RT", quantity="5")
    assert len(refusals(post(enet, "INVTME", issue, IgnoreWarnings="Y"))) == 1

    control("POST", "stock/negative", warehouse="RT", allowed=True)
    assert len(refusals(post(enet, "INVTME", issue))) == 1
    assert refusals(post(enet, "INVTME", issue, IgnoreWarnings="Y")) == []
    assert level(enet, warehouse="RT") == ["-2"]


def test_transfer_is_done_at_once_only_if_it_says_so(enet: EnetClient) -> None:
    """The trap of a transfer without Immediate: 4 are in no warehouse until they are brought in."""
    assert example("invtmo_xmlin.xml").count("<Immediate>Y</Immediate>") == 1
    enet.post("INVTMO", "", example("invtmo_xmlin.xml"))
    assert (level(enet), level(enet, warehouse="RT")) == (["1246"], ["7"])

    post(enet, "INVTMO", transfer())
    assert (level(enet), level(enet, warehouse="RT")) == (["1242"], ["7"])
    post(enet, "INVTMI", item("RT", quantity="4"))
    assert level(enet, warehouse="RT") == ["11"]
    found = enet.find("InvMovements", "Warehouse NewWarehouse TrnQty")
    assert sorted((row["Warehouse"], row["NewWarehouse"], plain(row["TrnQty"])) for row in found) == [
        ("MN", "RT", "-4"),
        ("MN", "RT", "-4"),
        ("RT", "", "4"),
        ("RT", "MN", "4"),
    ]


def test_transfer_into_a_warehouse_where_it_is_not_stocked(enet: EnetClient) -> None:
    move = transfer("<Immediate>Y</Immediate>", to="FG")
    assert refusals(post(enet, "INVTMO", move)) == [("240008", f"Stock code '{TEE}' not stocked in warehouse 'FG'")]

    post(enet, "INVTMO", move, CreateDestinationWarehouse="Y")
    assert level(enet, warehouse="FG") == ["4"]


# -- people ------------------------------------------------------------------------------------------------------------

FIGURES = "QtyOnHand QtyAllocated QtyAllocatedWip QtyOnBackOrder QtyInTransit QtyInInspection QtyDispatched"


def test_a_day_in_the_warehouse(enet: EnetClient, control: Control) -> None:
    """KB-2040 begins with 100 in FG; all figures by hand."""
    kettle = {"stock_code": "KB-2040", "warehouse": "FG"}

    def now() -> list[int]:
        return [int(figure) for figure in level(enet, "KB-2040", "FG", FIGURES)]

    enet.import_order(head(), stock_line(qty="30"))
    control("POST", "orders", customer="WEB001", lines=[{"stock_code": "KB-2040", "qty": "80", "warehouse": "FG"}])
    assert now() == [100, 100, 0, 10, 0, 0, 0]  # 80 of the clerk's order: 70 are left, 10 go to back order
    control("POST", "stock/allocate", job="J1", quantity="15", **kettle)
    control("POST", "stock/receive", quantity="40", unit_cost="2", **kettle)
    control("POST", "stock/issue", job="J1", quantity="5", **kettle)
    assert now() == [135, 100, 10, 10, 0, 0, 0]
    control("POST", "stock/inspect", quantity="20", **kettle)
    control("POST", "stock/accept", quantity="12", **kettle)
    control("POST", "stock/scrap", quantity="2", **kettle)
    control("POST", "stock/produce", job="J2", quantity="6", **kettle)
    assert now() == [151, 100, 10, 10, 0, 8, 0]
    control("POST", "orders/1001/invoice")
    assert now() == [121, 70, 10, 10, 0, 8, 0]
    control("POST", "orders/1002/dispatch", lines={"1": "25"})
    assert now() == [96, 45, 10, 10, 0, 8, 25]
    control("POST", "dispatches/invoice", order="1002")
    assert now() == [96, 45, 10, 10, 0, 8, 0]
    control("POST", "stock/KB-2040/FG", on_hand="90")
    assert now() == [90, 45, 10, 10, 0, 8, 0]

    entries = journal(control)
    assert [(entry[0], entry[3]) for entry in entries] == [
        ("R", "40"), ("I", "-5"), ("R", "12"), ("A", "-2"), ("R", "6"), ("S", "-30"), ("S", "-25"), ("P", "-6"),
    ]  # fmt: skip
    assert 100 + sum(Decimal(entry[3]) for entry in entries) == 90
    assert {entry[5] for entry in entries} == {"person"}


def test_goods_in_transit_are_in_no_warehouse(enet: EnetClient, control: Control) -> None:
    control(
        "POST", "stock/transfer", **{"stock_code": TEE, "from": "MN", "to": "RT", "quantity": 50, "in_transit": True}
    )
    assert level(enet, columns=FIGURES)[0] == "1200"
    assert level(enet, warehouse="RT", columns="QtyOnHand QtyInTransit") == ["3", "50"]

    control("POST", "stock/arrive", stock_code=TEE, warehouse="RT", quantity="50")
    assert level(enet, warehouse="RT", columns="QtyOnHand QtyInTransit") == ["53", "0"]


def test_allocation_leaves_no_date(enet: EnetClient, control: Control) -> None:
    """The trap of the date: orders and jobs change allocations, and DateLastStockMove stays."""
    enet.import_order(head(), stock_line())
    control("POST", "stock/allocate", job="J1", stock_code="KB-2040", warehouse="FG", quantity="15")

    columns = "QtyAllocated QtyAllocatedWip DateLastStockMove"
    assert level(enet, "KB-2040", "FG", columns) == ["1", "15", ""]


@pytest.mark.parametrize(("which", "shown"), [("transaction", "2026-01-15"), ("entry", "")])
def test_back_dated_entry(make_sandbox: Callable[..., Running], control: Control, which: str, shown: str) -> None:
    """The trap of the fast path: what is entered today for January may have January's date."""
    client = EnetClient(make_sandbox(syspro_stock_move_date=which).url)
    client.log_on()
    control("POST", "stock/receive", stock_code=TEE, warehouse="MN", quantity="10", on="2026-01-15")
    assert level(client, columns="QtyOnHand DateLastStockMove") == ["1260", shown or today()]

    control("POST", "stock/scrap", stock_code=TEE, warehouse="MN", quantity="1")
    control("POST", "stock/scrap", stock_code=TEE, warehouse="MN", quantity="1", on="2026-01-16")
    assert level(client, columns="QtyOnHand DateLastStockMove") == ["1258", today()]  # a later date stays


@pytest.mark.parametrize(("relieves", "dispatched", "invoiced"), [(True, "60", "60"), (False, "100", "60")])
def test_dispatch_relieves_stock_at_once_or_when_it_is_invoiced(
    make_sandbox: Callable[..., Running], control: Control, relieves: bool, dispatched: str, invoiced: str
) -> None:
    client = EnetClient(make_sandbox(syspro_dispatch_relieves=relieves).url)
    client.log_on()
    client.import_order(head(), stock_line(qty="40"))
    control("POST", "orders/1001/dispatch")
    columns = "QtyOnHand QtyAllocated QtyDispatched"
    assert level(client, "KB-2040", "FG", columns) == [dispatched, "0", "40"]

    control("POST", "dispatches/invoice", order="1001")
    assert level(client, "KB-2040", "FG", columns) == [invoiced, "0", "0"]
    assert client.read_order("1001").findtext("OrderStatus") == "9"


def test_invoice_is_a_sale_in_the_movements(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5"))
    invoice = control("POST", "orders/1001/invoice").json()

    names = "MovementType TrnType TrnQty SalesOrder Invoice Customer Reference"
    (row,) = enet.find("InvMovements", names)
    assert [plain(value) for value in row.values()][:3] == ["S", "S", "-5"]
    assert (row["SalesOrder"][-4:], row["Invoice"], row["Customer"]) == ("1001", invoice["number"], "WEB001")
    assert row["Reference"] == "500123"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("stock/scrap", {"stock_code": TEE, "warehouse": "RT", "quantity": "4"}),
        ("stock/arrive", {"stock_code": TEE, "warehouse": "RT", "quantity": "4"}),
        ("stock/issue", {"job": "J1", "stock_code": TEE, "warehouse": "RT", "quantity": "1"}),
        ("stock/receive", {"stock_code": TEE, "warehouse": "FG", "quantity": "1"}),
        ("stock/transfer", {"stock_code": TEE, "from": "MN", "to": "FG", "quantity": "1"}),
        ("stock/add", {"stock_code": "NONE", "warehouse": "FG"}),
        ("stock/negative", {"warehouse": "ZZ", "allowed": True}),
    ],
)
def test_what_people_cannot_do(running: Running, control: Control, path: str, body: dict[str, object]) -> None:
    assert control("POST", path, **body).status_code == 400
    assert journal(control) == []


def test_query_shows_what_was_moved(enet: EnetClient, control: Control) -> None:
    control("POST", "stock/add", stock_code=TEE, warehouse="FG")
    control("POST", "stock/receive", stock_code=TEE, warehouse="FG", quantity="7", unit_cost="2.5")
    reply = parsed(enet.query("INVQRY", f"<Query><Key><StockCode>{TEE}</StockCode></Key></Query>"))

    found = {row.findtext("Warehouse"): row for row in reply.iter("WarehouseItem")}
    assert {code: plain((row.findtext("QtyOnHand") or "").strip()) for code, row in found.items()} == {
        "FG": "7", "MN": "1250", "RT": "3",
    }  # fmt: skip
    slashed = datetime.now(UTC).strftime("%Y/%m/%d")
    assert found["FG"].findtext("LastActivityDates/DateLastStockMovement") == slashed
    assert found["FG"].findtext("LastActivityDates/DateOfLastPurchase") == slashed

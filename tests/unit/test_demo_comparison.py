"""The demo's comparison finds whatever is wrong: each test breaks one thing in a company where everything is right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from syncengine.demo.comparison import Report, compare
from syncengine.sandbox import server
from syncengine.sandbox.server import Running, Sandbox
from syncengine.sandbox.shop.generator import generate
from syncengine.sandbox.shop.model import Address, Contact, Order, Party, Product, Row, Shop

PLACED = datetime(2025, 6, 30, 23, 30, tzinfo=UTC)  # the first of July in London
LETTER: dict[str, Any] = {
    "flow": "orders",
    "key": "5003",
    "field": "StockLine.StockCode",
    "value": "NEW-NOT-IN-ERP",
    "cause": "Stock code 'NEW-NOT-IN-ERP' not found",
    "kind": "dead",
}
STATUSES = {"orders": {"done": 2, "dead": 1, "skipped": 1}, "customers": {"done": 1}}


def shop() -> Shop:
    """One company that ordered, one guest, one invalid order, one cancelled one."""
    shop = generate(1, contacts=0, products=2, orders=0, awkward=False)
    shop.products.append(Product(3001, "MUG", "Enamel Mug", Decimal(8), "T20", {"MN": Decimal(100)}))
    shop.addresses.append(Address(9001, 310, "1 Long Road", "", "Łódź", "", "90-001", "PL"))
    shop.contacts.append(
        Contact(310, "Łukasz", "Żak", "Żak & Söhne", "z@mail.example", "+48 42 000", "", "EUR", 4, "T0", 9001, 9001)
    )
    guest = Contact(311, "Ann", "Guest", "", "g@mail.example", "", "", "GBP", 2, "T20", 9001, 9001, tags="7")
    shop.contacts.append(guest)
    for order_id, fate in ((5001, "pushed"), (5002, "guest"), (5003, "invalid"), (5004, "cancelled")):
        order = _order(order_id, 311 if fate == "guest" else 310)
        shop.orders.append(order)
        shop.expected[order_id] = fate  # type: ignore[assignment]
    shop.invalid[5003] = "SKU is not a stock code in SYSPRO"
    return shop


def _order(order_id: int, contact_id: int) -> Order:
    company = "Żak & Söhne" if contact_id == 310 else ""
    person = "Łukasz Żak" if contact_id == 310 else "Ann Guest"
    party = Party(contact_id, person, company, "1 Long Road", "", "Łódź", "", "90-001", "PL", email="z@mail.example")
    rows = [
        Row(order_id * 10, 10, 3001, "Enamel Mug", "MUG", Decimal(3), Decimal(3), Decimal("10.0000"), Decimal(0), "T0"),
        Row(order_id * 10 + 1, 20, 1000, "Gift wrap", "", Decimal(1), Decimal(2), Decimal(2), Decimal(0), "T0"),
        Row(order_id * 10 + 2, 30, 1000, "Post", "", Decimal(1), Decimal(5), Decimal(5), Decimal(0), "T0"),
    ]
    rows[2].nominal_code = "4040"
    currency = "EUR" if contact_id == 310 else "GBP"
    return Order(
        order_id, f"W-{order_id}", 2, PLACED, PLACED, None, currency, Decimal(1), 4, "EXC", 1, 2, party, party, party,
        {row.id: row for row in rows}, shipping_method_id=2,
    )  # fmt: skip


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Both systems as they are when all went well."""
    monkeypatch.setattr(server, "generate", lambda *_, **__: shop())
    with Sandbox().start() as running:
        company = running.sandbox.syspro
        company.table("ArCustomer").insert(
            Customer="BP310EUR", Name="Zak & Söhne", ShortName="Zak & Söhne", Contact="Lukasz Zak", Currency="EUR",
            UserField1="310", Email="z@mail.example", Telephone="+48 42 000", Branch="10", Salesperson="W1",
            TermsCode="30", BalanceType="I", TaxStatus="N", DateCustAdded=date(2025, 3, 3), SoldPostalCode="90-001",
            SoldToAddr1="1 Long Road", SoldToAddr3="Lódz", SoldToAddr5="Poland", ShipPostalCode="90-001",
            ShipToAddr1="1 Long Road", ShipToAddr3="Lódz", ShipToAddr5="Poland",
        )  # fmt: skip
        company.effect("ArCustomer", "created", "BP310EUR", "310")
        _book(running.sandbox, "5001", "BP310EUR", "EUR", "Zak & Söhne", ["Attn: Lukasz Zak"])
        _book(running.sandbox, "5002", "WEBGBP", "GBP", "Ann Guest", [])
        yield running


def _book(sandbox: Sandbox, po_number: str, customer: str, currency: str, name: str, comments: list[str]) -> None:
    company = sandbox.syspro
    number = company.order_key(company.next_number("order"))
    order = company.table("SorMaster").insert(
        SalesOrder=number, OrderStatus="1", Customer=customer, CustomerName=name, CustomerPoNumber=po_number,
        OrderDate=date(2025, 7, 1), Warehouse="MN", Currency=currency, Email="z@mail.example",
        SpecialInstrs=f"W-{po_number}", ShippingInstrs="Second class post", ShipAddress1="1 Long Road",
        ShipAddress3="Lódz", ShipAddress5="Poland", ShipPostalCode="90-001",
    )  # fmt: skip
    lines: list[dict[str, Any]] = [
        {
            "LineType": "1", "MStockCode": "MUG", "MOrderQty": Decimal(3), "MPrice": Decimal("3.33333"),
            "MOrderUom": "EA", "MPriceUom": "EA", "MWarehouse": "MN",
        },
        {
            "LineType": "5", "NComment": "Gift wrap", "NMscChargeValue": Decimal(2), "NMscProductCls": "WEB",
            "NMscTaxCode": "T0",
        },
        {"LineType": "4", "NMscChargeValue": Decimal(5), "NMscTaxCode": "T0"},
        *({"LineType": "6", "NComment": text} for text in comments),
    ]  # fmt: skip
    for line_number, line in enumerate(lines, 1):
        company.table("SorDetail").insert(SalesOrder=number, SalesOrderLine=line_number, **line)
    company.order_effect("created", order)


def judge(served: Running, letters: list[dict[str, Any]] | None = None, statuses: Any = None) -> Report:
    return compare(served.url, shop(), [LETTER] if letters is None else letters, statuses or STATUSES)


def order_row(served: Running, po_number: str = "5001") -> Any:
    return served.sandbox.syspro.table("SorMaster").by("CustomerPoNumber", po_number)[0]


def set_order(served: Running, **values: Any) -> None:
    served.sandbox.syspro.table("SorMaster").update(order_row(served), **values)


def set_line(served: Running, number: int, **values: Any) -> None:
    company = served.sandbox.syspro
    company.table("SorDetail").update(company.lines(order_row(served))[number - 1], **values)


def texts(report: Report) -> list[str]:
    return list(map(str, report.problems))


def only(report: Report) -> str:
    assert len(report.problems) == 1, report.problems
    return str(report.problems[0])


def test_all_right_is_no_problem_and_counted(served: Running) -> None:
    report = judge(served)
    assert report.problems == []
    assert (report.found, report.pushed, report.guests, report.invalid) == (2, 1, 1, 1)
    assert (report.cancelled, report.ineligible, report.duplicates, report.customers) == (1, 0, 0, 1)


def test_an_order_created_twice_is_found(served: Running) -> None:
    _book(served.sandbox, "5001", "BP310EUR", "EUR", "Zak & Söhne", ["Attn: Lukasz Zak"])
    report = judge(served)
    assert only(report) == "order 5001: is in SYSPRO 2 times, created 2 times"
    assert report.duplicates == 1


def test_an_order_created_again_after_it_was_deleted_is_found_by_the_journal(served: Running) -> None:
    served.sandbox.syspro.order_effect("created", order_row(served))
    assert only(judge(served)) == "order 5001: is in SYSPRO 1 times, created 2 times"


def test_a_missing_order_is_found(served: Running) -> None:
    set_order(served, CustomerPoNumber="4999")
    problems = texts(judge(served))
    assert "order 5001: is in SYSPRO 0 times, created 1 times" in problems
    assert "SYSPRO has 1 orders with the number '4999', which the shop does not have" in problems


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("Customer", "WEBEUR"),
        ("Currency", "GBP"),
        ("OrderDate", date(2025, 6, 30)),  # the day in UTC
        ("Warehouse", "ST"),
        ("ShipPostalCode", "90-00"),
        ("Email", ""),
        ("SpecialInstrs", "W-500"),
        ("ShippingInstrs", ""),
        ("OrderType", "WB"),
        ("OrderStatus", "S"),
        ("CancelledFlag", "Y"),
        ("CustomerName", "Zak & Sohne"),
    ],
)
def test_a_wrong_field_of_the_header_is_found(served: Running, column: str, value: Any) -> None:
    set_order(served, **{column: value})
    assert only(judge(served)).startswith(f"order 5001: {column} is ")


@pytest.mark.parametrize(
    "lines", [{"ShipAddress3": ""}, {"ShipAddress5": "PL"}, {"ShipAddress1": "", "ShipAddress2": "1 Long Road"}]
)
def test_an_address_line_that_is_lost_or_stands_elsewhere_is_found(served: Running, lines: dict[str, str]) -> None:
    set_order(served, **lines)
    assert only(judge(served)).startswith("order 5001: ShipAddress is ")


@pytest.mark.parametrize(
    ("number", "values"),
    [
        (1, {"MStockCode": "CUP"}),
        (1, {"MPrice": Decimal("3.33334")}),
        (1, {"MOrderUom": "BX"}),
        (1, {"MWarehouse": "ST"}),
        (2, {"NComment": "Gift"}),
        (2, {"NMscProductCls": "MISC"}),
        (3, {"NMscTaxCode": "T20"}),
    ],
)
def test_a_wrong_line_is_told_with_what_should_stand_there(
    served: Running, number: int, values: dict[str, Any]
) -> None:
    set_line(served, number, **values)
    lacks, has = texts(judge(served))
    assert lacks.startswith("order 5001: lacks the ")
    assert has.startswith("order 5001: has the ")


def test_a_wrong_quantity_is_told_by_line_and_total(served: Running) -> None:
    set_line(served, 1, MOrderQty=Decimal(2))
    problems = texts(judge(served))
    assert "order 5001: lacks the stock line MUG, 3, 3.33333, EA, EA, MN" in problems
    assert "order 5001: comes to 13.66666 in SYSPRO and to 17.00 net in Brightpearl" in problems


def test_a_lost_comment_and_one_too_many_are_found(served: Running) -> None:
    set_line(served, 4, NComment="Attn: somebody else")
    assert only(judge(served)) == "order 5001: lacks the comment 'Attn: Łukasz Żak'"
    set_line(served, 4, NComment="Attn: Lukasz Zak, and more")
    assert only(judge(served)) == "order 5001: has an unexpected comment: 'andmore'"


def test_an_order_that_was_written_again_without_need_is_found(served: Running) -> None:
    served.sandbox.syspro.order_effect("changed", order_row(served))
    assert only(judge(served)) == "order 5001: was changed in SYSPRO although nothing changed in Brightpearl"


@pytest.mark.parametrize(("po_number", "fate"), [("5003", "invalid"), ("5004", "cancelled")])
def test_an_order_that_should_not_be_there_is_found(served: Running, po_number: str, fate: str) -> None:
    _book(served.sandbox, po_number, "BP310EUR", "EUR", "Zak & Söhne", ["Attn: Lukasz Zak"])
    assert only(judge(served)) == f"order {po_number}: is {fate}, yet SYSPRO has it"


def test_a_missing_letter_is_found(served: Running) -> None:
    problem = only(judge(served, letters=[]))
    assert problem == "order 5003: is invalid (SKU is not a stock code in SYSPRO) and has 0 dead letters"


@pytest.mark.parametrize("changes", [{"field": "Customer"}, {"value": "", "cause": "rejected"}])
def test_a_letter_that_does_not_name_the_reason_is_found(served: Running, changes: dict[str, str]) -> None:
    problem = only(judge(served, letters=[{**LETTER, **changes}]))
    assert problem.startswith("order 5003: is invalid (SKU is not a stock code in SYSPRO), and its dead letter says: ")


def test_a_letter_of_a_valid_order_is_found(served: Running) -> None:
    letter = {**LETTER, "key": "5001", "field": "Customer", "cause": "on hold"}
    assert only(judge(served, letters=[LETTER, letter])) == (
        "order 5001: is pushed and has a dead letter: Customer: on hold"
    )


def test_a_letter_of_a_customer_and_records_that_wait_are_found(served: Running) -> None:
    letter = {**LETTER, "flow": "customers", "key": "310", "field": "Name", "cause": "none"}
    statuses = {**STATUSES, "customers": {"done": 1, "waiting": 2}}
    assert texts(judge(served, [LETTER, letter], statuses)) == [
        "2 of customers are held or wait, 0 should be: {'waiting': 2}",
        "customers 310 has a dead letter: Name: none",
    ]


@pytest.mark.parametrize(
    ("column", "value"), [("Name", "Zak"), ("Currency", "GBP"), ("Email", ""), ("SoldToAddr1", ""), ("TermsCode", "60")]
)
def test_a_wrong_field_of_a_customer_is_found(served: Running, column: str, value: str) -> None:
    company = served.sandbox.syspro
    company.table("ArCustomer").update(company.customer("BP310EUR"), **{column: value})
    assert column.rstrip("1") in only(judge(served))


def test_a_customer_missing_twice_or_for_nobody_is_found(served: Running) -> None:
    company = served.sandbox.syspro
    company.effect("ArCustomer", "created", "BP310EUR", "310")
    company.effect("ArCustomer", "created", "BP311", "311")
    assert texts(judge(served)) == ["customer BP310EUR: created 2 times", "customer BP311: nobody needs it"]

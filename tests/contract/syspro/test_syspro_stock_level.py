"""`syspro.stock_level` against the sandbox: levels and allocations by hand figures, the feed, and the pages of a pass."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from syncengine import clock
from syncengine.connectors.base import Page
from syncengine.connectors.syspro.business import BusinessCall
from syncengine.connectors.syspro.resources.stock_level import StockLevel
from syncengine.document import Doc, fingerprint
from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.dispatch import notes
from syncengine.sandbox.syspro.inventory import people
from syncengine.sandbox.syspro.inventory.movements import place
from syncengine.sandbox.syspro.tables import Row
from tests.contract.syspro.conftest import Connect

Levels = Callable[..., StockLevel]
TEE = "BP-TEE-RED-M"  # 1250 in MN, 3 in RT
D = Decimal


@pytest.fixture(params=["enet", "harmony"])
def gateway(request: pytest.FixtureRequest) -> str:
    """Both gateways."""
    return str(request.param)


@pytest.fixture
def levels(gateway: str, connect_to: Connect) -> Levels:
    """The resource, with settings."""

    def make(**settings: object) -> StockLevel:
        made = connect_to("harmony-key" if gateway == "harmony" else "enet", **settings)
        found = made.resources["syspro.stock_level"]
        assert isinstance(found, StockLevel)
        return found

    return make


def ordered(sandbox: Sandbox, quantity: int, po: str = "", code: str = "KB-2040", warehouse: str = "FG") -> Row:
    """An order that somebody entered in SYSPRO, with one line."""
    company = sandbox.syspro
    number = company.next_number("order")
    order = company.table("SorMaster").insert(
        SalesOrder=company.order_key(number), NextDetailLine=1, OrderStatus="1", Customer="WEB001", CustomerPoNumber=po
    )
    free = booking.available(company, code, warehouse)
    ship, back = booking.split(D(quantity), free, "A")
    booking.add_line(
        company, order, LineType="1", MStockCode=code, MWarehouse=warehouse, MOrderQty=D(quantity), MShipQty=ship,
        MBackOrderQty=back, MStockQtyToShp=ship, MOrderUom="EA",
    )  # fmt: skip
    return order


def stock(sandbox: Sandbox, codes: int, warehouses: tuple[str, ...] = ("FG", "MN", "RT")) -> None:
    """Further stock codes X0001, X0002, ..., each in these warehouses."""
    for number in range(1, codes + 1):
        code = f"X{number:04}"
        sandbox.syspro.table("InvMaster").insert(StockCode=code, StockUom="EA")
        for warehouse in warehouses:
            sandbox.syspro.table("InvWarehouse").insert(StockCode=code, Warehouse=warehouse, QtyOnHand=D(number))


def figures(level: Doc, *names: str) -> dict[str, tuple[Any, ...]]:
    """Columns by warehouse, of a typed document."""
    return {row["Warehouse"]: tuple(row[name] for name in names) for row in level["Warehouse"]}


def finds(sandbox: Sandbox) -> int:
    return sandbox.calls.total(system="syspro", operation="COMFND")


def walked(found: StockLevel, position: dict[str, Any] | None = None) -> list[Page]:
    return list(found.pages(position or {}))


# -- read --------------------------------------------------------------------------------------------------------------


def test_level_of_a_code_with_all_that_touches_it(levels: Levels, sandbox: Sandbox) -> None:
    """KB-2040 has 100 in FG: 30 and 70 of 80 are allocated, 10 are on back order, a job needs 15, 40 came in."""
    company = sandbox.syspro
    ours, clerks = ordered(sandbox, 30, "500123"), ordered(sandbox, 80)
    people.allocate(company, "J1", "KB-2040", "FG", D(15))
    people.receive(company, "KB-2040", "FG", D(40), unit_cost=D("1.4"))
    people.inspect(company, "KB-2040", "FG", D(20))
    notes.create(company, notes.Draft(clerks, [notes.Part(company.lines(clerks)[0], D(25))]))
    found = levels()
    level = found.load(found.read(["KB-2040"])["KB-2040"])

    names = ("QtyOnHand", "QtyAllocated", "QtyAllocatedWip", "QtyOnBackOrder", "QtyInTransit", "QtyInInspection")
    assert figures(level, *names) == {"FG": (115, 75, 15, 10, 0, 20)}
    assert figures(level, "QtyDispatched", "UnitCost", "DateLastStockMove") == {
        "FG": (25, D("0.4"), clock.now().date())
    }
    shown = [(line["CustomerPoNumber"], line["Warehouse"], line["Quantity"]) for line in level["Allocation"]]
    assert shown == [("500123", "FG", 30), ("", "FG", 45)]
    numbers = [company.shown(str(order["SalesOrder"])) for order in (ours, clerks)]
    assert [line["SalesOrder"] for line in level["Allocation"]] == numbers
    assert [line["SalesOrderLine"] for line in level["Allocation"]] == ["1", "1"]


def test_each_warehouse_has_a_row_and_an_unknown_code_is_absent(levels: Levels, sandbox: Sandbox) -> None:
    sandbox.syspro.table("InvMaster").insert(StockCode="NOWHERE")
    found = levels().read([TEE, "NOWHERE", "NONE"])

    assert set(found) == {TEE, "NOWHERE"}
    assert found["NOWHERE"] == {"StockCode": "NOWHERE", "Warehouse": [], "Allocation": []}
    assert figures(levels().load(found[TEE]), "QtyOnHand") == {"MN": (1250,), "RT": (3,)}


@pytest.mark.one_gateway
def test_numeric_codes_are_found_by_either_form(levels: Levels, sandbox: Sandbox) -> None:
    stored = "000000000004711"
    sandbox.syspro.table("InvMaster").insert(StockCode=stored, StockUom="EA")
    sandbox.syspro.table("InvWarehouse").insert(StockCode=stored, Warehouse="MN", QtyOnHand=D(6))
    ordered(sandbox, 2, code=stored, warehouse="MN")
    assert levels().read(["4711"]) == {}
    found = levels(numeric_stock_keys=True).read(["4711", stored])

    assert found["4711"] == found[stored]
    assert (found["4711"]["StockCode"], len(found["4711"]["Allocation"])) == (stored, 1)


@pytest.mark.one_gateway
def test_stock_below_zero_is_read_as_it_is(levels: Levels, sandbox: Sandbox) -> None:
    people.allow_negative(sandbox.syspro, "RT", True)
    people.scrap(sandbox.syspro, TEE, "RT", D(5))
    found = levels()
    assert figures(found.load(found.read([TEE])[TEE]), "QtyOnHand")["RT"] == (-2,)


def test_calls_of_a_read(levels: Levels, gateway: str, sandbox: Sandbox) -> None:
    """SorDetail and InvWarehouse, SorMaster for orders, InvMaster for codes without a row; e.net splits long addresses."""
    stock(sandbox, 40)
    found = levels(**({"get_limit_bytes": 16_000} if gateway == "enet" else {}))
    codes = [f"X{number:04}" for number in range(1, 41)]
    found.read(codes)
    assert finds(sandbox) == 2
    ordered(sandbox, 1, code="X0001")
    found.read(codes)
    assert finds(sandbox) == 2 + 3
    found.read(["X0002", "NONE"])
    assert finds(sandbox) == 2 + 3 + 3


@pytest.mark.one_gateway
@pytest.mark.parametrize("more", [0, 1])
def test_a_reply_that_is_cut_makes_no_warehouse_vanish(levels: Levels, sandbox: Sandbox, more: int) -> None:
    """A site that gives 100 rows at most: 50 codes in two warehouses are just these, or one more."""
    stock(sandbox, 50, ("FG", "MN"))
    for _ in range(more):
        sandbox.syspro.table("InvWarehouse").insert(StockCode="X0050", Warehouse="RT", QtyOnHand=D(1))
    sandbox.switches.turn({"syspro_find_most_rows": 100})
    codes = [f"X{number:04}" for number in range(1, 51)]
    found = levels(find_at_once=60, get_limit_bytes=60_000).read(codes)

    assert [len(found[code]["Warehouse"]) for code in codes] == [2] * 49 + [2 + more]


# -- allocations -------------------------------------------------------------------------------------------------------


@pytest.mark.one_gateway
def test_allocations_are_read_first_so_that_what_is_free_errs_low(levels: Levels, sandbox: Sandbox) -> None:
    """An order that comes in between is in QtyAllocated and not among the lines: taken for somebody else's demand."""
    found = levels()
    call, tables = found._gateway.call, []

    def between(asked: BusinessCall) -> Doc:
        tables.append(asked.content["TableName"])
        answer = call(asked)
        if tables == ["SorDetail"]:
            ordered(sandbox, 5, "500123")
        return answer

    found._gateway.call = between  # type: ignore[method-assign]
    level = found.load(found.read(["KB-2040"])["KB-2040"])
    assert tables == ["SorDetail", "InvWarehouse"]
    assert (figures(level, "QtyAllocated")["FG"], level["Allocation"]) == ((5,), [])


@pytest.mark.one_gateway
def test_only_what_is_to_be_shipped_by_an_open_order_allocates(levels: Levels, sandbox: Sandbox) -> None:
    company = sandbox.syspro
    for order in (ordered(sandbox, 7), ordered(sandbox, 8)):
        booking.cancel_order(company, order)
    kept = company.lines(ordered(sandbox, 9, "KEPT"))[0]
    cancelled = ordered(sandbox, 10, "GONE")
    company.table("SorMaster").update(
        cancelled, OrderStatus="\\", CancelledFlag="Y"
    )  # a site that keeps its quantities
    booking.add_line(company, cancelled, LineType="6", NComment="-", MStockCode="KB-2040", MShipQty=D(1))

    lines = levels().read(["KB-2040"])["KB-2040"]["Allocation"]
    assert [(line["CustomerPoNumber"], D(line["Quantity"])) for line in lines] == [("KEPT", kept["MShipQty"])]


@pytest.mark.one_gateway
def test_order_references_cost_nothing_if_nobody_asks(levels: Levels, sandbox: Sandbox) -> None:
    ordered(sandbox, 5, "500123")
    (line,) = levels(stock_order_references=False).read(["KB-2040"])["KB-2040"]["Allocation"]
    assert (line["CustomerPoNumber"], D(line["Quantity"]), finds(sandbox)) == ("", 5, 2)


@pytest.mark.one_gateway
def test_quantity_is_in_stocking_units_where_the_site_has_them(levels: Levels, sandbox: Sandbox) -> None:
    line = sandbox.syspro.lines(ordered(sandbox, 2, code=TEE, warehouse="MN"))[0]
    booking.change_line(sandbox.syspro, line, MOrderUom="BX", MStockQtyToShp=D(24))

    def quantity(**settings: object) -> Decimal:
        return D(levels(**settings).read([TEE])[TEE]["Allocation"][0]["Quantity"])

    assert quantity() == 24
    assert quantity(unread_columns="SorDetail.MStockQtyToShp") == 2


# -- the feed ----------------------------------------------------------------------------------------------------------


def read_feed(found: StockLevel, position: dict[str, Any] | None = None) -> tuple[dict[str, str], Any]:
    """Versions by code, and the position at the end."""
    pages = list(found.changes("moved", position or {}))
    return {ref.key: ref.version for page in pages for ref in page.refs}, pages[-1].position


def test_feed_has_what_moved_in_the_version_of_its_document(levels: Levels, sandbox: Sandbox) -> None:
    company, found = sandbox.syspro, levels()
    people.receive(company, TEE, "MN", D(10), on=date(2026, 1, 15))
    people.receive(company, "KB-2040", "FG", D(10))
    people.scrap(company, TEE, "RT", D(1))
    first, position = read_feed(found)
    assert set(first) == {TEE, "KB-2040"}
    assert position == {"on": clock.now().date().isoformat()}
    assert {key: found.version(doc) for key, doc in found.read([TEE, "KB-2040"]).items()} == first

    people.scrap(company, TEE, "RT", D(1))
    before = finds(sandbox)
    second, _ = read_feed(found, dict(position))
    assert second["KB-2040"] == first["KB-2040"]
    assert second[TEE] != first[TEE]
    assert finds(sandbox) == before + 1


@pytest.mark.one_gateway
@pytest.mark.parametrize("per_page", [2, 3, 5])
def test_feed_in_pages_has_every_code_once_with_its_version(levels: Levels, sandbox: Sandbox, per_page: int) -> None:
    stock(sandbox, 7)
    for number in range(1, 8):
        for warehouse in ("FG", "MN", "RT")[: number % 3 + 1]:
            people.receive(sandbox.syspro, f"X{number:04}", warehouse, D(1))
    found = levels(stock_rows_per_page=per_page)
    pages = list(found.changes("moved", {}))
    codes = [f"X{number:04}" for number in range(1, 8)]
    assert [ref.key for page in pages for ref in page.refs] == codes
    assert read_feed(found)[0] == {key: found.version(doc) for key, doc in found.read(codes).items()}

    for number, page in enumerate(pages[:-1], start=1):  # a worker that ends in the middle continues there
        rest = [ref.key for later in pages[number:] for ref in later.refs]
        assert list(read_feed(found, dict(page.position))[0]) == rest


@pytest.mark.one_gateway
def test_feed_reads_the_last_days_again_and_no_more(levels: Levels, sandbox: Sandbox) -> None:
    company, found, today = sandbox.syspro, levels(stock_days_back=2), clock.now().date()
    people.receive(company, TEE, "MN", D(1), on=today - timedelta(days=2))
    people.receive(company, "KB-2040", "FG", D(1), on=today - timedelta(days=3))
    assert list(read_feed(found, {"on": today.isoformat()})[0]) == [TEE]
    assert [ref.key for page in found.changes("moved", {}, since=clock.now()) for ref in page.refs] == []


@pytest.mark.one_gateway
def test_date_in_a_wrong_year_does_not_stop_the_feed(levels: Levels, sandbox: Sandbox) -> None:
    company, found = sandbox.syspro, levels()
    company.table("InvWarehouse").update(place(company, TEE, "RT"), DateLastStockMove=date(2999, 1, 1))
    _, position = read_feed(found)
    people.receive(company, "KB-2040", "FG", D(1))

    assert set(read_feed(found, dict(position))[0]) == {TEE, "KB-2040"}


@pytest.mark.one_gateway
def test_unknown_feed(levels: Levels) -> None:
    with pytest.raises(LookupError):
        next(levels().changes("all", {}))


# -- the pages of a pass -----------------------------------------------------------------------------------------------


def test_pages_have_every_stocked_code_with_the_document_that_a_read_gives(levels: Levels, sandbox: Sandbox) -> None:
    stock(sandbox, 3)
    ordered(sandbox, 4, "500123")
    sandbox.syspro.table("InvMaster").insert(StockCode="NOWHERE")
    found = levels()
    (page,) = walked(found)
    codes = sorted({str(row["StockCode"]) for row in sandbox.syspro.table("InvWarehouse").rows()})

    assert [ref.key for ref in page.refs] == list(page.docs) == codes
    assert dict(page.docs) == found.read(codes)
    assert {ref.key: ref.version for ref in page.refs} == {key: fingerprint(doc) for key, doc in page.docs.items()}


@pytest.mark.one_gateway
@pytest.mark.parametrize("per_page", [2, 3, 4, 7])
def test_a_page_never_cuts_a_code(levels: Levels, sandbox: Sandbox, per_page: int) -> None:
    """Pages of 2 are smaller than a code of 3 rows; each code has an order, so that allocations come in pages as well."""
    stock(sandbox, 6)
    for number in (1, 2, 2, 2, 4, 6):
        ordered(sandbox, 1, f"PO{number}", code=f"X{number:04}")
    found = levels(stock_rows_per_page=per_page)
    pages = walked(found)
    whole = walked(levels())[0]

    assert [ref for page in pages for ref in page.refs] == list(whole.refs)
    assert {key: doc for page in pages for key, doc in page.docs.items()} == dict(whole.docs)
    rest = [ref for later in pages[2:] for ref in later.refs]  # a worker that ends in the middle continues there
    assert [ref for later in walked(found, dict(pages[1].position)) for ref in later.refs] == rest


@pytest.mark.one_gateway
@pytest.mark.parametrize(("per_page", "most_rows"), [(101, 0), (500, 100)])
def test_calls_of_a_pass(levels: Levels, sandbox: Sandbox, per_page: int, most_rows: int) -> None:
    """One find on SorDetail; a page of 100 or 101 rows leaves the rows of its last code to the next. A site that gives fewer
    rows than it is asked for is read to its end as well."""
    company = sandbox.syspro
    for row in company.table("InvWarehouse").rows():
        company.table("InvWarehouse").delete(row)
    stock(sandbox, 200)
    sandbox.switches.turn({"syspro_find_most_rows": most_rows})
    pages = walked(levels(stock_rows_per_page=per_page))

    assert [len(page.docs) for page in pages] == [33] * 6 + [2]
    assert finds(sandbox) == 1 + 7

    for number in range(10, 200, 10):
        ordered(sandbox, 1, code=f"X{number:04}")
    assert sum(len(page.docs) for page in walked(levels(stock_rows_per_page=per_page, get_limit_bytes=20_000))) == 200
    assert finds(sandbox) == (1 + 7) + (1 + 7 + 1)  # one find names the orders of all pages


@pytest.mark.one_gateway
def test_pass_finds_what_no_date_tells(levels: Levels, sandbox: Sandbox) -> None:
    """A back-dated entry, and an allocation: the feed shows neither."""
    company, found, today = sandbox.syspro, levels(), clock.now().date()
    people.receive(company, TEE, "MN", D(1))
    versions, position = read_feed(found)
    before = {ref.key: ref.version for ref in walked(found)[0].refs}
    people.receive(company, TEE, "RT", D(1), on=today - timedelta(days=30))
    ordered(sandbox, 5)

    assert read_feed(found, dict(position))[0] == versions
    after = {ref.key: ref.version for ref in walked(found)[0].refs}
    assert {key for key, version in after.items() if version != before[key]} == {TEE, "KB-2040"}


@pytest.mark.one_gateway
@pytest.mark.parametrize("fresh_s", [600.0, 0.0])
def test_allocations_of_a_pass_are_read_again_when_they_are_old(
    levels: Levels, sandbox: Sandbox, fresh_s: float
) -> None:
    stock(sandbox, 9)
    found = levels(stock_rows_per_page=10, stock_allocations_fresh_s=fresh_s)
    call, tables = found._gateway.call, []

    def noted(asked: BusinessCall) -> Doc:
        tables.append(asked.content["TableName"])
        return call(asked)

    found._gateway.call = noted  # type: ignore[method-assign]
    pages = len(walked(found))
    assert pages > 2
    assert tables.count("SorDetail") == (1 if fresh_s else pages)
    assert tables[0] == "SorDetail"

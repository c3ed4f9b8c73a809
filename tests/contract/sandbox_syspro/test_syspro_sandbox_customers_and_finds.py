"""ARSSCS, ARSQRY, COMFND, COMFCH, SORQSO, INVQRY (syspro-objects.md sections 3, 4 and 10)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from syncengine.sandbox import Running

from .conftest import EnetClient, errors, head, parsed, stock_line

Control = Callable[..., requests.Response]
NEEDED = "<Name>Alder</Name><Salesperson>W1</Salesperson><Branch>10</Branch><TermsCode>30</TermsCode>"
APPLY_ALL = "<P><Parameters><ApplyIfEntireDocumentValid>Y</ApplyIfEntireDocumentValid></Parameters></P>"


def item(code: str, more: str = NEEDED) -> str:
    """One customer."""
    return f"<Item><Key><Customer>{code}</Customer></Key>{more}</Item>"


def setup(client: EnetClient, method: str, *items: str, params: str = "") -> str:
    """Setup/Add, Update or Delete."""
    return client.call(f"Setup/{method}", "ARSSCS", params, f"<SetupArCustomer>{''.join(items)}</SetupArCustomer>")


def condition(column: str, sign: str, text: str, join: str = "", opening: str = "", closing: str = "") -> str:
    """One Expression of a Where."""
    return (
        f"<Expression><AndOr>{join}</AndOr><OpenBracket>{opening}</OpenBracket><Column>{column}</Column>"
        f"<Condition>{sign}</Condition><Value>{text}</Value><CloseBracket>{closing}</CloseBracket></Expression>"
    )


# -- customers ---------------------------------------------------------------------------------------------------------


def test_alphanumeric_customer_is_added_as_typed(enet: EnetClient) -> None:
    reply = parsed(setup(enet, "Add", item("BP310")))

    assert reply.tag == "setuparcustomer"
    assert reply.findtext("item/key/customer") == "BP310"
    assert (reply.findtext("StatusOfItems/RecordsRead"), reply.findtext("StatusOfItems/RecordsInvalid")) == ("1", "0")
    assert enet.find("ArCustomer", "Name Currency", condition("Customer", "EQ", "BP310")) == [
        {"Name": "Alder", "Currency": "GBP"}
    ]


def test_second_add_of_a_key_is_a_duplicate(enet: EnetClient) -> None:
    setup(enet, "Add", item("BP310"))
    reply = parsed(setup(enet, "Add", item("BP310")))

    assert errors(reply) == [("120001", "Duplicate key 'BP310' on 'Customer'")]
    assert reply.findtext("item/customer/Value") == "BP310"
    assert reply.findtext("StatusOfItems/RecordsInvalid") == "1"


@pytest.mark.parametrize(
    ("more", "field", "number", "text"),
    [
        (NEEDED.replace("Alder", ""), "name", "100030", "XML element '{Item}{Name}' cannot be spaces"),
        (NEEDED.replace(">W1<", ">ZZ<"), "salesperson", "", "Salesperson 'ZZ' not found"),
        (NEEDED.replace(">10<", ">99<"), "branch", "", "Branch '99' not found"),
        (NEEDED.replace(">30<", ">99<"), "termscode", "", "Terms code '99' not found"),
        (NEEDED + "<Currency>JPY</Currency>", "currency", "", "Currency 'JPY' not found"),
        (
            NEEDED + "<CreditLimit>12.50</CreditLimit>",
            "creditlimit",
            "100031",
            "XML element 'CreditLimit' must be numeric",
        ),
        (
            NEEDED + "<BalanceType>X</BalanceType>",
            "balancetype",
            "",
            "Value 'X' is invalid for XML element 'BalanceType'",
        ),
        (
            NEEDED + f"<SoldToAddr1>{'x' * 41}</SoldToAddr1>",
            "soldtoaddr1",
            "",
            "XML element 'SoldToAddr1' exceeds 40 characters",
        ),
    ],
)
def test_refused_customers(enet: EnetClient, more: str, field: str, number: str, text: str) -> None:
    reply = parsed(setup(enet, "Add", item("BP310", more)))

    assert errors(reply) == [(number, text)]
    assert reply.find(f"item/{field}") is not None
    assert enet.find("ArCustomer", "Customer", condition("Customer", "EQ", "BP310")) == []


def test_update_leaves_omitted_fields_alone_and_empty_ones_clear(enet: EnetClient) -> None:
    setup(enet, "Add", item("BP310", NEEDED + "<Telephone>123</Telephone><Contact>Ann</Contact>"))
    setup(enet, "Update", item("BP310", "<Name>Finch</Name><Contact/>"))

    row = enet.find("ArCustomer", "Name Telephone Contact", condition("Customer", "EQ", "BP310"))
    assert row == [{"Name": "Finch", "Telephone": "123", "Contact": ""}]


def test_empty_element_in_an_update_may_mean_nothing(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_empty_clears=False).url)
    client.log_on()
    setup(client, "Add", item("BP310", NEEDED + "<Contact>Ann</Contact>"))
    setup(client, "Update", item("BP310", "<Contact/>"))

    assert client.find("ArCustomer", "Contact", condition("Customer", "EQ", "BP310")) == [{"Contact": "Ann"}]


def test_update_and_delete_of_an_unknown_customer_are_refused(enet: EnetClient) -> None:
    for method in ("Update", "Delete"):
        assert errors(parsed(setup(enet, method, item("BP310")))) == [("", "Customer 'BP310' not found")]


def test_currency_is_fixed_by_the_first_order(enet: EnetClient) -> None:
    setup(enet, "Add", item("BP310"))
    assert errors(parsed(setup(enet, "Update", item("BP310", "<Currency>EUR</Currency>")))) == []
    enet.import_order(head(customer="BP310"), stock_line())

    reply = parsed(setup(enet, "Update", item("BP310", "<Currency>GBP</Currency>")))
    assert errors(reply) == [("", "Currency cannot be changed for customer 'BP310'")]


def test_customer_with_orders_is_not_deleted(enet: EnetClient) -> None:
    setup(enet, "Add", item("BP310"))
    enet.import_order(head(customer="BP310"), stock_line())

    assert errors(parsed(setup(enet, "Delete", item("BP310")))) == [("", "Customer 'BP310' has sales orders")]


def test_good_items_stay_unless_all_must_be_valid(enet: EnetClient) -> None:
    def found() -> list[str]:
        return [row["Customer"] for row in enet.find("ArCustomer", "Customer", condition("Customer", "LIKE", "BP*"))]

    setup(enet, "Add", item("BP1"), item("BP2", ""), params=APPLY_ALL)
    assert found() == []
    setup(enet, "Add", item("BP1"), item("BP2", ""))
    assert found() == ["BP1"]


def test_numeric_keys_are_padded_and_letters_refused(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_numeric_customers=True).url)
    client.log_on()

    assert parsed(setup(client, "Add", item("310"))).findtext("item/key/customer") == "000000000000310"
    assert errors(parsed(setup(client, "Add", item("BP310")))) == [("", "Customer 'BP310' not numeric")]
    client.import_order(head(customer="310"), stock_line())
    assert client.find("SorMaster", "Customer") == [{"Customer": "000000000000310"}]


def test_blank_key_is_numbered_where_the_company_does_so(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_automatic_customers=True).url)
    client.log_on()

    assert parsed(setup(client, "Add", item(""))).findtext("item/key/customer") == "1"


def test_statement_shows_outstanding_orders_and_invoices(enet: EnetClient, control: Control) -> None:
    enet.import_order(head("1"), stock_line(qty="2"))
    enet.import_order(head("2"), stock_line())
    query = "<Query><Key><Customer>WEB001</Customer></Key></Query>"

    assert (parsed(enet.query("ARSQRY", query)).findtext("Header/OutstOrdVal") or "").strip() == "24.00"
    control("POST", "orders/1001/status", status="8")
    control("POST", "warehouse/advance", order="1001")
    statement = parsed(enet.query("ARSQRY", query))
    assert (statement.findtext("Header/OutstOrdVal") or "").strip() == "8.00"
    assert statement.findtext("InvoiceDetail/CurrencyValue") == "         19.20"  # with 20 % of tax
    assert enet.query("ARSQRY", query.replace("WEB001", "NOBODY")) == "ERROR: Customer 'NOBODY' not found"


# -- finds -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def orders(enet: EnetClient) -> EnetClient:
    """Five orders 1001 to 1005, PO numbers P1 to P5, the quantities 1 to 5."""
    for number in range(1, 6):
        enet.import_order(head(f"P{number}"), stock_line(qty=str(number)))
    return enet


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (condition("CustomerPoNumber", "EQ", "P2"), "2"),
        (condition("CustomerPoNumber", "NE", "P2"), "1345"),
        (condition("CustomerPoNumber", "GT", "P2"), "345"),
        (condition("CustomerPoNumber", "GE", "P2"), "2345"),
        (condition("CustomerPoNumber", "LT", "P2"), "1"),
        (condition("CustomerPoNumber", "LE", "P2"), "12"),
        (condition("CustomerPoNumber", "LIKE", "P?"), "12345"),
        (condition("CustomerPoNumber", "LIKE", "*3"), "3"),
        (condition("CustomerPoNumber", "EQ", "p2"), ""),
        (condition("SalesOrder", "EQ", "000000000001003"), "3"),
        (condition("SalesOrder", "EQ", "001003"), ""),  # not in its stored form
        (condition("CustomerPoNumber", "EQ", "P1") + condition("CustomerPoNumber", "EQ", "P4", "Or"), "14"),
        (condition("CustomerPoNumber", "EQ", "P1") + condition("Customer", "EQ", "WEB001", "And"), "1"),
        (condition("CustomerPoNumber", "EQ", "P1") + condition("Customer", "EQ", "OTHER", "And"), ""),
        (
            # (A or B) and C differs from A or (B and C)
            condition("CustomerPoNumber", "EQ", "P1", "", "(")
            + condition("CustomerPoNumber", "EQ", "P2", "Or", "", ")")
            + condition("Customer", "EQ", "OTHER", "And"),
            "",
        ),
        (
            condition("CustomerPoNumber", "EQ", "P1")
            + condition("CustomerPoNumber", "EQ", "P2", "Or", "(")
            + condition("Customer", "EQ", "OTHER", "And", "", ")"),
            "1",
        ),
        (condition("LastInvoice", "EQ", ""), "12345"),
        (condition("OrderDate", "GT", "2020-01-01"), "12345"),
        (condition("DateLastInvPrt", "GT", "2020-01-01"), ""),  # a null date is not after anything
    ],
)
def test_conditions(orders: EnetClient, where: str, expected: str) -> None:
    rows = orders.find("SorMaster", "CustomerPoNumber", where, "<OrderBy><Column>SalesOrder</Column></OrderBy>")

    assert "".join(row["CustomerPoNumber"][1:] for row in rows) == expected


def test_numbers_are_compared_as_numbers(orders: EnetClient) -> None:
    rows = orders.find("SorDetail", "MOrderQty", condition("MOrderQty", "GE", "4"))

    assert [row["MOrderQty"] for row in rows] == ["4.000000", "5.000000"]


def test_columns_are_compared_with_columns(orders: EnetClient) -> None:
    expression = (
        "<Expression><Column>MOrderQty</Column><Condition>GT</Condition><ColumnName>MShipQty</ColumnName></Expression>"
    )
    assert orders.find("SorDetail", "MOrderQty", expression) == []


def test_return_rows_limits_and_order_by_sorts(orders: EnetClient) -> None:
    ordering = "<OrderBy><Column>CustomerPoNumber</Column></OrderBy>"

    assert len(orders.find("SorMaster", "SalesOrder", "", f"<ReturnRows>2</ReturnRows>{ordering}")) == 2
    assert len(orders.find("SorMaster", "SalesOrder", "", f"<ReturnRows>0</ReturnRows>{ordering}")) == 5
    descending = '<Sequence><Column Name="CustomerPoNumber" Orderby="D"/></Sequence>'
    rows = orders.find("SorMaster", "CustomerPoNumber", "", descending)
    assert [row["CustomerPoNumber"] for row in rows] == ["P5", "P4", "P3", "P2", "P1"]


@pytest.mark.parametrize(
    "query",
    [
        "<Query><TableName>sormaster</TableName><Columns><Column>SalesOrder</Column></Columns></Query>",
        "<Query><TableName>SorMaster</TableName><Columns><Column>salesorder</Column></Columns></Query>",
        "<Query><TableName>SorMaster</TableName><Columns><Column>TimeStamp</Column></Columns></Query>",
        "<Query><TableName>SorMaster</TableName></Query>",
        "<Query><TableName>SorMaster</TableName><Columns><Column>SalesOrder</Column></Columns>"
        f"<Where>{condition('Customer', 'IN (SELECT 1)', 'x')}</Where></Query>",
        "<Query><TableName>SorMaster</TableName><Columns><Column>SalesOrder</Column></Columns>"
        f"<Where>{condition('Customer', 'EQ', 'x', '', '(')}</Where></Query>",
        "<Query><TableName>SorDetail</TableName><Columns><Column>MCompleteFlag</Column></Columns></Query>",
        "<Query><TableName>SorDetail</TableName><Columns><Column>SalesOrder</Column></Columns>"
        f"<Where>{condition('LineCancelCode', 'EQ', 'x')}</Where></Query>",
        "<Query><TableName>SorMaster</TableName><Columns><Column>TaxStatus</Column></Columns></Query>",
        "<Query><TableName>SorMaster</TableName><Columns><Column>SalesOrder</Column></Columns>"
        "<OrderBy><Column>ReasonCode</Column></OrderBy></Query>",
    ],
    ids=[
        "table's case",
        "column's case",
        "rowversion",
        "no column",
        "SQL",
        "brackets",
        "MCompleteFlag",
        "LineCancelCode",
        "TaxStatus",
        "ReasonCode",
    ],
)
def test_refused_finds(enet: EnetClient, query: str) -> None:
    assert enet.query("COMFND", query).startswith("ERROR: ")


def test_lines_of_several_orders_are_found_by_one_find(orders: EnetClient) -> None:
    either = condition("SalesOrder", "EQ", "000000000001002") + condition("SalesOrder", "EQ", "000000000001003", "Or")
    columns = "SalesOrder SalesOrderLine LineType MStockCode MOrderQty MPrice MLineShipDate NComment"
    rows = orders.find("SorDetail", columns, either, "<OrderBy><Column>SalesOrder</Column></OrderBy>")

    assert [(row["SalesOrder"], row["SalesOrderLine"], row["LineType"]) for row in rows] == [
        ("000000000001002", "1", "1"),
        ("000000000001003", "1", "1"),
    ]
    assert (rows[0]["MStockCode"], rows[0]["MPrice"]) == ("KB-2040", "8.00000")
    assert orders.find("SorDetail", "SalesOrder", condition("SalesOrder", "EQ", "001002")) == []  # not the stored form


def test_a_site_may_cut_long_replies(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_find_most_rows=2).url)
    client.log_on()
    for number in range(3):
        client.import_order(head(f"P{number}"), stock_line())

    assert len(client.find("SorDetail", "SalesOrder")) == 2
    assert len(client.find("SorDetail", "SalesOrder", "", "<ReturnRows>1</ReturnRows>")) == 1


def test_rowversion_rises_with_every_write_where_it_is_known(
    make_sandbox: Callable[..., Running], control: Control
) -> None:
    client = EnetClient(make_sandbox(syspro_find_timestamp=True).url)
    client.log_on()
    client.import_order(head(), stock_line())
    before = client.find("SorMaster", "TimeStamp")[0]["TimeStamp"]
    control("POST", "orders/1001/status", status="4")

    assert len(client.find("SorMaster", "SalesOrder", condition("TimeStamp", "GT", before))) == 1


def test_fetch_gives_one_whole_row_with_null_dates_as_zeros(orders: EnetClient) -> None:
    fetch = "<Fetch><TableName>SorMaster</TableName><Key>000000000001002</Key></Fetch>"
    row = parsed(orders.call("Query/Fetch", data=fetch))

    assert row.tag == "SorMaster"
    assert (row.findtext("CustomerPoNumber"), row.findtext("DateLastInvPrt")) == ("P2", "0000-00-00")
    line = "<Fetch><TableName>SorDetail</TableName><Key>000000000001002</Key><OptionalKey1>1</OptionalKey1></Fetch>"
    assert parsed(orders.call("Query/Fetch", data=line)).findtext("MStockCode") == "KB-2040"
    assert orders.call("Query/Fetch", data=fetch.replace("1002", "9999")).startswith("ERROR: ")


def test_order_list_filters_and_options(orders: EnetClient, control: Control) -> None:
    control("POST", "orders/1001/cancel")
    control("POST", "orders/1002/status", status="9")

    def listed(filters: str, **options: str) -> str:
        given = "".join(f"<{name}>{value}</{name}>" for name, value in options.items())
        query = f"<Query><Option>{given}</Option><Filter>{filters}</Filter></Query>"
        found = parsed(orders.query("SORQSO", query)).iter("SalesOrderItem")
        return "".join((order.findtext("CustomerPoNumber") or "")[1:] for order in found)

    assert listed("") == "345"
    assert listed("", IncludeCompletedOrders="Y", IncludeCancelledOrders="Y") == "12345"
    assert listed('<SalesOrder FilterType="R" FilterValue="1003,1004"/>') == "34"
    assert listed('<CustomerPo FilterType="L" FilterValue="P3,P5"/>') == "35"
    assert listed('<Customer FilterType="S" FilterValue="OTHER"/>') == ""
    assert listed('<OrderStatus FilterType="S" FilterValue="1"/>', StartAtOrder="1004", ReturnOrders="1") == "4"


def test_line_options_leave_out_types_of_lines(enet: EnetClient) -> None:
    enet.import_order(head(), stock_line() + "<FreightLine><FreightValue>1.00</FreightValue></FreightLine>")
    options = "<IncludeStockedLines>N</IncludeStockedLines><IncludeFreightLines>Y</IncludeFreightLines>"
    query = f"<Query><Key><SalesOrder>1001</SalesOrder></Key><Option>{options}</Option></Query>"

    lines = [line[0].tag for line in parsed(enet.query("SORQRY", query)).iter("SalesOrderLine") if len(line)]
    assert lines == ["Freight"]


def test_stock_query_shows_allocations_and_filters_warehouses(enet: EnetClient) -> None:
    enet.import_order(head(), stock_line(qty="3"))
    query = "<Query><Key><StockCode>KB-2040</StockCode></Key>{}</Query>"

    row = parsed(enet.query("INVQRY", query.format(""))).find("WarehouseItem")
    assert row is not None
    assert [(row.findtext(name) or "").strip() for name in ("QtyOnHand", "AvailableQty", "QtyAllocated")] == [
        "100.000000",
        "97.000000",
        "3.000000",
    ]
    filtered = query.format('<Filter><Warehouse FilterType="L" FilterValue="MN"/></Filter>')
    assert parsed(enet.query("INVQRY", filtered)).find("WarehouseItem") is None
    assert enet.query("INVQRY", query.format("").replace("KB-2040", "NO")) == "ERROR: Stock code 'NO' not found"


def test_numbers_may_come_plain(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_padded_numbers=False).url)
    client.log_on()
    reply = client.import_order(head(), stock_line())

    assert reply.findtext("StatusOfItems/ItemsProcessed") == "1"
    assert client.read_order("1001").findtext(".//MOrderQty") == "1.000000"


def test_system_information_replaces_root_attributes_where_the_logon_asked(running: Running) -> None:
    client = EnetClient(running.url)
    wish = "<Logon><SystemInformationReqd>Y</SystemInformationReqd></Logon>"
    client.log_on(f"Operator=BPSYNC&OperatorPassword=s3cret%21&CompanyId=T&CompanyPassword=&XmlIn={wish}")
    client.import_order(head(), stock_line())

    read = client.read_order("1001")
    assert read.attrib == {}
    assert read.findtext("SystemInformation/CompanyId") == "T"
    assert read.findtext("SALSLS_Name") == "Web shop"

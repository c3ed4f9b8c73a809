"""Which tax code SYSPRO books, under each option of a site. Figures of amounts: test_syspro_sandbox_invoices.py.

KB-2040 has the tax code A and the other tax code T0; a code that is entered here is Z.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element

import pytest
import requests

from syncengine.sandbox import Running

from .conftest import EnetClient, errors, head, parsed, stock_line

Control = Callable[..., requests.Response]
ENTERED = "<StockTaxCode>Z</StockTaxCode>"
REFUSED = ("", "Tax code cannot be overridden for stock code 'KB-2040'")


def site(make_sandbox: Callable[..., Running], **switches: object) -> EnetClient:
    """A client of a site with these options."""
    client = EnetClient(make_sandbox(**switches).url)
    client.log_on()
    return client


def codes(client: EnetClient, number: str = "1001") -> list[str]:
    """The tax codes of an order's lines, as SORQRY shows them."""
    lines = [line[0] for line in client.read_order(number).iter("SalesOrderLine") if len(line)]
    return [line.findtext("MTaxCode") or line.findtext("NMscTaxCode") or "" for line in lines]


def changed_line(more: str, kind: str = "StockLine") -> str:
    """Line 1, changed."""
    return f"<{kind}><CustomerPoLine>0001</CustomerPoLine><LineActionType>C</LineActionType>{more}</{kind}>"


def amend(client: EnetClient, lines: str, more: str = "") -> Element:
    """Change order 1001."""
    return client.import_order(head("500123", f"<SalesOrder>1001</SalesOrder>{more}", action="C"), lines)


def misc(more: str = "") -> str:
    return (
        "<MiscChargeLine><CustomerPoLine>0001</CustomerPoLine><LineActionType>A</LineActionType>"
        "<MiscChargeValue>3.50</MiscChargeValue><MiscProductClass>WEB</MiscProductClass>"
        f"{more}<MiscDescription>Gift wrap</MiscDescription></MiscChargeLine>"
    )


def freight(more: str = "") -> str:
    return (
        "<FreightLine><CustomerPoLine>0001</CustomerPoLine><LineActionType>A</LineActionType>"
        f"<FreightValue>5.00</FreightValue>{more}</FreightLine>"
    )


# -- StockTaxCode, by the site's override option -----------------------------------------------------------------------


def test_known_live_site_ignores_the_code_and_books_the_items_own(enet: EnetClient, control: Control) -> None:
    reply = enet.import_order(head(), stock_line(more=ENTERED))

    assert errors(reply) == []
    assert codes(enet) == ["A"]
    assert control("GET", "SorDetail/1001/1").json()["_StockTaxCode"] == "Z"


def test_ignored_code_need_not_exist(enet: EnetClient) -> None:
    assert errors(enet.import_order(head(), stock_line(more="<StockTaxCode>NO</StockTaxCode>"))) == []


def test_site_that_allows_it_books_the_code(make_sandbox: Callable[..., Running]) -> None:
    client = site(make_sandbox, syspro_tax_override="accepted")
    client.import_order(head(), stock_line(more=ENTERED))

    assert codes(client) == ["Z"]


def test_code_that_is_taken_must_exist(make_sandbox: Callable[..., Running]) -> None:
    client = site(make_sandbox, syspro_tax_override="accepted")

    refused = client.import_order(head(), stock_line(more="<StockTaxCode>NO</StockTaxCode>"))
    assert errors(refused) == [("", "Tax code 'NO' not found")]


@pytest.mark.parametrize("code", ["Z", "A"])
def test_rejecting_site_refuses_any_entry_also_the_items_own_code(
    make_sandbox: Callable[..., Running], code: str
) -> None:
    client = site(make_sandbox, syspro_tax_override="rejected")

    assert errors(client.import_order(head(), stock_line(more=f"<StockTaxCode>{code}</StockTaxCode>"))) == [REFUSED]
    assert errors(client.import_order(head(), stock_line())) == []


@pytest.mark.parametrize(("rule", "code"), [("accepted", ""), ("ignored", "A")])
def test_line_without_tax(make_sandbox: Callable[..., Running], control: Control, rule: str, code: str) -> None:
    client = site(make_sandbox, syspro_tax_override=rule)
    client.import_order(head(), stock_line(more="<StockNotTaxable>Y</StockNotTaxable>"))

    assert codes(client) == [code]
    assert control("GET", "tax/orders").json()[0]["tax"] == ("1.60" if code else "0.00")


def test_rejecting_site_refuses_a_line_without_tax(make_sandbox: Callable[..., Running]) -> None:
    client = site(make_sandbox, syspro_tax_override="rejected")

    assert errors(client.import_order(head(), stock_line(more="<StockNotTaxable>Y</StockNotTaxable>"))) == [REFUSED]


# -- changes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "booked", "problems"), [("ignored", "A", []), ("accepted", "Z", []), ("rejected", "A", [REFUSED])]
)
def test_changed_line_follows_the_same_option(
    make_sandbox: Callable[..., Running], rule: str, booked: str, problems: list[tuple[str, str]]
) -> None:
    client = site(make_sandbox, syspro_tax_override=rule)
    client.import_order(head(), stock_line())

    assert errors(amend(client, changed_line(ENTERED))) == problems
    assert codes(client) == [booked]


@pytest.mark.parametrize("rule", ["accepted", "rejected"])
def test_site_that_does_not_see_the_code_of_a_changed_line(make_sandbox: Callable[..., Running], rule: str) -> None:
    client = site(make_sandbox, syspro_tax_override=rule, syspro_tax_override_on_change="unseen")
    client.import_order(head(), stock_line())

    assert errors(amend(client, changed_line(ENTERED))) == []
    assert codes(client) == ["A"]


def test_line_added_to_an_order_gets_its_own_code(enet: EnetClient) -> None:
    enet.import_order(head(), stock_line())
    amend(enet, stock_line("KB-1001", more=ENTERED))

    assert codes(enet) == ["A", "A"]


# -- other kinds of lines: outside the option --------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["ignored", "accepted", "rejected"])
def test_charges_and_freight_may_name_their_code_everywhere(make_sandbox: Callable[..., Running], rule: str) -> None:
    client = site(make_sandbox, syspro_tax_override=rule)
    lines = misc("<MiscTaxCode>Z</MiscTaxCode>") + freight("<FreightTaxCode>T5</FreightTaxCode>")

    assert errors(client.import_order(head(), lines)) == []
    assert codes(client) == ["Z", "T5"]


def test_charges_and_freight_without_a_code_get_the_sites_default(make_sandbox: Callable[..., Running]) -> None:
    client = site(make_sandbox, syspro_tax_default_misc="T5", syspro_tax_default_freight="T0")
    client.import_order(head(), misc() + freight())

    assert codes(client) == ["T5", "T0"]


def test_charge_without_tax(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), misc("<MiscNotTaxable>Y</MiscNotTaxable>"))

    assert codes(enet) == [""]
    assert control("GET", "tax/orders").json()[0]["codes"][0]["status"] == "-"


def test_code_of_a_charge_must_exist_and_can_be_changed(enet: EnetClient) -> None:
    assert errors(enet.import_order(head(), misc("<MiscTaxCode>NO</MiscTaxCode>"))) == [("", "Tax code 'NO' not found")]
    enet.import_order(head(), misc())
    amend(enet, changed_line("<MiscProductClass>WEB</MiscProductClass><MiscTaxCode>Z</MiscTaxCode>", "MiscChargeLine"))

    assert codes(enet) == ["Z"]


@pytest.mark.parametrize(("given", "booked"), [("<StockTaxCode>Z</StockTaxCode>", "Z"), ("", "T20")])
def test_non_stocked_line_has_its_own_code_or_the_sites_default(enet: EnetClient, given: str, booked: str) -> None:
    line = stock_line("SPECIAL", more=f"<NonStockedLine>Y</NonStockedLine><NsProductClass>WEB</NsProductClass>{given}")

    assert errors(enet.import_order(head(), line, AllowNonStockItems="S")) == []
    assert codes(enet) == [booked]


# -- tax status of order and customer ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code", "tax"), [("N", "A", "1.60"), ("E", "A", "0.00"), ("O", "T0", "0.00")])
def test_status_of_the_customer_decides(enet: EnetClient, control: Control, status: str, code: str, tax: str) -> None:
    control("POST", "customers/WEB001", TaxStatus=status)
    enet.import_order(head(), stock_line())

    read = enet.read_order("1001")
    assert (read.findtext("TaxStatusCode"), codes(enet)) == (status, [code])
    assert control("GET", "tax/orders").json()[0]["tax"] == tax


def test_orders_own_status_goes_before_the_customers(enet: EnetClient) -> None:
    enet.import_order(head(more="<TaxExemptionStatus>O</TaxExemptionStatus>"), stock_line())

    assert codes(enet) == ["T0"]


def test_exempt_and_zero_rated_are_different_on_the_return(enet: EnetClient, control: Control) -> None:
    enet.import_order(head("1", "<TaxExemptionStatus>E</TaxExemptionStatus>"), stock_line())
    enet.import_order(head("2", "<TaxExemptionStatus>O</TaxExemptionStatus>"), stock_line())
    exempt, zero_rated = (order["codes"][0] for order in control("GET", "tax/orders").json())

    assert (exempt["code"], exempt["status"], exempt["tax"]) == ("A", "E", "0.00")
    assert (zero_rated["code"], zero_rated["status"], zero_rated["tax"]) == ("T0", "O", "0.00")


def test_exempt_order_has_no_tax_whatever_code_is_entered(
    make_sandbox: Callable[..., Running], control: Control
) -> None:
    client = site(make_sandbox, syspro_tax_override="accepted")
    client.import_order(
        head(more="<TaxExemptionStatus>E</TaxExemptionStatus>"), stock_line(more="<StockTaxCode>T20</StockTaxCode>")
    )

    assert codes(client) == ["T20"]
    assert control("GET", "tax/orders").json()[0]["tax"] == "0.00"


def test_new_status_of_an_order_changes_the_codes_that_nobody_entered(make_sandbox: Callable[..., Running]) -> None:
    client = site(make_sandbox, syspro_tax_override="accepted")
    client.import_order(head(), stock_line() + stock_line("KB-1001", more=ENTERED))
    amend(client, "", "<TaxExemptionStatus>O</TaxExemptionStatus>")

    assert codes(client) == ["T0", "Z"]


# -- tax systems -------------------------------------------------------------------------------------------------------


def test_tax_by_area_books_the_areas_code_on_stocked_lines(
    make_sandbox: Callable[..., Running], control: Control
) -> None:
    client = site(make_sandbox, syspro_tax_system="Y")
    client.import_order(head("1"), stock_line() + misc("<MiscTaxCode>Z</MiscTaxCode>"))
    client.import_order(head("2", "<Area>N</Area>"), stock_line(qty="100"))

    assert (codes(client, "1001"), codes(client, "1002")) == (["ARS", "Z"], ["ARN"])
    assert control("GET", "tax/orders").json()[1]["tax"] == "66.00"  # 800.00 at 8.25 %


@pytest.mark.parametrize("system", ["G", "A"])
def test_tax_by_address_has_no_code_and_a_rate_of_the_place(
    make_sandbox: Callable[..., Running], control: Control, system: str
) -> None:
    client = site(make_sandbox, syspro_tax_system=system)
    for po, postal_code in (("1", "62701"), ("2", "97205")):
        address = f"<ShipAddress1>Main Street</ShipAddress1><ShipPostalCode>{postal_code}</ShipPostalCode>"
        client.import_order(head(po, address), stock_line(qty="10"))

    orders = control("GET", "tax/orders").json()
    assert codes(client) == [""]
    assert len({order["tax"] for order in orders}) == 2
    assert all(float(order["tax"]) > 0 for order in orders)


# -- what can be read of a site's options ------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "allows"), [("accepted", "Y"), ("ignored", "N"), ("rejected", "N")])
def test_setup_query_tells_whether_codes_may_be_changed_but_not_what_becomes_of_them(
    make_sandbox: Callable[..., Running], rule: str, allows: str
) -> None:
    client = site(make_sandbox, syspro_tax_override=rule)
    reply = parsed(client.query("IMPQSO", "<Query><Option/></Query>"))

    assert reply.tag == "SalesOrderOptions"
    assert reply.findtext("TaxUm/AllowTaxChg") == allows
    assert reply.findtext("General1/AllowNegQtys") in ("Y", "N")
    assert reply.findtext("Company/CompanyId") == "T"


def test_tax_options(make_sandbox: Callable[..., Running]) -> None:
    client = site(make_sandbox, syspro_tax_system="G", syspro_tax_calculation="L", syspro_tax_default_freight="T0")
    reply = parsed(client.query("IMPQTX", "<Query><Option/></Query>"))

    assert [child.tag for child in reply] == ["General", "Options", "WithholdingTax", "USA3rdParty"]
    assert [reply.findtext(f"General/{name}") for name in ("TaxSystem", "SalesTaxCalc", "EcVatReq")] == ["G", "L", "Y"]
    assert [reply.findtext(f"Options/{name}") for name in ("DefTaxMisc", "DefTaxFrt", "DefTaxNon")] == [
        "T20",
        "T0",
        "T20",
    ]


def test_unlicensed_setup_query_fails_as_others_do(make_sandbox: Callable[..., Running]) -> None:
    client = site(make_sandbox, syspro_unlicensed="IMPQSO")

    assert client.query("IMPQSO", "<Query><Option/></Query>").startswith("ERROR: e.net exception 100000")


def line_query(client: EnetClient, more: str = "", stock_code: str = "KB-2040") -> str:
    """SORRSL with tax information."""
    parameters = f"<StockCode>{stock_code}</StockCode><Customer>WEB001</Customer>{more}"
    document = f"<Build><Parameters>{parameters}<ReturnTaxInformation>Y</ReturnTaxInformation></Parameters></Build>"
    return client.call("Transaction/Build", "SORRSL", data=document)


@pytest.mark.parametrize(
    ("status", "taxable", "code", "percent", "tax"),
    [("", "Y", "A", "20.00", "4.80"), ("O", "Y", "T0", "0.00", "0.00"), ("E", "N", "A", "0.00", "0.00")],
)
def test_line_query_gives_code_rate_and_tax(
    enet: EnetClient, status: str, taxable: str, code: str, percent: str, tax: str
) -> None:
    given = f"<ExemptStatus>{status}</ExemptStatus><OrderQuantity>3</OrderQuantity>"
    reply = parsed(line_query(enet, given))

    found = [
        (reply.findtext(name) or "").strip() for name in ("Taxable", "TaxCode", "TaxPercentage", "CurrentTaxValue")
    ]
    assert (reply.tag, found) == ("SoLine", [taxable, code, percent, tax])
    assert (reply.findtext("CurrentLineValue") or "").strip() == "24.00"


def test_line_query_knows_the_rate_of_a_date(enet: EnetClient, control: Control) -> None:
    control("POST", "tax/rates", **{"code": "A", "percent": "17.5", "from": "2026-01-01"})
    rates = [
        (parsed(line_query(enet, f"<OrderDate>{day}</OrderDate>")).findtext("TaxPercentage") or "").strip()
        for day in ("2025-12-31", "2026-01-01")
    ]

    assert rates == ["20.00", "17.50"]


def test_line_query_of_an_unknown_item_fails(enet: EnetClient) -> None:
    assert line_query(enet, stock_code="NONE").startswith("ERROR: Stock code 'NONE' not found")


def test_query_by_the_build_verb_is_only_for_objects_that_build(enet: EnetClient) -> None:
    assert enet.call("Transaction/Build", "SORTOI", data="<Build/>").startswith("ERROR: e.net exception 100000")
    assert enet.post("SORRSL", "", "<Build/>").startswith("ERROR: e.net exception 100000")


def test_tax_tables_are_hidden_from_finds(enet: EnetClient) -> None:
    query = "<Query><TableName>_InvoiceTax</TableName><Columns><Column>TaxCode</Column></Columns></Query>"

    assert enet.query("COMFND", query) == "ERROR: Table '_InvoiceTax' not found"


def test_harmony_passes_the_queries_on_in_its_generic_form(running: Running) -> None:
    url = f"{running.url}/api/harmony/2.0"
    headers = {"X-Api-Key": "harmony-sandbox-key"}

    def ask(path: str, document: dict[str, object]) -> dict[str, dict[str, str]]:
        answer = requests.post(f"{url}/{path}", json={"XmlIn": document}, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    assert ask("Query/Query/IMPQTX", {"Option": {}})["General"]["TaxSystem"] == "N"
    line = {"Parameters": {"StockCode": "KB-2040", "Customer": "WEB001", "ReturnTaxInformation": "Y"}}
    assert str(ask("Transaction/Build/SORRSL", line)["TaxPercentage"]).strip() == "20.00"

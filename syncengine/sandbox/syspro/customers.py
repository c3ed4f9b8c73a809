"""ARSSCS (customer master) and ARSQRY (customer query). Source: syspro-objects.md section 3."""

from __future__ import annotations

from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.items import Checked, ItemOptions, process
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, text_of
from syncengine.sandbox.syspro.texts import EnetError, problem
from syncengine.sandbox.syspro.xmlin import DAY, Field, Section, choice, num, read, txt
from syncengine.sandbox.syspro.xmlout import Node, Writer, setup_counters

_ADDRESS_LINES = ("1", "2", "3", "3Loc", "4", "5")
FIELDS: dict[str, Field] = {
    "Name": txt(50, old=30),
    "Salesperson": txt(20, old=3),
    "Branch": txt(10, old=2),
    "TermsCode": txt(2),
    "ShortName": txt(20, old=10),
    "CreditStatus": choice("0123456789"),
    "CreditLimit": num(12, 0),
    "CreditCheckFlag": choice("TLBN"),
    "PriceCode": txt(10, old=2),
    "CustomerClass": txt(10, old=2),
    "BalanceType": choice("IB"),
    "Area": txt(10, old=2),
    "TaxStatus": choice("ENO"),
    "TaxExemptNumber": txt(30),
    "Telephone": txt(20),
    "Contact": txt(50, old=40),
    "Fax": txt(20),
    "Email": txt(255, old=50),
    "Currency": txt(3),
    "UserField1": txt(10),
    "UserField2": num(12, 5),
    "StatementReqd": choice("YN"),
    "BackOrdReqd": choice("YNR"),
    "ShippingInstrs": txt(50, old=30),
    "ShippingInstrsCod": txt(6),
    "StateCode": txt(3),
    "DateCustAdded": DAY,
    "Nationality": txt(3),
    "CustomerOnHold": choice("NY"),
    **{f"SoldToAddr{line}": txt(40) for line in _ADDRESS_LINES},
    "SoldPostalCode": txt(10, old=9),
    **{f"ShipToAddr{line}": txt(40) for line in _ADDRESS_LINES},
    "ShipPostalCode": txt(10, old=9),
    "State": txt(2),
    "CountyZip": txt(5),
    "City": txt(3),
    "PoNumberMandatory": choice("NY"),
    "CompanyTaxNumber": txt(15),
    "SalesWarehouse": txt(10, old=2),
}
_KEY = {"Customer": txt(15, old=7)}
_CODES = {
    "Salesperson": ("SalSalesperson", "Salesperson"),
    "Branch": ("SalBranch", "Branch"),
    "TermsCode": ("TblArTerms", "Terms code"),
    "Area": ("SalArea", "Area"),
    "Currency": ("TblCurrency", "Currency"),
    "SalesWarehouse": ("InvWhControl", "Warehouse"),
}


def arsscs(company: Company, session: Session, method: str, params: Element | None, document: Element) -> str:
    """Setup/Add, Update and Delete of customers."""
    options = ItemOptions.of(params, apply="N", validate="N", warnings="Y")
    check = {"Add": _check_add, "Update": _check_update, "Delete": _check_delete}[method]
    done = process(document, options, lambda item: check(company, item), lower_case=True)
    nodes = [Node("item", item) for item in done.items]
    nodes.append(setup_counters(len(done.items), done.invalid))
    return company.style(session).document("setuparcustomer", nodes)


def _read(company: Company, item: Element) -> tuple[str, Section, Checked]:
    """Stored key, the item's fields, and an outcome with the problems found so far."""
    key_element = item.find("Key")
    key = read(key_element if key_element is not None else Element("Key"), _KEY, company.reading())
    section = read(item, FIELDS, company.reading())
    code = key.text("Customer")
    stored = company.customer_key(code) if code else ""
    outcome = Checked([*key.problems, *section.problems], key=_key(stored or code))
    if code and stored is None:
        outcome.problems.append(problem("not_numeric", "Customer", code, "Customer", code))
    return stored or code, section, outcome


def _key(code: str) -> list[Node]:
    return [Node("key", [Node("customer", code)])]


def _check_add(company: Company, item: Element) -> Checked:
    code, section, outcome = _read(company, item)
    if not code and not outcome.problems and not company.switches.on("syspro_automatic_customers"):
        outcome.problems.append(problem("100030", "Customer", "", "{Key}{Customer}"))
    if code and company.table("ArCustomer").get(code) is not None:
        outcome.problems.append(problem("120001", "Customer", code, code, "Customer"))
    needed = ["Name", "Salesperson", "Branch", "TermsCode"]
    if company.switches.on("syspro_area_required"):
        needed.append("Area")
    refused = {found.field for found in outcome.problems}
    for name in needed:
        if name not in section.values and name not in refused:
            outcome.problems.append(problem("100030", name, "", "{Item}{" + name + "}"))
    _check_codes(company, section, outcome)

    def add() -> list[Node]:
        key = code or company.customer_key(str(company.next_number("customer"))) or ""
        defaults: Row = {
            "Currency": company.switches.text("syspro_local_currency"),
            "CustomerOnHold": "N",
            "DateCustAdded": company.today(),
        }
        company.table("ArCustomer").insert(**(defaults | section.values | {"Customer": key}))
        company.effect("ArCustomer", "created", key, section.text("UserField1"))
        return _key(key)

    outcome.apply = add
    return outcome


def _check_update(company: Company, item: Element) -> Checked:
    code, section, outcome = _read(company, item)
    row = company.table("ArCustomer").get(code)
    if row is None:
        outcome.problems.append(problem("not_found", "Customer", code, "Customer", code))
        return outcome
    _check_codes(company, section, outcome)
    currency = section.text("Currency")
    if currency and currency != row["Currency"] and company.table("SorMaster").by("Customer", code):
        outcome.problems.append(problem("currency_fixed", "Currency", currency, code))

    def update() -> list[Node]:
        values: Row = dict(section.values)
        if company.switches.on("syspro_empty_clears"):
            columns = company.table("ArCustomer").columns
            values |= {name: columns[name].blank() for name in section.blanks}
        company.table("ArCustomer").update(row, **values)
        company.effect("ArCustomer", "changed", code, text_of(row, "UserField1"), fields=sorted(values))
        return outcome.key

    outcome.apply = update
    return outcome


def _check_delete(company: Company, item: Element) -> Checked:
    code, _, outcome = _read(company, item)
    row = company.table("ArCustomer").get(code)
    if row is None:
        outcome.problems.append(problem("not_found", "Customer", code, "Customer", code))
        return outcome
    if company.table("SorMaster").by("Customer", code):
        outcome.problems.append(problem("in_use", "Customer", code, code))

    def delete() -> list[Node]:
        company.table("ArCustomer").delete(row)
        company.effect("ArCustomer", "deleted", code)
        return outcome.key

    outcome.apply = delete
    return outcome


def _check_codes(company: Company, section: Section, outcome: Checked) -> None:
    for name, (table, what) in _CODES.items():
        code = section.text(name)
        if code and company.table(table).get(code) is None:
            outcome.problems.append(problem("not_found", name, code, what, code))


# -- ARSQRY ------------------------------------------------------------------------------------------------------------

_HEADER = (
    "Customer",
    "Name",
    "ShortName",
    *(f"SoldToAddr{line}" for line in _ADDRESS_LINES),
    "SoldPostalCode",
    *(f"ShipToAddr{line}" for line in _ADDRESS_LINES),
    "ShipPostalCode",
    "Contact",
    "Telephone",
    "Fax",
    "Email",
    "Salesperson",
    "Branch",
    "Area",
    "CustomerClass",
    "PriceCode",
    "TermsCode",
    "Currency",
    "CreditLimit",
    "CreditStatus",
    "CreditCheckFlag",
    "OutstOrdVal",
    "InvoiceCount",
    "BalanceType",
    "TaxStatus",
    "TaxExemptNumber",
    "CompanyTaxNumber",
    "Nationality",
    "ShippingInstrs",
    "ShippingInstrsCod",
    "SalesWarehouse",
    "BackOrdReqd",
    "StatementReqd",
    "PoNumberMandatory",
    "CustomerOnHold",
    "UserField1",
    "UserField2",
    "DateCustAdded",
    "DateLastSale",
    "DateLastPay",
)


def arsqry(company: Company, session: Session, _method: str, _params: Element | None, document: Element) -> str:
    """A customer with open invoices. An unknown one fails the call (its text is not public)."""
    code = (document.findtext("Key/Customer") or "").strip()
    row = company.customer(code)
    if row is None:
        raise EnetError(f"Customer '{code}' not found")
    style = company.style(session)
    invoices = company.table("ArInvoice").by("Customer", row["Customer"])
    header = Writer(style)
    for name in _HEADER:
        if name == "OutstOrdVal":
            header.number(name, booking.outstanding(company, text_of(row, "Customer")), 14, 2)
        elif name == "InvoiceCount":
            header.number(name, len(invoices), 10, 0)
        elif name == "CreditLimit":
            header.number(name, amount_of(row, name), 12, 0)
        elif name == "UserField2":
            header.number(name, amount_of(row, name), 17, 5)
        else:
            header.put(name, row[name])
    balance = sum((amount_of(invoice, "InvoiceBal1") for invoice in invoices), Decimal(0))
    totals = Writer(style)
    totals.number("CurrentBalance", balance, 14, 2)
    totals.number("Current", balance, 14, 2)
    nodes = [Node("Header", header.nodes), *(_invoice(style_writer=Writer(style), row=invoice) for invoice in invoices)]
    return style.document("ARStatement", [*nodes, Node("TotalSection", totals.nodes)], bare_root=True)


def _invoice(style_writer: Writer, row: Row) -> Node:
    style_writer.put("DocumentType", "I")
    for name in ("Invoice", "InvoiceDate", "CustomerPoNumber"):
        style_writer.put(name, row[name])
    style_writer.number("CurrencyValue", amount_of(row, "CurrencyValue"), 14, 2)
    style_writer.number("InvoiceBal", amount_of(row, "InvoiceBal1"), 14, 2)
    style_writer.put("Branch", row["Branch"])
    style_writer.put("SalesOrder", row["SalesOrder"])
    return Node("InvoiceDetail", style_writer.nodes)

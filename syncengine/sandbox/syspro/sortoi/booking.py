"""SORTOI: booking an order that passed its checks. Nothing can be refused any more."""

from __future__ import annotations

from decimal import Decimal

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.sortoi import fields, tax
from syncengine.sandbox.syspro.sortoi.draft import Draft, Line
from syncengine.sandbox.syspro.sortoi.parts import exchange_rate
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, Value, text_of
from syncengine.sandbox.syspro.xmlin import BLANK, Section

#: Header elements whose column has another name; all others have the same.
_RENAMED = {
    "InvoiceTerms": "InvTermsOverride",
    "ShippingInstrsCode": "ShippingInstrsCod",
    "ShipAddress3Locality": "ShipAddress3Loc",
    "OrderDiscPercent1": "DiscPct1",
    "OrderDiscPercent2": "DiscPct2",
    "OrderDiscPercent3": "DiscPct3",
    "RequestedShipDate": "ReqShipDate",
    "AlternateReference": "AlternateKey",
    "InvoiceNumberEntered": "EntInvoice",
    "InvoiceDateEntered": "EntInvoiceDate",
    "TaxExemptionStatus": "TaxStatus",
    "GstExemptNumber": "GstExemptNum",
    "GstExemptionStatus": "GstExemptFlag",
    "CompanyTaxNumber": "CompanyTaxNo",
}
_ADDRESS = tuple(_RENAMED.get(name, name) for name in fields.ADDRESS)
_LINES = ("1", "2", "3", "3Loc", "4", "5")
_COMMENT_LENGTH = 100


def book(company: Company, session: Session, draft: Draft) -> None:
    """Create, change or cancel the order of a draft; the draft then knows order and number."""
    if draft.action == "A":
        _create(company, session, draft)
    elif draft.action == "C":
        _change(company, session, draft)
    elif draft.order is not None:
        booking.cancel_order(company, draft.order, draft.header.text("CancelReasonCode"))
    if draft.order is not None:
        draft.number = company.shown(text_of(draft.order, "SalesOrder"))


def _create(company: Company, session: Session, draft: Draft) -> None:
    customer = draft.customer or {}
    manual = draft.header.text("SalesOrder")
    number = company.order_key(manual or company.next_number("order"))
    given = _given(company, draft.header)
    values: Row = _defaults(company, draft, customer) | given
    if draft.header.text("MultiShipCode"):
        values |= _stored_address(company, draft, customer)
    elif not any(given.get(name) for name in (*_ADDRESS, "ShipPostalCode")):
        values |= _customer_address(customer)
    values |= {
        "SalesOrder": number,
        "Customer": customer["Customer"],
        "CustomerPoNumber": draft.po_number,
        "OrderStatus": draft.status,
        "LastOperator": session.operator,
    }
    draft.order = company.table("SorMaster").insert(**values)
    company.notes[number] = _comments(draft.header)
    for line in draft.lines:
        _add(company, draft.order, line)
    company.order_effect("created", draft.order, customer=customer["Customer"], lines=len(draft.lines))


def _defaults(company: Company, draft: Draft, customer: Row) -> Row:
    """The header's defaults from customer and company."""
    currency = text_of(customer, "Currency") or company.switches.text("syspro_local_currency")
    is_local = currency == company.switches.text("syspro_local_currency")
    order_date = draft.header.day("OrderDate") or company.today()
    return {
        "NextDetailLine": 1,
        "ActiveFlag": "Y",
        "DocumentType": "O",
        "CustomerName": customer["Name"],
        "Salesperson": customer["Salesperson"],
        "Branch": customer["Branch"],
        "Area": customer["Area"],
        "InvTermsOverride": customer["TermsCode"],
        "ShippingInstrs": customer["ShippingInstrs"],
        "ShippingInstrsCod": customer["ShippingInstrsCod"],
        "TaxStatus": customer["TaxStatus"],
        "TaxExemptNumber": customer["TaxExemptNumber"],
        "Nationality": customer["Nationality"],
        "Currency": currency,
        "ExchangeRate": Decimal(1) if is_local else exchange_rate(company, currency),
        "MulDiv": "M" if is_local else "D",
        "OrderDate": order_date,
        "EntrySystemDate": company.today(),
        "ReqShipDate": order_date,
    }


def _given(company: Company, header: Section) -> Row:
    """The header's own values by column; those that only control the import have none.

    At a site with coded shipping instructions a code sets the text, unless the document has a text of its own.
    """
    control_elements = {
        "CustomerPoNumber",
        "OrderActionType",
        "NewCustomerPoNumber",
        "Customer",
        "Currency",
        "SalesOrder",
        "ShipAddressPerLine",
        "OrderComments",
        "CancelReasonCode",
    }
    coded = company.paired("syspro_shipping_codes").get(header.text("ShippingInstrsCode"))
    text: Row = {} if coded is None else {"ShippingInstrs": coded}
    return text | {
        _RENAMED.get(name, name): _plain(value) for name, value in header.values.items() if name not in control_elements
    }


def _plain(value: Value) -> Value:
    return "" if value == BLANK else value


def _customer_address(customer: Row) -> Row:
    """The customer's delivery address, otherwise the sold-to address."""
    prefix, postcode = "ShipToAddr", "ShipPostalCode"
    if not any(customer[f"ShipToAddr{line}"] for line in _LINES):
        prefix, postcode = "SoldToAddr", "SoldPostalCode"
    return _address_of(customer, prefix, postcode)


def _stored_address(company: Company, draft: Draft, customer: Row) -> Row:
    row = company.table("ArMultAddress").get(text_of(customer, "Customer"), draft.header.text("MultiShipCode"))
    return _address_of(row, "ShipToAddr", "ShipPostalCode") if row is not None else {}


def _address_of(row: Row, prefix: str, postcode: str) -> Row:
    lines: Row = {name: row[f"{prefix}{line}"] for name, line in zip(_ADDRESS, _LINES, strict=True)}
    return lines | {"ShipPostalCode": row[postcode]}


def _comments(header: Section) -> list[str]:
    """OrderComments, cut into pieces of at most 100 characters."""
    return [
        text[start : start + _COMMENT_LENGTH]
        for text in header.repeats.get("OrderComments", [])
        for start in range(0, len(text), _COMMENT_LENGTH)
    ]


def _add(company: Company, order: Row, line: Line) -> None:
    row = dict(line.row)
    if line.kind == "StockLine" and not row.get("MLineShipDate"):
        row["MLineShipDate"] = order["ReqShipDate"]
    if line.kind == "StockLine" and not row.get("MCustRequestDat"):
        row["MCustRequestDat"] = company.today()  # and no MinimumDaysToShip
    booking.add_line(company, order, **row)


def _change(company: Company, session: Session, draft: Draft) -> None:
    order = draft.order
    if order is None:
        return
    values = _given(company, draft.header)
    if draft.header.text("NewCustomerPoNumber"):
        values["CustomerPoNumber"] = draft.header.text("NewCustomerPoNumber")
    company.table("SorMaster").update(order, **values, LastOperator=session.operator)
    if "TaxStatus" in values:
        tax.follow_status(company, order)
    if comments := _comments(draft.header):
        company.notes[text_of(order, "SalesOrder")] = comments
    for line in draft.lines:
        if line.action == "A":
            _add(company, order, line)
        elif line.existing is not None:
            _change_line(company, line, line.existing)
    booking.update_back_order_status(company, order)
    company.order_effect("changed", order, lines=[line.action for line in draft.lines])


def _change_line(company: Company, line: Line, existing: Row) -> None:
    if line.action == "D":
        booking.remove_line(company, existing)
        return
    values = dict(line.row)
    ordered = values.pop("MOrderQty", None)
    if isinstance(ordered, Decimal):
        proposed = existing | {name: value for name, value in values.items() if name == "MOrderUom"}
        values |= booking.quantities(company, proposed, ordered, line.allocation)
    booking.change_line(company, existing, **values)

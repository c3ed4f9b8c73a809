"""SORTOI: the checks of an order's header, one after another."""

from __future__ import annotations

from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.sortoi import fields, lines
from syncengine.sandbox.syspro.sortoi.draft import Draft, Options
from syncengine.sandbox.syspro.sortoi.parts import cancel_reason
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, text_of
from syncengine.sandbox.syspro.xmlin import BLANK, read

#: Header element to table and to the term for an unknown code.
_CODES = {
    "InvoiceTerms": ("TblArTerms", "Invoice terms"),
    "Salesperson": ("SalSalesperson", "Salesperson"),
    "Branch": ("SalBranch", "Branch"),
    "Area": ("SalArea", "Area"),
    "Warehouse": ("InvWhControl", "Warehouse"),
}
_ALTERNATE_KEYS = {"branch": "SalBranch", "area": "SalArea", "warehouse": "InvWhControl"}


def check(company: Company, options: Options, element: Element) -> Draft:
    """Read one `Orders` element and check it; nothing is changed."""
    header_element = element.find("OrderHeader")
    if header_element is None:
        header_element = Element("OrderHeader")
    header = read(header_element, fields.HEADER, company.reading(), fields.REPEATED)
    draft = Draft(element, header, header.flag("OrderActionType", "A"), _given(header.text("CustomerPoNumber")))
    if draft.action == "A":
        _check_new(company, options, draft)
    else:
        _check_existing(company, options, draft)
    if draft.customer is not None and (draft.action == "A" or (draft.action == "C" and not header.problems)):
        lines.check_all(company, options, draft)
        if draft.action == "A":
            _check_credit(company, options, draft)
            _choose_status(company, options, draft)
    draft.refused_by_warnings = bool(draft.warnings) and options["IgnoreWarnings"] == "N"
    return draft


def _given(text: str) -> str:
    return "" if text == BLANK else text


def _check_new(company: Company, options: Options, draft: Draft) -> None:
    header = draft.header
    _find_customer(company, options, draft)
    if draft.customer is None:
        return
    _check_po_number(company, options, draft, "CustomerPoNumber", draft.po_number)
    if draft.customer["CustomerOnHold"] == "Y":
        code = text_of(draft.customer, "Customer")
        if options.on("WarnIfCustomerOnHold"):
            draft.warnings.append((header, f"Customer '{code}' is on hold"))
        else:
            header.refuse("customer_on_hold", "Customer", code)
    own = text_of(draft.customer, "Currency") or company.switches.text("syspro_local_currency")
    currency = _given(header.text("Currency"))
    if currency and currency != own:
        header.refuse("currency", "Currency", currency, own, draft.customer["Customer"])
    number = _given(header.text("SalesOrder"))
    if number and not options.on("AllowManualOrderNumberToBeUsed"):
        header.refuse("manual_number", "SalesOrder", number)
    elif number and company.order(number) is not None:
        header.refuse("120001", "SalesOrder", company.order_key(number), "SorMaster")
    _check_codes(company, options, draft)


def _find_customer(company: Company, options: Options, draft: Draft) -> None:
    header = draft.header
    code = _given(header.text("Customer"))
    if not code and any(problem.field == "Customer" for problem in header.problems):
        return
    code = code or options["CustomerToUse"]
    if not code:
        header.refuse("100030", "Customer", "{OrderHeader}{Customer}")
    elif company.customer_key(code) is None:
        header.refuse("not_numeric", "Customer", "Customer", code)
    else:
        draft.customer = company.customer(code)
        if draft.customer is None:
            header.refuse("not_found", "Customer", "Customer", code)


def _check_po_number(company: Company, options: Options, draft: Draft, field: str, po_number: str) -> None:
    """Required and duplicate customer PO numbers (section 9.5)."""
    customer = draft.customer or {}
    needed = options["CheckForCustomerPoNumbers"]
    if not po_number:
        refused = any(problem.field == field for problem in draft.header.problems)
        if not refused and (needed == "Y" or (needed == "C" and customer.get("PoNumberMandatory") == "Y")):
            draft.header.refuse("100030", field, "{OrderHeader}{" + field + "}")
        return
    duplicates = options["AllowDuplicateOrderNumbers"]
    if duplicates == "A" or (duplicates == "Y" and not company.switches.on("syspro_forbid_duplicate_po")):
        return
    for other in company.table("SorMaster").by("CustomerPoNumber", po_number):
        counts = not booking.is_cancelled(other) or company.switches.on("syspro_cancelled_blocks_po")
        if other["Customer"] == customer.get("Customer") and counts and other is not draft.order:
            draft.header.refuse("duplicate_po", field, po_number, company.shown(text_of(other, "SalesOrder")))
            return


def _check_codes(company: Company, options: Options, draft: Draft) -> None:
    header = draft.header
    shipping = _given(header.text("ShippingInstrsCode"))
    if shipping and options.on("ValidateShippingInstrs") and shipping not in company.paired("syspro_shipping_codes"):
        header.refuse("not_found", "ShippingInstrsCode", "Shipping instructions", shipping)
    for name, (table, what) in _CODES.items():
        code = _given(header.text(name))
        if code and company.table(table).get(code) is None:
            header.refuse("not_found", name, what, code)
    if _given(header.text("Warehouse")) in company.listed("syspro_denied_warehouses"):
        header.refuse("240096", "Warehouse", header.text("Warehouse"))
    known_types = company.listed("syspro_order_types")
    order_type = _given(header.text("OrderType"))
    if order_type and known_types and order_type not in known_types:
        header.refuse("not_found", "OrderType", "Order type", order_type)
    reference = _given(header.text("AlternateReference"))
    table = _ALTERNATE_KEYS[company.switches.text("syspro_alternate_key")]
    if reference and company.table(table).get(reference) is None:
        header.refuse("not_found", "AlternateReference", "Alternate key", reference)
    ship_to = _given(header.text("MultiShipCode"))
    if ship_to and draft.customer is not None:
        row = company.table("ArMultAddress").get(text_of(draft.customer, "Customer"), ship_to)
        if row is None:
            header.refuse("not_found", "MultiShipCode", "Ship address code", ship_to)


def _check_existing(company: Company, options: Options, draft: Draft) -> None:
    """A change or cancellation needs an order that may still be changed."""
    header = draft.header
    number = _given(header.text("SalesOrder"))
    if not number:
        header.refuse("100030", "SalesOrder", "{OrderHeader}{SalesOrder}")
        return
    draft.order = company.order(number)
    if draft.order is None:
        header.refuse("not_found", "SalesOrder", "Sales order", number)
        return
    draft.po_number = draft.po_number or text_of(draft.order, "CustomerPoNumber")
    draft.customer = company.table("ArCustomer").get(text_of(draft.order, "Customer"))
    code = _given(header.text("Customer"))
    if code and company.customer_key(code) != draft.order["Customer"]:
        header.refuse("other_customer", "Customer", number, code)
    if not booking.may_change(company, draft.order):
        doing = "cancelled" if draft.action == "D" else "changed"
        header.refuse("status", "SalesOrder", number, draft.order["OrderStatus"], doing)
    new_number = _given(header.text("NewCustomerPoNumber"))
    if new_number and draft.action == "C":
        strictly = Options({"AllowDuplicateOrderNumbers": "N", "CheckForCustomerPoNumbers": "N"}, "F")
        _check_po_number(company, strictly, draft, "NewCustomerPoNumber", new_number)
    if draft.action == "C":
        _check_codes(company, options, draft)
    elif draft.action == "D":
        cancel_reason(company, header, "CancelReasonCode")


def _check_credit(company: Company, options: Options, draft: Draft) -> None:
    customer = draft.customer
    if customer is None or customer["CreditCheckFlag"] not in ("L", "B") or options.on("AcceptOrdersIfNoCredit"):
        return
    value = sum((_value(company, line.row) for line in draft.lines), Decimal(0))
    owed = booking.outstanding(company, text_of(customer, "Customer")) + value
    if owed <= amount_of(customer, "CreditLimit"):
        return
    if company.switches.text("syspro_credit_fail") == "suspense":
        draft.status = "S"
    else:
        draft.header.refuse("credit", "Customer", customer["Customer"])


def _value(company: Company, values: Row) -> Decimal:
    row: Row = {name: column.blank() for name, column in company.table("SorDetail").columns.items()}
    return booking.line_value(row | values) if values else Decimal(0)


def _choose_status(company: Company, options: Options, draft: Draft) -> None:
    if draft.status == "S":
        return
    if options["TypeOfOrder"] == "FWD":
        draft.status = "F"
    elif options["OrderStatus"] == "1":
        draft.status = booking.opening_status(company, [line.row for line in draft.lines if line.row])
    else:
        draft.status = options["OrderStatus"]

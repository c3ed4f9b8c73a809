"""Transactions on existing orders: SORTOX cancels, SORTOS sets the status, SORTIC invoices.

Source: syspro-transport.md section 10.3. Texts of refusals are not public: they carry no number.
"""

from __future__ import annotations

from datetime import date
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import booking, invoicing
from syncengine.sandbox.syspro.items import Checked, ItemOptions, process
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, text_of
from syncengine.sandbox.syspro.texts import problem
from syncengine.sandbox.syspro.xmlin import parameters
from syncengine.sandbox.syspro.xmlout import Node, counters

_NEW_STATUSES = ("1", "2", "3", "4", "8", "S", "9")
_LONGEST_DELIVERY_NOTE = 20


def text(item: Element, name: str) -> str:
    """An element of an item, blank if it is absent."""
    return (item.findtext(name) or "").strip()


def replied(company: Company, session: Session, root: str, items: list[list[Node]], invalid: int) -> str:
    """The reply to a post of items, numbered, with its counters."""
    style = company.style(session)
    nodes = [
        Node("Item", [*item, Node("ItemNumber", style.count(number))]) for number, item in enumerate(items, start=1)
    ]
    status = counters(style, ItemsProcessed=len(items) - invalid, ItemsInvalid=invalid)
    return style.document(root, [*nodes, status])


def find_order(company: Company, item: Element, outcome: Checked) -> Row | None:
    """The order that an item names; None is a problem of the outcome."""
    number = text(item, "SalesOrder")
    if not number:
        outcome.problems.append(problem("100030", "SalesOrder", "", "{Item}{SalesOrder}"))
        return None
    order = company.order(number)
    if order is None:
        outcome.problems.append(problem("not_found", "SalesOrder", number, "Sales order", number))
    return order


def refuse_status(outcome: Checked, company: Company, order: Row, doing: str) -> None:
    """Refuse what cannot be done to an order in its status."""
    number = company.shown(text_of(order, "SalesOrder"))
    outcome.problems.append(problem("status", "SalesOrder", number, number, order["OrderStatus"], doing))


def find_line(company: Company, order: Row, number: str, outcome: Checked) -> Row | None:
    """A line of an order; None is a problem of the outcome."""
    line = company.table("SorDetail").get(text_of(order, "SalesOrder"), number.zfill(4))
    if line is None:
        shown = company.shown(text_of(order, "SalesOrder"))
        outcome.problems.append(problem("line", "SalesOrderLine", number, number, shown))
    return line


# -- SORTOX ------------------------------------------------------------------------------------------------------------


def sortox(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Cancel orders or lines; a blank line number means the whole order."""
    options = ItemOptions.of(params, apply="N", validate="N")
    comments_too = parameters(params, {"CancelAttachedComments": "N"})["CancelAttachedComments"] == "Y"
    done = process(document, options, lambda item: _check_cancel(company, item, comments_too))
    return replied(company, session, "postsalesordercancel", done.items, done.invalid)


def _check_cancel(company: Company, item: Element, comments_too: bool) -> Checked:
    outcome = Checked()
    order = find_order(company, item, outcome)
    if order is None:
        return outcome
    if not booking.may_change(company, order):
        refuse_status(outcome, company, order, "cancelled")
        return outcome
    number, reason = text(item, "SalesOrderLine"), text(item, "CancelReasonCode")
    line = find_line(company, order, number, outcome) if number else None
    reasons = company.listed("syspro_cancel_reasons")
    if reasons and reason not in reasons and (line is None or line["LineType"] != "6"):
        outcome.problems.append(problem("cancel_reason", "CancelReasonCode", reason, reason))
    complete = text(item, "MarkLineComplete").upper() == "Y"

    def apply() -> list[Node]:
        if line is None:
            booking.cancel_order(company, order, reason)
        else:
            _cancel_line(company, order, line, complete=complete, comments_too=comments_too)
        return [
            Node("SalesOrder", company.shown(text_of(order, "SalesOrder"))),
            Node("SalesOrderLine", number),
            Node("Cancelled", "N" if line is not None and complete else "Y"),
            Node("Completed", "Y" if line is not None and complete else "N"),
        ]

    outcome.apply = apply
    return outcome


def _cancel_line(company: Company, order: Row, line: Row, *, complete: bool, comments_too: bool) -> None:
    attached = [
        other
        for other in company.lines(order)
        if other["LineType"] == "6" and other["NCommentFromLin"] == line["SalesOrderLine"]
    ]
    booking.remove_line(company, line, complete=complete)
    for comment in attached if comments_too and not complete else ():
        booking.remove_line(company, comment)
    booking.update_back_order_status(company, order)
    company.order_effect("changed", order, cancelled_line=line["SalesOrderLine"])


# -- SORTOS ------------------------------------------------------------------------------------------------------------


def sortos(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Change the status of orders. ValidateOnly defaults to Y: without it nothing changes."""
    options = ItemOptions.of(params, apply="N", validate="Y")
    done = process(document, options, lambda item: _check_status(company, item))
    return replied(company, session, "postsororderstatus", done.items, done.invalid)


def _check_status(company: Company, item: Element) -> Checked:
    outcome = Checked()
    order = find_order(company, item, outcome)
    if order is None:
        return outcome
    current, expected, new = text_of(order, "OrderStatus"), text(item, "OrderStatus"), text(item, "NewOrderStatus")
    shown = company.shown(text_of(order, "SalesOrder"))
    if new not in _NEW_STATUSES:
        outcome.problems.append(problem("bad_value", "NewOrderStatus", new, new, "NewOrderStatus"))
    if booking.is_cancelled(order) or current in ("0", "9") or (expected and expected != current):
        outcome.problems.append(problem("status", "OrderStatus", current, shown, current, f"set to {new}"))
    if current == "S" and new != "S" and not text(item, "CreditAuthority"):
        outcome.problems.append(problem("credit_authority", "CreditAuthority", "", shown))
    has_back_orders = any(line["MBackOrderQty"] for line in company.lines(order))
    if new == "1" and current in ("2", "3") and has_back_orders:
        outcome.problems.append(problem("back_orders", "NewOrderStatus", new, shown))
    note, delivered_on = _delivery_note(company, item, new, outcome)

    def apply() -> list[Node]:
        if current == "S" and new != "S":
            company.table("SorMaster").update(order, CreditAuthority=text(item, "CreditAuthority"))
        booking.set_status(company, order, new, delivery_note=note, delivered_on=delivered_on)
        return outcome.key

    outcome.key = [
        Node("Order", [Node("SalesOrder", shown), Node("OrderStatus", current), Node("NewOrderStatus", new)])
    ]
    outcome.apply = apply
    return outcome


def _delivery_note(company: Company, item: Element, new: str, outcome: Checked) -> tuple[str, date | None]:
    """DeliveryNoteNumber and its date; they may be given for a change to status 4, or as the site has it."""
    note, day = text(item, "DeliveryNoteNumber"), text(item, "DateDeliveryNotePrinted")
    entry = company.switches.text("syspro_delivery_note_entry")
    if (note or day) and (entry == "never" or (entry == "4" and new != "4")):
        outcome.problems.append(problem("delivery_note", "DeliveryNoteNumber", note, note, new))
    if len(note) > _LONGEST_DELIVERY_NOTE:
        outcome.problems.append(
            problem("too_long", "DeliveryNoteNumber", note, "DeliveryNoteNumber", _LONGEST_DELIVERY_NOTE)
        )
    return note, invoice_date(company, day, outcome, "DateDeliveryNotePrinted") if day else None


# -- SORTIC ------------------------------------------------------------------------------------------------------------


def sortic(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Invoice orders of status 8, or some of their lines, on InvoiceDate (today if blank).

    OrderType C and D are not simulated: they find no order.
    """
    options = ItemOptions.of(params, apply="N", validate="N")
    values = parameters(params, {"InvoiceDate": "", "OrderType": "I"})
    done = process(document, options, lambda item: _check_invoice(company, item, options, values))
    return replied(company, session, "postsalesorderinvoice", done.items, done.invalid)


def _check_invoice(company: Company, item: Element, options: ItemOptions, values: dict[str, str]) -> Checked:
    outcome = Checked()
    order = find_order(company, item, outcome)
    if order is None:
        return outcome
    if order["OrderStatus"] != "8" or values["OrderType"] != "I":
        refuse_status(outcome, company, order, "invoiced")
    lines, day = _line_list(company, order, item, outcome), invoice_date(company, values["InvoiceDate"], outcome)
    warning = refuse_periods(company, options, outcome)
    subject = Node("SalesOrder", company.shown(text_of(order, "SalesOrder")))

    def apply() -> list[Node]:
        return [invoice_key(company, subject, invoicing.invoice(company, order, lines=lines, on=day), warning)]

    outcome.apply = apply
    return outcome


def refuse_periods(company: Company, options: ItemOptions, outcome: Checked) -> str:
    """The warning that receivables are a period behind inventory: refused with IgnoreWarnings N, shown with W."""
    if not company.switches.on("syspro_periods_differ"):
        return ""
    found = problem("periods", "PostingPeriod", "")
    if options.ignore_warnings == "N":
        outcome.problems.append(found)
    return found.text if options.ignore_warnings == "W" else ""


def _line_list(company: Company, order: Row, item: Element, outcome: Checked) -> list[int] | None:
    """SalesOrderLineList: line numbers with commas between them; each must be ready to invoice. None: the whole order."""
    given = [part.strip() for part in text(item, "SalesOrderLineList").split(",") if part.strip()]
    if not given:
        return None
    ready = {line["SalesOrderLine"] for line in invoicing.ready_lines(company, order)}
    numbers = [int(part) if part.isdigit() else 0 for part in given]
    for part, number in zip(given, numbers, strict=True):
        if number not in ready:
            shown = company.shown(text_of(order, "SalesOrder"))
            outcome.problems.append(problem("line", "SalesOrderLineList", part, part, shown))
    return numbers


def invoice_date(company: Company, given: str, outcome: Checked, name: str = "InvoiceDate") -> date:
    """A date of a document, today if it is blank; an impossible one is a problem of the outcome."""
    try:
        return date.fromisoformat(given) if given else company.today()
    except ValueError:
        outcome.problems.append(problem("100028", name, given, given, name))
        return company.today()


def invoice_key(company: Company, subject: Node, created: Row, warning: str = "") -> Node:
    """The reply's Key for an invoice of an order or a dispatch note."""
    day = created["InvoiceDate"]
    year, month = (str(day.year), f"{day.month:02d}") if isinstance(day, date) else ("", "")
    journal = [("GlYear", year), ("GlPeriod", month), ("GlJournal", f"{company.next_number('journal'):05d}")]
    content = [
        subject,
        Node("InvoiceNumber", text_of(created, "Invoice")),
        Node("TrnYear", year),
        Node("TrnMonth", month),
        Node("Register", f"{created['Register']:0>5}"),
        Node("WarningNumber", open_when_empty=True),
        Node("WarningDescription", warning, open_when_empty=True),
        Node("Processed", "Y"),
        Node("GlJournal", [Node(name, value) for name, value in journal]),
    ]
    return Node("Key", content)

"""Transactions on existing orders: SORTOX cancels, SORTOS sets the status, SORTBO releases, SORTIC invoices.

Source: syspro-transport.md section 10.3. Texts of refusals are not public: they carry no number.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import booking, invoicing
from syncengine.sandbox.syspro.items import Checked, ItemOptions, process
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, text_of
from syncengine.sandbox.syspro.texts import problem
from syncengine.sandbox.syspro.xmlin import parameters
from syncengine.sandbox.syspro.xmlout import Node, counters

_NEW_STATUSES = ("1", "2", "3", "4", "8", "S", "9")


def _text(item: Element, name: str) -> str:
    return (item.findtext(name) or "").strip()


def _reply(company: Company, session: Session, root: str, items: list[list[Node]], invalid: int) -> str:
    style = company.style(session)
    nodes = [
        Node("Item", [*item, Node("ItemNumber", style.count(number))]) for number, item in enumerate(items, start=1)
    ]
    status = counters(style, ItemsProcessed=len(items) - invalid, ItemsInvalid=invalid)
    return style.document(root, [*nodes, status])


def _find(company: Company, item: Element, outcome: Checked) -> Row | None:
    number = _text(item, "SalesOrder")
    if not number:
        outcome.problems.append(problem("100030", "SalesOrder", "", "{Item}{SalesOrder}"))
        return None
    order = company.order(number)
    if order is None:
        outcome.problems.append(problem("not_found", "SalesOrder", number, "Sales order", number))
    return order


def _refuse_status(outcome: Checked, company: Company, order: Row, doing: str) -> None:
    number = company.shown(text_of(order, "SalesOrder"))
    outcome.problems.append(problem("status", "SalesOrder", number, number, order["OrderStatus"], doing))


def _find_line(company: Company, order: Row, number: str, outcome: Checked) -> Row | None:
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
    return _reply(company, session, "postsalesordercancel", done.items, done.invalid)


def _check_cancel(company: Company, item: Element, comments_too: bool) -> Checked:
    outcome = Checked()
    order = _find(company, item, outcome)
    if order is None:
        return outcome
    if not booking.may_change(company, order):
        _refuse_status(outcome, company, order, "cancelled")
        return outcome
    number, reason = _text(item, "SalesOrderLine"), _text(item, "CancelReasonCode")
    line = _find_line(company, order, number, outcome) if number else None
    reasons = company.listed("syspro_cancel_reasons")
    if reasons and reason not in reasons and (line is None or line["LineType"] != "6"):
        outcome.problems.append(problem("cancel_reason", "CancelReasonCode", reason, reason))
    complete = _text(item, "MarkLineComplete").upper() == "Y"

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
    return _reply(company, session, "postsororderstatus", done.items, done.invalid)


def _check_status(company: Company, item: Element) -> Checked:
    outcome = Checked()
    order = _find(company, item, outcome)
    if order is None:
        return outcome
    current, expected, new = text_of(order, "OrderStatus"), _text(item, "OrderStatus"), _text(item, "NewOrderStatus")
    shown = company.shown(text_of(order, "SalesOrder"))
    if new not in _NEW_STATUSES:
        outcome.problems.append(problem("bad_value", "NewOrderStatus", new, new, "NewOrderStatus"))
    if booking.is_cancelled(order) or current in ("0", "9") or (expected and expected != current):
        outcome.problems.append(problem("status", "OrderStatus", current, shown, current, f"set to {new}"))
    if current == "S" and new != "S" and not _text(item, "CreditAuthority"):
        outcome.problems.append(problem("credit_authority", "CreditAuthority", "", shown))
    has_back_orders = any(line["MBackOrderQty"] for line in company.lines(order))
    if new == "1" and current in ("2", "3") and has_back_orders:
        outcome.problems.append(problem("back_orders", "NewOrderStatus", new, shown))

    def apply() -> list[Node]:
        if current == "S" and new != "S":
            company.table("SorMaster").update(order, CreditAuthority=_text(item, "CreditAuthority"))
        booking.set_status(company, order, new)
        return outcome.key

    outcome.key = [
        Node("Order", [Node("SalesOrder", shown), Node("OrderStatus", current), Node("NewOrderStatus", new)])
    ]
    outcome.apply = apply
    return outcome


# -- SORTBO ------------------------------------------------------------------------------------------------------------


def sortbo(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Release back orders of one line each. ValidateOnly defaults to Y."""
    options = ItemOptions.of(params, apply="Y", validate="Y")
    done = process(document, options, lambda item: _check_release(company, item))
    return _reply(company, session, "PostSorBackOrderRelease", done.items, done.invalid)


def _check_release(company: Company, item: Element) -> Checked:
    outcome = Checked()
    order = _find(company, item, outcome)
    if order is None:
        return outcome
    if booking.is_cancelled(order) or order["OrderStatus"] in ("0", "9", "F", "S"):
        _refuse_status(outcome, company, order, "released")
        return outcome
    new_status = _text(item, "OrderStatus")
    if new_status not in ("3", "8", "N"):
        outcome.problems.append(problem("bad_value", "OrderStatus", new_status, new_status, "OrderStatus"))
    line = _find_line(company, order, _text(item, "SalesOrderLine") or "0", outcome)
    quantity = _text(item, "Quantity").replace(",", "")
    amount = Decimal(quantity) if quantity.replace(".", "", 1).isdigit() else None
    if amount is None:
        outcome.problems.append(problem("100031", "Quantity", quantity, "Quantity"))
    if line is None or amount is None:
        return outcome
    stock = company.table("InvMaster").get(text_of(line, "MStockCode"))
    units = booking.stocking_units(stock, text_of(line, "MOrderUom")) if stock is not None else None
    released = amount / (units or Decimal(1))  # Quantity is in the stocking unit
    shown = company.shown(text_of(order, "SalesOrder"))
    if released > amount_of(line, "MBackOrderQty"):
        outcome.problems.append(problem("release", "Quantity", quantity, shown, line["SalesOrderLine"], quantity))

    def apply() -> list[Node]:
        ship = amount_of(line, "MShipQty") + released
        back = amount_of(line, "MBackOrderQty") - released
        booking.change_line(
            company, line, MShipQty=ship, MBackOrderQty=back, MStockQtyToShp=ship * (units or Decimal(1))
        )
        if new_status in ("3", "8"):
            booking.set_status(company, order, new_status)
        return outcome.key

    outcome.key = [Node("Key", [Node("SalesOrder", shown), Node("SalesOrderLine", f"{line['SalesOrderLine']:0>4}")])]
    outcome.apply = apply
    return outcome


# -- SORTIC ------------------------------------------------------------------------------------------------------------


def sortic(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Invoice orders of status 8, or some of their lines, on InvoiceDate (today if blank).

    OrderType C and D are not simulated: they find no order.
    """
    options = ItemOptions.of(params, apply="N", validate="N")
    values = parameters(params, {"InvoiceDate": "", "OrderType": "I"})
    done = process(document, options, lambda item: _check_invoice(company, item, values))
    return _reply(company, session, "postsalesorderinvoice", done.items, done.invalid)


def _check_invoice(company: Company, item: Element, values: dict[str, str]) -> Checked:
    outcome = Checked()
    order = _find(company, item, outcome)
    if order is None:
        return outcome
    if order["OrderStatus"] != "8" or values["OrderType"] != "I":
        _refuse_status(outcome, company, order, "invoiced")
    lines, day = _line_list(company, order, item, outcome), _invoice_date(company, values["InvoiceDate"], outcome)
    outcome.apply = lambda: _invoiced(company, order, invoicing.invoice(company, order, lines=lines, on=day))
    return outcome


def _line_list(company: Company, order: Row, item: Element, outcome: Checked) -> list[int] | None:
    """SalesOrderLineList: line numbers with commas between them; each must be ready to invoice. None: the whole order."""
    given = [part.strip() for part in _text(item, "SalesOrderLineList").split(",") if part.strip()]
    if not given:
        return None
    ready = {line["SalesOrderLine"] for line in invoicing.ready_lines(company, order)}
    numbers = [int(part) if part.isdigit() else 0 for part in given]
    for part, number in zip(given, numbers, strict=True):
        if number not in ready:
            shown = company.shown(text_of(order, "SalesOrder"))
            outcome.problems.append(problem("line", "SalesOrderLineList", part, part, shown))
    return numbers


def _invoice_date(company: Company, given: str, outcome: Checked) -> date:
    try:
        return date.fromisoformat(given) if given else company.today()
    except ValueError:
        outcome.problems.append(problem("100028", "InvoiceDate", given, given, "InvoiceDate"))
        return company.today()


def _invoiced(company: Company, order: Row, created: Row) -> list[Node]:
    day = created["InvoiceDate"]
    year, month = (str(day.year), f"{day.month:02d}") if isinstance(day, date) else ("", "")
    journal = [("GlYear", year), ("GlPeriod", month), ("GlJournal", f"{company.next_number('journal'):05d}")]
    content = [
        Node("SalesOrder", company.shown(text_of(order, "SalesOrder"))),
        Node("InvoiceNumber", text_of(created, "Invoice")),
        Node("TrnYear", year),
        Node("TrnMonth", month),
        Node("Register", f"{created['Register']:0>5}"),
        Node("WarningNumber", open_when_empty=True),
        Node("WarningDescription", open_when_empty=True),
        Node("Processed", "Y"),
        Node("GlJournal", [Node(name, value) for name, value in journal]),
    ]
    return [Node("Key", content)]

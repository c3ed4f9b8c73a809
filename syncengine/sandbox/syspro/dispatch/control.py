"""The part of the control API that acts as the people who dispatch. Quantities are in the lines' order units.

GET  MdnMaster, MdnDetail              as every table
POST orders/<number>/dispatch          {lines?: {line number: quantity}, printed?, tracking?, reference?, charges?}: by default
                                       all that can be shipped, printed, with the order's charges; gives the note and its lines
POST dispatches/status                 {note, status}
POST dispatches/invoice                {note} or {order}: all of its notes that are ready; gives the invoices' numbers
POST dispatches/cancel                 {note, line?}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.dispatch import notes
from syncengine.sandbox.syspro.dispatch.notes import Draft, Part
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, integer_of, text_of

Body = dict[str, Any]


def act(company: Company, parts: list[str], body: Body) -> object | None:
    """Do what a POST asks for; None for another path. A bad value raises ValueError or KeyError."""
    match parts:
        case ["orders", number, "dispatch"]:
            note = dispatch(company, _order(company, number), body)
            return {"note": note, "lines": notes.lines_of(company, note)}
        case ["dispatches", "status"]:
            note = _note(company, str(body["note"]))
            notes.set_status(company, note, str(body["status"]))
            return note
        case ["dispatches", "invoice"]:
            return {"invoices": [text_of(row, "Invoice") for row in _invoice(company, body)]}
        case ["dispatches", "cancel"]:
            note = _note(company, str(body["note"]))
            _refuse_finished(note)
            wanted = body.get("line")
            lines = [row for row in notes.lines_of(company, note) if wanted in (None, row["DispatchNoteLine"])]
            notes.cancel(company, note, lines)
            return note
    return None


def dispatch(company: Company, order: Row, body: Body) -> Row:
    """A person makes a dispatch note.

    Raises:
        ValueError: the order is not open, there is nothing to dispatch, or less can be shipped of a line.
    """
    if booking.is_cancelled(order) or order["OrderStatus"] not in ("1", "2", "3"):
        raise ValueError(f"sales order {order['SalesOrder']} in status {order['OrderStatus']} cannot be dispatched")
    lines = {integer_of(line, "SalesOrderLine"): line for line in company.lines(order)}
    can_ship = {
        number: amount_of(line, "MShipQty")
        for number, line in lines.items()
        if line["LineType"] in notes.MERCHANDISE and amount_of(line, "MShipQty") > 0
    }
    wanted = (
        {int(number): Decimal(str(quantity)) for number, quantity in body["lines"].items()}
        if "lines" in body
        else can_ship
    )
    if not wanted or any(not 0 < quantity <= can_ship.get(number, 0) for number, quantity in wanted.items()):
        raise ValueError(f"only {can_ship} can be dispatched of sales order {order['SalesOrder']}")
    printed = notes.PRINTED if company.switches.on("syspro_manual_release") else notes.TO_INVOICE
    is_printed = bool(body.get("printed", True))
    values: Row = {"UserField1": str(body.get("tracking", ""))[:15], "UserField2": str(body.get("reference", ""))[:15]}
    if is_printed:
        values["ActualDeliveryDate"] = company.today()
    draft = Draft(
        order,
        [Part(lines[number], quantity) for number, quantity in wanted.items()],
        bool(body.get("charges", True)),
        printed if is_printed else notes.CREATED,
        values=values,
    )
    return notes.create(company, draft)


def _invoice(company: Company, body: Body) -> list[Row]:
    """Invoice one note, or those of an order that are ready: they become so if people must release them."""
    if "note" in body:
        wanted = [_note(company, str(body["note"]))]
        _refuse_finished(wanted[0])
    else:
        wanted = notes.live_notes(company, _order(company, str(body["order"])))
    return [notes.invoice(company, note, company.today()) for note in wanted]


def _refuse_finished(note: Row) -> None:
    if note["DispatchNoteStatus"] not in notes.LIVE:
        raise ValueError(f"dispatch note {note['DispatchNote']} has status {note['DispatchNoteStatus']}")


def _order(company: Company, number: str) -> Row:
    order = company.order(number)
    if order is None:
        raise KeyError(f"no sales order {number}")
    return order


def _note(company: Company, number: str) -> Row:
    note = company.table("MdnMaster").get(number)
    if note is None:
        raise KeyError(f"no dispatch note {number}")
    return note

"""SORTDS sets the status of dispatch notes, SORTDC cancels them, SORTNC invoices them. Source: syspro-objects.md section 9.3.

Assumed: the form of the replies of SORTDS and SORTDC beyond their roots, SORTDS's defaults, that a note or a line can be
cancelled until it is invoiced, and the texts of refusals.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro.dispatch import notes
from syncengine.sandbox.syspro.items import Checked, ItemOptions, process
from syncengine.sandbox.syspro.posts import invoice_date, invoice_key, refuse_periods, replied
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, text_of
from syncengine.sandbox.syspro.texts import problem
from syncengine.sandbox.syspro.xmlin import parameters
from syncengine.sandbox.syspro.xmlout import Node

#: Status to those that SORTDS may give after it.
_NEXT = {
    notes.CREATED: (notes.PRINTED, "S", "H"),
    notes.PRINTED: (notes.TO_INVOICE,),
    "S": (notes.CREATED, notes.PRINTED, notes.TO_INVOICE),
    "H": (notes.CREATED, notes.PRINTED, notes.TO_INVOICE),
}


def sortds(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Set the status of dispatch notes: 3 to 5, S or H, 5 to 7, and back from S and H."""
    options = ItemOptions.of(params, apply="Y", validate="N")
    done = process(document, options, lambda item: _check_status(company, item))
    return replied(company, session, "postdispstatus", done.items, done.invalid)


def sortdc(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Cancel dispatch notes or lines of them; a blank or zero line means all."""
    options = ItemOptions.of(params, apply="Y", validate="N")
    done = process(document, options, lambda item: _check_cancel(company, item))
    return replied(company, session, "canceldispatchnotes", done.items, done.invalid)


def sortnc(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Invoice dispatch notes of status 7 on InvoiceDate (today if blank)."""
    options = ItemOptions.of(params, apply="N", validate="N")
    values = parameters(params, {"InvoiceDate": "", "PostingPeriod": "C"})
    done = process(document, options, lambda item: _check_invoice(company, item, options, values))
    return replied(company, session, "postdispatchinvoice", done.items, done.invalid)


def _find(company: Company, item: Element, outcome: Checked) -> Row | None:
    number = _text(item, "DispatchNote")
    if not number:
        outcome.problems.append(problem("100030", "DispatchNote", "", "{Item}{DispatchNote}"))
        return None
    note = company.table("MdnMaster").get(number)
    if note is None:
        outcome.problems.append(problem("not_found", "DispatchNote", number, "Dispatch note", number))
    return note


def _check_status(company: Company, item: Element) -> Checked:
    outcome = Checked()
    note = _find(company, item, outcome)
    if note is None:
        return outcome
    current, expected, new = text_of(note, "DispatchNoteStatus"), _text(item, "DispatchStatus"), ""
    new = _text(item, "NewDispatchStatus")
    if new not in _NEXT.get(current, ()) or (expected and expected != current):
        _refuse_status(outcome, note, f"set to {new}")
    if current == "S" and not _text(item, "CreditAuthority"):
        outcome.problems.append(problem("credit_authority", "CreditAuthority", "", note["SalesOrder"]))
    reason, authority = _text(item, "ReasonForHold"), _text(item, "CreditAuthority")

    def apply() -> list[Node]:
        printed = {"ActualDeliveryDate": company.today()} if new == notes.PRINTED else {}
        notes.set_status(company, note, new, Reason=reason, CreditAuthority=authority, **printed)
        return outcome.key

    fields = (("DispatchNote", note["DispatchNote"]), ("DispatchStatus", current), ("NewDispatchStatus", new))
    outcome.key = [Node(name, str(value)) for name, value in fields]
    outcome.apply = apply
    return outcome


def _check_cancel(company: Company, item: Element) -> Checked:
    outcome = Checked()
    note = _find(company, item, outcome)
    if note is None:
        return outcome
    if note["DispatchNoteStatus"] not in notes.LIVE:
        _refuse_status(outcome, note, "cancelled")
    number = _text(item, "DispatchLine").lstrip("0")
    lines = [line for line in notes.lines_of(company, note) if not number or str(line["DispatchNoteLine"]) == number]
    if not lines:
        outcome.problems.append(problem("dispatch_line", "DispatchLine", number, number, note["DispatchNote"]))

    def apply() -> list[Node]:
        notes.cancel(company, note, lines)
        return outcome.key

    key = [Node("DispatchNote", text_of(note, "DispatchNote")), Node("DispatchLine", f"{number or 0:0>4}")]
    outcome.key = [Node("Key", key)]
    outcome.apply = apply
    return outcome


def _check_invoice(company: Company, item: Element, options: ItemOptions, values: Mapping[str, str]) -> Checked:
    outcome = Checked()
    note = _find(company, item, outcome)
    if note is None:
        return outcome
    if note["DispatchNoteStatus"] != notes.TO_INVOICE:
        _refuse_status(outcome, note, "invoiced")
    warning = refuse_periods(company, options, outcome)
    day: date = invoice_date(company, values["InvoiceDate"], outcome)

    def apply() -> list[Node]:
        created = notes.invoice(company, note, day)
        return [invoice_key(company, Node("DispatchNote", text_of(note, "DispatchNote")), created, warning)]

    outcome.apply = apply
    return outcome


def _refuse_status(outcome: Checked, note: Row, doing: str) -> None:
    number, status = text_of(note, "DispatchNote"), note["DispatchNoteStatus"]
    outcome.problems.append(problem("dispatch_status", "DispatchNote", number, number, status, doing))


def _text(item: Element, name: str) -> str:
    return (item.findtext(name) or "").strip()

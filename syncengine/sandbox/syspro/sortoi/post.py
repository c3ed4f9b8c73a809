"""SORTOI: importing a document, order by order. A refused order does not stop the others."""

from __future__ import annotations

from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.sortoi import booking, checks, reply
from syncengine.sandbox.syspro.sortoi.draft import Draft, Options
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.texts import EnetError
from syncengine.sandbox.syspro.xmlin import children


def import_orders(
    company: Company, session: Session, params: Element | None, document: Element
) -> tuple[Options, list[Draft]]:
    """Check and, unless only validating, book each order of a document in turn.

    Raises:
        EnetError: a parameter is invalid, or the document has no order.
    """
    options = Options.of(company, params)
    drafts = []
    for element in children(document, "Orders"):
        draft = checks.check(company, options, element)
        if draft.accepted and options["Process"] == "IMPORT":
            booking.book(company, session, draft)
        drafts.append(draft)
    if not drafts:
        raise EnetError("XML element 'Orders' not found")
    return options, drafts


def post(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Transaction/Post SORTOI."""
    options, drafts = import_orders(company, session, params, document)
    return reply.render(company, company.style(session), options, drafts)


def action_of(document: str) -> str:
    """add, change or cancel: the action of a document's first order, for counters and faults."""
    _, _, rest = document.partition("<OrderActionType>")
    return {"C": "change", "D": "cancel"}.get(rest.strip()[:1].upper(), "add")

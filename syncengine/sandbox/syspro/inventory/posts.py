"""INVTMA adjusts or counts, INVTMR receives, INVTME issues, INVTMO and INVTMI transfer. Source: syspro-objects.md section 5.

ApplyIfEntireDocumentValid is Y by default: one bad item stops all. Assumed: a blank Immediate means N; INVTMI takes Warehouse,
StockCode and Quantity; goods between INVTMO and INVTMI are in no quantity of InvWarehouse; W ignores warnings as Y does; one
journal for a document. Not simulated: bins, FIFO buckets, ledger codes, lots and serials beyond asking for them.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro.inventory import people
from syncengine.sandbox.syspro.inventory.entries import (
    COST,
    WAREHOUSE,
    YES_NO,
    Entry,
    Posting,
    check_enough,
    check_place,
    check_positive,
    entry_of,
)
from syncengine.sandbox.syspro.inventory.movements import Movement, leave, move, on_hand, transfer
from syncengine.sandbox.syspro.items import Checked, Processed, process
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.xmlout import Node, counters

Check = Callable[[Posting, Element], Checked]


def invtma(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Quantity is a signed difference, or with PhysicalCount Y what was counted."""
    posting = Posting.of(company, params, PhysicalCount="N")
    return _run(posting, session, document, _adjustment, "postinvadjustments")


def invtmr(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Receipts without a purchase order, with a unit cost or a total cost."""
    return _run(Posting.of(company, params), session, document, _receipt, "postinvreceipts")


def invtme(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Issues to an expense account."""
    return _run(Posting.of(company, params), session, document, _issue, "postinvexpenseissues")


def invtmo(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Transfers out; with Immediate Y they arrive at once."""
    posting = Posting.of(company, params, CreateDestinationWarehouse="N")
    return _run(posting, session, document, _transfer, "postinvwhtransferout")


def invtmi(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Transfers in: what an INVTMO without Immediate took out."""
    return _run(Posting.of(company, params), session, document, _arrival, "postinvwhtransferin")


# -- the items ---------------------------------------------------------------------------------------------------------


def _adjustment(posting: Posting, item: Element) -> Checked:
    entry = entry_of(posting, item, {"Warehouse": WAREHOUSE})
    warehouse = check_place(posting, entry, "Warehouse")
    if posting.values["PhysicalCount"] == "Y":
        if entry.quantity < 0:
            entry.section.refuse("negative", "Quantity", entry.quantity)
        return _checked(posting, entry, lambda: _count(posting, entry, warehouse))
    check_enough(posting, entry, warehouse, -entry.quantity if entry.quantity < 0 else Decimal(0))
    return _checked(posting, entry, lambda: _post(posting, entry, warehouse, entry.quantity, "A"))


def _count(posting: Posting, entry: Entry, warehouse: str) -> None:
    difference = entry.quantity - on_hand(posting.company, entry.code, warehouse)
    _post(posting, entry, warehouse, difference, "P")


def _receipt(posting: Posting, item: Element) -> Checked:
    entry = entry_of(posting, item, {"Warehouse": WAREHOUSE, "UnitCost": COST, "TotalCost": COST})
    warehouse = check_place(posting, entry, "Warehouse")
    check_positive(entry)
    each, total = entry.section.amount("UnitCost"), entry.section.amount("TotalCost")
    if (each is None) == (total is None):
        entry.section.refuse("one_cost", "UnitCost", entry.code)
    cost = total / entry.quantity if total is not None and entry.quantity else each
    return _checked(posting, entry, lambda: _post(posting, entry, warehouse, entry.quantity, "R", cost))


def _issue(posting: Posting, item: Element) -> Checked:
    entry = entry_of(posting, item, {"Warehouse": WAREHOUSE})
    warehouse = check_place(posting, entry, "Warehouse")
    check_positive(entry)
    check_enough(posting, entry, warehouse, entry.quantity)
    return _checked(posting, entry, lambda: _post(posting, entry, warehouse, -entry.quantity, "I"))


def _transfer(posting: Posting, item: Element) -> Checked:
    entry = entry_of(posting, item, {"FromWarehouse": WAREHOUSE, "ToWarehouse": WAREHOUSE, "Immediate": YES_NO})
    creates = posting.values["CreateDestinationWarehouse"] == "Y"
    source = check_place(posting, entry, "FromWarehouse")
    target = check_place(posting, entry, "ToWarehouse", may_lack=creates)
    check_positive(entry)
    check_enough(posting, entry, source, entry.quantity)

    def apply() -> None:
        if creates:
            people.stock_in(posting.company, entry.code, target)
        out = _movement(posting, entry, source, -entry.quantity, "T")
        if entry.section.flag("Immediate") == "Y":
            transfer(posting.company, out, target)
        else:
            leave(posting.company, out, target)

    return _checked(posting, entry, apply)


def _arrival(posting: Posting, item: Element) -> Checked:
    entry = entry_of(posting, item, {"Warehouse": WAREHOUSE})
    warehouse = check_place(posting, entry, "Warehouse")
    check_positive(entry)
    return _checked(posting, entry, lambda: _post(posting, entry, warehouse, entry.quantity, "T"))


def _checked(posting: Posting, entry: Entry, apply: Callable[[], None]) -> Checked:
    def applied() -> list[Node]:
        apply()
        reference = entry.section.text("Reference")
        posting.company.effect("InvMovements", "created", entry.code, reference, quantity=str(entry.quantity))
        return []

    return Checked(entry.problems, applied)


def _post(
    posting: Posting, entry: Entry, warehouse: str, quantity: Decimal, kind: str, unit_cost: Decimal | None = None
) -> None:
    move(posting.company, _movement(posting, entry, warehouse, quantity, kind, unit_cost))


def _movement(
    posting: Posting, entry: Entry, warehouse: str, quantity: Decimal, kind: str, unit_cost: Decimal | None = None
) -> Movement:
    more = {"AddReference": entry.section.text("Notation")[:50], "LotSerial": entry.section.text("Lot")}
    return Movement(
        entry.code,
        warehouse,
        quantity,
        kind,
        entry.section.text("Reference"),
        posting.on,
        posting.period,
        unit_cost,
        more | posting.entry(warehouse),
    )


# -- the reply ---------------------------------------------------------------------------------------------------------


def _run(posting: Posting, session: Session, document: Element, check: Check, root: str) -> str:
    done = process(document, posting.options, lambda item: check(posting, item))
    style = posting.company.style(session)
    nodes = [
        Node("Item", [Node("ItemNumber", style.count(number)), *item])
        for number, item in enumerate(done.items, start=1)
    ]
    return style.document(root, [*nodes, *_key(posting), _status(posting, session, done)])


def _status(posting: Posting, session: Session, done: Processed) -> Node:
    style = posting.company.style(session)
    return counters(style, ItemsProcessed=len(done.items) - done.invalid, ItemsInvalid=done.invalid)


def _key(posting: Posting) -> list[Node]:
    """Once for a document that posted something."""
    if not posting.journal:
        return []
    year, month = str(posting.period[0]), f"{posting.period[1]:02d}"
    ledger = [("GlYear", year), ("GlPeriod", month), ("GlJournal", f"{posting.company.next_number('journal'):05d}")]
    content = [
        Node("JnlYear", year),
        Node("JnlMonth", month),
        Node("Journal", f"{posting.journal:05d}"),
        Node("EntryNumber", "00001"),
        Node("Warehouse", posting.warehouse),
        Node("GlJournal", [Node(name, value) for name, value in ledger]),
    ]
    return [Node("Key", content)]

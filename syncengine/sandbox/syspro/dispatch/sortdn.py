"""SORTDN: dispatch notes from orders. Source: syspro-objects.md section 9.2 and the vendor's 7.0 schemas.

All notes of a document are checked before any is made. A blank or zero DispatchQty is the full quantity, a blank
BasisForDispatch takes back orders, and a blank NonMerchandiseSource leaves the order's charges where they are. Assumed: the
form of a refusal; that the quantity of the basis is the most that N dispatches; that W ignores warnings as Y does.
Not simulated: charges in the document, units and pieces, bins, custom forms, AppendToExistingLine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.dispatch import notes
from syncengine.sandbox.syspro.dispatch.notes import Draft, Part
from syncengine.sandbox.syspro.inventory.movements import allows_negative, is_short
from syncengine.sandbox.syspro.items import group
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, Value, amount_of, text_of
from syncengine.sandbox.syspro.texts import EnetError, Problem, problem
from syncengine.sandbox.syspro.xmlin import DAY, Field, Section, children, choice, num, parameters, read, txt
from syncengine.sandbox.syspro.xmlout import Node

_ZERO = Decimal(0)
#: What earlier notes of the document take, by order and line.
_Taken = dict[tuple[str, str], Decimal]
_HEADER: Mapping[str, Field] = {
    "SalesOrder": txt(20),
    "ShippingInstrs": txt(50, 30),
    "ShippingInstrsCode": txt(6),
    "CustomerName": txt(50, 30),
    **{f"ShipAddress{number}": txt(40) for number in "12345"},
    "ShipPostalCode": txt(10, 9),
    "MultiShipCode": txt(5),
    "SpecialInstrs": txt(30),
    "PlannedDispatchDate": DAY,
    "UserDefined1": txt(15),
    "UserDefined2": txt(15),
    "DispatchNoteNumber": txt(20, 15),
    "DispatchComments": txt(240),
    "DispatchStatusPrinted": choice("YN"),
    "ActualDispatchDate": DAY,
}
_LINE: Mapping[str, Field] = {
    "SalesOrderLine": num(4),
    "DispatchQty": num(12, 6),
    "DispatchZeroQty": choice("YN"),
    "OverOrUnderDispatch": choice("NOU"),
    "Lot": txt(50, 10),
}
#: Element to column of MdnMaster.
_COLUMNS = {
    "ShippingInstrs": "ShippingInstrs",
    "CustomerName": "DispatchCustName",
    **{f"ShipAddress{number}": f"DispatchAddress{number}" for number in "12345"},
    "ShipPostalCode": "DispatchPostalCode",
    "MultiShipCode": "MultiShipCode",
    "SpecialInstrs": "SpecialInstrs",
    "PlannedDispatchDate": "PlannedDeliverDate",
    "UserDefined1": "UserField1",
    "UserDefined2": "UserField2",
}
_MOST_COMMENTS, _COMMENT_WIDTH = 4, 60
_DEFAULTS = {
    "ValidateOnly": "N",
    "IgnoreWarnings": "N",
    "BasisForDispatch": "B",
    "NonMerchandiseSource": "I",
    "PostingPeriod": "C",
}


@dataclass(slots=True)
class Checked:
    """One note of the document after its checks."""

    shown: str
    draft: Draft | None = None
    problems: list[Problem] = field(default_factory=list)


def sortdn(company: Company, session: Session, _method: str, params: Element | None, document: Element) -> str:
    """Transaction/Post SORTDN.

    Raises:
        EnetError: the document has no dispatch note.
    """
    values = parameters(params, _DEFAULTS)
    given = list(children(document, "DispatchNote"))
    if not given:
        raise EnetError("XML element 'DispatchNote' not found")
    taken: _Taken = {}
    checked = [_check(company, each, values, taken) for each in given]
    may_apply = values["ValidateOnly"] == "N" and not any(each.problems for each in checked)
    journal = company.next_number("journal") if may_apply else 0
    made = [_apply(company, each, journal) if may_apply and each.draft else None for each in checked]
    return _reply(company, session, checked, made, journal)


def _apply(company: Company, checked: Checked, journal: int) -> Row | None:
    draft = checked.draft
    if draft is None:
        return None
    draft.journal = {"Journal": journal, "JournalEntry": 1}
    return notes.create(company, draft)


# -- checks ------------------------------------------------------------------------------------------------------------


def _check(company: Company, element: Element, values: Mapping[str, str], taken: _Taken) -> Checked:
    head = element.find("DispatchHeader")
    header = read(Element("x") if head is None else head, _HEADER, company.reading(), repeats=("DispatchComments",))
    number = header.text("SalesOrder")
    checked = Checked(number, problems=header.problems)
    order = company.order(number) if number else None
    if order is None:
        if number:
            header.refuse("not_found", "SalesOrder", "Sales order", number)
        else:
            header.refuse("100030", "SalesOrder", "{DispatchHeader}{SalesOrder}")
        return checked
    checked.shown = text_of(order, "SalesOrder")
    if not company.switches.on("syspro_dispatch_notes"):
        header.refuse("no_dispatch", "SalesOrder")
    if booking.is_cancelled(order) or order["OrderStatus"] not in ("1", "2", "3"):
        header.refuse("status", "SalesOrder", company.shown(checked.shown), order["OrderStatus"], "dispatched")
    details = element.find("DispatchDetails")
    parts = _parts(company, order, details, values, checked, taken) if details is not None else []
    if not parts and not checked.problems:
        header.refuse("100030", "DispatchDetails", "{DispatchDetails}{MerchandiseLine}")
    _refuse_charges(details, checked)
    number_given = _number(company, header)
    with_charges = values["NonMerchandiseSource"] == "S"
    checked.draft = Draft(order, parts, with_charges, _status(company, header), number_given, _values(company, header))
    return checked


def _parts(
    company: Company, order: Row, details: Element, values: Mapping[str, str], checked: Checked, taken: _Taken
) -> list[Part]:
    found: list[Part] = []
    for element in children(details, "MerchandiseLine"):
        section = read(element, _LINE, company.reading())
        part = _part(company, order, section, values, taken)
        checked.problems.extend(section.problems)
        if part is not None and not section.problems:
            key = text_of(order, "SalesOrder"), str(part.line["SalesOrderLine"])
            taken[key] = taken.get(key, _ZERO) + part.quantity
            found.append(part)
    for part in found:
        _refuse_short(company, part, found, values, checked)
    return found


def _part(company: Company, order: Row, section: Section, values: Mapping[str, str], taken: _Taken) -> Part | None:
    number = section.amount("SalesOrderLine")
    line = company.table("SorDetail").get(text_of(order, "SalesOrder"), f"{int(number or 0):04d}")
    shown = company.shown(text_of(order, "SalesOrder"))
    if line is None:
        section.refuse("line", "SalesOrderLine", number or "", shown)
        return None
    if line["LineType"] not in notes.MERCHANDISE or line["MCompleteFlag"] == "Y":
        section.refuse("line_type", "SalesOrderLine", number, shown)
        return None
    basis = "S" if values["BasisForDispatch"] == "S" else "B"
    most = amount_of(line, "MShipQty" if basis == "S" else "MBackOrderQty")
    most = max(_ZERO, most - taken.get((text_of(order, "SalesOrder"), str(line["SalesOrderLine"])), _ZERO))
    quantity = section.amount("DispatchQty") or _ZERO
    if not quantity and section.flag("DispatchZeroQty") != "Y":
        quantity = most  # blank and 0 mean all of it
    mode = section.flag("OverOrUnderDispatch")
    if quantity < 0 or (quantity > most and mode != "O") or (not quantity and not most):
        section.refuse("release", "DispatchQty", shown, line["SalesOrderLine"], quantity)
    serials = ",".join((each.findtext("SerialNumber") or "").strip() for each in section.element.findall("Serials"))
    _check_item(company, section, line, serials)
    return Part(line, quantity, basis, mode == "U" and quantity < most, section.text("Lot"), serials)


def _check_item(company: Company, section: Section, line: Row, serials: str) -> None:
    stock = company.table("InvMaster").get(text_of(line, "MStockCode"))
    if stock is None:
        return
    code = text_of(stock, "StockCode")
    if stock["StockOnHold"] == "F":
        section.refuse("stock_on_hold", "SalesOrderLine", code)
    if stock["TraceableType"] in ("T", "I") and not section.text("Lot"):
        section.refuse("lot", "Lot", code)
    if stock["SerialMethod"] in ("M", "B") and not serials:
        section.refuse("serials", "Serials", code)


def _refuse_short(
    company: Company, part: Part, all_parts: list[Part], values: Mapping[str, str], checked: Checked
) -> None:
    """Refuse what is not on hand: always, or with IgnoreWarnings N where the warehouse may be negative."""
    line = part.line
    if line["LineType"] != "1" or not company.switches.on("syspro_dispatch_relieves"):
        return
    code, warehouse = text_of(line, "MStockCode"), text_of(line, "MWarehouse")
    same = [each for each in all_parts if (each.line["MStockCode"], each.line["MWarehouse"]) == (code, warehouse)]
    needed = sum((each.quantity * notes.units_of(company, each.line) for each in same), _ZERO)
    is_warning = allows_negative(company, warehouse)
    if is_short(company, code, warehouse, needed) and not (is_warning and values["IgnoreWarnings"] != "N"):
        checked.problems.append(problem("not_enough", "DispatchQty", needed, needed, code, warehouse))


def _refuse_charges(details: Element | None, checked: Checked) -> None:
    for name in ("MiscChargeLine", "FreightLine", "CommentLine"):
        if details is not None and details.find(name) is not None:
            checked.problems.append(problem("charge_lines", name, "", name))


def _number(company: Company, header: Section) -> str:
    """The number of a site that numbers its notes by hand."""
    given = header.text("DispatchNoteNumber")
    if company.switches.text("syspro_dispatch_numbers") != "manual":
        return ""
    if not given:
        header.refuse("100030", "DispatchNoteNumber", "{DispatchHeader}{DispatchNoteNumber}")
    elif company.table("MdnMaster").get(given) is not None:
        header.refuse("120001", "DispatchNoteNumber", given, "MdnMaster")
    return given


def _status(company: Company, header: Section) -> str:
    if header.flag("DispatchStatusPrinted") != "Y":
        return notes.CREATED
    return notes.PRINTED if company.switches.on("syspro_manual_release") else notes.TO_INVOICE


def _values(company: Company, header: Section) -> dict[str, Value]:
    values = {column: header.values[name] for name, column in _COLUMNS.items() if name in header.values}
    lines = [
        line
        for text in header.repeats.get("DispatchComments", [])
        for line in (text[at : at + _COMMENT_WIDTH] for at in range(0, len(text), _COMMENT_WIDTH))
    ]
    if len(lines) > _MOST_COMMENTS:
        header.refuse("too_long", "DispatchComments", "DispatchComments", _MOST_COMMENTS * _COMMENT_WIDTH)
    comments = {f"DispatchComments{number}": line for number, line in enumerate(lines[:_MOST_COMMENTS], start=1)}
    if header.flag("DispatchStatusPrinted") == "Y":
        values["ActualDeliveryDate"] = header.day("ActualDispatchDate") or company.today()
    return values | comments


# -- the reply ---------------------------------------------------------------------------------------------------------


def _reply(company: Company, session: Session, checked: list[Checked], made: list[Row | None], journal: int) -> str:
    style = company.style(session)
    nodes = []
    for each, note in zip(checked, made, strict=True):
        content = [Node("Key", [Node("SalesOrder", each.shown)]), *(group(found) for found in each.problems)]
        if note is not None:
            lines = notes.lines_of(company, note)
            content += [
                Node("DispatchDetails", f"{len(lines):04d}"),
                Node("DispatchNoteNumber", text_of(note, "DispatchNote")),
                Node("Customer", text_of(note, "Customer")),
            ]
        nodes.append(Node("DispatchNote", content))
    if journal and company.switches.on("syspro_dispatch_relieves"):
        nodes.append(_journal(company, made, journal))
    invalid = sum(bool(each.problems) for each in checked)
    counts = {"ItemsProcessed": len(checked) - invalid, "ItemsInvalid": invalid}
    nodes.append(Node("StatusofItems", [Node(name, style.count(count)) for name, count in counts.items()]))
    return style.document("postdispatchnotes", nodes)


def _journal(company: Company, made: list[Row | None], journal: int) -> Node:
    today: date = company.today()
    year, month = str(today.year), f"{today.month:02d}"
    first = next(note for note in made if note is not None)
    ledger = [("GlYear", year), ("GlPeriod", month), ("GlJournal", f"{company.next_number('journal'):05d}")]
    content = [
        Node("JnlYear", year),
        Node("JnlMonth", month),
        Node("Journal", f"{journal:05d}"),
        Node("EntryNumber", "00001"),
        Node("Warehouse", text_of(notes.lines_of(company, first)[0], "MWarehouse")),
        Node("GlJournal", [Node(name, value) for name, value in ledger]),
    ]
    return Node("JnlKey", content)

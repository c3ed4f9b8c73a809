"""What a dispatch note does to its order and to stock, from its creation to its invoice or its cancellation.

Assumed: what is dispatched is no longer allocated; the order keeps its status, or has 2 once only back orders are left; it is
complete when all its lines are invoiced; NumDispatches never goes down; a cancelled quantity goes where a switch says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from syncengine.sandbox.syspro import booking, invoicing
from syncengine.sandbox.syspro.inventory.movements import Movement, add_to, move
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, Value, amount_of, integer_of, text_of

ZERO = Decimal(0)
CREATED, PRINTED, TO_INVOICE, INVOICED, CANCELLED = "3", "5", "7", "9", "*"
HELD = ("S", "H")
LIVE = (CREATED, PRINTED, TO_INVOICE, *HELD)
MERCHANDISE = ("1", "7")
_CHARGES = ("4", "5")


@dataclass(frozen=True, slots=True)
class Part:
    """A quantity of an order line, in its order unit. basis: B takes back order quantity first, S ship quantity.

    closes: what is left of the line is given up.
    """

    line: Row
    quantity: Decimal
    basis: str = "S"
    closes: bool = False
    lot: str = ""
    serials: str = ""


@dataclass(slots=True)
class Draft:
    """A note that is to be made. values: further columns of MdnMaster. journal: columns of its movements."""

    order: Row
    parts: list[Part]
    with_charges: bool = True
    status: str = CREATED
    number: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    journal: Mapping[str, Value] = field(default_factory=dict)


def create(company: Company, draft: Draft) -> Row:
    """Make a dispatch note that has passed its checks; its goods leave now or when it is invoiced."""
    order, table = draft.order, company.table("MdnMaster")
    note = table.insert(
        **{
            "DispatchNote": draft.number or next_number(company, order),
            "NextDetailLine": 1,
            "DispatchNoteStatus": draft.status,
            "PlannedDeliverDate": order["ReqShipDate"],
            "LastOperator": order["LastOperator"],
            "EntryDate": company.today(),
            **_copied(order),
            **draft.values,
        }
    )
    for part in draft.parts:
        _add_line(company, note, part.line, part)
        _dispatch(company, note, part, draft.journal)
    for line in open_charges(company, order) if draft.with_charges else ():
        _add_line(company, note, line, None)
    count = integer_of(order, "NumDispatches") + 1
    company.table("SorMaster").update(order, DispatchesMade="Y", LiveDispExist="Y", NumDispatches=count)
    is_waiting = not _total(company, order, "MShipQty") and _total(company, order, "MBackOrderQty")
    if order["OrderStatus"] in ("1", "3") and is_waiting:
        company.table("SorMaster").update(order, OrderStatus="2")
    company.effect("MdnMaster", "created", note["DispatchNote"], text_of(note, "UserField2"))
    company.order_effect("dispatched", order, note=note["DispatchNote"])
    return note


def next_number(company: Company, order: Row) -> str:
    """The number that a note of this order gets: the order's with a counter, or one of its own, as the site has it."""
    if company.switches.text("syspro_dispatch_numbers") == "number":
        return f"{company.next_number('dispatch'):015d}"
    return f"{order['SalesOrder']}/{integer_of(order, 'NumDispatches') + 1:04d}"


def open_charges(company: Company, order: Row) -> list[Row]:
    """The charges of an order that are neither invoiced nor on a live note."""
    dispatched = {
        line["SalesOrderLine"]
        for note in live_notes(company, order)
        for line in lines_of(company, note)
        if line["LineType"] in _CHARGES
    }
    return [
        line
        for line in company.lines(order)
        if line["LineType"] in _CHARGES and line["MCompleteFlag"] != "Y" and line["SalesOrderLine"] not in dispatched
    ]


def live_notes(company: Company, order: Row) -> list[Row]:
    """The notes of an order that are neither invoiced nor cancelled."""
    notes = company.table("MdnMaster").by("SalesOrder", order["SalesOrder"])
    return [note for note in notes if note["DispatchNoteStatus"] in LIVE]


def lines_of(company: Company, note: Row) -> list[Row]:
    """A note's lines by number."""
    return company.table("MdnDetail").by("DispatchNote", note["DispatchNote"])


def order_of(company: Company, note: Row) -> Row:
    """The order of a note."""
    order = company.table("SorMaster").get(text_of(note, "SalesOrder"))
    if order is None:
        raise KeyError(f"no sales order {note['SalesOrder']}")
    return order


def set_status(company: Company, note: Row, status: str, **values: Value) -> None:
    """Set a note's status; the one before it is kept."""
    before = note["DispatchNoteStatus"]
    held = {"StatusWhenHeld": before} if status in HELD else {}
    company.table("MdnMaster").update(note, DispatchNoteStatus=status, PrevStatus=before, **held, **values)
    company.effect("MdnMaster", "changed", note["DispatchNote"], text_of(note, "UserField2"), status=status)


def cancel(company: Company, note: Row, lines: Sequence[Row]) -> None:
    """Cancel lines of a note: their goods are back in stock, their quantities back on the order."""
    order = order_of(company, note)
    for detail in lines:
        if detail["LineType"] in MERCHANDISE and amount_of(detail, "MShipQty"):
            _bring_back(company, note, detail)
        company.table("MdnDetail").update(detail, MShipQty=ZERO, MStockQtyToShp=ZERO, NMscChargeValue=ZERO)
    if not any(amount_of(detail, "MShipQty") for detail in lines_of(company, note)):
        set_status(company, note, CANCELLED)
    is_live = "Y" if live_notes(company, order) else "N"
    company.table("SorMaster").update(order, LiveDispExist=is_live)
    booking.update_back_order_status(company, order)
    company.order_effect("dispatch cancelled", order, note=note["DispatchNote"])


def invoice(company: Company, note: Row, on: date) -> Row:
    """Invoice a note; returns the AR invoice."""
    order = order_of(company, note)
    billed: list[tuple[Row, Decimal]] = []
    for detail in lines_of(company, note):
        line = _order_line(company, detail)
        if detail["LineType"] in MERCHANDISE and amount_of(detail, "MShipQty"):
            billed.append((line, amount_of(detail, "MShipQty")))
        elif detail["LineType"] in _CHARGES:
            billed.append((line, Decimal(1)))
    created = invoicing.bill(company, order, billed, on, text_of(note, "DispatchNote"))
    for line, quantity in billed:
        _complete(company, note, line, quantity, created)
    set_status(company, note, INVOICED, Invoice=created["Invoice"], InvoiceCreatedDate=on)
    is_live = "Y" if live_notes(company, order) else "N"
    company.table("SorMaster").update(order, LiveDispExist=is_live)
    if all(line["MCompleteFlag"] == "Y" or line["LineType"] == "6" for line in company.lines(order)):
        booking.set_status(company, order, "9")
    return created


def _copied(order: Row) -> dict[str, Value]:
    same = (
        "SalesOrder", "Customer", "CustomerName", "CustomerPoNumber", "ShippingInstrs", "SpecialInstrs", "Salesperson",
        "Branch", "Area", "Currency", "OrderType", "MultiShipCode",
    )  # fmt: skip
    address: dict[str, Value] = {f"DispatchAddress{number}": order[f"ShipAddress{number}"] for number in "12345"}
    address |= {"DispatchPostalCode": order["ShipPostalCode"], "DispatchCustName": order["CustomerName"]}
    return {name: order[name] for name in same} | address


def _add_line(company: Company, note: Row, line: Row, part: Part | None) -> None:
    number = integer_of(note, "NextDetailLine")
    same = (
        "SalesOrder", "SalesOrderLine", "LineType", "MStockCode", "MStockDes", "MWarehouse", "MOrderQty", "MOrderUom",
        "MStockingUom", "MPrice", "MPriceUom", "NComment", "NMscChargeValue",
    )  # fmt: skip
    values: Row = {name: line[name] for name in same}
    if part is not None:
        units = part.quantity * units_of(company, line)
        values |= {"MShipQty": part.quantity, "MStockQtyToShp": units, "Lot": part.lot, "Serials": part.serials}
    company.table("MdnDetail").insert(DispatchNote=note["DispatchNote"], DispatchNoteLine=number, **values)
    company.table("MdnMaster").update(note, NextDetailLine=number + 1)


def _dispatch(company: Company, note: Row, part: Part, journal: Mapping[str, Value]) -> None:
    line, quantity = part.line, part.quantity
    ship, back = amount_of(line, "MShipQty"), amount_of(line, "MBackOrderQty")
    first, second = (ship, back) if part.basis == "S" else (back, ship)
    from_first = min(first, quantity)
    from_second = min(second, quantity - from_first)
    excess = quantity - from_first - from_second
    left = (first - from_first, second - from_second)
    ship, back = (ZERO, ZERO) if part.closes else left if part.basis == "S" else (left[1], left[0])
    units = units_of(company, line)
    booking.change_line(
        company,
        line,
        MOrderQty=amount_of(line, "MOrderQty") + excess,
        MShipQty=ship,
        MBackOrderQty=back,
        MStockQtyToShp=ship * units,
        MQtyDispatched=amount_of(line, "MQtyDispatched") + quantity,
        MLastDelNote=note["DispatchNote"],
    )
    if line["LineType"] != "1":
        return
    add_to(company, text_of(line, "MStockCode"), text_of(line, "MWarehouse"), QtyDispatched=quantity * units)
    if company.switches.on("syspro_dispatch_relieves"):
        move(company, _sale(note, line, -quantity * units, {**journal, "LotSerial": part.lot}))


def _bring_back(company: Company, note: Row, detail: Row) -> None:
    line, quantity = _order_line(company, detail), amount_of(detail, "MShipQty")
    units = units_of(company, line)
    column = "MShipQty" if company.switches.text("syspro_cancelled_dispatch_goes_to") == "ship" else "MBackOrderQty"
    changed = {column: amount_of(line, column) + quantity}
    ship = changed.get("MShipQty", amount_of(line, "MShipQty"))
    dispatched = amount_of(line, "MQtyDispatched") - quantity
    booking.change_line(company, line, MQtyDispatched=dispatched, MStockQtyToShp=ship * units, **changed)
    if line["LineType"] != "1":
        return
    add_to(company, text_of(line, "MStockCode"), text_of(line, "MWarehouse"), QtyDispatched=-quantity * units)
    if company.switches.on("syspro_dispatch_relieves"):
        move(company, _sale(note, line, quantity * units, {}))


def _complete(company: Company, note: Row, line: Row, quantity: Decimal, created: Row) -> None:
    """Take an invoiced quantity off what is dispatched of a line; its goods leave, if they have not."""
    if line["LineType"] in _CHARGES:
        company.table("SorDetail").update(line, MCompleteFlag="Y")
        return
    dispatched = amount_of(line, "MQtyDispatched") - quantity
    is_open = dispatched or amount_of(line, "MShipQty") or amount_of(line, "MBackOrderQty")
    company.table("SorDetail").update(line, MQtyDispatched=dispatched, MCompleteFlag="" if is_open else "Y")
    if line["LineType"] != "1":
        return
    units = quantity * units_of(company, line)
    add_to(company, text_of(line, "MStockCode"), text_of(line, "MWarehouse"), QtyDispatched=-units)
    if not company.switches.on("syspro_dispatch_relieves"):
        move(company, _sale(note, line, -units, {"Invoice": created["Invoice"]}))


def _sale(note: Row, line: Row, units: Decimal, more: Mapping[str, Value]) -> Movement:
    names = ("SalesOrder", "Customer", "DispatchNote")
    code, warehouse = text_of(line, "MStockCode"), text_of(line, "MWarehouse")
    on = note["ActualDeliveryDate"]
    day = on if isinstance(on, date) and units < 0 else None
    own = {name: note[name] for name in names}
    return Movement(code, warehouse, units, "S", text_of(note, "CustomerPoNumber"), day, more={**own, **more})


def _order_line(company: Company, detail: Row) -> Row:
    line = company.table("SorDetail").get(text_of(detail, "SalesOrder"), f"{detail['SalesOrderLine']:0>4}")
    if line is None:
        raise KeyError(f"sales order {detail['SalesOrder']} has no line {detail['SalesOrderLine']}")
    return line


def units_of(company: Company, line: Row) -> Decimal:
    """How many stocking units one order unit of a line is."""
    stock = company.table("InvMaster").get(text_of(line, "MStockCode"))
    found = booking.stocking_units(stock, text_of(line, "MOrderUom")) if stock is not None else None
    return found or Decimal(1)


def _total(company: Company, order: Row, column: str) -> Decimal:
    return sum((amount_of(line, column) for line in company.lines(order)), ZERO)

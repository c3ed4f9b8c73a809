"""What moves stock: every change of QtyOnHand passes here, and leaves a row in InvMovements and in the physical journal.

`_StockJournal` says when each change was posted, by whom and what was on hand after it, so that tests can judge by it. Source:
syspro-objects.md sections 5 and 10. Assumed: TrnQty has the sign of the change, TrnTime is HHMMSS and hundredths, cost is the
moving average, a movement of 0 does not touch DateLastStockMove, and which date a back-dated entry leaves (a switch).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, Value, amount_of
from syncengine.sandbox.syspro.xmlout import rounded

ZERO = Decimal(0)

_DATES = {"S": "DateLastSale", "R": "DateLastPurchase", "P": "DateLastStockCnt"}


@dataclass(frozen=True, slots=True)
class Movement:
    """One change of stock.

    quantity: signed, in stocking units. kind: InvMovements.TrnType. on: the date it is posted for, None for today.
    period: (year, month), None for the current one. unit_cost: of goods that come in, None for the warehouse's cost.
    more: further columns of InvMovements.
    """

    stock_code: str
    warehouse: str
    quantity: Decimal
    kind: str
    reference: str = ""
    on: date | None = None
    period: tuple[int, int] | None = None
    unit_cost: Decimal | None = None
    more: Mapping[str, Value] = field(default_factory=dict)


def place(company: Company, stock_code: str, warehouse: str) -> Row:
    """The row of InvWarehouse.

    Raises:
        KeyError: the stock code is not stocked there.
    """
    row = company.table("InvWarehouse").get(stock_code, warehouse)
    if row is None:
        raise KeyError(f"{stock_code} is not stocked in {warehouse}")
    return row


def move(company: Company, movement: Movement) -> Row:
    """Post a movement, whatever is on hand; returns its row in InvMovements.

    Raises:
        KeyError: the stock code is not stocked there.
    """
    row = place(company, movement.stock_code, movement.warehouse)
    now = company.now()
    on = movement.on or now.date()
    day = on if company.switches.text("syspro_stock_move_date") == "transaction" else now.date()
    own_cost = amount_of(row, "UnitCost")
    given = own_cost if movement.unit_cost is None else movement.unit_cost
    average = _average(row, movement.quantity, given)
    values: Row = {"QtyOnHand": amount_of(row, "QtyOnHand") + movement.quantity, "UnitCost": average}
    dates = [_DATES[movement.kind]] if movement.kind in _DATES else []
    dates += ["DateLastStockMove"] if movement.quantity else []
    dates += ["DateLastCostChange"] if average != own_cost else []
    company.table("InvWarehouse").update(row, **values, **{name: _later(row[name], day) for name in dates})
    _note(company, movement, row, on, now)
    return _enter(company, movement, given, day, now)


def on_hand(company: Company, stock_code: str, warehouse: str) -> Decimal:
    """What is on hand. Raises KeyError as `place` does."""
    return amount_of(place(company, stock_code, warehouse), "QtyOnHand")


def transfer(company: Company, out: Movement, target: str) -> None:
    """Post a movement out of a warehouse (its quantity negative) and the same into `target`, at the same cost.

    Raises:
        KeyError: the stock code is not stocked in one of them.
    """
    cost = amount_of(place(company, out.stock_code, out.warehouse), "UnitCost")
    place(company, out.stock_code, target)
    leave(company, out, target)
    more = {**out.more, "NewWarehouse": out.warehouse}
    move(company, replace(out, warehouse=target, quantity=-out.quantity, unit_cost=cost, more=more))


def leave(company: Company, out: Movement, target: str) -> None:
    """Post the first half of a transfer alone: the goods are out of one warehouse, and not yet in `target`."""
    move(company, replace(out, more={**out.more, "NewWarehouse": target}))


def add_to(company: Company, stock_code: str, warehouse: str, **quantities: Decimal) -> Row:
    """Change quantities that are not on hand (QtyInTransit, QtyAllocatedWip, ...) by these amounts; returns the row.

    Raises:
        KeyError: the stock code is not stocked there.
        ValueError: one of them would be less than 0.
    """
    row = place(company, stock_code, warehouse)
    values = {name: amount_of(row, name) + change for name, change in quantities.items()}
    for name, value in values.items():
        if value < 0:
            raise ValueError(f"{name} of {stock_code} in {warehouse} would be {value}")
    company.table("InvWarehouse").update(row, **values)
    return row


def is_short(company: Company, stock_code: str, warehouse: str, quantity: Decimal) -> bool:
    """Whether this much (positive) is more than is on hand."""
    return quantity > on_hand(company, stock_code, warehouse)


def allows_negative(company: Company, warehouse: str) -> bool:
    """Whether the warehouse may be taken below zero (InvWhControl.NegStockAllow)."""
    control = company.table("InvWhControl").get(warehouse)
    return control is not None and control["NegStockAllow"] == "Y"


def _average(row: Row, quantity: Decimal, cost: Decimal) -> Decimal:
    before, own = amount_of(row, "QtyOnHand"), amount_of(row, "UnitCost")
    if quantity <= 0 or cost == own:
        return own
    if before <= 0:
        return cost
    return rounded((before * own + quantity * cost) / (before + quantity), 5)


def _later(before: Value, day: date) -> date:
    return max(before, day) if isinstance(before, date) else day


def _enter(company: Company, movement: Movement, cost: Decimal, day: date, now: datetime) -> Row:
    year, month = movement.period or (now.year, now.month)
    values: Row = {
        "StockCode": movement.stock_code,
        "Warehouse": movement.warehouse,
        "Sequence": f"{company.next_number('movement'):08d}",
        "TrnYear": year,
        "TrnMonth": month,
        "EntryDate": day,
        "TrnTime": Decimal(f"{now:%H%M%S}{now.microsecond // 10_000:02d}"),
        "MovementType": "S" if movement.kind == "S" else "I",
        "TrnType": movement.kind,
        "TrnQty": movement.quantity,
        "TrnValue": rounded(movement.quantity * cost, 2),
        "UnitCost": cost,
        "Reference": movement.reference,
    }
    return company.table("InvMovements").insert(**values, **movement.more)


def _note(company: Company, movement: Movement, row: Row, on: date, now: datetime) -> None:
    company.table("_StockJournal").insert(
        Sequence=f"{company.next_number('stock_journal'):08d}",
        At=now.isoformat(),
        Dated=on,
        StockCode=movement.stock_code,
        Warehouse=movement.warehouse,
        Quantity=movement.quantity,
        OnHand=row["QtyOnHand"],
        TrnType=movement.kind,
        Reference=movement.reference,
        SalesOrder=movement.more.get("SalesOrder", ""),
        By=company.actor,
    )

"""The warehouse in the background: moves orders 1 -> 4 -> 8 -> 9 as time passes (syspro-transport.md section 13.5).

It needs no thread: every call first makes the moves that are due. Off while `syspro_warehouse_step_s` is 0.
"""

from __future__ import annotations

from datetime import timedelta

from syncengine.sandbox.syspro import booking, invoicing
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, text_of

_NEXT = {"1": "4", "3": "4", "4": "8"}


def move_due_orders(company: Company) -> None:
    """Move every order that is due, one step for each interval that has passed."""
    step = timedelta(seconds=company.switches.number("syspro_warehouse_step_s"))
    if not step:
        return
    now = company.now()
    for order in company.table("SorMaster").rows():
        key = text_of(order, "SalesOrder")
        since = company.moved_at.setdefault(key, now)
        while now - since >= step and advance(company, order):
            since += step
            company.moved_at[key] = since


def advance(company: Company, order: Row) -> bool:
    """Move one order by one step; False if the warehouse cannot move it."""
    status = text_of(order, "OrderStatus")
    with company.as_person():
        if status == "8":
            invoicing.invoice(company, order)
            return True
        if status not in _NEXT or not _can_ship(company, order):
            return False
        booking.set_status(company, order, _NEXT[status])
    return True


def _can_ship(company: Company, order: Row) -> bool:
    lines = [line for line in company.lines(order) if line["LineType"] in ("1", "7")]
    return not lines or any(line["MShipQty"] for line in lines)

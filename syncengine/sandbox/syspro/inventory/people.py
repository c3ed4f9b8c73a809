"""What people do with stock in SYSPRO, beside entering orders.

All take stocking units. `on` is the date that a movement is posted for, None for today.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from syncengine.sandbox.syspro.inventory.movements import (
    ZERO,
    Movement,
    add_to,
    allows_negative,
    is_short,
    leave,
    move,
    on_hand,
    place,
    transfer,
)
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import amount_of


def count(company: Company, code: str, warehouse: str, counted: Decimal, on: date | None = None) -> None:
    """A physical count sets what is on hand."""
    move(company, Movement(code, warehouse, counted - on_hand(company, code, warehouse), "P", "COUNT", on))


def receive(
    company: Company, code: str, warehouse: str, quantity: Decimal, *,
    unit_cost: Decimal | None = None, on: date | None = None, reference: str = "",
) -> None:  # fmt: skip
    """Goods are received; a cost moves the average."""
    move(company, Movement(code, warehouse, quantity, "R", reference, on, unit_cost=unit_cost))


def scrap(company: Company, code: str, warehouse: str, quantity: Decimal, on: date | None = None) -> None:
    """Goods are written off. Raises ValueError if there are not as many and the warehouse may not be negative."""
    take(company, Movement(code, warehouse, -quantity, "A", "SCRAP", on))


def take(company: Company, movement: Movement) -> None:
    """Post a movement out of a warehouse.

    Raises:
        ValueError: there is not as much on hand, and the warehouse may not be negative.
    """
    _refuse_short(company, movement)
    move(company, movement)


def move_to(
    company: Company, code: str, source: str, target: str, quantity: Decimal, *,
    on: date | None = None, in_transit: bool = False,
) -> None:  # fmt: skip
    """A transfer, at once or by goods in transit, which `arrive` brings in.

    Raises:
        ValueError: there is not as much on hand, and the warehouse may not be negative.
    """
    out = Movement(code, source, -quantity, "T", "TRANSFER", on)
    _refuse_short(company, out)
    if in_transit:
        add_to(company, code, target, QtyInTransit=quantity)
        leave(company, out, target)
    else:
        transfer(company, out, target)


def arrive(company: Company, code: str, warehouse: str, quantity: Decimal) -> None:
    """Goods in transit arrive. Raises ValueError if there are not as many on their way."""
    add_to(company, code, warehouse, QtyInTransit=-quantity)
    move(company, Movement(code, warehouse, quantity, "T", "GIT"))


def inspect(company: Company, code: str, warehouse: str, quantity: Decimal) -> None:
    """Goods are received into inspection, where they are not on hand."""
    add_to(company, code, warehouse, QtyInInspection=quantity)


def accept(company: Company, code: str, warehouse: str, quantity: Decimal) -> None:
    """Goods are received from inspection. Raises ValueError if there are not as many in it."""
    add_to(company, code, warehouse, QtyInInspection=-quantity)
    move(company, Movement(code, warehouse, quantity, "R", "INSPECTION"))


# -- jobs --------------------------------------------------------------------------------------------------------------


def allocate(company: Company, job: str, code: str, warehouse: str, quantity: Decimal) -> None:
    """A job needs a material; a negative quantity gives it back. Raises ValueError below 0."""
    table = company.table("_JobMaterial")
    row = table.get(job, code, warehouse)
    if (amount_of(row, "Quantity") if row is not None else ZERO) + quantity < 0:
        raise ValueError(f"job {job} does not need as much of {code}")
    add_to(company, code, warehouse, QtyAllocatedWip=quantity)
    if row is None:
        table.insert(Job=job, StockCode=code, Warehouse=warehouse, Quantity=quantity)
    else:
        table.update(row, Quantity=amount_of(row, "Quantity") + quantity)


def issue(company: Company, job: str, code: str, warehouse: str, quantity: Decimal) -> None:
    """A job's material is issued to it: out of stock, and no longer allocated. Raises ValueError if it is not there."""
    out = Movement(code, warehouse, -quantity, "I", job)
    _refuse_short(company, out)
    allocate(company, job, code, warehouse, -quantity)
    move(company, out)


def produce(
    company: Company, job: str, code: str, warehouse: str, quantity: Decimal,
    *, unit_cost: Decimal | None = None, on: date | None = None,
) -> None:  # fmt: skip
    """A job's product is received into stock."""
    receive(company, code, warehouse, quantity, unit_cost=unit_cost, on=on, reference=job)


# -- setup -------------------------------------------------------------------------------------------------------------


def stock_in(company: Company, code: str, warehouse: str) -> None:
    """Stock a code in a warehouse, with nothing on hand; nothing happens if it is.

    Raises:
        KeyError: the stock code or the warehouse is unknown.
    """
    if company.table("InvMaster").get(code) is None or company.table("InvWhControl").get(warehouse) is None:
        raise KeyError(f"no stock code {code}, or no warehouse {warehouse}")
    if company.table("InvWarehouse").get(code, warehouse) is None:
        company.table("InvWarehouse").insert(
            StockCode=code, Warehouse=warehouse, DefaultBin=warehouse, DateWhAdded=company.today()
        )


def allow_negative(company: Company, warehouse: str, allowed: bool) -> None:
    """Let a warehouse go below zero, or not. Raises KeyError for an unknown one."""
    control = company.table("InvWhControl").get(warehouse)
    if control is None:
        raise KeyError(f"no warehouse {warehouse}")
    company.table("InvWhControl").update(control, NegStockAllow="Y" if allowed else "N")


def _refuse_short(company: Company, movement: Movement) -> None:
    row = place(company, movement.stock_code, movement.warehouse)
    short = is_short(company, movement.stock_code, movement.warehouse, -movement.quantity)
    if short and not allows_negative(company, movement.warehouse):
        raise ValueError(f"only {row['QtyOnHand']} of {movement.stock_code} are on hand in {movement.warehouse}")

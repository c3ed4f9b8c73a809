"""Compared stock levels as a person reads them: a table of many items, or one item in detail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from syncengine.cli._output import counted, wide_console
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import Plan
from syncengine.engine.people.level_comparison import ComparedItem, ComparedMovement, ComparedPlace
from syncengine.errors import Rejected
from syncengine.mapping.runtime import plain
from syncengine.redaction import redact

COLUMNS = (
    "SKU", "warehouse", "SYSPRO", "own demand", "kept back", "in transit", "target", "Brightpearl", "allocated", "differs by",
)  # fmt: skip


def as_doc(item: ComparedItem) -> dict[str, Any]:
    """An item for JSON, complete."""
    doc = {name: value for name, value in _attributes(item).items() if name not in ("outcome", "places")}
    places = [{**asdict(place), "difference": place.difference, "state": _state(place)} for place in item.places]
    outcome = item.outcome
    plan = {"kind": "dead", "reason": str(outcome)} if isinstance(outcome, Rejected) else plan_codec.to_doc(outcome)
    later = outcome.later if isinstance(outcome, Plan) else None
    return {**redact(doc), "differs": item.differs, "plan": redact({**plan, "later": later}), "places": redact(places)}


def _attributes(item: ComparedItem) -> dict[str, Any]:
    """The attributes of an item by name."""
    return {name: getattr(item, name) for name in item.__slots__}


# -- many --------------------------------------------------------------------------------------------------------------


def show_all(found: Sequence[ComparedItem]) -> None:
    """Print a line for each item and warehouse, and why items have none."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("SKU", "warehouse") else "right", no_wrap=True)
    table.add_column("", overflow="fold")
    for item in found:
        for place in item.places:
            table.add_row(*map(Text, (item.name or item.key, *_cells(item, place), _state(place))))
        if not item.places:
            gaps = [""] * (len(COLUMNS) - 1)
            table.add_row(*map(Text, (item.name or item.key, *gaps, _why(item))))
    if table.row_count:
        wide_console().print(table)
    off = sum(item.differs for item in found)
    click.echo(f"{counted(len(found), 'item')} compared, {off:,} with a difference or left out. Nothing was written.")


def _cells(item: ComparedItem, place: ComparedPlace) -> Iterator[str]:
    yield place.place
    yield _number(place.values.get("on_hand"))
    yield _number(place.values.get("own_demand"))
    yield _number(item.values.get("kept_back"))
    yield _range(place.in_transit.low, place.in_transit.high)
    yield _range(place.low, place.high)
    yield _number(place.current)
    yield _number(place.figures.get("allocated"))
    yield f"{place.difference:+f}" if place.difference else "·"


def _state(place: ComparedPlace) -> str:
    """Whether the level is right, and what becomes of it."""
    if place.difference > 0:
        return f"falls to {_number(place.target)}"
    if place.difference < 0:
        held = f", held: {place.held_for}" if place.held_for else ""
        return f"rises to {_number(place.target)}{held}"
    return "equal" if place.low == place.high else "in transit"


def _why(item: ComparedItem) -> str:
    return str(item.outcome) if isinstance(item.outcome, Rejected) else item.outcome.reason


# -- one ---------------------------------------------------------------------------------------------------------------


def show(item: ComparedItem) -> None:
    """Print one item in detail."""
    there = f"Brightpearl product {item.target_key}" if item.target_key else "no product in Brightpearl"
    click.secho(f"{item.name or item.key}: SYSPRO {item.key}, {there}  ({item.connection})", bold=True)
    if item.state:
        click.echo(f"  {item.flow}: {item.state}")
    if isinstance(item.outcome, Rejected):
        click.secho(f"  cannot be planned: {item.outcome}", fg="red")
    elif item.outcome.reason:
        click.echo(f"  now: {item.outcome.kind}: {item.outcome.reason}")
    for system, read in (("SYSPRO", item.source_read), ("Brightpearl", item.target_read)):
        if read:
            click.echo(f"  {system} read between {read[0]:%H:%M:%S} and {read[1]:%H:%M:%S} UTC")
    if item.moved_until:
        click.echo(f"  Brightpearl's movements are known until {item.moved_until:%H:%M:%S} UTC")
    for place in item.places:
        _show_place(item, place)


def _show_place(item: ComparedItem, place: ComparedPlace) -> None:
    values = place.values
    click.secho(f"  warehouse {place.place}", bold=True)
    here = ", ".join(f"{row.get('Warehouse')} {_number(row.get('QtyOnHand'))}" for row in values.get("here", ()))
    _line("SYSPRO on hand", values.get("on_hand"), here)
    _line("less dispatched and not invoiced", values.get("dispatched"), "", leave_out=True)
    shared = f"allocated {_number(values.get('allocated'))}, of which Brightpearl has {_number(values.get('reserved'))}"
    _line("less SYSPRO's own demand", values.get("own_demand"), shared)
    _line(
        "stocking units in one of Brightpearl",
        item.values.get("per_unit"),
        "",
        leave_out=item.values.get("per_unit") == 1,
    )
    _line("less safety stock", item.values.get("kept_back"), "", leave_out=True)
    _text("plus in transit", _range(place.in_transit.low, place.in_transit.high))
    _text(
        "the level should be", _range(place.low, place.high), "a level below 0 is written as 0" if place.low < 0 else ""
    )
    figures = ", ".join(f"{name} {_number(place.figures.get(name))}" for name in ("allocated", "onHand", "inTransit"))
    _text("Brightpearl in stock", _number(place.current), figures)
    _text("", f"{place.difference:+f}" if place.difference else "", _state(place))
    _show_orders(values)
    for moved in place.movements:
        click.echo(f"      {_movement(moved)}")


def _line(name: str, value: Any, about: str, *, leave_out: bool = False) -> None:
    if value is not None and not (leave_out and value in (0, 1)):
        _text(name, _number(value), about)


def _text(name: str, value: str, about: str = "") -> None:
    click.echo(f"    {name:<36}{value:>14}{f'   {about}' if about else ''}".rstrip())


def _show_orders(values: Mapping[str, Any]) -> None:
    """The orders that have allocated the item in SYSPRO, and what Brightpearl has allocated to those that are its own."""
    shared = dict(zip(values.get("orders", ()), values.get("shared", ()), strict=False))
    for line, order in zip(values.get("ours", ()), values.get("order_of", ()), strict=False):
        name = f"SYSPRO order {line.get('SalesOrder')} line {line.get('SalesOrderLine')}"
        theirs = f"Brightpearl order {order}" if order else "not linked with an order of Brightpearl: own demand"
        click.echo(f"      {name} allocates {_number(line.get('Quantity'))}: {theirs}")
    for order, quantity in shared.items():
        click.echo(f"      Brightpearl order {order} allocates {_number(quantity)} of that, too")


def _movement(moved: ComparedMovement) -> str:
    by = "ours" if moved.is_ours else "by others"
    if moved.is_correction:
        effect = f"a correction {by}, in Brightpearl alone"
    elif moved.low == moved.high == 0:
        effect = "in both figures or in neither"
    elif moved.low == moved.high:
        effect = f"counts {moved.low:+f}: in one figure alone"
    else:
        effect = f"counts {_range(moved.low, moved.high)}: nobody knows yet whether both figures have it"
    return f"{moved.at:%Y-%m-%d %H:%M:%S} UTC {moved.note or moved.kind} {moved.quantity:+f}: {effect}"


def _number(value: Any) -> str:
    if value is None:
        return "·"
    if not isinstance(value, int | Decimal):
        return str(value)
    return f"{Decimal(plain(value + Decimal(0))):,f}"  # without the sign of 0


def _range(low: Decimal, high: Decimal) -> str:
    return _number(low) if low == high else f"{_number(low)} to {_number(high)}"

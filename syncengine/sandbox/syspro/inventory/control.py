"""The part of the control API that acts as the people who handle stock. Quantities are in stocking units.

GET  InvWarehouse, InvMovements             as every table
GET  _StockJournal[?StockCode=]             each change of what is on hand: when, for which date, by whom, what was left
POST stock/<code>/<warehouse>               {on_hand, on?}: a count
POST stock/receive                          {stock_code, warehouse, quantity, unit_cost?, on?, reference?}
POST stock/scrap                            {stock_code, warehouse, quantity, on?}
POST stock/transfer                         {stock_code, from, to, quantity, on?, in_transit?}
POST stock/arrive                           {stock_code, warehouse, quantity}: of goods in transit
POST stock/inspect, stock/accept            {stock_code, warehouse, quantity}: into and from inspection
POST stock/allocate                         {job, stock_code, warehouse, quantity}: a job needs it; negative: no longer
POST stock/issue                            {job, stock_code, warehouse, quantity}: to a job that it is allocated to
POST stock/produce                          {job, stock_code, warehouse, quantity, unit_cost?, on?}
POST stock/add                              {stock_code, warehouse}: it is stocked there from now on
POST stock/negative                         {warehouse, allowed}
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from syncengine.sandbox.syspro.inventory import people
from syncengine.sandbox.syspro.state import Company

Body = dict[str, Any]


def act(company: Company, parts: list[str], body: Body) -> object | None:
    """Do what a POST asks for; None for another path. A bad value raises ValueError or KeyError."""
    match parts:
        case ["stock", name] if name in _ACTIONS:
            _ACTIONS[name](company, body)
            company.effect("InvWarehouse", "changed", body.get("stock_code", ""), act=name)
            return {"done": name}
        case ["stock", code, warehouse]:
            people.count(company, code, warehouse, Decimal(str(body["on_hand"])), _day(body))
            company.effect("InvWarehouse", "changed", f"{code}/{warehouse}", on_hand=str(body["on_hand"]))
            return company.table("InvWarehouse").get(code, warehouse)
    return None


def _day(body: Body) -> date | None:
    return date.fromisoformat(body["on"]) if body.get("on") else None


def _cost(body: Body) -> Decimal | None:
    return Decimal(str(body["unit_cost"])) if "unit_cost" in body else None


def _where(body: Body) -> tuple[str, str, Decimal]:
    return str(body["stock_code"]), str(body["warehouse"]), Decimal(str(body["quantity"]))


def _receive(company: Company, body: Body) -> None:
    reference = str(body.get("reference", ""))
    people.receive(company, *_where(body), unit_cost=_cost(body), on=_day(body), reference=reference)


def _transfer(company: Company, body: Body) -> None:
    code, quantity = str(body["stock_code"]), Decimal(str(body["quantity"]))
    in_transit = bool(body.get("in_transit", False))
    people.move_to(company, code, str(body["from"]), str(body["to"]), quantity, on=_day(body), in_transit=in_transit)


def _produce(company: Company, body: Body) -> None:
    people.produce(company, str(body["job"]), *_where(body), unit_cost=_cost(body), on=_day(body))


_ACTIONS: dict[str, Callable[[Company, Body], None]] = {
    "receive": _receive,
    "scrap": lambda company, body: people.scrap(company, *_where(body), _day(body)),
    "transfer": _transfer,
    "arrive": lambda company, body: people.arrive(company, *_where(body)),
    "inspect": lambda company, body: people.inspect(company, *_where(body)),
    "accept": lambda company, body: people.accept(company, *_where(body)),
    "allocate": lambda company, body: people.allocate(company, str(body["job"]), *_where(body)),
    "issue": lambda company, body: people.issue(company, str(body["job"]), *_where(body)),
    "produce": _produce,
    "add": lambda company, body: people.stock_in(company, str(body["stock_code"]), str(body["warehouse"])),
    "negative": lambda company, body: people.allow_negative(company, str(body["warehouse"]), bool(body["allowed"])),
}

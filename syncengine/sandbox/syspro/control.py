"""The control API below `/_sandbox/syspro`: to inspect the company, and to act as its staff.

GET  <table>[/<key>...][?Column=value]       rows of a table with the sandbox's own columns
GET  sessions                                who is logged on
GET  orders/count?po=                        how many orders have this CustomerPoNumber, cancelled ones apart
POST orders                                  a clerk enters an order: {customer, po, lines: [{stock_code, qty, price}]}
POST orders/<number>/status                  {status}; as if a person set it
POST orders/<number>/cancel                  a clerk cancels it
POST orders/<number>/header                  {Column: value} of SorMaster
POST orders/<number>/lines                   {stock_code, qty, price, warehouse} or {comment}
PATCH, DELETE orders/<number>/lines/<n>      {qty, price, tax_code} / cancel the line
POST customers/<code>                        {Column: value} of ArCustomer, such as CustomerOnHold
POST sessions/evict                          {operator}, or everybody
POST numbers                                 {order: next number, invoice: ..., customer: ...}
POST restart                                 {refused_s, unavailable_s}
POST warehouse/advance                       {order} or every order: one step 1 -> 4 -> 8 -> 9

Invoices, payments and tax: `control_accounts.py`. Stock: `inventory/control.py`. Dispatch notes: `dispatch/control.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from werkzeug import Request, Response

from syncengine.sandbox.json_bodies import answer
from syncengine.sandbox.syspro import booking, control_accounts, warehouse
from syncengine.sandbox.syspro.dispatch import control as dispatch_control
from syncengine.sandbox.syspro.inventory import control as inventory_control
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Column, Row, Value, amount_of, text_of

_ZERO = Decimal(0)


def respond(company: Company, request: Request, parts: list[str]) -> Response | None:
    """Answer one request; None for an unknown path. Bad values raise ValueError or KeyError, which become 400."""
    body = json.loads(request.get_data() or b"{}")
    with company.lock, company.as_person():
        warehouse.move_due_orders(company)
        if request.method == "GET":
            return _read(company, request, parts)
        return _act(company, request.method, parts, body)


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(company: Company, request: Request, parts: list[str]) -> Response | None:
    if not parts:
        return answer(company.counts())
    if parts == ["sessions"]:
        return answer([_session(session) for session in company.sessions.open()])
    if parts == ["orders", "count"]:
        return answer(_count(company, request.args.get("po", "")))
    shown = control_accounts.read(company, parts, request.args.get("order", ""))
    if shown is not None:
        return answer(shown)
    table = company.tables.get(parts[0])
    if table is None:
        return None
    if len(parts) > 1:
        key = (company.order_key(parts[1]) if parts[0] in ("SorMaster", "SorDetail") else parts[1], *parts[2:])
        row = table.get(*(part.zfill(4) if number and part.isdigit() else part for number, part in enumerate(key)))
        return answer(row) if row is not None else answer({"error": "no such row"}, 404)
    rows = [row for row in table.rows() if all(str(row.get(name)) == value for name, value in request.args.items())]
    return answer(rows)


def _session(session: Any) -> dict[str, object]:
    """A session without its id, which is a secret."""
    return {
        "operator": session.operator,
        "company": session.company,
        "source": session.source,
        "used_at": session.used_at,
    }


def _count(company: Company, po_number: str) -> dict[str, object]:
    orders = company.table("SorMaster").by("CustomerPoNumber", po_number)
    live = [order for order in orders if not booking.is_cancelled(order)]
    return {
        "po": po_number,
        "orders": len(orders),
        "live": len(live),
        "numbers": [company.shown(text_of(order, "SalesOrder")) for order in orders],
    }


# -- acting ------------------------------------------------------------------------------------------------------------


def _act(company: Company, method: str, parts: list[str], body: dict[str, Any]) -> Response | None:
    if method == "POST":
        for part in (control_accounts, inventory_control, dispatch_control):
            done = part.act(company, parts, body)
            if done is not None:
                return answer(done)
    match method, parts:
        case "POST", ["orders"]:
            return answer(_enter_order(company, body))
        case _, ["orders", number, *rest]:
            return _act_on_order(company, _order(company, number), method, rest, body)
        case "POST" | "PATCH", ["customers", code]:
            return answer(_set_customer(company, code, body))
        case "POST", ["sessions", "evict"]:
            return answer({"ended": company.sessions.end(body.get("operator"))})
        case "POST", ["numbers"]:
            for kind, first in body.items():
                company.start_numbers_at(kind, int(first))
            return answer(body)
        case "POST", ["restart"]:
            unavailable = company.switches.number("syspro_restart_unavailable_s")
            company.restart(float(body.get("refused_s", 0)), float(body.get("unavailable_s", unavailable)))
            return answer({"sessions": 0})
        case "POST", ["warehouse", "advance"]:
            orders = [_order(company, str(body["order"]))] if "order" in body else company.table("SorMaster").rows()
            return answer({"moved": sum(warehouse.advance(company, order) for order in orders)})
    return None


def _order(company: Company, number: str) -> Row:
    order = company.order(number)
    if order is None:
        raise KeyError(f"no sales order {number}")
    return order


def _act_on_order(company: Company, order: Row, method: str, rest: list[str], body: dict[str, Any]) -> Response | None:
    acts: dict[tuple[str, str], Callable[[], None]] = {
        ("POST", "status"): lambda: booking.set_status(company, order, str(body["status"])),
        ("POST", "cancel"): lambda: booking.cancel_order(company, order, str(body.get("reason", ""))),
        ("POST", "header"): lambda: _set_header(company, order, body),
        ("POST", "lines"): lambda: _add_line(company, order, body),
    }
    if len(rest) == 2 and rest[0] == "lines" and method in ("PATCH", "DELETE"):
        _change_line(company, order, rest[1], body if method == "PATCH" else None)
    elif len(rest) == 1 and (method, rest[0]) in acts:
        acts[method, rest[0]]()
    else:
        return None
    return answer({"order": order, "lines": company.lines(order)})


def _set_header(company: Company, order: Row, body: dict[str, Any]) -> None:
    table = company.table("SorMaster")
    table.update(order, **{name: _typed(table.columns[name], value) for name, value in body.items()})
    company.order_effect("changed", order, fields=sorted(body))


def _typed(column: Column, value: object) -> Value:
    text = "" if value is None else str(value)
    if column.kind == "decimal":
        return Decimal(text or "0")
    if column.kind == "integer":
        return int(text or "0")
    if column.kind == "date":
        return date.fromisoformat(text) if text else None
    return text


def _add_line(company: Company, order: Row, body: dict[str, Any]) -> None:
    if "comment" in body:
        booking.add_line(company, order, LineType="6", NComment=str(body["comment"]), NCommentType="I")
    else:
        booking.add_line(company, order, **_stock_line(company, order, body))
    booking.update_back_order_status(company, order)
    company.order_effect("changed", order, added_line=order["NextDetailLine"])


def _stock_line(company: Company, order: Row, body: dict[str, Any]) -> Row:
    code = str(body["stock_code"])
    stock = company.table("InvMaster").get(code)
    if stock is None:
        raise KeyError(f"no stock code {code}")
    place = str(body.get("warehouse") or order["Warehouse"] or stock["WarehouseToUse"])
    quantity = Decimal(str(body.get("qty", 1)))
    price = company.table("InvPrice").get(code, text_of(stock, "ListPriceCode"))
    own_price = amount_of(price, "SellingPrice") if price is not None else _ZERO
    ship, back = booking.split(quantity, booking.available(company, code, place), "A")
    return {
        "LineType": "1",
        "MStockCode": code,
        "MStockDes": stock["Description"],
        "MWarehouse": place,
        "MOrderQty": quantity,
        "MShipQty": ship,
        "MBackOrderQty": back,
        "MStockQtyToShp": ship,
        "MOrderUom": stock["StockUom"],
        "MStockingUom": stock["StockUom"],
        "MPrice": Decimal(str(body["price"])) if "price" in body else own_price,
        "MPriceUom": stock["StockUom"],
        "MTaxCode": stock["TaxCode"],
        "MProductClass": stock["ProductClass"],
    }


def _change_line(company: Company, order: Row, number: str, body: dict[str, Any] | None) -> None:
    line = company.table("SorDetail").get(text_of(order, "SalesOrder"), number.zfill(4))
    if line is None:
        raise KeyError(f"no line {number}")
    if body is None:
        booking.remove_line(company, line)
    else:
        values: Row = {}
        if "qty" in body:
            values |= booking.quantities(company, line, Decimal(str(body["qty"])), "A")
        if "price" in body:
            values["MPrice"] = Decimal(str(body["price"]))
        if "tax_code" in body:
            column = "MTaxCode" if line["LineType"] in ("1", "7") else "NMscTaxCode"
            values |= {column: str(body["tax_code"]), "_OwnTaxCode": ""}
        if "comment" in body:
            values["NComment"] = str(body["comment"])
        booking.change_line(company, line, **values)
    booking.update_back_order_status(company, order)
    company.order_effect("changed", order, changed_line=int(number))


def _enter_order(company: Company, body: dict[str, Any]) -> dict[str, object]:
    """A person enters an order in SYSPRO, possibly under the PO number of a synchronised one."""
    customer = company.customer(str(body["customer"]))
    if customer is None:
        raise KeyError(f"no customer {body['customer']}")
    order = company.table("SorMaster").insert(
        SalesOrder=company.order_key(company.next_number("order")),
        NextDetailLine=1,
        OrderStatus="1",
        ActiveFlag="Y",
        DocumentType="O",
        Customer=customer["Customer"],
        CustomerName=customer["Name"],
        CustomerPoNumber=str(body.get("po", "")),
        Currency=customer["Currency"],
        ExchangeRate=Decimal(1),
        MulDiv="M",
        Salesperson=customer["Salesperson"],
        Branch=customer["Branch"],
        Area=customer["Area"],
        InvTermsOverride=customer["TermsCode"],
        TaxStatus=customer["TaxStatus"],
        Warehouse=str(body.get("warehouse", "")),
        OrderDate=company.today(),
        EntrySystemDate=company.today(),
        ReqShipDate=company.today(),
        LastOperator="CLERK",
    )
    for line in body.get("lines", []):
        booking.add_line(company, order, **_stock_line(company, order, line))
    booking.update_back_order_status(company, order)
    company.order_effect("created", order, customer=customer["Customer"])
    return {"order": order, "lines": company.lines(order)}


def _set_customer(company: Company, code: str, body: dict[str, Any]) -> Row:
    customer = company.customer(code)
    if customer is None:
        raise KeyError(f"no customer {code}")
    table = company.table("ArCustomer")
    table.update(customer, **{name: _typed(table.columns[name], value) for name, value in body.items()})
    company.effect("ArCustomer", "changed", customer["Customer"], fields=sorted(body))
    return customer

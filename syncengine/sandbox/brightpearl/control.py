"""`/_sandbox/brightpearl/...`: inspect the account, and act as the shop's staff.

GET  orders|contacts|products|addresses|notes|webhooks [/<id>]
POST orders                     {"contactId", "statusId"?, "rows": [{"sku", "quantity", "net"?, "taxCode"?}], ...}
POST orders/<id>/edit           any of {"reference", "statusId", "channelId", "deliveryDate", "paymentStatus"}
POST orders/<id>/close          invoices the order: closedOn, an invoice reference, no further changes
POST orders/<id>/rows           {"sku", "quantity", "net"?, "taxCode"?} or {"name", "net", ...} for free text
POST orders/<id>/rows/<row>     {"quantity"?, "net"?}; DELETE removes the row
POST contacts/<id>/edit         any of {"firstName", "lastName", "company", "email", "phone", "tags", "currency"}
POST orders/<id>/allocate       reserves what is on hand for it
POST products/<id>/edit         any of {"name", "sku", "stock": {"MN": "12"}}; stock is corrected to that level
POST orders/<id>/ship, ...      goods-out and drop-ship notes: see `goods_out_control`
POST stock/<action>             correct, receive, transfer, release, quarantine: see `stock_control`
GET  stock/movements            every movement since the start; GET stock/opening the levels before them
GET  stock/<product id>         its figures by warehouse and location
GET  stock/products             ids and SKUs of all products; GET stock/reserved what orders have allocated, by row
POST touch                      {"orders": [ids] | "all", "updatedOn": ISO 8601}: sets updatedOn and nothing else
POST tokens/expire              all access tokens expire; POST tokens/code {"redirectUri"} gives a code
GET  tokens                     tokens that are valid from the start, and the signed legacy one
POST webhooks/wait              until every event is delivered or given up
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from werkzeug import Request, Response

from syncengine.sandbox.brightpearl import authentication, goods_out_control, shipping, stock_control
from syncengine.sandbox.brightpearl.order_parts import change_status, contact_of, new_order, status_of
from syncengine.sandbox.brightpearl.order_rows import new_row, remove_row
from syncengine.sandbox.brightpearl.responses import read_decimal, read_moment
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.json_bodies import answer, body_of
from syncengine.sandbox.shop.model import Order

_MOST_LISTED = 500


def respond(account: Account, request: Request, parts: list[str]) -> Response | None:
    """Answer one control request; None for an unknown path.

    Raises:
        ValueError, KeyError: the body cannot be used.
    """

    with account.lock:
        if request.method == "GET":
            shown = _shown(account, parts)
            return None if shown is None else answer(shown)
        body = body_of(request)
        if request.method == "DELETE" and len(parts) == 4 and parts[0] == "orders" and parts[2] == "rows":
            return answer(_remove_row(account, int(parts[1]), int(parts[3])))
        if request.method != "POST":
            return None
        done = _act(account, parts, body)
    if parts == ["webhooks", "wait"]:  # outside the lock: receivers may call back
        return answer({"delivered": account.webhooks.wait(), **account.webhooks.outcomes})
    return None if done is None else answer(done)


def _shown(account: Account, parts: list[str]) -> object | None:
    renderers: dict[str, tuple[Mapping[int, Any], Callable[[Any], object]]] = {
        "orders": (account.orders, account.order_json),
        "contacts": (account.contacts, account.contact_json),
        "products": (account.products, account.product_json),
        "addresses": (account.addresses, asdict),
        "notes": (account.notes, asdict),
        "webhooks": (account.webhooks.subscriptions, lambda entry: entry.described()),
    }
    if parts == ["tokens"]:
        return _tokens(account)
    if len(parts) == 2 and parts[0] == "stock":
        return stock_control.shown(account, parts[1])
    if not parts or parts[0] not in renderers:
        return goods_out_control.shown(account, parts)
    objects, render = renderers[parts[0]]
    if len(parts) > 1:
        return render(objects[int(parts[1])]) if int(parts[1]) in objects else None
    return {"count": len(objects), "latest": [render(objects[key]) for key in sorted(objects)[-_MOST_LISTED:]]}


def _act(account: Account, parts: list[str], body: dict[str, Any]) -> object | None:
    match parts:
        case ["orders"]:
            return _new_order(account, body)
        case ["orders", key, "edit"]:
            return _edit_order(account, int(key), body)
        case ["orders", key, "close"]:
            return _close_order(account, account.orders[int(key)])
        case ["orders", key, "allocate"]:
            return {"allocated": shipping.allocate(account, account.orders[int(key)], by="person")}
        case ["stock", action]:
            return stock_control.act(account, action, body)
        case ["orders", key, "rows"]:
            return _add_row(account, account.orders[int(key)], body)
        case ["orders", key, "rows", row]:
            return _edit_row(account, int(key), int(row), body)
        case ["contacts", key, "edit"]:
            return _edit_contact(account, int(key), body)
        case ["products", key, "edit"]:
            return _edit_product(account, int(key), body)
        case ["touch"]:
            return _touch(account, body)
        case ["tokens", "expire"]:
            account.authentication.expire()
            return {}
        case ["tokens", "code"]:
            return {"code": account.authentication.grant_code(str(body["redirectUri"]))}
    return goods_out_control.act(account, parts, body)


def _tokens(account: Account) -> dict[str, str]:

    return {
        "accessToken": authentication.FIRST_ACCESS_TOKEN,
        "refreshToken": authentication.FIRST_REFRESH_TOKEN,
        "accountToken": account.switches.text("brightpearl_account_token"),
        "signedToken": account.authentication.signed_token(),
    }


def _new_order(account: Account, body: dict[str, Any]) -> dict[str, object]:

    contact_id = body.get("contactId") or next(iter(account.contacts))
    order = new_order(account, contact_of(account, contact_id))
    order.status_id = int(body.get("statusId", 2))
    order.reference = str(body.get("reference", f"WEB-{order.id + 5000}"))
    order.channel_id = int(body.get("channelId", 1))
    if body.get("currency"):
        order.currency = str(body["currency"])
        order.exchange_rate = account.currencies[order.currency].rate
    for row in body.get("rows", []):
        _put_row(account, order, row)
    account.add_order(order, by="person")
    return {"id": order.id}


def _edit_order(account: Account, key: int, body: dict[str, Any]) -> dict[str, object]:

    order = account.orders[key]
    order.reference = str(body.get("reference", order.reference))
    order.channel_id = int(body.get("channelId", order.channel_id))
    order.payment_status = str(body.get("paymentStatus", order.payment_status))
    if "deliveryDate" in body:
        order.delivery_date = read_moment(str(body["deliveryDate"]))
    if set(body) - {"statusId"}:
        account.save_order(order, "order", by="person")
    if "statusId" in body:
        change_status(account, order, status_of(account, int(body["statusId"])), by="person")
    return {"id": order.id, "version": order.version}


def _close_order(account: Account, order: Order) -> dict[str, object]:
    if order.closed_on:
        raise ValueError(f"order {order.id} is invoiced already")
    account.close_order(order, by="person")
    return {"id": order.id, "invoiceReference": order.invoice_reference}


def _add_row(account: Account, order: Order, body: dict[str, Any]) -> dict[str, object]:
    row_id = _put_row(account, order, body)
    _rows_changed(account, order)
    return {"id": row_id}


def _put_row(account: Account, order: Order, body: dict[str, Any]) -> int:

    product = next((each for each in account.products.values() if each.sku and each.sku == body.get("sku")), None)
    if "sku" in body and product is None:
        raise ValueError(f"no product has the SKU {body['sku']!r}")
    quantity = read_decimal(body.get("quantity", 1))
    default_net = (product.price if product else Decimal(0)) * order.exchange_rate * quantity
    net = read_decimal(body["net"]) if "net" in body else default_net.quantize(Decimal("0.01"), ROUND_HALF_UP)
    tax_code = str(body.get("taxCode", product.tax_code if product else "T20"))
    tax = account.order_tax(net, tax_code)
    return new_row(account, order, product, str(body.get("name", "")), quantity, net, tax, tax_code).id


def _edit_row(account: Account, key: int, row_id: int, body: dict[str, Any]) -> dict[str, object]:
    order = account.orders[key]
    row = order.rows[row_id]
    if "quantity" in body:
        quantity = read_decimal(body["quantity"])
        row.net = row.net if not row.quantity else (row.net / row.quantity * quantity).quantize(Decimal("0.0001"))
        row.quantity = quantity
    if "net" in body:
        row.net = read_decimal(body["net"]).quantize(Decimal("0.0001"))
    row.tax = account.order_tax(row.net, row.tax_code)
    _rows_changed(account, order)
    return {"id": row_id}


def _remove_row(account: Account, key: int, row_id: int) -> dict[str, object]:

    order = account.orders[key]
    remove_row(order, row_id)
    _rows_changed(account, order)
    return {"id": row_id}


def _rows_changed(account: Account, order: Order) -> None:
    updates = account.switches.on("brightpearl_row_change_updates")
    account.save_order(order, "rows", by="person", updates=updates)


def _edit_contact(account: Account, key: int, body: dict[str, Any]) -> dict[str, object]:
    contact = account.contacts[key]
    names = {
        "firstName": "first_name",
        "lastName": "last_name",
        "company": "company",
        "email": "email",
        "phone": "phone",
        "tags": "tags",
        "currency": "currency",
    }
    for name, field in names.items():
        if name in body:
            setattr(contact, field, str(body[name]))
    account.save_contact(contact, by="person")
    return {"id": key}


def _edit_product(account: Account, key: int, body: dict[str, Any]) -> dict[str, object]:
    product = account.products[key]
    product.name = str(body.get("name", product.name))
    product.sku = str(body.get("sku", product.sku))
    account.save_product(product, by="person")
    for code, level in body.get("stock", {}).items():
        stock_control.act(account, "correct", {"productId": key, "warehouse": code, "to": level})
    return {"id": key}


def _touch(account: Account, body: dict[str, Any]) -> dict[str, object]:
    """Give many orders the same `updatedOn`, as a mass change in the shop would."""
    wanted = body["orders"]
    keys = sorted(account.orders) if wanted == "all" else [int(key) for key in wanted]
    moment = read_moment(str(body["updatedOn"])) if "updatedOn" in body else account.stamp()
    for key in keys:
        account.stamp_order(account.orders[key], moment)
    return {"touched": len(keys)}

"""Order rows (section 11.2). Codes other than ORDC-003 and ORDC-026 are invented."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from syncengine.sandbox.brightpearl import render
from syncengine.sandbox.brightpearl.calls import Call, Patch, apply, integer, number, part, patches, text
from syncengine.sandbox.brightpearl.errors import ApiError, invalid, missing
from syncengine.sandbox.brightpearl.order_parts import follow_row, order_of
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.shop.model import FREE_TEXT_PRODUCT_ID, Order, Product, Row

_PATCHES = {
    "/quantity/magnitude": ("replace",),
    "/rowValue/rowNet/value": ("replace",),
    "/rowValue/rowTax/value": ("replace",),
    "/nominalCode": ("replace",),
    "/rowValue/taxCalculator": ("replace",),
    "/orderRowSequence": ("replace",),
}
_FOUR = Decimal("0.0001")


def create(call: Call) -> dict[str, object]:
    """`POST order/{id}/row`: answers with the row's id; a bundle brings its components."""
    body, account = call.json_object(), call.account
    with account.lock:
        if errors := _wrong_with(account, call.key(), body):
            raise ApiError(400, *errors)
        order = order_of(account, call.key())
        row = add_row(account, order, body)
        _saved(account, order)
    return {"response": row.id}


def change(call: Call) -> dict[str, object]:
    """`PATCH order/{id}/row/{row}`: answers with the row."""
    account = call.account
    operations = patches(call, _PATCHES)
    with account.lock:
        order = order_of(account, call.key())
        row = _row_of(order, call.key("row"))
        _refuse_invoiced(order)
        apply(call, operations, lambda patch, is_trial: _patch(account, row, patch, is_trial))
        _saved(account, order)
        return {"response": render.row(row, order.currency, account.shop.base_currency, account.taxes)}


def delete(call: Call) -> dict[str, object]:
    """`DELETE order/{id}/row/{row}`: a bundle's components go with it."""
    account = call.account
    with account.lock:
        order = order_of(account, call.key())
        _refuse_invoiced(order)
        remove_row(order, _row_of(order, call.key("row")).id)
        _saved(account, order)
    return {}


def add_row(account: Account, order: Order, body: dict[str, Any]) -> Row:
    """Add a checked row to an order, with the components of a bundle."""
    product = account.products.get(int(body.get("productId") or 0))
    quantity = number(part(body, "quantity", "magnitude"), "quantity", "ORDC-027")
    net = number(part(body, "rowValue", "rowNet", "value") or 0, "rowNet", "ORDC-028")
    given_tax = part(body, "rowValue", "rowTax", "value")
    tax_code = text(part(body, "rowValue", "taxCode"))
    tax = account.order_tax(net, tax_code) if given_tax is None else number(given_tax, "rowTax", "ORDC-028")
    row = new_row(account, order, product, text(body.get("productName")), quantity, net, tax, tax_code)
    row.nominal_code = text(body.get("nominalCode")) or row.nominal_code
    row.external_ref = text(body.get("externalRef"))
    return row


def new_row(
    account: Account,
    order: Order,
    product: Product | None,
    name: str,
    quantity: Decimal,
    net: Decimal,
    tax: Decimal,
    tax_code: str,
) -> Row:
    """Add a row for a product, or a free-text row if there is none; amounts are for the whole quantity."""
    row = Row(
        account.new_id("row"),
        max((each.sequence for each in order.rows.values()), default=0) + 10,
        product.id if product else FREE_TEXT_PRODUCT_ID,
        name or (product.name if product else ""),
        product.sku if product else "",
        quantity,
        _listed(account, order, product) if product else Decimal(0),
        net.quantize(_FOUR, ROUND_HALF_UP),
        tax,
        tax_code,
        cost=product.cost if product else Decimal(0),
    )
    order.rows[row.id] = row
    follow_row(order, row, product)
    for product_id, number_of in product.bundle_components if product else ():
        row.bundle_parent = True
        component = account.products[product_id]
        zero = Decimal(0)
        child = new_row(account, order, component, "", number_of * quantity, zero, zero, tax_code)
        child.price, child.parent_row_id = zero, row.id
    return row


def remove_row(order: Order, row_id: int) -> None:
    """Remove a row and its components from an order."""
    order.rows = {key: row for key, row in order.rows.items() if row_id not in (key, row.parent_row_id)}


def _wrong_with(account: Account, order_id: int, body: dict[str, Any]) -> list[tuple[str, str]]:
    errors = []
    if order_id not in account.orders:
        errors.append(("ORDC-003", f"You have supplied an invalid order id: {order_id}"))
    elif account.orders[order_id].closed_on:
        errors.append(("ORDC-040", "Rows cannot be changed on an invoiced order"))
    product_id = body.get("productId")
    if product_id and product_id != FREE_TEXT_PRODUCT_ID and product_id not in account.products:
        errors.append(("ORDC-025", f"You have supplied an invalid product id: {product_id}"))
    if (not product_id or product_id == FREE_TEXT_PRODUCT_ID) and not body.get("productName"):
        errors.append(("ORDC-026", "You have not supplied a product name, which is required for all free text items."))
    if part(body, "quantity", "magnitude") is None:
        errors.append(("ORDC-027", "You have not supplied a quantity"))
    if not part(body, "rowValue", "taxCode"):
        errors.append(("ORDC-029", "You have not supplied a tax code"))
    for name in ("rowNet", "rowTax"):
        value = part(body, "rowValue", name, "value")
        if value is not None and not _has_two_places(value):
            errors.append(("ORDC-028", f"{name} must be a number of at most two decimal places: {value}"))
    return errors


def _has_two_places(value: Any) -> bool:
    try:
        found = number(value, "value", "ORDC-028")
    except ApiError:
        return False
    return found == found.quantize(Decimal("0.01"))


def _patch(account: Account, row: Row, patch: Patch, is_trial: bool) -> None:
    changed = replace(row) if is_trial else row
    match patch.path:
        case "/quantity/magnitude":
            product = account.products.get(row.product_id)
            is_tracked = product is not None and product.stock_tracked
            reader = integer if is_tracked else number
            quantity = Decimal(reader(patch.value, "quantity", "ORDC-027"))
            if quantity < account.stock.committed(row.id):
                raise invalid("ORDC-027", "quantity must not be less than what is reserved or fulfilled")
            _change_quantity(account, changed, quantity)
        case "/rowValue/rowNet/value":
            changed.net = number(patch.value, "rowNet", "ORDC-028").quantize(_FOUR)
            changed.tax = account.order_tax(changed.net, changed.tax_code)  # observed (section 9)
        case "/rowValue/rowTax/value":
            changed.tax = number(patch.value, "rowTax", "ORDC-028").quantize(Decimal("0.01"))
        case "/nominalCode":
            changed.nominal_code = text(patch.value)
        case "/rowValue/taxCalculator":
            if patch.value not in ("brightpearl", "manual", "avalara"):
                raise invalid("ORDC-041", f"taxCalculator cannot be {patch.value}")
            changed.tax_calculator = patch.value
        case "/orderRowSequence":
            changed.sequence = integer(patch.value, "orderRowSequence", "ORDC-041")


def _change_quantity(account: Account, row: Row, quantity: Decimal) -> None:
    """Change the quantity at the same net unit price."""
    each = row.net / row.quantity if row.quantity else row.price
    row.quantity = quantity
    row.net = (each * quantity).quantize(_FOUR, ROUND_HALF_UP)
    row.tax = account.order_tax(row.net, row.tax_code)


def _row_of(order: Order, row_id: int) -> Row:
    if row_id not in order.rows:
        raise missing(f"Cannot find order row: {row_id}")
    return order.rows[row_id]


def _refuse_invoiced(order: Order) -> None:
    if order.closed_on:
        raise invalid("ORDC-040", "Rows cannot be changed on an invoiced order")


def _saved(account: Account, order: Order) -> None:
    account.save_order(order, "rows", updates=account.switches.on("brightpearl_row_change_updates"))


def _listed(account: Account, order: Order, product: Product) -> Decimal:
    prices = next((entry for entry in account.shop.price_lists if entry.id == order.price_list_id), None)
    if prices is None:
        return product.price
    listed = account.shop.list_price(product, prices)
    rate = account.shop.rate_of(product.tax_code) if prices.gross else Decimal(0)
    return (listed / (1 + rate)).quantize(_FOUR, ROUND_HALF_UP)

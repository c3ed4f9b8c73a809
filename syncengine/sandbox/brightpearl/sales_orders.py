"""The sales-order resource: whole orders in one call (section 11.3). orders.py says which codes are recorded."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from syncengine.sandbox.brightpearl import render
from syncengine.sandbox.brightpearl.calls import Call, moment, number, part, text
from syncengine.sandbox.brightpearl.errors import ApiError, invalid
from syncengine.sandbox.brightpearl.order_parts import (
    checked_reference,
    contact_of,
    new_order,
    override_address,
    set_currency,
    status_of,
)
from syncengine.sandbox.brightpearl.order_rows import new_row
from syncengine.sandbox.brightpearl.responses import COUNTRIES, decimals
from syncengine.sandbox.brightpearl.responses import moment as written
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.shop.model import FREE_TEXT_PRODUCT_ID, Order, Party, Row

Json = dict[str, object]


def create(call: Call) -> Json:
    """`POST sales-order`: the order with its rows, or nothing at all."""
    body, account = call.json_object(), call.account
    contact_id = part(body, "customer", "id") or body.get("customerId")
    if not contact_id:
        raise invalid("ORDC-021", "Customer ID Required.")
    with account.lock:
        order = new_order(account, contact_of(account, contact_id))
        _fill(account, order, body)
        errors = [error for row in body.get("rows") or [] for error in _add_row(account, order, row)]
        if errors:
            raise ApiError(400, *errors)
        account.add_order(order, is_sales_order=True)
    return {"response": order.id}


def read(call: Call) -> Json:
    """`GET sales-order/{ids}`."""
    account = call.account
    with account.lock:
        known = {key: order for key, order in account.orders.items() if order.type_code == "SO"}
        return {"response": [_shown(account, known[key]) for key in call.ids(known)]}


def _fill(account: Account, order: Order, body: dict[str, Any]) -> None:
    order.reference = checked_reference(body.get("ref"))
    order.external_ref = text(body.get("externalRef"))
    order.parent_id = int(body.get("parentId") or 0)
    order.channel_id = int(body.get("channelId") or 0)
    order.staff_owner_id = int(body.get("staffOwnerId") or 0)
    order.project_id = int(body.get("projectId") or 0)
    order.lead_source_id = int(body.get("leadSourceId") or 0)
    order.team_id = int(body.get("teamId") or 0)
    order.warehouse_id = int(body.get("warehouseId") or order.warehouse_id)
    order.price_list_id = int(body.get("priceListId") or order.price_list_id)
    order.price_mode = body.get("priceModeCode") or order.price_mode
    order.instance_id = body.get("installedIntegrationInstanceId")
    if body.get("statusId"):
        order.status_id = status_of(account, int(body["statusId"])).id
    if body.get("placedOn"):
        order.placed_on = moment(body["placedOn"], "placedOn", "ORDC-037")
    if body.get("taxDate"):
        order.tax_date = moment(body["taxDate"], "taxDate", "ORDC-037")
    if part(body, "delivery", "date"):
        order.delivery_date = moment(part(body, "delivery", "date"), "delivery.date", "ORDC-037")
    order.shipping_method_id = int(part(body, "delivery", "shippingMethodId") or 0)
    set_currency(
        account, order, *(part(body, "currency", name) for name in ("code", "fixedExchangeRate", "exchangeRate"))
    )
    if billing_id := part(body, "billing", "contactId"):
        contact = contact_of(account, billing_id)
        order.billing = Party.of(contact, account.addresses[contact.billing_address_id])
    override_address(order.customer, part(body, "customer", "address"))
    override_address(order.billing, part(body, "billing", "address"))
    override_address(order.delivery, part(body, "delivery", "address"))


def _add_row(account: Account, order: Order, row: Any) -> list[tuple[str, str]]:
    """Add one row, or return its errors."""
    product_id = int(part(row, "productId") or 0)
    product = account.products.get(product_id)
    if product_id and product_id != FREE_TEXT_PRODUCT_ID and product is None:
        return [("ORDC-025", f"You have supplied an invalid product id: {product_id}")]
    if product is None and not part(row, "name"):
        return [("ORDC-026", "You have not supplied a product name, which is required for all free text items.")]
    if not part(row, "taxCode"):
        return [("ORDC-029", "You have not supplied a tax code")]
    try:
        quantity = number(part(row, "quantity"), "quantity", "ORDC-027")
        net = number(part(row, "net") or 0, "net", "ORDC-028")
        tax = number(part(row, "tax") or 0, "tax", "ORDC-028")
    except ApiError as problem:
        return list(problem.errors)
    added = new_row(account, order, product, text(part(row, "name")), quantity, net, tax, str(row["taxCode"]))
    added.nominal_code = text(part(row, "nominalCode")) or added.nominal_code
    added.external_ref = text(part(row, "externalRef"))
    return []


def _shown(account: Account, order: Order) -> Json:
    zone = account.zone
    totals = render.totals(order, account.taxes)
    return {
        "id": order.id,
        "customerId": order.customer.contact_id,
        "customer": {"id": order.customer.contact_id, "address": _address(order.customer)},
        "billing": {"contactId": order.billing.contact_id, "address": _address(order.billing)},
        "ref": order.reference,
        **({"externalRef": order.external_ref} if order.external_ref else {}),
        "placedOn": written(order.placed_on, zone),
        **({"taxDate": written(order.tax_date, zone)} if order.tax_date else {}),
        "createdOn": written(order.created_on, zone),
        "createdBy": order.created_by,
        **({"updatedOn": written(order.updated_on, zone)} if order.updated_on else {}),
        "parentId": order.parent_id,
        "statusId": order.status_id,
        "warehouseId": order.warehouse_id,
        "staffOwnerId": order.staff_owner_id,
        "projectId": order.project_id,
        "channelId": order.channel_id,
        "leadSourceId": order.lead_source_id,
        "teamId": order.team_id,
        "priceListId": order.price_list_id,
        "priceModeCode": order.price_mode,
        **({"installedIntegrationInstanceId": order.instance_id} if order.instance_id else {}),
        "currency": {
            "code": order.currency,
            "fixedExchangeRate": order.fixed_rate,
            "exchangeRate": decimals(order.exchange_rate, 6),
        },
        "delivery": {
            **({"date": written(order.delivery_date, zone)} if order.delivery_date else {}),
            "shippingMethodId": order.shipping_method_id,
            "address": _address(order.delivery),
        },
        "total": {
            "net": totals["net"],
            "tax": totals["taxAmount"],
            "gross": totals["total"],
            "baseNet": totals["baseNet"],
            "baseTax": totals["baseTaxAmount"],
            "baseGross": totals["baseTotal"],
        },
        "isCanceled": account.statuses[order.status_id].fate == "cancelled",
        "orderPaymentStatus": order.payment_status,
        "allocationStatusCode": order.allocation_status,
        "stockStatusCode": order.stock_status,
        "shippingStatusCode": order.shipping_status,
        "rows": [_row(account, row) for row in sorted(order.rows.values(), key=lambda row: (row.sequence, row.id))],
    }


def _row(account: Account, row: Row) -> Json:
    tax = account.taxes.get(row.tax_code)
    return {
        "id": row.id,
        "productId": row.product_id,
        "name": row.name,
        **({"sku": row.sku} if row.sku else {}),
        "quantity": decimals(row.quantity, 4),
        "taxCode": row.tax_code,
        "net": decimals(row.net, 4),
        "tax": decimals(row.tax, 2),
        "nominalCode": row.nominal_code,
        **({"externalRef": row.external_ref} if row.external_ref else {}),
        "sequence": row.sequence,
        "bundleChild": bool(row.parent_row_id),
        "bundleParent": row.bundle_parent,
        "parentRowId": row.parent_row_id,
        "productPrice": decimals(row.price, 4),
        "discountPercentage": decimals(row.discount or Decimal(0), 2),
        "taxClassId": tax.id if tax else 0,
        "taxCalculator": row.tax_calculator,
        "clonedFromId": 0,
    }


def _address(party: Party) -> Json:
    country = COUNTRIES.get(party.country)
    return {
        "addressFullName": party.full_name,
        "companyName": party.company,
        "addressLine1": party.line1,
        "addressLine2": party.line2,
        "addressLine3": party.line3,
        "addressLine4": party.line4,
        "postalCode": party.postal_code,
        **({"countryIsoCode": country[2]} if country else {}),
        "telephone": party.phone,
        "mobileTelephone": party.mobile,
        "fax": "",
        "email": party.email,
    }

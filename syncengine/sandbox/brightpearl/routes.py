"""The routes: method, path below the account, operation name (for faults and counters), Message-Type, handler."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from syncengine.sandbox.brightpearl import (
    availability,
    catalogue,
    contacts,
    custom_fields,
    drop_ship,
    goods_out_notes,
    integration,
    order_closing,
    order_notes,
    order_rows,
    order_statuses,
    orders,
    reservations,
    sales_orders,
    search,
    searches,
    stock_corrections,
    warehouses,
)
from syncengine.sandbox.brightpearl.calls import Call
from syncengine.sandbox.brightpearl.responses import moment

Handler = Callable[[Call], dict[str, object] | str]  # a body, or its JSON text


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of call."""

    method: str
    pattern: re.Pattern[str]
    operation: str
    message_type: str
    handler: Handler

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.method not in ("GET", "OPTIONS")


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a call and the named parts of its path; None for an unknown resource."""
    for route in _ROUTES:
        if route.method == method and (match := route.pattern.fullmatch(path)):
            return route, {name: value for name, value in match.groupdict().items() if value is not None}
    return None


def _search(name: str) -> Handler:
    def handler(call: Call) -> dict[str, object]:
        """One page of a search, with the names of its coded values."""
        account = call.account
        with account.lock:
            raw_query = call.request.query_string.decode("latin-1")
            answer = search.run(account.indexes[name], call.request.args, raw_query, account.switches)
            reference: dict[str, dict[str, object]] = {}
            for position, column in enumerate(answer.columns):
                for values in answer.rows if column.reference else ():
                    named = searches.reference_names(
                        account.statuses, account.products, column.reference, values[position]
                    )
                    if named is not None:
                        reference.setdefault(column.reference, {})[str(values[position])] = named
            zone = account.zone
        results = [[moment(each, zone) if isinstance(each, datetime) else each for each in row] for row in answer.rows]
        return {"response": {"results": results, "metaData": answer.meta}, "reference": reference}

    return handler


def _meta(name: str) -> Handler:
    return lambda _: {"response": search.described(searches.SEARCHES[name])}


_PARTS = {
    "{ids}": r"(?P<ids>[^/]+)",
    "{id}": r"(?P<id>\d+)",
    "{row}": r"(?P<row>\d+)",
    "{note}": r"(?P<note>\d+)",
    "{orders}": r"(?P<orders>[^/]+)",
    "{lists}": r"(?P<lists>[^/]+)",
    "{warehouse}": r"(?P<warehouse>\d+)",
}


def _route(line: str, operation: str, message_type: str, handler: Handler) -> Route:
    method, path = line.split()
    pattern = path.replace("[", "(?:").replace("]", ")?")
    for name, expression in _PARTS.items():
        pattern = pattern.replace(name, expression)
    return Route(method, re.compile(pattern), operation, message_type, handler)


def _searches(service: str, name: str, operation: str) -> list[Route]:
    path = f"GET {service}-service/{name}-search"
    return [
        _route(path, f"{operation}.search", "bulk-data-search", _search(name)),
        _route(f"{path}/meta-data", f"{operation}.meta_data", "bulk-data-search", _meta(name)),
    ]


def _goods_out_routes() -> list[Route]:
    return [
        _route(
            "GET warehouse-service/order/{orders}/goods-note/goods-out[/{ids}]",
            "goods_out_note.read",
            "get-goods-out-note",
            goods_out_notes.read,
        ),
        _route(
            f"POST {_NOTES_OF_ORDER}/goods-out", "goods_out_note.create", "post-goods-out-note", goods_out_notes.create
        ),
        _route(
            f"DELETE {_NOTES_OF_ORDER}/goods-out/{{note}}",
            "goods_out_note.delete",
            "delete-goods-out-note",
            goods_out_notes.delete,
        ),
        _route(f"PUT {_NOTE}/goods-out/{{id}}", "goods_out_note.change", "put-goods-out-note", goods_out_notes.change),
        _route(
            f"POST {_NOTE}/goods-out/{{id}}/event",
            "goods_out_note.event",
            "post-goods-out-note-event",
            goods_out_notes.add_events,
        ),
    ]


def _drop_ship_routes() -> list[Route]:
    return [
        _route(
            "GET warehouse-service/order/{orders}/goods-note/drop-ship[/{ids}]",
            "drop_ship_note.read",
            "get-drop-ship-note",
            drop_ship.read,
        ),
        _route(f"POST {_NOTES_OF_ORDER}/drop-ship", "drop_ship_note.create", "post-drop-ship-note", drop_ship.create),
        _route(
            f"POST {_NOTE}/drop-ship/{{id}}/event",
            "drop_ship_note.event",
            "post-drop-ship-note-event",
            drop_ship.add_events,
        ),
    ]


_ORDER, _CONTACT, _PRODUCT = "order-service/order", "contact-service/contact", "product-service/product"
_NOTE, _NOTES_OF_ORDER = "warehouse-service/goods-note", "warehouse-service/order/{id}/goods-note"
_HOOK, _WAREHOUSE = "integration-service/webhook", "warehouse-service/warehouse"
_ROUTES = [
    *_searches("order", "order", "order"),
    *_searches("order", "sales-order", "sales_order"),
    *_searches("contact", "contact", "contact"),
    *_searches("product", "product", "product"),
    *_searches("accounting", "currency", "currency"),
    *_searches("warehouse", "goods-movement", "goods_movement"),
    *_searches("warehouse", "goods-note/goods-out", "goods_out_note"),
    _route(f"GET {_ORDER}/{{ids}}", "order.read", "get-order", orders.read),
    _route(f"OPTIONS {_ORDER}[/{{ids}}]", "order.options", "options-order", orders.options),
    _route(f"POST {_ORDER}", "order.create", "post-order", orders.create),
    _route(f"PATCH {_ORDER}/{{id}}", "order.change", "patch-order", orders.change),
    _route(f"PUT {_ORDER}/{{id}}/status", "order.status", "put-order-status", orders.set_status),
    _route(
        f"PATCH {_ORDER}/{{id}}/custom-field",
        "order.fields.change",
        "patch-custom-fields",
        custom_fields.change_of_order,
    ),
    _route(f"POST {_ORDER}/{{id}}/row", "order.row.create", "post-order-row", order_rows.create),
    _route(f"PATCH {_ORDER}/{{id}}/row/{{row}}", "order.row.change", "patch-order-row", order_rows.change),
    _route(f"DELETE {_ORDER}/{{id}}/row/{{row}}", "order.row.delete", "delete-order-row", order_rows.delete),
    _route(f"POST {_ORDER}/{{id}}/note", "order.note.create", "post-order-note", order_notes.create),
    _route(f"GET {_ORDER}/{{id}}/note[/{{ids}}]", "order.note.read", "get-order-note", order_notes.read),
    _route(
        "OPTIONS order-service/sales-order[/{ids}]", "sales_order.options", "options-sales-order", orders.sales_options
    ),
    _route(
        "OPTIONS order-service/sales-credit[/{ids}]",
        "sales_credit.options",
        "options-sales-credit",
        orders.credit_options,
    ),
    _route("GET order-service/sales-order/{ids}", "sales_order.read", "get-sales-order", sales_orders.read),
    _route("POST order-service/sales-order", "sales_order.create", "post-sales-order", sales_orders.create),
    _route(
        "POST order-service/sales-order/{id}/close", "sales_order.close", "post-sales-order-close", order_closing.close
    ),
    _route("GET order-service/order-status[/{ids}]", "order_status.read", "get-order-status", order_statuses.read),
    _route("POST order-service/order-status", "order_status.create", "post-order-status", order_statuses.create),
    _route(
        "GET order-service/order-shipping-status",
        "order_shipping_status.read",
        "get-order-shipping-status",
        order_statuses.read_shipping,
    ),
    *(
        _route(
            f"GET {path}/custom-field-meta-data[/{{ids}}]", f"{name}.fields.read", "get-custom-fields-metadata", handler
        )
        for path, name, handler in (
            (_PRODUCT, "product", custom_fields.read_of_products),
            ("order-service/sale", "sale", custom_fields.read_of_orders),
            ("order-service/purchase", "purchase", custom_fields.read_none),
            (_CONTACT, "contact", custom_fields.read_none),
        )
    ),
    _route(f"GET {_CONTACT}[/{{ids}}]", "contact.read", "get-contact", contacts.read),
    _route(f"OPTIONS {_CONTACT}[/{{ids}}]", "contact.options", "options-contact", contacts.options),
    _route(f"POST {_CONTACT}", "contact.create", "post-contact", contacts.create),
    _route(f"PATCH {_CONTACT}/{{id}}", "contact.change", "patch-contact", contacts.change),
    _route(
        f"PUT {_CONTACT}/{{id}}/postal-address",
        "contact.addresses",
        "put-contact-postal-address",
        contacts.set_addresses,
    ),
    _route(
        "GET contact-service/postal-address/{ids}", "postal_address.read", "get-postal-address", contacts.read_addresses
    ),
    _route(
        "POST contact-service/postal-address", "postal_address.create", "post-postal-address", contacts.create_address
    ),
    _route(f"GET {_PRODUCT}/{{ids}}", "product.read", "product-get", catalogue.read_products),
    _route(f"OPTIONS {_PRODUCT}[/{{ids}}]", "product.options", "product-options", catalogue.product_options),
    _route(f"POST {_PRODUCT}", "product.create", "post-product", catalogue.create_product),
    _route(f"PUT {_PRODUCT}/{{id}}", "product.change", "put-product", catalogue.change_product),
    _route(
        "GET product-service/product-price/{ids}[/price-list/{lists}]",
        "product_price.read",
        "get-product-price",
        catalogue.read_prices,
    ),
    _route("GET product-service/price-list[/{ids}]", "price_list.read", "get-price-list", catalogue.read_price_lists),
    _route("GET product-service/channel[/{ids}]", "channel.read", "get-channel", catalogue.read_channels),
    _route("GET product-service/brand[/{ids}]", "brand.read", "get-brand", catalogue.read_brands),
    _route("POST product-service/brand", "brand.create", "post-brand", catalogue.create_brand),
    _route("GET accounting-service/tax-code[/{ids}]", "tax_code.read", "get-tax-code", catalogue.read_tax_codes),
    _route(f"GET {_WAREHOUSE}[/{{ids}}]", "warehouse.read", "get-warehouse", warehouses.read),
    _route(f"GET {_WAREHOUSE}/{{id}}/location/default", "location.default", "get-location", warehouses.read_default),
    _route(
        f"GET {_WAREHOUSE}/{{id}}/location/quarantine",
        "location.quarantine",
        "get-location",
        warehouses.read_quarantine,
    ),
    _route(f"GET {_WAREHOUSE}/{{id}}/location[/{{ids}}]", "location.read", "get-location", warehouses.read_locations),
    _route(
        f"OPTIONS {_WAREHOUSE}/{{id}}/stock-correction[/{{ids}}]",
        "stock_correction.options",
        "options-stock-correction",
        stock_corrections.options,
    ),
    _route(
        f"GET {_WAREHOUSE}/{{id}}/stock-correction/{{ids}}",
        "stock_correction.read",
        "get-stock-correction",
        stock_corrections.read,
    ),
    _route(
        f"POST {_WAREHOUSE}/{{id}}/stock-correction",
        "stock_correction.create",
        "post-stock-correction",
        stock_corrections.create,
    ),
    _route(
        "POST warehouse-service/order/{id}/reservation/warehouse/{warehouse}",
        "reservation.create",
        "post-reservation",
        reservations.create,
    ),
    _route("GET warehouse-service/order/{ids}/reservation", "reservation.read", "get-reservation", reservations.read),
    *_goods_out_routes(),
    *_drop_ship_routes(),
    _route(
        "GET warehouse-service/shipping-method[/{ids}]",
        "shipping_method.read",
        "get-shipping-method",
        catalogue.read_shipping_methods,
    ),
    _route(
        "GET warehouse-service/product-availability[/{ids}]",
        "product_availability.read",
        "get-product-availability",
        availability.read,
    ),
    _route(
        f"GET {_WAREHOUSE}/{{id}}/product-availability/{{ids}}",
        "product_availability.read",
        "get-product-availability",
        availability.read,
    ),
    _route(f"GET {_HOOK}[/{{ids}}]", "webhook.read", "webhook-get", integration.read),
    _route(f"POST {_HOOK}", "webhook.create", "post-webhook", integration.create),
    _route(f"DELETE {_HOOK}/{{id}}", "webhook.delete", "webhook-delete", integration.delete),
    _route(f"POST {_HOOK}/{{id}}/simulate", "webhook.simulate", "post-webhook-simulate", integration.simulate),
]

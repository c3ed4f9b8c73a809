"""What SYSPRO's replies to writes of sales orders say. Facts: syspro-transport.md sections 7.2, 9.4 and 10.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from syncengine.connectors.syspro.errors import failed_status, item_errors
from syncengine.connectors.syspro.replies import Answer, Said, counters, warning_texts
from syncengine.connectors.syspro.xml import all_of, content_of, get, text_of


def sales_orders(reply: Mapping[str, Any], po_numbers: Sequence[str]) -> list[Answer]:
    """SORTOI's answer for each order that was sent, by its CustomerPoNumber, in the order of `po_numbers`.

    Its five shapes (section 9.4): Order with a number; counters only; Order with an empty number; the document with
    ErrorMessages; the validated document.
    """
    if len(po_numbers) == 1:
        return [_only_order(reply)]
    processed, refused = counters(reply)
    by_number = {number: _orders_of(reply, number) for number in po_numbers}
    if processed == len(po_numbers) and not refused and not item_errors(reply):
        return [_named(by_number[number]) or Answer(Said.DONE) for number in po_numbers]
    if processed == 0 and not any(_named(orders) for orders in by_number.values()):
        return [Answer(Said.REFUSED, errors=item_errors({"Orders": by_number[number]})) for number in po_numbers]
    return [_named(by_number[number]) or Answer(Said.NOTHING) for number in po_numbers]


def _only_order(reply: Mapping[str, Any]) -> Answer:
    errors, warnings = item_errors(reply), warning_texts(reply)
    orders = all_of(content_of(reply), "Order")
    key = next((number for number in (text_of(order, "SalesOrder") for order in orders) if number), "")
    processed, refused = counters(reply)
    has_empty_number = bool(orders) and not key
    is_counted_refused = bool(refused) and not key  # also beside ItemsProcessed 1, as one client has seen it
    if errors or failed_status(reply) or has_empty_number or processed == 0 or is_counted_refused:
        return Answer(Said.REFUSED, errors=errors, warnings=warnings)
    if key or (processed or 0) >= 1:
        return Answer(Said.DONE, key=key, warnings=warnings)
    return Answer(Said.NOTHING, warnings=warnings)


def _orders_of(reply: Mapping[str, Any], po_number: str) -> list[Mapping[str, Any]]:
    """What the reply says of one order: `Order` elements, and `Orders` that came back with errors in them."""
    content = content_of(reply)
    named = [order for order in all_of(content, "Order") if text_of(order, "CustomerPoNumber") == po_number]
    came_back = [
        order for order in all_of(content, "Orders") if text_of(order, "OrderHeader", "CustomerPoNumber") == po_number
    ]
    return named + came_back


def _named(orders: Sequence[Mapping[str, Any]]) -> Answer | None:
    """The answer for an order that the reply names; None if it says nothing of it."""
    if not orders:
        return None
    document = {"Orders": list(orders)}
    errors, warnings = item_errors(document), warning_texts(document)
    key = next((number for number in (text_of(order, "SalesOrder") for order in orders) if number), "")
    if errors or not key:
        return Answer(Said.REFUSED, errors=errors, warnings=warnings)
    return Answer(Said.DONE, key=key, warnings=warnings)


def validation(reply: Mapping[str, Any]) -> Answer:
    """SORTOI's answer to Process VALIDATE: REFUSED with its reasons, or DONE for "would be accepted"."""
    errors = item_errors(reply)
    if errors or failed_status(reply):
        return Answer(Said.REFUSED, errors=errors, warnings=warning_texts(reply))
    return Answer(Said.DONE, warnings=warning_texts(reply))


def cancellation(reply: Mapping[str, Any]) -> Answer:
    """SORTOX's answer for one item."""
    errors = item_errors(reply)
    processed, invalid = counters(reply)
    if errors or processed == 0 or invalid:
        return Answer(Said.REFUSED, errors=errors, warnings=warning_texts(reply))
    item = get(content_of(reply), "Item")
    if processed or text_of(item, "Cancelled") == "Y" or text_of(item, "Completed") == "Y":
        return Answer(Said.DONE, key=text_of(item, "SalesOrder"), warnings=warning_texts(reply))
    return Answer(Said.NOTHING, warnings=warning_texts(reply))

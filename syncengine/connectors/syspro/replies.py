"""What SYSPRO's replies to writes say, decided without any I/O. Facts: syspro-transport.md sections 7.2, 9.4, 10.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from syncengine.connectors.syspro.errors import ItemError, failed_status, item_errors
from syncengine.connectors.syspro.values import count
from syncengine.connectors.syspro.xml import all_of, content_of, get, text_of, walk


class Said(StrEnum):
    """What a reply says of one item."""

    DONE = "done"  # applied; the key may still be missing
    REFUSED = "refused"  # not applied, with or without reasons
    NOTHING = "nothing"  # the reply does not tell


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply says of one item. `key` is empty where the reply leaves it out (a clean import of SYSPRO 8 does)."""

    said: Said
    key: str = ""
    errors: Sequence[ItemError] = ()
    warnings: Sequence[str] = ()


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
    processed, _ = counters(reply)
    has_empty_number = bool(orders) and not key
    if errors or failed_status(reply) or has_empty_number or processed == 0:
        return Answer(Said.REFUSED, errors=errors, warnings=warnings)
    if key or (processed or 0) >= 1:
        return Answer(Said.DONE, key=key, warnings=warnings)
    return Answer(Said.NOTHING, warnings=warnings)


def _orders_of(reply: Mapping[str, Any], po_number: str) -> list[Mapping[str, Any]]:
    """What the reply says of one order: `Order` elements, and `Orders` that came back with errors in them."""
    content = content_of(reply)
    told = [order for order in all_of(content, "Order") if text_of(order, "CustomerPoNumber") == po_number]
    came_back = [
        order for order in all_of(content, "Orders") if text_of(order, "OrderHeader", "CustomerPoNumber") == po_number
    ]
    return told + came_back


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


def setups(reply: Mapping[str, Any], keys: Sequence[str], key_name: str) -> list[Answer]:
    """A Setup's answer for each item that was sent, by its place: keys may come back in another form."""
    items = all_of(content_of(reply), "item")
    warnings = warning_texts(reply)
    read, invalid = counters(reply)
    if len(items) != len(keys):
        errors = item_errors(reply)
        if len(keys) == 1 and (errors or invalid):
            return [Answer(Said.REFUSED, errors=errors, warnings=warnings)]
        all_applied = read == len(keys) and invalid == 0 and not errors
        return [Answer(Said.DONE if all_applied else Said.NOTHING, warnings=warnings) for _ in keys]
    answers = []
    for item in items:
        errors = item_errors({"item": item})
        if errors:
            answers.append(Answer(Said.REFUSED, errors=errors, warnings=warnings))
        elif len(keys) == 1 and (invalid or read == 0):
            answers.append(Answer(Said.REFUSED, errors=item_errors(reply), warnings=warnings))
        else:
            answers.append(Answer(Said.DONE, key=text_of(item, "key", key_name), warnings=warnings))
    return answers


def counters(reply: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """How many items were processed (for a Setup: read) and how many were refused; None where the reply does not say.

    `StatusOfItems` stands beside or inside the item, and is spelled `StatusofItems` by some (section 9.4, objects 1).
    """
    done: int | None = None
    refused: int | None = None
    for path, group, _ in walk(reply):
        if not path or path[-1].lower() != "statusofitems":
            continue
        done = _plus(done, group, "ItemsProcessed", "RecordsRead")
        refused = _plus(refused, group, "ItemsInvalid", "RecordsInvalid", "ItemsRejectedWithWarnings")
    return done, refused


def _plus(total: int | None, group: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = get(group, name)
        number = count(value) if isinstance(value, str) else None
        if number is not None:
            total = (total or 0) + number
    return total


def warning_texts(reply: Mapping[str, Any]) -> list[str]:
    """All warnings and back order notes of a reply, each once."""
    found: dict[str, None] = {}
    for _, group, _ in walk(reply):
        for name in ("BackOrderComment", "WarningDescription"):
            found.update(dict.fromkeys(text for text in all_of(group, name) if isinstance(text, str) and text))
    return list(found)

"""What SYSPRO's replies to writes say, decided without any I/O. Facts: syspro-transport.md sections 7.2 and 9.4.

What only one business object answers is read beside it, as `order_replies.py` does for sales orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from syncengine.connectors.syspro.errors import ItemError, item_errors
from syncengine.connectors.syspro.values import count
from syncengine.connectors.syspro.xml import all_of, content_of, get, text_of, walk


class Said(StrEnum):
    """What a reply says of one item."""

    DONE = "done"  # applied; the key may still be missing
    REFUSED = "refused"  # not applied, with or without reasons
    NOTHING = "nothing"  # the reply does not say


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply says of one item. `key` is empty where the reply leaves it out (a clean import of SYSPRO 8 does)."""

    said: Said
    key: str = ""
    errors: Sequence[ItemError] = ()
    warnings: Sequence[str] = ()


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

    `StatusOfItems` is beside or inside the item, and is spelled `StatusofItems` by some (section 9.4, objects 1).
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

"""What SYSPRO's replies to posts of one item say. Facts: syspro-transport.md section 7.2, syspro-objects.md section 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncengine.connectors.syspro.errors import item_errors
from syncengine.connectors.syspro.replies import Answer, Said, counters, warning_texts
from syncengine.connectors.syspro.xml import content_of, text_of


def posted(reply: Mapping[str, Any], *key: str) -> Answer:
    """The answer to a post of one document.

    key: the path of what it has made, under the root. Where one is expected, counters alone do not prove that it exists: a
    validation counts too.
    """
    errors, warnings = item_errors(reply), warning_texts(reply)
    processed, invalid = counters(reply)
    found = text_of(content_of(reply), *key) if key else ""
    if errors or invalid or processed == 0:
        return Answer(Said.REFUSED, errors=errors, warnings=warnings)
    if found or (processed and not key):
        return Answer(Said.DONE, key=found, warnings=warnings)
    return Answer(Said.NOTHING, warnings=warnings)

"""SYSPRO's documents as JSON and back, for the gateway `harmony`; pure.

JSON names are the XML names, elements that may repeat are lists, all values are texts (syspro-transport.md section 4.3,
which is a proposal: no public specification of that interface was found).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncengine.document import Doc


def to_json(content: Any) -> Any:
    """The JSON value of what is under an element; attributes keep their `@`, lists stay lists."""
    if isinstance(content, Mapping):
        return {name: to_json(value) for name, value in content.items()}
    if isinstance(content, list):
        return [to_json(item) for item in content]
    return "" if content is None else str(content)


def from_json(value: Any) -> Any:
    """What is under an element, from its JSON value: numbers and booleans become texts as XML would have them."""
    if isinstance(value, Mapping):
        return {str(key): from_json(item) for key, item in value.items() if not str(key).startswith("_")}
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Y" if value else "N"
    return str(value).strip()


def document(root: str, value: Any) -> Doc:
    """A reply as a document with its root."""
    return {root: from_json(value)}

"""SYSPRO's documents as JSON and back, for the gateway `harmony`; pure.

JSON names are the XML names, elements that may repeat are lists, all values are texts (syspro-transport.md section 4.3,
which is a proposal: no public specification of that interface was found).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncengine.document import Doc

SECTIONS = frozenset(
    {
        "Order", "Orders", "Item", "StockLine", "CommentLine", "MiscChargeLine", "FreightLine", "SalesOrderLine", "Row",
        "Expression",
    }
)  # fmt: skip
"""Elements with children that SYSPRO's schemas let repeat, so that one alone is a list too."""

TEXTS = frozenset({"OrderComments", "ErrorDescription", "WarningDescription"})
"""Leaves that repeat."""

_LISTS_OF_COLUMNS = frozenset({"Columns", "OrderBy"})  # an Expression has one Column, these have many


def to_json(content: Any, name: str = "") -> Any:
    """The JSON value of what stands under the element `name`; attributes are left out."""
    if isinstance(content, Mapping):
        return {key: _listed(name, key, value) for key, value in content.items() if not key.startswith("@")}
    if isinstance(content, list):
        return [to_json(item, name) for item in content]
    return "" if content is None else str(content)


def _listed(owner: str, name: str, value: Any) -> Any:
    shown = to_json(value, name)
    repeats = (
        (name in SECTIONS and isinstance(value, Mapping))
        or name in TEXTS
        or (name == "Column" and owner in _LISTS_OF_COLUMNS)
    )
    return [shown] if repeats and not isinstance(value, list) else shown


def from_json(value: Any) -> Any:
    """What stands under an element, from its JSON value: numbers and truths become texts as XML would have them."""
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

"""Loads documents through marshmallow schemas. Apart from `resource.py`: only what reads documents needs marshmallow."""

from __future__ import annotations

import functools
from typing import Any

from marshmallow import Schema, ValidationError

from syncengine.document import Doc
from syncengine.errors import Rejected


def load(schema: type[Schema], doc: Doc, *, of: str) -> Doc:
    """The typed document. of: the resource's name, for errors. Raises Rejected with field, value and remedy."""
    try:
        return dict(_instance(schema).load(doc))
    except ValidationError as error:
        raise _invalid(of, doc, error) from None


@functools.cache
def _instance(schema: type[Schema]) -> Schema:
    """The one instance of a schema: making one copies all fields and those of its parts, which costs more than a load."""
    return schema()


def _invalid(resource: str, doc: Doc, error: ValidationError) -> Rejected:
    """The first complaint of a schema as a Rejected that names field and value."""
    path: list[str] = []
    value: Any = doc
    messages: Any = error.messages
    while isinstance(messages, dict) and messages:
        name, messages = next(iter(messages.items()))
        path.append(str(name))
        if isinstance(value, list) and isinstance(name, int) and name < len(value):
            value = value[name]
        else:
            value = value.get(name) if isinstance(value, dict) else None
    reason = "; ".join(map(str, messages)) if isinstance(messages, list) else str(messages)
    return Rejected(
        field=".".join(path) or resource,
        value=value,
        reason=f"not valid in {resource}: {reason}",
        remedy="Correct it at the source and it will be fetched again",
    )

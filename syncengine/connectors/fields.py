"""Every field of a resource: kind, length, and what its name does not say. For people who write a flow; nothing here decides.

Kinds and names come from the resource's schema, the rest from what the resource declares: `lengths`, `required_fields`,
`field_notes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from syncengine.connectors.resource import Source, Target
from syncengine.mapping.conversions import fitting
from syncengine.mapping.shapes import Shape, ValueKind, shape_of


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a resource.

    path: its name, `StockLine.Price` for a field of lines. kind: as in the mapping language. length: characters of a text,
    digits before and after the point of a number (`10.5`), empty where none is known. is_required: a document always has it;
    in a target, a new object needs it. fits: the kinds of results that can be written to it; empty in a source.
    """

    path: str
    kind: str
    length: str
    is_required: bool
    note: str
    fits: str


def fields_of(resource: type[Source]) -> list[Field]:
    """All fields of a resource in the order of its schema; fields of groups and lines follow their group."""
    lengths, is_target = resource.lengths(), issubclass(resource, Target)
    return [
        Field(
            path=path,
            kind=_kind(shape),
            length=lengths.get(path, ""),
            is_required=path in resource.required_fields,
            note=resource.field_notes.get(path, ""),
            fits=fitting(shape.kind) if is_target else "",
        )
        for path, shape in _walk(shape_of(resource.schema), "")
    ]


def _walk(group: Shape, prefix: str) -> Iterator[tuple[str, Shape]]:
    for name, shape in group.fields.items():
        path = f"{prefix}{name}"
        yield path, shape
        inner = shape.item if shape.kind is ValueKind.LIST and shape.item else shape
        yield from _walk(inner, f"{path}.")


def _kind(shape: Shape) -> str:
    if shape.kind is not ValueKind.LIST:
        return str(shape.kind)
    return "list of groups" if shape.item and shape.item.kind is ValueKind.GROUP else "list"

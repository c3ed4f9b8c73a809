"""docs/reference/fields.md: every field of every resource."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.reference.markdown import code, heading, table
from syncengine import connectors
from syncengine.connectors.base import Source, Target
from syncengine.connectors.fields import fields_of
from syncengine.mapping.conversions import fitting
from syncengine.mapping.shapes import ValueKind

ABOUT = """The fields that a flow may name, by resource. `syncengine fields RESOURCE` shows the same, `--json` for scripts. A
document may have more fields (custom fields, for example); a mapping cannot name them unless the resource declares them.

A path such as `StockLine.Price` is a field of lines: a mapping fills it under `StockLine`, and reads `orderRows.productSku` as
`productSku` inside `each: orderRows`. Length: characters of a text, digits before and after the point of a number (`10.5`).
Required: every document has it; in a target, a new object needs it."""
SINGLE = (ValueKind.TEXT, ValueKind.INTEGER, ValueKind.DECIMAL, ValueKind.DATE, ValueKind.DATETIME, ValueKind.BOOLEAN)


def page() -> str:
    """The page."""
    resources = sorted(connectors.resources().items())
    listed = "".join(f"- [{name}](#{name.replace('.', '')}): {_use(kind)}\n" for name, kind in resources)
    parts = [_resource(name, kind) for name, kind in resources]
    return "\n".join([heading("Fields", ABOUT), listed, *_fits(), *parts])


def _fits() -> Iterator[str]:
    yield "## What fits a field\n"
    yield "The kinds of results that a target's field takes, with the entries that the mapping then needs:\n"
    yield table(("kind of the field", "takes the results of"), [(str(kind), fitting(kind)) for kind in SINGLE])


def _resource(name: str, kind: type[Source]) -> str:
    rows = [
        (code(field.path), field.kind, field.length, "yes" if field.is_required else "", field.note)
        for field in fields_of(kind)
    ]
    return f"## {name}\n\n{table(('field', 'kind', 'length', 'required', 'note'), rows)}"


def _use(kind: type[Source]) -> str:
    return "read and written" if issubclass(kind, Target) else "read"

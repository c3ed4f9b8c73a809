"""The fields that all Brightpearl schemas are made of. Unknown fields are kept; money and quantities are Decimal.

Facts: reference/brightpearl.md section 3.1. Unset fields are omitted by Brightpearl; null is taken for the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields


class Document(Schema):
    """A schema that keeps what it does not know."""

    class Meta:
        unknown = INCLUDE


class Number(fields.Decimal):
    """An exact number, from a string with fixed decimals or a JSON number."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**{"allow_none": True, **more})


class Whole(fields.Integer):
    """An id or a count. A fraction is refused, not cut."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**{"allow_none": True, "strict": True, **more})


class Words(fields.String):
    """A text."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**{"allow_none": True, **more})


class Flag(fields.Boolean):
    """True or false."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**{"allow_none": True, **more})


class Time(fields.AwareDateTime):
    """A time with an offset, given in UTC. One without an offset is refused: nobody knows when it was."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**{"format": "iso", "allow_none": True, **more})

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> datetime:
        return super()._deserialize(value, attr, data, **more).astimezone(UTC)


class Part(fields.Nested):
    """A nested object."""

    def __init__(self, nested: type[Schema], **more: Any) -> None:
        super().__init__(nested, **{"allow_none": True, **more})


class Rows(fields.Field[list[dict[str, Any]]]):
    """A map of rows by row id, given as a list: each row with its `id`, in the order that people see.

    An error is reported under the row's id, as in the raw document. `row_schema` shows mappings what a row holds.
    """

    def __init__(self, schema: type[Schema], sequence: str, **more: Any) -> None:
        super().__init__(**more)
        self.row_schema = schema
        self._made: Schema | None = None  # made once: making a schema costs more than a load
        self._sequence = sequence

    def _deserialize(
        self,
        value: Any,
        attr: str | None,  # noqa: ARG002
        data: Mapping[str, Any] | None,  # noqa: ARG002
        **more: Any,  # noqa: ARG002
    ) -> list[dict[str, Any]]:
        if not isinstance(value, Mapping):
            raise ValidationError("Not a map of rows by id.")
        rows, errors = [], {}
        if self._made is None:
            self._made = self.row_schema()
        for row_id, row in value.items():
            try:
                rows.append({**self._made.load(row), "id": str(row_id)})
            except ValidationError as error:
                errors[row_id] = error.messages
        if errors:
            raise ValidationError(errors)
        return sorted(rows, key=lambda row: (_number(row.get(self._sequence)), _number(row["id"])))


def _number(text: Any) -> tuple[int, str]:
    """Sequence and id are numbers written as text; any other text comes last, in its own order."""
    shown = "" if text is None else str(text)
    return (int(shown), "") if shown.isascii() and shown.isdigit() else (2**63, shown)

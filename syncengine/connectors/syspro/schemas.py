"""The schemas of documents read from SYSPRO: Decimals and dates from its texts, unknown fields kept, complaints by field.

The fields are the elements that are written, so that a mapped document and a read one are of the same shape.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields

from syncengine.connectors.syspro.elements import Element, Kind, Section
from syncengine.connectors.syspro.values import day_of, decimal_of


class SysproDecimal(fields.Field[Decimal | None]):
    """A padded text with thousands commas and a minus at either end; blank is None."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Decimal | None:
        if isinstance(value, str) and not value.strip():
            return None
        try:
            return decimal_of(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class SysproDate(fields.Field[date | None]):
    """CCYY-MM-DD or one of its variants; blank and 0000-00-00 are None."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> date | None:
        try:
            return day_of(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class SysproText(fields.Field[str]):
    """A text without the blanks that pad it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if isinstance(value, str):
            return value.strip()
        raise ValidationError(f"a {type(value).__name__} is not a text")


class SysproSchema(Schema):
    """Keeps what it does not know: another version of SYSPRO gives more."""

    class Meta:
        unknown = INCLUDE


def _field(element: Element) -> fields.Field[Any]:
    if element.repeats > 1:
        return fields.Raw(allow_none=True)
    if element.kind is Kind.NUMBER:
        return SysproDecimal(allow_none=True)
    if element.kind is Kind.DATE:
        return SysproDate(allow_none=True)
    return SysproText(allow_none=True)


def schema_of(name: str, section: Section, **more: fields.Field[Any]) -> type[Schema]:
    """The schema of documents with the elements of `section`, and `more` fields beside them; `name` is the object's."""
    known = {element_name: _field(element) for element_name, element in section.items()}
    return SysproSchema.from_dict({**known, **more}, name=f"{name}Schema")

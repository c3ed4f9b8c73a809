"""Small schemas of two invented systems, and a mapping made from a few lines of YAML."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent
from typing import Any

from marshmallow import INCLUDE, Schema, fields, validate

from syncengine.mapping.compiled import CompiledMapping
from syncengine.mapping.compiler import compile_mapping
from syncengine.mapping.contract import Context
from syncengine.mapping.scope import Setting
from syncengine.mapping.shapes import ValueKind
from syncengine.mapping.yaml_lines import parse


class Amount(Schema):
    value = fields.Decimal(allow_none=True)
    currency = fields.String()


class Row(Schema):
    class Meta:
        unknown = INCLUDE

    id = fields.String()
    sku = fields.String(allow_none=True)
    name = fields.String(allow_none=True)
    qty = fields.Decimal(allow_none=True)
    net = fields.Nested(Amount, allow_none=True)
    parent = fields.Integer()
    sequence = fields.String()


class Person(Schema):
    name = fields.String(allow_none=True)
    street = fields.String(allow_none=True)
    town = fields.String(allow_none=True)
    country = fields.String(allow_none=True)
    friend = fields.Nested("Person")


class Source(Schema):
    class Meta:
        unknown = INCLUDE

    id = fields.Integer()
    title = fields.String(allow_none=True)
    note = fields.String(allow_none=True)
    paid = fields.Boolean(allow_none=True)
    total = fields.Decimal(allow_none=True)
    rate = fields.Decimal(allow_none=True)
    day = fields.Date(allow_none=True)
    at = fields.AwareDateTime(allow_none=True)
    buyer = fields.Nested(Person, allow_none=True)
    rows = fields.List(fields.Nested(Row), allow_none=True)
    tags = fields.List(fields.String())
    custom = fields.Dict()
    anything = fields.Raw(allow_none=True)


class Line(Schema):
    code = fields.String()
    text = fields.String()
    quantity = fields.Decimal()
    price = fields.Decimal()
    when = fields.Date()


class Target(Schema):
    key = fields.String()
    customer = fields.String()
    name = fields.String(validate=validate.Length(max=10))
    line1 = fields.String()
    line2 = fields.String()
    line3 = fields.String()
    more = fields.String()
    number = fields.Integer()
    amount = fields.Decimal()
    date = fields.Date()
    time = fields.AwareDateTime()
    flag = fields.Boolean()
    free = fields.Raw()
    goods = fields.List(fields.Nested(Line))
    notes = fields.List(fields.Nested(Line))
    words = fields.List(fields.String())


SETTINGS = {
    "zone": Setting(ValueKind.TEXT, "Europe/London"),
    "limit": Setting(ValueKind.DECIMAL, 10),
    "channels": Setting(ValueKind.LIST, [1, 2]),
    "strict": Setting(ValueKind.BOOLEAN, False),
    "top": Setting(ValueKind.INTEGER, 3),
    "house": Setting(ValueKind.GROUP, {}),
}


def made(text: str, **more: Any) -> CompiledMapping:
    """A mapping from YAML; `mapping:` is put on top if the text has none."""
    body = dedent(text).strip("\n")
    if "mapping:" not in body:
        body = "mapping:\n" + "\n".join(f"  {line}" for line in body.splitlines())
    settings: dict[str, Any] = {
        "source_schema": Source,
        "target_schema": Target,
        "file": "flows/test.yml",
        "settings": SETTINGS,
        "needs": {"customers": "customers"},
        "lookups": {"codes": {"a": "A", "1": "one"}, "empty": {}},
        "resources": {"left.person": Person, "left.other": Source},
    }
    return compile_mapping(parse(body, "flows/test.yml"), **{**settings, **more})


def mapped(text: str, doc: Mapping[str, Any], context: Context | None = None) -> dict[str, Any]:
    """The only part of what a mapping makes of a document."""
    return made(text).apply(dict(doc), context or Context())[""]

"""Names by which people look objects up: one form for all spellings, taken from documents as their systems give them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from marshmallow import Schema, fields

from syncengine.connectors.base import NameKind, Source
from syncengine.connectors.brightpearl.resources import RESOURCES as BRIGHTPEARL
from syncengine.connectors.brightpearl.resources.contact import Contact
from syncengine.connectors.brightpearl.resources.sales_order import SalesOrder
from syncengine.connectors.brightpearl.schemas import Rows
from syncengine.connectors.searchable import ANY, MOST, names_in, normal
from syncengine.connectors.syspro.resources import RESOURCES as SYSPRO

PAYLOADS = Path(__file__).parents[2] / "payloads" / "brightpearl"


@pytest.mark.parametrize(
    ("kind", "text", "name"),
    [
        (NameKind.REFERENCE, "  WEB-10001\t", "web-10001"),
        (NameKind.REFERENCE, "PO  77 / a", "po 77 / a"),
        (NameKind.REFERENCE, "00077", "00077"),
        (NameKind.REFERENCE, "", ""),
        (NameKind.REFERENCE, "x" * 256, ""),
        (NameKind.SKU, "Lamp-RED", "lamp-red"),
        (NameKind.EMAIL, " Ann@Example.COM ", "ann@example.com"),
        (NameKind.EMAIL, "ann", ""),
        (NameKind.PHONE, "+44 (0)20 7946-0001", "079460001"),
        (NameKind.PHONE, "020 7946 0001", "079460001"),
        (NameKind.PHONE, "7946 001", "7946001"),
        (NameKind.PHONE, "79 46 01", ""),
        (NameKind.PHONE, "WEB-1000123456", ""),
    ],
)
def test_a_name_has_one_form(kind: NameKind, text: str, name: str) -> None:
    assert normal(kind, text) == name
    assert normal(kind, name or "") == name  # which is its own


def test_what_a_document_holds_elsewhere_or_in_another_shape_is_left_out() -> None:
    searchable = {"ref": NameKind.REFERENCE, "rows.*.sku": NameKind.SKU, "to.mail": NameKind.EMAIL}
    rows = {
        "1": {"sku": "B"},
        "2": {"sku": None},
        "3": "odd",
        "4": {"sku": ["C"]},
        "5": {"sku": True},
        "6": {"sku": "b"},
    }
    assert names_in({"ref": 77, "rows": rows, "to": "nobody"}, searchable) == [("reference", "77"), ("sku", "b")]
    assert names_in({"ref": Decimal("7.5"), "rows": [{"sku": "B"}, {"sku": "A"}]}, searchable) == [
        ("reference", "7.5"), ("sku", "b"), ("sku", "a"),
    ]  # fmt: skip
    assert names_in({"rows": 5, "ref": {}}, searchable) == []
    many = names_in({"ref": "r", "rows": [{"sku": f"S{number}"} for number in range(1000)]}, searchable)
    assert len(many) == MOST
    assert many[0] == ("reference", "r")


def test_an_order_and_a_contact_as_brightpearl_gives_them() -> None:
    order = json.loads((PAYLOADS / "order_get.json").read_text())["response"][0]
    contact = json.loads((PAYLOADS / "contact_get.json").read_text())["response"][0]
    for doc, searchable in ((order, SalesOrder.searchable), (contact, Contact.searchable)):
        found = names_in(doc, searchable)
        assert {kind for kind, _ in found} >= {NameKind.EMAIL}
        assert len(found) == len(set(found))
    assert ("reference", normal(NameKind.REFERENCE, order["reference"])) in names_in(order, SalesOrder.searchable)


@pytest.mark.parametrize("kind", [*BRIGHTPEARL, *SYSPRO], ids=lambda kind: kind.name)
def test_each_declared_path_leads_to_a_field_of_the_schema(kind: type[Source]) -> None:
    assert [path for path in kind.searchable if not list(_ends(kind.schema(), path.split(".")))] == []


def _ends(schema: Schema, path: list[str]) -> Iterator[fields.Field]:
    """The plain fields that a path leads to."""
    for step in list(schema.fields) if path[0] == ANY else path[:1]:
        field, rest = schema.fields.get(step), path[1:]
        if isinstance(field, fields.List | Rows) and rest[:1] == [ANY]:
            field, rest = (fields.Nested(field.row_schema) if isinstance(field, Rows) else field.inner), rest[1:]
        if isinstance(field, fields.Nested) and rest:
            yield from _ends(field.schema, rest)
        elif field is not None and not isinstance(field, fields.Nested) and not rest:
            yield field

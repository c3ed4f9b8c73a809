"""The named values of a mapping, for people who ask how a figure comes about."""

from __future__ import annotations

from decimal import Decimal

from syncengine.mapping.contract import Context
from tests.unit.mapping.mapping_fixtures import made

FLOW = """
values:
  share: {from: total / 2}
  broken: {from: number(note)}
mapping:
  key: {from: id, as: text}
  goods:
    each: rows
    key: id
    let:
      double: {from: qty * 2}
    quantity: {from: double + share}
"""


def test_they_are_given_by_document_and_by_line_and_what_cannot_be_computed_is_left_out() -> None:
    compiled = made(FLOW)
    doc = {"id": 1, "total": Decimal(10), "note": "no number", "rows": [{"id": "a", "qty": Decimal(3)}, {"id": "b"}]}
    assert compiled.named_values(doc, Context()) == {"": {"share": Decimal(5)}, "a": {"double": Decimal(6)}, "b": {}}

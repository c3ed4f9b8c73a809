"""Documents and their JSON: values of ours keep their type, documents of other systems come back as they were."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from syncengine.document import fingerprint, from_json, to_json

OURS = {
    "price": Decimal("19.90"),
    "on": date(2026, 3, 2),
    "at": datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
    "id": uuid.UUID("12345678123456781234567812345678"),
    "raw": b"\x00\xff",
    "lines": [{"quantity": Decimal("1.0000")}, None, True, 3],
}
MARKS = st.sampled_from(["__type__", "__value__", "foreign", "decimal", "datetime", "uuid", "bytes", "a"])
DOCUMENTS = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), MARKS, st.sampled_from([Decimal("1.10"), OURS["at"], b"__type__"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(MARKS, inner, max_size=3),
        st.fixed_dictionaries({"__type__": inner, "__value__": inner}),
    ),
    max_leaves=12,
)


def test_numbers_times_and_ids_of_ours_keep_their_type() -> None:
    assert from_json(to_json(OURS)) == OURS
    assert str(from_json(to_json(OURS))["price"]) == "19.90"


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "decimal", "__value__": "1.5"},
        {"__type__": "decimal", "__value__": "no number"},
        {"__type__": "invoice", "__value__": {"total": "1.00"}},
        {"__type__": ["a"], "__value__": None},
        {"__type__": "foreign", "__value__": [["a", 1]]},
        {"__type__": {"__type__": "uuid", "__value__": {"hex": "x"}}, "__value__": [Decimal("2.50")]},
        {"__type__": "decimal"},
        {"note": 'they write "__type__": so', "kind": "__type__"},
    ],
)
def test_a_foreign_document_that_uses_our_names_comes_back_as_it_was(value: Any) -> None:
    for document in (value, {"a": [{"b": value}], "price": Decimal("1.00")}):
        assert from_json(to_json(document)) == document
        assert from_json(to_json(from_json(to_json(document)))) == document


@given(DOCUMENTS)
def test_whatever_a_document_holds_it_comes_back_as_it_was(document: Any) -> None:
    back = from_json(to_json(document))
    assert back == document
    assert fingerprint(back) == fingerprint(document)


def test_equal_documents_have_equal_fingerprints_whatever_the_order_of_their_keys() -> None:
    assert fingerprint({"__type__": "a", "__value__": 1}) == fingerprint({"__value__": 1, "__type__": "a"})


def test_what_an_earlier_version_has_stored_is_still_read() -> None:
    stored = kombu_json.dumps(OURS, sort_keys=True)
    assert stored == to_json(OURS)
    assert from_json(stored) == from_json(stored.encode()) == OURS


@pytest.mark.parametrize("value", [{"__type__": "invoice", "__value__": 1}, {"__type__": "date", "__value__": 5}])
def test_a_foreign_document_that_an_earlier_version_has_stored_no_longer_stops_the_reader(value: Any) -> None:
    assert from_json(kombu_json.dumps({"source": value})) == {"source": value}

"""Whatever a document holds, a mapping either maps it or says by field what is wrong; nothing else escapes."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.document import to_json
from syncengine.errors import Rejected
from syncengine.mapping.contract import Mapping, MissingLookup
from tests.depth import usually
from tests.unit.flows.flow_fixtures import address, contact, context, flows, order, row, text_row

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 10**40, 10**4000, Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), float("inf")]),
    st.sampled_from(
        [Decimal("1E+999999"), Decimal("1E-999999"), Decimal(0), float("nan"), 0.1, "", " ", "\ud800", "\x00"]
    ),
    st.decimals(allow_nan=True),
    st.text(max_size=60),
    st.sampled_from(["x" * 5000, "1 " * 400, "\u096b", "\u00b2", "\ufb01", "\U0001d7d9", "\u202e", "\u2028ab"]),
    st.just(date(1, 1, 1)),
    st.just(datetime(1, 1, 1, tzinfo=UTC)),
    st.just(datetime(9999, 12, 31, 23, 59)),  # noqa: DTZ001 - a document may hold one
    st.binary(max_size=3),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
BUNDLE = {"1": row("5.0000", bundle=True), "2": row("0.0000", parent=1), "3": text_row("1.0000", "Wrapping")}
Doc = dict[str, Any]


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document at which there is something."""
    found = [before] if before else []
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in entries:
        found += paths(one, (*before, key))
    return found


def changed(doc: Doc, changes: list[tuple[tuple[Any, ...], Any]]) -> Doc:
    """The document with other values at some places; a place that is gone by then is passed over."""
    made = copy.deepcopy(doc)
    for path, value in changes:
        place: Any = made
        try:
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue
    return made


ORDER, CONTACT = order("6.00", BUNDLE), contact()
ORDERS = st.lists(st.tuples(st.sampled_from(paths(ORDER)), VALUES), min_size=1, max_size=4)
CONTACTS = st.lists(st.tuples(st.sampled_from(paths(CONTACT)), VALUES), min_size=1, max_size=4)
MANY = settings(max_examples=usually(100, full=250), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def asked(call: Callable[[], Any]) -> Any:
    """What a call gives, or None if it says why it cannot; any other exception fails the test."""
    try:
        return call()
    except Rejected as error:
        texts = [error.field, error.reason, error.remedy, str(error)]
    except MissingLookup as missing:
        texts = [missing.need.key]
    assert all(texts)
    return None


def ask_everything(mapping: Mapping, doc: Doc, read: dict[str, dict[str, Doc]]) -> None:
    references = asked(lambda: mapping.references(doc, {"guest_contact_tags": ["7"]}))
    assert references is None or all(isinstance(one.key, str) and one.key for one in references)
    for more in ({}, {"settings": {"eligible_statuses": []}}):
        asked(lambda more=more: mapping.decide(doc, context(references=read, **more)))  # type: ignore[misc]
    needs = asked(lambda: mapping.needs(doc, context(references=read))) or []
    linked = context(references=read, links=dict.fromkeys(needs, "BP1"))
    made = asked(lambda: mapping.apply(doc, linked))
    for mapped in (made or {}).values():
        keep_promises(mapped)
        asked(lambda mapped=mapped: mapping.natural_key(mapped))  # type: ignore[misc]


def keep_promises(mapped: Doc) -> None:
    """No float, no NaN, and it can be stored."""
    for path in paths(mapped):
        value: Any = mapped
        for step in path:
            value = value[step]
        assert not isinstance(value, float | bytes)
        assert not isinstance(value, Decimal) or value.is_finite()
    with contextlib.suppress(UnicodeEncodeError):  # half of a surrogate pair, which no system can send as JSON
        to_json(mapped).encode()


@MANY
@given(ORDERS)
def test_any_order_is_mapped_or_rejected_by_name(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    tagged = {"brightpearl.contact": {"310": {"contactTags": "3"}}}

    ask_everything(flows()["orders"].mapping, changed(ORDER, changes), tagged)


@MANY
@given(CONTACTS)
def test_any_contact_is_mapped_or_rejected_by_name(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    read = {"brightpearl.postal_address": {"9001": address(9001), "9002": address(9002)}}

    ask_everything(flows()["customers"].mapping, changed(CONTACT, changes), read)


@MANY
@given(st.dictionaries(st.sampled_from([*ORDER, "x"]), VALUES))
def test_any_document_at_all_is_mapped_or_rejected_by_name(doc: Doc) -> None:
    ask_everything(flows()["orders"].mapping, doc, {})
    ask_everything(flows()["customers"].mapping, doc, {})


@given(st.lists(st.tuples(st.integers(1, 9999), st.integers(0, 10**9)), min_size=1, max_size=8))
def test_the_value_of_every_order_survives(rows: list[tuple[int, int]]) -> None:
    made = {
        str(number): row(f"{net / 10_000:.4f}", f"{quantity}.0000", orderRowSequence=str(number))
        for number, (quantity, net) in enumerate(rows, start=1)
    }
    net = sum((Decimal(one["rowValue"]["rowNet"]["value"]) for one in made.values()), Decimal(0))
    doc = order(str(round(net, 2)), made)
    mapping = flows()["orders"].mapping
    needs = mapping.needs(doc, context())

    mapped = mapping.apply(doc, context(links=dict.fromkeys(needs, "BP310")))[""]

    value = sum(round(line["Price"] * line["OrderQty"], 2) for line in mapped["StockLine"])
    allowed = Decimal("0.01") * (len(rows) + 1) + Decimal("0.000005") * sum(quantity for quantity, _ in rows)
    assert abs(value - net) <= allowed


@pytest.mark.parametrize("depth", [60, 3000])
def test_deep_nesting_harms_nobody(depth: int) -> None:
    deep: Any = "x"
    for _ in range(depth):
        deep = {"x": deep}

    ask_everything(flows()["orders"].mapping, {**ORDER, "reference": deep, "orderRows": [deep]}, {})

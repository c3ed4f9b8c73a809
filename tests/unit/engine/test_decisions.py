"""The small pure decisions: quiet, back-off, adoption, plans as they are stored and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema

from syncengine import clock
from syncengine.connectors.base import Change, LineChange, Operation, Outcome, Resource, Verb
from syncengine.document import Doc, from_json, to_json
from syncengine.engine.core.backoff import backoff
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.adoption import Candidate, judge
from syncengine.engine.decide.debounce import DebounceState, debounce_wait
from syncengine.engine.decide.merge import Difference
from syncengine.engine.decide.plan import Plan, PlanKind, Step

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age_s", "before", "wait_s"),
    [
        (61, DebounceState("", None), 0),  # old enough at the first read
        (10, DebounceState("", None), 60),  # young: a second read is needed
        (None, DebounceState("", None), 60),  # the source does not say when it was touched
        (10, DebounceState("same", NOON - timedelta(seconds=60)), 0),  # two reads a minute apart saw the same
        (10, DebounceState("same", NOON - timedelta(seconds=20)), 40),
        (61, DebounceState("other", NOON - timedelta(seconds=90)), 60),  # it has changed since the last look
    ],
)
def test_when_an_object_is_quiet(age_s: int | None, before: DebounceState, wait_s: float) -> None:
    touched = None if age_s is None else NOON - timedelta(seconds=age_s)
    assert debounce_wait(60, touched_at=touched, read_at=NOON, print_="same", before=before, now=NOON) == wait_s


def test_without_a_quiet_period_nothing_waits() -> None:
    assert debounce_wait(0, touched_at=NOON, read_at=NOON, print_="x", before=DebounceState("y", NOON), now=NOON) == 0


@freeze_time("2026-03-02 12:00:00")
def test_the_clock_is_aware_and_in_utc() -> None:
    assert clock.now() == NOON


@given(attempt=st.integers(0, 1000), most=st.floats(1, 3600))
def test_backoff_is_at_least_half_and_at_most_its_limit(attempt: int, most: float) -> None:
    whole = min(most, 2.0 ** min(attempt, 30))
    assert whole / 2 <= backoff(attempt, most_s=most) <= whole


class Order(Resource):
    name = "right.order"
    schema = Schema
    identity = ("customer",)
    line_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {"rows": ("code",)}

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        return {}

    def key_of(self, doc: Doc) -> str:
        return str(doc["id"])

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        raise AssertionError("a decision writes nothing")

    def is_cancelled(self, doc: Doc) -> bool:
        return bool(doc.get("cancelled"))

    def created_at(self, doc: Doc) -> datetime | None:
        return doc.get("created")


ASKED = {"customer": "C1", "rows": [{"@key": "a", "code": "X"}, {"@key": "b", "code": "Y"}]}


def _found(key: str = "R1", **doc: Any) -> Candidate:
    whole = {"customer": "C1", "rows": [{"code": "Y"}, {"code": "X"}], **doc}
    return Candidate(key, whole, whole)


@pytest.mark.parametrize(
    ("candidates", "verify", "adopted", "reason"),
    [
        ([], False, None, ""),
        ([_found()], False, "R1", ""),
        ([_found(cancelled=True)], False, None, "was cancelled in the target"),
        ([_found(cancelled=True, created=NOON - timedelta(days=1))], False, None, ""),
        ([_found(), _found("R2")], False, None, "several objects"),
        ([_found(), _found("R2", cancelled=True)], False, "R1", ""),
        ([_found(customer="C2")], False, None, "customer is 'C2' instead of 'C1'"),
        ([_found(rows=[{"code": "X"}])], False, None, "rows has 1 lines instead of 2"),
        ([_found(rows=[{"code": "X"}, {"code": "Z"}])], False, None, "no line that matches b"),
        ([_found(created=NOON - timedelta(days=1))], False, None, "older than our write"),
        ([_found(created=NOON + timedelta(seconds=9))], False, "R1", ""),
        ([_found(rows=[], created=NOON - timedelta(days=1))], True, "R1", ""),
        ([_found(customer="C2")], True, None, "customer is 'C2' instead of 'C1'"),
    ],
)
def test_who_is_adopted(candidates: list[Candidate], verify: bool, adopted: str | None, reason: str) -> None:
    verdict = judge(Order(), ASKED, candidates, sent_at=NOON, verify=verify)

    assert (verdict.adopt.key if verdict.adopt else None) == adopted
    assert reason in verdict.reason


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    ("found", "sent_at", "held"),
    [
        ([_found("7", cancelled=True)], None, True),  # only looked for: nothing is created beside what people cancelled
        ([_found("7", cancelled=True)], NOON, True),  # it may be what was sent, and people have cancelled it since
        ([_found("7", cancelled=True, created=NOON + timedelta(seconds=9))], NOON, True),
        ([_found("7", cancelled=True, created=NOON - timedelta(days=1))], NOON, False),  # older than what was sent
        ([], None, False),
        ([], NOON, False),
    ],
)
def test_what_people_have_cancelled_there_keeps_a_create_back_unless_it_is_older(
    found: list[Candidate], sent_at: datetime | None, held: bool, verify: bool
) -> None:
    verdict = judge(Order(), ASKED, found, sent_at=sent_at, verify=verify)

    assert verdict.adopt is None
    assert verdict.reason == ("7 has this reference but was cancelled in the target" if held else "")


def _plan() -> Plan:
    line = LineChange(
        "rows", "change", "a", "1", {"@key": "a", "qty": Decimal("2.50")}, {"qty": Change(1, Decimal("2.50"))}
    )
    change = Operation(
        Verb.CHANGE, "5001", doc={"ref": "5001"}, key="R1", changes={"name": Change("a", "b")}, lines=(line,)
    )
    create = Operation(Verb.CREATE, "5001", doc={"ref": "5001", "on": NOON.date()})
    steps = [Step("", "right.order", change, {"ref": "5001"}, {"a": "1"}), Step("EUR", "right.order", create, {})]
    kept = [Difference("f", 1, 2, 3, "was changed only in the target")]
    return Plan(PlanKind.WRITE, "because", steps=steps, kept=kept, conflicts=kept)


def test_a_plan_survives_being_stored() -> None:
    plan = _plan()
    back = plan_codec.from_doc(from_json(to_json(plan_codec.to_doc(plan))))

    assert back.steps == plan.steps
    assert (back.kind, back.reason, back.hash) == (plan.kind, plan.reason, plan.hash)


def test_a_plan_is_shown_in_lines() -> None:
    shown = plan_codec.timeline_detail(_plan())

    assert shown["writes"] == ["change R1: name, ~ rows 1", "create 5001 (EUR)"]
    assert shown["left"] == ["f was changed only in the target"]


def test_a_held_plan_shows_what_it_would_change_field_by_field() -> None:
    held = Plan(PlanKind.HOLD, "it is invoiced", steps=_plan().steps)
    assert plan_codec.timeline_detail(held)["would change"] == ["name: a -> b", "rows 1 qty: 1 -> 2.50"]
    assert plan_codec.details(_plan().steps[1]) == ["ref: 5001", "on: 2026-03-02"]


def test_equal_intentions_have_equal_hashes_and_others_do_not() -> None:
    other = Plan(PlanKind.WRITE, "because", steps=_plan().steps[:1])
    assert _plan().hash == _plan().hash != other.hash

"""What a person's approval makes of a held plan, and the first comparison of two objects that a person has linked. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from syncengine.document import Doc
from syncengine.engine.core import decisions
from syncengine.engine.core.decisions import ActiveDecision
from syncengine.engine.decide import first_comparison
from syncengine.engine.decide.merge import Merged, merge
from syncengine.engine.decide.plan import Plan, PlanKind
from syncengine.mapping.contract import Policy, RuleVerdict
from syncengine.store.states import Why
from tests.unit.engine.test_plan import BASE, EDITED, _link, _plan

HERE = {**BASE, "name": "c"}  # what people of the target have made of it


def _said(made: Plan, side: str = "left") -> ActiveDecision:
    return ActiveDecision(1, 1, side, made.hash, "it is right", "anna")


def _by_word(doc: Doc, links: Any, side: str = "left") -> Plan:
    made = _plan(doc, links)
    return decisions.applied(made, _said(made, side), lambda _: _plan(doc, links, approved=True))


@pytest.mark.parametrize(
    ("doc", "links", "hold", "approved"),
    [
        ({**EDITED, "verdict": RuleVerdict.HOLD}, {}, Why.RULE, PlanKind.WRITE),
        ({**EDITED, "verdict": RuleVerdict.HOLD}, {"": _link(BASE)}, Why.RULE, PlanKind.WRITE),
        (EDITED, {"": _link(HERE)}, Why.CONFLICT, PlanKind.WRITE),
        ({**EDITED, "verdict": RuleVerdict.HOLD}, {"": _link(HERE)}, Why.CONFLICT, PlanKind.WRITE),
        (EDITED, {"": _link({**HERE, "invoiced": True})}, Why.CONFLICT, PlanKind.HOLD),  # and then the target refuses
        (EDITED, {"": _link({**BASE, "invoiced": True})}, Why.REFUSED, PlanKind.HOLD),
        (EDITED, {"": _link({**BASE, "cancelled": True})}, Why.REFUSED, PlanKind.HOLD),
        (
            {**EDITED, "verdict": RuleVerdict.CANCEL},
            {"": _link({**BASE, "invoiced": True})},
            Why.REFUSED,
            PlanKind.HOLD,
        ),
        (EDITED, {"": _link(None)}, Why.GONE, PlanKind.HOLD),
    ],
    ids=["create", "change", "conflict", "both", "then refused", "refused", "cancelled", "too late", "gone"],
)
def test_an_approval_waives_rules_and_conflicts_and_nothing_that_the_target_says(
    doc: Doc, links: Any, hold: Why, approved: PlanKind
) -> None:
    assert _plan(doc, links).why is hold
    made = _by_word(doc, links)

    assert (made.kind, made.decided) == (approved, "approved by anna: it is right")


@pytest.mark.parametrize(
    ("doc", "links", "agreed"),
    [
        ({**EDITED, "verdict": RuleVerdict.HOLD}, {}, []),  # nothing to agree on: it would be created
        ({**EDITED, "verdict": RuleVerdict.HOLD}, {"": _link(BASE)}, ["b"]),
        (EDITED, {"": _link(HERE)}, ["b"]),
        (EDITED, {"": _link({**BASE, "invoiced": True})}, ["b"]),
        ({**EDITED, "verdict": RuleVerdict.CANCEL}, {"": _link({**BASE, "invoiced": True})}, []),
        (EDITED, {"": _link(None)}, []),
        ({**EDITED, "parts": ("GBP", "EUR")}, {"EUR": _link(HERE)}, []),  # one part would be created
    ],
    ids=["create", "change", "conflict", "refused", "cancel", "gone", "a part to create"],
)
def test_a_refusal_writes_nothing_and_agrees_on_what_both_sides_have(doc: Doc, links: Any, agreed: list[str]) -> None:
    made = _by_word(doc, links, side="")

    assert (made.kind, made.steps, made.decided) == (PlanKind.SKIP, (), "refused by anna: it is right")
    assert [one.agreed["name"] for one in made.refusable] == agreed


def test_a_word_for_another_plan_changes_nothing() -> None:
    other = _plan(EDITED, {"": _link({**HERE, "name": "d"})})  # the same field, another value in the target
    made = _plan(EDITED, {"": _link(HERE)})

    assert other.reason == made.reason
    assert decisions.applied(made, _said(other), lambda _: pytest.fail("it is another plan")) is made
    assert decisions.applied(made, None, lambda _: pytest.fail("nobody said anything")) is made


def test_what_cannot_be_waived_is_named_before_what_can() -> None:
    made = _plan({**EDITED, "parts": ("GBP", "EUR")}, {"GBP": _link(HERE), "EUR": _link({**BASE, "invoiced": True})})

    assert (made.why, made.reason) == (Why.REFUSED, "it is invoiced")


LINES = {"rows": ("code",)}


def _joined(wanted: Doc, current: Doc, *, approved: bool = False) -> Merged:
    base, numbers = first_comparison.base(wanted, current, line_fields=LINES)
    return merge(
        base, wanted, current, policy=lambda _: Policy.HOLD, line_fields=LINES, numbers=numbers, approved=approved
    )


def _row(key: str, code: str, qty: int) -> Doc:
    return {"@key": key, "code": code, "qty": qty}


def _line(number: int, code: str, qty: int) -> Doc:
    return {"@line": str(number), "code": code, "qty": qty}


def test_what_the_target_does_not_tell_is_no_difference() -> None:
    merged = _joined({"name": "a", "note": "n"}, {"name": "a"})

    assert not merged.writes
    assert not merged.conflicts


def test_a_line_of_the_target_alone_is_left_and_one_of_the_source_alone_is_for_a_person() -> None:
    wanted = {"rows": [_row("a", "X", 1), _row("b", "Y", 1)]}
    current = {"rows": [_line(1, "X", 1), _line(2, "Z", 9)]}
    merged = _joined(wanted, current)
    assert (merged.writes, [one.path for one in merged.conflicts], merged.numbers) == (False, ["rows[b]"], {"a": "1"})

    [added] = _joined(wanted, current, approved=True).lines
    assert (added.action, added.line["code"]) == ("add", "Y")


def test_lines_that_may_be_any_of_several_are_never_written() -> None:
    wanted = {"rows": [_row("a", "X", 1)]}
    current = {"rows": [_line(1, "X", 1), _line(2, "X", 2)]}

    for approved in (False, True):
        merged = _joined(wanted, current, approved=approved)
        assert (merged.writes, [one.path for one in merged.conflicts]) == (False, ["rows[a]"])

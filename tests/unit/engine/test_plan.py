"""The pure decision, one-way and for pairs: what is written where, what is left, held, skipped or waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from marshmallow import Schema

from syncengine.connectors.base import Operation, Outcome, Resource, Safety, Verb
from syncengine.document import Doc
from syncengine.engine.decide.plan import Linked, Plan, PlanKind
from syncengine.engine.decide.planning import plan
from syncengine.engine.decide.situation import Situation
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import (
    Context,
    DifferenceText,
    FieldGroup,
    MissingLookup,
    Need,
    Policy,
    Reference,
    Remark,
    RuleDecision,
    RuleVerdict,
)

CUSTOMER = Need("customers", "310", "", "customers")
NO_ENTRY = Need("lookup:currencies", "9")


class Thing(Resource):
    schema = Schema
    safety: ClassVar = {Verb.CREATE: Safety.SEARCH, Verb.CHANGE: Safety.ABSOLUTE, Verb.CANCEL: Safety.ABSOLUTE}

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        return {}

    def key_of(self, doc: Doc) -> str:
        return str(doc["id"])

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        raise AssertionError("a plan writes nothing")

    def refuses(self, verb: Verb, doc: Doc) -> str | None:
        return "it is invoiced" if doc.get("invoiced") else None

    def is_cancelled(self, doc: Doc) -> bool:
        return bool(doc.get("cancelled"))


class Copy:
    """Copies `name` and `email`; `verdict`, `needs` and `miss` in the document say the rest."""

    version = "1"

    def references(
        self, doc: Doc, settings: Mapping[str, Any] | None = None, lookups: Mapping[str, Any] | None = None
    ) -> Sequence[Reference]:
        return ()

    def decide(self, doc: Doc, context: Context) -> RuleDecision:
        return RuleDecision(doc.get("verdict", RuleVerdict.GO), "a rule")

    def needs(self, doc: Doc, context: Context) -> Sequence[Need]:
        return [CUSTOMER] if doc.get("needs") else []

    def apply(self, doc: Doc, context: Context) -> Mapping[str, Doc]:
        if doc.get("miss"):
            raise MissingLookup(NO_ENTRY)
        wanted = {"ref": "1", "name": doc.get("name"), "email": doc.get("email")}
        return {part: dict(wanted) for part in doc.get("parts", ("",))}

    def policy(self, field: str) -> Policy:
        return Policy.HOLD

    def remarks(self, doc: Doc, context: Context, mapped: Mapping[str, Doc]) -> Sequence[Remark]:
        return ()

    def difference_text(self, name: str) -> DifferenceText:
        return DifferenceText()

    def natural_key(self, mapped: Doc) -> str:
        return str(mapped["ref"])


FLOW = Flow(name="things", entity="things", source="left.thing", target="right.thing", mapping=Copy(), version="1")
BASE = {"ref": "1", "name": "a", "email": "e"}


def _link(current: Doc | None = None, **more: Any) -> Linked:
    given: dict[str, Any] = {"key": "R1", "base": BASE, "numbers": {}, "natural_key": "1", **more}
    return Linked(current=current, **given)


def _plan(doc: Doc | None, links: Mapping[str, Linked] | None = None, **more: Any) -> Plan:
    context = more.pop("context", Context())
    if "approved" in more:
        more["approved"] = "left" if more["approved"] else ""
    sources = {} if doc is None else {"1": doc}
    return plan(Situation(FLOW, Thing("left.thing"), Thing("right.thing"), sources, links or {}, context, **more))


SAME = {"name": "a", "email": "e"}
EDITED = {"name": "b", "email": "e"}


@pytest.mark.parametrize(
    ("doc", "links", "more", "kind", "reason"),
    [
        (None, {}, {}, PlanKind.SKIP, "not found in the source"),
        (SAME, {}, {"in_doubt": True}, PlanKind.HOLD, "nobody knows"),
        (SAME, {}, {"too_old": True}, PlanKind.SKIP, "cut-over date"),
        (
            EDITED,
            {"": _link(BASE)},
            {"too_old": True},
            PlanKind.WRITE,
            "",
        ),  # what is linked is kept in step, however old
        ({**SAME, "verdict": RuleVerdict.SKIP}, {}, {}, PlanKind.SKIP, "a rule"),
        ({**SAME, "verdict": RuleVerdict.HOLD}, {}, {}, PlanKind.HOLD, "a rule"),
        (
            {**SAME, "verdict": RuleVerdict.HOLD},
            {"": _link(BASE)},
            {},
            PlanKind.SKIP,
            "already equal",
        ),  # nothing to hold
        ({**SAME, "needs": True}, {}, {}, PlanKind.WAIT, "needs customers 310"),
        ({**SAME, "needs": True}, {}, {"context": Context(links={CUSTOMER: "C1"})}, PlanKind.WRITE, ""),
        ({**SAME, "miss": True}, {}, {}, PlanKind.WAIT, "needs lookup:currencies 9"),
        ({**SAME, "parts": ()}, {}, {}, PlanKind.SKIP, "the mapping yields nothing"),
        (SAME, {}, {}, PlanKind.WRITE, ""),
        (SAME, {"": _link(None, key=None, provisional=True)}, {}, PlanKind.WRITE, ""),
        (SAME, {"": _link(None)}, {}, PlanKind.HOLD, "R1 no longer exists in the target"),
        (SAME, {"": _link(BASE)}, {}, PlanKind.SKIP, "already equal"),
        (EDITED, {"": _link(BASE)}, {}, PlanKind.WRITE, ""),
        (EDITED, {"": _link({**BASE, "name": "c"})}, {}, PlanKind.HOLD, "name was changed on both sides"),
        (EDITED, {"": _link({**BASE, "invoiced": True})}, {}, PlanKind.HOLD, "it is invoiced"),
        (EDITED, {"": _link({**BASE, "cancelled": True})}, {}, PlanKind.HOLD, "R1 was cancelled in the target"),
    ],
)
def test_a_one_way_plan(doc: Doc | None, links: Any, more: dict[str, Any], kind: PlanKind, reason: str) -> None:
    made = _plan(doc, links, **more)

    assert made.kind is kind
    assert reason in made.reason


@pytest.mark.parametrize(
    ("current", "links", "kind", "reason"),
    [
        (BASE, True, PlanKind.WRITE, "a rule"),
        ({**BASE, "cancelled": True}, True, PlanKind.SKIP, "it is already cancelled in the target"),
        ({**BASE, "invoiced": True}, True, PlanKind.HOLD, "it is invoiced"),
        (None, True, PlanKind.SKIP, "it is already cancelled in the target"),
        (None, False, PlanKind.SKIP, "it was never sent"),
    ],
)
def test_a_cancellation(current: Doc | None, links: bool, kind: PlanKind, reason: str) -> None:
    made = _plan({**SAME, "verdict": RuleVerdict.CANCEL}, {"": _link(current)} if links else {})

    assert made.kind is kind
    assert reason in made.reason
    assert all(step.operation.verb is Verb.CANCEL for step in made.steps)


def test_a_part_that_is_held_holds_the_others_back_and_shows_them() -> None:
    made = _plan({**EDITED, "parts": ("GBP", "EUR")}, {"EUR": _link({**BASE, "name": "c"})})

    assert made.kind is PlanKind.HOLD
    assert [step.operation.verb for step in made.steps] == [Verb.CREATE]


def test_a_change_that_turned_out_to_have_happened_is_told_and_only_the_rest_is_written() -> None:
    link = _link({**BASE, "name": "b"}, tried={**BASE, "name": "b"})
    made = _plan({"name": "c", "email": "e"}, {"": link})

    assert [found.agreed for found in made.turned_out] == [{**BASE, "name": "b"}]
    assert {name: (change.old, change.new) for name, change in made.steps[0].operation.changes.items()} == {
        "name": ("b", "c")
    }
    assert not _plan({"name": "c", "email": "e"}, {"": replace(link, current=BASE)}).turned_out


# -- pairs -------------------------------------------------------------------------------------------------------------


def _pair(left: Doc | None, right: Doc | None, policy: Policy = Policy.HOLD, **more: Any) -> Plan:
    groups = [FieldGroup("name", ("name",), ("name",), policy), FieldGroup("email", ("email",), ("email",), policy)]
    backward = None if more.pop("forward_only", False) else Copy()
    two_way = replace(FLOW, two_way=True, backward=backward, groups=groups)
    link = _link(right) if more.pop("linked", True) else None
    given: dict[str, Any] = {"context": Context(), **more}
    sources, links = ({} if left is None else {"L1": left}), ({} if link is None else {"": link})
    return plan(
        Situation(
            two_way, Thing("left.thing"), Thing("right.thing"), sources, links, target_doc=right, key="L1", **given
        )
    )


def _sides(made: Plan) -> dict[str, list[str]]:
    return {step.resource.partition(".")[0]: sorted(step.operation.changes) for step in made.steps}


@pytest.mark.parametrize(
    ("left", "right", "policy", "newer", "kind", "sides"),
    [
        (BASE, BASE, Policy.HOLD, None, PlanKind.SKIP, {}),
        ({**BASE, "name": "b"}, BASE, Policy.HOLD, None, PlanKind.WRITE, {"right": ["name"]}),
        (BASE, {**BASE, "name": "b"}, Policy.HOLD, None, PlanKind.WRITE, {"left": ["name"]}),
        (
            {**BASE, "name": "b"}, {**BASE, "email": "f"}, Policy.HOLD, None, PlanKind.WRITE,
            {"right": ["name"], "left": ["email"]},
        ),
        ({**BASE, "name": "b"}, {**BASE, "name": "b"}, Policy.HOLD, None, PlanKind.SKIP, {}),
        ({**BASE, "name": "b"}, {**BASE, "name": "c"}, Policy.HOLD, None, PlanKind.HOLD, {}),
        ({**BASE, "name": "b"}, {**BASE, "name": "c"}, Policy.LEFT, None, PlanKind.WRITE, {"right": ["name"]}),
        ({**BASE, "name": "b"}, {**BASE, "name": "c"}, Policy.ENFORCE, None, PlanKind.WRITE, {"right": ["name"]}),
        ({**BASE, "name": "b"}, {**BASE, "name": "c"}, Policy.RIGHT, None, PlanKind.WRITE, {"left": ["name"]}),
        ({**BASE, "name": "b"}, {**BASE, "name": "c"}, Policy.NEWEST, True, PlanKind.WRITE, {"right": ["name"]}),
        ({**BASE, "name": "b"}, {**BASE, "name": "c"}, Policy.NEWEST, False, PlanKind.WRITE, {"left": ["name"]}),
        ({**BASE, "name": "b"}, {**BASE, "name": "c"}, Policy.NEWEST, None, PlanKind.HOLD, {}),
        (None, BASE, Policy.HOLD, None, PlanKind.HOLD, {}),
        (BASE, None, Policy.HOLD, None, PlanKind.HOLD, {}),
        (None, None, Policy.HOLD, None, PlanKind.SKIP, {}),
        ({**BASE, "verdict": RuleVerdict.SKIP}, BASE, Policy.HOLD, None, PlanKind.SKIP, {}),
        ({**BASE, "name": "b", "verdict": RuleVerdict.HOLD}, BASE, Policy.HOLD, None, PlanKind.HOLD, {"right": ["name"]}),
        (BASE, {**BASE, "name": "b", "verdict": RuleVerdict.HOLD}, Policy.HOLD, None, PlanKind.HOLD, {"left": ["name"]}),
        ({**BASE, "verdict": RuleVerdict.HOLD}, BASE, Policy.HOLD, None, PlanKind.SKIP, {}),  # nothing to hold
        ({**BASE, "needs": True}, BASE, Policy.HOLD, None, PlanKind.WAIT, {}),
        ({**BASE, "miss": True}, BASE, Policy.HOLD, None, PlanKind.WAIT, {}),
    ],
)  # fmt: skip
def test_a_linked_pair(
    left: Doc | None, right: Doc | None, policy: Policy, newer: bool | None, kind: PlanKind, sides: dict[str, list[str]]
) -> None:
    made = _pair(left, right, policy, newer=newer)

    assert made.kind is kind
    assert _sides(made) == sides


@pytest.mark.parametrize(
    ("left", "right", "more", "kind", "created_in"),
    [
        (BASE, None, {}, PlanKind.WRITE, "right.thing"),
        (None, BASE, {}, PlanKind.WRITE, "left.thing"),
        (None, BASE, {"forward_only": True}, PlanKind.SKIP, None),
        (BASE, None, {"too_old": True}, PlanKind.SKIP, None),
        (BASE, None, {"in_doubt": True}, PlanKind.HOLD, None),
        ({**BASE, "needs": True}, None, {}, PlanKind.WAIT, None),
    ],
)
def test_a_pair_that_is_not_linked_yet(
    left: Doc | None, right: Doc | None, more: dict[str, Any], kind: PlanKind, created_in: str | None
) -> None:
    made = _pair(left, right, linked=False, **more)

    assert made.kind is kind
    assert [step.resource for step in made.steps] == ([created_in] if created_in else [])

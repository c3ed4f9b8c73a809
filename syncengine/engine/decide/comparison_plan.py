"""The plan of a flow that compares: it writes nothing, and says how the target's object differs from what it should be. Pure.

What should be is what the flow's mapping makes of the source. Lines are matched by the numbers that the flow which writes them
has stored in the link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Map
from dataclasses import replace
from typing import Any

from syncengine.document import LINE_KEY, Doc, fingerprint
from syncengine.engine.decide.merge import Difference, by_key, by_number, same
from syncengine.engine.decide.one_way_plan import Situation
from syncengine.engine.decide.plan import EQUAL, Linked, Plan, PlanKind, by_rule
from syncengine.engine.decide.write_back_plan import Wish, wish_of
from syncengine.mapping.contract import Remark
from syncengine.redaction import safe_text
from syncengine.store.states import Why

NOT_SYNCED = "its last change has not been synced yet; it is compared afterwards"
DIFFERS = "the target differs from what it should be"


def plan_comparison(situation: Situation, sources: Map[str, Doc]) -> Plan:
    """Compare. Raises Rejected if a document cannot be mapped.

    Args:
        situation: describes the target's object; its only link has the part "". `source_doc` is ignored.
        sources: the linked objects that exist on the source's side, typed, by key.
    """
    wish = wish_of(situation, sources)
    if isinstance(wish, Plan):
        return wish
    link = situation.links[""]
    found = list(_differences(wish, link, situation.target.line_fields))
    remarks = [*map(_remark, found), *_checked(situation, wish, link)]
    if not remarks:
        return Plan(PlanKind.SKIP, EQUAL, Why.EQUAL)
    made = Plan(PlanKind.SKIP, DIFFERS, Why.DIFFERS, conflicts=found, remarks=remarks)
    held = next((remark.reason for remark in remarks if remark.holds), "") or wish.held
    if not held or situation.approved:
        return made
    return by_rule(replace(made, kind=PlanKind.WRITE), held)


def _differences(wish: Wish, link: Linked, line_fields: Map[str, Sequence[str]]) -> Iterator[Difference]:
    current = link.current or {}
    for name, wanted in wish.doc.items():
        if name in line_fields:
            yield from _line_differences(name, wish.doc, link)
        elif not name.startswith("@") and not same(_value(wanted), _value(current.get(name))):
            yield _difference(name, wanted, current.get(name))


def _line_differences(name: str, wanted: Doc, link: Linked) -> Iterator[Difference]:
    there = by_number(link.current or {}, name)
    for key, line in by_key(wanted, name).items():
        number = link.numbers.get(key)
        if number is None:
            continue  # the flow that writes this line has not written it yet
        found = there.get(number)
        if found is None:
            yield _difference(f"{name}[{key}]", "a line", None)
            continue
        for field, value in line.items():
            if not field.startswith("@") and field != LINE_KEY and not same(value, found.get(field)):
                yield _difference(f"{name}[{key}].{field}", value, found.get(field))


def _value(value: Any) -> Any:
    """The value; None for an empty list, as for a field that is absent."""
    return None if value == [] else value


def _difference(path: str, wanted: Any, current: Any) -> Difference:
    return Difference(path, None, wanted, current, DIFFERS)


def _remark(difference: Difference) -> Remark:
    field = _general(difference.path)
    return Remark(
        holds=False,
        name=fingerprint([DIFFERS, field]),
        reason=DIFFERS,
        field=difference.path,
        value=safe_text(difference.current) if difference.current not in (None, "") else "nothing",
        expected=safe_text(difference.wanted),
        remedy="Correct it in the target, or close this if it is right as it is",
    )


def _general(path: str) -> str:
    """A path without the key of its line."""
    before, _, rest = path.partition("[")
    return before + rest.partition("]")[2]


def _checked(situation: Situation, wish: Wish, link: Linked) -> Sequence[Remark]:
    context = replace(situation.context, found=link.current or {})
    return situation.flow.mapping.remarks(wish.source, context, {"": wish.doc})

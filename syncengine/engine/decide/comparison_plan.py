"""The plan of a flow that compares: it writes nothing, and says how the target's object differs from what it should be. Pure.

What should be is what the flow's mapping makes of the source. The key of a line is the number that it has in the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Map
from dataclasses import replace
from typing import Any

from syncengine.document import Doc, fingerprint
from syncengine.engine.decide.merge import Difference, by_key, by_number, same
from syncengine.engine.decide.plan import EQUAL, Plan, PlanKind, by_rule
from syncengine.engine.decide.situation import Situation
from syncengine.engine.decide.write_back_plan import wish_of
from syncengine.mapping.contract import DifferenceText, Remark
from syncengine.redaction import safe_text
from syncengine.store.states import Why

NOT_SYNCED = "its last change has not been synced yet; it is compared afterwards"
DIFFERS = "the target differs from what it should be"


def plan_comparison(situation: Situation) -> Plan:
    """Compare. Raises Rejected if a document cannot be mapped.

    Args:
        situation: describes the target's object; its only link has the part "". `source_doc` is ignored.
        sources: the linked objects that exist on the source's side, typed, by key.
    """
    if not situation.synced:
        return Plan(PlanKind.WAIT, NOT_SYNCED, Why.NOT_SYNCED)
    wish = wish_of(situation)
    if isinstance(wish, Plan):
        return wish
    link = situation.links[""]
    link, text_of = situation.links[""], situation.flow.mapping.difference_text
    found = list(_differences(wish.doc, link.current or {}))
    remarks = [
        *_remarks(found, text_of),
        *situation.flow.mapping.remarks(wish.source, situation.context, {"": wish.doc}),
    ]
    if not remarks:
        return Plan(PlanKind.SKIP, EQUAL, Why.EQUAL)
    made = Plan(PlanKind.SKIP, DIFFERS, Why.DIFFERS, conflicts=found, remarks=remarks)
    held = next((remark.reason for remark in remarks if remark.holds), "") or wish.held
    if not held or situation.approved:
        return made
    return by_rule(replace(made, kind=PlanKind.WRITE), held)


def _differences(wanted: Doc, current: Doc) -> Iterator[Difference]:
    for name, value in wanted.items():
        if isinstance(value, list):
            yield from _line_differences(name, wanted, by_number(current, name))
        elif not name.startswith("@") and not same(value, current.get(name)):
            yield _difference(name, value, current.get(name))


def _line_differences(name: str, wanted: Doc, there: Map[str, Doc]) -> Iterator[Difference]:
    for number, line in by_key(wanted, name).items():
        found = there.get(number)
        if found is None:
            yield _difference(f"{name}[{number}]", "a line", None)
            continue
        for field, value in line.items():
            if not field.startswith("@") and not same(value, found.get(field)):
                yield _difference(f"{name}[{number}].{field}", value, found.get(field))


def _difference(path: str, wanted: Any, current: Any) -> Difference:
    return Difference(path, None, wanted, current, DIFFERS)


def _remarks(found: Sequence[Difference], text_of: Callable[[str], DifferenceText]) -> Iterator[Remark]:
    """One remark for each field, with the figures of all lines in which it differs."""
    by_field: dict[str, list[Difference]] = {}
    for difference in found:
        by_field.setdefault(_place(difference.path)[0], []).append(difference)
    for field, some in by_field.items():
        says = text_of(field)
        yield Remark(
            holds=False,
            name=fingerprint([DIFFERS, field]),
            reason=says.reason,
            field=field,
            value=", ".join(_figure(difference.path, difference.current) for difference in some),
            expected=", ".join(_figure(difference.path, difference.wanted) for difference in some),
            remedy=says.remedy,
        )


def _figure(path: str, value: Any) -> str:
    line = _place(path)[1]
    shown = "nothing" if value in (None, "") else safe_text(value)
    return f"{line}: {shown}" if line else shown


def _place(path: str) -> tuple[str, str]:
    """The field of a path (`Line.TaxCode`), and the number of its line; empty if it is not of a line."""
    before, _, rest = path.partition("[")
    number, _, after = rest.partition("]")
    return before + after, number

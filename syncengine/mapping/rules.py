"""Rules, which skip, hold, cancel, reject or reroute a document, and checks of the mapped document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncengine.document import fingerprint
from syncengine.errors import Rejected
from syncengine.mapping.complaints import Place
from syncengine.mapping.contract import Remark, RuleDecision, RuleVerdict
from syncengine.mapping.order import truth
from syncengine.mapping.runtime import CORRECT_AT_SOURCE, FAILURES, Frame, Run, Unfit, presentable, rejected
from syncengine.mapping.scope import Scope
from syncengine.mapping.shapes import ValueKind, nearest
from syncengine.mapping.values import ValueCompiler
from syncengine.mapping.yaml_lines import Table
from syncengine.redaction import safe_text

_REMARK = ("field", "value", "expected", "remedy")
_MORE = {
    ("rules", "reject"): ("field", "value", "remedy"),
    ("rules", "route"): ("set",),
    ("checks", "reject"): _REMARK,
    ("checks", "hold"): _REMARK,
    ("checks", "attention"): _REMARK,
}
"""What an item may say beside its reason and condition."""

VERDICTS = {"skip": RuleVerdict.SKIP, "hold": RuleVerdict.HOLD, "cancel": RuleVerdict.CANCEL}


@dataclass(frozen=True)
class Rule:
    """One rule.

    kind: `skip`, `hold`, `cancel`, `reject`, `attention` or `route`. when: its condition; text: the same as written.
    verdict: None for other kinds. field, value, expected, remedy: what is reported. sets: named values of a `route`.
    """

    kind: str
    reason: str
    when: Run
    text: str
    verdict: RuleVerdict | None = None
    field: str = ""
    value: Run | None = None
    expected: Run | None = None
    remedy: str = ""
    sets: Mapping[str, Run] | None = None

    def applies(self, frame: Frame) -> bool:
        """Whether the condition holds. Raises Rejected if it cannot be evaluated, or MissingLookup."""
        try:
            return truth(self.when(frame))
        except (Unfit, *FAILURES) as error:
            raise rejected(f"rule: {self.reason}", error, self.text) from None

    def refusal(self, frame: Frame) -> Rejected:
        """The error of a `reject` rule that applies, with both figures if it expects one. `frame` is the mapped document."""
        return Rejected(
            field=self.field or f"rule: {self.reason}",
            value=self.remark(frame).figures if self.expected else _shown(self.value, frame),
            reason=self.reason,
            remedy=self.remedy or CORRECT_AT_SOURCE,
        )

    def remark(self, frame: Frame) -> Remark:
        """What a check of the kinds `hold` and `attention` that applies has found."""
        value, expected = (safe_text(_shown(run, frame)) if run else "" for run in (self.value, self.expected))
        return Remark(
            self.kind == "hold",
            fingerprint([self.reason, self.text]),
            self.reason,
            self.field,
            value,
            expected,
            self.remedy,
        )

    def decision(self, frame: Frame) -> RuleDecision:
        """The decision for a document to which this rule applies. Raises Rejected if it is a `reject`."""
        if self.verdict is None:
            raise self.refusal(frame)
        return RuleDecision(self.verdict, self.reason)


def _shown(run: Run | None, frame: Frame) -> Any:
    """A value for people; None if it cannot be computed."""
    try:
        return presentable(run(frame)) if run else None
    except (Unfit, *FAILURES):
        return None


class RuleCompiler:
    """Compiles the rules and the checks of a flow."""

    def __init__(self, place: Place, scope: Scope) -> None:
        self.place, self.scope = place, scope
        self.values = ValueCompiler(place, scope)

    def rules(self, given: Any, line: int) -> list[Rule]:
        """The rules of a flow, in order. Raises Misconfigured."""
        kinds = (*VERDICTS, "reject", "route")
        return [self._rule(table, kinds, "rules") for table in self.place.tables(given, line, "rules")]

    def checks(self, given: Any, line: int) -> list[Rule]:
        """The checks of a mapped document, in order. Raises Misconfigured."""
        kinds = ("reject", "hold", "attention")
        return [self._rule(table, kinds, "checks") for table in self.place.tables(given, line, "checks")]

    def _rule(self, table: Table, kinds: tuple[str, ...], what: str) -> Rule:
        named = [kind for kind in kinds if kind in table]
        if len(named) != 1:
            self.place.refuse(
                table.line, f"an item of {what} must begin with one of {', '.join(kinds)}, followed by a reason"
            )
        kind = named[0]
        more = _MORE.get((what, kind), ())
        self.place.only(table, (kind, "when", *more), f"the rule {kind}")
        reason = self.place.text(table, kind, f"the rule {kind}")
        if "when" not in table:
            self.place.refuse(table.line, f"the rule {reason!r} needs when:")
        when = self.values.expression(table, "when", f"rule {reason!r}")
        if when.kind in (ValueKind.DATE, ValueKind.DATETIME, ValueKind.GROUP):
            self.place.refuse(
                table.line_of("when"), f"rule {reason!r}: {when.text} is {when.kind} and cannot be a condition"
            )
        return Rule(
            kind,
            reason,
            when.run,
            when.text,
            VERDICTS.get(kind),
            field=self.place.text(table, "field", reason) if "field" in table else "",
            value=self.values.expression(table, "value", reason).run if "value" in table else None,
            expected=self.values.expression(table, "expected", reason).run if "expected" in table else None,
            remedy=self.place.text(table, "remedy", reason) if "remedy" in table else "",
            sets=self._sets(table, reason) if kind == "route" else None,
        )

    def _sets(self, table: Table, reason: str) -> dict[str, Run]:
        given = self.place.table(table.get("set"), table.line_of("set"), f"set of {reason!r}")
        sets: dict[str, Run] = {}
        for name, entry in given.items():
            line = given.line_of(name)
            if name not in self.scope.values:
                hint = nearest(name, self.scope.values)
                self.place.refuse(line, f"route {reason!r}: values: does not declare {name!r}{hint}")
            declared = self.scope.values[name].shape
            sets[name] = self.values.value(entry, line, name, declared).run
        return sets

"""What a run has come to: kept between rounds, shown as a table, given as JSON."""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from scripts.crashes.installation import Shape, describe
from scripts.crashes.ordeal import Outcome


@dataclass
class State:
    """A run, over all its rounds."""

    seed: int
    faults: int
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path | None, *, seed: int, faults: int) -> Self:
        """The state in the file if there is one (its seed and number of faults then count), else a new one."""
        if path is not None and path.exists():
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        return cls(seed, faults)

    def save(self, path: Path | None) -> None:
        """Keep it, whole or not at all."""
        if path is not None:
            draft = path.with_suffix(".draft")
            draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
            draft.replace(path)

    def add(self, outcome: dict[str, Any]) -> None:
        """A round has ended."""
        self.rounds.append(outcome)

    @property
    def rounds_done(self) -> int:
        return len(self.rounds)

    @property
    def drawn(self) -> int:
        """Faults that were to strike, so far."""
        return sum(len(one["faults"]) for one in self.rounds)

    @property
    def struck(self) -> int:
        """Faults that struck, so far; others waited in vain for their place to be passed."""
        return sum(fault["struck"] for one in self.rounds for fault in one["faults"])

    @property
    def is_right(self) -> bool:
        """True if there was a round, and nothing is wrong in any."""
        return bool(self.rounds) and not any(one["problems"] for one in self.rounds)

    def total(self, name: str) -> int:
        """A count over all rounds."""
        return sum(int(one[name]) for one in self.rounds)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """A round, as it is kept."""
    verdict = outcome.verdict
    faults = [
        {
            "kind": one.kind, "where": one.where, "struck": one.fired_at is not None, "under_lease": len(one.held),
            "recovered_s": round(one.recovered_at - one.fired_at, 1) if one.recovered_at and one.fired_at else None,
        }
        for one in outcome.faults
    ]  # fmt: skip
    return {
        **outcome.about, "lost": verdict.lost, "duplicates": verdict.duplicates, "orders": verdict.orders,
        "customers": verdict.customers, "records": verdict.records, "problems": outcome.problems, "edits": outcome.acts,
        "restarts": outcome.restarts, "seconds": round(outcome.seconds, 1), "faults": faults,
        "arrivals": asdict(outcome.arrivals), "awkward": [asdict(fate) for fate in outcome.fates],
        "seat_s": outcome.seat_s,
    }  # fmt: skip


def summary(state: State) -> dict[str, Any]:
    """The whole run."""
    return {
        "seed": state.seed,
        "right": state.is_right,
        "faults": state.struck,
        "not_reached": state.drawn - state.struck,
        **{name: state.total(name) for name in ("lost", "duplicates", "orders", "customers", "edits", "restarts")},
        "seconds": round(sum(one["seconds"] for one in state.rounds)),
        "problems": [problem for one in state.rounds for problem in one["problems"]],
        "table": rows(state),
        "rounds": state.rounds,
    }


def rows(state: State) -> list[dict[str, Any]]:
    """One row a kind of fault and place."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in state.rounds:
        for fault in one["faults"]:
            groups[fault["kind"], fault["where"]].append(fault)
    return [_row(kind, where, faults) for (kind, where), faults in sorted(groups.items())]


def _row(kind: str, where: str, faults: list[dict[str, Any]]) -> dict[str, Any]:
    took = [fault["recovered_s"] for fault in faults if fault["recovered_s"] is not None]
    return {
        "kind": kind,
        "where": where,
        "struck": sum(fault["struck"] for fault in faults),
        "recovered": len(took),
        "under_lease": sum(fault["under_lease"] for fault in faults),
        "median_s": round(statistics.median(took), 1) if took else None,
        "longest_s": max(took, default=None),
    }


def table(state: State) -> str:
    """The run for people."""
    line = "{kind:<14} {where:<30} {struck:>6} {recovered:>9} {under_lease:>11} {median_s:>8} {longest_s:>9}"
    names = dict.fromkeys(("kind", "where", "struck", "recovered", "under_lease", "median_s", "longest_s"))
    head = line.format(**{name: name.replace("_", " ") for name in names})
    body = [line.format(**{name: _shown(value) for name, value in row.items()}) for row in rows(state)]
    found = summary(state)
    kinds = _by_kind(rows(state))
    return "\n".join(
        [
            "", head, *body, "",
            *(f"{kind:<14} struck {struck}, recovered {recovered}" for kind, struck, recovered in kinds), "",
            f"{found['faults']} faults in {len(state.rounds)} rounds of {found['seconds'] / 60:.0f} minutes in all, "
            f"{found['edits']} edits, {found['orders']} orders, {found['customers']} customers, "
            f"{found['restarts']} restarts. Not reached: {found['not_reached']}.",
            *_awkward_lines(state), *_arrival_lines(state),
            f"Lost: {found['lost']}. Duplicated: {found['duplicates']}. Wrong: {len(found['problems'])}.",
        ]
    )  # fmt: skip


def _by_kind(found: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    kinds = dict.fromkeys(row["kind"] for row in found)
    return [
        (kind, *(sum(row[name] for row in found if row["kind"] == kind) for name in ("struck", "recovered")))
        for kind in kinds
    ]


def round_summary(found: Mapping[str, Any]) -> list[str]:
    """What a round says at its end, beside what is wrong: of each awkward order, and of how soon the others arrived."""
    lines = [
        f"order {one['key']} {one['kind']} ({one['how']}): {_became(one)}; in SYSPRO {one['copies']} times; "
        f"{one['writes']} writes, {one['reads']} other calls, {one['deaths']} dead workers: {one['cause']}"
        for one in found["awkward"]
    ]
    if found["seat_s"] is not None:
        settles = found["seat_s"] / found["settle_s"]
        lines.append(f"they kept SYSPRO's seat for {found['seat_s']:.0f} s in all, {settles:.1f} settle times")
    some = found["arrivals"]
    lines.append(f"{some['orders']} other orders in SYSPRO, {len(some['late'])} late: {_slowest(some)}")
    return lines


def _slowest(some: Mapping[str, Any]) -> str:
    return (
        f"the slowest took {some['before_s']:.0f} s before the first fault ({some['before_most_s']:.0f} s are allowed), "
        f"{some['after_s']:.0f} s after one ({some['after_most_s']:.0f} s), on a machine {some['slowness']:.1f} times slower"
    )


def _became(one: Mapping[str, Any]) -> str:
    return {"dead": "a dead letter"}.get(one["became"], one["became"])


def _awkward_lines(state: State) -> list[str]:
    """How often each kind of awkward order was there, and what became of it."""
    fates = [one for round_ in state.rounds for one in round_["awkward"]]
    lines = []
    for kind in dict.fromkeys(one["kind"] for one in fates):
        mine = [one for one in fates if one["kind"] == kind]
        ends = Counter(_became(one) for one in mine)
        shown = ", ".join(f"{name} {count}" for name, count in sorted(ends.items()))
        twice = sum(one["copies"] > 1 for one in mine)
        lines.append(f"an order that {kind}: in {len(mine)} rounds: {shown}; in SYSPRO twice: {twice}")
    return lines


def _arrival_lines(state: State) -> list[str]:
    lines = []
    for title, is_awkward in (("rounds with awkward orders", True), ("rounds without", False)):
        mine = [one["arrivals"] for one in state.rounds if bool(one["awkward"]) is is_awkward]
        if mine:
            orders, late = sum(one["orders"] for one in mine), sum(len(one["late"]) for one in mine)
            nearest = {
                **max(mine, key=lambda one: one["after_s"] / one["after_most_s"]),
                **{name: max(one[name] for one in mine) for name in ("before_s", "before_most_s", "slowness")},
            }
            lines.append(f"{title} ({len(mine)}): {orders} other orders, {late} late: {_slowest(nearest)}")
    return lines


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def name_of(shape: Shape) -> str:
    """An installation in a few words."""
    about = describe(shape)
    more = "" if shape.awkward is None else ", three orders are awkward"
    return f"{about['database']}, {about['gateway']}, seed {about['seed']}{more}"

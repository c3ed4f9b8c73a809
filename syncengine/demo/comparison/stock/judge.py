"""Judges the levels at the end of the day, each write through the day, and how long items stayed at 0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from syncengine.demo.comparison.problems import Problem
from syncengine.demo.comparison.stock.journals import Journals, Level
from syncengine.demo.comparison.stock.ledger import Ledger, by_sku
from syncengine.demo.comparison.stock.target import Rule, Target

SHOWN = 12
"""The latest movements that are named with a problem."""

BY_ENGINE = "api"


@dataclass(slots=True)
class Report:
    """`problems` is empty if everything is right. levels, writes: how many were compared, and how many writes were sampled.

    differences: levels that are wrong. outside: writes that left a level that could not be right. hidden: times in which an
    item was at 0 for too long; longest_hidden_s is the longest of all times in which it could have been sold.
    """

    problems: list[Problem] = field(default_factory=list)
    levels: int = 0
    writes: int = 0
    differences: int = 0
    outside: int = 0
    hidden: int = 0
    longest_hidden_s: float = 0.0


def compare(url: str, ledger: Ledger, rule: Rule, now: datetime, *, samples: bool = True) -> Report:
    """Compare all levels of SKUs that the ledger has.

    Args:
        url: address of the sandbox, whose control API is called.
        now: the sandbox's time.
        samples: judge each write and each stay at 0 too.
    """
    journals, report = Journals(url), Report()
    parts = by_sku(ledger)
    for sku in sorted(set(journals.sku_of.values()) & set(ledger.skus())):
        for warehouse in sorted(set(rule.warehouses.values())):
            item = _Item(journals, parts[sku], sku, warehouse, rule)
            report.levels += 1
            found = list(item.differences())
            report.differences += bool(found)
            if samples:
                outside, hidden = list(item.outside()), list(item.hidden(now))
                report.writes += len(item.writes)
                report.outside += len(outside)
                report.hidden += len(hidden)
                report.longest_hidden_s = max(report.longest_hidden_s, item.longest_hidden_s)
                found += [*outside, *hidden]
            report.problems += [Problem(text, "stock", f"{sku} in {warehouse}") for text in found]
    return report


class _Item:
    """A SKU in a warehouse of Brightpearl."""

    def __init__(self, journals: Journals, ledger: Ledger, sku: str, warehouse: int, rule: Rule) -> None:
        self._journals, self._ledger, self._rule = journals, ledger, rule
        self.sku, self.warehouse, self._codes = sku, warehouse, rule.of(warehouse)
        self.longest_hidden_s = 0.0
        self._target = Target(ledger, sku, warehouse, rule)
        self._levels: list[Level] = journals.levels.get((sku, warehouse), [])
        self.writes = [each for each in self._levels if each.by == BY_ENGINE and each.kind == "SC"]

    def differences(self) -> Iterator[str]:
        """What is wrong now: SYSPRO's figures by the ledger, the rule by the journals, and Brightpearl's level."""
        journals, target = self._journals, self._target.final()
        for code in sorted(self._codes):
            on_hand, booked = journals.on_hand(self.sku, code), self._ledger.booked(self.sku, code)
            if on_hand != booked:
                yield f"SYSPRO has {on_hand} in {code}, and the actor has posted {booked}"
        by_rule = self._by_rule()
        if by_rule != target:
            yield f"by SYSPRO's figures and both journals it is {by_rule}, and by the ledger {target}; {self._story()}"
        shown = journals.shown(self.sku, self.warehouse)
        if shown != target:
            yield f"Brightpearl shows {shown} instead of {target}; {self._story()}"

    def _by_rule(self) -> int:
        journals = self._journals
        on_hand = sum(journals.on_hand(self.sku, code) for code in self._codes)
        mirrored = [move for move in self._ledger.moves if move.is_mirrored and move.warehouse in self._codes]
        in_erp = sum(move.quantity for move in mirrored if move.erp is not None)
        in_transit = journals.moved(self.sku, self.warehouse) - in_erp
        shipped: dict[str, int] = {}
        for move in mirrored:
            if move.erp is None and move.what.startswith("order "):
                order = move.what.split()[1]
                shipped[order] = shipped.get(order, 0) - move.quantity
        demand = journals.own_demand(self.sku, self._codes, self.warehouse, shipped)
        return max(0, on_hand - self._rule.safety - demand + in_transit)

    def outside(self) -> Iterator[str]:
        """Writes that left a level that could not be right by anything that could be known."""
        for write in self.writes:
            low, high = self._target.allowed(write.at, rises=write.change > 0)
            unseen = [each.change for each in self._levels if self._is_unseen(each, write)]
            low, high = low + sum(min(0, each) for each in unseen), high + sum(max(0, each) for each in unseen)
            if not low <= write.after <= high:
                allowed = str(low) if low == high else f"{low} to {high}"
                yield f"a correction left {write.after} instead of {allowed}: {write}; {self._story(write.at)}"

    def _is_unseen(self, correction: Level, write: Level) -> bool:
        """Whether somebody has corrected the level too shortly before a write."""
        blind = timedelta(seconds=self._rule.blind_s if write.change > 0 else self._rule.old_s)
        is_peoples = correction.kind == "SC" and correction.by != BY_ENGINE
        return is_peoples and write.at - blind <= correction.at <= write.at

    def hidden(self, now: datetime) -> Iterator[str]:
        """Times in which the level was 0 for too long although SYSPRO had units to sell."""
        for began, ended in self._zeros(now):
            moments = [began, *(each for each in self._target.moments() if began < each < ended), ended]
            since: datetime | None = None
            for moment in moments:
                is_sellable = moment < ended and self._target.between(moment, moment)[0] > 0
                if is_sellable and since is None:
                    since = moment
                elif not is_sellable and since is not None:
                    if problem := self._too_long(since, moment):
                        yield problem
                    since = None

    def _too_long(self, since: datetime, until: datetime) -> str:
        rule = self._rule
        is_dated = self._target.is_dated(since - timedelta(seconds=rule.old_s), until)
        allowed = (rule.poll_s if is_dated else rule.sweep_s) + rule.lag_s + rule.slack_s
        stayed = (until - since).total_seconds()
        self.longest_hidden_s = max(self.longest_hidden_s, stayed)
        if stayed <= allowed:
            return ""
        return f"it stayed at 0 for {stayed:.1f} s from {since:%H:%M:%S}, {allowed:.1f} s are allowed; {self._story(until)}"

    def _zeros(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """When the level was 0 after a change, until the next one."""
        ends = [*(each.at for each in self._levels[1:]), now]
        for each, end in zip(self._levels, ends, strict=False):
            if each.after == 0:
                yield each.at, end

    def _story(self, until: datetime | None = None) -> str:
        informed = list(self._ledger.story(self.sku, self._codes))
        levels = [str(each) for each in self._levels if until is None or each.at <= until + timedelta(seconds=1)]
        return f"moved: {'; '.join(informed[-SHOWN:])}; Brightpearl: {'; '.join(levels[-SHOWN:])}"

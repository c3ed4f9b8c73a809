"""What a rule of the watcher is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from syncengine.alerts import Sign
from syncengine.engine.core.engine import Engine
from syncengine.engine.watch.health import Vital
from syncengine.http.breaker_state import BreakerState


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a rule raises an alert. Times are in seconds.

    Attributes:
        dead_letters: open dead letters of one cause.
        in_a_row: dead letters of a flow since its last successful write.
        gone: linked objects that have disappeared within `window_s`.
        window_s: how far back something counts as sudden.
        oldest_s: age of the oldest record that is due, or of a write whose outcome is unknown.
        waiting_s: how long a record may wait for another object, or be held.
        clock_s: how far a source's clock may differ from this host's.
        stalled_s: time without progress.
        repeat_s: how often an alert that lasts is repeated.
    """

    dead_letters: int = 10
    in_a_row: int = 5
    gone: int = 5
    window_s: float = 600.0
    oldest_s: float = 1800.0
    waiting_s: float = 86_400.0
    clock_s: float = 30.0
    stalled_s: float = 120.0
    repeat_s: float = 14_400.0


@dataclass(frozen=True, slots=True)
class View:
    """What the rules examine: the store in one reading transaction, and what was read before it began.

    Attributes:
        now: the time of this check (UTC).
        breakers: breakers by endpoint; None if Redis does not answer.
        vitals: health of every part; None if it cannot be determined now.
        resting: why a connection is not called, by id; those that are called are absent.
        open_alerts: rule and subject of every open alert.
    """

    engine: Engine
    session: Session
    now: datetime
    thresholds: Thresholds
    breakers: Mapping[str, BreakerState] | None
    vitals: Sequence[Vital] | None
    resting: Mapping[int, str]
    open_alerts: frozenset[tuple[str, str]]

    @property
    def window_start(self) -> datetime:
        """What happened after this time (UTC) is sudden."""
        return self.now - timedelta(seconds=self.thresholds.window_s)


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition to check.

    Attributes:
        name: stored with each alert; `Sign.rule` of all signs that `find` returns.
        calm_s: seconds without a sign after which an alert is over.
        find: all present signs; None if the rule cannot be checked now, which ends no alert.
    """

    name: str
    calm_s: float
    find: Callable[[View], list[Sign] | None]

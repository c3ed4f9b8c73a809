"""The book of alerts: one open row for each rule and subject, from the first sign to the last.

Whoever writes it holds the watcher's lock, so that two of them never open the same alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from syncengine.store.models import Alert

LONGEST_SUBJECT = 128
STILL_NEWS = timedelta(days=1)
"""An end that nobody could be told of for longer than this is told no more."""

FLAPS_WITHIN = timedelta(hours=1)
FLAPS = (1, 10, 60)
"""How many times longer it must be quiet for the second, third, ... alert about one thing within that time to be over; an
hour is enough. So an endpoint that is down for a moment every few minutes raises a few alerts, and not one each time."""


class Severity(StrEnum):
    """How soon a person should look."""

    CRITICAL = "critical"  # nothing moves, or harm is being kept off: now
    WARNING = "warning"  # some records wait for a person: today


@dataclass(frozen=True, slots=True)
class Sign:
    """Something is wrong at this moment.

    rule, subject: what it is about, by which later signs join the same alert; at most 32 and 128 characters. text: what
    is wrong, in a line without secrets or people's data. remedy: what to do. count: of how many things it is a sign.
    """

    rule: str
    subject: str
    severity: Severity
    text: str
    remedy: str
    count: int = 1

    @property
    def place(self) -> tuple[str, str]:
        """By what it is found in the book."""
        return self.rule, self.subject[:LONGEST_SUBJECT]


def write(session: Session, signs: Iterable[Sign], calm_s: Mapping[str, float], now: datetime) -> None:
    """Open an alert for each new sign, keep those that go on, and resolve those of which there is no sign any more.

    calm_s: the rules that could be looked at, each with how long (seconds) it must be quiet for its alerts to be over, and
    longer for what has been told within the hour; so something that comes and goes stays one alert. Alerts of other rules
    are left as they are.
    """
    found = {sign.place: sign for sign in signs}
    for alert in open_ones(session):
        sign = found.pop((alert.rule, alert.subject), None)
        if sign is not None:
            alert.severity, alert.text, alert.remedy = sign.severity, sign.text, sign.remedy
            alert.count, alert.seen_at = max(alert.count, sign.count), now
        elif alert.rule in calm_s:
            calm = _calm(session, alert, timedelta(seconds=calm_s[alert.rule]))
            alert.resolved_at = now if now - alert.seen_at >= calm else None
    for (rule, subject), sign in found.items():
        session.add(
            Alert(
                rule=rule,
                subject=subject,
                severity=sign.severity,
                text=sign.text,
                remedy=sign.remedy,
                count=sign.count,
                opened_at=now,
                seen_at=now,
            )
        )


def _calm(session: Session, alert: Alert, usual: timedelta) -> timedelta:
    """For how long it must be quiet for this alert to be over."""
    same = (Alert.rule == alert.rule, Alert.subject == alert.subject)
    recent = (Alert.opened_at > alert.opened_at - FLAPS_WITHIN, Alert.id < alert.id)
    before = session.scalar(select(func.count()).select_from(Alert).where(*same, *recent)) or 0
    return min(usual * FLAPS[min(before, len(FLAPS) - 1)], max(usual, FLAPS_WITHIN))


def open_ones(session: Session) -> Sequence[Alert]:
    """All alerts that are not over, the oldest first."""
    return session.scalars(select(Alert).where(Alert.resolved_at.is_(None)).order_by(Alert.id)).all()


def news(session: Session, now: datetime) -> Sequence[Alert]:
    """What people may still have to be told: open alerts, and ends that were not told yet; the oldest first."""
    ended = (Alert.resolve_told_at.is_(None)) & (Alert.resolved_at > now - STILL_NEWS)
    return session.scalars(select(Alert).where(or_(Alert.resolved_at.is_(None), ended)).order_by(Alert.id)).all()


def listed(session: Session, *, ended_after: datetime | None = None) -> Sequence[Alert]:
    """Open alerts, and with `ended_after` those that were over after that time; the newest first."""
    ended = [Alert.resolved_at > ended_after] if ended_after is not None else []
    return session.scalars(
        select(Alert).where(or_(Alert.resolved_at.is_(None), *ended)).order_by(Alert.id.desc())
    ).all()

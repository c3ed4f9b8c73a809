"""The book of alerts: one open row for each rule and subject, from the first sign to the last.

Only the holder of the watcher's lock writes it, so that no alert is opened twice.
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
"""The end of an alert is no longer sent if it could not be sent for this long."""

FLAPS_WITHIN = timedelta(hours=1)
FLAPS = (1, 10, 60)
"""Factors for the quiet time that ends the first, second, third ... alert about one thing within that time; an hour always
suffices. So an endpoint that fails briefly every few minutes raises a few alerts, not one each time."""


class Severity(StrEnum):
    """How soon a person should react."""

    CRITICAL = "critical"  # nothing progresses, or harm is being prevented: at once
    WARNING = "warning"  # some records wait for a person: the same day


@dataclass(frozen=True, slots=True)
class Sign:
    """Something is wrong right now.

    rule, subject: identify the alert, which later signs join; at most 32 and 128 characters. text: what is wrong, in one
    line without secrets or personal data. remedy: what to do. count: how many records, writes or
    objects are affected, where the text names that figure; else 1.
    """

    rule: str
    subject: str
    severity: Severity
    text: str
    remedy: str
    count: int = 1

    @property
    def place(self) -> tuple[str, str]:
        """The key of its alert in the book."""
        return self.rule, self.subject[:LONGEST_SUBJECT]


def write(session: Session, signs: Iterable[Sign], calm_s: Mapping[str, float], now: datetime) -> None:
    """Open an alert for each new sign, update the ongoing alerts, and resolve those without a sign.

    calm_s: the rules that could be checked, each with the seconds without a sign after which its alerts are resolved. It
    takes longer if the same alert was open within the hour, so that a recurring problem stays one alert. Alerts of other
    rules do not change.
    """
    found = {sign.place: sign for sign in signs}
    for alert in open_alerts(session):
        sign = found.pop((alert.rule, alert.subject), None)
        if sign is not None:
            alert.severity, alert.text, alert.remedy = sign.severity, sign.text, sign.remedy
            alert.count, alert.last_count, alert.seen_at = max(alert.count, sign.count), sign.count, now
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
                last_count=sign.count,
                opened_at=now,
                seen_at=now,
            )
        )


def _calm(session: Session, alert: Alert, usual: timedelta) -> timedelta:
    """The time without a sign after which this alert is resolved."""
    same = (Alert.rule == alert.rule, Alert.subject == alert.subject)
    recent = (Alert.opened_at > alert.opened_at - FLAPS_WITHIN, Alert.id < alert.id)
    before = session.scalar(select(func.count()).select_from(Alert).where(*same, *recent)) or 0
    return min(usual * FLAPS[min(before, len(FLAPS) - 1)], max(usual, FLAPS_WITHIN))


def open_alerts(session: Session) -> Sequence[Alert]:
    """All open alerts, oldest first."""
    return session.scalars(select(Alert).where(Alert.resolved_at.is_(None)).order_by(Alert.id)).all()


def news(session: Session, now: datetime) -> Sequence[Alert]:
    """Alerts that may have to be sent: open ones, and those whose end was not sent yet; oldest first."""
    ended = (Alert.end_notified_at.is_(None)) & (Alert.resolved_at > now - STILL_NEWS)
    return session.scalars(select(Alert).where(or_(Alert.resolved_at.is_(None), ended)).order_by(Alert.id)).all()


def listed(session: Session, *, ended_after: datetime | None = None) -> Sequence[Alert]:
    """Open alerts, and with `ended_after` also those resolved after that time; newest first."""
    ended = [Alert.resolved_at > ended_after] if ended_after is not None else []
    return session.scalars(
        select(Alert).where(or_(Alert.resolved_at.is_(None), *ended)).order_by(Alert.id.desc())
    ).all()

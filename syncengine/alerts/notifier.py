"""Sends alerts to every sink: at least once, again at intervals, and at their end if their beginning was sent.

`notified_at` in SQL is set when all sinks have accepted an alert. Until then Redis keeps which sinks have accepted it. If
Redis loses that, some sinks receive it twice, but none is missed.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import redis
from redis.exceptions import RedisError

from syncengine.alerts import book
from syncengine.alerts.book import Severity
from syncengine.alerts.sinks import Message, Sink, Sinks, Tone
from syncengine.store import Store
from syncengine.store.models import Alert

log = logging.getLogger(__name__)

KEPT_S = 14 * 86_400
MOST_IN_FULL = 10
TIME = "%Y-%m-%d %H:%M:%S UTC"


class Receipts:
    """Which sink has accepted which alert, and when."""

    def __init__(self, client: redis.Redis | None) -> None:
        self._client = client

    def of(self, item: Item) -> dict[str, datetime]:
        """When each sink (by its fingerprint) accepted this; empty if nothing is known."""
        if self._client is None:
            return {}
        try:
            found = self._client.hgetall(item.name)
        except RedisError as error:
            log.warning("alerts may be sent twice, since Redis does not answer (%s)", type(error).__name__)
            return {}
        return {_text(sink): datetime.fromtimestamp(float(at), UTC) for sink, at in found.items()}

    def note(self, item: Item, sink: Sink, now: datetime) -> None:
        """Note that the sink has accepted it."""
        if self._client is None:
            return
        try:
            with self._client.pipeline() as both:
                both.hset(item.name, sink.fingerprint, str(now.timestamp()))
                both.expire(item.name, KEPT_S)
                both.execute()
        except RedisError as error:
            log.warning("alerts may be sent twice, since Redis does not answer (%s)", type(error).__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """An ongoing alert (`is_over` false), or the end of an alert."""

    alert: Alert
    is_over: bool

    @property
    def name(self) -> str:
        """Its key in Redis."""
        return f"alerts:{{{self.alert.id}}}:{'end' if self.is_over else 'begin'}"

    @property
    def notified_at(self) -> datetime | None:
        """When all sinks had accepted it, or None."""
        return self.alert.end_notified_at if self.is_over else self.alert.notified_at

    def is_due(self, sent_at: datetime | None, repeat: timedelta, now: datetime) -> bool:
        """True if a sink that last accepted it at `sent_at` should receive it now. An end is sent only once."""
        return sent_at is None or (not self.is_over and now - sent_at >= repeat)


def notify(store: Store, sinks: Sinks, client: redis.Redis | None, *, repeat_s: float, now: datetime) -> int:
    """Send each sink its due alerts in one message. Returns how many sinks accepted one; the others are tried again.

    repeat_s: seconds after which an ongoing alert is sent again. No transaction is open while a sink is called. Raises
    Transient if the store is away.
    """
    usable = sinks.usable() if len(sinks) else []
    if not usable:
        return 0
    receipts, repeat = Receipts(client), timedelta(seconds=repeat_s)
    with store.read() as session:
        items = [Item(alert, alert.resolved_at is not None) for alert in book.news(session, now)]
    accepted = {item: _accepted(item, usable, receipts) for item in items}
    accepted = {item: by for item, by in accepted.items() if by}
    reached = 0
    for sink in usable:
        due = [
            item
            for item, by in accepted.items()
            if sink.fingerprint in by and item.is_due(by[sink.fingerprint], repeat, now)
        ]
        if due and (refusal := sink.send(message(due))):
            log.warning("%s did not receive %d alerts and is tried again: %s", sink.name, len(due), refusal)
        elif due:
            reached += 1
            for item in due:
                accepted[item][sink.fingerprint] = now
                receipts.note(item, sink, now)
    _mark_sent(store, [item for item, by in accepted.items() if all(by.values()) and now in by.values()], now)
    return reached


def _accepted(item: Item, usable: Sequence[Sink], receipts: Receipts) -> dict[str, datetime | None]:
    """When each sink accepted this, or None. A sink that did not receive a beginning does not receive its end.

    If Redis has lost who received a beginning that all sinks accepted, all receive the end.
    """
    taken = receipts.of(item)
    concerned: Sequence[Sink] = usable
    if item.is_over:
        begun = receipts.of(Item(item.alert, is_over=False))
        is_lost = not begun and item.alert.notified_at is not None
        concerned = [sink for sink in usable if is_lost or sink.fingerprint in begun]
    return {sink.fingerprint: taken.get(sink.fingerprint, item.notified_at) for sink in concerned}


def _mark_sent(store: Store, items: Sequence[Item], now: datetime) -> None:
    """Note that every sink has accepted these."""
    if not items:
        return
    with store.write() as session:
        for item in items:
            alert = session.get_one(Alert, item.alert.id)
            if item.is_over:
                alert.end_notified_at = now
            else:
                alert.notified_at = now


# -- texts -------------------------------------------------------------------------------------------------------------


def message(items: Sequence[Item]) -> Message:
    """One message for all: ongoing alerts first, then those that are over."""
    wrong = sorted(
        (item for item in items if not item.is_over), key=lambda item: item.alert.severity != Severity.CRITICAL
    )
    over = [item for item in items if item.is_over]
    paragraphs = [_paragraph(item) for item in [*wrong, *over][:MOST_IN_FULL]]
    if len(items) > MOST_IN_FULL:
        paragraphs.append(f"and {len(items) - MOST_IN_FULL} more: `syncengine alerts list`")
    return Message(
        _title(wrong, over), "\n\n".join([*paragraphs, f"syncengine on {socket.gethostname()}"]), _tone(wrong)
    )


def trial() -> Message:
    """A test message, to check that a sink can be reached."""
    host = socket.gethostname()
    return Message("syncengine: a test", f"Alerts of syncengine on {host} arrive here. No action is needed.", Tone.INFO)


def _title(wrong: Sequence[Item], over: Sequence[Item]) -> str:
    if len(wrong) + len(over) == 1:
        item = [*wrong, *over][0]
        return f"syncengine: {f'over: {_over(item.alert)}' if item.is_over else item.alert.text}"
    parts = [_counted(wrong)] if wrong else []
    return f"syncengine: {', '.join([*parts, *([f'{_counted(over)} over'] if over else [])])}"


def _counted(items: Sequence[Item]) -> str:
    return "1 alert" if len(items) == 1 else f"{len(items)} alerts"


def _tone(wrong: Sequence[Item]) -> Tone:
    if not wrong:
        return Tone.SUCCESS
    return Tone.FAILURE if wrong[0].alert.severity == Severity.CRITICAL else Tone.WARNING


def _paragraph(item: Item) -> str:
    alert = item.alert
    if item.is_over and alert.resolved_at is not None:
        return f"OVER {_over(alert)}\nfrom {alert.opened_at:{TIME}} to {alert.seen_at:{TIME}}"
    again = " (sent before, and still ongoing)" if alert.notified_at is not None else ""
    return f"{alert.severity.upper()} {alert.text}\nWhat to do: {alert.remedy}\nsince {alert.opened_at:{TIME}}{again}"


def _over(alert: Alert) -> str:
    """The last text, with the highest count if it has fallen since: earlier messages may have named that one."""
    if alert.last_count >= alert.count:
        return alert.text
    return f"{alert.text} ({alert.last_count} at the end, {alert.count} at most)"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value

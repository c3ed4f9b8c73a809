"""Telling every sink what is news: at least once, again after a while, and when it is over, if it was told before.

`told_at` stands in SQL and is set when all sinks have taken an alert. Which of them have taken it until then is kept in
Redis: should that be emptied, some are told twice and none is passed over.
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
    """Which sink has taken which alert, and when."""

    def __init__(self, client: redis.Redis | None) -> None:
        self._client = client

    def of(self, item: Item) -> dict[str, datetime]:
        """When each sink (by its print) took this; empty if nothing is known."""
        if self._client is None:
            return {}
        try:
            found = self._client.hgetall(item.name)
        except RedisError as error:
            log.warning("alerts may be told twice, since Redis does not answer (%s)", type(error).__name__)
            return {}
        return {_text(sink): datetime.fromtimestamp(float(at), UTC) for sink, at in found.items()}

    def note(self, item: Item, sink: Sink, now: datetime) -> None:
        """The sink has taken it."""
        if self._client is None:
            return
        try:
            with self._client.pipeline() as both:
                both.hset(item.name, sink.print, str(now.timestamp()))
                both.expire(item.name, KEPT_S)
                both.execute()
        except RedisError as error:
            log.warning("alerts may be told twice, since Redis does not answer (%s)", type(error).__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """An alert that has begun or goes on (`is_over` false), or its end."""

    alert: Alert
    is_over: bool

    @property
    def name(self) -> str:
        return f"alerts:{{{self.alert.id}}}:{'end' if self.is_over else 'begin'}"

    @property
    def told_at(self) -> datetime | None:
        return self.alert.resolve_told_at if self.is_over else self.alert.told_at

    def is_due(self, told_at: datetime | None, repeat: timedelta, now: datetime) -> bool:
        """True if one who was told at that time is to be told now. What is over is told once."""
        return told_at is None or (not self.is_over and now - told_at >= repeat)


def tell(store: Store, sinks: Sinks, client: redis.Redis | None, *, repeat_s: float, now: datetime) -> int:
    """Tell each sink what is news to it, in one message; returns how many took one. A sink that does not is asked again.

    No transaction is open while a sink is waited for. Raises Transient if the store is away.
    """
    everyone = sinks.usable() if len(sinks) else []
    if not everyone:
        return 0
    receipts, repeat = Receipts(client), timedelta(seconds=repeat_s)
    with store.read() as session:
        items = [Item(alert, alert.resolved_at is not None) for alert in book.news(session, now)]
    told = {item: _told(item, everyone, receipts) for item in items}
    told = {item: by for item, by in told.items() if by}
    reached = 0
    for sink in everyone:
        due = [item for item, by in told.items() if sink.print in by and item.is_due(by[sink.print], repeat, now)]
        if due and (refusal := sink.send(message(due))):
            log.warning("%s was not told of %d alerts and is tried again: %s", sink.name, len(due), refusal)
        elif due:
            reached += 1
            for item in due:
                told[item][sink.print] = now
                receipts.note(item, sink, now)
    _settle(store, [item for item, by in told.items() if all(by.values()) and now in by.values()], now)
    return reached


def _told(item: Item, everyone: Sequence[Sink], receipts: Receipts) -> dict[str, datetime | None]:
    """When each sink took this; None if it has not yet. Who was not told of a beginning is not told of its end."""
    taken = receipts.of(item)
    concerned: Sequence[Sink] = everyone
    if item.is_over and item.alert.told_at is None:
        begun = receipts.of(Item(item.alert, is_over=False))
        concerned = [sink for sink in everyone if sink.print in begun]
    return {sink.print: taken.get(sink.print, item.told_at) for sink in concerned}


def _settle(store: Store, items: Sequence[Item], now: datetime) -> None:
    """Every sink has taken these."""
    if not items:
        return
    with store.write() as session:
        for item in items:
            alert = session.get_one(Alert, item.alert.id)
            if item.is_over:
                alert.resolve_told_at = now
            else:
                alert.told_at = now


# -- words -------------------------------------------------------------------------------------------------------------


def message(items: Sequence[Item]) -> Message:
    """All of it in one message: what is wrong first, then what is over."""
    wrong = sorted(
        (item for item in items if not item.is_over), key=lambda item: item.alert.severity != Severity.CRITICAL
    )
    over = [item for item in items if item.is_over]
    shown = [_paragraph(item) for item in [*wrong, *over][:MOST_IN_FULL]]
    if len(items) > MOST_IN_FULL:
        shown.append(f"and {len(items) - MOST_IN_FULL} more: `syncengine alerts list`")
    return Message(_title(wrong, over), "\n\n".join([*shown, f"syncengine on {socket.gethostname()}"]), _tone(wrong))


def trial() -> Message:
    """A message that shows that a sink can be reached."""
    host = socket.gethostname()
    return Message(
        "syncengine: a test", f"Alerts of syncengine on {host} arrive here. There is nothing to do.", Tone.INFO
    )


def _title(wrong: Sequence[Item], over: Sequence[Item]) -> str:
    if len(wrong) + len(over) == 1:
        item = [*wrong, *over][0]
        return f"syncengine: {f'over: {_over(item.alert)}' if item.is_over else item.alert.text}"
    parts = [f"{len(wrong)} alerts" if len(wrong) != 1 else "1 alert"] if wrong else []
    return f"syncengine: {', '.join([*parts, *([f'{len(over)} over'] if over else [])])}"


def _tone(wrong: Sequence[Item]) -> Tone:
    if not wrong:
        return Tone.SUCCESS
    return Tone.FAILURE if wrong[0].alert.severity == Severity.CRITICAL else Tone.WARNING


def _paragraph(item: Item) -> str:
    alert = item.alert
    if item.is_over and alert.resolved_at is not None:
        return f"OVER {_over(alert)}\nfrom {alert.opened_at:{TIME}} to {alert.seen_at:{TIME}}"
    again = " (told before, and it goes on)" if alert.told_at is not None else ""
    return f"{alert.severity.upper()} {alert.text}\nWhat to do: {alert.remedy}\nsince {alert.opened_at:{TIME}}{again}"


def _over(alert: Alert) -> str:
    """Its last text; where that begins with a figure which has been higher, that too: people were told the higher one."""
    at_the_end = alert.text.partition(" ")[0]
    if not at_the_end.isdigit() or int(at_the_end) >= alert.count:
        return alert.text
    return f"{alert.text} ({at_the_end} at the end, {alert.count} at most)"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value

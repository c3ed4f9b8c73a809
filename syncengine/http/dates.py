"""The clocks of the systems, from the `Date` header of their answers (for `syncengine doctor`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime

from syncengine import clock

HALF_OF_ITS_RESOLUTION_S = 0.5

_seen: ContextVar[dict[str, float] | None] = ContextVar("seen", default=None)


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Collect how far each endpoint's clock is ahead of ours, by its latest answer inside: seconds, to about 1 s."""
    found: dict[str, float] = {}
    token = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(token)


def note(endpoint: str, date: str | None, took_s: float) -> None:
    """Note the `Date` of an answer that took `took_s` seconds. Ignores an invalid date."""
    found = _seen.get()
    if found is None or not date:
        return
    try:
        sent_at = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return
    found[endpoint] = sent_at + HALF_OF_ITS_RESOLUTION_S - (clock.now().timestamp() - took_s / 2)

"""What the clocks of the systems say: the `Date` of their answers, for whoever asks (`syncengine doctor`)."""

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
    """By endpoint, how far its clock is ahead of ours (seconds, to about one), as its latest answer in here says."""
    found: dict[str, float] = {}
    token = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(token)


def note(endpoint: str, date: str | None, took_s: float) -> None:
    """An answer came with this `Date`, `took_s` seconds after it was asked for. One that is no date says nothing."""
    found = _seen.get()
    if found is None or not date:
        return
    try:
        said = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return
    found[endpoint] = said + HALF_OF_ITS_RESOLUTION_S - (clock.now().timestamp() - took_s / 2)

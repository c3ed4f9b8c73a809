"""Where alerts go: any of the services that apprise knows (chat, mail, paging, a plain HTTP address).

A sink's address holds its secret, often as its host or path. So it is never shown: a sink is named by its place in
SYNCENGINE_ALERT_URLS and the service, and what apprise logs, addresses included, stays here.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from syncengine.errors import Misconfigured

if TYPE_CHECKING:
    from apprise import NotifyBase

log = logging.getLogger(__name__)

_STATUS = re.compile(r"error=(\d{3})")


class Tone(StrEnum):
    """The colour or sign that a sink gives a message; these are apprise's words."""

    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Message:
    """What a sink is given: plain text."""

    title: str
    body: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Sink:
    """One place that alerts go to. name: as it may be shown. print: tells it from the others, and tells no secret."""

    name: str
    print: str
    _plugin: NotifyBase

    def send(self, message: Message) -> str:
        """Send a message; why the sink did not take it, empty if it did. Waits for some seconds, and never raises."""
        with _overheard() as said:
            try:
                taken = self._plugin.notify(title=message.title, body=message.body, notify_type=_kind(message.tone))
            except Exception as error:  # a plugin's fault must not keep the other sinks from being told
                return f"its plugin failed ({type(error).__name__})"  # its text may hold the address
        return "" if taken else _reason(said)


class Sinks:
    """All sinks of an installation; made when the first message is to be sent, since apprise takes a while to load."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._made: list[Sink | Misconfigured] = []

    def __len__(self) -> int:
        return len(self._urls)

    def all(self) -> list[Sink]:
        """Every sink in its order. Raises Misconfigured, naming the place of an address that apprise does not know."""
        made = self._all()
        for one in made:
            if isinstance(one, Misconfigured):
                raise one
        return [one for one in made if isinstance(one, Sink)]

    def usable(self) -> list[Sink]:
        """The sinks whose addresses apprise knows; the log names those that are left out."""
        for one in self._all():
            if isinstance(one, Misconfigured):
                log.error("alerts are sent to the other sinks only: %s", one)
        return [one for one in self._made if isinstance(one, Sink)]

    def _all(self) -> list[Sink | Misconfigured]:
        if not self._made:
            self._made = [_sink(place, url) for place, url in enumerate(self._urls, 1)]
        return self._made


def _sink(place: int, url: str) -> Sink | Misconfigured:
    """The sink at an address, or why there is none."""
    from apprise import Apprise  # a hundred modules, which only those who send shall load

    with _overheard():
        try:
            plugin = Apprise.instantiate(url)
        except Exception:  # a plugin's fault, as an address that it cannot read
            plugin = None
    if plugin is None:
        return Misconfigured(
            f"SYNCENGINE_ALERT_URLS: address {place} is none that apprise knows (it is not shown, for it may hold a "
            "secret). Write it as https://appriseit.com/services/ says, such as mailto://USER:PASSWORD@HOST"
        )
    name = f"sink {place} ({plugin.service_name or type(plugin).__name__})"
    return Sink(name, hashlib.sha256(url.encode()).hexdigest()[:12], plugin)


def _kind(tone: Tone) -> object:
    from apprise import NotifyType

    return NotifyType(tone.value)


def _reason(said: Sequence[str]) -> str:
    """Why a message was not taken, in words of ours: apprise's contain hosts and addresses."""
    for line in said:
        if status := _STATUS.search(line):
            return f"it answered {status[1]}"
    if any("onnection error" in line for line in said):
        return "it cannot be reached"
    return "it did not take the message"


class _Overhearing(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """What apprise says inside, in the place of its way into the log. urllib3's log would show whole addresses too."""
    loud, talkative = logging.getLogger("apprise"), logging.getLogger("urllib3.connectionpool")
    ear = _Overhearing()
    before = loud.propagate, loud.handlers[:], talkative.disabled
    loud.propagate, loud.handlers, talkative.disabled = False, [ear], True
    try:
        yield ear.said
    finally:
        loud.propagate, loud.handlers, talkative.disabled = before

"""Where alerts go: any service that apprise supports (chat, mail, paging, a plain HTTP address).

The address of a sink contains its secret, often as host or path, so it is never shown. A sink is named by its position in
SYNCENGINE_ALERT_URLS and its service, and apprise's own log, which contains addresses, goes no further than this module.
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
    """The colour or symbol that a sink gives a message, by apprise's names."""

    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Message:
    """What a sink receives: plain text."""

    title: str
    body: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Sink:
    """One destination of alerts. name: for display. fingerprint: identifies it without revealing its secret."""

    name: str
    fingerprint: str
    _plugin: NotifyBase

    def send(self, message: Message) -> str:
        """Send a message. Returns why the sink did not accept it, or an empty text. May take some seconds; never raises."""
        with _captured_log() as lines:
            try:
                taken = self._plugin.notify(
                    title=message.title, body=message.body, notify_type=_notify_type(message.tone)
                )
            except Exception as error:  # a plugin's fault must not affect the other sinks
                return f"its plugin failed ({type(error).__name__})"  # its text may contain the address
        return "" if taken else _reason(lines)


class Sinks:
    """All sinks of an installation. They are created with the first message, because apprise takes a while to load."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._made: list[Sink | Misconfigured] = []

    def __len__(self) -> int:
        return len(self._urls)

    def fingerprints(self) -> list[str]:
        """Identify the addresses, in order, without revealing their secrets. Equal for the same addresses."""
        return [_fingerprint(url) for url in self._urls]

    def all(self) -> list[Sink]:
        """Every sink, in order. Raises Misconfigured with the position of an address that apprise does not support."""
        sinks = self._all()
        for sink in sinks:
            if isinstance(sink, Misconfigured):
                raise sink
        return [sink for sink in sinks if isinstance(sink, Sink)]

    def usable(self) -> list[Sink]:
        """The sinks whose addresses apprise supports. The log names the others."""
        for sink in self._all():
            if isinstance(sink, Misconfigured):
                log.error("alerts go only to the other sinks: %s", sink)
        return [sink for sink in self._made if isinstance(sink, Sink)]

    def _all(self) -> list[Sink | Misconfigured]:
        if not self._made:
            self._made = [_sink(place, url) for place, url in enumerate(self._urls, 1)]
        return self._made


def _sink(place: int, url: str) -> Sink | Misconfigured:
    """The sink for an address, or the error if there is none."""
    from apprise import Apprise  # loads a hundred modules, which only sending needs

    with _captured_log():
        try:
            plugin = Apprise.instantiate(url)
        except Exception:  # a plugin's fault, or an address that it cannot read
            plugin = None
    if plugin is None:
        return Misconfigured(
            f"SYNCENGINE_ALERT_URLS: apprise does not support address {place} (not shown, because it may contain a "
            "secret). Write it as in https://appriseit.com/services/, such as mailto://USER:PASSWORD@HOST"
        )
    name = f"sink {place} ({plugin.service_name or type(plugin).__name__})"
    return Sink(name, _fingerprint(url), plugin)


def _fingerprint(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def _notify_type(tone: Tone) -> object:
    from apprise import NotifyType

    return NotifyType(tone.value)


def _reason(lines: Sequence[str]) -> str:
    """Why a message was not accepted, in our own text: apprise's texts contain hosts and addresses."""
    for line in lines:
        if status := _STATUS.search(line):
            return f"it answered {status[1]}"
    if any("onnection error" in line for line in lines):
        return "it cannot be reached"
    return "it did not take the message"


class _LineCollector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def _captured_log() -> Iterator[list[str]]:
    """Collect what apprise logs inside instead of logging it. Also silences urllib3, whose log shows full addresses."""
    apprise_log, urllib3_log = logging.getLogger("apprise"), logging.getLogger("urllib3.connectionpool")
    collector = _LineCollector()
    before = apprise_log.propagate, apprise_log.handlers[:], urllib3_log.disabled
    apprise_log.propagate, apprise_log.handlers, urllib3_log.disabled = False, [collector], True
    try:
        yield collector.lines
    finally:
        apprise_log.propagate, apprise_log.handlers, urllib3_log.disabled = before

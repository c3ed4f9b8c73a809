"""Faults on demand: what a network or a server can do to a client, at a chosen call.

Both systems run their work through `Faults.around`, so that every kind works for both. `Dropped` cuts a connection:
the server's handler catches it and shuts the socket down.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import NoReturn
from urllib.parse import unquote_plus

from werkzeug import Request, Response

from syncengine.sandbox import id_sets

KINDS = ("error", "drop", "late", "hang", "throttle", "expired", "malformed", "forbidden", "down")
#: The kinds that each system answers in its own format: `FaultAnswer(kind, request)`.
WORDED_KINDS = ("error", "throttle", "expired")
#: The answer of a firewall in front of either system; `forbidden` never lets the call through.
_FIREWALL_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head>\n"
    "<body><h1>Forbidden</h1><p>The request was blocked by a security rule.</p></body></html>\n"
)

FaultAnswer = Callable[[str, Request], Response]


class Dropped(ConnectionAbortedError):
    """The connection is closed on purpose; no answer must be written."""


@dataclass(slots=True)
class Fault:
    """One kind of fault for one kind of call.

    Attributes:
        operation: glob of operation names, case-insensitive; `SORTOI` also means `SORTOI.add`.
        times: how many calls it hits; None for all of them.
        after: `before` the work took effect, or after its `commit`; a `late` write always takes effect, `seconds` on.
        seconds: `late`: when the write takes effect; `hang`: when the answer comes; `down`: how long; 0: until removed.
        hold_s: `late`, `drop`: how long the connection stays open before it is closed without an answer.
        match: only calls whose path, query or body contains this text.
        about: only calls that concern the object of this key or reference, alone or among others: their path, query or
            body has it as a whole word, or an id set in their path contains it.
    """

    system: str = "*"
    operation: str = "*"
    kind: str = "error"
    times: int | None = 1
    after: str = "before"
    seconds: float = 0.0
    match: str | None = None
    about: str | None = None
    hold_s: float = 0.0
    id: int = 0
    hits: int = 0
    added_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; the kinds are {', '.join(KINDS)}")
        if self.after not in ("before", "commit"):
            raise ValueError("after is 'before' or 'commit'")
        if self.kind == "down":
            self.times = None

    def is_over(self) -> bool:
        """Whether it can hit no further call."""
        if self.kind == "down" and self.seconds:
            return time.monotonic() >= self.added_at + self.seconds
        return self.times is not None and self.hits >= self.times

    def matches(self, system: str, operation: str, text: Callable[[], str]) -> bool:
        """Whether it applies to a call of this system and operation whose text is `text()`."""
        wanted, given = self.operation.lower(), operation.lower()
        return (
            self.system in ("*", system)
            and (fnmatchcase(given, wanted) or given.startswith(wanted + "."))
            and (self.match is None or self.match in text())
            and (self.about is None or concerns(text(), self.about))
        )


class Faults:
    """The active faults; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._faults: list[Fault] = []
        self._released = threading.Event()
        self._late: list[threading.Thread] = []
        self.answers: dict[str, FaultAnswer] = {}  # by system: its answers to WORDED_KINDS

    def add(self, fault: Fault) -> Fault:
        """Activate a fault and set its id."""
        with self._lock:
            fault.id = next(self._ids)
            self._faults.append(fault)
        return fault

    def remove(self, fault_id: int) -> None:
        """Remove a fault; unknown ids are ignored."""
        with self._lock:
            self._faults = [fault for fault in self._faults if fault.id != fault_id]

    def clear(self) -> None:
        """Remove all faults and release every hanging call; late writes that are still waiting are dropped."""
        with self._lock:
            self._faults.clear()
            released, self._released = self._released, threading.Event()
        released.set()

    def in_force(self) -> list[dict[str, object]]:
        """The faults that may still hit a call."""
        with self._lock:
            return [asdict(fault) for fault in self._faults if not fault.is_over()]

    def wait_for_late_writes(self, timeout_s: float = 10.0) -> None:
        """Block until every late write has taken effect."""
        for thread in list(self._late):
            thread.join(timeout_s)

    def refuse_if_down(self, system: str) -> None:
        """Close the connection if the whole system is down.

        Raises:
            Dropped: it is.
        """
        with self._lock:
            is_down = any(
                fault.kind == "down"
                and not fault.is_over()
                and fault.operation == "*"
                and fault.system in ("*", system)
                for fault in self._faults
            )
        if is_down:
            cut()

    def around(self, system: str, operation: str, request: Request, commit: Callable[[], Response]) -> Response:
        """Run `commit` under the first fault that matches, if any.

        Raises:
            Dropped: the connection was cut.
        """
        fault = self._hit(system, operation, request)
        if fault is None:
            return commit()
        match fault.kind:
            case "drop" | "down":
                if fault.kind == "drop" and fault.after == "commit":
                    commit()
                self._wait(fault.hold_s)
                cut()
            case "late":
                self._commit_later(fault.seconds, commit)
                self._wait(fault.hold_s)
                cut()
            case "hang":
                return self._hang(fault, commit)
            case "malformed":
                return _broken(commit() if fault.after == "commit" else Response("", 200))
            case "forbidden":
                return Response(_FIREWALL_PAGE, 403, mimetype="text/html")
        if fault.after == "commit":
            commit()
        return self.answers.get(system, _plain_answer)(fault.kind, request)

    def _hit(self, system: str, operation: str, request: Request) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if not fault.is_over() and fault.matches(system, operation, lambda: _text(request)):
                    fault.hits += 1
                    return fault
        return None

    def _hang(self, fault: Fault, commit: Callable[[], Response]) -> Response:
        if fault.after == "commit":
            response = commit()
            self._wait(fault.seconds)
            return response
        if self._wait(fault.seconds):
            cut()  # released by `clear` before the work began: drop it
        return commit()

    def _commit_later(self, seconds: float, commit: Callable[[], Response]) -> None:
        released = self._released

        def run() -> None:
            if not released.wait(seconds):
                commit()

        thread = threading.Thread(target=run, name="late-write", daemon=True)
        self._late = [late for late in self._late if late.is_alive()] + [thread]
        thread.start()

    def _wait(self, seconds: float) -> bool:
        """Wait; True if `clear` ended it early."""
        return self._released.wait(seconds) if seconds > 0 else False


def cut(_: Request | None = None) -> NoReturn:
    """Close the connection of this call without an answer, once the call is counted.

    Raises:
        Dropped: always.
    """
    raise Dropped("connection cut by a fault")


def concerns(text: str, key: str) -> bool:
    """Whether a call concerns the object of this key or reference. `text`: path, query and body."""
    if re.search(rf"(?<![\w.]){re.escape(key)}(?![\w.])", text):
        return True
    return key.isdecimal() and any(_is_in_set(part, int(key)) for part in text.partition("?")[0].split("/"))


def _is_in_set(part: str, number: int) -> bool:
    try:
        return any(low <= number <= high for low, high in id_sets.spans(part))
    except ValueError:  # not an id set
        return False


def _text(request: Request) -> str:
    query = unquote_plus(request.query_string.decode("latin-1"))
    return f"{request.path}?{query}\n{request.get_data().decode('utf-8', 'replace')}"


def _broken(response: Response) -> Response:
    """The answer with a truncated body, as after a proxy that gave up."""
    body = response.get_data() or b'{"response":[{"id":1,"reference":"'
    broken = Response(body[: max(1, len(body) * 2 // 3)], response.status_code)
    broken.headers["Content-Type"] = response.headers.get("Content-Type", "application/json;charset=UTF-8")
    return broken


def _plain_answer(kind: str, _: Request) -> Response:
    status = {"throttle": 503, "expired": 401}.get(kind, 500)
    return Response(f"sandbox fault: {kind}", status, mimetype="text/plain")

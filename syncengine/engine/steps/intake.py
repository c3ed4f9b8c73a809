"""Takes hints from many threads of a process: what comes at the same time shares one transaction, and the pump is nudged.

A caller returns once its hint is durable. While one transaction commits, further hints collect for the next one.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.engine.steps import hints
from syncengine.engine.steps.hints import Hint, Taken
from syncengine.errors import SyncError, Throttled

log = logging.getLogger(__name__)

MOST_PENDING = 2_000
"""Hints that may wait for a transaction; more are refused, so that their senders try again."""

MOST_AT_ONCE = 500
"""Hints of one transaction."""

MOST_SHARE = 5
"""A nudged action that takes long, since much happens, rests for this many times as long."""

PATIENCE_S = 8.0
"""How long a caller waits for its transaction. The hint may be stored all the same, which does no harm."""


@dataclass(slots=True)
class _Pending:
    """A hint that waits for its transaction, and then its result or error."""

    hint: Hint
    result: Taken | None = None
    error: SyncError | None = None
    is_over: threading.Event = field(default_factory=threading.Event)


class Intake:
    """The hints of one process. nudge: called with the hints of each committed transaction and what became of them."""

    def __init__(self, engine: Engine, nudge: Callable[[list[tuple[Hint, Taken]]], None]) -> None:
        self._engine, self._nudge = engine, nudge
        self._pending: deque[_Pending] = deque()
        self._has_some = threading.Condition()
        self._worker = _LazyThread("intake", self._run)
        self.commits = 0

    def take(self, hint: Hint) -> Taken:
        """Store a hint; returns once it is durable.

        Raises Throttled if too many wait or the store is too slow, Transient if it is away, Misconfigured.
        """
        mine = _Pending(hint)
        with self._has_some:
            if len(self._pending) >= MOST_PENDING:
                raise Throttled("too many webhooks are waiting to be stored", retry_in_s=1.0)
            self._pending.append(mine)
            self._has_some.notify()
        self._worker.start()
        if not mine.is_over.wait(PATIENCE_S):
            raise Throttled("the store is too slow", retry_in_s=1.0)
        if mine.result is None:
            raise mine.error or Throttled("the hint was not stored", retry_in_s=1.0)
        return mine.result

    def _run(self) -> None:
        while True:
            with self._has_some:
                self._has_some.wait_for(lambda: bool(self._pending))
                some = [self._pending.popleft() for _ in range(min(MOST_AT_ONCE, len(self._pending)))]
            self._commit(some)

    def _commit(self, some: list[_Pending]) -> None:
        given = [pending.hint for pending in some]
        try:
            hints.prepare(self._engine, given)
            with self._engine.store.write(urgent=True) as session:
                results = hints.take(session, self._engine, given, clock.now())
            self.commits += 1
            for pending, result in zip(some, results, strict=True):
                pending.result = result
            self._nudge(list(zip(given, results, strict=True)))
        except SyncError as error:
            for pending in some:
                pending.error = error
        except Exception:  # whatever it was, this thread must serve the next hints; their senders try these again
            log.exception("%d hints could not be stored", len(some))
        finally:
            for pending in some:
                pending.is_over.set()


class Nudger:
    """Runs an action soon after it is asked for: the first time at once, then at most once per `window_s` seconds."""

    def __init__(self, action: Callable[[], object], window_s: float) -> None:
        self._action, self._window_s = action, window_s
        self._is_asked = threading.Event()
        self._worker = _LazyThread("nudger", self._run)

    def nudge(self) -> None:
        """Ask for the action; does not wait for it."""
        self._is_asked.set()
        self._worker.start()

    def _run(self) -> None:
        while True:
            self._is_asked.wait()
            self._is_asked.clear()
            begun = clock.monotonic()
            try:
                self._action()
            except SyncError as error:  # the store is away: beat's pump claims what is due
                log.warning("work starts with the next tick: %s", error)
            clock.sleep(max(self._window_s, (clock.monotonic() - begun) * MOST_SHARE))


class _LazyThread:
    """A daemon thread that starts when it is first needed, so after the process has forked."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self._name, self._run = name, run
        self._is_started = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the thread unless it runs already."""
        if self._is_started:
            return
        with self._lock:
            if not self._is_started:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._is_started = True

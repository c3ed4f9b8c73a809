"""The journal: how often the sandbox was called, and every object that a call or a person changed."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

#: How many calls are kept one by one; the counters include all.
REMEMBERED_CALLS = 5_000


@dataclass(frozen=True, slots=True)
class Call:
    """One answered (or dropped) call, without its query: e.net passes passwords there."""

    at: datetime
    system: str
    operation: str
    method: str
    path: str
    status: int  # 0: the connection was closed without an answer


@dataclass(frozen=True, slots=True)
class Effect:
    """One object created, changed, cancelled or deleted.

    `object` is the system's own term (`order`, `SorMaster`), `key` its id, `reference` what a client can find it by
    (a CustomerPoNumber, an order reference), `by` who did it: `api`, or `person` through the control API.
    """

    at: datetime
    system: str
    object: str
    action: str
    key: str
    reference: str = ""
    by: str = "api"
    detail: dict[str, Any] = field(default_factory=dict)


class Calls:
    """Counters, the latest calls, and the effect log; safe from any thread."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._calls: deque[Call] = deque(maxlen=REMEMBERED_CALLS)
        self._effects: list[Effect] = []

    def count(self, system: str, operation: str, status: int, method: str = "", path: str = "") -> None:
        """Count one call; status 0 means that there was no answer."""
        with self._lock:
            self._counts[system, operation, status] += 1
            self._calls.append(Call(self._now(), system, operation, method, path, status))

    def effect(
        self,
        system: str,
        object: str,
        action: str,
        key: object,
        *,
        reference: object = "",
        by: str = "api",
        **detail: object,
    ) -> None:
        """Log that an object was `created`, `changed`, `cancelled` or `deleted`; call it where the state changes."""
        with self._lock:
            self._effects.append(Effect(self._now(), system, object, action, str(key), str(reference), by, detail))

    def effects(
        self,
        system: str | None = None,
        object: str | None = None,
        reference: str | None = None,
        action: str | None = None,
        key: str | None = None,
    ) -> list[Effect]:
        """The effects that match all given filters, oldest first."""
        wanted = {"system": system, "object": object, "reference": reference, "action": action, "key": key}
        filters = {name: str(value) for name, value in wanted.items() if value is not None}
        with self._lock:
            return [e for e in self._effects if all(getattr(e, name) == value for name, value in filters.items())]

    def total(self, system: str | None = None, operation: str | None = None, status: int | None = None) -> int:
        """Number of calls that match all given filters."""
        with self._lock:
            return sum(
                count
                for (its_system, its_operation, its_status), count in self._counts.items()
                if system in (None, its_system) and operation in (None, its_operation) and status in (None, its_status)
            )

    def latest(self) -> list[Call]:
        """The latest calls, oldest first."""
        with self._lock:
            return list(self._calls)

    def summary(self) -> dict[str, object]:
        """`{system: {total, operations: {name: n}, statuses: {code: n}}}`; status "0" is a connection that was cut."""
        with self._lock:
            counts = dict(self._counts)
        systems: dict[str, dict[str, Counter[str]]] = {}
        for (system, operation, status), count in sorted(counts.items()):
            entry = systems.setdefault(system, {"operations": Counter(), "statuses": Counter()})
            entry["operations"][operation] += count
            entry["statuses"][str(status)] += count
        return {
            system: {
                "total": entry["operations"].total(),
                **{name: dict(counter) for name, counter in entry.items()},
            }
            for system, entry in systems.items()
        }

    def reset(self, *, effects: bool = False) -> None:
        """Clear the counters and calls, and on request the effects."""
        with self._lock:
            self._counts.clear()
            self._calls.clear()
            if effects:
                self._effects.clear()


def as_json(entry: Call | Effect) -> dict[str, object]:
    """A call or effect with its time as ISO 8601 UTC."""
    return {**asdict(entry), "at": entry.at.isoformat()}

"""One holding of an operator's seat (`operator.py`), and the guard around the calls that are made with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from syncengine import clock
from syncengine.errors import Transient
from syncengine.http import guard


class SeatLost(Transient):
    """The slot ran out before the call left. Nothing was sent."""


@dataclass
class Ticket:
    """One holding of the slot.

    `deadline` is on the monotonic clock; `ahead` is how far the row's clock is ahead of ours. `may_run`: bytes of the
    latest call may have left. `session_id`, `used_at` and `logons` are what the row keeps, sealed.
    """

    holder: str
    deadline: float
    ahead: timedelta
    may_run: bool = False
    session_id: str = ""
    used_at: datetime | None = None
    logons: list[datetime] = field(default_factory=list)
    closed_for_s: float = 0.0

    def now(self) -> datetime:
        """The time by the row's clock (UTC)."""
        return clock.now() + self.ahead

    def check(self) -> None:
        """Raises SeatLost if another one may have the slot by now."""
        if clock.monotonic() >= self.deadline:
            raise SeatLost("the operator's slot ran out before the call left; nothing was sent")


class BothGuards:
    """The engine's lease and the slot, as one guard around a call. It knows whether the call may have left."""

    def __init__(self, outer: guard.Guard, ticket: Ticket) -> None:
        self.lane = outer.lane
        self._outer, self._ticket = outer, ticket

    def renew(self) -> None:
        """Renew the engine's lease; asked before each call, so the one before it has been answered."""
        self._ticket.may_run = False
        self._outer.renew()

    def check(self) -> None:
        """Both must be held when the bytes leave, which they do next."""
        self._ticket.may_run = False
        self._outer.check()
        self._ticket.check()
        self._ticket.may_run = True

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Counted by the engine's lease."""
        self._outer.called(endpoint, operation, took_s)

"""What a breaker says of itself: its state, and that it has changed. Apart, so that reading needs no Redis client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerState:
    """The current state of a breaker.

    name: `closed`, `open`, or `probing` (open, and one call is testing the endpoint). retry_in_s: time until the next call
    may be made. calls, failures: in the window, while closed. open_s: how long it has been open. why: the latest failure.
    """

    name: str = "closed"
    retry_in_s: float = 0.0
    why: str = ""
    calls: int = 0
    failures: int = 0
    open_s: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are stopped."""
        return self.name != "closed"

    @property
    def wants_probe(self) -> bool:
        """True if the next call would be let through as a probe."""
        return self.name == "open" and self.retry_in_s <= 0


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker has opened or closed. open_s: how long it was open if it closed; its first rest if it opened."""

    endpoint: str
    opened: bool
    why: str
    open_s: float


Hook = Callable[[Change], None]

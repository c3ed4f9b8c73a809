"""Exponential back-off with jitter: half fixed, half random, so that no wait is zero and workers do not retry in lockstep."""

from __future__ import annotations

import random


def backoff(attempt: int, *, first_s: float = 1.0, most_s: float) -> float:
    """Seconds to wait after failure number `attempt` (0 is the first): 50 to 100 % of first_s * 2**attempt, at most most_s."""
    longest = min(most_s, first_s * 2.0 ** min(attempt, 30))
    return longest / 2 + random.uniform(0, longest / 2)

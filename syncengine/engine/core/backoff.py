"""Exponential back-off with jitter: half fixed, half random, so that no wait is nothing and no two workers march in step."""

from __future__ import annotations

import random


def backoff(attempt: int, *, first_s: float = 1.0, most_s: float) -> float:
    """Seconds to wait after failure number `attempt` (0 is the first): between half and all of first * 2**attempt."""
    whole = min(most_s, first_s * 2.0 ** min(attempt, 30))
    return whole / 2 + random.uniform(0, whole / 2)

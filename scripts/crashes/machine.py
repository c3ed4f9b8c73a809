"""How much longer computing takes than on a machine that is ours alone: other programs may share it, other rounds do."""

from __future__ import annotations

import time

EVERY_S = 2.0
SAMPLE_S = 0.01  # of computing


class Machine:
    """Measured now and then by a little computing: what passed on the clock, by what it was computed."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._passed_s = self._computed_s = 0.0

    def look(self) -> None:
        """Measure, if it is time for it."""
        begun = time.perf_counter()
        if begun < self._next_at:
            return
        computed = time.thread_time()
        while time.thread_time() - computed < SAMPLE_S:
            pass
        self._computed_s += time.thread_time() - computed
        self._passed_s += time.perf_counter() - begun
        self._next_at = time.perf_counter() + EVERY_S

    @property
    def slowness(self) -> float:
        """How many times longer, on average: 1 where nobody else computes, about 2 where twice as much is to be done."""
        return max(1.0, self._passed_s / self._computed_s) if self._computed_s else 1.0

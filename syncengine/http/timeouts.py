"""The time-outs of a call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs in seconds. Their sum is below the 45 s of a lease (design.md section 9)."""

    connect_s: float = 5.0
    read_s: float = 30.0

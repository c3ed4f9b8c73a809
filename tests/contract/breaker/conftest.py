"""A clock that tests move."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass
class Time:
    """Seconds; constant until a test changes it."""

    at: float = 1_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()

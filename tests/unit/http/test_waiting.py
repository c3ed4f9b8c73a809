"""Waits renew the lease; nobody sleeps past a lost one."""

from __future__ import annotations

import pytest

from syncengine import clock
from syncengine.http import guard
from syncengine.http.waiting import wait


class Recorded:
    lane = "realtime"

    def __init__(self, lost_after: int = 1000) -> None:
        self.renewals = 0
        self.lost_after = lost_after

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Not counted here."""

    def renew(self) -> None:
        self.renewals += 1
        if self.renewals > self.lost_after:
            raise RuntimeError("lease lost")

    def check(self) -> None:
        """Not asked by waits."""


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(clock, "sleep", slept.append)
    monkeypatch.setattr(clock, "monotonic", lambda: sum(slept))
    return slept


def test_a_long_wait_renews_the_lease_before_each_slice(slept: list[float]) -> None:
    lease = Recorded()
    with guard.guarded(lease):
        wait(12)
    assert (slept, lease.renewals) == ([5, 5, 2], 3)


def test_no_wait_is_no_wait(slept: list[float]) -> None:
    wait(0)
    wait(-1)
    assert slept == []


def test_a_wait_ends_with_the_lease(slept: list[float]) -> None:
    with guard.guarded(Recorded(lost_after=1)), pytest.raises(RuntimeError, match="lease lost"):
        wait(60)
    assert slept == [5]

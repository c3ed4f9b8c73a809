"""The clock of leases counts the time in which the machine slept."""

from __future__ import annotations

import sys
import time

import pytest

from syncengine import clock

BEFORE_SLEEP, SLEPT_S = 1000.0, 3600.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="CLOCK_BOOTTIME is Linux's")
def test_the_monotonic_clock_counts_suspended_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """clock_gettime(2): CLOCK_BOOTTIME is CLOCK_MONOTONIC, but includes any time that the system is suspended."""
    shown = {time.CLOCK_MONOTONIC: BEFORE_SLEEP, time.CLOCK_BOOTTIME: BEFORE_SLEEP + SLEPT_S}
    monkeypatch.setattr(time, "clock_gettime", shown.__getitem__)
    monkeypatch.setattr(time, "monotonic", lambda: BEFORE_SLEEP)

    assert clock.monotonic() == BEFORE_SLEEP + SLEPT_S


def test_on_macos_it_is_the_system_call_that_counts_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)

    assert clock._clock_that_counts_sleep() == time.CLOCK_MONOTONIC


def test_where_no_such_clock_can_be_read_it_is_pythons_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(clock, "_CLOCK", clock._clock_that_counts_sleep())
    monkeypatch.setattr(time, "monotonic", lambda: BEFORE_SLEEP)

    assert clock.monotonic() == BEFORE_SLEEP


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 seconds"),
        (1, "1 second"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (3600, "60 minutes"),
        (7200, "2 hours"),
        (2 * 86_400, "2 days"),
    ],
)
def test_a_duration_is_spelled_in_the_largest_unit_of_which_there_are_two(seconds: float, text: str) -> None:
    assert clock.spell(seconds) == text

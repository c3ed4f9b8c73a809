"""The short form of `scripts/bench outage`: Brightpearl away for half a minute, with real processes."""

from __future__ import annotations

import outage
import pytest


@pytest.mark.process
def test_brightpearl_is_probed_once_an_interval_and_all_orders_arrive_without_a_storm() -> None:
    found = outage.measure(0.3, 60, limit=0)  # with a throttle, the first calls go 10 s apart: it asks how much is left

    # Three calls until the breaker opens, and those that were under way; then 2, 4, 8 s.
    assert 3 <= len(found.calls_at) <= 3 + 2 + 3
    assert found.too_early == 0
    assert found.refused == 0
    assert found.most_a_minute <= outage.LIMIT
    assert found.verdict is not None
    assert found.verdict.is_right

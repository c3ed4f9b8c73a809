"""How soon orders arrived in SYSPRO: whether awkward ones have kept others waiting.

An order may take its time from when it was placed, or from the last fault that struck before it arrived. What it may take
after that adds up what the installation's own times allow, what was due before it, and for how long awkward orders kept
SYSPRO's seat, which is judged for itself (`awkward.longest_seat_s`). On a machine that many share, what is due may take
longer (`machine.py`). In a round with awkward orders faults do not begin before the first load is done (`ordeal.py`), so
that nothing else can have been in its way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from scripts.crashes.faults import Fault
from scripts.crashes.installation import LAG_S, Shape
from syncengine.sandbox.server import Sandbox

A_RECORD_S, COMPUTED_S = 1.0, 0.2
"""What each record takes that is due before an order, by e.net one after the other; and what of it is computing."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Seconds: of the orders before the first fault, and of those after one, the one that came nearest to what it might
    take, and that. `late`: orders that took longer. `slowness`: how many times longer computing took on this machine.
    """

    orders: int
    slowness: float
    before_s: float
    before_most_s: float
    after_s: float
    after_most_s: float
    late: list[str]


def most_s(shape: Shape, due: int, kept_s: float, slowness: float = 1.0) -> float:
    """What an order may take before the first fault: to be noticed, behind the records that are `due`.

    Where orders are awkward, also for a batch whose worker is killed to be free again, and for the seat,
    which they kept from others for `kept_s` in all.
    """
    times = shape.times
    noticed = times.every_s + LAG_S + times.quiet_s
    before_it = max(A_RECORD_S, COMPUTED_S * slowness) * due
    return noticed + before_it + (times.lease_s + kept_s if shape.awkward is not None else 0.0)


def most_after_a_fault_s(shape: Shape, due: int, kept_s: float, slowness: float = 1.0) -> float:
    """What an order may take after a fault: a frozen process, its lease, a settle time and the longest rests more."""
    times = shape.times
    worst = times.frozen_s + times.lease_s + times.settle_s + times.breaker_most_s + times.backoff_most_s
    return most_s(shape, due, kept_s, slowness) + worst


def judged(
    sandbox: Sandbox, shape: Shape, keys: Iterable[int], placed: Mapping[int, datetime], begun: datetime,
    faults: Sequence[Fault], kept_s: float, slowness: float,
) -> Arrivals:  # fmt: skip
    """Judge these orders. Those that were there at `begun` count as placed then."""
    arrived = arrivals(sandbox)
    strikes = sorted((fault.fired_at, fault.due) for fault in faults if fault.fired_at is not None)
    first_s = most_s(shape, shape.load, kept_s, slowness)
    before, after = [(0.0, first_s)], [(0.0, most_after_a_fault_s(shape, 0, kept_s))]  # took, allowed
    late = []
    for key in [key for key in keys if key in arrived]:
        at, since = arrived[key].timestamp(), placed.get(key, begun).timestamp()
        struck = strikes[: bisect_right(strikes, (at, 0))]
        if struck:
            took = at - max(since, struck[-1][0]), most_after_a_fault_s(shape, struck[-1][1], kept_s, slowness)
        else:
            took = at - since, first_s
        (after if struck else before).append(took)
        if took[0] > took[1]:
            late.append(f"order {key}: late: in SYSPRO after {took[0]:.0f} s where {took[1]:.0f} s are allowed")
    nearest = [max(some, key=lambda one: one[0] / one[1]) for some in (before, after)]
    return Arrivals(len(before) + len(after) - 2, round(slowness, 1), *nearest[0], *nearest[1], late)


def arrivals(sandbox: Sandbox) -> dict[int, datetime]:
    """When each order was created in SYSPRO for the first time, by its id in Brightpearl."""
    found: dict[int, datetime] = {}
    for effect in sandbox.calls.effects(system="syspro", object="SorMaster", action="created"):
        if effect.by == "api" and effect.reference.isdecimal():
            found.setdefault(int(effect.reference), effect.at)
    return found

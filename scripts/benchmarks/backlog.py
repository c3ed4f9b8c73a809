"""The backlog of an installation as benchmarks need it: raised at once, watched, and judged against the shop at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from installation import Site
from sqlalchemy import func, select

from syncengine import clock
from syncengine.engine.core.want import want
from syncengine.store import Store
from syncengine.store.models import Record, Schedule
from syncengine.store.states import Lane, Status

FIRST_ORDER = 5001  # of the simulated shop
AT_ONCE = 5000


def order_keys(first: int, count: int) -> list[str]:
    """Keys of this many orders of the shop, from the `first` on (0 is the oldest)."""
    return [str(FIRST_ORDER + number) for number in range(first, first + count)]


def want_orders(store: Store, keys: Sequence[str], lane: Lane) -> None:
    """Want orders, as any trigger does."""
    for start in range(0, len(keys), AT_ONCE):
        with store.write() as session:
            want(session, 1, "orders", keys[start : start + AT_ONCE], lane=lane, now=clock.now())


def read_no_feeds(store: Store) -> None:
    """Have beat's ticks find no feed due for a day, so that only what is wanted here is due, in the lane that it says."""
    tomorrow = clock.now() + timedelta(days=1)
    with store.write() as session:
        for flow in ("customers", "orders"):
            session.add(Schedule(connection_id=1, flow=flow, next_due=tomorrow))


def due(store: Store) -> int:
    """How many records are due, or worked on."""
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(Record).where(Record.wanted > Record.done)) or 0


@dataclass(frozen=True)
class Verdict:
    """What became of orders: in SYSPRO once, not at all, more than once; and records that are not done."""

    wanted: int
    created: int
    missing: int
    twice: int
    not_done: int

    @property
    def is_right(self) -> bool:
        """True if each is there once and nothing is left."""
        return not (self.missing or self.twice or self.not_done)


def judge(installation: Site, store: Store, keys: Sequence[str]) -> Verdict:
    """Count the orders in the simulated SYSPRO, not those that the engine reports."""
    made = Counter(
        effect["reference"]
        for effect in installation.systems.effects(system="syspro", object="SorMaster", action="created")
    )
    with store.read() as session:
        done = session.scalar(
            select(func.count()).select_from(Record).where(Record.flow == "orders", Record.status == Status.DONE)
        )
    return Verdict(
        wanted=len(keys),
        created=sum(made.values()),
        missing=sum(1 for key in keys if not made[key]),
        twice=sum(1 for count in made.values() if count > 1),
        not_done=len(keys) - (done or 0),
    )

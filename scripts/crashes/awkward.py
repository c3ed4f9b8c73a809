"""Three awkward orders in a round: one that is always refused with 403, one that always times out, one that always kills.

They are among the orders that are there at the start, and stay awkward until the end; people leave them alone. Each must
end with a person, as a dead letter or held, and be in SYSPRO once at most. What it does to the other orders is judged by
how soon these arrive (`arrivals.py`). Which orders, and in which way they are awkward, follows from the seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scripts.crashes import points
from scripts.crashes.installation import Site, Times
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from syncengine.store import Store
from syncengine.store.models import Failure, Record

FORBIDDEN, SILENT, DEADLY = "always 403", "always times out", "always kills its worker"
SHOP, ERP = "Brightpearl", "SYSPRO"
READ = "order.read"  # Brightpearl's, of one order or of many

#: Where a worker dies whenever it works on the deadly one; the step that it dies in is made again, so that it dies again.
PLACES = (
    "fetch begins", "before commit: documents", "transform begins", "before commit: plans", "push begins",
    "before commit: intentions", "write leaving",
)  # fmt: skip
SEATED = "write leaving"  # there it dies with SYSPRO's seat
#: What becomes of a write that times out: carried out at once, or when its client has given up, or never.
WRITES = ("takes effect at once", "takes effect late", "never takes effect")
MOST_WRITES, MOST_READS = 5, 10
"""How often calls that time out are made: a write is sent 5 times, a record fails 8 times alone (`engine.Limits`), and
once or twice with others before that."""


@dataclass
class Awkward:
    """One of them. `how`: in which of its ways; `faults`: what the simulated systems do to it, writes and other calls."""

    key: str
    kind: str
    how: str
    writes: Fault | None = None
    reads: Fault | None = None

    @property
    def calls(self) -> tuple[int, int]:
        """How many writes and how many other calls about it met its fault."""
        return (self.writes.hits if self.writes else 0, self.reads.hits if self.reads else 0)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one. `became`: the record's status; `cause`: why; `copies`: how many orders SYSPRO has of it."""

    key: str
    kind: str
    how: str
    became: str
    cause: str
    copies: int
    created: int
    writes: int
    reads: int
    deaths: int

    @property
    def problems(self) -> list[str]:
        """What must not be; empty if all is right."""
        name = f"order {self.key}, which {self.kind} ({self.how}),"
        found = []
        if self.became not in ("dead", "held"):
            found.append(f"{name} is {self.became}, and neither a dead letter nor held")
        elif not self.cause:
            found.append(f"{name} is {self.became} without a cause")
        if self.copies > 1 or self.created > 1:
            found.append(f"{name} is in SYSPRO {self.copies} times, created {self.created} times")
        if not self.writes + self.reads + self.deaths:
            found.append(f"{name} did nothing of the kind")
        return found


@dataclass
class Three:
    """The awkward orders of a round; none in a round without them."""

    orders: list[Awkward] = field(default_factory=list)

    @property
    def keys(self) -> set[int]:
        """Their ids."""
        return {int(one.key) for one in self.orders}

    def seat_s(self, times: Times, deaths: int) -> float:
        """Seconds for which calls to SYSPRO that got no answer have kept an operator's seat from all others.

        They timed out, or their worker died with the seat (`deaths`: of the deadly one), which counts from the call's begin.
        """
        calls = [one.calls for one in self.orders if one.kind == SILENT and one.how in WRITES]
        dies_seated = any(one.kind == DEADLY and one.how == SEATED for one in self.orders)
        return sum(_seat_s(times, writes, reads) for writes, reads in calls) + dies_seated * deaths * times.settle_s


def longest_seat_s(times: Times) -> float:
    """The most that `Three.seat_s` may come to."""
    return _seat_s(times, MOST_WRITES, MOST_READS) + MOST_WRITES * times.settle_s


def _seat_s(times: Times, writes: int, reads: int) -> float:
    """A call that timed out keeps the seat until it is given up, and then for its settle time: a read's is shorter."""
    return writes * (times.read_s + times.settle_s) + reads * (times.read_s + times.read_s)


def put(site: Site) -> Three:
    """Have three orders be awkward from now on, if the round is to have any; before the processes are started."""
    shape = site.shape
    if shape.awkward is None:
        return Three()
    keys, ways = choose(site.sandbox, shape.seed), ways_of(shape.awkward)
    three = Three([Awkward(key, kind, how) for key, (kind, how) in zip(keys, ways.items(), strict=True)])
    for one in three.orders:
        begin(one, site.sandbox, shape.times)
        if one.kind == DEADLY:
            poison = {"point": one.how, "key": one.key}
            (site.points / points.POISON).write_text(json.dumps(poison), encoding="utf-8")
    return three


def choose(sandbox: Sandbox, seed: int) -> list[str]:
    """Three of the orders that are to be pushed."""
    pushed = [str(key) for key, fate in sandbox.shop.expected.items() if fate == "pushed"]
    return random.Random(f"awkward {seed}").sample(pushed, 3)


def ways_of(turn: int) -> Mapping[str, str]:
    """How each of the three is awkward: every way has its turn as `turn` counts on from round to round."""
    silent = (*WRITES, SHOP)
    return {
        FORBIDDEN: (ERP, ERP, SHOP)[turn % 3],
        SILENT: silent[turn % len(silent)],
        DEADLY: PLACES[turn * 3 % len(PLACES)],
    }


def begin(one: Awkward, sandbox: Sandbox, times: Times) -> None:
    """Have the simulated systems be awkward about it. A deadly one is the processes' business."""
    add = sandbox.faults.add
    if one.kind == FORBIDDEN:
        system, operation = ("brightpearl", READ) if one.how == SHOP else ("syspro", "*")
        one.reads = add(Fault(system=system, operation=operation, kind="forbidden", about=one.key, times=None))
    elif one.kind == SILENT and one.how == SHOP:
        one.reads = add(_silence("brightpearl", READ, one.key, times))
    elif one.kind == SILENT:
        one.writes = add(_silence("syspro", "SORTOI.add", one.key, times, one.how))
        one.reads = add(_silence("syspro", "*", one.key, times))


def _silence(system: str, operation: str, key: str, times: Times, how: str = "") -> Fault:
    """No answer comes within the client's patience. The server is done with the call before the settle time is over."""
    answers_s = times.read_s * 1.4
    some: dict[str, Any] = {"system": system, "operation": operation, "about": key, "times": None}
    if how == WRITES[2]:
        return Fault(kind="drop", hold_s=answers_s, **some)
    return Fault(kind="hang", seconds=answers_s, after="commit" if how == WRITES[0] else "before", **some)


# -- what became of them -----------------------------------------------------------------------------------------------


def fates(three: Three, store: Store, sandbox: Sandbox, deaths: int) -> list[Fate]:
    """What became of each. `deaths`: how many workers the deadly one has killed."""
    with store.read() as session:
        return [_fate(session, sandbox, one, deaths if one.kind == DEADLY else 0) for one in three.orders]


def _fate(session: Session, sandbox: Sandbox, one: Awkward, deaths: int) -> Fate:
    record = session.scalars(select(Record).where(Record.flow == "orders", Record.key == one.key)).one_or_none()
    made = sandbox.calls.effects(system="syspro", object="SorMaster", reference=one.key, action="created")
    with sandbox.syspro.lock:
        copies = len(sandbox.syspro.table("SorMaster").by("CustomerPoNumber", one.key))
    writes, reads = one.calls
    return Fate(
        one.key, one.kind, one.how, became=_became(record), cause=_cause(session, record),
        copies=copies, created=len(made), writes=writes, reads=reads, deaths=deaths,
    )  # fmt: skip


def _became(record: Record | None) -> str:
    if record is None:
        return "unknown"
    return "still due" if record.wanted > record.done else str(record.status)


def _cause(session: Session, record: Record | None) -> str:
    if record is None:
        return ""
    letter = select(Failure.cause).where(Failure.record_id == record.id, Failure.closed_at.is_(None))
    return session.scalars(letter).first() or (record.reason if record.status == "held" else "")


def deaths_in(folder: Any) -> int:
    """How many workers the deadly order has killed, by what they noted last (`points.hit`)."""
    noted = folder / points.DEATHS
    return len(noted.read_text(encoding="utf-8").splitlines()) if noted.exists() else 0

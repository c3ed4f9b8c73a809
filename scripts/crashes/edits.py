"""scripts/chaos edits [--orders 1000] [--edits 5000] [--workers 4] [--json FILE]: edited at random while it is synced.

Every order is edited several times, in an order of the seed's, while several processes sync.
In the end each must be in the target as it was edited last, and there must have been fewer syncs than edits.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from scripts.crashes.installation import ROOT, Shape, Site
from scripts.crashes.judge import await_calm, due, judge
from scripts.crashes.people import People
from syncengine.store.models import Event

FIRST_S, CALM_S, DRAIN_S = 120.0, 5.0, 900.0
SHARE = 1.35  # of a shop's orders about four fifths are to be pushed; the others are not for editing
COMPARED = ("planned", "skipped", "unchanged", "held", "dead")  # how a sync ends that was not merely put off


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it. `newest`: edited orders that are in the target as they were edited last. `syncs`: how often an
    order was fetched and compared; `writes`: creates and changes of orders in the target."""

    orders: int
    edits: int
    edited: int
    newest: int
    syncs: int
    writes: int
    lost: int
    duplicates: int
    seconds: float
    problems: list[str]

    @property
    def is_right(self) -> bool:
        return not self.problems and self.newest == self.edited and self.syncs < self.edits


def run(home: Path, shape: Shape, edits: int, say: Callable[[str], None], *, a_second: float) -> Found:
    """Edit as many orders as the shape says in turn, shuffled again each time, until there were `edits` edits."""
    wanted, shape = shape.orders, replace(shape, orders=round(shape.orders * SHARE))
    begun, chance = time.monotonic(), random.Random(shape.seed)
    with Site(home, shape) as site:
        people = People(site.sandbox, site.url, shape.seed, may_cancel=False)
        keys = people.pushed()[:wanted]
        while due(site.store) == 0:
            if time.monotonic() - begun > FIRST_S:
                raise SystemExit(f"no order was found within {FIRST_S:.0f} s; the logs: {home}")
            time.sleep(0.2)
        made = 0
        while made < edits:
            chance.shuffle(keys)
            for key in keys[: edits - made]:
                people.edit_order(key)
                made += 1
                if made % 500 == 0:
                    say(f"  {made} edits, {due(site.store)} records are due")
                time.sleep(chance.expovariate(a_second))
        say(f"  all edits are made; {due(site.store)} records are due")
        await_calm(site.store, people.last_at, calm_s=CALM_S, patience_s=DRAIN_S)
        return _found(site, people, made, time.monotonic() - begun)


def _found(site: Site, people: People, edits: int, seconds: float) -> Found:
    verdict = judge(site.store, site.url, people)
    with site.store.read() as session:
        syncs = session.scalar(
            select(func.count()).select_from(Event).where(Event.flow == "orders", Event.what.in_(COMPARED))
        )
    writes = [one for one in site.sandbox.calls.effects(system="syspro", object="SorMaster") if one.by == "api"]
    return Found(
        orders=verdict.orders, edits=edits, edited=len(people.edited),
        newest=sum(str(key) not in verdict.wrong_orders for key in people.edited), syncs=syncs or 0, writes=len(writes),
        lost=verdict.lost, duplicates=verdict.duplicates, seconds=round(seconds, 1), problems=verdict.problems,
    )  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Run it and say what came of it; 0 if all is right."""
    parser = argparse.ArgumentParser("scripts/chaos edits", description=__doc__)
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--edits", type=int, default=5000)
    parser.add_argument(
        "--a-second", type=float, default=60.0, help="edits, on average; fewer than can be synced are synced one by one"
    )
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--contacts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--home", type=Path, default=ROOT / "var" / "chaos")
    options = parser.parse_args(argv)
    sizes: dict[str, Any] = {name: getattr(options, name) for name in ("orders", "contacts", "workers", "seed")}
    found = run(
        options.home.absolute() / "edits", Shape(**sizes), options.edits, lambda said: print(said, flush=True),
        a_second=options.a_second,
    )  # fmt: skip
    for problem in found.problems:
        print(f"  WRONG: {problem}")
    print(
        f"{found.edited} orders edited {found.edits} times while {options.workers} processes synced them: the newest won "
        f"{found.newest} times, with {found.syncs} syncs and {found.writes} writes, in {found.seconds:.0f} s. "
        f"Lost: {found.lost}. Duplicated: {found.duplicates}. Wrong: {len(found.problems)}."
    )
    if options.json:
        options.json.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
    return 0 if found.is_right else 1

"""The rounds of a run: each an installation of its own with its share of the faults, in a process of its own."""

from __future__ import annotations

import argparse
import signal
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.crashes import report
from scripts.crashes.faults import Fault, draw, of_stock, promised
from scripts.crashes.installation import Shape
from scripts.crashes.ordeal import Pace, endure
from scripts.crashes.report import State

EVERY = 3
"""One round in this many has awkward orders; twelve rounds cover both gateways and both databases."""
STOCK_EVERY = 4
"""In one round in this many goods move instead of orders being edited."""
MOST_DEATHS, DEATHS_APART_S = 6, 5.0
"""Where an order kills its workers, it shall be set aside within a minute or two, not in twelve."""


@dataclass(frozen=True, slots=True)
class Round:
    """One of them, before it is run. Its installation is in `home`."""

    number: int
    home: Path
    shape: Shape
    faults: list[Fault]
    pace: Pace


def upcoming(state: State, left: int, kinds: Sequence[str], options: argparse.Namespace) -> list[Round]:
    """The next ones to go side by side: `options.at_once`, or fewer if fewer faults are left."""
    done = state.drawn
    mine = draw(kinds, done + min(left, options.a_round * options.at_once), state.seed)[done:]
    slices = [mine[start : start + options.a_round] for start in range(0, len(mine), options.a_round)]
    return [_round(state.rounds_done + more, faults, options, state.seed) for more, faults in enumerate(slices)]


def _round(number: int, faults: list[Fault], options: argparse.Namespace, seed: int) -> Round:
    home = options.home.absolute() / f"round-{number + 1}"
    gateway = options.gateway if options.gateway != "both" else ("enet", "harmony")[number // 2 % 2]
    shape = Shape(seed + number, options.contacts, options.orders, options.workers, gateway)
    every = {"some": EVERY, "always": 1, "never": 0}[options.awkward]
    if every and number % every == 0:
        turn = seed + number // every
        shape = replace(shape, awkward=turn, most_deaths=MOST_DEATHS, deaths_apart_s=DEATHS_APART_S)
    if options.stock == "always" or (options.stock == "some" and number % STOCK_EVERY == 1):
        shape = replace(shape, trades=True, orders=0, awkward=None)
        faults = of_stock(faults)
    if options.database == "postgresql" or (options.database == "both" and number % 2):
        shape = replace(shape, database_url=_postgres(home))
    return Round(number + 1, home, shape, promised(faults, gateway), Pace(act_s=options.every, spread=options.spread))


def run(one: Round) -> dict[str, object]:
    """Go through it and say so; what was found, as `report.as_json` gives it."""

    def say(said: str) -> None:
        print(f"{one.number:>3}: {said}", flush=True)

    say(f"{len(one.faults)} faults, {report.name_of(one.shape)}")
    found = report.as_json(endure(one.home, one.shape, one.faults, one.pace, say))
    for line in report.round_summary(found):
        say(f"  {line}")
    for problem in found["problems"]:
        say(f"  WRONG: {problem}")
    return found


def end_like_ctrl_c() -> None:
    """SIGTERM ends this process with all that it has started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _postgres(home: Path) -> str:
    from tests.services import start_postgres

    home.parent.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore", RuntimeWarning)  # platformdirs: no XDG_RUNTIME_DIR on a bare machine
    return start_postgres(home.parent, f"chaos_{home.name.replace('-', '_')}")

"""scripts/chaos [--faults 500] [--seed N] [--minutes M] [--resume FILE] [--json FILE] [--kinds ...] and more: see --help.

Kills, freezes and cuts the processes of an installation of its own, at every place, while orders and customers are created
and edited; then lets it drain and asks whether every object is in the target once, equal to its source. The exit code
is 0 only if nothing was lost, nothing is there twice, and all else is right.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.crashes import edits, report, rounds
from scripts.crashes.faults import KINDS, kinds_of
from scripts.crashes.installation import ROOT
from scripts.crashes.report import State


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is left to run; 0 if all is right, 1 if not, 2 if it cannot run."""
    rounds.end_like_ctrl_c()
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["edits"]:
        return edits.main(given[1:])
    options = _parser().parse_args(given)
    try:
        kinds = kinds_of(options.kinds)
    except ValueError as wrong:
        sys.stderr.write(f"chaos: {wrong}\n")
        return 2
    begun = time.monotonic()
    state = State.of(options.resume, seed=options.seed, faults=options.faults)
    with multiprocessing.get_context("spawn").Pool(options.at_once, rounds.end_like_ctrl_c) as pool:
        while (left := state.faults - state.struck) > 0:
            if options.minutes and time.monotonic() - begun > options.minutes * 60:
                print(f"chaos: {options.minutes:g} minutes are over; --resume continues")
                break
            for found in pool.imap(rounds.run, rounds.upcoming(state, left, kinds, options)):
                state.add(found)
                state.save(options.resume)
    print(report.table(state))
    if options.json:
        options.json.write_text(json.dumps(report.summary(state), indent=1), encoding="utf-8")
    return 0 if state.is_right else 1


def _parser() -> argparse.ArgumentParser:
    about, _, _ = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser("scripts/chaos", description=(__doc__ or "")[len(about) :].strip())
    parser.add_argument("--faults", type=int, default=500, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed draws the same faults and the same edits")
    parser.add_argument("--minutes", type=float, help="begin no further round after this many minutes")
    parser.add_argument(
        "--resume", type=Path, metavar="FILE", help="state: kept after each round, resumed if it exists"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="what was found")
    parser.add_argument("--kinds", nargs="*", default=[], metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument(
        "--a-round", type=int, default=50, help="faults until all is judged and begun again (default 50)"
    )
    parser.add_argument("--at-once", type=int, default=1, help="rounds side by side, each in a process of its own")
    parser.add_argument("--orders", type=int, default=60, help="orders that are there at the start of a round")
    parser.add_argument("--contacts", type=int, default=30, help="customers that are there at the start of a round")
    parser.add_argument(
        "--spread", action="store_true", help="faults at random moments from the first order to the last"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes of the worker (default %(default)s)")
    parser.add_argument(
        "--every", type=float, default=0.4, help="seconds between two edits, about (default %(default)s)"
    )
    parser.add_argument(
        "--database", choices=["sqlite", "postgresql", "both"], default="both", help="both: by turns (default)"
    )
    parser.add_argument(
        "--gateway", choices=["enet", "harmony", "both"], default="both", help="to SYSPRO; both: by turns (default)"
    )
    parser.add_argument(
        "--awkward", choices=["some", "always", "never"], default="some",
        help="rounds with an order that is always refused, one that always times out, one that always kills its worker",
    )  # fmt: skip
    parser.add_argument(
        "--stock", choices=["some", "always", "never"], default="some",
        help="rounds in which goods move at both systems, with an actor's ledger to judge the levels by",
    )  # fmt: skip
    parser.add_argument("--home", type=Path, default=ROOT / "var" / "chaos", help="folder for logs and data")
    return parser


if __name__ == "__main__":
    sys.exit(main())

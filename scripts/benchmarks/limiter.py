"""The limiter: what a question costs, the worst window, the use, refused calls, waits of the realtime lane.

Beside the PyPI packages `limits` (moving window) and `pyrate-limiter`, in the same run and on the same Redis.

    scripts/bench limiter [--seconds 600] [--window 60] [--limit 200] [--guard 0.5] [--json FILE]
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import redis
import report
from limiter_candidates import BARE, CANDIDATES, Window
from limiter_cost import Cost, cost
from limiter_traffic import Scenario, Traffic, run

from syncengine.local import redis_server

BEYOND = 3.0
"""How many guards the longest delay of the scenarios beyond the guard is."""

OFFERED_A_SECOND = (40, 400)
"""Questions a second of 8 processes together: 12 times what the quota admits, more than a busy site asks; and 120 times."""

HTTP_S = 0.02
"""Left of the guard for the call itself, which is sent when the delay is over."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; 1 if a window was exceeded, a call refused or one lost although all delays were within the guard."""
    options = _parser().parse_args(argv)
    window = Window(options.limit, options.window, options.guard)
    costs: list[Cost] = []
    traffic: list[Traffic] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _redis(Path(folder)) as socket:
        if not options.no_cost:
            costs = list(_costs(socket, min(3.0, options.seconds / 4)))
            report.show("A question while the pool is used up", [_cost_row(cost, costs) for cost in costs])
        if not options.no_traffic:
            within_s = max(0.0, window.guard_s - HTTP_S) if options.delay is None else options.delay
            plan = scenarios(window, within_s, alone=options.alone)
            traffic = run(plan, socket, Path(folder), options.seconds)
            report.show(f"{options.seconds:.0f} s of calls by 8 processes", [_traffic_row(run) for run in traffic])
    about = {"seconds": options.seconds, "window": asdict(window)}
    figures = {"cost": [asdict(cost) for cost in costs], "traffic": [asdict(run) for run in traffic]}
    report.save(options.json, "limiter", {**about, **figures})
    return int(any(_is_broken(run, window) for run in traffic))


def scenarios(window: Window, within_s: float, *, alone: bool) -> list[Scenario]:
    """Both modes within the guard, both beyond it, and the libraries in the rolling mode."""
    delays = (within_s, BEYOND * window.guard_s)
    ours = [Scenario("syncengine", mode, delay, window) for delay in delays for mode in ("calendar", "rolling")]
    others = [Scenario(name, "rolling", within_s, window) for name in CANDIDATES if name != "syncengine"]
    return ours if alone else ours + others


def _is_broken(run: Traffic, window: Window) -> bool:
    if run.limiter != "syncengine" or run.most_delay_s > window.guard_s:
        return False
    return bool(run.refused or run.lost) or max(run.worst_at_admission, run.worst_at_arrival) > window.limit


def _costs(socket: str, seconds: float) -> Iterator[Cost]:
    for processes, offered in ((1, 0), *((8, offered) for offered in OFFERED_A_SECOND), (8, 0)):
        for kind in (*CANDIDATES, BARE):
            yield cost(kind, socket, processes=processes, seconds=seconds, offered_a_second=offered)


def _cost_row(cost: Cost, costs: Sequence[Cost]) -> dict[str, object]:
    group = [
        each for each in costs if (each.processes, each.offered_a_second) == (cost.processes, cost.offered_a_second)
    ]
    ours = next(each for each in group if each.limiter == "syncengine")
    return {
        "limiter": cost.limiter,
        "processes": cost.processes,
        "offered": f"{cost.offered_a_second} a second" if cost.offered_a_second else "as fast as they can",
        "questions a second": round(cost.questions_a_second),
        "p50 ms": f"{cost.p50_ms:.2f}",
        "p99 ms": f"{cost.p99_ms:.2f}",
        "within Redis p50 us": f"{cost.redis_p50_us:.0f}",
        "p99 us": f"{cost.redis_p99_us:.0f}",
        "p99 to ours": f"{cost.p99_ms / ours.p99_ms:.2f}",
        "rate to ours": f"{cost.questions_a_second / ours.questions_a_second:.2f}",
    }


def _traffic_row(run: Traffic) -> dict[str, object]:
    return {
        "limiter": run.limiter,
        "window": run.mode,
        "delay up to": f"{run.most_delay_s:.2f} s",
        "calls": run.calls,
        "use %": f"{run.use:.2f}",
        "worst admitted": run.worst_at_admission,
        "worst sent": run.worst_at_arrival,
        "later than guard": run.late,
        "401": run.wrong_tokens,
        "503": run.refused,
        "lost": run.lost,
        "realtime": run.realtime_calls,
        "waits p50 ms": f"{run.realtime_p50_ms:.1f}",
        "p99 ms": f"{run.realtime_p99_ms:.0f}",
        "longest": f"{run.realtime_longest_ms:.0f}",
        "backfill : scheduled : realtime": " : ".join(
            str(run.lanes.get(lane, 0)) for lane in ("backfill", "scheduled", "realtime")
        ),
    }


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """A Redis of this run's own; the path of its socket."""
    socket = str(folder / "redis.sock")
    options = ("--port", "0", "--unixsocket", socket, "--dir", str(folder), "--save", "")
    server = subprocess.Popen([redis_server.binary(), *options], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        client = redis.Redis(unix_socket_path=socket)
        for _ in range(100):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        yield socket
    finally:
        server.terminate()
        server.wait(30)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("scripts/bench limiter", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the run (default %(default)s)")
    parser.add_argument("--window", type=float, default=60.0, help="seconds of the window (default %(default)s)")
    parser.add_argument("--limit", type=int, default=200, help="calls of a window (default %(default)s)")
    parser.add_argument("--guard", type=float, default=0.5, help="seconds of the guard (default %(default)s)")
    parser.add_argument("--delay", type=float, help="longest delay within the guard (default 0.02 s less than it)")
    parser.add_argument("--alone", action="store_true", help="without the libraries' traffic")
    parser.add_argument("--no-cost", action="store_true", help="without the cost of a question")
    parser.add_argument("--no-traffic", action="store_true", help="only the cost of a question, in less than a minute")
    parser.add_argument("--json", metavar="FILE", help="write the figures here, too")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

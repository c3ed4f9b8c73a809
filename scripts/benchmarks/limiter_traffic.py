"""Real calls under a limiter, for limiter.py: 8 processes in three lanes, random delays between grant and arrival.

Five processes are a backfill that never ends, two a scheduled lane in bursts, and the last offers realtime calls, open
loop. The other end is the simulated Brightpearl, which counts for itself and answers 503 beyond its limit.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import requests
from limiter_candidates import Candidate, Window, candidate, start_together
from limiter_cost import percentile

ROOT = Path(__file__).resolve().parent.parent.parent
PROCESSES = 8
SCHEDULED = (5, 6)
REALTIME = 7
CALL = "/public-api/sandbox/order-service/order-search?pageSize=2&columns=orderId"
HEADERS = {"brightpearl-app-ref": "sandbox_app", "brightpearl-account-token": "sandbox-account-token"}


@dataclass(frozen=True)
class Scenario:
    """One limiter against one simulated account. `most_delay_s`: the longest delay between grant and arrival."""

    limiter: str
    mode: str
    most_delay_s: float
    window: Window = field(default_factory=Window)
    realtime_a_minute: float = 20.0
    url: str = ""
    pool: str = ""


@dataclass(frozen=True)
class Sample:
    """One call; monotonic seconds. `granted` and `arrived` are None if the time was up before."""

    lane: str
    asked: float
    granted: float | None = None
    arrived: float | None = None
    status: int = 0


@dataclass(frozen=True)
class Traffic:
    """What came of a scenario. Waits in milliseconds; `use` in per cent of what the guard leaves."""

    limiter: str
    mode: str
    most_delay_s: float
    calls: int
    use: float
    worst_at_admission: int
    worst_at_arrival: int
    refused: int
    unanswered: int
    realtime_calls: int
    realtime_p50_ms: float
    realtime_p99_ms: float
    lanes: dict[str, int] = field(default_factory=dict)


def run(scenarios: Sequence[Scenario], socket: str, folder: Path, seconds: float) -> list[Traffic]:
    """All scenarios side by side for so many seconds; each has a simulated account of its own."""
    with _accounts(scenarios, folder) as running:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(PROCESSES, mp_context=spawn) as pool:
            jobs = [pool.submit(_process, number, running, socket, seconds) for number in range(PROCESSES)]
            results = [job.result() for job in jobs]
    merged = [[sample for result in results for sample in result[index]] for index in range(len(running))]
    return [_judged(one, samples, seconds) for one, samples in zip(running, merged, strict=True)]


@contextmanager
def _accounts(scenarios: Sequence[Scenario], folder: Path) -> Iterator[list[Scenario]]:
    started: list[subprocess.Popen[bytes]] = []
    try:
        ready = [folder / f"account-{number}.json" for number in range(len(scenarios))]
        for scenario, file in zip(scenarios, ready, strict=True):
            started.append(_account(scenario, file))
        yield [
            replace(one, url=_url(file), pool=f"brightpearl:{number}:{one.limiter}")
            for number, (one, file) in enumerate(zip(scenarios, ready, strict=True))
        ]
    finally:
        for process in started:
            process.terminate()
            process.wait(30)


def _account(scenario: Scenario, ready: Path) -> subprocess.Popen[bytes]:
    switches = {
        "brightpearl_limit": scenario.window.limit,
        "brightpearl_window_s": scenario.window.window_s,
        "brightpearl_window": scenario.mode,
        "latency_s": 0,
    }
    options = [part for name, value in switches.items() for part in ("--switch", f"{name}={value}")]
    sizes = ("--contacts", "5", "--products", "5", "--orders", "5", "--port", "0", "--ready-file", str(ready))
    command = [sys.executable, "-m", "syncengine.sandbox", *sizes, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)


def _url(ready: Path) -> str:
    for _ in range(600):
        if ready.exists() and (text := ready.read_text(encoding="utf-8")):
            return str(json.loads(text)["url"])
        time.sleep(0.05)
    raise SystemExit("a simulated account did not start")


def _process(number: int, scenarios: Sequence[Scenario], socket: str, seconds: float) -> list[list[Sample]]:
    """One of the processes, with a thread for each scenario; its samples by scenario."""
    starts_at = start_together(socket, "traffic", PROCESSES)
    samples: list[list[Sample]] = [[] for _ in scenarios]
    callers = [
        _Caller(one, candidate(one.limiter, socket, one.pool, one.window), number, starts_at, seconds, samples[index])
        for index, one in enumerate(scenarios)
    ]
    work = _Caller.offer if number == REALTIME else _Caller.loop
    threads = [threading.Thread(target=work, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return samples


class _Caller:
    """The calls of one process in one scenario."""

    def __init__(
        self, scenario: Scenario, limiter: Candidate, number: int, starts_at: float, seconds: float, out: list[Sample]
    ) -> None:
        self._scenario, self._limiter, self._out = scenario, limiter, out
        self._starts_at, self._ends_at = starts_at, starts_at + seconds
        self._lane = "realtime" if number == REALTIME else "scheduled" if number in SCHEDULED else "backfill"
        self._chance = random.Random(f"{number}:{scenario.pool}")
        self._http = requests.Session()
        self._http.headers.update(HEADERS)

    def loop(self) -> None:
        """One call after the other; the scheduled lane works a third of each window's time and then rests."""
        while time.monotonic() < self._ends_at:
            window_s = self._scenario.window.window_s
            phase = (time.monotonic() - self._starts_at) % window_s
            if self._lane == "scheduled" and phase > window_s / 3:
                time.sleep(min(window_s - phase, max(0.0, self._ends_at - time.monotonic())) + 1e-3)
                continue
            self._call()

    def offer(self) -> None:
        """Open loop: calls come at random times, whether or not those before have left."""
        threads, due = [], self._starts_at
        while (due := due + self._chance.expovariate(self._scenario.realtime_a_minute / 60)) < self._ends_at:
            time.sleep(max(0.0, due - time.monotonic()))
            threads.append(threading.Thread(target=self._call))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _call(self) -> None:
        """One call, repeated until it is not refused, or the time is up."""
        while True:
            asked = time.monotonic()
            if not self._limiter.take(self._lane, self._ends_at):
                self._out.append(Sample(self._lane, asked))
                return
            granted = time.monotonic()
            time.sleep(self._chance.uniform(0, self._scenario.most_delay_s))
            arrived = time.monotonic()
            response = self._http.get(self._scenario.url + CALL, timeout=30)
            self._limiter.learn(response)
            self._out.append(Sample(self._lane, asked, granted, arrived, response.status_code))
            if response.status_code != 503:
                return


def _judged(scenario: Scenario, samples: list[Sample], seconds: float) -> Traffic:
    granted = [sample for sample in samples if sample.granted is not None]
    ends_at = max((sample.granted or sample.asked) for sample in samples)
    urgent = [sample for sample in samples if sample.lane == "realtime"]
    waits = sorted((sample.granted or ends_at) - sample.asked for sample in urgent)
    window_s = scenario.window.window_s
    lanes = sorted({sample.lane for sample in granted})
    return Traffic(
        limiter=scenario.limiter,
        mode=scenario.mode,
        most_delay_s=scenario.most_delay_s,
        calls=len(granted),
        use=100 * len(granted) / (seconds * scenario.window.calls_a_second),
        worst_at_admission=worst([sample.granted for sample in granted if sample.granted], window_s),
        worst_at_arrival=worst([sample.arrived for sample in granted if sample.arrived], window_s),
        refused=sum(sample.status == 503 for sample in granted),
        unanswered=sum(sample.status not in (200, 503) for sample in granted),
        realtime_calls=len(urgent),
        realtime_p50_ms=1000 * percentile(waits, 50),
        realtime_p99_ms=1000 * percentile(waits, 99),
        lanes={lane: sum(sample.lane == lane for sample in granted) for lane in lanes},
    )


def worst(times: list[float], window_s: float) -> int:
    """The most calls in any window, half open."""
    ordered = sorted(times)
    return max((bisect_left(ordered, at + window_s) - index for index, at in enumerate(ordered)), default=0)

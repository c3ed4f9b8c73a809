"""Real calls under a limiter, for limiter.py: 8 processes in three lanes, random delays between grant and arrival.

Five processes are a backfill that never ends, two a scheduled lane in bursts, and the last offers realtime calls, open
loop. A share of the calls has a wrong token and costs its 401 as well. The other end is the simulated Brightpearl, which
counts for itself and answers 503 beyond its limit. A call that was refused, by 401 or 503, is made again until it is
answered, so that none may be lost.
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
WRONG_TOKENS = 0.02
"""Share of calls that are answered with 401 at first."""
DRAIN = 1.5
"""Windows after the end in which calls that have begun may still be answered."""
CALL = "/public-api/sandbox/order-service/order-search?pageSize=2&columns=orderId"
HEADERS = {"brightpearl-app-ref": "sandbox_app", "brightpearl-account-token": "sandbox-account-token"}
WRONG = {"brightpearl-account-token": "of-another-account"}


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
    """One call that was made; monotonic seconds. `arrived`: when it was sent, `answered`: when the answer was there."""

    lane: str
    asked: float
    granted: float
    arrived: float
    answered: float
    status: int


@dataclass
class Outcome:
    """What one process did in one scenario: its calls, and how much work it had begun and ended."""

    samples: list[Sample] = field(default_factory=list)
    begun: int = 0
    ended: int = 0
    waits: list[float] = field(default_factory=list)  # of realtime work for its first slot, seconds


@dataclass(frozen=True)
class Traffic:
    """What came of a scenario. Waits in milliseconds.

    use: calls admitted in the last whole windows (window and guard), in per cent of what these can hold. late: calls
    whose answer was not there when the guard was over, so that they may have arrived later than it allows. lost: work
    that had begun and was not answered. call_p99_ms: how long a call itself took, a part of the way that the guard covers.
    """

    limiter: str
    mode: str
    most_delay_s: float
    calls: int
    use: float
    worst_at_admission: int
    worst_at_arrival: int
    late: int
    refused: int
    wrong_tokens: int
    lost: int
    call_p99_ms: float
    realtime_calls: int
    realtime_p50_ms: float
    realtime_p99_ms: float
    realtime_longest_ms: float
    lanes: dict[str, int] = field(default_factory=dict)


def run(scenarios: Sequence[Scenario], socket: str, folder: Path, seconds: float) -> list[Traffic]:
    """Run all scenarios in parallel for some seconds; each has its own simulated account."""
    with _accounts(scenarios, folder) as running:
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(PROCESSES, mp_context=fork) as pool:
            jobs = [pool.submit(_process, number, running, socket, seconds) for number in range(PROCESSES)]
            results = [job.result() for job in jobs]
    return [
        _judged(scenario, [outcomes[index] for _, outcomes in results], results[0][0], seconds)
        for index, scenario in enumerate(running)
    ]


@contextmanager
def _accounts(scenarios: Sequence[Scenario], folder: Path) -> Iterator[list[Scenario]]:
    started: list[subprocess.Popen[bytes]] = []
    try:
        ready = [folder / f"account-{number}.json" for number in range(len(scenarios))]
        for scenario, file in zip(scenarios, ready, strict=True):
            started.append(_account(scenario, file))
        yield [
            replace(scenario, url=_url(file), pool=f"brightpearl:{number}:{scenario.limiter}")
            for number, (scenario, file) in enumerate(zip(scenarios, ready, strict=True))
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


def _process(number: int, scenarios: Sequence[Scenario], socket: str, seconds: float) -> tuple[float, list[Outcome]]:
    """One of the processes, with a thread for each scenario; when it began, and its outcomes by scenario."""
    starts_at = start_together(socket, "traffic", PROCESSES)
    callers = [
        _Caller(
            scenario, candidate(scenario.limiter, socket, scenario.pool, scenario.window), number, starts_at, seconds
        )
        for scenario in scenarios
    ]
    work = _Caller.offer if number == REALTIME else _Caller.loop
    threads = [threading.Thread(target=work, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return starts_at, [caller.outcome for caller in callers]


class _Caller:
    """The calls of one process in one scenario."""

    def __init__(self, scenario: Scenario, limiter: Candidate, number: int, starts_at: float, seconds: float) -> None:
        self.outcome = Outcome()
        self._scenario, self._limiter = scenario, limiter
        self._starts_at, self._ends_at = starts_at, starts_at + seconds
        self._gives_up_at = self._ends_at + DRAIN * (scenario.window.window_s + scenario.window.guard_s)
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
            self._work()

    def offer(self) -> None:
        """Open loop: work comes at random times, as much as is to be offered, whether or not that before is done."""
        length_s = self._ends_at - self._starts_at
        count = round(self._scenario.realtime_a_minute * length_s / 60)
        threads = []
        for due in sorted(self._starts_at + self._chance.uniform(0, length_s) for _ in range(count)):
            time.sleep(max(0.0, due - time.monotonic()))
            threads.append(threading.Thread(target=self._work))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        """One call, made again until it is answered with what was asked for."""
        self.outcome.begun += 1
        headers = WRONG if self._chance.random() < WRONG_TOKENS else {}
        is_first = True
        while True:
            asked = time.monotonic()
            taken = self._limiter.take(self._lane, self._gives_up_at)
            granted = time.monotonic()
            if is_first and self._lane == "realtime":
                self.outcome.waits.append(granted - asked)
            if not taken:
                return
            status = self._call(asked, granted, headers)
            if status == 200:
                self.outcome.ended += 1
                return
            is_first, headers = False, {} if status == 401 else headers

    def _call(self, asked: float, granted: float, headers: dict[str, str]) -> int:
        time.sleep(self._chance.uniform(0, self._scenario.most_delay_s))
        arrived = time.monotonic()
        response = self._http.get(self._scenario.url + CALL, headers=headers, timeout=30)
        answered = time.monotonic()
        self._limiter.learn(response)
        self.outcome.samples.append(Sample(self._lane, asked, granted, arrived, answered, response.status_code))
        return response.status_code


def _judged(scenario: Scenario, outcomes: Sequence[Outcome], starts_at: float, seconds: float) -> Traffic:
    samples = [sample for outcome in outcomes for sample in outcome.samples]
    waits = sorted(wait for outcome in outcomes for wait in outcome.waits)
    window = scenario.window
    return Traffic(
        limiter=scenario.limiter,
        mode=scenario.mode,
        most_delay_s=scenario.most_delay_s,
        calls=len(samples),
        use=_use([sample.granted for sample in samples if sample.status != 503], window, starts_at, seconds),
        worst_at_admission=worst([sample.granted for sample in samples], window.window_s),
        worst_at_arrival=worst([sample.arrived for sample in samples], window.window_s),
        late=sum(sample.answered - sample.granted > window.guard_s for sample in samples),
        refused=sum(sample.status == 503 for sample in samples),
        wrong_tokens=sum(sample.status == 401 for sample in samples),
        lost=sum(outcome.begun - outcome.ended for outcome in outcomes),
        call_p99_ms=1000 * percentile(sorted(sample.answered - sample.arrived for sample in samples), 99),
        realtime_calls=len(waits),
        realtime_p50_ms=1000 * percentile(waits, 50),
        realtime_p99_ms=1000 * percentile(waits, 99),
        realtime_longest_ms=1000 * max(waits, default=0.0),
        lanes={
            lane: sum(sample.lane == lane for sample in samples) for lane in sorted({sample.lane for sample in samples})
        },
    )


def _use(times: Sequence[float], window: Window, starts_at: float, seconds: float) -> float:
    """Per cent of what the last whole windows can hold, the first one left out: it begins empty, the run with it."""
    length_s = window.window_s + window.guard_s
    windows = max(1, int(seconds / length_s) - 1)
    ends_at = starts_at + seconds
    return 100 * sum(ends_at - windows * length_s < at <= ends_at for at in times) / (windows * window.limit)


def worst(times: list[float], window_s: float) -> int:
    """The most calls in any window, half open."""
    ordered = sorted(times)
    return max((bisect_left(ordered, at + window_s) - index for index, at in enumerate(ordered)), default=0)

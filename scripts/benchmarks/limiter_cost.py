"""What a question to a limiter costs, for limiter.py: the pool is used up, as it is while work waits."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import redis
from limiter_candidates import Window, candidate, start_together

MOST_SLOTS = 300


@dataclass(frozen=True)
class Cost:
    """Questions a second of all processes together, and how long one takes: for who asks, and within Redis.

    What lies between these two is the way there and back, and the wait for a processor.
    """

    limiter: str
    processes: int
    offered_a_second: int  # 0: as fast as they can
    questions_a_second: float
    p50_ms: float
    p99_ms: float
    redis_p50_us: float
    redis_p99_us: float


def cost(kind: str, socket: str, *, processes: int, seconds: float, offered_a_second: int = 0) -> Cost:
    """Ask from several processes at once, each as fast as it can or at an even pace."""
    every_s = processes / offered_a_second if offered_a_second else 0.0
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=fork) as pool:
        name = f"cost:{kind}:{processes}:{offered_a_second}"
        client = redis.Redis(unix_socket_path=socket)
        client.config_resetstat()
        asked = [pool.submit(_ask, kind, socket, name, processes, seconds, every_s) for _ in range(processes)]
        took = sorted(took for future in asked for took in future.result())
        within = client.info("latencystats").get("latency_percentiles_usec_evalsha", {})
        client.close()
    return Cost(
        limiter=kind,
        processes=processes,
        offered_a_second=offered_a_second,
        questions_a_second=len(took) / seconds,
        p50_ms=1000 * percentile(took, 50),
        p99_ms=1000 * percentile(took, 99),
        redis_p50_us=within.get("p50", 0.0),
        redis_p99_us=within.get("p99", 0.0),
    )


def percentile(ordered: list[float], per_cent: float) -> float:
    """The percentile of the values; 0.0 if there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * per_cent / 100))] if ordered else 0.0


def _ask(kind: str, socket: str, name: str, processes: int, seconds: float, every_s: float) -> list[float]:
    """Seconds that each question took."""
    limiter = candidate(kind, socket, name, Window())
    for _ in range(MOST_SLOTS):  # use up the pool
        if not limiter.try_once("realtime"):
            break
    start_together(socket, name, processes)
    took, until, due = [], time.monotonic() + seconds, time.monotonic()
    while (begun := time.monotonic()) < until:
        limiter.try_once("realtime")
        took.append(time.monotonic() - begun)
        if every_s:
            due += every_s
            time.sleep(max(0.0, due - time.monotonic()))
    return took

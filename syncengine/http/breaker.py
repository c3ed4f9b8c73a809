"""One circuit breaker per endpoint, shared by all workers and hosts: calls stop while the endpoint is down.

It opens on a rate of failures over a rolling half minute, not on a single failure. Then it rests, 2 s at first, twice as
long after each failed probe, at most 60 s; the first successful probe closes it. Its state is in Redis (`breaker.lua`, on
the server's clock) and may be lost with Redis; the next failures open it again. A pause by a person is separate and in SQL.
Without Redis the breaker is closed; the limiter then stops limited calls.

A call costs one round trip: successful answers are reported together with the next question.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import redis
from redis import exceptions

from syncengine import clock
from syncengine.errors import EndpointDown
from syncengine.http.breaker_state import BreakerState, Change, Hook
from syncengine.redaction import redact_text

log = logging.getLogger(__name__)

LONGEST_WHY = 300
_ASK_AGAIN_S = 5.0  # pause after Redis did not answer
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens, and how long it rests. Durations are seconds.

    calls: minimum number of calls in `window_s`. failing_percent: the share of them that must have failed. first_s, most_s:
    the first and the longest rest. probe_s: after which an unreported probe counts as dead; more than the longest call
    (35 s).
    """

    calls: int = 3
    failing_percent: int = 50
    window_s: float = 30.0
    first_s: float = 2.0
    most_s: float = 60.0
    probe_s: float = 45.0


class Breakers:
    """The breakers of all endpoints. May be shared by threads; `now` (seconds) replaces the server's clock in tests.

    The process whose call opened or closed a breaker calls the hooks, which write the timeline and trigger alerts. They
    must not raise.
    """

    def __init__(
        self,
        client: redis.Redis,
        rules: Rules | None = None,
        *,
        hooks: Sequence[Hook] = (),
        now: Callable[[], float] | None = None,
        prefix: str = "breaker",
    ) -> None:
        self.rules = rules or Rules()
        self._script = client.register_script(resources.files(__package__).joinpath("breaker.lua").read_text())
        self._hooks = tuple(hooks)
        self._now = now
        self._prefix = prefix
        self._silent_until = float("-inf")
        self._lock = threading.Lock()
        self._answered: dict[str, list[float]] = {}  # by endpoint: times of answered calls that are not reported yet

    def of(self, endpoint: str) -> Breaker:
        """The breaker of an endpoint, by its name."""
        return Breaker(self, endpoint)

    def state(self, endpoint: str) -> BreakerState | None:
        """The state of a breaker; None if Redis does not answer."""
        answer = self._ask(endpoint, "state")
        if answer is None:
            return None
        name, wait, why, calls, failures, lasted = answer
        return BreakerState(name, int(wait) / _MICRO, why, int(calls), int(failures), int(lasted) / _MICRO)

    def states(self, endpoints: Iterable[str]) -> dict[str, BreakerState]:
        """States by endpoint. All are closed if Redis does not answer, as they are for calls."""
        return {endpoint: self.state(endpoint) or BreakerState() for endpoint in endpoints}

    def probe_now(self, endpoint: str) -> bool:
        """End the rest: let the next call through. False if the breaker is closed, or Redis does not answer."""
        answer = self._ask(endpoint, "probe")
        return answer is not None and answer[0] == "open"

    def admit(self, endpoint: str) -> Passage:
        """Permission for one call. Raises EndpointDown if the endpoint rests; send nothing then."""
        token = uuid.uuid4().hex
        answer = self._ask(endpoint, "admit", token, _micros(self.rules.probe_s))
        if answer is not None and answer[0] == "open":
            wait_s = int(answer[1]) / _MICRO
            raise EndpointDown(
                f"{endpoint} is down; the next attempt is in {wait_s:.0f} s ({answer[2]})",
                retry_in_s=max(1.0, wait_s),
            )
        return Passage(self, endpoint, token, is_probe=answer is not None and answer[0] == "probe")

    def report(self, endpoint: str, token: str, why: str | None) -> None:
        """Report how the call with this token ended: why it failed, or None if the endpoint answered a probe."""
        rules, reason = self.rules, redact_text(why or "")[:LONGEST_WHY]
        answer = self._ask(
            endpoint, "report", token, "ok" if why is None else "failed", reason, rules.calls, rules.failing_percent,
            _micros(rules.first_s), _micros(rules.most_s),
        )  # fmt: skip
        if answer is None:
            return
        if answer[0] == "opened":
            rest_s = int(answer[1]) / _MICRO
            log.warning("%s is down: calls to it stop, the first probe is in %.0f s: %s", endpoint, rest_s, reason)
            self._tell(Change(endpoint, opened=True, why=reason, open_s=rest_s))
        elif answer[0] == "recovered":
            lasted_s = int(answer[1]) / _MICRO
            log.info("%s is back after %.0f s: calls to it resume", endpoint, lasted_s)
            self._tell(Change(endpoint, opened=False, why="", open_s=lasted_s))

    def answered(self, endpoint: str) -> None:
        """Count an answered call that was not a probe. It is reported with the next question of this process."""
        with self._lock:
            self._answered.setdefault(endpoint, []).append(self._clock())

    def release(self, endpoint: str, token: str) -> None:
        """Withdraw the call with this token, which was not made."""
        self._ask(endpoint, "release", token)

    def _tell(self, change: Change) -> None:
        for hook in self._hooks:
            hook(change)

    def _ask(self, endpoint: str, verb: str, *arguments: int | str) -> list[Any] | None:
        """The script's answer; None if Redis does not answer, and for some seconds after that."""
        if clock.monotonic() < self._silent_until:
            return None
        base = f"{self._prefix}:{{{endpoint}}}"
        now = "" if self._now is None else str(_micros(self._now()))
        try:
            answer: list[Any] = self._script(
                keys=[f"{base}:counts", f"{base}:state"],
                args=[verb, now, _micros(self.rules.window_s), self._unreported(endpoint), *arguments],
            )
        except exceptions.RedisError as error:
            log.warning("breakers count as closed, since Redis does not answer (%s)", type(error).__name__)
            self._silent_until = clock.monotonic() + _ASK_AGAIN_S
            return None
        return [part.decode() if isinstance(part, bytes) else part for part in answer]

    def _unreported(self, endpoint: str) -> int:
        """How many calls were answered since the last question, within the window."""
        with self._lock:
            answered = self._answered.pop(endpoint, [])
        oldest = self._clock() - self.rules.window_s
        return sum(1 for at in answered if at > oldest)

    def _clock(self) -> float:
        return clock.monotonic() if self._now is None else self._now()


@dataclass(frozen=True, slots=True)
class Breaker:
    """The breaker of one endpoint, as its session uses it."""

    _breakers: Breakers
    endpoint: str

    def admit(self) -> Passage:
        """See `Breakers.admit`."""
        return self._breakers.admit(self.endpoint)

    def state(self) -> BreakerState:
        """The state of the breaker; closed if Redis does not answer."""
        return self._breakers.state(self.endpoint) or BreakerState()


class Passage:
    """Permission for one call. Report once how the call ended. As a context manager it withdraws an unreported probe."""

    def __init__(self, breakers: Breakers, endpoint: str, token: str, *, is_probe: bool) -> None:
        self.is_probe = is_probe
        self._breakers, self._endpoint, self._token = breakers, endpoint, token
        self._is_over = False

    def answered(self) -> None:
        """The endpoint answered. Refusals and throttles count too, because they show that it is up."""
        if self.is_probe:
            self._end(None)
        elif not self._is_over:
            self._is_over = True
            self._breakers.answered(self._endpoint)

    def failed(self, why: str) -> None:
        """The endpoint could not be reached, did not answer in time, or reported an outage."""
        self._end(why)

    def __enter__(self) -> Passage:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_over and self.is_probe:
            self._breakers.release(self._endpoint, self._token)

    def _end(self, why: str | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._breakers.report(self._endpoint, self._token, why)


def _micros(seconds: float) -> int:
    return round(max(0.0, seconds) * _MICRO)

"""One breaker an endpoint, shared by all workers and hosts: calls stop while the endpoint is down, one probe at a time.

It opens on a rate of failures over a rolling half minute, not on one. Then it rests, 2 s at first, twice as long after
each probe that fails, 60 s at most; the first probe that succeeds closes it. The state is automatic and lives in Redis
(`breaker.lua`, on the server's clock), so it may be lost with Redis: the next failures open it again. A person's pause
is another thing and stands in SQL. Without Redis the breaker is closed; limited calls are then stopped by the limiter.

A call costs one round trip: that it was answered, as nearly all are, is told together with the next question.
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
from syncengine.redaction import redact_text

log = logging.getLogger(__name__)

LONGEST_WHY = 300
_ASK_AGAIN_S = 5.0  # how long a Redis that did not answer is left alone
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens, and how long it rests. Seconds, unless the name says otherwise.

    calls: the fewest calls in `window_s` that say anything. failing_percent: the share of them that must have failed.
    first_s, most_s: the first rest and the longest. probe_s: after which a probe that was never reported counts as dead;
    above the longest call (35 s).
    """

    calls: int = 3
    failing_percent: int = 50
    window_s: float = 30.0
    first_s: float = 2.0
    most_s: float = 60.0
    probe_s: float = 45.0


@dataclass(frozen=True, slots=True)
class State:
    """A breaker as it stands.

    name: `closed`, `open`, or `probing` (open, and one call is finding out). retry_in_s: until the next call may go.
    calls, failures: in the window, while closed. open_s: how long it has been open. why: the latest failure.
    """

    name: str = "closed"
    retry_in_s: float = 0.0
    why: str = ""
    calls: int = 0
    failures: int = 0
    open_s: float = 0.0

    @property
    def is_open(self) -> bool:
        return self.name != "closed"

    @property
    def wants_probe(self) -> bool:
        """True if the next call would be let through to find out."""
        return self.name == "open" and self.retry_in_s <= 0


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker has opened or closed. `open_s`: how long it was open (closed), or rests at first (opened)."""

    endpoint: str
    opened: bool
    why: str
    open_s: float


Hook = Callable[[Change], None]


class Breakers:
    """The breakers of all endpoints. May be shared by threads; `now` (seconds) replaces the server's clock in tests.

    Hooks are called by the process whose call opened or closed a breaker; they must not raise. Among them are those who
    write the timeline and, through it, whoever raises alerts.
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
        self._answered: dict[str, list[float]] = {}  # by endpoint: when calls were answered that were not told yet

    def of(self, endpoint: str) -> Breaker:
        """The breaker of the endpoint of this name."""
        return Breaker(self, endpoint)

    def state(self, endpoint: str) -> State | None:
        """A breaker as it stands; None if Redis does not answer."""
        answer = self._ask(endpoint, "state")
        if answer is None:
            return None
        name, wait, why, calls, failures, lasted = answer
        return State(name, int(wait) / _MICRO, why, int(calls), int(failures), int(lasted) / _MICRO)

    def states(self, endpoints: Iterable[str]) -> dict[str, State]:
        """Breakers by endpoint; all closed if Redis does not answer, as it is for the calls."""
        return {endpoint: self.state(endpoint) or State() for endpoint in endpoints}

    def probe_now(self, endpoint: str) -> bool:
        """Let the next call through whatever the rest; False if the breaker is closed, or Redis does not answer."""
        answer = self._ask(endpoint, "probe")
        return answer is not None and answer[0] == "open"

    def admit(self, endpoint: str) -> Passage:
        """Leave to make one call. Raises EndpointDown if the endpoint rests; nothing is to be sent then."""
        token = uuid.uuid4().hex
        answer = self._ask(endpoint, "admit", token, _micros(self.rules.probe_s))
        if answer is not None and answer[0] == "open":
            wait_s = int(answer[1]) / _MICRO
            raise EndpointDown(
                f"{endpoint} is down and rests; it is tried again in {wait_s:.0f} s ({answer[2]})",
                retry_in_s=max(1.0, wait_s),
            )
        return Passage(self, endpoint, token, is_probe=answer is not None and answer[0] == "probe")

    def report(self, endpoint: str, token: str, why: str | None) -> None:
        """How the call with this token ended: `why` it failed, None if the endpoint answered a probe."""
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
            log.info("%s is back after %.0f s: calls to it go on", endpoint, lasted_s)
            self._tell(Change(endpoint, opened=False, why="", open_s=lasted_s))

    def answered(self, endpoint: str) -> None:
        """A call that was no probe was answered: told when this process asks the next time, if that is soon."""
        with self._lock:
            self._answered.setdefault(endpoint, []).append(self._clock())

    def release(self, endpoint: str, token: str) -> None:
        """The call with this token was not made, so it says nothing."""
        self._ask(endpoint, "release", token)

    def _tell(self, change: Change) -> None:
        for hook in self._hooks:
            hook(change)

    def _ask(self, endpoint: str, verb: str, *arguments: int | str) -> list[Any] | None:
        """The script's answer; None while Redis does not give one, which is asked again after some seconds."""
        if clock.monotonic() < self._silent_until:
            return None
        base = f"{self._prefix}:{{{endpoint}}}"
        now = "" if self._now is None else str(_micros(self._now()))
        try:
            answer: list[Any] = self._script(
                keys=[f"{base}:counts", f"{base}:state"],
                args=[verb, now, _micros(self.rules.window_s), self._untold(endpoint), *arguments],
            )
        except exceptions.RedisError as error:
            log.warning("breakers count as closed, since Redis does not answer (%s)", type(error).__name__)
            self._silent_until = clock.monotonic() + _ASK_AGAIN_S
            return None
        return [part.decode() if isinstance(part, bytes) else part for part in answer]

    def _untold(self, endpoint: str) -> int:
        """How many calls were answered within the window since the last question; what is older counts no more."""
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

    def state(self) -> State:
        """The breaker as it stands; closed if Redis does not answer."""
        return self._breakers.state(self.endpoint) or State()


class Passage:
    """Leave for one call. Say once how it ended; as a context, whatever was not said means that no call was made."""

    def __init__(self, breakers: Breakers, endpoint: str, token: str, *, is_probe: bool) -> None:
        self.is_probe = is_probe
        self._breakers, self._endpoint, self._token = breakers, endpoint, token
        self._is_over = False

    def answered(self) -> None:
        """The endpoint answered, whatever it said: a refusal and a throttle show that it is there."""
        if self.is_probe:
            self._end(None)
        elif not self._is_over:
            self._is_over = True
            self._breakers.answered(self._endpoint)

    def failed(self, why: str) -> None:
        """It could not be reached, did not answer in time, or answered with an outage."""
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

"""Named places in the product's processes at which something is made to happen, and what happens there.

Nothing of this is in the product: `install` wraps a few of its functions, in the processes that `process.py` starts. A
place does nothing until the harness arms it by a file; the process that passes it first takes the file and obeys.

A place is `BOUNDARY` (steps begin, end, are about to be acknowledged), `COMMITS` (before and after the commits that move a
record) or `CALLS` (before the lease is checked, on the point of leaving, sent, answered).
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any
from urllib.parse import unquote

FOLDER = "SYNCENGINE_CRASH_FOLDER"
ARMED = tuple(f"armed-{slot}.json" for slot in range(3))  # as many orders can wait for their places at once
POISON, DEATHS = "poison.json", "deaths"
APART = "SYNCENGINE_CRASH_DEATHS_APART_S"
"""Seconds after which a record's next death counts, in the place of the product's; as other times it is shortened."""
WAIT_S = 20.0

STAGES = ("fetch", "transform", "push")
BOUNDARY = tuple(f"{stage} {what}" for stage in STAGES for what in ("begins", "ends", "is acknowledged"))

#: (file, function that commits): what is committed there.
COMMITTERS = {
    ("lease.py", "enter"): "lease",
    ("fetch.py", "_store"): "documents",
    ("transform.py", "transform"): "plans",
    ("intentions.py", "commit"): "intentions",
    ("push.py", "_write"): "sending",  # and "outcome", once the call was answered
    ("push.py", "_number"): "numbers",
    ("unknown_writes.py", "_past_settle_time"): "doubts",
    ("unknown_writes.py", "_adopt"): "adoption",
    ("operator.py", "_take"): "seat taken",
    ("operator.py", "_release"): "seat given back",
    ("discover.py", "_pages"): "page",
    ("pump.py", "pump"): "claims",
}
#: the same of what only levels pass.
OF_STOCK = {
    ("found_links.py", "link"): "links found",
    ("page_sweep.py", "_compare"): "sweep page",
    ("unknown_writes.py", "_resolve_levels"): "correction found",
}
STOCK_COMMITS = tuple(f"{when} commit: {what}" for what in OF_STOCK.values() for when in ("before", "after"))
COMMITS = tuple(f"{when} commit: {what}" for what in (*COMMITTERS.values(), "outcome") for when in ("before", "after"))
_CALL = ("before check", "leaving", "sent", "answered")
CALLS = tuple(f"{kind} {what}" for kind in ("read", "write") for what in _CALL)
SENDING = ("chain not sent", "chain sent")
ALL = (*BOUNDARY, *COMMITS, *CALLS, *SENDING)
RARE = tuple(
    f"{when} commit: {what}" for what in ("doubts", "adoption", "correction found") for when in ("before", "after")
)
"""Places that are passed only after a write whose outcome was unknown."""


class _Here:
    """What this process is about. Its children work on one thing at a time, so plain attributes do."""

    folder = Path()
    keys: tuple[str, ...] = ()
    request = ""  # address and body of the call that is under way
    is_write = False
    answered = False


def hit(point: str) -> None:
    """The process passes a place: obey if that is what is armed."""
    for armed in (_Here.folder / name for name in ARMED):
        order = _read(armed)
        if order and order["point"] == point and _taken(armed, order["id"]):
            _obey(order)
    poison = _read(_Here.folder / POISON)
    if poison and poison["point"] == point and _works_on(poison["key"], point):
        with (_Here.folder / DEATHS).open("a", encoding="utf-8") as log:
            log.write(f"{os.getpid()} {len(_Here.keys)}\n")
        os.kill(os.getpid(), signal.SIGKILL)


def _works_on(key: str, point: str) -> bool:
    """Whether this process works on the record of this key; at a place of a call, whether the call names it."""
    named = point not in CALLS or re.search(rf"(?<![\w.]){re.escape(key)}(?![\w.])", _Here.request) is not None
    return key in _Here.keys and named


def _taken(armed: Path, number: int) -> bool:
    """True for the one process that takes the file away; the slot is then free for another order."""
    try:
        armed.rename(_Here.folder / f"taken-{number}-{os.getpid()}")
    except FileNotFoundError:
        return False
    return True


def _obey(order: dict[str, Any]) -> None:
    fired = _Here.folder / f"fired-{order['id']}"
    draft = fired.with_suffix(".draft")
    draft.write_text(json.dumps({"pid": os.getpid(), "main": os.getppid(), "at": time.time()}), encoding="utf-8")
    draft.rename(fired)
    action = order["action"]
    if action == "wait":  # the harness does its harm while we wait exactly here
        until, done = time.monotonic() + WAIT_S, _Here.folder / f"done-{order['id']}"
        while not done.exists() and time.monotonic() < until:
            time.sleep(0.01)
        return
    number = signal.SIGKILL if action.startswith("kill") else signal.SIGSTOP
    os.kill(os.getppid() if action.endswith("main") else os.getpid(), number)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):  # nothing is armed, as nearly always
        return None


# -- where the product is wrapped --------------------------------------------------------------------------------------


def install() -> None:
    """Wrap the product's functions in this process and all that it forks."""
    _Here.folder = Path(os.environ[FOLDER])
    if apart_s := os.environ.get(APART):
        from syncengine.engine.steps import pump

        pump.CRASHES_COUNT_ONCE_WITHIN_S = float(apart_s)
    _around_steps()
    _around_commits()
    _around_calls()


def _around_steps() -> None:
    from syncengine.engine.steps import running

    def bounded(stage: Any, step: Callable[..., None]) -> Callable[..., None]:
        def run(engine: Any, lease: Any) -> None:
            _Here.keys = tuple(record.key for record in lease.records)
            hit(f"{stage} begins")
            step(engine, lease)
            hit(f"{stage} ends")

        return run

    for stage, step in list(running.STEPS.items()):
        running.STEPS[stage] = bounded(stage, step)
    whole = running.run

    def run(engine: Any, stage: Any, token: str, **more: Any) -> str:
        try:
            said = whole(engine, stage, token, **more)
            hit(f"{stage} is acknowledged")
            return said
        finally:
            _Here.keys = ()

    running.run = run


def _around_commits() -> None:
    from syncengine.store import Store

    whole = Store.write

    def write(self: Store, **how: Any) -> Any:
        return _around(whole(self, **how), _committed(sys._getframe(1).f_code))

    Store.write = write  # type: ignore[method-assign]


def _committed(code: CodeType) -> str | None:
    place = Path(code.co_filename).name, code.co_name
    what = COMMITTERS.get(place) or OF_STOCK.get(place)
    return "outcome" if what == "sending" and _Here.answered else what


@contextmanager
def _around(transaction: Any, what: str | None) -> Iterator[Any]:
    with transaction as session:
        yield session
        if what:
            hit(f"before commit: {what}")
    if what == "outcome":
        _Here.answered = False
    if what:
        hit(f"after commit: {what}")


def _around_calls() -> None:
    from urllib3.connection import HTTPConnection

    from syncengine.http.connections import Flight
    from syncengine.http.session import Session

    exchange, depart, request = Session._exchange, Flight.depart, HTTPConnection.request

    def exchanged(self: Session, *args: Any) -> Any:
        _Here.is_write = args[4]
        _Here.request = _shown(args[0])
        hit(f"{_kind()} before check")
        response = exchange(self, *args)
        _Here.answered = _Here.is_write
        hit(f"{_kind()} answered")
        return response

    def departed(self: Flight) -> None:
        depart(self)
        hit(f"{_kind()} leaving")

    def requested(self: HTTPConnection, *args: Any, **more: Any) -> None:
        request(self, *args, **more)
        hit(f"{_kind()} sent")

    Session._exchange = exchanged  # type: ignore[method-assign]
    Flight.depart = departed  # type: ignore[method-assign]
    HTTPConnection.request = requested  # type: ignore[method-assign]


def _shown(request: Any) -> str:
    """Address and body of a prepared request, as people read them."""
    body = request.body or b""
    return f"{unquote(request.url)}\n{body if isinstance(body, str) else body.decode('utf-8', 'replace')}"


def _kind() -> str:
    return "write" if _Here.is_write else "read"


def sending(whole: Callable[[Any], None]) -> Callable[[Any], None]:
    """A way to send chains, with places before and after it."""

    def send(order: Any) -> None:
        hit("chain not sent")
        whole(order)
        hit("chain sent")

    return send

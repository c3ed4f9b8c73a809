"""`POST /hooks/SYSTEM/CONNECTION`: a webhook becomes a hint, which is durable before the answer.

204: taken. 400, 411, 413, 415: it cannot be read. 401, 403: it is not authentic, or leads nowhere. 408: too slow. 409: accepted
before. 503: try again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected

from syncengine import clock, connectors
from syncengine.connectors.hooks import Message, Notice, Refusal
from syncengine.engine.core.engine import Engine
from syncengine.engine.steps.hints import Hint, Taken
from syncengine.engine.steps.intake import Intake, Nudger
from syncengine.settings import Settings
from syncengine.web import metrics
from syncengine.web.directory import AGAIN_S, Directory, Entry

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024
BODY_S = 5.0
"""How long a sender may take for its body, in seconds."""

READ_BYTES = 16 * 1024


class Receiving:
    """Takes webhooks in one process. May be shared by threads."""

    def __init__(
        self,
        settings: Settings,
        engine: Callable[[], Engine],
        directory: Directory,
        start_work: Callable[[], object],
        sync_flow: Callable[[str], None],
    ) -> None:
        self._engine, self._directory, self._sync_flow = engine, directory, sync_flow
        self._nudger = Nudger(start_work, settings.hint_window_s)
        self._intake: Intake | None = None
        self._lock = threading.Lock()

    def receive(self, system: str, message: Message) -> Taken:
        """Authenticate a message, read it, and store what it tells.

        Raises Refusal. Raises SyncError if it cannot be stored now.
        """
        receiver = connectors.receiver_of(system)
        if receiver is None:
            raise Refusal(404, "there is no such system")
        entry = self._directory.find(system, message.connection)
        try:
            reported = receiver.receive(message, entry.secrets, clock.now())
        except Refusal as refusal:
            if refusal.status != 403:
                raise
            entry = self._directory.find(system, message.connection, kept_s=AGAIN_S)  # the secret may be new
            reported = receiver.receive(message, entry.secrets, clock.now())
        return self.intake.take(_hint(entry, reported))

    @property
    def intake(self) -> Intake:
        """The intake of this process, made at its first use. Raises Misconfigured, Transient."""
        if self._intake is None:
            with self._lock:
                self._intake = self._intake or Intake(self._engine(), self._start)
        return self._intake

    def _start(self, taken: list[tuple[Hint, Taken]]) -> None:
        metrics.HOOK_COMMITS.inc()
        if any(result.flows for _, result in taken):
            self._nudger.nudge()
        for flow in {flow for _, result in taken if result.reads_feeds for flow in result.flows}:
            self._sync_flow(flow)


def _hint(entry: Entry, reported: Notice) -> Hint:
    if entry.connection_id is None:  # nobody knows the secret of such an entry
        raise Refusal(403, "there is no such connection")
    return Hint(
        entry.connection_id,
        entry.side,
        reported.event,
        reported.keys,
        reported.raised_at,
        reported.once,
        reported.is_test,
    )


def blueprint(receiving: Receiving) -> Blueprint:
    """The routes of webhooks."""
    routes = Blueprint("hooks", __name__)

    @routes.post("/hooks/<system>/<connection>")
    @routes.post("/hooks/<system>/<connection>/<secret>")
    def hook(system: str, connection: str, secret: str = "") -> Response:
        begun = time.perf_counter()
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            taken = receiving.receive(system, Message(connection, secret, headers, _body()))
        except Refusal as refusal:
            log.info("a webhook was refused with %d: %s", refusal.status, refusal.says)
            metrics.HOOKS.labels(_known(system), f"refused {refusal.status}").inc()
            return _answer(refusal.status, refusal.says)
        if taken.is_repeated:
            metrics.HOOKS.labels(_known(system), "repeated").inc()
            return _answer(409, "accepted before")
        metrics.HOOKS.labels(_known(system), "taken" if taken.flows else "no flow").inc()
        metrics.HOOK_SECONDS.observe(time.perf_counter() - begun)
        return Response(status=204)

    return routes


def _known(system: str) -> str:
    return "unknown" if connectors.receiver_of(system) is None else system


def _answer(status: int, says: str) -> Response:
    return Response(f"{says}\n", status, content_type="text/plain")


def _body() -> bytes:
    """The body of the request. Raises Refusal if it has none, is too long, not JSON, or comes too slowly."""
    if request.content_length is None:
        raise Refusal(411, "a Content-Length is needed")
    if request.content_length > MOST_BYTES:
        raise Refusal(413, "the body is too long")
    if request.mimetype != "application/json":
        raise Refusal(415, "the body must be application/json")
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(BODY_S)
    until, parts, left = clock.monotonic() + BODY_S, list[bytes](), request.content_length
    try:
        while left > 0 and (part := request.stream.read(min(left, READ_BYTES))):
            parts.append(part)
            left -= len(part)
            if left > 0 and clock.monotonic() > until:
                raise TimeoutError
    except (TimeoutError, ClientDisconnected):
        is_slow = clock.monotonic() >= until
        raise Refusal(
            408 if is_slow else 400, "the body came too slowly" if is_slow else "the body is cut off"
        ) from None
    if left:
        raise Refusal(400, "the body is cut off")
    if connection is not None:
        connection.settimeout(None)
    return b"".join(parts)

"""The Flask app. `server.py` has gunicorn's settings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.errors import SyncError
from syncengine.settings import Settings
from syncengine.web import health, hooks
from syncengine.web.directory import Directory

log = logging.getLogger(__name__)

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Parts:
    """What the app works with.

    engine: gives the engine of this process; raises Misconfigured or Transient until there is one. start_work: has the pump
    claim what is due. sync_flow: has the feeds of a flow (by name) read that are due.
    """

    settings: Settings
    engine: Callable[[], Engine]
    start_work: Callable[[], object]
    sync_flow: Callable[[str], None]
    directory: Directory = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "directory", Directory(self.engine))


def create_app(parts: Parts) -> Flask:
    """The app of one process."""
    app = Flask("syncengine", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = hooks.MOST_BYTES
    receiving = hooks.Receiving(parts.settings, parts.engine, parts.directory, parts.start_work, parts.sync_flow)
    app.register_blueprint(hooks.blueprint(receiving))
    app.register_blueprint(health.blueprint(parts.settings, parts.engine))
    app.register_error_handler(SyncError, _away)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _failed)
    app.after_request(_with_headers)
    return app


def _with_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


class _Once:
    """Lets one message a second through: in an outage there is one for each request."""

    def __init__(self) -> None:
        self._at = -1.0

    def __call__(self) -> bool:
        """Whether a message may be written now."""
        now = clock.monotonic()
        if now - self._at < 1.0:
            return False
        self._at = now
        return True


_may_say = _Once()


def _away(error: SyncError) -> Response:
    """503, since the sender is to try again: nothing was stored."""
    if _may_say():
        log.warning("requests are answered with 503: %s", error)
    return Response("not available\n", 503, {"Retry-After": str(RETRY_AFTER_S)}, content_type="text/plain")


def _refused(error: HTTPException) -> Response:
    return Response(f"{error.name}\n", error.code or 500, content_type="text/plain")


def _failed(error: Exception) -> Response:
    """As `_away`. The path is not logged, since it may contain a secret."""
    log.error("a request failed", exc_info=error)
    return Response("not available\n", 503, {"Retry-After": str(RETRY_AFTER_S)}, content_type="text/plain")

"""Gunicorn's threaded worker, with an end to clients that send the head of a request too slowly: each would hold a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from syncengine import clock

HEAD_S = 5.0
"""How long a client may take to send the head of a request, in seconds. For its body see `hooks.py`."""

CHECK_EVERY_S = 1.0


class Worker(ThreadWorker):  # type: ignore[misc]
    """Ends connections whose request has not begun in time; their threads are free again."""

    def init_process(self) -> None:
        """See gunicorn's worker; runs after the fork."""
        self._deadlines: dict[Any, float] = {}
        threading.Thread(target=self._end_slow, name="slow-clients", daemon=True).start()
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Read a request from a connection and answer it."""
        self._deadlines[conn] = clock.monotonic() + HEAD_S
        try:
            return super().handle(conn)
        finally:
            self._deadlines.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose head is complete."""
        self._deadlines.pop(conn, None)
        return super().handle_request(req, conn)

    def _end_slow(self) -> None:
        while True:
            clock.sleep(CHECK_EVERY_S)
            now = clock.monotonic()
            for connection, deadline in list(self._deadlines.items()):
                if deadline < now:
                    with contextlib.suppress(OSError):  # it has gone already
                        connection.sock.shutdown(socket.SHUT_RDWR)

"""A sink that is really there: an HTTP server on 127.0.0.1 that keeps what apprise's `json://` sends."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Inbox:
    """What has arrived: `titles`, `messages`; `refuse` makes it answer 503 to what comes then."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.refuse = False
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not inbox.refuse:
                    inbox.received.append({**json.loads(body), "path": self.path})
                self.send_response(503 if inbox.refuse else 200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self._server.server_address[1]}/hook/S3CRET-PATH"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def titles(self) -> list[str]:
        return [one["title"] for one in self.received]

    @property
    def messages(self) -> list[str]:
        return [one["message"] for one in self.received]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

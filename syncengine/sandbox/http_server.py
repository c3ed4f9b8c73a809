"""The HTTP server: keep-alive, TLS, and connections that are closed without an answer."""

from __future__ import annotations

import contextlib
import email.utils
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from werkzeug import Request, Response
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

from syncengine.sandbox.faults import Dropped

App = Callable[[Request], Response]


class _Handler(WSGIRequestHandler):
    """HTTP/1.1 with keep-alive, without a log, able to close a connection without an answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: otherwise each answer takes 40 ms longer

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Stay silent: the journal of calls is the log, and URLs carry secrets."""

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002
        """The Date header, by the sandbox's clock."""
        moment: datetime = self.server.now()  # type: ignore[attr-defined]  # ours, an HttpServer
        return email.utils.formatdate(moment.timestamp(), usegmt=True)

    def run_wsgi(self) -> None:
        """Answer one request of several on a connection.

        werkzeug's own method announces `Connection: close` and drains the body after its answer, which on a connection that
        is kept alive waits for the next request. This one reads exactly the body.
        """
        self.environ = environ = self.make_environ()
        try:
            environ["wsgi.input"] = io.BytesIO(self._body(environ))
            chunks, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
            self._write(status, headers, b"".join(chunks))
        except (ConnectionError, TimeoutError) as error:
            self.connection_dropped(error)

    def _body(self, environ: dict[str, Any]) -> bytes:
        if environ.get("wsgi.input_terminated"):  # a chunked body, in werkzeug's reader
            body: bytes = environ["wsgi.input"].read()
            environ["CONTENT_LENGTH"] = str(len(body))
            return body
        length = self.headers.get("Content-Length", "0")
        return self.rfile.read(int(length)) if length.isdecimal() else b""

    def _write(self, status: str, headers: Iterable[tuple[str, str]], content: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:  # noqa: ARG002
        """Wait for no further request on a lost connection, and close it if a fault asks for that."""
        self.close_connection = True
        if isinstance(error, Dropped):
            _hang_up(self.connection)


class HttpServer(ThreadedWSGIServer):
    """One thread a connection; TLS is negotiated in that thread, so that a silent client cannot block others.

    Args:
        respond: answers one request.
        now: the clock of the Date header.
        context: for HTTPS; None for HTTP.

    Raises:
        OSError: the address is in use.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, respond: App, now: Callable[[], datetime], host: str, port: int, context: ssl.SSLContext | None
    ) -> None:
        @Request.application
        def app(request: Request) -> Response:
            return respond(request)

        self.now = now
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        try:
            super().__init__(host, port, app, handler=_Handler)
        except SystemExit:
            raise OSError(f"{host}:{port} is in use by another program") from None
        self.ssl_context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection until either side closes it."""
        try:
            connection = self.ssl_context.wrap_socket(request, server_side=True) if self.ssl_context else request
        except OSError:
            return  # the handshake failed, and TLS itself reports it to the client
        with self._guard:
            self._open.add(connection)
        try:
            super().finish_request(connection, client_address)
        except (ConnectionError, TimeoutError, ssl.SSLError):
            return  # the client disconnected between two requests
        finally:
            with self._guard:
                self._open.discard(connection)
            connection.close()

    def close_connections(self) -> None:
        """Close every open connection."""
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side may have closed it already
        connection.shutdown(socket.SHUT_RDWR)

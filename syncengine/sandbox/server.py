"""The sandbox as a whole: the state of both systems, and the one HTTP server in front of them.

URL space of the one port: Brightpearl's own paths, `/SYSPROWCFService/Rest/...` (e.net), `/api/harmony/2.0/...`,
`/_sandbox/...` (control) and `/` (a page for people).
"""

from __future__ import annotations

import contextlib
import email.utils
import importlib
import importlib.util
import io
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from werkzeug import Request, Response
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

from syncengine.sandbox import certificate, control
from syncengine.sandbox.brightpearl.app import Brightpearl
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.calls import Calls
from syncengine.sandbox.faults import Dropped, Faults
from syncengine.sandbox.shop.generator import generate
from syncengine.sandbox.shop.model import Shop
from syncengine.sandbox.switches import Switches

App = Callable[[Request], Response]


class Sandbox:
    """The state of both systems, with switches, faults and the journal of calls and effects.

    Attributes:
        shop: the generated shop that Brightpearl starts with; it says what is to become of each order.
        brightpearl: the state of the Brightpearl account.
        syspro: the state of the SYSPRO company (`syncengine.sandbox.syspro.state.Company`).
    """

    brightpearl: Account
    shop: Shop

    def __init__(
        self,
        seed: int = 1,
        switches: Mapping[str, object] | None = None,
        *,
        contacts: int = 60,
        products: int = 80,
        orders: int = 100,
        awkward: bool = True,
    ) -> None:
        self.switches = Switches(switches)
        self.faults = Faults()
        self.calls = Calls(self.now)
        self._sizes: dict[str, Any] = {
            "contacts": contacts,
            "products": products,
            "orders": orders,
            "awkward": awkward,
        }
        self.base_url = ""
        self.seed = seed
        self.reset()

    def now(self) -> datetime:
        """The sandbox's clock, aware UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.switches.number("clock_offset_s"))

    def reset(self, seed: int | None = None, **sizes: int | bool) -> None:
        """Start over: shop and systems as new, no faults, empty journal. Switches stay as they are turned."""
        self.faults.clear()
        if hasattr(self, "brightpearl"):
            self.brightpearl.webhooks.stop()
        self.calls.reset(effects=True)
        self.seed = self.seed if seed is None else seed
        self._sizes.update(sizes)
        self.shop = generate(self.seed, **self._sizes)
        self.brightpearl = Account(self)
        self.syspro: Any = _syspro("state", "Company", self)
        self.apps: dict[str, App] = {
            "brightpearl": Brightpearl(self),
            "enet": _syspro("enet", "Enet", self) or _absent,
            "harmony": _syspro("harmony", "Harmony", self) or _absent,
        }

    def run(
        self,
        system: str,
        operation: str,
        request: Request,
        work: Callable[[], Response],
        is_write: bool = False,
        text: str | None = None,
    ) -> Response:
        """Run one operation: latency, then fault, then work; and count it.

        Args:
            operation: such as `order.read` or `SORTOI.add`; faults and counters go by it.
            work: does it and answers; it may run later and in another thread (a write that takes effect late).
            text: what a fault's `match` looks into, where that is not the request itself.

        Raises:
            Dropped: a fault closed the connection.
        """
        request.get_data()  # read now: after the connection is gone, work that runs late could not
        self._delay(system, is_write)
        status = 0
        try:
            response = self.faults.around(system, operation, request, work, text)
            status = response.status_code
            return response
        finally:
            self.calls.count(system, operation, status, request.method, request.path)

    def start(self, host: str = "127.0.0.1", port: int = 0, tls: bool = False) -> Running:
        """Serve over HTTP, or HTTPS with a certificate made on the spot, in a thread of its own; port 0 picks one."""
        return Running(self, host, port, tls)

    def dispatch(self, request: Request) -> Response:
        """Route one request to the system, the control API or the page."""
        parts = [part for part in request.path.split("/") if part]
        first = parts[0].lower() if parts else ""
        if first == "_sandbox" or not parts:
            return control.respond(self, request, parts[1:])
        if first == "sysprowcfservice":
            return self._serve("syspro", "enet", request)
        if [part.lower() for part in parts[:2]] == ["api", "harmony"]:
            return self._serve("syspro", "harmony", request)
        return self._serve("brightpearl", "brightpearl", request)

    def _serve(self, system: str, app: str, request: Request) -> Response:
        self.faults.refuse_if_down(system)
        return self.apps[app](request)

    def _delay(self, system: str, is_write: bool) -> None:
        own = self.switches[f"{system}_write_latency_s"] if is_write else None
        seconds = self.switches.number("latency_s") if own is None else float(own)
        if seconds > 0:
            time.sleep(seconds)


class Running:
    """A sandbox that is being served.

    Attributes:
        url: `http://127.0.0.1:PORT`, without a trailing slash.
        ca_file: path of the certificate that signs an HTTPS sandbox, for `verify=`; None over HTTP.
    """

    def __init__(self, sandbox: Sandbox, host: str, port: int, tls: bool) -> None:
        self.sandbox = sandbox
        self.ca_file: str | None = None
        context: ssl.SSLContext | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="sandbox-")
        if tls:
            self.ca_file, context = certificate.make(self._folder.name, host)
        self._server = _Server(sandbox, host, port, context)
        shown = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104
        self.url = f"{'https' if tls else 'http'}://{shown}:{self._server.port}"
        sandbox.base_url = self.url
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close every connection, kept-alive ones too."""
        self.sandbox.faults.clear()
        self.sandbox.brightpearl.webhooks.stop()
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()
        self._folder.cleanup()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Handler(WSGIRequestHandler):
    """HTTP/1.1 with kept-alive connections, quiet, and able to hang up without an answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: without it each answer takes 40 ms more

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Stay silent: the journal of calls is the log, and URLs carry secrets."""

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002
        """The Date header: the sandbox's clock."""
        moment: datetime = self.server.now()  # type: ignore[attr-defined]  # ours, a _Server
        return email.utils.formatdate(moment.timestamp(), usegmt=True)

    def run_wsgi(self) -> None:
        """Answer one exchange of several on a connection.

        werkzeug's own way announces `Connection: close`, and reads on after its answer to drain a body; on a kept
        connection it would wait there for the next request. Here each body is read whole, and no more.
        """
        self.environ = environ = self.make_environ()
        try:
            environ["wsgi.input"] = io.BytesIO(self._body(environ))
            chunks, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
            self._write(status, headers, b"".join(chunks))
        except (ConnectionError, TimeoutError) as error:
            self.connection_dropped(error)

    def _body(self, environ: dict[str, Any]) -> bytes:
        if environ.get("wsgi.input_terminated"):  # a chunked body, which werkzeug has put a reader around
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
        """Wait for no other request on a connection that is gone, and end it if that is what a fault asks for."""
        self.close_connection = True
        if isinstance(error, Dropped):
            _hang_up(self.connection)


class _Server(ThreadedWSGIServer):
    """One thread a connection; TLS is negotiated in that thread, so that a silent client cannot block others."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, sandbox: Sandbox, host: str, port: int, context: ssl.SSLContext | None) -> None:
        @Request.application
        def app(request: Request) -> Response:
            return sandbox.dispatch(request)

        self.now = sandbox.now
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
            return  # the handshake failed: that client is told by TLS itself
        with self._guard:
            self._open.add(connection)
        try:
            super().finish_request(connection, client_address)
        except (ConnectionError, TimeoutError, ssl.SSLError):
            return  # the client went away between two requests
        finally:
            with self._guard:
                self._open.discard(connection)
            connection.close()

    def close_connections(self) -> None:
        """Hang up on everybody who is still connected."""
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side may have been faster
        connection.shutdown(socket.SHUT_RDWR)


def _absent(_: Request) -> Response:
    return Response("this system is not part of the sandbox", 404, mimetype="text/plain")


def _syspro(module: str, name: str, sandbox: Sandbox) -> Any:
    """An object of the SYSPRO simulator; None while that package is not installed."""
    full = f"syncengine.sandbox.syspro.{module}"
    if not importlib.util.find_spec("syncengine.sandbox.syspro") or not importlib.util.find_spec(full):
        return None
    return getattr(importlib.import_module(full), name)(sandbox)


__all__ = ["App", "Dropped", "Running", "Sandbox"]

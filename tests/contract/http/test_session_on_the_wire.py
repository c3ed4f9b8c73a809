"""The session over real sockets: when the lease is checked, whether bytes left, slots given back, TLS verified."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis
import trustme

from syncengine import clock
from syncengine.errors import EndpointDown, OutcomeUnknown, Throttled, Transient
from syncengine.http import guard
from syncengine.http.limiter import Limiter, Pool
from syncengine.http.session import Session
from syncengine.http.timeouts import Timeouts

POOL = Pool("system:account:app", limit=2, window_s=60, guard_s=0.5)


class Urgent:
    """A lease in the lane that is not paced."""

    lane = "realtime"

    def renew(self) -> None:
        """It does not run out."""

    def check(self) -> None:
        """It does not run out."""

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Nobody keeps an account."""


class Server(ThreadingHTTPServer):
    """Echoes the request line; `/hangup` closes after reading, `/silent` never answers, `/half` breaks off."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if self.path == "/silent":
            self.server.released.wait(20)
        if self.path in ("/silent", "/hangup"):
            self.close_connection = True
            return
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + (5 if self.path == "/half" else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.path == "/half"

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextmanager
def serving(prepare: Callable[[Server], None] = lambda _: None) -> Iterator[Server]:
    server = Server()
    prepare(server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def limiter(client: redis.Redis) -> Limiter:
    limiter = Limiter(client)
    limiter.learn(POOL, POOL.limit, 0)
    return limiter


class Lease:
    """A lease that is lost at a given moment: `check` asks the server whether a connection is open already."""

    lane = "scheduled"

    def __init__(self, holds: Callable[[], bool] = lambda: True) -> None:
        self.holds = holds
        self.checks = 0

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Not counted here."""

    def renew(self) -> None:
        """Always granted."""

    def check(self) -> None:
        self.checks += 1
        if not self.holds():
            raise RuntimeError("lease lost")


def test_a_name_that_is_unknown_and_a_port_that_refuses_are_an_endpoint_that_is_down() -> None:
    for url in ("http://127.0.0.1:1", "http://nowhere.invalid"):
        with pytest.raises(EndpointDown, match="nothing was sent"):
            Session("main", url).send("POST", "/", is_write=True)


@pytest.mark.parametrize("path", ["/hangup", "/silent", "/half"])
def test_no_whole_answer_is_transient_for_a_read_and_unknown_for_a_write(server: Server, path: str) -> None:
    session = Session("main", server.url, timeouts=Timeouts(read_s=0.3))
    with pytest.raises(Transient):
        session.send("GET", path, is_write=False)
    with pytest.raises(OutcomeUnknown, match="may have taken effect"):
        session.send("GET", path, is_write=True)
    assert server.requests == [path, path]  # neither was repeated


def test_a_lease_that_ends_while_the_connection_is_opened_keeps_the_bytes_back(
    server: Server, limiter: Limiter
) -> None:
    lease = Lease(lambda: lease.checks < 2)  # holds at the first look, is lost at the one behind the connection
    session = Session("main", server.url, limiter=limiter, pool=POOL)
    with guard.guarded(lease), pytest.raises(RuntimeError, match="lease lost"):
        session.send("POST", "/orders", is_write=True)
    assert server.requests == []
    assert limiter.usage(POOL).taken == 0


def test_every_call_takes_a_slot_and_a_call_that_never_left_gives_it_back(server: Server, limiter: Limiter) -> None:
    session = Session("main", server.url, limiter=limiter, pool=POOL, patience_s=0)
    with guard.guarded(Urgent()):
        session.send("GET", "/a", is_write=False)
        with pytest.raises(EndpointDown):
            Session("main", "http://127.0.0.1:1", limiter=limiter, pool=POOL).send("GET", "/b", is_write=False)
        session.send("GET", "/c", is_write=False)
        with pytest.raises(Throttled) as refused:
            session.send("GET", "/d", is_write=False)
    assert 50 < refused.value.retry_in_s <= 60.5
    assert server.requests == ["/a", "/c"]


def test_a_call_whose_answer_was_lost_keeps_its_slot(server: Server, limiter: Limiter) -> None:
    with pytest.raises(Transient):
        Session("main", server.url, limiter=limiter, pool=POOL).send("GET", "/hangup", is_write=False)
    assert limiter.usage(POOL).taken == 1


def test_a_connection_that_took_longer_than_the_guard_books_its_slot_anew(
    server: Server, limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, reserve, monotonic = socket.create_connection, limiter.reserve, clock.monotonic
    passed: list[float] = []
    booked: list[str] = []

    def slowly(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        passed.append(3.0)
        return connect(address)

    monkeypatch.setattr("urllib3.connection.connection.create_connection", slowly)
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + sum(passed))
    monkeypatch.setattr(limiter, "reserve", lambda *a, **k: booked.append(k["slot"]) or reserve(*a, **k))
    session = Session("main", server.url, limiter=limiter, pool=POOL)
    session.send("GET", "/a", is_write=False)
    assert len(booked) == 2
    assert booked[0] == booked[1]
    assert limiter.usage(POOL).taken == 1


def test_connections_are_kept_and_used_again(server: Server) -> None:
    session = Session("main", server.url)
    opened: list[object] = []
    get_request = server.get_request
    server.get_request = lambda: opened.append(1) or get_request()  # type: ignore[method-assign,return-value]
    for path in ("/1", "/2", "/3"):
        session.send("GET", path, is_write=False)
    assert len(opened) == 1


def test_a_proxy_of_the_environment_is_used_and_its_refusal_is_an_endpoint_that_is_down(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    session = Session("main", "http://api.example")
    assert session.send("GET", "/a?b=c", is_write=False).text == "http://api.example/a?b=c"
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(EndpointDown, match="nothing was sent"):
        Session("main", "http://api.example").send("POST", "/a", is_write=True)
    assert len(server.requests) == 1


def test_no_query_reaches_a_log_of_any_library(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("urllib3").setLevel(logging.DEBUG)
        Session("main", server.url).send("GET", "/Logon?OperatorPassword=hunter2", is_write=False)
    assert server.requests == ["/Logon?OperatorPassword=hunter2"]
    assert "hunter2" not in caplog.text


def test_a_certificate_is_verified_by_the_authority_that_the_setting_names(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def secure(server: Server) -> None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]

    with serving(secure) as server:
        url = server.url.replace("http:", "https:")
        assert Session("main", url, ca_file=str(ca_file)).send("GET", "/ok", is_write=False).text == "/ok"
        with pytest.raises(EndpointDown, match="certificate is not trusted"):
            Session("main", url).send("POST", "/ok", is_write=True)
        assert server.requests == ["/ok"]

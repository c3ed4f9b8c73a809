"""A sandbox of a test's own, and clients that speak to its Brightpearl as the reference describes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests

from syncengine.sandbox import Running, Sandbox

OAUTH = {
    "Authorization": "Bearer sandbox-access-token=",
    "brightpearl-app-ref": "sandbox_app",
    "brightpearl-dev-ref": "sandbox",
}
PRIVATE = {"brightpearl-app-ref": "sandbox_app", "brightpearl-account-token": "sandbox-account-token"}


class Client:
    """Calls below `/public-api/sandbox/`, and the control API."""

    def __init__(self, running: Running, headers: dict[str, str]) -> None:
        self.url = running.url
        self.base = f"{running.url}/public-api/sandbox/"
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers.update(headers)

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.http.request(method, self.base + path, timeout=10, **more)

    def get(self, path: str, **more: Any) -> Any:
        """The body's `response` of a GET that must succeed."""
        answer = self.call("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["response"]

    def send(self, method: str, path: str, body: Any) -> Any:
        """The body of a write that must succeed."""
        answer = self.call(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, list[str]]:
        """Status and error codes of a call that must fail."""
        answer = self.call(method, path, json=body)
        return answer.status_code, [error["code"] for error in answer.json()["errors"]]

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"{self.url}/_sandbox/{path}", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()


def begin_minute(sandbox: Sandbox, *, at_s: float = 1.0) -> None:
    """Set the sandbox's clock to this second of a minute, so that no window of the quota ends during a test."""
    now_s = sandbox.now().timestamp() - sandbox.switches.number("clock_offset_s")
    sandbox.switches.turn({"clock_offset_s": at_s + 60 - now_s % 60})


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    """One server for the tests of a module; `running` gives it back as new to each of them."""
    with Sandbox(1, {"latency_s": 0}, contacts=30, products=40, orders=30).start() as running:
        yield running


@pytest.fixture
def running(served: Running) -> Running:
    sandbox = served.sandbox
    defaults = {name: entry["default"] for name, entry in sandbox.switches.described().items()}
    sandbox.switches.turn({**defaults, "latency_s": 0, "brightpearl_limit": 0})
    sandbox.reset(1)
    return served


@pytest.fixture
def sandbox(running: Running) -> Sandbox:
    return running.sandbox


@pytest.fixture
def client(running: Running) -> Client:
    """An OAuth instance app."""
    return Client(running, OAUTH)


@pytest.fixture
def private(running: Running) -> Client:
    """A private app."""
    return Client(running, PRIVATE)


@pytest.fixture
def item(sandbox: Sandbox, client: Client) -> int:
    """A product with 40 in the main warehouse and 8 in the store."""
    product = next(each for each in sandbox.shop.products if each.stock_tracked and each.sku and each.in_syspro)
    for warehouse_id, level in ((2, 40), (3, 8)):
        body = {"productId": product.id, "warehouse": warehouse_id, "to": level, "cost": "1.25"}
        client.control("POST", "brightpearl/stock/correct", body)
    return product.id


class Receiver:
    """A target of webhooks: keeps what it gets, and answers with the statuses given, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bodies.append(json.loads(text))
                receiver.paths.append(self.path)
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = Thread(target=receiver.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


Subscribe = Callable[..., int]

"""The server, the switches, the journal, the control API, HTTPS and the command line."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from syncengine.sandbox import Running, Sandbox
from syncengine.sandbox.__main__ import main
from syncengine.sandbox.switches import Switches, UnknownSwitch
from tests.contract.sandbox.conftest import OAUTH, Client


def test_connection_is_kept_for_many_calls(client: Client) -> None:
    connection = http.client.HTTPConnection(client.url.removeprefix("http://"), timeout=10)
    sockets = set()
    for method, body in (("GET", None), ("POST", b"{}"), ("POST", b"no json"), ("GET", None)):
        connection.request(method, "/public-api/sandbox/order-service/order", body, OAUTH)
        connection.getresponse().read()
        sockets.add(connection.sock)
    assert len(sockets) == 1
    assert None not in sockets
    connection.close()


def test_chunked_body_is_understood(client: Client) -> None:
    pieces = iter([b'{"orderTypeCode":"SO","parties":', b'{"customer":{"contactId":310}}}'])

    assert client.call("POST", "order-service/order", data=pieces).status_code == 200
    assert client.get("order-service/order/5002")


def test_https_with_a_certificate_made_on_the_spot() -> None:
    with Sandbox(1, {"latency_s": 0}, orders=0).start(tls=True) as running:
        http = requests.Session()
        http.trust_env = False
        assert running.url.startswith("https://")
        assert http.get(f"{running.url}/_sandbox/state", verify=running.ca_file, timeout=10).status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            http.get(f"{running.url}/_sandbox/state", timeout=10)


def test_stopped_sandbox_hangs_up_on_kept_connections() -> None:
    running = Sandbox(1, {"latency_s": 0}, orders=0).start()
    http = requests.Session()
    http.trust_env = False
    http.get(f"{running.url}/_sandbox/state", timeout=10)
    running.stop()
    with pytest.raises(requests.ConnectionError):
        http.get(f"{running.url}/_sandbox/state", timeout=10)


def test_port_in_use_is_an_os_error(running: Running) -> None:
    port = int(running.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"):
        Sandbox(1, orders=0).start(port=port)


def test_page_for_people_shows_links(client: Client) -> None:
    page = client.http.get(f"{client.url}/", timeout=10)

    assert page.headers["Content-Type"].startswith("text/html")
    assert "/_sandbox/effects" in page.text


def test_calls_are_counted_by_operation_and_status(client: Client, sandbox: Sandbox) -> None:
    client.get("order-service/order/5002")
    client.call("GET", "contact-service/contact/1")

    calls = client.control("GET", "calls?reset=1")["brightpearl"]
    assert calls["operations"] == {"contact.read": 1, "order.read": 1}
    assert calls["statuses"] == {"200": 1, "404": 1}
    assert sandbox.calls.total() == 0


def test_journal_keeps_no_query(client: Client) -> None:
    client.get("order-service/order-search?customerRef=secret")

    assert "secret" not in json.dumps(client.control("GET", "calls/latest"))


def test_effects_can_be_asked_for_by_reference(client: Client) -> None:
    body = {"orderTypeCode": "SO", "reference": "R-77", "parties": {"customer": {"contactId": 310}}}
    key = client.send("POST", "order-service/order", body)["response"]
    client.control("POST", f"brightpearl/orders/{key}/edit", {"statusId": 5})

    effects = client.control("GET", "effects?system=brightpearl&object=order&reference=R-77")
    assert [(effect["action"], effect["by"]) for effect in effects] == [("created", "api"), ("cancelled", "person")]


def test_reset_gives_the_same_shop_again(client: Client, sandbox: Sandbox) -> None:
    before = client.control("GET", "brightpearl/orders/5002")
    client.control("POST", "brightpearl/orders/5002/edit", {"reference": "other"})
    client.control("POST", "reset")

    assert client.control("GET", "brightpearl/orders/5002") == before
    assert client.control("POST", "reset", {"seed": 2, "orders": 3})["seed"] == 2
    sandbox.reset(1, orders=30)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("latency_s", "0.5", 0.5),
        ("brightpearl_limit", "100", 100),
        ("brightpearl_updated_on_ms", "on", True),
        ("syspro_write_latency_s", "none", None),
        ("brightpearl_window", "rolling", "rolling"),
    ],
)
def test_switch_is_read_from_text(name: str, text: str, value: object) -> None:
    assert Switches({name: text})[name] == value


def test_unknown_switch_names_the_nearest(client: Client) -> None:
    with pytest.raises(UnknownSwitch, match="brightpearl_limit"):
        Switches({"brightpearl_limits": 1})
    answer = client.http.patch(f"{client.url}/_sandbox/switches", json={"latency_s": "quick"}, timeout=10)
    assert (answer.status_code, answer.json()) == (400, {"error": "switch latency_s: 'quick' is not a number"})


def test_control_paths_that_do_not_exist_are_404(client: Client) -> None:
    for path in ("nonsense", "brightpearl/nonsense", "brightpearl/orders/1"):
        assert client.http.get(f"{client.url}/_sandbox/{path}", timeout=10).status_code == 404


def test_bad_argument_ends_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--switch", "latncy_s=1"]) == 2
    assert capsys.readouterr().err == "sandbox: no switch is called 'latncy_s'; did you mean 'latency_s'?\n"


@pytest.mark.process
def test_command_runs_in_the_foreground_until_sigterm(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    options = ["--port", "0", "--orders", "5", "--contacts", "5", "--products", "10", "--ready-file", str(ready)]
    process = subprocess.Popen(
        [sys.executable, "-m", "syncengine.sandbox", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 30
        while not ready.exists() or not ready.read_text():
            assert time.monotonic() < deadline, "the sandbox did not start"
            time.sleep(0.05)
        url = json.loads(ready.read_text())["url"]
        http = requests.Session()
        http.trust_env = False
        assert http.get(f"{url}/_sandbox/state", timeout=10).json()["brightpearl"]["orders"] > 5
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert f"{url}/public-api/sandbox/" in output
    assert "account_token sandbox-account-token" in output
    assert "operator BPSYNC, operator_password s3cret!" in output
    assert f"syncengine init --sandbox --sandbox-url {url}" in output

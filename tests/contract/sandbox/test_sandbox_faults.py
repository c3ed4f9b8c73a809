"""Faults: each kind at a chosen call, with what took effect and what did not."""

from __future__ import annotations

import json
import time

import pytest
import requests

from syncengine.sandbox import Fault, Sandbox
from tests.contract.sandbox.conftest import Client

NEW_ORDER = {"orderTypeCode": "SO", "reference": "F-1", "parties": {"customer": {"contactId": 310}}}


def created(sandbox: Sandbox) -> int:
    return len(sandbox.calls.effects(system="brightpearl", object="order", action="created"))


def test_error_is_a_500_in_brightpearls_words_and_nothing_takes_effect(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.create", "error"))

    assert client.refused("POST", "order-service/order", NEW_ORDER) == (500, ["CMNU-003"])
    assert created(sandbox) == 0
    client.send("POST", "order-service/order", NEW_ORDER)
    assert created(sandbox) == 1


def test_error_after_commit_took_effect(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.create", "error", after="commit"))

    assert client.call("POST", "order-service/order", json=NEW_ORDER).status_code == 500
    assert created(sandbox) == 1


@pytest.mark.parametrize(("after", "effects"), [("before", 0), ("commit", 1)])
def test_dropped_connection_gives_no_answer(client: Client, sandbox: Sandbox, after: str, effects: int) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.create", "drop", after=after))

    with pytest.raises(requests.ConnectionError):
        client.call("POST", "order-service/order", json=NEW_ORDER)

    assert created(sandbox) == effects
    assert sandbox.calls.total("brightpearl", "order.create", status=0) == 1


def test_late_write_takes_effect_after_the_client_has_gone(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.create", "late", seconds=0.3))

    with pytest.raises(requests.ConnectionError):
        client.call("POST", "order-service/order", json=NEW_ORDER)
    assert created(sandbox) == 0

    sandbox.faults.wait_for_late_writes()
    assert created(sandbox) == 1


def test_late_write_outlives_a_client_that_ran_out_of_patience(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.create", "late", seconds=0.2, hold_s=5))

    with pytest.raises(requests.ReadTimeout):
        client.http.post(f"{client.base}order-service/order", json=NEW_ORDER, timeout=0.1)

    sandbox.faults.wait_for_late_writes()
    assert created(sandbox) == 1


@pytest.mark.parametrize(("after", "effects"), [("before", 0), ("commit", 1)])
def test_dropped_connection_can_stay_open_for_longer_than_a_client_waits(
    client: Client, sandbox: Sandbox, after: str, effects: int
) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.create", "drop", after=after, hold_s=60))

    with pytest.raises(requests.ReadTimeout):
        client.http.post(f"{client.base}order-service/order", json=NEW_ORDER, timeout=0.1)
    sandbox.faults.clear()

    assert created(sandbox) == effects


def test_forbidden_is_a_firewalls_page_and_nothing_takes_effect(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.create", "forbidden", after="commit"))

    answer = client.call("POST", "order-service/order", json=NEW_ORDER)

    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert created(sandbox) == 0


@pytest.mark.parametrize(
    ("ids", "concerned"),
    [("5003", True), ("5001,5003", True), ("5001-5004", True), ("5001-5002,5004", False), ("5001", False)],
)
def test_fault_about_an_object_hits_all_calls_that_name_it_alone_or_among_others(
    client: Client, sandbox: Sandbox, ids: str, concerned: bool
) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.read", "forbidden", about="5003", times=None))

    for _ in range(2):
        assert (client.call("GET", f"order-service/order/{ids}").status_code == 403) is concerned


def test_hanging_call_is_let_go_when_faults_are_cleared(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.read", "hang", seconds=60, after="commit"))

    with pytest.raises(requests.ReadTimeout):
        client.http.get(f"{client.base}order-service/order/5002", timeout=0.1)
    started = time.monotonic()
    sandbox.faults.clear()

    assert client.get("order-service/order/5002")
    assert time.monotonic() - started < 30


def test_throttled_by_fault_looks_like_a_full_window(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("brightpearl", "*", "throttle"))

    answer = client.call("GET", "order-service/order/5002")

    assert answer.status_code == 503
    assert "too many requests" in answer.json()["response"]
    assert answer.headers["brightpearl-requests-remaining"] == "0"
    assert 0 <= int(answer.headers["brightpearl-next-throttle-period"]) <= 60_000


def test_expired_by_fault_stays_expired_until_the_client_refreshes(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.read", "expired"))

    for _ in range(2):
        answer = client.call("GET", "order-service/order/5002")
        assert (answer.status_code, answer.json()) == (401, {"response": "Authorization token expired"})


def test_malformed_body_is_no_json(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.read", "malformed", after="commit"))

    answer = client.call("GET", "order-service/order/5002")

    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)


def test_down_closes_every_connection_of_one_system_for_a_while(client: Client, sandbox: Sandbox) -> None:
    fault = sandbox.faults.add(Fault("brightpearl", kind="down", seconds=60))

    for _ in range(3):
        with pytest.raises(requests.ConnectionError):
            client.call("GET", "order-service/order/5002")
    assert client.control("GET", "state")["faults"][0]["kind"] == "down"

    fault.added_at -= 61
    assert client.get("order-service/order/5002")


def test_fault_hits_only_the_calls_that_match(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault("brightpearl", "order.*", "error", match="F-2"))

    client.send("POST", "order-service/order", NEW_ORDER)
    assert client.call("POST", "order-service/order", json={**NEW_ORDER, "reference": "F-2"}).status_code == 500


def test_fault_without_a_number_of_times_hits_until_it_is_removed(client: Client, sandbox: Sandbox) -> None:
    fault = client.control("POST", "faults", {"system": "brightpearl", "kind": "error", "times": None})

    assert [client.call("GET", "order-service/order/5002").status_code for _ in range(3)] == [500, 500, 500]
    client.control("DELETE", f"faults/{fault['id']}")
    assert client.get("order-service/order/5002")


def test_unknown_kind_is_refused_with_the_kinds_there_are(client: Client) -> None:
    answer = client.http.post(f"{client.url}/_sandbox/faults", json={"kind": "meteorite"}, timeout=10)

    assert answer.status_code == 400
    assert "malformed" in answer.json()["error"]

"""Webhooks by HTTP: what is taken, what is refused and how, and that a refusal stores and shows nothing."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
from werkzeug.test import TestResponse

from syncengine.connectors.brightpearl.hooks import body_template
from syncengine.connectors.syspro.hooks import CLOCKS_S, signature
from syncengine.errors import DatabaseAway
from syncengine.sandbox.brightpearl.webhooks import _rendered
from syncengine.web.hooks import MOST_BYTES
from tests.contract.web.conftest import ERP_SECRET, SHOP_SECRET, Site

pytestmark = pytest.mark.one_database
VALUES = {
    "full-event": "order.modified.order-status",
    "resource-id": "5001",
    "raised-on": "2026-03-02T09:00:00.000Z",
    "account-code": "demo",
    "resource-type": "order",
    "lifecycle-event": "modified",
}


def _shop(
    site: Site, *, secret: str = SHOP_SECRET, path: str = "/hooks/brightpearl/main", **values: str
) -> TestResponse:
    given = VALUES | {name.replace("_", "-"): value for name, value in values.items()}
    return site.client.post(path, data=_rendered(body_template(secret), given), content_type="application/json")


def _erp(
    site: Site,
    doc: Any = None,
    *,
    secret: str = ERP_SECRET,
    age_s: float = 0.0,
    signed_for: str = "main",
    path: str = "/hooks/syspro/main",
    **headers: str,
) -> TestResponse:
    body = json.dumps(doc or {"event": "stock_level", "keys": ["A100", "B200"]}).encode()
    stamp = f"{time.time() - age_s:.3f}"
    signed = {
        "X-Syncengine-Time": stamp,
        "X-Syncengine-Signature": signature(secret, stamp, signed_for, body).decode(),
    }
    return site.client.post(path, data=body, content_type="application/json", headers=signed | headers)


def test_a_webhook_is_taken_with_its_ids_and_ranges(site: Site) -> None:
    assert _shop(site, resource_id="7,5001-5003,5002").status_code == 204
    assert site.wanted() == ["7", "5001", "5002", "5003"]
    assert _within(lambda: site.pumped)


def test_the_secret_may_be_in_the_path(site: Site) -> None:
    assert _shop(site, secret="", path=f"/hooks/brightpearl/main/{SHOP_SECRET}").status_code == 204
    assert _shop(site, secret="", path="/hooks/brightpearl/main/wrong").status_code == 403


def test_more_ids_than_are_taken_have_the_feed_read(site: Site) -> None:
    assert _shop(site, resource_id="1-900000000000").status_code == 204
    assert (site.wanted(), site.synced) == ([], ["orders"])


def test_an_event_that_no_flow_takes_is_taken_and_repairs_the_subscriptions(site: Site) -> None:
    assert _shop(site, full_event="goods-out-note.created").status_code == 204
    assert site.wanted() == []
    assert not site.is_untouched()


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"secret": "wrong"}, 403),
        ({"secret": SHOP_SECRET[:-1]}, 403),
        ({"secret": ""}, 403),
        ({"secret": "another-secret"}, 403),  # of another connection
        ({"path": "/hooks/brightpearl/other"}, 403),
        ({"path": "/hooks/brightpearl/nowhere"}, 403),
        ({"path": "/hooks/nosystem/main"}, 404),
        ({"resource_id": "x"}, 400),
        ({"resource_id": "9-1"}, 400),
        ({"resource_id": "0"}, 400),
        ({"full_event": ""}, 400),
    ],
)
def test_what_is_wrong_is_refused_and_leaves_no_trace(
    site: Site, given: dict[str, str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = _shop(site, **given)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert site.is_untouched()
    assert not site.pumped
    for secret in (SHOP_SECRET, "another-secret", "wrong"):
        assert secret not in caplog.text
        assert secret not in answer.text


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b" " * (MOST_BYTES + 1), {}, 413),
    ],
)
@pytest.mark.parametrize("system", ["brightpearl", "syspro"])
def test_what_cannot_be_read_is_refused(
    site: Site, system: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    if system == "syspro":
        stamp = f"{time.time():.3f}"
        headers = {**headers, "X-Syncengine-Time": stamp}
        headers["X-Syncengine-Signature"] = signature(ERP_SECRET, stamp, "main", body).decode()
    answer = site.client.post(
        f"/hooks/{system}/main", data=body, headers={"Content-Type": "application/json", **headers}
    )
    assert answer.status_code == status
    assert site.is_untouched()


def test_only_post_is_taken_and_it_needs_a_length(site: Site) -> None:
    assert site.client.get("/hooks/brightpearl/main").status_code == 405
    assert site.client.post("/hooks/brightpearl/main", content_type="application/json").status_code in (400, 411)


def test_a_near_miss_and_a_far_one_are_answered_alike(site: Site) -> None:
    answers = [
        _shop(site, secret=SHOP_SECRET[:-1] + "x"),
        _shop(site, secret="x"),
        _shop(site, path="/hooks/brightpearl/no"),
    ]
    assert len({(answer.status_code, answer.text, str(answer.headers)) for answer in answers[:2]}) == 1
    assert {(answer.status_code, answer.text) for answer in answers} == {(403, "the secret is not accepted\n")}


def test_the_former_secret_is_accepted_beside_the_new_one(site: Site) -> None:
    assert _shop(site).status_code == 204  # the present one is known now
    site.engine.vault.write(site.ids["main-brightpearl"], "hook_secret_old", SHOP_SECRET)
    site.engine.vault.write(site.ids["main-brightpearl"], "hook_secret", "a-new-secret")
    time.sleep(0.25)
    assert [_shop(site, secret=secret).status_code for secret in ("a-new-secret", SHOP_SECRET)] == [204, 204]


def test_a_signed_message_is_taken_once(site: Site) -> None:
    assert _erp(site).status_code == 204
    assert site.wanted("stock") == ["A100", "B200"]
    stamp = f"{time.time():.3f}"
    body = b'{"event": "stock_level", "keys": ["C300"]}'
    headers = {
        "X-Syncengine-Time": stamp,
        "X-Syncengine-Signature": signature(ERP_SECRET, stamp, "main", body).decode(),
    }
    twice = [
        site.client.post("/hooks/syspro/main", data=body, content_type="application/json", headers=headers).status_code
        for _ in range(2)
    ]
    assert twice == [204, 409]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"secret": "wrong"}, 403),
        ({"age_s": CLOCKS_S + 5}, 403),
        ({"age_s": -CLOCKS_S - 5}, 403),
        ({"signed_for": "other"}, 403),
        ({"path": "/hooks/syspro/other"}, 403),
        ({"X-Syncengine-Time": ""}, 401),
        ({"X-Syncengine-Signature": ""}, 401),
        ({"X-Syncengine-Time": "yesterday"}, 403),
        ({"doc": {"event": "stock_level", "keys": []}}, 400),
        ({"doc": {"event": "stock_level", "keys": [1]}}, 400),
        ({"doc": {"event": 7, "keys": ["A"]}}, 400),
    ],
)
def test_a_message_that_is_not_signed_as_it_should_be_is_refused(
    site: Site, given: dict[str, Any], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert _erp(site, **given).status_code == status
    assert site.is_untouched()
    assert ERP_SECRET not in caplog.text


def test_a_store_that_is_away_and_a_bug_are_answered_with_503(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (DatabaseAway("away"), RuntimeError("a bug")):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("syncengine.engine.steps.hints.take", fail)
        answer = _shop(site)
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert site.is_untouched()


def test_answers_have_headers_for_browsers_and_say_nothing_of_the_server(site: Site) -> None:
    headers = _shop(site).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def _within(what: Any, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not (found := bool(what())) and time.monotonic() < until:
        time.sleep(0.01)
    return found

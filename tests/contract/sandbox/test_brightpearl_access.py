"""OAuth, the other kinds of apps, and the throttle (brightpearl.md sections 2 and 5)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from syncengine.sandbox import Running, Sandbox
from tests.contract.sandbox.conftest import OAUTH, PRIVATE, Client, begin_minute

REDIRECT = "https://sync.example.com/callback"


def token(client: Client, path: str = "token/sandbox", **form: str) -> requests.Response:
    return requests.post(f"{client.url}/{path}", data={"client_id": "sandbox_app", **form}, timeout=10)


def code(client: Client) -> str:
    query = {"response_type": "code", "client_id": "sandbox_app", "redirect_uri": REDIRECT, "state": "s 1"}
    answer = client.http.get(f"{client.url}/authorize/sandbox", params=query, allow_redirects=False, timeout=10)
    assert answer.status_code == 302
    given = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert given["state"] == ["s 1"]
    return given["code"][0]


@pytest.mark.parametrize("path", ["token/sandbox", "sandbox/oauth/token", "oauth/token"])
def test_authorization_code_becomes_tokens(client: Client, path: str) -> None:
    more = {"account_code": "sandbox"} if path == "oauth/token" else {}
    form = {"grant_type": "authorization_code", "code": code(client), "redirect_uri": REDIRECT, **more}

    body = token(client, path, **form).json()

    assert set(body) == {
        "access_token",
        "refresh_token",
        "installation_instance_id",
        "api_domain",
        "token_type",
        "expires_in",
    }
    assert (body["token_type"], body["expires_in"], body["installation_instance_id"]) == ("Bearer", 604800, "11")
    assert client.url == f"http://{body['api_domain']}"
    headers = {**OAUTH, "Authorization": f"Bearer {body['access_token']}"}
    assert client.call("GET", "order-service/order/5002", headers=headers).status_code == 200


def test_code_is_good_once_and_for_its_redirect_uri(client: Client) -> None:
    once = code(client)
    form = {"grant_type": "authorization_code", "code": once, "redirect_uri": "https://other.example.com/"}
    answer = token(client, **form)
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "error": "invalid_grant",
            "error_description": "Redirect uri does not match that used to request auth token",
        },
    )
    assert token(client, **{**form, "redirect_uri": REDIRECT}).status_code == 200
    assert token(client, **{**form, "redirect_uri": REDIRECT}).json() == {
        "error": "invalid_grant",
        "error_description": "The auth token has either expired or does not exist",
    }


def test_refresh_gives_another_refresh_token_and_ends_the_old_one(client: Client) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "sandbox-refresh-token="}
    body = token(client, **form).json()

    assert "installation_instance_id" not in body
    assert body["refresh_token"] != form["refresh_token"]
    assert token(client, **form).json()["error"] == "invalid_grant"
    assert token(client, grant_type="refresh_token", refresh_token=body["refresh_token"]).status_code == 200


def test_refresh_token_can_stay_by_switch(client: Client, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"brightpearl_refresh_rotates": False})
    form = {"grant_type": "refresh_token", "refresh_token": "sandbox-refresh-token="}

    assert [token(client, **form).json()["refresh_token"] for _ in range(2)] == ["sandbox-refresh-token="] * 2


def test_unknown_client_and_wrong_secret_are_invalid_client(client: Client, sandbox: Sandbox) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "sandbox-refresh-token="}
    answer = token(client, client_id="someone_else", **form)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_client"})

    sandbox.switches.turn({"brightpearl_confidential": True})
    assert token(client, **form).json() == {"error": "invalid_client"}
    assert token(client, **form, client_secret="sandbox-client-secret").status_code == 200


def test_access_token_expires_after_its_lifetime(client: Client, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"brightpearl_token_lifetime_s": 10})
    body = token(client, grant_type="refresh_token", refresh_token="sandbox-refresh-token=").json()
    headers = {**OAUTH, "Authorization": f"Bearer {body['access_token']}"}
    assert body["expires_in"] == 10
    assert client.call("GET", "order-service/order/5002", headers=headers).status_code == 200

    sandbox.switches.turn({"clock_offset_s": 11})
    answer = client.call("GET", "order-service/order/5002", headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"response": "Authorization token expired"})
    assert answer.headers["Message-Type"] == "api-proxy"
    assert "WWW-Authenticate" not in answer.headers


def test_unknown_token_is_named_with_its_padding_escaped(client: Client) -> None:
    answer = client.call("GET", "order-service/order/5002", headers={**OAUTH, "Authorization": "Bearer nonsense=="})

    assert answer.status_code == 401
    assert answer.text == r'{"response":"Invalid instance token: nonsense\u003d\u003d"}'


@pytest.mark.parametrize("missing", ["brightpearl-app-ref", "brightpearl-dev-ref"])
def test_oauth_calls_need_both_app_headers(running: Running, missing: str) -> None:
    client = Client(running, {name: value for name, value in OAUTH.items() if name != missing})
    assert client.call("GET", "order-service/order/5002").status_code == 401


def test_private_staff_and_legacy_apps_are_let_in(running: Running, sandbox: Sandbox) -> None:
    signed = sandbox.brightpearl.authentication.signed_token()
    for headers in (
        PRIVATE,
        {"brightpearl-app-ref": "any", "brightpearl-staff-token": "sandbox-staff-token"},
        {**PRIVATE, "brightpearl-staff-token": "sandbox-staff-token"},
        {"BRIGHTPEARL-APP-REF": "any", "brightpearl-dev-ref": "dev", "brightpearl-account-token": signed},
    ):
        answer = Client(running, headers).call("GET", "order-service/order/5002")
        assert answer.status_code == 200
        assert "Brightpearl-Installed-Integration-Instance-Id" not in answer.headers
    refused = Client(running, {**PRIVATE, "brightpearl-account-token": "guess"}).call("GET", "order-service/order/5002")
    assert refused.json() == {"response": "Not authenticated. You must provide a valid authentication token."}


# --- throttle ------------------------------------------------------------------------------------------------------


def remaining(answer: requests.Response) -> int:
    return int(answer.headers["brightpearl-requests-remaining"])


def test_first_call_of_a_window_shows_199_and_the_window_in_milliseconds(client: Client, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"brightpearl_limit": 200})
    begin_minute(sandbox)

    first, second = (client.call("GET", "order-service/order/5002") for _ in range(2))

    assert [remaining(first), remaining(second)] == [199, 198]
    assert 0 <= int(second.headers["brightpearl-next-throttle-period"]) <= 60_000


def test_call_beyond_the_limit_is_a_503_until_the_window_ends(client: Client, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"brightpearl_limit": 2})
    begin_minute(sandbox, at_s=50)
    assert [client.call("GET", "order-service/order/5002").status_code for _ in range(2)] == [200, 200]

    answer = client.call("GET", "order-service/order/5002")
    assert (answer.status_code, remaining(answer)) == (503, 0)
    assert (
        0 < int(answer.headers["brightpearl-next-throttle-period"]) <= 10_000
    )  # the server's minute, not the client's
    assert answer.json() == {"response": "You have sent too many requests. Please wait before sending another request"}
    assert sandbox.calls.total("brightpearl", "order.read", status=503) == 1

    begin_minute(sandbox, at_s=61)
    assert remaining(client.call("GET", "order-service/order/5002")) == 1


def test_refused_tokens_cost_quota(client: Client, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"brightpearl_limit": 200})
    begin_minute(sandbox)
    bad = {**OAUTH, "Authorization": "Bearer nonsense"}

    assert [remaining(client.call("GET", "order-service/order/1", headers=bad)) for _ in range(3)] == [199, 198, 197]


def test_private_apps_share_a_pool_and_an_oauth_app_has_its_own(
    client: Client, private: Client, running: Running, sandbox: Sandbox
) -> None:
    sandbox.switches.turn({"brightpearl_limit": 200})
    begin_minute(sandbox)
    other = Client(running, {**PRIVATE, "brightpearl-app-ref": "another"})

    assert [remaining(each.call("GET", "order-service/order/5002")) for each in (private, other, client)] == [
        199,
        198,
        199,
    ]


def test_rolling_window_gives_calls_back_one_by_one(client: Client, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"brightpearl_limit": 2, "brightpearl_window": "rolling"})
    client.get("order-service/order/5002")
    sandbox.switches.turn({"clock_offset_s": 30})
    client.get("order-service/order/5002")
    assert client.call("GET", "order-service/order/5002").status_code == 503

    sandbox.switches.turn({"clock_offset_s": 61})
    assert client.call("GET", "order-service/order/5002").status_code == 200
    assert client.call("GET", "order-service/order/5002").status_code == 503


def test_refused_calls_cost_by_switch_only(client: Client, sandbox: Sandbox) -> None:
    for costs, status in ((False, 200), (True, 503)):
        sandbox.reset()
        sandbox.switches.turn(
            {
                "brightpearl_limit": 1,
                "brightpearl_window": "rolling",
                "brightpearl_refused_calls_cost": costs,
                "clock_offset_s": 0,
            }
        )
        client.get("order-service/order/5002")
        sandbox.switches.turn({"clock_offset_s": 30})
        assert client.call("GET", "order-service/order/5002").status_code == 503
        sandbox.switches.turn({"clock_offset_s": 61})
        assert client.call("GET", "order-service/order/5002").status_code == status

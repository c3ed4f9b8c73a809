"""Single exchanges with recorded payloads: what is sent, and what is made of the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import responses

from syncengine import clock
from syncengine.connectors.brightpearl.connector import Brightpearl, connect
from syncengine.connectors.services import Services
from syncengine.errors import AuthenticationFailed, EndpointDown, Forbidden, Misconfigured, Throttled, Transient
from tests.contract.brightpearl.conftest import endpoint_in
from tests.unit.brightpearl.recorded import answer_with, payload

URL = "https://use1.brightpearlconnect.com/public-api/acme"
TOKEN_URL = "https://oauth.brightpearlapp.com/token/acme"
APP = {
    "url": "https://use1.brightpearlconnect.com",
    "account": "acme",
    "app_ref": "acme_sync",
    "dev_ref": "acmedev",
    "limit_per_minute": 0,
}
TOKENS = {"access_token": "OLD=", "refresh_token": "R1="}


def connector(services: Services, secrets: dict[str, str] | None = None, **settings: Any) -> Brightpearl:
    tokens = TOKENS if secrets is None else secrets
    return connect(endpoint_in(services.store, services.vault, {**APP, **settings}, tokens), services)


def sent(number: int = -1) -> Any:
    return responses.calls[number].request


@responses.activate
def test_orders_are_read_in_one_call_by_a_compact_id_set_and_returned_by_key(local: Services) -> None:
    responses.get(f"{URL}/order-service/order/5001-5003,5050", json=payload("order_get"))
    read = connector(local).resources["brightpearl.sales_order"].read(["5003", "5001", "5050", "5002", "no-id"])
    assert read == {"5001": payload("order_get")["response"][0]}
    assert sent().url == f"{URL}/order-service/order/5001-5003,5050"
    assert len(responses.calls) == 1


@responses.activate
def test_an_instance_app_sends_its_token_and_both_references(local: Services) -> None:
    responses.get(f"{URL}/order-service/order/1", json=payload("order_get_unknown_id"))
    assert connector(local).resources["brightpearl.sales_order"].read(["1"]) == {}
    headers = sent().headers
    assert headers["Authorization"] == "Bearer OLD="
    assert (headers["brightpearl-app-ref"], headers["brightpearl-dev-ref"]) == ("acme_sync", "acmedev")


@responses.activate
@pytest.mark.parametrize(("auth", "header"), [("private", "account"), ("staff", "staff")])
def test_a_private_app_sends_its_token_and_its_reference(local: Services, auth: str, header: str) -> None:
    responses.get(f"{URL}/order-service/order/1", json=payload("order_get_unknown_id"))
    secrets = {"account_token": "tokenA", "staff_token": "tokenS"}
    connector(local, secrets, auth=auth).resources["brightpearl.sales_order"].read(["1"])
    headers = sent().headers
    assert headers[f"brightpearl-{header}-token"] == secrets[f"{header}_token"]
    assert headers["brightpearl-app-ref"] == "acme_sync"
    assert "Authorization" not in headers


@responses.activate
def test_a_purchase_order_under_the_same_path_is_no_sales_order(local: Services) -> None:
    order = {**payload("order_get")["response"][0], "orderTypeCode": "PO"}
    responses.get(f"{URL}/order-service/order/5001", json={"response": [order]})
    assert connector(local).resources["brightpearl.sales_order"].read(["5001"]) == {}


@responses.activate
def test_contacts_are_read_on_one_page_of_200(local: Services) -> None:
    responses.get(f"{URL}/contact-service/contact/310", json=payload("contact_get"))
    read = connector(local).resources["brightpearl.contact"].read(["310"])
    assert list(read) == ["310"]
    assert sent().url == f"{URL}/contact-service/contact/310?pageSize=200"


@responses.activate
def test_a_404_of_a_bulk_read_means_that_none_exists(local: Services) -> None:
    answer_with("GET", f"{URL}/contact-service/contact/99999", "error_404_missing")
    assert connector(local).resources["brightpearl.contact"].read(["99999"]) == {}


@responses.activate
def test_optional_sections_are_asked_for_where_the_settings_say_so(local: Services) -> None:
    responses.get(f"{URL}/order-service/order/5001", json=payload("order_get"))
    orders = connector(local, sales_order_optional=["customFields"]).resources["brightpearl.sales_order"]
    orders.read(["5001"])
    assert sent().url.endswith("/order/5001?includeOptional=customFields")


@responses.activate
def test_a_search_sends_the_slash_raw_and_asks_for_the_columns_it_needs(local: Services) -> None:
    responses.get(f"{URL}/order-service/order-search", json=payload("order_search"))
    orders = connector(local).resources["brightpearl.sales_order"]
    (page,) = orders.changes("updated", {"at": "2024-03-04T10:00:00.000Z", "id": 0})
    assert sent().url == (
        f"{URL}/order-service/order-search?orderTypeId=1&updatedOn=2024-03-04T09:59:00.000Z/"
        "&columns=orderId,createdOn,updatedOn&sort=updatedOn.ASC,orderId.ASC&pageSize=500"
    )
    assert [(ref.key, ref.version) for ref in page.refs] == [
        ("5001", "2024-03-04T14:20:31.000Z"),
        ("5050", "2024-03-05T15:05:44.000Z"),
        ("5002", "2024-03-04T16:42:10.000Z"),  # never updated, so it has no place in this feed
    ]


@responses.activate
def test_rows_are_read_by_the_names_that_come_with_them(local: Services) -> None:
    responses.get(f"{URL}/order-service/order-search", json=payload("order_search"))
    orders = connector(local).resources["brightpearl.sales_order"]
    (page,) = orders.changes("created", {})
    assert [(ref.key, ref.version) for ref in page.refs] == [
        ("5001", "2024-03-04T14:20:31.000Z"),
        ("5002", "2024-03-04T16:42:10.000Z"),
        ("5050", "2024-03-05T15:05:44.000Z"),
    ]
    assert orders.version(payload("order_get")["response"][0]) == page.refs[0].version


@responses.activate
def test_a_search_without_hits_is_an_empty_page(local: Services) -> None:
    responses.get(f"{URL}/order-service/order-search", json=payload("order_search_empty"))
    (page,) = connector(local).resources["brightpearl.sales_order"].changes("created", {})
    assert page.refs == []


def test_a_feed_that_a_resource_does_not_have_is_refused_at_once(local: Services) -> None:
    with pytest.raises(LookupError, match="no feed 'shipped'"):
        connector(local).resources["brightpearl.sales_order"].changes("shipped", {})
    with pytest.raises(LookupError, match="it has none"):
        connector(local).resources["brightpearl.postal_address"].changes("updated", {})


@responses.activate
@pytest.mark.parametrize("body", ["{", '{"response":{"results":[[1]]}}', '{"response":[]}'])
def test_a_malformed_search_result_is_transient(local: Services, body: str) -> None:
    responses.get(f"{URL}/order-service/order-search", body=body)
    with pytest.raises(Transient):
        list(connector(local).resources["brightpearl.sales_order"].changes("created", {}))


@responses.activate
def test_an_expired_token_is_refreshed_once_stored_and_the_call_repeated(local: Services) -> None:
    answer_with("GET", f"{URL}/order-service/order/5001", "error_401_expired")
    responses.get(f"{URL}/order-service/order/5001", json=payload("order_get"))
    responses.post(TOKEN_URL, json=payload("oauth_token_response"))
    shop = connector(local)
    assert "5001" in shop.resources["brightpearl.sales_order"].read(["5001"])
    form = dict(part.split("=", 1) for part in responses.calls[1].request.body.split("&"))
    assert form == {"grant_type": "refresh_token", "refresh_token": "R1%3D", "client_id": "acme_sync"}
    granted = payload("oauth_token_response")
    assert sent().headers["Authorization"] == f"Bearer {granted['access_token']}"
    for name in ("access_token", "refresh_token", "api_domain"):
        assert local.vault.read(1, name) == granted[name]


@responses.activate
def test_a_403_costs_no_refresh_and_the_check_says_what_to_do(local: Services) -> None:
    responses.get(f"{URL}/order-service/order/5001", status=403, body="<html>blocked</html>")
    responses.get(f"{URL}/order-service/order-search", status=403, json={"response": "You may not search orders"})
    shop = connector(local)
    with pytest.raises(Forbidden):
        shop.resources["brightpearl.sales_order"].read(["5001"])
    with pytest.raises(Forbidden, match=r"You may not search orders\. Check the app's permissions in Brightpearl"):
        shop.check()
    assert len(responses.calls) == 2


@responses.activate
def test_a_403_of_the_token_endpoint_is_a_matter_of_credentials(local: Services) -> None:
    answer_with("GET", f"{URL}/order-service/order/5001", "error_401_expired")
    responses.post(TOKEN_URL, status=403, body="<html>blocked</html>")
    with pytest.raises(AuthenticationFailed, match="Authorise the app again"):
        connector(local).resources["brightpearl.sales_order"].read(["5001"])


@responses.activate
def test_a_confidential_app_sends_its_secret_to_the_token_endpoint(local: Services) -> None:
    responses.post(TOKEN_URL, json=payload("oauth_token_response"))
    responses.get(f"{URL}/order-service/order/1", json=payload("order_get_unknown_id"))
    shop = connector(local, {"refresh_token": "R1=", "client_secret": "top"})
    shop.resources["brightpearl.sales_order"].read(["1"])  # no access token yet: the refresh token brings one
    assert "client_secret=top" in responses.calls[0].request.body


@responses.activate
def test_an_account_that_moved_is_called_at_the_host_that_the_token_endpoint_names(local: Services) -> None:
    moved = "https://euw1.brightpearlconnect.com/public-api/acme"
    answer_with("GET", f"{URL}/order-service/order/5001", "error_401_expired")
    responses.post(TOKEN_URL, json={**payload("oauth_token_response"), "api_domain": "euw1.brightpearlconnect.com"})
    responses.get(f"{moved}/order-service/order/5001", json=payload("order_get"))
    assert "5001" in connector(local).resources["brightpearl.sales_order"].read(["5001"])


@responses.activate
def test_a_second_refusal_is_an_authentication_failure(local: Services) -> None:
    answer_with("GET", f"{URL}/order-service/order/5001", "error_401_invalid")
    responses.post(TOKEN_URL, json=payload("oauth_token_response"))
    with pytest.raises(AuthenticationFailed, match="Invalid instance token"):
        connector(local).resources["brightpearl.sales_order"].read(["5001"])
    assert [call.request.method for call in responses.calls] == ["GET", "POST", "GET"]


@responses.activate
def test_a_refused_refresh_says_what_to_do_and_shows_no_token(local: Services) -> None:
    answer_with("GET", f"{URL}/order-service/order/5001", "error_401_expired")
    answer_with("POST", TOKEN_URL, "oauth_error_invalid_grant")
    with pytest.raises(AuthenticationFailed, match=r"invalid_grant.*Authorise the app again") as raised:
        connector(local).resources["brightpearl.sales_order"].read(["5001"])
    assert "R1" not in str(raised.value)


@responses.activate
@pytest.mark.parametrize(("status", "body"), [(500, "oops"), (200, "{"), (200, "{}")])
def test_a_token_endpoint_in_trouble_is_transient(local: Services, status: int, body: str) -> None:
    answer_with("GET", f"{URL}/order-service/order/5001", "error_401_expired")
    responses.post(TOKEN_URL, status=status, body=body)
    with pytest.raises(Transient):
        connector(local).resources["brightpearl.sales_order"].read(["5001"])


@responses.activate
def test_a_refused_private_token_is_an_authentication_failure_until_another_one_is_stored(local: Services) -> None:
    answer_with("GET", f"{URL}/order-service/order/5001", "error_401_expired")
    orders = connector(local, {"account_token": "old"}, auth="private").resources["brightpearl.sales_order"]
    with pytest.raises(AuthenticationFailed, match="rejected the account_token"):
        orders.read(["5001"])
    local.vault.write(1, "account_token", "new")
    responses.replace(responses.GET, f"{URL}/order-service/order/5001", json=payload("order_get"))
    responses.get(f"{URL}/order-service/order/5001", json=payload("order_get"))
    assert "5001" in orders.read(["5001"])


@responses.activate
def test_a_throttle_answer_is_waited_for_as_told(local: Services) -> None:
    answer_with("GET", f"{URL}/order-service/order/5001", "error_503_throttle")
    with pytest.raises(Throttled) as raised:
        connector(local).resources["brightpearl.sales_order"].read(["5001"])
    assert raised.value.retry_in_s == 31.25


@responses.activate
def test_an_outage_is_an_endpoint_that_is_down(local: Services) -> None:
    responses.get(f"{URL}/order-service/order/5001", status=503, body="<html>maintenance</html>")
    with pytest.raises(EndpointDown):
        connector(local).resources["brightpearl.sales_order"].read(["5001"])


@responses.activate
def test_a_missing_secret_is_named(local: Services) -> None:
    with pytest.raises(Misconfigured, match=r"endpoint shop is not authorised yet\. Run `syncengine authorise shop`"):
        connector(local, {}).resources["brightpearl.sales_order"].read(["1"])
    assert len(responses.calls) == 0


def test_a_limit_without_a_redis_to_count_in_is_refused(local: Services) -> None:
    with pytest.raises(Misconfigured, match="set REDIS_URL"):
        connector(local, limit_per_minute=200)


@responses.activate
def test_the_sources_clock_is_that_of_its_answers(local: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2024, 3, 4, 14, 20, 32, tzinfo=UTC))
    date = {"Date": "Mon, 04 Mar 2024 14:20:31 GMT"}
    responses.get(f"{URL}/order-service/order-search", json=payload("order_search_empty"), headers=date)
    orders = connector(local).resources["brightpearl.sales_order"]
    (page,) = orders.changes("created", {})
    assert page.source_time.isoformat() == "2024-03-04T14:20:31+00:00"
    assert page.position == {"at": "2024-03-04T14:20:26.000Z", "id": 0}
    assert abs((orders.now() - page.source_time).total_seconds()) < 60


@responses.activate
def test_check_makes_one_call_and_says_what_was_reached(local: Services) -> None:
    responses.get(f"{URL}/order-service/order-search", json=payload("order_search"))
    assert connector(local).check() == "Brightpearl account acme answers as oauth app; it has 3 orders"
    assert len(responses.calls) == 1

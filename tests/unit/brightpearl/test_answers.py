"""Each recorded answer of Brightpearl becomes the error class that says what happens next."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from syncengine import errors
from syncengine.connectors.brightpearl.answers import NothingFound
from syncengine.connectors.brightpearl.errors import answer, throttled_for
from tests.unit.brightpearl.recorded import payload


def response(status: int, body: Any = None, text: str | None = None, **headers: str) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = (text if text is not None else requests.compat.json.dumps(body)).encode()
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return made


def recorded(name: str) -> requests.Response:
    file = payload(name)
    return response(file["status"], file["body"], **file.get("headers", {}))


def failure(given: requests.Response, *, is_write: bool = False) -> errors.SyncError:
    with pytest.raises(errors.SyncError) as raised:
        answer("shop", "GET order-service/order", given, is_write=is_write)
    return raised.value


def test_a_good_answer_keeps_decimals_exact() -> None:
    body = answer("shop", "GET x", response(200, text='{"response":[{"weight":0.35}]}'), is_write=False)
    assert str(body["response"][0]["weight"]) == "0.35"


def test_the_throttle_is_told_from_an_outage_by_its_text_and_waits_as_told_in_milliseconds() -> None:
    throttled = failure(recorded("error_503_throttle"), is_write=True)
    assert isinstance(throttled, errors.Throttled)
    assert throttled.retry_in_s == 31.25
    assert isinstance(failure(response(503, text="<html>Service Unavailable</html>")), errors.EndpointDown)


def test_without_a_header_a_throttle_waits_a_minute() -> None:
    assert throttled_for(response(503, {"response": "Please wait before sending another request"})) == 60
    assert throttled_for(response(429, text="")) == 60
    assert throttled_for(response(503, {"response": "down"})) is None
    assert throttled_for(response(200, {"response": "too many requests"})) is None


def test_nothing_found_is_a_fact_for_a_read_and_a_rejection_for_a_write() -> None:
    with pytest.raises(NothingFound):
        answer("shop", "GET contact", recorded("error_404_missing"), is_write=False)
    assert isinstance(failure(recorded("error_404_missing"), is_write=True), errors.Rejected)


def test_an_unknown_path_is_a_wrong_setting_and_not_an_absent_object() -> None:
    body = {"errors": [{"code": "CMNC-404", "message": "Cannot find the resource /order-service/ordr/1"}]}
    assert isinstance(failure(response(404, body)), errors.Misconfigured)
    assert isinstance(failure(response(404, text="<html>Not Found</html>")), errors.Misconfigured)


def test_a_500_with_a_client_code_is_rejected_with_field_and_value() -> None:
    rejected = failure(recorded("error_500_bad_filter"))
    assert isinstance(rejected, errors.Rejected)
    assert (rejected.field, rejected.value) == ("orderStatusId", "BAD PARAM")
    assert "CMNC-018" in rejected.reason
    patched = failure(recorded("error_500_bad_patch_op"), is_write=True)
    assert isinstance(patched, errors.Rejected)
    assert (patched.field, patched.value) == ("/reference", "add")


def test_a_validation_error_names_its_field_and_remedy() -> None:
    rejected = failure(recorded("error_400_validation"), is_write=True)
    assert isinstance(rejected, errors.Rejected)
    assert rejected.remedy
    several = failure(recorded("error_400_multiple"), is_write=True)
    assert isinstance(several, errors.Rejected)
    assert ";" in several.reason


def test_an_internal_error_is_transient_for_a_read_and_unknown_for_a_write() -> None:
    body = {"errors": [{"code": "CMNU-003", "message": "Internal Server Error"}]}
    assert type(failure(response(500, body))) is errors.Transient
    assert isinstance(failure(response(500, body), is_write=True), errors.OutcomeUnknown)
    assert isinstance(failure(response(502, text="bad gateway"), is_write=True), errors.OutcomeUnknown)


@pytest.mark.parametrize("text", ["", "{", "[1]", "<html/>"])
def test_a_broken_answer_is_transient_for_a_read_and_unknown_for_a_write(text: str) -> None:
    assert type(failure(response(200, text=text))) is errors.Transient
    assert isinstance(failure(response(200, text=text), is_write=True), errors.OutcomeUnknown)


def test_a_refused_token_is_an_authentication_failure_that_does_not_repeat_the_token() -> None:
    refused = failure(recorded("error_401_invalid"))
    assert isinstance(refused, errors.AuthenticationFailed)
    assert "Invalid instance token" in str(refused)
    assert "\u003d" not in str(refused)
    assert "Authorization token expired" in str(failure(recorded("error_401_expired")))


OWN_409 = {"errors": [{"code": "PRDC-017", "message": "A product with this SKU exists"}]}


@pytest.mark.parametrize("status", [408, 409, 423, 425, 499])
@pytest.mark.parametrize("text", ["<html>Request Timeout</html>", "", '{"errors": []}', '{"response": "busy"}'])
def test_a_status_that_a_proxy_gives_says_nothing_about_a_write_and_is_transient_for_a_read(
    status: int, text: str
) -> None:
    assert type(failure(response(status, text=text), is_write=True)) is errors.OutcomeUnknown
    assert type(failure(response(status, text=text))) is errors.Transient


@pytest.mark.parametrize("status", [409, 423])
def test_with_brightpearls_own_errors_the_same_status_is_a_refusal(status: int) -> None:
    rejected = failure(response(status, OWN_409), is_write=True)
    assert isinstance(rejected, errors.Rejected)
    assert "PRDC-017" in rejected.reason


@pytest.mark.parametrize("is_write", [False, True])
def test_a_403_concerns_one_call_and_says_what_to_check(is_write: bool) -> None:
    body = {"errors": [{"code": "CMNC-030", "message": "You do not have permission for this warehouse"}]}
    error = failure(response(403, body), is_write=is_write)
    assert type(error) is errors.Forbidden
    assert "permission for this warehouse. Check the app's permissions" in str(error)
    page = failure(response(403, text="<html>Blocked</html>"), is_write=is_write)
    assert type(page) is errors.Forbidden
    assert "firewall" in str(page)


@pytest.mark.parametrize(
    "body", [{}, {"response": [1]}, {"errors": [{"code": "CMNC-404", "message": "No such warehouse"}]}]
)
def test_mixed_outcomes_are_no_success_of_a_write(body: Any) -> None:
    """207: a destructive call of which some was done and some was not (brightpearl.md section 4)."""
    assert isinstance(failure(response(207, body), is_write=True), errors.OutcomeUnknown)


def test_errors_are_no_success_whatever_the_status_says() -> None:
    """`response` and `errors` never come together (brightpearl.md section 3)."""
    assert isinstance(failure(response(200, OWN_409), is_write=True), errors.OutcomeUnknown)
    assert type(failure(response(200, OWN_409))) is errors.Transient


@pytest.mark.parametrize(
    ("millis", "wait_s"),
    [("31250", 31.25), ("900001", 900), ("9" * 5000, 60), ("\u00b2", 60), ("-1", 60), ("soon", 60)],
)
def test_a_throttle_is_obeyed_for_a_quarter_of_an_hour_at_most(millis: str, wait_s: float) -> None:
    answer = response(503, {"response": "too many requests"}, brightpearl_next_throttle_period=millis)
    assert throttled_for(answer) == wait_s


def test_a_redirection_means_that_the_address_is_wrong() -> None:
    assert isinstance(failure(response(302, text="")), errors.EndpointDown)

"""The error channels (syspro-transport.md section 7) and the endpoint's settings."""

from __future__ import annotations

from typing import Any

import pytest

from syncengine.connectors.syspro import errors
from syncengine.connectors.syspro.business import BusinessObject
from syncengine.connectors.syspro.errors import Absent, Call, OddAnswer, UnknownAnswer
from syncengine.connectors.syspro.order_calls import SORTOI, SORTOX
from syncengine.connectors.syspro.resources.customer import ARSSCS
from syncengine.errors import (
    AuthenticationFailed,
    EndpointDown,
    Forbidden,
    Misconfigured,
    OutcomeUnknown,
    Rejected,
    SessionLost,
    SyncError,
    Transient,
)
from tests.unit.syspro.syspro_fixtures import settings

WRITE = Call("SORTOI", "Post", is_write=True)
READ = Call("SORQRY", "Query", is_write=False)
LOGON = Call("", "Logon", is_write=False)


@pytest.mark.parametrize(
    ("text", "call", "expected"),
    [
        ("ERROR: Invalid user id or user not logged in", READ, SessionLost),
        ("ERROR: Invalid user id or user not logged in", WRITE, SessionLost),
        ("ERROR: Unable to read the SYSPRO base directory registry string BaseDir8", READ, SessionLost),
        ("Error: Sales order '000599' not found", READ, Absent),
        ("ERROR: Sales order '000599' not found", WRITE, UnknownAnswer),
        ("ERROR: e.net exception raised: 100000", WRITE, Rejected),
        ("ERROR: XML element 'X' must be numeric", WRITE, Rejected),
        ("ERROR: nobody has ever seen this", WRITE, UnknownAnswer),
        ("ERROR: nobody has ever seen this", READ, OddAnswer),
        ("ERROR: The service is unavailable", READ, EndpointDown),
        ("ERROR: The service is unavailable", WRITE, UnknownAnswer),
    ],
)
def test_an_error_text_has_one_meaning(text: str, call: Call, expected: type[SyncError]) -> None:
    assert errors.is_error_text(text)
    assert type(errors.from_text(text, call, settings())) is expected


def test_the_pattern_of_a_lost_session_is_a_setting() -> None:
    text = "ERROR: Die Sitzung ist abgelaufen"
    assert isinstance(errors.from_text(text, WRITE, settings()), UnknownAnswer)
    assert isinstance(errors.from_text(text, WRITE, settings(session_lost_pattern="sitzung")), SessionLost)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ERROR: Invalid operator password", AuthenticationFailed),
        ("ERROR: Invalid company", AuthenticationFailed),
        ("ERROR: anything else", AuthenticationFailed),
        ("ERROR: Maximum number of e.net users exceeded", EndpointDown),
        ("ERROR: Operator 'BPSYNC' is already logged in", EndpointDown),
    ],
)
def test_a_refused_logon_is_a_matter_of_credentials_unless_licences_are_taken(
    text: str, expected: type[SyncError]
) -> None:
    assert type(errors.from_logon(text, settings())) is expected


@pytest.mark.parametrize(
    ("status", "body", "call", "is_large", "expected"),
    [
        (200, "<SalesOrders/>", WRITE, False, None),
        (200, "<html><body>maintenance</body></html>", READ, False, EndpointDown),
        (200, "<!DOCTYPE HTML PUBLIC><HTML></HTML>", WRITE, False, OutcomeUnknown),
        (503, "<HTML></HTML>", READ, False, EndpointDown),
        (503, "<HTML></HTML>", WRITE, False, OutcomeUnknown),
        (500, "", READ, False, Transient),
        (400, "<HTML></HTML>", WRITE, False, Rejected),
        (414, "<HTML></HTML>", WRITE, False, Rejected),
        (400, "<HTML></HTML>", WRITE, True, Misconfigured),
        (404, "<HTML></HTML>", WRITE, True, Misconfigured),
        (404, "<HTML></HTML>", READ, False, Misconfigured),
        (401, "", WRITE, False, AuthenticationFailed),
        (407, "", READ, False, AuthenticationFailed),
        (403, "", WRITE, False, Forbidden),
        (403, "<HTML></HTML>", READ, False, Forbidden),
        (403, "<HTML></HTML>", WRITE, True, Forbidden),
        (403, "<HTML></HTML>", LOGON, False, AuthenticationFailed),
        (408, "", WRITE, False, OutcomeUnknown),
        (499, "", READ, False, Transient),
    ],
)
def test_an_answer_that_is_not_sypros_is_told_by_its_status(
    status: int, body: str, call: Call, is_large: bool, expected: type[SyncError] | None
) -> None:
    error = errors.from_http(status, body, call, is_large=is_large)
    assert error is None if expected is None else type(error) is expected


def test_no_password_and_no_session_survives_in_an_error() -> None:
    error = errors.from_text("ERROR: bad call Logon?OperatorPassword=s3cret!&UserId=7A10C44E", READ, settings())
    assert "s3cret" not in str(error)
    assert "7A10C44E" not in str(error)


def test_a_field_that_the_text_names_in_braces_is_found() -> None:
    text = "XML element '{StockLine}{PriceUom}' cannot be spaces"
    line = {"CustomerPoLine": "2", "Price": "19.00000", "ErrorMessages": {"ErrorDescription": text}}
    (error,) = errors.item_errors({"Orders": {"StockLine": line}})
    assert (error.field, error.line) == ("StockLine.PriceUom", "2")


def test_a_customer_on_hold_says_what_can_be_done() -> None:
    found = [errors.ItemError("OrderHeader.Customer", "C1", "", "Customer 'C1' is on hold")]
    assert "sortoi.WarnIfCustomerOnHold" in errors.rejected(found, SORTOI.remedies).remedy


@pytest.mark.parametrize("object", [SORTOX, ARSSCS])
@pytest.mark.parametrize("text", ["Customer 'C1' is on hold", "Credit limit exceeded for customer 'C1'"])
def test_no_remedy_of_another_object_names_a_parameter_of_sortoi(object: BusinessObject, text: str) -> None:
    found = [errors.ItemError("Customer", "C1", "", text)]
    assert "sortoi" not in errors.rejected(found, object.remedies).remedy


def test_a_stock_code_on_hold_is_not_released_by_a_parameter_for_customers() -> None:
    found = [errors.ItemError("StockLine.StockCode", "A", "", "Stock code 'A' is on hold")]
    assert errors.rejected(found, SORTOI.remedies).remedy == "Release the hold in SYSPRO, then retry"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("url", "syspro.example.com"),
        ("url", None),
        ("operator", ""),
        ("gateway", "soap"),
        ("settle_s", "soon"),
        ("settle_s", -1),
        ("get_limit_bytes", 8192.5),
        ("sortoi", "A"),
        ("widths", {"OrderHeader.Email": "80"}),
        ("session_lost_pattern", "("),
        ("upper_case_codes", "perhaps"),
        ("setle_s", 60),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_to_do(setting: str, value: Any) -> None:
    with pytest.raises(Misconfigured, match=setting) as raised:
        settings(**{setting: value})
    assert "syspro-test" in str(raised.value)


def test_the_defaults_are_the_advice_for_a_web_shop() -> None:
    chosen = settings(sortoi={"OrderStatus": "S"}).parameters_of(SORTOI)
    assert (chosen["IgnoreWarnings"], chosen["AllocationAction"], chosen["OrderStatus"]) == ("W", "A", "S")
    assert (chosen["AllowDuplicateOrderNumbers"], chosen["CheckForCustomerPoNumbers"]) == ("N", "Y")


def test_an_api_key_needs_no_operator() -> None:
    assert settings(gateway="harmony", operator="", company="").auth == "api_key"

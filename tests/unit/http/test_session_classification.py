"""What the session makes of answers and of network trouble, exchange by exchange."""

from __future__ import annotations

import logging

import pytest
import requests
import responses

from syncengine.errors import EndpointDown, Misconfigured, OutcomeUnknown, Transient
from syncengine.http.session import Session

URL = "https://api.example/prefix"


@pytest.fixture
def session() -> Session:
    return Session("main", URL)


@responses.activate
def test_any_status_is_given_back_to_the_connector(session: Session) -> None:
    responses.get(f"{URL}/orders", status=503, body="down")
    assert session.send("GET", "/orders", is_write=False).status_code == 503


@responses.activate
def test_a_redirect_is_not_followed(session: Session) -> None:
    responses.get(f"{URL}/orders", status=302, headers={"Location": "https://elsewhere.example/"})
    assert session.send("GET", "/orders", is_write=False).status_code == 302
    assert len(responses.calls) == 1


@responses.activate
def test_a_url_is_sent_exactly_as_it_was_encoded(session: Session) -> None:
    responses.get(f"{URL}/Logon")
    session.send("GET", "/Logon?Operator=%41D%2BMIN&Xml=%3CA%3E", is_write=True)
    assert responses.calls[0].request.url == f"{URL}/Logon?Operator=%41D%2BMIN&Xml=%3CA%3E"


@responses.activate
def test_parameters_keep_the_slash_of_a_period_and_encode_the_plus(session: Session) -> None:
    responses.get(f"{URL}/search")
    session.send("GET", "/search", params={"on": "2024-03-04T09:15:00+01:00/", "c": "a,b"}, is_write=False)
    assert responses.calls[0].request.url == f"{URL}/search?on=2024-03-04T09:15:00%2B01:00/&c=a,b"


@responses.activate
def test_credentials_are_put_on_by_the_callback() -> None:
    responses.post(f"{URL}/orders")

    def authenticate(request: requests.PreparedRequest) -> None:
        request.headers["Authorization"] = "Bearer T"

    Session("main", URL, authenticate=authenticate).send("POST", "/orders", json={"a": 1}, is_write=True)
    sent = responses.calls[0].request
    assert (sent.headers["Authorization"], sent.body) == ("Bearer T", b'{"a": 1}')


@responses.activate
@pytest.mark.parametrize(
    ("trouble", "is_write", "error"),
    [
        (requests.ConnectTimeout(), True, EndpointDown),
        (requests.ReadTimeout(), False, Transient),
        (requests.ReadTimeout(), True, OutcomeUnknown),
        (requests.exceptions.ChunkedEncodingError(), True, OutcomeUnknown),
        (requests.ConnectionError(ConnectionResetError()), False, Transient),
        (requests.ConnectionError(ConnectionResetError()), True, OutcomeUnknown),
    ],
)
def test_trouble_is_told_apart_by_whether_the_bytes_can_have_left(
    session: Session, trouble: Exception, is_write: bool, error: type[Exception]
) -> None:
    responses.get(f"{URL}/orders", body=trouble)
    with pytest.raises(error):
        session.send("GET", "/orders", is_write=is_write)


@responses.activate
def test_neither_logs_nor_errors_show_a_query(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    responses.get(f"{URL}/Logon", body=requests.ConnectionError("https://api.example/Logon?OperatorPassword=hunter2"))
    responses.get(f"{URL}/other", status=500)
    with caplog.at_level(logging.DEBUG), pytest.raises(OutcomeUnknown) as raised:
        session.send("GET", "/Logon?OperatorPassword=hunter2", is_write=True)
    with caplog.at_level(logging.DEBUG):
        session.send("GET", "/other?OperatorPassword=hunter2", is_write=False)
    assert "hunter2" not in caplog.text + str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@responses.activate
def test_success_is_logged_in_silence_and_failure_as_a_warning(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    responses.get(f"{URL}/good")
    responses.get(f"{URL}/bad", status=500)
    with caplog.at_level(logging.DEBUG, "syncengine"):
        session.send("GET", "/good", is_write=False)
        session.send("GET", "/bad", is_write=False, show_path="/shown")
    assert [(record.levelname, record.getMessage().rsplit(",", 1)[0]) for record in caplog.records] == [
        ("DEBUG", "main GET /good 200"),
        ("WARNING", "main GET /shown 500"),
    ]


@pytest.mark.parametrize("url", ["ftp://host/", "host/path", "https://user:secret@host/", "https://host/?a=b"])
def test_an_address_that_cannot_be_used_is_refused_without_showing_credentials(url: str) -> None:
    with pytest.raises(Misconfigured, match="main: the address") as raised:
        Session("main", url)
    assert "secret" not in str(raised.value)


def test_a_ca_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(Misconfigured, match="ca_file"):
        Session("main", URL, ca_file="/nowhere.pem")


def test_a_header_with_a_bad_character_is_refused_without_showing_it(session: Session) -> None:
    with pytest.raises(Misconfigured) as raised:
        session.send("GET", "/", headers={"X-Token": "hunter2\n"}, is_write=False)
    assert "hunter2" not in str(raised.value)

"""The REST form of the WCF service, sessions and licences (syspro-transport.md sections 2 and 5)."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable

import pytest
import requests

from syncengine.sandbox import Running, Sandbox

from .conftest import LOGON, EnetClient, example, head, parsed, stock_line

EXPIRED = "ERROR: Invalid user id or user not logged in"
SORQRY = "<Query><Key><SalesOrder>1</SalesOrder></Key></Query>"


def test_session_id_is_32_hex_digits_two_digits_and_two_blanks(running: Running) -> None:
    user_id = EnetClient(running.url).log_on()

    assert re.fullmatch(r"[0-9A-F]{32}\d\d {2}", user_id)
    assert len(user_id) == 36


def test_every_answer_of_syspro_is_200_octet_stream_errors_included(running: Running) -> None:
    client = EnetClient(running.url)

    for path, query in (("GetVersion", ""), ("Logon", LOGON), ("Query/Query", "UserId=X&BusinessObject=SORQRY&XmlIn=")):
        answer = client.get(path, query)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/octet-stream")
        assert "Microsoft-HTTPAPI/2.0" in answer.headers["Server"]


def test_plain_service_calls(enet: EnetClient) -> None:
    assert enet.call("GetVersion") == "7.0.0.6"
    assert enet.call("GetServiceName") == "SYSPROWCFService"
    profile = parsed(enet.call("GetLogonProfile"))
    assert profile.findtext("OperatorCode") == "BPSYNC"
    assert profile.findtext("LocalCurrencyCode") == "GBP"


def test_path_is_case_insensitive_and_parameters_come_in_any_order(running: Running, enet: EnetClient) -> None:
    answer = requests.get(
        f"{running.url}/sysprowcfservice/REST/query/QUERY?XmlIn={SORQRY}&BusinessObject=SORQRY&UserId={enet.user_id}",
        timeout=5,
    )

    assert answer.text == "ERROR: Sales order '1' not found"


@pytest.mark.parametrize("form", [lambda user_id: user_id, str.strip], ids=["with blanks", "trimmed"])
def test_session_id_is_taken_with_and_without_its_blanks(enet: EnetClient, form: Callable[[str], str]) -> None:
    enet.user_id = form(enet.user_id)

    assert enet.query("SORQRY", SORQRY) == "ERROR: Sales order '1' not found"


def test_logoff_answers_0_and_ends_the_session(enet: EnetClient) -> None:
    assert enet.call("Logoff") == "0"
    assert enet.query("SORQRY", SORQRY) == EXPIRED


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("Operator=BPSYNC&OperatorPassword=no&CompanyId=T&CompanyPassword=", "ERROR: Invalid operator password"),
        ("Operator=NOBODY&OperatorPassword=no&CompanyId=T&CompanyPassword=", "ERROR: Invalid operator"),
        ("Operator=BPSYNC&OperatorPassword=s3cret%21&CompanyId=Z&CompanyPassword=", "ERROR: Invalid company"),
        ("Operator=BPSYNC&OperatorPassword=s3cret%21&CompanyId=T&CompanyPassword=x", "ERROR: Invalid company password"),
        (f"{LOGON}&EncoreInstance=7", "ERROR: Unable to read the SYSPRO base directory registry string BaseDir7"),
    ],
)
def test_refused_logons(running: Running, query: str, text: str) -> None:
    assert EnetClient(running.url).log_on(query) == text


def test_logon_takes_all_recorded_parameters(running: Running) -> None:
    query = f"{LOGON}&LanguageCode=05&LogLevel=0&EncoreInstance=0&XmlIn="

    assert len(EnetClient(running.url).log_on(query)) == 36


def test_id_of_an_instance_that_the_server_does_not_have_names_its_base_directory(enet: EnetClient) -> None:
    enet.user_id = enet.user_id.strip()[:32] + "80"

    text = "ERROR: Unable to read the SYSPRO base directory registry string BaseDir8"
    assert enet.query("SORQRY", SORQRY) == text
    assert enet.call("Logoff") == text


def test_second_logon_of_an_operator_ends_the_first_session(running: Running, enet: EnetClient) -> None:
    EnetClient(running.url).log_on()

    assert enet.query("SORQRY", SORQRY) == EXPIRED


def test_logon_that_asks_to_fail_leaves_the_first_session_alone(running: Running, enet: EnetClient) -> None:
    wish = "<Logon><FailWhenAlreadyLoggedIn>Y</FailWhenAlreadyLoggedIn></Logon>"

    assert EnetClient(running.url).log_on(f"{LOGON}&XmlIn={wish}") == "ERROR: Operator 'BPSYNC' is already logged in"
    assert enet.query("SORQRY", SORQRY) == "ERROR: Sales order '1' not found"


def test_licences_run_out_until_somebody_is_idle_beyond_the_time_out(make_sandbox: Callable[..., Running]) -> None:
    running = make_sandbox(syspro_licences=1, syspro_idle_minutes=10)
    first, second = EnetClient(running.url), EnetClient(running.url)
    first.log_on()
    other = LOGON.replace("BPSYNC", "BPTEST")

    assert second.log_on(other) == "ERROR: Maximum number of e.net users exceeded"
    running.sandbox.switches.turn({"clock_offset_s": 601})
    assert len(second.log_on(other)) == 36
    assert first.query("SORQRY", SORQRY) == EXPIRED


def test_idle_session_lives_on_unless_the_site_ends_it(make_sandbox: Callable[..., Running]) -> None:
    running = make_sandbox(syspro_idle_minutes=10)
    client = EnetClient(running.url)
    client.log_on()

    running.sandbox.switches.turn({"clock_offset_s": 601})
    assert client.query("SORQRY", SORQRY) == "ERROR: Sales order '1' not found"
    running.sandbox.switches.turn({"clock_offset_s": 1202, "syspro_idle_ends_session": True})
    assert client.query("SORQRY", SORQRY) == EXPIRED


def test_text_of_an_expired_session_is_a_switch(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_expired_text="Session profile missing").url)
    client.user_id = "0" * 34

    assert client.query("SORQRY", SORQRY) == "ERROR: Session profile missing"


def test_json_quoted_bodies_are_a_switch(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_json_bodies=True).url)

    body = client.log_on()
    assert (body[0], body[-1]) == ('"', '"')
    assert len(json.loads(body)) == 36


def test_writes_are_gets_and_only_postld_is_posted(running: Running, enet: EnetClient) -> None:
    post = requests.post(f"{enet.url}/Transaction/Post?UserId={enet.user_id}", timeout=5)
    unknown = enet.get("Sales/Order")

    assert (post.status_code, unknown.status_code) == (405, 404)
    assert "text/html" in post.headers["Content-Type"]


def test_uri_beyond_the_cap_is_answered_by_http_sys_in_html(enet: EnetClient) -> None:
    answer = enet.get("Transaction/Post", "XmlIn=" + "a" * 16_384)

    assert answer.status_code == 400
    assert "<HTML>" in answer.text
    assert "text/html" in answer.headers["Content-Type"]


def test_large_document_goes_by_postld(enet: EnetClient) -> None:
    body = example("wcf_rest_postld_body.xml", _7A10C44E9B0D4F5C8E2231A0B6D9F70400=enet.user_id.strip())

    answer = requests.post(
        f"{enet.url}/Transaction/PostLD", data=body.encode(), headers={"Content-Type": "application/xml"}, timeout=5
    )

    assert answer.status_code == 200
    assert parsed(answer.text).findtext("StatusOfItems/ItemsProcessed") == "000001"
    assert enet.find("SorMaster", "CustomerPoNumber") == [{"CustomerPoNumber": "500123"}]


def test_service_that_is_too_old_does_not_know_postld(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_postld=False).url)

    assert requests.post(f"{client.url}/Transaction/PostLD", data="<x/>", timeout=5).status_code == 404


def test_unlicensed_and_unknown_objects_raise_exception_100000(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_unlicensed="SORTOI,ARSSCS").url)
    client.log_on()

    assert client.post("SORTOI", "", "<SalesOrders/>").startswith("ERROR: e.net exception 100000")
    assert client.post("SORTBK", "", "<x/>").startswith("ERROR: e.net exception 100000")


def test_malformed_document_fails_the_call(enet: EnetClient) -> None:
    assert enet.post("SORTOI", "", "<SalesOrders><Orders>").startswith("ERROR: ")
    assert enet.post("SORTOI", "", "<!DOCTYPE a [<!ENTITY b 'c'>]><SalesOrders>&b;</SalesOrders>").startswith("ERROR: ")


def test_one_call_at_a_time_on_a_session(sandbox: Sandbox, enet: EnetClient) -> None:
    session = sandbox.syspro.sessions.require(enet.user_id)
    answers: list[str] = []
    call = threading.Thread(target=lambda: answers.append(enet.query("SORQRY", SORQRY)))

    with session.gate:
        call.start()
        call.join(0.1)
        assert answers == []
    call.join(5)
    assert answers == ["ERROR: Sales order '1' not found"]


@pytest.mark.parametrize(
    ("rule", "shown"),
    [("question_mark", "Zo\xeb \u20ac ??"), ("keep", "Zo\xeb \u20ac \u0141\u4eac")],
)
def test_characters_beyond_windows_1252(make_sandbox: Callable[..., Running], rule: str, shown: str) -> None:
    client = EnetClient(make_sandbox(syspro_outside_cp1252=rule).url)
    client.log_on()
    client.import_order(head(more="<CustomerName>Zo\xeb \u20ac \u0141&#20140;</CustomerName>"))

    assert client.read_order("1001").findtext("CustomerName") == shown


def test_site_may_refuse_characters_beyond_windows_1252(make_sandbox: Callable[..., Running]) -> None:
    client = EnetClient(make_sandbox(syspro_outside_cp1252="refuse").url)
    client.log_on()
    reply = client.import_order(head(more="<CustomerName>\u0141ukasz</CustomerName>"))

    assert reply.findtext("StatusOfItems/ItemsProcessed") == "000000"


def test_reply_declares_windows_1252_and_is_encoded_so(enet: EnetClient) -> None:
    enet.import_order(head(more="<CustomerName>Zo\xeb</CustomerName>"), stock_line())
    answer = enet.get(
        "Query/Query", f"UserId={enet.user_id}&BusinessObject=SORQRY&XmlIn={SORQRY.replace('>1<', '>1001<')}"
    )

    assert answer.content.startswith(b'<?xml version="1.0" encoding="Windows-1252"?>\n')
    assert b"Zo\xeb" in answer.content
    assert answer.content.endswith(b"\n ")


def test_restart_loses_all_sessions_and_answers_503_meanwhile(
    enet: EnetClient, control: Callable[..., requests.Response]
) -> None:
    control("POST", "restart", refused_s=0, unavailable_s=60)
    assert enet.get("GetVersion").status_code == 503

    control("POST", "restart", refused_s=60, unavailable_s=0)
    with pytest.raises(requests.ConnectionError):
        enet.get("GetVersion")

    control("POST", "restart", refused_s=0, unavailable_s=0)
    assert enet.query("SORQRY", SORQRY) == EXPIRED

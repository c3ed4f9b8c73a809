"""Documents as dicts, and the decoding of bodies (syspro-transport.md section 2.3)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.connectors.syspro import xml

DECLARED = b'<?xml version="1.0" encoding="Windows-1252"?>\n'


def test_a_document_is_built_on_one_line_and_escaped() -> None:
    document = {"SalesOrders": {"Orders": [{"Name": "Alder & Finch <Ltd>"}, {"Name": ""}]}}
    assert xml.build(document) == (
        "<SalesOrders><Orders><Name>Alder &amp; Finch &lt;Ltd&gt;</Name></Orders><Orders><Name/></Orders></SalesOrders>"
    )


def test_attributes_are_built_and_parsed() -> None:
    document = {"Query": {"Filter": {"Customer": {"@FilterType": "S", "@FilterValue": 'a"b'}}}}
    assert xml.parse(xml.build(document)) == document


@given(
    st.recursive(
        st.text(st.characters(codec="cp1252", exclude_categories=["Cc"]), max_size=20).map(str.strip),
        lambda inner: st.dictionaries(st.from_regex(r"[A-Za-z]{1,8}", fullmatch=True), inner, min_size=1, max_size=4),
        max_leaves=10,
    )
)
def test_what_was_built_parses_to_the_same(content: object) -> None:
    document = {"Root": content}
    assert xml.parse(xml.build(document)) == document


def test_values_must_be_texts_so_that_no_float_is_formatted_by_chance() -> None:
    with pytest.raises(TypeError):
        xml.build({"Root": {"Price": 1.5}})


def test_no_element_name_can_break_out_of_the_document() -> None:
    with pytest.raises(ValueError, match="not an element name"):
        xml.build({"Root": {"a><b": "x"}})


def test_a_recorded_reply_parses_with_prefixes_blanks_and_single_quotes() -> None:
    body = DECLARED + (
        b"<SorDetail Language='05' OperatorPrimaryRole='   '   xmlns:SALSLS=\"SALSLS\" >\n<SalesOrder>000512</SalesOrder>\n"
        b"<SALSLS:Name>Web shop</SALSLS:Name>\n<HeaderText>\n</HeaderText>\n<GITReference/>\n<CustomerName>Caf\xe9 \x80"
        b"</CustomerName>\n</SorDetail>\n "
    )
    content = xml.content_of(xml.parse(xml.decode(body)))
    assert content["SALSLS:Name"] == "Web shop"
    assert content["CustomerName"] == "Café €"
    assert content["HeaderText"] == content["GITReference"] == ""


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><x/>',
        "<x><y></x>",
        "",
        "not xml",
    ],
)
def test_dtds_entities_and_broken_documents_are_refused(document: str) -> None:
    with pytest.raises(xml.MalformedXml):
        xml.parse(document)


@pytest.mark.parametrize(
    "body",
    [
        DECLARED + b"<a>\xa3</a>\n ",
        b'<?xml version="1.0" encoding="utf-8"?><a>\xc2\xa3</a>',
        b"\xef\xbb\xbf<a>\xc2\xa3</a>",
        '<?xml version="1.0" encoding="utf-16"?><a>£</a>'.encode("utf-16"),
        '<?xml version="1.0" encoding="utf-16"?><a>£</a>'.encode("utf-16-le"),
        json.dumps('<?xml version="1.0" encoding="Windows-1252"?>\n<a>£</a>\n ').encode(),
        b"<a>\xa3</a>",
    ],
)
def test_bodies_are_decoded_whatever_their_wrapping(body: bytes) -> None:
    assert xml.parse(xml.decode(body)) == {"a": "£"}


def test_a_session_id_loses_its_trailing_blanks_and_quotes() -> None:
    assert xml.decode(b"7A10C44E9B0D4F5C8E2231A0B6D9F70400  ") == "7A10C44E9B0D4F5C8E2231A0B6D9F70400"
    assert xml.decode(b'"7A10C44E9B0D4F5C8E2231A0B6D9F704"') == "7A10C44E9B0D4F5C8E2231A0B6D9F704"


@given(st.binary(max_size=60))
def test_any_body_decodes(body: bytes) -> None:
    assert isinstance(xml.decode(body), str)


def test_look_ups_ignore_case_and_take_one_or_many() -> None:
    document = xml.parse("<setuparcustomer><item><key><customer>1</customer></key></item></setuparcustomer>")
    assert xml.text_of(document, "SetupArCustomer", "Item", "Key", "Customer") == "1"
    assert len(xml.all_of(xml.content_of(document), "Item")) == 1
    assert xml.all_of(xml.content_of(document), "Nothing") == []
    assert xml.text_of(document, "SetupArCustomer", "Missing", "Key") == ""

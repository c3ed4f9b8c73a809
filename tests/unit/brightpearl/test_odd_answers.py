"""Answers that no JSON reader expects: one document's oddity is that document's, and the answer is read."""

from __future__ import annotations

from decimal import Decimal

import pytest
import requests

from syncengine.connectors.brightpearl.errors import body_of


def _answer(text: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response._content = text.encode()
    return response


@pytest.mark.parametrize("levels", [51, 900, 5_000, 100_000])
def test_what_is_nested_too_deeply_becomes_a_text_that_says_so_and_the_rest_is_read(levels: int) -> None:
    deep = "[" * levels + "]" * levels
    body = body_of(_answer(f'{{"response": [{{"id": 1, "a": {deep}}}, {{"id": 2, "b": "[[{{\\"", "c": {{}}}}]}}'))

    assert [one["id"] for one in body["response"]] == [1, 2]
    assert body["response"][1] == {"id": 2, "b": '[[{"', "c": {}}
    if levels > 1_000:
        inner, depth = body["response"][0]["a"], 3
        while isinstance(inner, list):
            inner, depth = inner[0], depth + 1
        assert inner == "(nested too deeply)"
        assert depth == 50


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1" * 5_000, "1" * 5_000),
        ("12", 12),
        ("-12.50", Decimal("-12.50")),
    ],
)
def test_what_can_be_no_number_is_a_text(text: str, value: object) -> None:
    assert body_of(_answer(f'{{"a": {text}}}')) == {"a": value}


@pytest.mark.parametrize(
    "text", ["", "<html>", "{", '{"a": "\udcff"}'.encode("utf-8", "surrogateescape").decode("latin-1")[:5]]
)
def test_what_is_no_json_is_none(text: str) -> None:
    assert body_of(_answer(text)) is None

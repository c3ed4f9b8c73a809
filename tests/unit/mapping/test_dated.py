"""Dated tables: the latest entry at or before a day holds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.errors import Misconfigured, Rejected
from syncengine.mapping.contract import Context
from syncengine.mapping.dated import entry_on, in_force
from syncengine.mapping.runtime import Unfit
from tests.unit.mapping.mapping_fixtures import made

DAYS = st.dates(date(2020, 1, 1), date(2020, 1, 12))
CODES = st.sampled_from(["A", "A1", "B"])
HISTORIES = st.dictionaries(CODES, st.dictionaries(st.none() | DAYS, st.integers(0, 99).map(str)))


def _table(histories: dict[str, dict[date | None, str]]) -> dict[str, str]:
    return {
        code if day is None else f"{code}@{day}": value
        for code, history in histories.items()
        for day, value in history.items()
    }


@given(HISTORIES, CODES, DAYS)
def test_the_entry_of_a_day_is_the_last_one_found_by_going_through_the_days(
    histories: dict[str, dict[date | None, str]], code: str, on: date
) -> None:
    history = histories.get(code, {})
    expected = history.get(None)
    for number in range(date(2020, 1, 1).toordinal(), on.toordinal() + 1):
        expected = history.get(date.fromordinal(number), expected)

    table = _table(histories)
    assert entry_on(table, code, on) == expected
    assert entry_on(table, code, None) == history.get(None)
    assert in_force(table, on).get(code) == expected


@pytest.mark.parametrize("written", ["2026-4-1", "20260401", "2026-02-30", "", "later", "2026-W14-3"])
def test_a_date_that_is_written_otherwise_is_refused_by_name(written: str) -> None:
    with pytest.raises(Unfit, match="the entry 'T20@"):
        entry_on({"T20": "20", f"T20@{written}": "21"}, "T20", date(2026, 5, 1))

    assert entry_on({"T5": "5", f"T20@{written}": "21"}, "T5", date(2026, 5, 1)) == "5"


DOC: dict[str, Any] = {"title": " T20 ", "day": date(2026, 4, 1), "at": datetime(2026, 4, 1, tzinfo=UTC)}


def _value(expression: str, doc: dict[str, Any], **lookups: str) -> Any:
    mapping = made(f'free: {{from: "{expression}"}}', lookups={"rates": {"T20": "20", "T20@2026-04-01": "21"}})
    return mapping.apply(doc, Context(lookups={"rates": lookups}))[""].get("free")


@pytest.mark.parametrize(
    ("day", "expected"), [(date(2026, 3, 31), "20"), (date(2026, 4, 1), "21"), (date(2027, 1, 1), "21"), (None, "20")]
)
def test_an_expression_asks_for_the_entry_of_a_day(day: date | None, expected: str) -> None:
    assert _value("dated('rates', title, day)", {**DOC, "day": day}) == expected


def test_entries_of_the_connection_go_before_those_of_the_file() -> None:
    assert _value("dated('rates', title, day)", DOC, **{"T20@2026-04-01": "22"}) == "22"
    assert _value("dated('rates', title, day)", DOC, **{"T20@2026-03-01": "19"}) == "21"


def test_a_key_without_an_entry_has_none() -> None:
    assert _value("dated('rates', 'T5', day)", DOC) is None


def test_a_day_that_is_no_date_is_rejected() -> None:
    with pytest.raises(Rejected, match="a date is needed"):
        _value("dated('rates', title, custom.DAY)", {**DOC, "custom": {"DAY": "2026-04-01"}})


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("dated('rates', title)", "dated() takes a table in quotes, a key and a date"),
        ("dated(title, title, day)", "dated() takes a table in quotes"),
        ("dated('ratse', title, day)", "there is no lookup table 'ratse' (did you mean rates?)"),
        ("dated('rates', title, at)", "dated() takes a date, but at is datetime: name it under values:"),
        ("datde('rates', title, day)", "there is no function 'datde' (did you mean dated?)"),
    ],
)
def test_a_wrong_call_is_refused_at_load(expression: str, said: str) -> None:
    with pytest.raises(Misconfigured) as error:
        _value(expression, DOC)

    assert said in str(error.value)

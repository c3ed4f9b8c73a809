"""Numbers, dates and characters as recorded replies have them (syspro-transport.md sections 2.3 and 6)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.connectors.syspro import values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("       24.95000", Decimal("24.95000")),
        ("38,400.000", Decimal("38400.000")),
        ("1,234,567.5", Decimal("1234567.5")),
        ("12.50-", Decimal("-12.50")),
        ("-12.50", Decimal("-12.50")),
        ("- 12.50", Decimal("-12.50")),
        ("1,000-", Decimal("-1000")),
        ("000001", Decimal(1)),
        (".5", Decimal("0.5")),
        ("", None),
        ("    ", None),
    ],
)
def test_numbers_are_read_padded_with_commas_and_with_a_minus_at_either_end(
    text: str, expected: Decimal | None
) -> None:
    assert values.number(text) == expected


@pytest.mark.parametrize("text", ["12,50", "1.234,56", "abc", "--1", "-1-", "1e5", "12.5.1", "NaN", "Infinity", ","])
def test_what_is_no_number_is_refused_and_never_read_a_hundredfold(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        values.number(text)


@given(st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, places=5), st.booleans(), st.booleans())
def test_every_number_that_syspro_may_write_is_read_exactly(value: Decimal, grouped: bool, trailing: bool) -> None:
    shown = f"{abs(value):,}" if grouped else f"{abs(value):f}"
    shown = f"{shown}-" if value < 0 and trailing else f"-{shown}" if value < 0 else shown
    assert values.number(f"{shown:>24}") == value


@given(st.text(max_size=20))
def test_any_text_is_a_number_nothing_or_refused(text: str) -> None:
    try:
        found = values.number(text)
    except ValueError:
        return
    assert found is None or found.is_finite()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-04", date(2026, 3, 4)),
        ("2026/03/04", date(2026, 3, 4)),
        ("20260304", date(2026, 3, 4)),
        ("", None),
        ("0000-00-00", None),
        ("   ", None),
    ],
)
def test_dates_come_in_three_forms_and_none_is_blank_or_zero(text: str, expected: date | None) -> None:
    assert values.day(text) == expected


@pytest.mark.parametrize("text", ["04/03/2026", "2026-13-01", "soon"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a date|month must be"):
        values.day(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Łódź Zażółć", "Lódz Zazólc"),  # ó is in Windows-1252 and stays
        ("Ærø Straße", "Ærø Straße"),
        ("Москва", "Moskva"),
        ("Αθήνα", "Athina"),
        ("Dvořák Šťastný", "Dvorák Štastný"),
        ("日本", "??"),
        ("Jose\u0301", "José"),
        ("€ 5 – “now”", "€ 5 – “now”"),
        ("a\u200bb", "ab"),
    ],
)
def test_characters_outside_windows_1252_are_transliterated(text: str, expected: str) -> None:
    assert values.transliterated(text) == expected


@given(st.text(max_size=50))
def test_a_transliterated_text_always_fits_and_stays_as_it_is(text: str) -> None:
    written = values.transliterated(values.one_line(text))
    written.encode("cp1252")
    assert values.transliterated(written) == written


def test_money_is_rounded_half_up_and_floats_are_refused() -> None:
    assert values.quantised("2.345", 2) == Decimal("2.35")
    assert values.quantised(Decimal("-0.001"), 2) == Decimal("0.00")
    assert str(values.quantised(3, 5)) == "3.00000"
    with pytest.raises(ValueError, match="not an exact number"):
        values.quantised(0.1, 2)


def test_dates_of_documents_are_dates_times_or_texts() -> None:
    assert values.day_of(datetime(2026, 3, 4, 23, 0, tzinfo=UTC)) == date(2026, 3, 4)
    assert values.day_of("2026-03-04") == date(2026, 3, 4)


def test_control_characters_become_blanks() -> None:
    assert values.one_line(" Leave\r\nwith\x0breception\t") == "Leave with reception"

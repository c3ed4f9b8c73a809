from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncengine.mapping.texts import spread, wrap

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=120)


def test_a_short_text_is_one_piece() -> None:
    assert wrap("Unit 4", 40) == ["Unit 4"]


def test_nothing_is_no_piece() -> None:
    assert wrap("", 40) == []
    assert wrap("  \n ", 40) == []


def test_a_long_text_breaks_at_a_space() -> None:
    assert wrap("one two three four", 9) == ["one two", "three", "four"]


def test_a_word_beyond_the_length_breaks_inside() -> None:
    assert wrap("abcdefghij kl", 4) == ["abcd", "efgh", "ij", "kl"]
    assert wrap("ab cdefghij kl", 5) == ["ab", "cdefg", "hij", "kl"]


def test_every_text_has_its_own_line_where_all_fit() -> None:
    assert spread(["Unit 4", "", "Leeds"], 3, 10) == (["Unit 4", "", "Leeds"], "")


def test_what_is_too_long_runs_over_the_next_free_line() -> None:
    assert spread(["one two three", "", "Leeds"], 3, 8) == (["one two", "three", "Leeds"], "")


def test_the_next_text_gives_way_to_one_that_runs_over() -> None:
    assert spread(["one two three", "Leeds", ""], 3, 8) == (["one two", "three", "Leeds"], "")


def test_blank_lines_are_used_where_a_later_text_runs_over() -> None:
    assert spread(["a", "", "one two three"], 3, 8) == (["a", "one two", "three"], "")


def test_texts_share_lines_where_nothing_else_helps() -> None:
    assert spread(["one two thr", "b", "c"], 3, 8) == (["one two", "thr, b,", "c"], "")


def test_what_does_not_fit_at_all_is_given_back() -> None:
    assert spread(["aaaa bbbb", "cccc", "dddd"], 2, 5) == (["aaaa", "bbbb,"], "cccc, dddd")


def test_the_end_of_a_name_takes_the_first_line() -> None:
    assert spread(["1 Road", "", "Leeds"], 3, 10, "of Bath") == (["of Bath", "1 Road", "Leeds"], "")


@given(st.lists(TEXTS, min_size=1, max_size=6), st.integers(1, 8), st.integers(1, 50))
def test_no_character_is_ever_lost(texts: list[str], fields: int, longest: int) -> None:
    lines, rest = spread(texts, fields, longest)

    assert len(lines) == fields
    assert all(len(line) <= longest for line in lines)
    kept = "".join("".join([*lines, rest]).split()).replace(",", "")
    assert kept == "".join("".join(texts).split()).replace(",", "")


@given(TEXTS, st.integers(1, 50))
def test_pieces_are_never_too_long_and_hold_the_whole_text(text: str, longest: int) -> None:
    pieces = wrap(text, longest)

    assert all(0 < len(piece) <= longest for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from syncengine.errors import Rejected
from syncengine.mapping.contract import Context, MissingLookup, Need
from tests.unit.mapping.mapping_fixtures import made, mapped

MIDNIGHT_IN_JUNE = datetime(2024, 6, 30, 23, 30, tzinfo=UTC)  # half past midnight on 1 July in London


@pytest.mark.parametrize(
    ("entry", "doc", "expected"),
    [
        ("key: {from: title}", {"title": " x "}, "x"),
        ("key: {from: buyer.name}", {"buyer": {"name": "Robin"}}, "Robin"),
        ("key: {from: buyer.friend.name}", {"buyer": None}, None),
        ("key: {from: custom.PCF_SIZE}", {"custom": {"PCF_SIZE": "XL"}}, "XL"),
        ("key: {from: \"custom['a-b']\"}", {"custom": {"a-b": "c"}}, "c"),
        ("key: {first: [title, number(note)]}", {"title": "x"}, "x"),
        ("key: {value: Y}", {}, "Y"),
        ("key: {from: id}", {"id": 4711}, "4711"),
        ("key: {from: total}", {"total": Decimal("10.500")}, "10.5"),
        ("key: {from: total, places: 2}", {"total": Decimal("10.5")}, "10.50"),
        ("number: {from: total}", {"total": Decimal("3.0")}, 3),
        ("number: {from: total, rounding: half_even}", {"total": Decimal("2.5")}, 2),
        ("number: {from: total, rounding: half_up}", {"total": Decimal("2.5")}, 3),
        ("number: {from: title}", {"title": " 12 "}, 12),
        ("amount: {from: id}", {"id": 3}, Decimal(3)),
        ("amount: {from: title}", {"title": "1.25"}, Decimal("1.25")),
        ("amount: {from: total, places: 2}", {"total": Decimal("1.005")}, Decimal("1.01")),
        ("amount: {from: total, places: 2, rounding: half_even}", {"total": Decimal("1.005")}, Decimal("1.00")),
        ("amount: {from: total, places: 2, rounding: down}", {"total": Decimal("-1.009")}, Decimal("-1.00")),
        ("amount: {from: total, as: integer, rounding: half_up}", {"total": Decimal("7.6")}, Decimal(8)),
        ("date: {from: day}", {"day": date(2024, 3, 4)}, date(2024, 3, 4)),
        ("date: {from: at, zone: Europe/London}", {"at": MIDNIGHT_IN_JUNE}, date(2024, 7, 1)),
        ("date: {from: at, zone: UTC}", {"at": MIDNIGHT_IN_JUNE}, date(2024, 6, 30)),
        ("date: {from: at, zone: settings.zone}", {"at": MIDNIGHT_IN_JUNE}, date(2024, 7, 1)),
        ("date: {from: title, format: '%d.%m.%Y'}", {"title": "04.03.2024"}, date(2024, 3, 4)),
        ("time: {from: day, zone: Europe/London}", {"day": date(2024, 7, 1)}, datetime(2024, 6, 30, 23, tzinfo=UTC)),
        (
            "time: {from: title, format: '%Y-%m-%d %H:%M', zone: Europe/London}",
            {"title": "2024-07-01 00:30"},
            MIDNIGHT_IN_JUNE,
        ),
        (
            "time: {from: title, format: '%Y-%m-%d%z'}",
            {"title": "2024-07-01+0100"},
            datetime(2024, 6, 30, 23, tzinfo=UTC),
        ),
        ("key: {from: day}", {"day": date(2024, 3, 4)}, "2024-03-04"),
        ("key: {from: at, zone: Europe/London, format: '%d %b %H:%M'}", {"at": MIDNIGHT_IN_JUNE}, "01 Jul 00:30"),
        ("flag: {from: paid}", {"paid": False}, False),
        ("flag: {from: title}", {"title": "Yes"}, True),
        ("flag: {from: title}", {"title": "n"}, False),
        ("key: {join: [buyer.name, title, id], with: ' / '}", {"buyer": {"name": "a"}, "title": "", "id": 3}, "a / 3"),
        ("key: {join: [buyer.name, title]}", {}, None),
        ("key: {first: [title, buyer.name]}", {"title": " ", "buyer": {"name": "b"}}, "b"),
        ("key: {from: title, default: none at all}", {"title": ""}, "none at all"),
        ("key: {from: title, default: settings.zone}", {}, "Europe/London"),
        ("amount: {from: total, default: 0, places: 2}", {}, Decimal("0.00")),
        ("key: {from: title, case: upper}", {"title": "ab"}, "AB"),
        ("key: {from: title, case: lower}", {"title": "AB"}, "ab"),
        ("key: {from: title, max: 7, on_long: cut}", {"title": "one two three"}, "one two"),
        ("key: {when: paid, then: \"'Y'\", else: \"'N'\"}", {"paid": True}, "Y"),
        ("key: {when: paid, then: \"'Y'\", else: \"'N'\"}", {"paid": False}, "N"),
        ("key: {when: paid, from: title}", {"paid": False, "title": "x"}, None),
        ("key: {cases: [{when: id == 1, then: \"'a'\"}, {else: title}]}", {"id": 1}, "a"),
        ("key: {cases: [{when: id == 1, then: \"'a'\"}, {else: title}]}", {"id": 2, "title": "t"}, "t"),
        ("key: {cases: [{when: id == 1, then: \"'a'\"}]}", {"id": 2}, None),
        ("key: {from: title, lookup: codes}", {"title": "a"}, "A"),
        ("key: {from: id, lookup: codes}", {"id": 1}, "one"),
        ("key: {from: title, lookup: codes}", {"title": None}, None),
        ("key: {from: title, lookup: codes, miss: pass}", {"title": "z"}, "z"),
        ("key: {from: id, lookup: codes, miss: pass}", {"id": 9}, "9"),
        ("key: {from: title, lookup: codes, default: D}", {"title": "z"}, "D"),
        ("key: {from: title, lookup: codes, miss: default, default: ''}", {"title": "z"}, None),
        ("key: {from: \"lookup('codes', title)\"}", {"title": "a"}, "A"),
        ("key: {from: \"lookup('codes', title, 'D')\"}", {"title": "z"}, "D"),
        ("key: {when: paid, from: note, else: title, default: CASH}", {"paid": False, "title": " "}, "CASH"),
        ("key: {when: paid, from: note, else: title, default: CASH}", {"paid": True, "title": "x"}, "CASH"),
        ("key: {when: paid, from: note, default: CASH}", {"paid": True}, "CASH"),
        ("key: {when: paid, from: note, default: CASH}", {"paid": False}, None),
        (
            "amount: {when: paid, from: total, else: rate, places: 1}",
            {"paid": False, "rate": Decimal("1.25")},
            Decimal("1.3"),
        ),
        ("key: {when: paid, from: id, else: title, case: upper, max: 5}", {"title": "abc"}, "ABC"),
        ("key: {when: title, then: \"'Y'\", else: \"'N'\"}", {"title": " \t"}, "N"),
        ("amount: {from: note, default: 0}", {"note": "  "}, Decimal(0)),
        ("amount: {from: note}", {"note": "  "}, None),
        ("date: {from: note, format: '%Y-%m-%d'}", {"note": " "}, None),
        ("flag: {from: note}", {"note": " "}, None),
        ("key: {from: anything, lookup: codes, default: D}", {"anything": " "}, "D"),
        ("amount: {from: total * -1}", {"total": Decimal("0.00")}, Decimal("0.00")),
        ("amount: {from: title}", {"title": "-0.0"}, Decimal("0.0")),
        ("amount: {from: total}", {"total": Decimal("-0")}, Decimal(0)),
        ("key: {from: total * -1}", {"total": Decimal("0.00")}, "0"),
        ("key: {from: text(total * -1)}", {"total": Decimal("0.00")}, "0"),
        ("free: {from: total * -1}", {"total": Decimal("0.00")}, Decimal("0.00")),
        ("free: {from: '[x * -1 for x in anything]'}", {"anything": [Decimal(0)]}, [Decimal(0)]),
        ("key: {value: 1.10}", {}, "1.10"),
        ("key: {value: 1.10, places: 1}", {}, "1.1"),
        ("key: {value: 007.50}", {}, "007.50"),
        ("key: {from: title, default: 4000.10}", {}, "4000.10"),
        ("key: {from: \"'v' + text(1.10)\"}", {}, "v1.10"),
        ("amount: {value: 1.10}", {}, Decimal("1.10")),
        ("free: {value: 1.10}", {}, Decimal("1.10")),
        ("date: {from: 'days(day, 1)'}", {"day": date(2026, 3, 28)}, date(2026, 3, 29)),
        ("date: {from: title, format: '%Y-%j'}", {"title": "2026-032"}, date(2026, 2, 1)),
        ("date: {from: title, format: '%G-W%V-%u'}", {"title": "2026-W01-1"}, date(2025, 12, 29)),
        ("key: {from: title, lookup: codes, default: '?'}", {"title": " a\u00a0"}, "A"),
        ("key: {join: [tags, title], with: '-'}", {"tags": ["a", " "], "title": "b"}, "a-b"),
        ("words: {from: tags}", {"tags": ["a", "b"]}, ["a", "b"]),
        ("free: {from: anything}", {"anything": {"x": 1}}, {"x": 1}),
    ],
)
def test_a_value(entry: str, doc: dict[str, Any], expected: Any) -> None:
    name = entry.partition(":")[0]
    made = mapped(entry, doc)

    assert made.get(name) == expected
    assert str(made.get(name)) == str(expected)
    assert type(made.get(name)) is type(expected)


@pytest.mark.parametrize(
    ("entry", "doc", "value", "said"),
    [
        ("amount: {from: title}", {"title": "1,50"}, "1,50", "title is not a number [from title]"),
        ("amount: {from: title}", {"title": "1e5"}, "1e5", "title is not a number"),
        ("amount: {from: total}", {"total": Decimal("NaN")}, Decimal("NaN"), "total is not a finite number"),
        ("amount: {from: total}", {"total": Decimal("-Infinity")}, Decimal("-Infinity"), "not a finite number"),
        ("amount: {from: total, places: 2}", {"total": Decimal("1E+999")}, Decimal("1E+999"), "any reasonable range"),
        ("number: {from: id}", {"id": 10**5000}, "a number of 16610 bits", "out of any reasonable range"),
        ("key: {from: id}", {"id": 10**5000}, "a number of 16610 bits", "out of any reasonable range"),
        ("number: {from: total}", {"total": Decimal("2.5")}, Decimal("2.5"), "total is not a whole number"),
        ("amount: {from: anything}", {"anything": True}, True, "anything is not a number"),
        ("key: {from: anything}", {"anything": True}, True, "anything is true or false"),
        ("key: {from: anything}", {"anything": [1]}, "a list of 1", "anything is not a single value"),
        ("words: {from: anything}", {"anything": "x"}, "x", "anything is not a list"),
        ("free: {from: anything}", {"anything": [10**40]}, 10**40, "out of any reasonable range"),
        ("flag: {from: title}", {"title": "perhaps"}, "perhaps", "title is neither true nor false"),
        ("date: {from: title, format: '%Y-%m-%d'}", {"title": "4 March"}, "4 March", "not a date of the form %Y-%m-%d"),
        ("date: {from: anything}", {"anything": "2024-03-04"}, "2024-03-04", "anything is not a date"),
        ("date: {from: anything}", {"anything": MIDNIGHT_IN_JUNE}, str(MIDNIGHT_IN_JUNE), "only in a time zone"),
        ("key: {from: anything}", {"anything": MIDNIGHT_IN_JUNE}, str(MIDNIGHT_IN_JUNE), "only in a time zone"),
        ("time: {from: anything}", {"anything": date(2024, 3, 4)}, "2024-03-04 00:00:00", "only in a time zone"),
        (
            "name: {from: title}",
            {"title": "eleven char"},
            "eleven char",
            "title has 11 characters, but the target takes 10",
        ),
        ("key: {from: title, max: 3}", {"title": "four"}, "four", "title has 4 characters, but the target takes 3"),
        ("key: {from: title, required: true}", {"title": " "}, None, "a value is required, but there is none"),
        (
            "customer: {when: paid, from: id, required: true, else: title}",
            {"paid": False, "id": 1, "title": "  "},
            None,
            "a value is required, but there is none",
        ),
        (
            "customer: {when: total > 5, then: \"'A'\", else: title, required: true}",
            {"total": Decimal(1)},
            None,
            "a value is required, but there is none",
        ),
        (
            "customer: {when: paid, from: id, required: true}",
            {"paid": False, "id": 1},
            None,
            "a value is required, but its when: does not hold and there is no else:",
        ),
        ("key: {when: paid, from: id, else: title, max: 3}", {"title": "four"}, "four", "the target takes 3"),
        ("key: {from: title, lookup: codes}", {"title": "z"}, "z", "the lookup table codes has no entry 'z'"),
        ("key: {from: anything, lookup: codes}", {"anything": {}}, "a group of 0 fields", "a single value is needed"),
        ("key: {from: buyer.name}", {"buyer": "x"}, "x", "buyer.name cannot be read"),
    ],
)
def test_a_value_that_cannot_be_is_rejected_by_name(entry: str, doc: dict[str, Any], value: Any, said: str) -> None:
    with pytest.raises(Rejected) as error:
        mapped(entry, doc)

    assert error.value.field == entry.partition(":")[0]
    assert str(error.value.value) == str(value)
    assert said in error.value.reason
    assert error.value.remedy


def test_the_remedy_of_a_required_value_is_the_mappings_own() -> None:
    with pytest.raises(Rejected) as error:
        mapped("key: {from: title, required: true, remedy: Give it a title}", {})

    assert error.value.remedy == "Give it a title"


def test_entries_of_the_connection_go_before_those_of_the_file() -> None:
    context = Context(lookups={"codes": {"a": "B"}})

    assert mapped("key: {from: title, lookup: codes}", {"title": "a"}, context) == {"key": "B"}
    assert mapped("key: {from: \"lookup('codes', title)\"}", {"title": "a"}, context) == {"key": "B"}


def test_a_missing_entry_is_waited_for() -> None:
    with pytest.raises(MissingLookup) as missing:
        mapped("key: {from: title, lookup: codes, miss: wait}", {"title": "z"})

    assert missing.value.need == Need("lookup:codes", "z")


def test_a_link_is_asked_for_before_the_mapping_runs_and_used_when_it_is_there() -> None:
    mapping = made("customer: {from: id, link: customers, part: title}")
    need = Need("customers", "310", "EUR", "customers")
    doc = {"id": 310, "title": "EUR"}

    assert mapping.needs(doc, Context()) == [need]
    with pytest.raises(MissingLookup):
        mapping.apply(doc, Context())
    assert mapping.apply(doc, Context(links={need: "BP310EUR"})) == {"": {"customer": "BP310EUR"}}


def test_the_key_of_a_link_is_looked_up_first() -> None:
    mapping = made("customer: {from: title, lookup: codes, link: customers}")
    need = Need("customers", "A", "", "customers")

    assert mapping.needs({"title": "a"}, Context()) == [need]
    assert mapping.apply({"title": "a"}, Context(links={need: "BP1"})) == {"": {"customer": "BP1"}}


def test_a_link_that_does_not_apply_is_no_need() -> None:
    mapping = made("customer: {when: not paid, from: id, link: customers, else: \"'HOUSE'\"}")

    assert mapping.needs({"id": 310, "paid": True}, Context()) == []
    assert mapping.apply({"id": 310, "paid": True}, Context()) == {"": {"customer": "HOUSE"}}
    assert mapping.needs({"paid": False}, Context()) == []
    assert mapping.apply({"paid": False}, Context()) == {"": {}}


def test_texts_are_spread_over_several_fields() -> None:
    entry = "line1, line2, line3: {spread: [buyer.street, \"''\", buyer.town], max: 8}"

    assert mapped(entry, {"buyer": {"street": "1 Road", "town": "Leeds"}}) == {"line1": "1 Road", "line3": "Leeds"}
    assert mapped(entry, {"buyer": {"street": "99 Long Road", "town": "Leeds"}}) == {
        "line1": "99 Long", "line2": "Road", "line3": "Leeds",
    }  # fmt: skip
    assert mapped(entry, {}) == {}


def test_texts_that_do_not_fit_are_rejected_whole_or_go_to_the_overflow() -> None:
    doc = {"buyer": {"street": "one two three four five six", "town": "Leeds"}}

    with pytest.raises(Rejected) as error:
        mapped("line1, line2: {spread: [buyer.street, buyer.town], max: 8}", doc)
    assert error.value.field == "line1"
    assert error.value.value == "one two three four five six, Leeds"
    assert mapped("line1, line2: {spread: [buyer.street, buyer.town], max: 8, overflow: more}", doc) == {
        "line1": "one two", "line2": "three", "more": "four five six, Leeds",
    }  # fmt: skip


def test_overflow_is_added_to_what_its_field_has_already() -> None:
    entry = "more: {from: title}\nline1, line2: {spread: [note], max: 3, overflow: more}"

    assert mapped(entry, {"title": "t", "note": "aaa bbb ccc"})["more"] == "t ccc"


def test_overflow_keeps_to_the_length_of_its_field() -> None:
    """`name` takes 10 characters by the schema; a field's own `max:` goes before that."""
    doc = {"title": "t", "note": "aaa bbb ccc ddd eee"}

    assert mapped("name: {from: title}\nline1, line2: {spread: [note], max: 7, overflow: name}", doc)["name"] == "t eee"
    for entry in (
        "name: {from: title}",
        "more: {from: title, max: 10, on_long: cut}",
        "name: {from: note, when: paid}",
    ):
        name = entry.partition(":")[0]
        with pytest.raises(Rejected) as error:
            mapped(f"{entry}\nline1, line2: {{spread: [note], max: 3, overflow: {name}}}", doc)
        assert error.value.field == name
        assert "characters, but the target takes 10" in error.value.reason
    longer = "name: {from: title, max: 20}\nline1, line2: {spread: [note], max: 3, overflow: name}"
    assert mapped(longer, doc)["name"] == "t ccc ddd eee"


def test_a_key_that_looks_the_same_is_the_same_in_either_unicode_form() -> None:
    mapping = made(
        "key: {from: title, lookup: codes, default: UNKNOWN}\nname: {from: \"lookup('codes', title)\"}",
        lookups={"codes": {"Caf\u00e9": "C1"}},
    )

    assert mapping.apply({"title": " Cafe\u0301 "}, Context()) == {"": {"key": "C1", "name": "C1"}}
    assert mapping.apply({"title": "cafe\u0301"}, Context()) == {"": {"key": "UNKNOWN"}}


def test_an_empty_entry_of_a_table_is_an_entry_without_a_value() -> None:
    tables = {"codes": {"a": ""}}

    with pytest.raises(Rejected, match="a value is required, but there is none"):
        made("key: {from: title, lookup: codes, required: true}", lookups=tables).apply({"title": "a"}, Context())
    filled = made("key: {from: title, lookup: codes, default: D}", lookups=tables)
    assert filled.apply({"title": "a"}, Context()) == {"": {"key": "D"}}


def test_the_kind_of_a_value_is_that_of_all_its_branches() -> None:
    """A named value that is a number or a text is compared with a text, and with a date where it may be one."""
    text = """
    values:
      either: {when: paid, from: id, else: title}
      day_or: {from: day, default: none yet}
    mapping:
      key: {when: either == 'x' and day_or == 'none yet', then: "'yes'"}
    """

    assert mapped(text, {"paid": False, "title": "x"}) == {"key": "yes"}
    assert mapped(text, {"paid": False, "title": "x", "day": date(2026, 1, 31)}) == {}


def test_shorter_texts_are_taken_where_the_full_ones_do_not_fit() -> None:
    entry = "line1, line2: {spread: [buyer.town, buyer.country], shorter: [buyer.town, \"'GB'\"], max: 9}"

    assert mapped(entry, {"buyer": {"town": "Leeds", "country": "England"}}) == {"line1": "Leeds", "line2": "England"}
    assert mapped(entry, {"buyer": {"town": "Leeds", "country": "United Kingdom"}}) == {"line1": "Leeds", "line2": "GB"}


def test_the_end_of_a_long_name_comes_before_the_address_and_a_spread_may_depend() -> None:
    entry = 'line1, line2, line3: {before: "rest(title, 6)", spread: [buyer.street], max: 9, when: not paid}'

    assert mapped(entry, {"title": "Shop of Bath", "buyer": {"street": "1 Road"}}) == {
        "line1": "of Bath", "line2": "1 Road",
    }  # fmt: skip
    assert mapped(entry, {"paid": True, "title": "x"}) == {}


def test_a_zone_that_a_setting_names_wrongly_is_told_with_the_remedy() -> None:
    with pytest.raises(Rejected) as error:
        mapped(
            "date: {from: at, zone: settings.zone}", {"at": MIDNIGHT_IN_JUNE}, Context(settings={"zone": "Mars/Base"})
        )

    assert error.value.reason.startswith("'Mars/Base' is not a time zone")
    assert error.value.remedy == "Correct the setting"
    with pytest.raises(Rejected, match="a time zone is needed"):
        mapped("date: {from: at, zone: settings.zone}", {"at": MIDNIGHT_IN_JUNE}, Context(settings={"zone": ""}))


@pytest.mark.parametrize("wrong", [{"limit": "x"}, {"limit": "NaN"}, {"limit": [1]}])
def test_a_setting_of_the_wrong_kind_is_told_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as error:
        mapped("amount: {from: settings.limit}", {}, Context(settings=wrong))

    assert error.value.reason.startswith("the setting limit must be decimal")
    assert error.value.remedy == "Correct the setting limit of the connection and retry"


def test_settings_are_converted_to_their_kind() -> None:
    settings = {"limit": "2.50", "top": "4", "zone": 7}
    assert mapped("key: {from: settings.zone}", {}, Context(settings={"zone": Decimal("1.10")})) == {"key": "1.10"}

    assert mapped("amount: {from: settings.limit}", {}, Context(settings=settings)) == {"amount": Decimal("2.50")}
    assert mapped("number: {from: settings.top}", {}, Context(settings=settings)) == {"number": 4}
    assert mapped("key: {from: settings.zone}", {}, Context(settings=settings)) == {"key": "7"}
    assert mapped("number: {from: settings.top}", {}, Context(settings={"top": None})) == {}
    for name, value in (("top", 1.5), ("channels", "x"), ("strict", "yes"), ("house", [1])):
        with pytest.raises(Rejected, match=f"the setting {name} must be"):
            mapped(f"free: {{from: settings.{name}}}", {}, Context(settings={name: value}))

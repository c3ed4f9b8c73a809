from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from syncengine.errors import Misconfigured, Rejected
from syncengine.mapping.contract import Context
from tests.unit.mapping.mapping_fixtures import made, mapped

DOC: dict[str, Any] = {
    "id": 7,
    "title": "Ab c",
    "note": None,
    "paid": True,
    "total": Decimal("10.00"),
    "rate": Decimal("3"),
    "day": date(2024, 3, 4),
    "buyer": {"name": "Robin", "town": None},
    "rows": [
        {"id": "1", "sku": "A", "qty": Decimal(2), "net": {"value": Decimal("5.50")}},
        {"id": "2", "sku": "", "qty": Decimal(1), "net": {"value": Decimal("-1.25")}},
        {"id": "3", "sku": "C", "qty": None, "net": None},
    ],
    "tags": ["3", "9"],
    "custom": {"PCF_A": "x", "NUMBER": 3, "LONG": 10**40, "AT": datetime(2024, 3, 4, 12, tzinfo=UTC)},
    "anything": None,
}


def value(expression: str, doc: dict[str, Any] | None = None, context: Context | None = None) -> Any:
    quoted = expression.replace("'", "''")
    return mapped(f"free: {{from: '{quoted}'}}", DOC if doc is None else doc, context).get("free")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0.1 + 0.2", Decimal("0.3")),
        ("total / rate", Decimal("3.333333333333333333333333333333333")),
        ("total * 2 - 1", Decimal(19)),
        ("total // rate", Decimal(3)),
        ("total % rate", Decimal(1)),
        ("-total", Decimal(-10)),
        ("1_000.50 + 0", Decimal("1000.50")),
        ("12345678901234567890.123 + 0", Decimal("12345678901234567890.123")),
        ("'a' + title", "aAb c"),
        ("buyer.name + '!'", "Robin!"),
        ("custom.PCF_A + custom.PCF_A", "xx"),
        ("custom.NUMBER + custom.NUMBER", Decimal(6)),
        ("total > 9.99", True),
        ("1 < id <= 7", True),
        ("1 < id < 7", False),
        ("title >= 'Aa'", True),
        ("day < days(day, 1)", True),
        ("id == 7 and total == 10", True),
        ("id == '7'", True),
        ("'7' == id", True),
        ("'x' == id", False),
        ("paid == true", True),
        ("note == none", True),
        ("note != none", False),
        ("note is none", True),
        ("note is not none", False),
        ("buyer.friend.name == none", True),
        ("id in settings.channels", False),
        ("id not in settings.channels", True),
        ("id in [1, '7']", True),
        ("contains(title, 'b')", True),
        ("contains(title, 'B')", False),
        ("contains(title, '')", False),
        ("'3' in split('1,3')", True),
        ("1 in split('10,20')", False),
        ("'PCF_A' in custom", True),
        ("'PCF_B' in custom", False),
        ("'b' in anything", False),
        ("default(tags, 'x')", ["3", "9"]),
        ("first(note, tags)", "3"),
        ("not paid", False),
        ("note or 'empty'", "empty"),
        ("paid and title", "Ab c"),
        ("'y' if paid else 'n'", "y"),
        ("[1, id]", [1, 7]),
        ("sum(r.net.value for r in rows if r.net)", Decimal("4.25")),
        ("sum(r.qty * r.net.value for r in rows if r.qty)", Decimal("9.75")),
        ("sum([])", Decimal(0)),
        ("sum(r.qty for r in buyer.friend.name)", Decimal(0)),
        ("count(rows)", 3),
        ("count(anything)", 0),
        ("count([r for r in rows if r.sku])", 2),
        ("min(r.net.value for r in rows if r.net)", Decimal("-1.25")),
        ("max(total, rate, 5)", Decimal(10)),
        ("max(day, days(day, 2))", date(2024, 3, 6)),
        ("max(note, anything)", None),
        ("min('b', 'a')", "a"),
        ("first(r.sku for r in rows if r.qty == 1)", None),
        ("first(note, '  ', title)", "Ab c"),
        ("any(r.sku == 'C' for r in rows)", True),
        ("all(r.sku for r in rows)", False),
        ("join(', ', [r.sku for r in rows])", "A, C"),
        ("join('-', id, note, buyer.name)", "7-Robin"),
        ("default(note, 'd')", "d"),
        ("length(title)", 4),
        ("length(tags)", 2),
        ("length(note)", 0),
        ("upper(title) + lower(title)", "AB Cab c"),
        ("strip('  x ')", "x"),
        ("replace(title, ' ', '')", "Abc"),
        ("replace(title, '', 'z')", "Ab c"),
        ("starts(title, 'Ab')", True),
        ("ends(title, 'Ab')", False),
        ("starts(title, '')", False),
        ("ends(title, note)", False),
        ("left(title, 2)", "Ab"),
        ("right(title, 1)", "c"),
        ("piece('one two three', 7)", "one two"),
        ("piece('', 7)", None),
        ("rest('one two three', 7)", "three"),
        ("split('a, b,,c')", ["a", "b", "c"]),
        ("split('a b', ' ')", ["a", "b"]),
        ("round(2.345, 2)", Decimal("2.35")),
        ("round(2.5)", Decimal(3)),
        ("abs(-2)", Decimal(2)),
        ("number('1.5') + 1", Decimal("2.5")),
        ("number(total)", Decimal(10)),
        ("whole('12')", 12),
        ("text(id) + text(day) + text(paid) + text(note)", "72024-03-04true"),
        ("lookup('codes', 'a')", "A"),
        ("lookup('codes', 'q')", None),
        ("settings.limit * 2", Decimal(20)),
        ("doc.id", 7),
        ("part", None),
        ("[x for x in [1, 2, 3] if x != 2]", [1, 3]),
        ("[y.sku for y in [r for r in rows if r.sku]]", ["A", "C"]),
    ],
)
def test_an_expression(expression: str, expected: Any) -> None:
    found = value(expression)

    assert found == expected
    assert type(found) is type(expected)


def test_no_float_ever_comes_of_an_expression() -> None:
    found = value("1 / 3")

    assert isinstance(found, Decimal)
    assert str(found) == "0.3333333333333333333333333333333333"
    assert value("anything + 1", {"anything": 0.1}) == Decimal("1.1")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("total / (rate - 3)", "rate - 3 is zero and cannot be divided by"),
        ("total * anything", "anything has no value, but a number is needed"),
        ("anything > 5", "anything has no value to compare; write default(anything, ...)"),
        ("5 > anything", "anything has no value to compare"),
        ("buyer.name + anything", "anything is not text; write text(anything)"),
        ("round(1, 13)", "the places to round to are 0 to 12"),
        ("left(title, 0)", "a length of 1 or more is needed"),
        ("split(title, '')", "a separator to split at is needed"),
        ("days(anything, 1)", "a date is needed to add days to"),
        ("days(day, 999999999999)", "no usable result"),
        ("custom.PCF_A + custom.NUMBER", "custom.PCF_A is not a number"),
        ("custom.LONG == 7", "out of any reasonable range"),
        ("custom.LONG in ['7']", "out of any reasonable range"),
        ("whole('1.5')", "not a whole number"),
        ("number('x')", "the text is not a number"),
        ("sum(buyer.name)", "what is summed is not a list"),
        ("title in custom.PCF_A", "custom.PCF_A is a text, but `in` needs a list"),
        ("title in custom.NUMBER", "custom.NUMBER is a single value, but `in` needs a list"),
        ("days(day, 1.5)", "it is not a whole number"),
        ("days(custom.AT, 1)", "a date is needed to add days to"),
        ("number(' ')", "the text has no value, but a number is needed"),
        ("sum(r.sku for r in rows)", "a summand is not a number"),
        ("max(1, title)", "a value compared is not a number"),
        ("any(x for x in custom.PCF_A)", "custom.PCF_A is not a list"),
        ("replace('" + "ab" * 900 + "', 'a', '" + "x" * 900 + "')", "the replaced text is too long"),
    ],
)
def test_what_cannot_be_computed_is_rejected_and_says_why(expression: str, said: str) -> None:
    with pytest.raises(Rejected) as error:
        value(expression)

    assert error.value.field == "free"
    assert said in error.value.reason


def test_texts_do_not_grow_without_end() -> None:
    long = {"title": "x" * 60_000}

    with pytest.raises(Rejected, match="becomes too long"):
        value("title + title", long)
    with pytest.raises(Rejected, match="the joined text is too long"):
        value("join('', title, title)", long)
    with pytest.raises(Rejected, match="is not a list of at most 10000"):
        value("sum(x for x in anything)", {"anything": [1] * 10_001})


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("titel", "the source has no field 'titel' (did you mean title?)"),
        ("buyer.nme", "buyer has no field 'nme' (did you mean name?)"),
        ("rows.sku", "rows is a list and has no 'sku': write (x.sku for x in rows)"),
        ("title.x", "title is a single value (text) and has no field 'x'"),
        ("sum(r.skuu for r in rows)", "r has no field 'skuu' (did you mean sku?)"),
        ("summ(rows)", "there is no function 'summ' (did you mean sum?)"),
        ("round()", "round() takes 1 to 2 arguments, not 0"),
        ("upper(title, note)", "upper() takes 1 argument, not 2"),
        ("starts(title)", "starts() takes 2 arguments, not 1"),
        ("lookup('cods', id)", "there is no lookup table 'cods' (did you mean codes?)"),
        ("lookup(title, id)", "lookup() takes a table in quotes"),
        ("ref('left.person', id)", "references: does not name 'left.person'"),
        ("ref(id)", "ref() takes a resource in quotes and a key"),
        ("settings.zon", "the flow declares no setting 'zon' (did you mean zone?)"),
        ("settings", "write settings.NAME"),
        ("row.id", "'row' is not available here"),
        ("mapped", "'mapped' is not available here"),
        ("title * 2", "title is text, but a number is needed here"),
        ("-title", "title is text, but a number is needed here"),
        ("title + id", "id is integer and cannot be joined to text: write text(id)"),
        ("title > 3", "title (text) and 3 (integer) cannot be compared by size"),
        ("day > at", "day (date) and at (datetime) cannot be compared by size: name at under values:"),
        ("title > 3", "write number(title)"),
        ("paid > paid", "paid (boolean) cannot be compared by size"),
        ("rows < 3", "rows (list) cannot be compared by size"),
        ("total > none", "none (nothing) cannot be compared by size"),
        ("day == '2026-01-31'", "day (date) and '2026-01-31' (text) are never equal: write not day to ask whether"),
        ("at != title", "or name title under values: or let: with as: datetime and a format:"),
        ("day == at", "name at under values: or let: with as: date and a zone:"),
        ("buyer == 'Anna'", "buyer (group) and 'Anna' (text) are never equal: name one field of buyer"),
        ("paid == 'true'", "paid (boolean) and 'true' (text) are never equal: write paid or not paid"),
        ("1 == paid", "1 (integer) and paid (boolean) are never equal: write paid or not paid"),
        ("rows == 0", "rows (list) and 0 (integer) are never equal: write x in rows, count(rows) or any(...)"),
        ("day is total", "day (date) and total (decimal) are never equal"),
        ("day in ['2026-01-31']", "day (date) and an item of ['2026-01-31'] (text) are never equal"),
        ("paid not in tags", "paid (boolean) and an item of tags (text) are never equal"),
        ("title in 'GB,IE'", "'GB,IE' is text, but `in` needs a list: write split('GB,IE', ',') for a list of texts"),
        ("'b' in title", "or contains(title, 'b') for a part of a text"),
        ("title in settings.zone", "settings.zone is text, but `in` needs a list"),
        ("id in total", "total is decimal, but `in` needs a list: write id == total"),
        ("day in custom", "day is date and never the name of a field of custom"),
        ("days(at, 1)", "days() takes a date, but at is datetime: name it under values: or let: with as: date"),
        ("sum(x for x in title)", "title is not a list"),
        ("1 +", "not an expression: 1 +"),
        ("id; id", "not an expression"),
        ("id\n= 3", "not an expression"),
        ("''", None),
        ("2 ** 9", "not allowed in an expression: the operator Pow"),
        ("1 << 9", "not allowed in an expression: the operator LShift"),
        ("~id", "not allowed in an expression: the sign in ~id"),
        ("lambda: 1", "not allowed in an expression: Lambda"),
        ("(x := 3)", "not allowed in an expression: NamedExpr"),
        ("{1: 2}", "not allowed in an expression: Dict"),
        ("f'{id}'", "not allowed in an expression: JoinedStr"),
        ("rows[0]", "not allowed in an expression: an index"),
        ("title.upper()", "not allowed in an expression: a method"),
        ("title.__class__", "not allowed in an expression: the name __class__"),
        ("__import__('os')", "there is no function '__import__'"),
        ("open('x')", "there is no function 'open'"),
        ("round(x=1)", "not allowed in an expression: arguments by name"),
        ("max(*rows)", "not allowed in an expression: arguments by name"),
        ("[a for a in rows for b in rows]", "not allowed in an expression: more than one"),
        ("[a for a, b in rows]", "not allowed in an expression: more than one"),
        ("1j", "not allowed in an expression: the literal 1j"),
        ("b'x'", "not allowed in an expression: the literal"),
        ("+" * 3000 + "1", None),
        ("x" * 5000, "the expression is too long"),
        ("(" * 300 + "1" + ")" * 300, "not an expression"),
    ],
)
def test_a_bad_expression_is_refused_when_it_is_loaded(expression: str, said: str | None) -> None:
    if said is None and expression == "''":
        assert value(expression) is None
        return
    with pytest.raises(Misconfigured) as error:
        value(expression)

    assert str(error.value).startswith("flows/test.yml:2: free: ")
    assert said is None or said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", ["''", "3", "[a]", "null", "{a: b}"])
def test_an_expression_is_a_text(wrong: str) -> None:
    with pytest.raises(Misconfigured, match="an expression is needed"):
        made(f"free: {{from: {wrong}}}")


def test_a_document_that_was_read_beside_is_found_by_its_key() -> None:
    mapping = made(
        """
        references:
          - resource: left.person
            keys: [id, tags, buyer.name]
        mapping:
          key: {from: "ref('left.person', id).name"}
        """
    )
    context = Context(references={"left.person": {"7": {"name": "Ann"}}})

    assert [(one.resource, one.key) for one in mapping.references(DOC)] == [
        ("left.person", "7"), ("left.person", "3"), ("left.person", "9"), ("left.person", "Robin"),
    ]  # fmt: skip
    assert mapping.references({"id": 0, "tags": ["", "0"]}) == []
    assert mapping.apply(DOC, context) == {"": {"key": "Ann"}}
    assert mapping.apply(DOC, Context()) == {"": {}}


def test_fields_of_a_reference_are_checked_too() -> None:
    with pytest.raises(Misconfigured, match=r"flows/test.yml:5: key: .*has no field 'nam' \(did you mean name\?\)"):
        made(
            """
            references:
              - resource: left.person
                keys: [id]
            mapping:
              key: {from: "ref('left.person', id).nam"}
            """
        )

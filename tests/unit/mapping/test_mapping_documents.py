"""Lines, rules, parts, policies, checks: a mapping as a whole."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from syncengine.errors import Rejected
from syncengine.mapping import runtime
from syncengine.mapping.contract import Context, MissingLookup, Need, Policy, RuleDecision, RuleVerdict
from tests.unit.mapping.mapping_fixtures import made, mapped

ROWS: list[dict[str, Any]] = [
    {"id": "11", "sku": "A", "name": "Mug", "qty": Decimal(2), "net": {"value": Decimal(10)}, "sequence": "20"},
    {"id": "12", "sku": "", "name": "Wrap it well please", "qty": Decimal(1), "net": None, "sequence": "10"},
    {"id": "13", "sku": "B", "name": "Tote", "qty": Decimal(3), "net": {"value": Decimal(9)}, "sequence": "x"},
]

SPLIT = """
goods:
  each: rows
  where: sku
  key: id
  code: {from: sku}
  price: {from: net.value / qty, places: 5}
  quantity: {from: qty, places: 6}
notes:
  each: rows
  where: not sku
  key: id
  text: {from: name, max: 8, on_long: lines}
"""


def test_one_list_is_split_into_several_and_long_text_goes_on_in_further_lines() -> None:
    assert mapped(SPLIT, {"rows": ROWS}) == {
        "goods": [
            {"@key": "11", "code": "A", "price": Decimal("5.00000"), "quantity": Decimal("2.000000")},
            {"@key": "13", "code": "B", "price": Decimal("3.00000"), "quantity": Decimal("3.000000")},
        ],
        "notes": [
            {"@key": "12", "text": "Wrap it"},
            {"@key": "12/2", "text": "well"},
            {"@key": "12/3", "text": "please"},
        ],
    }


def test_lists_without_lines_are_absent() -> None:
    assert mapped(SPLIT, {"rows": []}) == {}
    assert mapped(SPLIT, {"rows": None}) == {}


def test_lines_are_sorted_by_number_then_text() -> None:
    lines = mapped("goods: {each: rows, sort: sequence, key: id, code: {from: sku}}", {"rows": ROWS})["goods"]

    assert [line["@key"] for line in lines] == ["12", "11", "13"]
    mixed: list[Any] = ["", Decimal("9.5"), True, "10", "b", None, 9, "9", date(2026, 1, 31), "a", "10a"]
    rows = [{"id": str(number), "qty": qty} for number, qty in enumerate(mixed)]
    by_quantity = mapped("goods: {each: rows, sort: qty, key: id, code: {from: id}}", {"rows": rows})["goods"]
    ordered = [mixed[int(line["@key"])] for line in by_quantity]
    assert ordered == [9, "9", Decimal("9.5"), "10", "10a", "a", "b", date(2026, 1, 31), True, "", None]


@pytest.mark.parametrize("unfit", [Decimal("NaN"), {"a": 1}, [1]])
def test_what_has_no_place_in_the_order_is_not_sorted(unfit: Any) -> None:
    with pytest.raises(Rejected, match="goods"):
        mapped("goods: {each: rows, sort: qty, key: id, code: {from: id}}", {"rows": [{"id": "1", "qty": unfit}]})


def test_a_line_that_is_continued_repeats_texts_and_dates_and_no_number() -> None:
    doc = {"rows": [{"id": "1", "sku": "MUG", "name": "a mug of blue"}], "day": date(2026, 1, 31)}
    entry = "goods: {each: rows, key: id, code: {from: sku}, when: {from: doc.day}, text: {from: name, max: 7, on_long: lines}}"

    assert mapped(entry.replace("when:", "'when':"), doc)["goods"] == [
        {"@key": "1", "code": "MUG", "when": date(2026, 1, 31), "text": "a mug"},
        {"@key": "1/2", "code": "MUG", "when": date(2026, 1, 31), "text": "of blue"},
    ]


def test_either_branch_of_a_condition_is_continued() -> None:
    entry = "notes: {each: rows, key: id, text: {when: qty, from: id, else: name, max: 5, on_long: lines}}"

    lines = mapped(entry, {"rows": [{"id": "1", "name": "wrap it well", "qty": Decimal(0)}]})["notes"]
    assert [line["text"] for line in lines] == ["wrap", "it", "well"]


def test_one_block_makes_ten_thousand_lines_and_no_more() -> None:
    entry = "notes: {each: rows, key: id, text: {from: name, max: 4, on_long: lines}}"
    rows = [{"id": str(number), "name": "word " * 5_000} for number in range(2)]

    assert len(mapped(entry, {"rows": rows})["notes"]) == 10_000
    rows.append({"id": "2", "name": "word"})
    with pytest.raises(Rejected, match="notes = '2': it would have more than 10000 lines"):
        mapped(entry, {"rows": rows})


def test_a_row_with_a_blank_where_makes_no_line() -> None:
    assert mapped(SPLIT, {"rows": [{"id": "1", "sku": "  ", "qty": Decimal(2), "name": "Mug"}]}) == {
        "notes": [{"@key": "1", "text": "Mug"}]
    }


def test_the_loops_of_a_document_have_a_budget_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.MOST_STEPS == 1_000_000
    monkeypatch.setattr(runtime, "MOST_STEPS", 100_000)
    rows = [{"id": str(number), "qty": Decimal(1)} for number in range(47)]
    mapping = made("amount: {from: 'sum(count([b for b in rows]) for a in rows)'}")
    assert mapping.apply({"rows": rows}, Context()) == {"": {"amount": Decimal(47 * 47)}}
    deep = made("amount: {from: 'sum(sum(count([c for c in rows if not c.id]) for b in rows) for a in rows)'}")

    with pytest.raises(Rejected) as error:
        deep.apply({"rows": rows}, Context())

    assert error.value.field == "amount"
    assert "the loops of this document take more than 100,000 steps in total" in error.value.reason
    assert "[c for c in rows if not c.id]" in error.value.reason
    assert "name an inner list under values: or let:" in error.value.remedy


@pytest.mark.parametrize("expression", ["any(id in anything for x in tags)", "any(count(anything) == 1 for x in tags)"])
def test_what_goes_through_a_list_inside_a_loop_counts_too(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "MOST_STEPS", 100_000)
    doc = {"id": 1, "tags": ["x"] * 101, "anything": [0] * 1000}

    with pytest.raises(Rejected, match="100,000 steps"):
        mapped(f"free: {{from: {expression}}}", doc)


def test_one_list_has_several_sources_and_lines_of_the_document_itself() -> None:
    text = """
    notes:
      - key: "'title'"
        where: title
        let: {loud: {from: upper(title)}}
        text: {from: loud + doc.title}
      - each: rows
        key: text(id) + '/' + text(number)
        let:
          both: {from: row.name + ' of ' + doc.title}
        text: {from: both}
    """

    assert mapped(text, {"title": "t", "rows": ROWS[:1]})["notes"] == [
        {"@key": "title", "text": "Tt"},
        {"@key": "11/1", "text": "Mug of t"},
    ]
    assert mapped(text, {"title": "", "rows": []}) == {}


def test_a_failure_in_a_line_names_field_row_and_source() -> None:
    rows = [{"id": "11", "sku": "A", "qty": Decimal(0), "net": {"value": Decimal(1)}}]

    with pytest.raises(Rejected) as error:
        mapped(SPLIT, {"rows": rows})

    assert error.value.field == "goods.price"
    assert error.value.reason == "qty is zero and cannot be divided by [from net.value / qty of row 11]"


@pytest.mark.parametrize(
    ("rows", "field", "said"),
    [
        ("x", "goods", "rows is not a list of at most 10000 rows"),
        ([1], "goods", "a row of rows is not a group of fields"),
        ([{"id": "1", "sku": "a"}, {"id": "1", "sku": "b"}], "goods.@key", "two lines have the same key"),
        ([{"id": None, "sku": "a"}], "goods.@key", "a line has no key"),
        ([{"id": [1], "sku": "a"}], "goods", "a single value is needed as a key"),
        ([{"id": "1", "sku": "a", "qty": Decimal(1), "net": 5}], "goods.price", "net.value cannot be read"),
    ],
)
def test_rows_that_are_no_rows_are_rejected(rows: Any, field: str, said: str) -> None:
    text = SPLIT if rows and rows[0] != 1 and "qty" in str(rows) else "goods: {each: rows, key: id, code: {from: sku}}"

    with pytest.raises(Rejected) as error:
        mapped(text, {"rows": rows})

    assert error.value.field == field
    assert said in error.value.reason


def test_links_of_lines_are_found_without_the_mapping() -> None:
    mapping = made("goods: {each: rows, where: sku, key: id, code: {from: sku, link: customers}}")

    assert mapping.needs({"rows": ROWS}, Context()) == [
        Need("customers", "A", "", "customers"), Need("customers", "B", "", "customers"),
    ]  # fmt: skip
    with pytest.raises(Rejected, match="goods"):
        mapping.needs({"rows": [1]}, Context())
    broken = made("goods: {each: rows, key: id, code: {from: name, link: customers}}")
    with pytest.raises(Rejected, match=r"goods.link to customers"):
        broken.needs({"rows": [{"id": "1", "name": {}}]}, Context())


RULES = """
values:
  house: {value: null}
  kind: {from: note, lookup: codes, miss: wait}
rules:
  - skip: not for us
    when: title == 'no'
  - hold: too much
    when: total > settings.limit
  - cancel: it was cancelled
    when: id in settings.channels
  - reject: it has no buyer
    when: not buyer and title == 'strict'
    field: customer
    value: title
    remedy: Name a buyer
  - skip: by kind
    when: title == 'kind' and kind == 'A'
  - route: guests
    when: paid
    set:
      house: {value: WEB}
  - route: never reached, the first counts
    when: paid
    set:
      house: {value: OTHER}
mapping:
  key: {from: id}
  customer: {from: house}
  name: {when: title == 'kind', from: kind}
"""


@pytest.mark.parametrize(
    ("doc", "verdict", "reason"),
    [
        ({"title": "no", "total": Decimal(99)}, RuleVerdict.SKIP, "not for us"),
        ({"total": Decimal(99)}, RuleVerdict.HOLD, "too much"),
        ({"id": 2, "total": Decimal(1)}, RuleVerdict.CANCEL, "it was cancelled"),
        ({"id": 3, "total": Decimal(10)}, RuleVerdict.GO, ""),
    ],
)
def test_the_first_rule_that_applies_decides(doc: dict[str, Any], verdict: RuleVerdict, reason: str) -> None:
    assert made(RULES).decide(doc, Context()) == RuleDecision(verdict, reason)


def test_settings_of_the_connection_move_a_rule() -> None:
    doc = {"total": Decimal(99)}

    assert made(RULES).decide(doc, Context(settings={"limit": 100})).verdict is RuleVerdict.GO


def test_a_rule_can_refuse_with_field_value_and_remedy() -> None:
    with pytest.raises(Rejected) as error:
        made(RULES).decide({"title": "strict", "total": Decimal(1)}, Context())

    assert (error.value.field, error.value.value, error.value.reason, error.value.remedy) == (
        "customer", "strict", "it has no buyer", "Name a buyer",
    )  # fmt: skip


def test_a_rule_that_cannot_be_told_is_rejected_by_name() -> None:
    with pytest.raises(Rejected, match="rule: too much: total has no value to compare"):
        made(RULES).decide({"total": None}, Context())


def test_a_refusal_whose_value_cannot_be_computed_is_still_told() -> None:
    mapping = made("rules: [{reject: bad, when: 'true', value: total / 0, field: total}]\nmapping: {key: {from: id}}")

    with pytest.raises(Rejected, match=r"^total: bad"):
        mapping.decide({"total": Decimal(1)}, Context())


def test_a_rule_that_lacks_a_lookup_entry_is_waited_for() -> None:
    doc = {"title": "kind", "note": "new", "total": Decimal(1)}
    mapping = made(RULES)

    assert mapping.decide(doc, Context()).verdict is RuleVerdict.GO
    assert mapping.needs(doc, Context()) == [Need("lookup:codes", "new")]
    with pytest.raises(MissingLookup):
        mapping.apply(doc, Context())
    assert mapping.decide(doc, Context(lookups={"codes": {"new": "A"}})) == RuleDecision(RuleVerdict.SKIP, "by kind")
    assert mapping.references({"id": 3}) == []


def test_a_route_sets_named_values_and_the_first_counts() -> None:
    mapping = made(RULES)

    assert mapping.apply({"id": 9, "paid": True}, Context()) == {"": {"key": "9", "customer": "WEB"}}
    assert mapping.apply({"id": 9, "paid": False}, Context()) == {"": {"key": "9"}}


def test_rules_are_asked_in_their_order_routes_included() -> None:
    """A route whose condition fails does not matter once a rule has decided; rules after a route see what it sets."""
    text = """
    values: {house: {value: null}, kind: {from: note, lookup: codes}}
    rules:
      - hold: the house is known before any route
        when: house == 'WEB'
      - skip: not for us
        when: title == 'no'
      - route: guests
        when: kind == 'A'
        set: {house: {value: WEB}}
      - route: those of a house
        when: house == 'WEB'
        set: {house: {value: OTHER}, kind: {value: Z}}
      - cancel: routed
        when: house == 'WEB' and kind == 'Z' and paid
    mapping: {key: {from: id}, customer: {from: house}, line1: {from: kind}}
    """
    mapping = made(text)

    assert mapping.decide({"title": "no", "note": "unknown"}, Context()).verdict is RuleVerdict.SKIP
    with pytest.raises(Rejected, match="rule: guests"):
        mapping.decide({"title": "yes", "note": "unknown"}, Context())
    assert mapping.decide({"note": "a", "paid": True}, Context()) == RuleDecision(RuleVerdict.CANCEL, "routed")
    assert mapping.apply({"id": 1, "note": "a"}, Context()) == {"": {"key": "1", "customer": "WEB", "line1": "Z"}}


def test_one_document_becomes_one_for_each_part() -> None:
    mapping = made(
        """
        natural_key: key
        parts: [title, parts_wanted]
        mapping:
          key: {from: text(id) + part}
          customer: {from: id, link: customers, part: part}
        """
    )
    context = Context(parts=("EUR", "GBP"))
    needs = [Need("customers", "7", part, "customers") for part in ("GBP", "EUR")]

    assert mapping.needs({"id": 7, "title": "GBP"}, context) == needs
    linked = Context(parts=("EUR", "GBP"), links=dict.fromkeys(needs, "X"))
    assert mapping.apply({"id": 7, "title": "GBP"}, linked) == {
        "GBP": {"key": "7GBP", "customer": "X"}, "EUR": {"key": "7EUR", "customer": "X"},
    }  # fmt: skip
    with pytest.raises(Rejected, match="parts"):
        mapping.apply({"id": 7}, Context())
    with pytest.raises(Rejected, match="parts"):
        mapping.apply({"id": 7, "title": {}}, Context())
    assert made("parts: title\nmapping: {key: {from: part}}").apply({"title": "b"}, Context()) == {"b": {"key": "b"}}


def test_policies_are_by_field_then_list_then_default() -> None:
    mapping = made(
        """
        policies:
          default: newest
          on_create: [key, goods.price]
          hold: goods
        mapping:
          key: {from: id}
          name: {from: title}
          goods: {each: rows, key: id, code: {from: sku}, price: {from: qty}}
          line1, line2: {spread: [note], max: 5}
        """
    )

    assert mapping.policy("key") is Policy.ON_CREATE
    assert mapping.policy("goods.price") is Policy.ON_CREATE
    assert mapping.policy("goods.code") is Policy.HOLD
    assert mapping.policy("goods") is Policy.HOLD
    assert mapping.policy("name") is Policy.NEWEST
    assert mapping.policy("line2") is Policy.NEWEST
    assert made("key: {from: id}").policy("key") is Policy.SOURCE


def test_the_natural_key_is_the_text_of_its_field() -> None:
    mapping = made("natural_key: number\nmapping: {number: {from: id}}")

    assert mapping.natural_key({"number": 7}) == "7"
    with pytest.raises(Rejected, match="the document has no natural key"):
        mapping.natural_key({})
    assert made("key: {from: id}").natural_key({"key": "x"}) == ""


def test_a_check_sees_the_mapped_document() -> None:
    text = """
    checks:
      - reject: does not add up
        when: sum(line.price * line.quantity for line in mapped.goods) != total
        field: total
        value: total
    mapping:
      key: {from: id}
      goods: {each: rows, key: id, price: {from: net.value / qty}, quantity: {from: qty}}
    """
    rows = [ROWS[0]]

    assert mapped(text, {"id": 1, "rows": rows, "total": Decimal(10)})["key"] == "1"
    with pytest.raises(Rejected, match="total = 11: does not add up"):
        mapped(text, {"id": 1, "rows": rows, "total": Decimal(11)})


def test_a_check_that_expects_a_figure_rejects_with_both() -> None:
    text = """
    checks:
      - reject: does not add up
        when: mapped.amount != rate
        field: amount
        value: mapped.amount
        expected: rate
        remedy: Correct the rate
    mapping:
      amount: {from: total}
    """

    with pytest.raises(Rejected) as error:
        mapped(text, {"id": 1, "total": Decimal("9.50"), "rate": Decimal(8)})
    assert (error.value.field, error.value.value, error.value.remedy) == (
        "amount",
        "9.50; expected 8",
        "Correct the rate",
    )


def test_the_version_changes_with_the_content_alone() -> None:
    one, same, other = (made(f"key: {{from: id, max: {length}}}") for length in (5, 5, 6))

    assert one.version == same.version
    assert one.version != other.version
    assert one.version != made("key: {from: id, max: 5}", lookups={"codes": {"a": "C"}}).version


def test_a_reference_whose_key_cannot_be_told_is_rejected() -> None:
    mapping = made(
        "references: [{resource: left.person, keys: [anything]}]\nvalues: {k: {from: title, lookup: codes, miss: wait}}\n"
        "mapping: {key: {from: id}}"
    )

    with pytest.raises(Rejected, match=r"references: left.person"):
        mapping.references({"anything": [{}]})


def test_references_may_depend_on_settings() -> None:
    mapping = made(
        "references: [{resource: left.person, keys: [id if settings.strict else none]}]\nmapping: {key: {from: id}}"
    )

    assert mapping.references({"id": 3}) == []
    assert [one.key for one in mapping.references({"id": 3}, {"strict": True})] == ["3"]

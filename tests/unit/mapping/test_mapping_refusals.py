"""What is refused when a mapping is loaded: file, line, one sentence, the nearest valid name."""

from __future__ import annotations

import pytest

from syncengine.errors import Misconfigured
from syncengine.mapping.contract import Context
from tests.unit.mapping.mapping_fixtures import made


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("kee: {from: id}", "the target has no field 'kee' (did you mean key?)"),
        (
            "zzzzzz: {from: id}",
            "the target has no field 'zzzzzz' (valid: amount, customer, date, flag, free, goods, …)",
        ),
        ("key: id", "key: write {from: field} for a field or {value: ...} for a constant"),
        ("key: {frm: id}", "key has no entry 'frm' (did you mean from?)"),
        ("key: {max: 3}", "key has none of from, value, join, first, cases, then; it needs exactly one source"),
        ("key: {from: id, value: 3}", "key has both from: and value:; it needs exactly one source"),
        ("key: {then: id}", "key has then: without when:"),
        ("key: {value: [1]}", "key: a constant must be a single value"),
        ("key: {join: id}", "key: join: needs a list of expressions"),
        ("key: {first: []}", "key: first: needs a list of expressions"),
        ("key: {join: [id], with: 3}", "key: with: must be a text in quotes"),
        ("key: {cases: []}", "key: cases: needs at least one when: and then:"),
        ("key: {cases: id}", "cases of key must be a list"),
        ("key: {cases: [id]}", "an item of cases of key must be a table"),
        ("key: {cases: [{when: paid}]}", "key: a case needs when: and then:; the last case may be else:"),
        ("key: {cases: [{else: id}]}", "key: cases: needs at least one when: and then:"),
        ("key: {cases: [{else: id}, {when: paid, then: id}]}", "key: a case after else: can never apply"),
        ("key: {cases: [{when: paid, than: id}]}", "a case of key has no entry 'than' (did you mean then?)"),
        ("key: {from: id, lookup: cods}", "key: there is no lookup table 'cods' (did you mean codes?)"),
        ("key: {from: id, lookup: codes, miss: weit}", "miss: cannot be 'weit' (did you mean wait?)"),
        ("key: {from: id, lookup: codes, miss: default}", "key: miss: default needs default:"),
        ("key: {from: id, link: customer}", "key: needs: does not name 'customer' (did you mean customers?)"),
        ("key: {from: id, as: txt}", "as: cannot be 'txt' (did you mean text?)"),
        ("key: {from: id, max: 0}", "max: must be a whole number from 1 to 100000"),
        ("key: {from: id, max: true}", "max: must be a whole number from 1 to 100000"),
        ("key: {from: id, on_long: cut}", "key: on_long: needs max:"),
        ("key: {from: id, max: 3, on_long: cute}", "on_long: cannot be 'cute' (did you mean cut?)"),
        ("key: {from: id, required: maybe}", "key: required: must be true or false"),
        ("key: {from: id, remedy: 3}", "key: remedy: must be a text"),
        ("key: {from: id, default: [1]}", "key: default: must be a single value"),
        ("key: {from: title, default: settings.zne}", "the flow declares no setting 'zne' (did you mean zone?)"),
        ("amount: {value: V}", "amount: the constant 'V' can never be written: a constant is not a number"),
        ("amount: {from: \"'V'\"}", "amount: the constant 'V' can never be written: 'V' is not a number"),
        ("amount: {from: total, default: V}", "amount: the constant 'V' can never be written"),
        ("amount: {when: paid, then: total, else: \"'V'\"}", "amount: the constant 'V' can never be written"),
        (
            "amount: {cases: [{when: paid, then: \"'V'\"}, {else: total}]}",
            "amount: the constant 'V' can never be written",
        ),
        ("amount: {first: [total, \"'V'\"]}", "amount: the constant 'V' can never be written"),
        (
            "date: {value: soon, format: '%Y-%m-%d'}",
            "date: the constant 'soon' can never be written: a constant is not a date",
        ),
        ("amount: {from: total, rounding: halfup}", "rounding: cannot be 'halfup' (did you mean half_up?)"),
        ("amount: {from: total, places: 13}", "places: must be a whole number from 0 to 12"),
        ("date: {from: title}", "date: title: text becomes a date only with a format"),
        ("date: {from: at}", "date: at: a datetime becomes a date only in a time zone"),
        ("date: {from: at, zone: Europe/Londn}", "date: 'Europe/Londn' is not a time zone"),
        ("date: {from: at, zone: settings.zne}", "the flow declares no setting 'zne' (did you mean zone?)"),
        ("date: {from: title, format: iso}", "date: format: must be a pattern such as '%Y-%m-%d'"),
        ("date: {from: id}", "date: id: an integer cannot become a date"),
        ("time: {from: day}", "time: day: a date becomes a datetime only in a time zone"),
        ("time: {from: title, format: '%Y'}", "text becomes a datetime only with a zone, or %z in its format"),
        ("key: {from: at}", "key: at: a datetime becomes text only with a zone and a format"),
        ("flag: {from: total}", "flag: total: a decimal cannot become a boolean: use when, then and else"),
        ("amount: {from: paid}", "amount: paid: a boolean cannot become a decimal"),
        ("key: {from: paid}", "key: paid: a boolean cannot become text"),
        ("number: {from: day}", "number: day: a date cannot become an integer"),
        ("key: {from: buyer}", "key: buyer: a group cannot become text: name one field of it"),
        ("key: {from: rows}", "key: rows: a list cannot become text: name one field of it, or join, sum or count it"),
        ("words: {from: title}", None),
        ("flag: {value: 1}", "a constant: an integer cannot become a boolean"),
        ("date: {from: day, as: boolean}", "date is date in the target, not boolean"),
        ("date: {from: day, default: soon}", "text becomes a date only with a format"),
        ("key: {when: titel, from: id}", "key: the source has no field 'titel' (did you mean title?)"),
        ("key: {when: paid, from: title, else: titel}", "the source has no field 'titel' (did you mean title?)"),
        ("key: {from: Id}", "the source has no field 'Id' (did you mean id?)"),
        ("goods: {each: rows, code: {from: sku}}", "goods: each line needs key:, such as key: id"),
        ("goods: {each: title, key: id}", "goods: title is not a list"),
        ("goods: {each: rows, key: net, code: {from: sku}}", "goods: key: must be a single value, not a group"),
        ("goods: {key: id, sort: id, code: {from: title}}", "goods: sort: without each:"),
        ("goods: {each: rows, key: id, code: {from: skuu}}", "a row has no field 'skuu' (did you mean sku?)"),
        ("goods: {each: rows, key: id, code: {from: total}}", "a row has no field 'total' (did you mean doc.total?)"),
        ("goods: {each: rows, key: id, cod: {from: sku}}", "the target has no field 'goods.cod' (did you mean code?)"),
        ("goods: {each: rows, key: id, let: {sku: {from: id}}}", "the name 'sku' is already taken"),
        ("goods: {each: rows, key: id, let: {sum: {from: id}}}", "the name 'sum' is already taken"),
        ("goods: {each: rows, key: id, let: {a-b: {from: id}}}", "'a-b' cannot be a name in expressions"),
        ("goods: {each: rows, key: id, let: [a]}", "let of goods must be a table of names and values"),
        ("goods: 3", "goods is a list of lines: give it each:"),
        ("goods: [3]", "an item of goods must be a table of names and values"),
        (
            "goods: {each: rows, key: id, code: {from: sku, max: 1, on_long: lines}, "
            "text: {from: name, max: 1, on_long: lines}}",
            "goods: only one field of a line can run over several lines",
        ),
        ("name: {from: title, max: 5, on_long: lines}", "name: on_long: lines is for fields of a line: use cut"),
        (
            "goods: {each: rows, key: id, let: {long: {from: name, max: 5, on_long: lines}}, text: {from: long}}",
            "long: on_long: lines is for fields of a line",
        ),
        (
            "goods: {each: rows, key: id, quantity: {from: qty, max: 5, on_long: lines}}",
            "goods.quantity: on_long: lines is for text, but this is decimal",
        ),
        (
            "goods: {each: rows, key: id, quantity: {from: qty}, text: {from: name, max: 5, on_long: lines}}",
            "goods.quantity (decimal) would be repeated on each line that text continues on, and counted twice: put",
        ),
        (
            "goods: {each: rows, sort: net, key: id, code: {from: sku}}",
            "goods: sort: must be a single value, not a group",
        ),
        ("key: {from: id, else: title}", "key has else: without when:"),
        ("key: {from: id, with: ','}", "key has with: without join:"),
        ("key: {from: id, miss: wait}", "key has miss: without lookup:"),
        ("key: {from: id, part: title}", "key has part: without link:"),
        ("date: {from: title, format: '%d.%m.'}", "the format %d.%m. does not say which day it is: it needs year"),
        ("date: {from: title, format: '%m/%Y'}", "the format %m/%Y does not say which day it is"),
        ("date: {from: custom.DAY, format: '%Y %d'}", "the format %Y %d does not say which day it is"),
        ("time: {from: title, format: '%H:%M', zone: UTC}", "the format %H:%M does not say which day it is"),
        ("key: {when: buyer == 'Anna', value: x}", "key: buyer (group) and 'Anna' (text) are never equal"),
        (
            "line1, line2: {spread: [title], max: 5, overflow: amount}",
            "amount is decimal, but a text field is needed",
        ),
        ("line1, line2: {spread: title, max: 5}", "several fields need spread:, a list of expressions"),
        ("line1, line2: {spread: [title]}", "spread: needs max:, the length of one field"),
        ("line1, line2: {spread: [rows], max: 5}", "rows is a list and cannot be spread"),
        ("line1, amount: {spread: [title], max: 5}", "only text can be spread over several fields"),
        ("line1, lin2: {spread: [title], max: 5}", "the target has no field 'lin2' (did you mean line2?)"),
        (
            "line1, line2: {spread: [title], max: 5, overflow: mor}",
            "the target has no field 'mor' (did you mean more?)",
        ),
        ("line1, line2: {spread: [title], max: 5, overflow: line1}", "overflow: must not be a field of a spread"),
        ("line1, line2: {spread: [title], max: 5, shrter: [title]}", "has no entry 'shrter' (did you mean shorter?)"),
        ("line1, line1: {spread: [title], max: 5}", "line1 is filled twice"),
    ],
)
def test_an_entry_that_cannot_work_is_refused_at_its_line(entry: str, said: str | None) -> None:
    if said is None:
        with pytest.raises(Misconfigured, match="text cannot become a list"):
            made(entry)
        return
    with pytest.raises(Misconfigured) as error:
        made(entry)

    assert str(error.value).startswith("flows/test.yml:2: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_line_is_that_of_the_entry_itself() -> None:
    with pytest.raises(
        Misconfigured,
        match=r"flows/test.yml:5: key: the source has no field 'titel' .*; `syncengine fields RESOURCE` lists",
    ):
        made(
            """
            mapping:
              name:
                from: title
              key:
                from: titel
            """
        )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("natural_key: x\nmapping: {key: {from: id}}", 1, "natural_key: 'x' is not mapped"),
        ("natural_key: 3\nmapping: {key: {from: id}}", 1, "the flow needs natural_key:, a text"),
        ("mapping: {}", 1, "mapping: is required"),
        ("mapping: 3", 1, "mapping: is required"),
        ("values: 3\nmapping: {key: {from: id}}", 1, "values must be a table"),
        ("values: {id: {value: 1}}\nmapping: {key: {from: id}}", 1, "the name 'id' is already taken"),
        ("values: {doc: {value: 1}}\nmapping: {key: {from: id}}", 1, "the name 'doc' is already taken"),
        (
            "values: {sku: {value: a}}\nmapping:\n  goods: {each: rows, key: id, code: {from: sku}}",
            3,
            "'sku' is a named value and a field of the row: rename the value, or write row.sku",
        ),
        (
            "checks: [{hld: a, when: paid}]\nmapping: {key: {from: id}}",
            1,
            "an item of checks must begin with one of reject",
        ),
        (
            "checks: [{skip: a, when: paid}]\nmapping: {key: {from: id}}",
            1,
            "must begin with one of reject, hold, attention",
        ),
        ("checks: [{hold: a}]\nmapping: {key: {from: id}}", 1, "the rule 'a' needs when:"),
        (
            "checks: [{attention: a, when: paid, expcted: id}]\nmapping: {key: {from: id}}",
            1,
            "the rule attention has no entry 'expcted' (did you mean expected?)",
        ),
        (
            "checks: [{attention: a, when: paid, expected: idd}]\nmapping: {key: {from: id}}",
            1,
            "the source has no field 'idd' (did you mean id?)",
        ),
        ("checks: [{hold: a, when: paid, remedy: 3}]\nmapping: {key: {from: id}}", 1, "a needs remedy:, a text"),
        (
            "checks: [{hold: a, when: mapped.ky}]\nmapping: {key: {from: id}}",
            1,
            "mapped has no field 'ky' (did you mean key?)",
        ),
        (
            "rules: [{hold: a, when: paid, expected: id}]\nmapping: {key: {from: id}}",
            1,
            "the rule hold has no entry 'expected'",
        ),
        ("mapping: {key: {from: in_target.key}}", 1, "'in_target'"),
        ("mapping: {key: {from: \"lookup('target_lines', id)\"}}", 1, "there is no lookup table 'target_lines'"),
        (
            "mapping:\n  goods: {each: rows, key: id, code: {from: mapped.ky}}",
            2,
            "mapped has no field 'ky' (did you mean key?)",
        ),
        (
            "references: [{resource: right.nothing, keys: [id]}]\nmapping: {key: {from: id}}",
            1,
            "there is no resource 'right.nothing'",
        ),
        (
            "differences: {key: {reason: a, remedy: b}}\nmapping: {key: {from: id}}",
            1,
            "is for flows with writes: nothing",
        ),
        ("rules: 3\nmapping: {key: {from: id}}", 1, "rules must be a list"),
        ("rules: [{when: paid}]\nmapping: {key: {from: id}}", 1, "an item of rules must begin with one of skip, hold"),
        ("rules: [{skip: a, hold: b}]\nmapping: {key: {from: id}}", 1, "an item of rules must begin with one of"),
        ("rules: [{skip: a}]\nmapping: {key: {from: id}}", 1, "the rule 'a' needs when:"),
        ("rules: [{skip: 3, when: paid}]\nmapping: {key: {from: id}}", 1, "the rule skip needs skip:, a text"),
        (
            "rules: [{skip: a, when: day}]\nmapping: {key: {from: id}}",
            1,
            "rule 'a': day is date and cannot be a condition",
        ),
        ("rules: [{skip: a, wen: paid}]\nmapping: {key: {from: id}}", 1, "has no entry 'wen' (did you mean when?)"),
        ("rules: [{skip: a, when: pad}]\nmapping: {key: {from: id}}", 1, "has no field 'pad' (did you mean paid?)"),
        ("rules: [{route: a, when: paid}]\nmapping: {key: {from: id}}", 1, "set of 'a' must be a table"),
        (
            "values: {house: {value: a}}\nrules: [{route: a, when: paid, set: {hose: {value: b}}}]\nmapping: {key: {from: id}}",
            2,
            "route 'a': values: does not declare 'hose' (did you mean house?)",
        ),
        (
            "values: {long: {from: title, max: 5, on_long: lines}}\nmapping: {key: {from: id}}",
            1,
            "long: on_long: lines is for fields of a line",
        ),
        (
            "rules: [{cancel: a, when: day == '2026-01-31'}]\nmapping: {key: {from: id}}",
            1,
            "rule 'a': day (date) and '2026-01-31' (text) are never equal",
        ),
        (
            "mapping:\n  line1: {from: id}\n  more, name: {spread: [title], max: 5}\n"
            "  line2, line3: {spread: [note], max: 5, overflow: more}",
            2,
            "overflow: must not be a field of a spread, but more is one",
        ),
        (
            "checks: [{skip: a, when: paid}]\nmapping: {key: {from: id}}",
            1,
            "an item of checks must begin with one of reject",
        ),
        ("checks: [{reject: a, when: mapped.kee}]\nmapping: {key: {from: id}}", 1, "mapped has no field 'kee'"),
        (
            "references: [{resource: left.persn, keys: [id]}]\nmapping: {key: {from: id}}",
            1,
            "(did you mean left.person?)",
        ),
        ("references: [{resource: left.person}]\nmapping: {key: {from: id}}", 1, "needs keys:, a list of expressions"),
        ("policies: 3\nmapping: {key: {from: id}}", 1, "policies must be a table"),
        ("policies: {onn_create: [key]}\nmapping: {key: {from: id}}", 1, "policies has no entry 'onn_create'"),
        ("policies: {hold: [kee]}\nmapping: {key: {from: id}}", 1, "policies: 'kee' is not mapped (did you mean key?)"),
        ("policies: {hold: 3}\nmapping: {key: {from: id}}", 1, "hold must be a list of names"),
        ("policies: {hold: [key], enforce: [key]}\nmapping: {key: {from: id}}", 1, "policies: key has two policies"),
        ("policies: {default: hld}\nmapping: {key: {from: id}}", 1, "default: cannot be 'hld' (did you mean hold?)"),
        ("parts: [titel]\nmapping: {key: {from: id}}", 1, "parts: the source has no field 'titel'"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(text: str, line: int, said: str) -> None:
    with pytest.raises(Misconfigured) as error:
        made(text)

    assert str(error.value).startswith(f"flows/test.yml:{line}: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("differences: 3\nmapping: {key: {from: id}}", "differences must be a table"),
        (
            "differences: {kee: {reason: a, remedy: b}}\nmapping: {key: {from: id}}",
            "differences: 'kee' is not mapped (did you mean key?)",
        ),
        (
            "differences: {goods.cde: {reason: a, remedy: b}}\nmapping: {goods: {each: rows, key: id, code: {from: sku}}}",
            "differences: 'goods.cde' is not mapped (did you mean goods.code?)",
        ),
        ("differences: {key: {reason: a}}\nmapping: {key: {from: id}}", "key needs remedy:, a text"),
        ("differences: {key: a}\nmapping: {key: {from: id}}", "key must be a table"),
        (
            "differences: {key: {reason: a, remdy: b}}\nmapping: {key: {from: id}}",
            "differences: key has no entry 'remdy' (did you mean remedy?)",
        ),
        ("mapping: {key: {from: in_target.kee}}", "'kee' (did you mean key?)"),
        ("mapping: {key: {when: in_target.key == in_target.goods, from: id}}", "are never equal"),
    ],
)
def test_what_a_flow_that_compares_cannot_mean_is_refused(text: str, said: str) -> None:
    with pytest.raises(Misconfigured) as error:
        made(text, compares=True)

    assert str(error.value).startswith("flows/test.yml:1: ")
    assert said in str(error.value)


def test_a_flow_that_compares_may_name_the_targets_document_and_line_numbers() -> None:
    mapping = made(
        "differences: {goods: {reason: a, remedy: b}}\n"
        "mapping:\n"
        "  key: {from: in_target.key}\n"
        "  goods: {each: rows, key: \"lookup('target_lines', id)\", code: {from: sku}}",
        compares=True,
    )

    context = Context(found={"key": "K"}, lookups={"target_lines": {"7": "2"}})
    made_of = mapping.apply({"id": 1, "rows": [{"id": "7", "sku": "MUG"}]}, context)[""]
    assert made_of == {"key": "K", "goods": [{"@key": "2", "code": "MUG"}]}
    assert mapping.difference_text("goods.code").reason == "a"
    assert mapping.difference_text("key").reason == "the target differs from what it should be"

"""JSON patches of source documents: what a person says becomes a patch that tests all that it changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.engine.decide import patches
from syncengine.errors import Misconfigured

ORDER: dict[str, Any] = {
    "id": 5001,
    "reference": None,
    "price": Decimal("8.00"),
    "isPaid": False,
    "orderRows": {"8101": {"productSku": "MGU", "quantity": {"magnitude": "2"}}},
    "notes": ["a", "b"],
}


@pytest.mark.parametrize(
    ("setting", "patch"),
    [
        ("orderRows.8101.productSku=MUG", [("test", "/orderRows/8101/productSku", "MGU"), ("replace", "MUG")]),
        ("/orderRows/8101/productSku=A=B", [("test", "/orderRows/8101/productSku", "MGU"), ("replace", "A=B")]),
        (
            "orderRows.8101.quantity.magnitude=3",
            [("test", "/orderRows/8101/quantity/magnitude", "2"), ("replace", "3")],
        ),
        ("id=7", [("test", "/id", 5001), ("replace", 7)]),  # a number stays a number, as a text stays a text
        ("price=9.10", [("test", "/price", Decimal("8.00")), ("replace", Decimal("9.10"))]),
        ("isPaid=true", [("test", "/isPaid", False), ("replace", True)]),
        ("reference=5", [("test", "/reference", None), ("replace", "5")]),
        ("reference:=5", [("test", "/reference", None), ("replace", 5)]),
        ("orderRows:={}", [("test", "/orderRows", ORDER["orderRows"]), ("replace", {})]),
        ("notes.1=c", [("test", "/notes/1", "b"), ("replace", "c")]),
        ("notes./=c", None),
        ("nowhere.at.all=7", None),
        ("nothing", None),
        ("id:=7}", None),
    ],
)
def test_a_value_that_is_set_is_tested_first(setting: str, patch: list[tuple[Any, ...]] | None) -> None:
    if patch is None:
        with pytest.raises(Misconfigured):
            patches.of_values(ORDER, [setting])
        return
    made = patches.of_values(ORDER, [setting])
    shown = [
        (one["op"], one["path"], one["value"]) if one["op"] == "test" else (one["op"], one["value"]) for one in made
    ]
    assert shown == patch
    assert patches.check(ORDER, made) == patches.patched(ORDER, made)


@pytest.mark.parametrize(
    ("addition", "op", "path", "value"),
    [
        ("channel=7", "add", "/channel", "7"),
        ("channel:=7", "add", "/channel", 7),
        ("orderRows.8101.quantity.unit=box", "add", "/orderRows/8101/quantity/unit", "box"),
        ("delivery:={}", "add", "/delivery", {}),
        ("notes.-=c", "add", "/notes/-", "c"),
        ("notes.2=c", "add", "/notes/2", "c"),
    ],
)
def test_what_is_not_there_is_added_and_has_nothing_to_test(addition: str, op: str, path: str, value: object) -> None:
    made = patches.of_values(ORDER, [], [addition])
    assert made == [{"op": op, "path": path, "value": value}]
    assert patches.check(ORDER, made) == patches.patched(ORDER, made)


@pytest.mark.parametrize(
    ("settings", "additions", "says"),
    [
        (
            ["orderRows.8101.productSKU=MUG"], [],
            "--set 'orderRows.8101.productSKU=MUG' cannot be applied: there is no 'productSKU' in /orderRows/8101 "
            "(did you mean productSku?). Correct the path, or add it with --add 'orderRows.8101.productSKU=MUG'",
        ),
        (
            ["orderRows.8101.x=1"], [],
            "--set 'orderRows.8101.x=1' cannot be applied: there is no 'x' in /orderRows/8101 (valid: productSku, quantity). "
            "Correct the path, or add it with --add 'orderRows.8101.x=1'",
        ),
        (
            ["orderRow.8101.productSku=MUG"], [],
            "--set 'orderRow.8101.productSku=MUG' cannot be applied: there is no 'orderRow' in the document "
            "(did you mean orderRows?). Correct the path, or add 'orderRow' first",
        ),
        (
            ["notes.-=c"], [],
            "--set 'notes.-=c' cannot be applied: there is no '-' in /notes. Correct the path, "
            "or add it with --add 'notes.-=c'",
        ),
        (["id.x=1"], [], "--set 'id.x=1' cannot be applied: there is no 'x' in /id. Correct the path"),
        ([], ["id.x=1"], "--add 'id.x=1' cannot be applied: there is no 'x' in /id. Correct the path"),
        (
            [], ["delivry.name=Ann"],
            "--add 'delivry.name=Ann' cannot be applied: there is no 'delivry' in the document (valid: id, isPaid, notes, "
            "orderRows, price, reference). Correct the path, or add 'delivry' first",
        ),
        ([], ["id=7"], "--add 'id=7' cannot be applied: /id already exists. Change it with --set 'id=7'"),
        (
            [], ["reference=7"],
            "--add 'reference=7' cannot be applied: /reference already exists. Change it with --set 'reference=7'",
        ),
        ([], ["notes.9=c"], "--add 'notes.9=c' cannot be applied: the patch does not fit: can't insert outside of list"),
        ([], ["x"], "--add 'x' is not a correction. Write path=value, for example orderRows.8101.productSku=MUG"),
    ],
)  # fmt: skip
def test_what_is_set_must_be_there_and_what_is_added_must_not(
    settings: list[str], additions: list[str], says: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        patches.of_values(ORDER, settings, additions)
    assert str(refused.value) == says


def test_additions_go_first_so_that_one_may_hold_another_and_be_set() -> None:
    made = patches.of_values(ORDER, ["delivery.name=Bo"], ["delivery:={}", "delivery.name=Ann"])
    assert [(one["op"], one["path"], one["value"]) for one in made] == [
        ("add", "/delivery", {}), ("add", "/delivery/name", "Ann"),
        ("test", "/delivery/name", "Ann"), ("replace", "/delivery/name", "Bo"),
    ]  # fmt: skip
    assert patches.check(ORDER, made)["delivery"] == {"name": "Bo"}


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        ([{"op": "replace", "path": "/id", "value": 7}], "changes /id without a test"),
        ([{"op": "remove", "path": "/orderRows/8101"}], "changes /orderRows/8101 without a test"),
        ([{"op": "move", "from": "/id", "path": "/number"}], "changes /id without a test"),
        ([{"op": "add", "path": "/id", "value": 7}], "changes /id without a test"),
        ([{"op": "test", "path": "/id", "value": 1}, {"op": "replace", "path": "/id", "value": 7}], "a test"),
        ([{"op": "test", "path": "/id", "value": 5001}, {"op": "remove", "path": ""}], "does not fit"),
        ([{"op": "remove", "path": "/nowhere"}], "does not fit"),
        ([{"op": "add", "path": "no pointer", "value": 7}], "does not fit"),
    ],
)
def test_a_patch_that_does_not_fit_or_does_not_test_is_refused_with_the_reason(
    patch: list[dict[str, Any]], says: str
) -> None:
    with pytest.raises(Misconfigured, match=says):
        patches.check(ORDER, patch)


@pytest.mark.parametrize(
    "patch",
    [
        [
            {"op": "test", "path": "/orderRows", "value": ORDER["orderRows"]},
            {"op": "remove", "path": "/orderRows/8101"},
        ],
        [
            {"op": "test", "path": "/orderRows/8101/productSku", "value": "MGU"},
            {"op": "remove", "path": "/orderRows/8101"},
        ],
        [{"op": "add", "path": "/notes/-", "value": "c"}],
        [{"op": "add", "path": "/notes/0", "value": "c"}],
        [{"op": "add", "path": "/channel", "value": 7}, {"op": "copy", "from": "/id", "path": "/number"}],
    ],
)
def test_a_test_of_what_contains_the_change_or_stands_in_it_will_do(patch: list[dict[str, Any]]) -> None:
    assert patches.check(ORDER, patch) == patches.patched(ORDER, patch) != ORDER


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not valid JSON"),
        ("{}", "is not a JSON patch"),
        ("[]", "is not a JSON patch"),
        ('[{"op": "swap", "path": "/a"}]', "the op of operation 1 must be one of add"),
        ('[{"op": "test", "path": "/a"}]', "operation 1 lacks value"),
        ("[7]", "operation 1"),
    ],
)
def test_a_file_that_is_no_patch_is_refused(text: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        patches.of_text(text, "--patch x.json")


def test_numbers_are_shown_and_read_exactly() -> None:
    text = patches.text_of({"a": Decimal("1.10"), "b": "1.10", "c": 12345678901234567890, "d": Decimal("1E+2")})
    assert '"a": 1.10' in text
    assert patches.doc_of(text, "it") == {"a": Decimal("1.10"), "b": "1.10", "c": 12345678901234567890, "d": 100}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.decimals(-1000, 1000, places=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text(max_size=4), JSON, max_size=4)


@given(DOCUMENTS, DOCUMENTS)
def test_any_edit_becomes_a_patch_that_makes_it_and_passes_the_check(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    made = patches.of_edit(before, patches.text_of(after))
    assert patches.check(before, made) == after


PLACES = st.sampled_from(
    ["", "/", "/id", "/id/x", "/notes", "/notes/-", "/notes/7", "/notes/x", "/reference/x", "x", "/price/0"]
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(sorted(patches.OPERATIONS)), "path": PLACES, "from": PLACES, "value": JSON}
        ),
        max_size=3,
    )
)
def test_any_patch_fits_or_is_refused_in_a_line(patch: list[dict[str, Any]]) -> None:
    try:
        answer: object = patches.check(ORDER, patch)
    except Misconfigured as refused:
        answer = str(refused)
    assert isinstance(answer, dict) or (isinstance(answer, str) and "\n" not in answer)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="=:"), max_size=2)


@given(st.dictionaries(NAMES, JSON, max_size=4), NAMES, st.booleans())
def test_any_member_can_be_set_or_added_and_never_both(holder: dict[str, Any], name: str, is_there: bool) -> None:
    doc = {"rows": {**holder, name: 5} if is_there else {key: holder[key] for key in holder if key != name}}
    said = [f"/rows/{name.replace('~', '~0').replace('/', '~1')}=x"]
    made = patches.of_values(doc, said) if is_there else patches.of_values(doc, [], said)
    assert [one["op"] for one in made] == (["test", "replace"] if is_there else ["add"])
    assert patches.check(doc, made) == {"rows": {**doc["rows"], name: "x"}}
    with pytest.raises(Misconfigured):
        _ = patches.of_values(doc, [], said) if is_there else patches.of_values(doc, said)


def test_an_edit_that_changes_nothing_is_no_patch() -> None:
    assert patches.of_edit(ORDER, patches.text_of(ORDER)) == []

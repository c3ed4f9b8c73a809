from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from syncengine.errors import Misconfigured
from syncengine.mapping.yaml_lines import Items, Table, parse, read


def test_every_entry_knows_its_line() -> None:
    table = parse("a: 1\nb:\n  - x\n  - {c: 2}\n", "f.yml")

    assert table.line_of("a") == 1
    assert table.line_of("b") == 2
    assert isinstance(table["b"], Items)
    assert table["b"].line_of(1) == 4
    assert isinstance(table["b"][1], Table)
    assert table.line_of("nothing") == 1


def test_surprises_of_yaml_1_1_stay_out() -> None:
    table = parse(
        "{a: NO, b: 0010, c: 12:30, d: 2024-01-01, e: on, f: 1.10, g: 1e3, h: yes, 1: x, true: y, i: 07.5}", "f.yml"
    )

    assert [table[name] for name in "abcdehi"] == ["NO", "0010", "12:30", "2024-01-01", "on", "yes", "07.5"]
    assert table["f"] == Decimal("1.10")
    assert str(table["f"]) == "1.10"
    assert table["g"] == "1e3"
    assert table["1"] == "x"
    assert table["true"] == "y"


def test_numbers_flags_and_nothing_are_what_they_look_like() -> None:
    assert parse("{a: 1, b: -2, c: true, d: null, e: ~, f: }", "f.yml") == {
        "a": 1, "b": -2, "c": True, "d": None, "e": None, "f": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yml:3: not valid YAML: 'a' occurs twice, first on line 1"),
        ("a: [1, 2\n", "f.yml:2: not valid YAML"),
        ("a: b: c\n", "f.yml:1: not valid YAML"),
        ("- a\n- b\n", "f.yml:1: the file must be a table of names and values"),
        ("", "f.yml:1: the file is empty. Write its entries, or remove it"),
        ("# a comment\n", "f.yml:1: the file is empty"),
        ("? [a, b]\n: c\n", "f.yml:1: not valid YAML: a key must be a plain scalar"),
        ("a: !!python/object:os.system x\n", "f.yml:1: not valid YAML"),
        ("a: *nowhere\n", "f.yml:1: not valid YAML"),
        ("a: \x07\n", "f.yml:1: not valid YAML"),
    ],
)
def test_broken_yaml_is_one_line_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Misconfigured) as error:
        parse(text, "f.yml")

    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes(b"a: \xe4\n")

    with pytest.raises(Misconfigured, match=r"latin.yml:1: the file is not UTF-8"):
        read(tmp_path / "latin.yml")
    with pytest.raises(Misconfigured, match=r"nowhere.yml: cannot be read: No such file"):
        read(tmp_path / "nowhere.yml")


def test_an_anchor_is_read_once_and_used_twice() -> None:
    table = parse("a: &x {b: 1}\nc: *x\n", "f.yml")

    assert table["c"] is table["a"]

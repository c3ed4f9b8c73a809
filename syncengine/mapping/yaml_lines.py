"""YAML with line numbers: every entry knows its line, decimals are exact, YAML 1.1's surprises and duplicate keys are out."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from syncengine.errors import Misconfigured
from syncengine.mapping.runtime import DecimalLiteral


class Table(dict[str, Any]):
    """A YAML mapping. line: the line on which it begins. lines: the line of each key."""

    line: int = 0
    lines: dict[str, int]

    def line_of(self, key: str) -> int:
        """The line of an entry, or of the table if it has no such entry."""
        return self.lines.get(key, self.line)


class Items(list[Any]):
    """A YAML list. line: the line on which it begins. lines: the line on which each item begins."""

    line: int = 0
    lines: list[int]

    def line_of(self, index: int) -> int:
        """The line of the item at this index."""
        return self.lines[index]


_BASE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML has it: eight times as fast, and every command reads the flows."""


class _Loader(_BASE):  # type: ignore[valid-type,misc]
    """Reads a plain scalar as text unless it is `true`, `false`, `null`, an integer or a decimal.

    YAML 1.1 would read the country `NO` as false, `0010` as eight and `12:30` as 750.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:null|~|)$"), ["n", "~", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]*)$"), list("-0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$"), list("-0123456789")
)


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> DecimalLiteral:
    return DecimalLiteral(loader.construct_scalar(node))


def _table(loader: _Loader, node: yaml.MappingNode) -> Table:
    table = Table()
    table.line = node.start_mark.line + 1
    table.lines = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if key is not None and not isinstance(key, str | int | bool | Decimal):
            raise yaml.MarkedYAMLError(problem="a key must be a plain scalar", problem_mark=key_node.start_mark)
        name = key if isinstance(key, str) else str(key_node.value)
        if name in table:
            problem = f"{name!r} occurs twice, first on line {table.lines[name]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        table[name] = loader.construct_object(value_node, deep=True)
        table.lines[name] = line
    return table


def _items(loader: _Loader, node: yaml.SequenceNode) -> Items:
    items = Items(loader.construct_object(item, deep=True) for item in node.value)
    items.line = node.start_mark.line + 1
    items.lines = [item.start_mark.line + 1 for item in node.value]
    return items


_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)
_Loader.add_constructor("tag:yaml.org,2002:map", _table)
_Loader.add_constructor("tag:yaml.org,2002:seq", _items)


def parse(text: str, file: str) -> Table:
    """Parse a YAML text into a table with line numbers. `file` is the file's name in error texts.

    Raises Misconfigured with one line: file, line, what is wrong.
    """
    try:
        loaded = yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Misconfigured(f"{file}:{line}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Misconfigured(f"{file}:1: not valid YAML: {' '.join(str(error).split())}") from None
    if loaded is None:
        raise Misconfigured(f"{file}:1: the file is empty", "Write its entries, or remove it")
    if not isinstance(loaded, Table):
        raise Misconfigured(f"{file}:1: the file must be a table of names and values")
    return loaded


def read(path: Path) -> tuple[Table, str]:
    """The table in a YAML file, and the file's text. Raises Misconfigured with one line."""
    file = display_path(path)
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise Misconfigured(f"{file}:1: the file is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read: {error.strerror}") from None
    return parse(text, file), text


def display_path(path: Path) -> str:
    """A file's name in error texts: its folder and name."""
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name

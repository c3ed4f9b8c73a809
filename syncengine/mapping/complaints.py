"""Errors in a flow's file, reported to its author: file, line, one sentence, the closest valid name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from syncengine.errors import Misconfigured
from syncengine.mapping.scope import Complaint
from syncengine.mapping.shapes import nearest
from syncengine.mapping.yaml_lines import Items, Table


@dataclass(frozen=True)
class Place:
    """Checks entries of one file and reports errors with file and line.

    file: the file's name in error texts. `what`, in all methods, names the entry that is being read.
    """

    file: str

    def refuse(self, line: int, message: str) -> NoReturn:
        """Raise Misconfigured for this line of the file."""
        raise Misconfigured(f"{self.file}:{line}: {message}")

    @contextmanager
    def at(self, line: int, what: str = "") -> Iterator[None]:
        """Turn a Complaint raised inside into a Misconfigured for this line."""
        try:
            yield
        except Complaint as complaint:
            self.refuse(line, f"{what}: {complaint}" if what else str(complaint))

    def only(self, table: Table, allowed: Iterable[str], what: str) -> None:
        """Refuse entries that are not allowed here."""
        valid = list(allowed)
        for name in table:
            if name not in valid:
                self.refuse(table.line_of(name), f"{what} has no entry {name!r}{nearest(name, valid)}")

    def table(self, value: Any, line: int, what: str) -> Table:
        """The value. Refuses anything but a table of names and values."""
        if not isinstance(value, Table):
            self.refuse(line, f"{what} must be a table of names and values")
        return value

    def tables(self, value: Any, line: int, what: str) -> Iterator[Table]:
        """The tables of a list of tables; none if the list is absent."""
        if value is None:
            return
        if not isinstance(value, Items):
            self.refuse(line, f"{what} must be a list; begin each item with a dash")
        for index, item in enumerate(value):
            yield self.table(item, value.line_of(index), f"an item of {what}")

    def text(self, table: Table, name: str, what: str) -> str:
        """A required text entry of a table."""
        value = table.get(name)
        if not isinstance(value, str) or not value:
            self.refuse(table.line_of(name), f"{what} needs {name}:, a text")
        return value

    def choice(self, table: Table, name: str, allowed: Iterable[str], default: str) -> str:
        """An entry that takes one of a few values; `default` if it is absent."""
        value = table.get(name, default)
        if value not in set(allowed):
            self.refuse(table.line_of(name), f"{name}: cannot be {value!r}{nearest(str(value), allowed)}")
        return str(value)

    def whole_number(self, table: Table, name: str, least: int, most: int) -> int | None:
        """An entry that is a whole number from `least` to `most`; None if it is absent."""
        value = table.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.refuse(table.line_of(name), f"{name}: must be a whole number from {least} to {most}")
        return value

    def names(self, value: Any, line: int, what: str) -> list[str]:
        """A list of names. A single name counts as a list of one, an absent value as an empty list."""
        if value is None:
            return []
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            self.refuse(line, f"{what} must be a list of names")
        return list(found)

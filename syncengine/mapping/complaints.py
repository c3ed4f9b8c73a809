"""How a mapping's author is told what is wrong: file, line, one sentence, the nearest valid name."""

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
    """The file that is being read, as complaints name it."""

    file: str

    def refuse(self, line: int, message: str) -> NoReturn:
        raise Misconfigured(f"{self.file}:{line}: {message}")

    @contextmanager
    def at(self, line: int, what: str = "") -> Iterator[None]:
        """Turn a Complaint into a Misconfigured that says where. `what` is the entry that is being read."""
        try:
            yield
        except Complaint as complaint:
            self.refuse(line, f"{what}: {complaint}" if what else str(complaint))

    def only(self, table: Table, allowed: Iterable[str], what: str) -> None:
        """Refuse entries that mean nothing here."""
        known = list(allowed)
        for name in table:
            if name not in known:
                self.refuse(table.line_of(name), f"{what} has no entry {name!r}{nearest(name, known)}")

    def table(self, value: Any, line: int, what: str) -> Table:
        """The value, which must be a table of names and values."""
        if not isinstance(value, Table):
            self.refuse(line, f"{what} must be a table of names and values")
        return value

    def tables(self, value: Any, line: int, what: str) -> Iterator[Table]:
        """The tables of a list of tables; nothing for an absent list."""
        if value is None:
            return
        if not isinstance(value, Items):
            self.refuse(line, f"{what} must be a list, each item beginning with a dash")
        for index, item in enumerate(value):
            yield self.table(item, value.line_of(index), f"an item of {what}")

    def word(self, table: Table, name: str, what: str) -> str:
        """A text entry of a table that must be there."""
        value = table.get(name)
        if not isinstance(value, str) or not value:
            self.refuse(table.line_of(name), f"{what} needs {name}:, a text")
        return value

    def choice(self, table: Table, name: str, allowed: Iterable[str], default: str) -> str:
        """An entry that is one of a few words."""
        value = table.get(name, default)
        if value not in set(allowed):
            self.refuse(table.line_of(name), f"{name}: cannot be {value!r}{nearest(str(value), allowed)}")
        return str(value)

    def whole_number(self, table: Table, name: str, least: int, most: int) -> int | None:
        """An entry that is a whole number between two bounds; None if it is absent."""
        value = table.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.refuse(table.line_of(name), f"{name}: must be a whole number from {least} to {most}")
        return value

    def words(self, value: Any, line: int, what: str) -> list[str]:
        """A list of texts; one text alone is a list of one; nothing is an empty one."""
        if value is None:
            return []
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            self.refuse(line, f"{what} must be a list of names")
        return list(found)

"""Texts for people, guarded and scrambled: nobody may decide by them.

Guarded, a text has its words and refuses to be compared or searched by the program. Scrambled, it is random words. Both are
done to what is loaded from the store and to what an error says.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import syncengine
from syncengine.errors import Misconfigured, Rejected, SyncError
from syncengine.store import models as m

PRODUCT = str(Path(syncengine.__file__).parent)
WHATEVER_IT_SAYS = (f"{PRODUCT}/redaction.py", f"{PRODUCT}/store/models/base.py")
"""Modules that take secrets, or what no database stores, out of any text."""
COLUMNS = tuple(
    table.c[name]
    for table, names in (
        (m.Record.__table__, ("reason",)),
        (m.Failure.__table__, ("cause", "remedy", "closed_because")),
        (m.Effect.__table__, ("error", "attention")),
        (m.Endpoint.__table__, ("paused_because",)),
        (m.Correction.__table__, ("because", "lapsed_because")),
        (m.Decision.__table__, ("because", "lapsed_because")),
        (m.Ceiling.__table__, ("shut_because",)),
        (m.Alert.__table__, ("text", "remedy")),
        (m.Run.__table__, ("error",)),
    )
    for name in names
)
READING = (
    "__eq__", "__ne__", "__lt__", "__gt__", "__contains__", "startswith", "endswith", "find", "index", "count", "partition",
    "rpartition", "removeprefix", "removesuffix", "split", "rsplit",
)  # fmt: skip
WORDS: dict[str, str] = {}


class Guarded(str):
    """A text that fails if a module of the product compares or searches it."""

    __hash__ = str.__hash__

    def __str__(self) -> str:
        return self


def _guard(name: str) -> Callable[..., Any]:
    plain = getattr(str, name)

    def guarded(self: Guarded, *args: Any) -> Any:
        caller = sys._getframe(1)
        if caller.f_code.co_filename.startswith(PRODUCT) and caller.f_code.co_filename not in WHATEVER_IT_SAYS:
            where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
            raise AssertionError(f"{where} reads a text for people ({name}): {str.__str__(self)}")
        return plain(self, *args)

    return guarded


for _name in READING:
    setattr(Guarded, _name, _guard(_name))


def scrambled(text: str) -> str:
    """A random word in the place of a text, the same for the same text."""
    word = "w" + hashlib.blake2s(text.encode(), digest_size=5).hexdigest()
    WORDS[word] = text
    return word


def original(text: str) -> str:
    """What a scrambled text says, for those who judge; any other text stays."""
    while found := [word for word in re.findall(r"\bw[0-9a-f]{10}\b", text) if word in WORDS]:
        for word in found:
            text = text.replace(word, WORDS[word])
    return text


CHANGES: list[Callable[[str], str]] = []
"""What texts are read through now; the last one counts."""


class _Shown(m.FreeText):
    """A column whose texts are read through the last of `CHANGES`.

    It stays in its place: SQLAlchemy keeps copies of columns, with the type that they had.
    """

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return super().process_bind_param(None if value is None else str.__str__(value), dialect)

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return CHANGES[-1](value) if value and CHANGES else value


for _column in COLUMNS:
    _column.type = _Shown()
    _column.__dict__.pop("comparator", None)


@contextmanager
def read_through(change: Callable[[str], str]) -> Iterator[None]:
    """Have every text for people, loaded or raised, read through `change`."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        CHANGES.append(change)
        stack.callback(CHANGES.pop)
        says, made, refused, wrong = SyncError.__str__, SyncError.__init__, Rejected.__init__, Misconfigured.__init__
        patch.setattr(SyncError, "__str__", lambda error: change(says(error)))

        def init(error: SyncError, *args: Any, **more: Any) -> None:
            made(error, *args, **more)
            error.says = change(error.says)

        def init_rejected(error: Rejected, **more: Any) -> None:
            refused(error, **more)
            error.reason, error.remedy = change(error.reason), change(error.remedy)

        def init_wrong(error: Misconfigured, *args: Any, **more: Any) -> None:
            wrong(error, *args, **more)
            error.says, error.remedy = change(error.says), change(error.remedy)

        patch.setattr(SyncError, "__init__", init)
        patch.setattr(Misconfigured, "__init__", init_wrong)
        patch.setattr(Rejected, "__init__", init_rejected)
        yield

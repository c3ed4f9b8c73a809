"""Two people at the command line of one store: each command runs in this process, with an engine and connections of its own.

`People.run` is one command by one person. `cutting_in` has another person run theirs at a chosen place of it: where the first
one is asked, or just before the first one's Nth transaction that writes. `together` lets both reach their first such
transaction, in threads, and then continue at the same time.
"""

from __future__ import annotations

import getpass
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Barrier, BrokenBarrierError, Thread
from types import SimpleNamespace
from typing import Any

import click
import pytest
from sqlalchemy.orm import Session

from syncengine.cli import _person, main
from syncengine.store import Store

PATIENCE_S = 20.0
WHO: ContextVar[str] = ContextVar("WHO", default="nobody")
OUT: ContextVar[io.StringIO | None] = ContextVar("OUT", default=None)
ERR: ContextVar[io.StringIO | None] = ContextVar("ERR", default=None)
ASKED: ContextVar[Callable[[], None] | None] = ContextVar("ASKED", default=None)
WRITES: ContextVar[Callable[[], None] | None] = ContextVar("WRITES", default=None)


@dataclass(frozen=True)
class Said:
    """How a command ended: its exit code, and what it said to whom."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that a person sees."""
        return f"{self.out}{self.err}"

    @property
    def facts(self) -> Any:
        """What `--json` said. A command that is refused says nothing there, and why in a line on the other stream."""
        return json.loads(self.out)


class _Heard(io.TextIOBase):
    """A standard stream that each command writes to for itself, whichever thread it runs in."""

    encoding = "utf-8"
    errors = "strict"

    def __init__(self, place: ContextVar[io.StringIO | None], otherwise: Any) -> None:
        self._place, self._otherwise = place, otherwise

    def write(self, text: str) -> int:
        return int((self._place.get() or self._otherwise).write(text))

    def flush(self) -> None:
        (self._place.get() or self._otherwise).flush()


@contextmanager
def _heard() -> Iterator[None]:
    """Put `_Heard` in the place of both streams, as long as the outermost command runs: pytest changes them, too."""
    if isinstance(sys.stdout, _Heard):
        yield
        return
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Heard(OUT, sys.stdout), _Heard(ERR, sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class People:
    """Whoever runs commands; see the module."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(getpass, "getuser", WHO.get)
        terminal = SimpleNamespace(isatty=lambda: True)
        monkeypatch.setattr(
            _person, "sys", SimpleNamespace(stdin=terminal, stdout=SimpleNamespace(isatty=lambda: False))
        )
        monkeypatch.setattr(click, "confirm", _asked)
        monkeypatch.setattr(Store, "write", _watched(Store.write))

    def run(self, who: str, *words: object) -> Said:
        """One command by one person, who says yes to any question."""
        out, err, code = io.StringIO(), io.StringIO(), None
        kept = [(variable, variable.set(value)) for variable, value in ((WHO, who), (OUT, out), (ERR, err))]
        try:
            with _heard():
                main([*map(str, words)])
        except SystemExit as ended:
            code = ended.code
        finally:
            for variable, token in kept:
                variable.reset(token)
        assert isinstance(code, int), code
        return Said(code, out.getvalue(), err.getvalue())

    def cutting_in(self, place: str | int, first: Callable[[], Said], second: Callable[[], Said]) -> tuple[Said, Said]:
        """What both read if the second runs at a place of the first: `asked`, or the number of its writing transaction."""
        said: list[Said] = []
        left = 0 if place == "asked" else int(place)

        def cut_in() -> None:
            nonlocal left
            left -= 1
            if not said and (place == "asked" or left == 0):
                quiet = [(variable, variable.set(None)) for variable in (ASKED, WRITES)]
                said.append(second())
                for variable, token in quiet:
                    variable.reset(token)

        variable = ASKED if place == "asked" else WRITES
        token = variable.set(cut_in)
        try:
            answer = first()
        finally:
            variable.reset(token)
        assert said, f"the first one never came to the place {place!r}: {answer}"
        return answer, said[0]

    def together(self, *commands: Callable[[], Said]) -> list[Said]:
        """What each reads; all begin their first transaction that writes at the same time."""
        said: dict[int, Said] = {}
        gate = Barrier(len(commands), timeout=PATIENCE_S)

        def act(number: int, command: Callable[[], Said]) -> None:
            waited: list[bool] = []

            def wait() -> None:
                if not waited:
                    waited.append(True)
                    with suppress(BrokenBarrierError):  # the other one was refused before it came to write
                        gate.wait()

            WRITES.set(wait)
            try:
                said[number] = command()
            finally:
                if not waited:
                    gate.abort()

        threads = [Thread(target=act, args=one) for one in enumerate(commands)]
        with _heard():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(2 * PATIENCE_S)
        assert len(said) == len(commands), f"not all came to an end: {said}"
        return [said[number] for number in range(len(commands))]


def _asked(question: str, **more: Any) -> bool:
    click.echo(question)
    if (act := ASKED.get()) is not None:
        act()
    return True


def _watched(write: Any) -> Any:
    @contextmanager
    def watched(store: Store, *, durable: bool = True) -> Iterator[Session]:
        if (act := WRITES.get()) is not None:
            act()
        with write(store, durable=durable) as session:
            yield session

    return watched

"""The values of all switches.

A value has the type of its default; numbers, booleans and "none" are read from text, so that the command line, the
control API and a test speak the same language.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterator, Mapping

from syncengine.sandbox.switches import brightpearl, shared, syspro, syspro_tax
from syncengine.sandbox.switches.declaration import Declarations, Value

_DECLARED: Declarations = {**shared.SWITCHES, **brightpearl.SWITCHES, **syspro.SWITCHES, **syspro_tax.SWITCHES}
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class UnknownSwitch(ValueError):
    """The switch is unknown, or the value has the wrong type; the text says what is expected."""


class Switches(Mapping[str, Value]):
    """All switches by name. Reading is cheap and safe from any thread; `turn` checks names and types."""

    def __init__(self, values: Mapping[str, object] | None = None) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Value] = {name: default for name, (default, _) in _DECLARED.items()}
        self.turn(values or {})

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def turn(self, values: Mapping[str, object]) -> None:
        """Set several switches, all or none.

        Raises:
            UnknownSwitch: a name is not declared, or a value does not have the default's type.
        """
        checked = {name: self._fit(name, value) for name, value in values.items()}
        with self._lock:
            self._values.update(checked)

    def number(self, name: str) -> float:
        """A numeric switch; 0.0 for none."""
        value = self._values[name]
        return float(value) if value is not None else 0.0

    def integer(self, name: str) -> int:
        """A numeric switch as an integer; 0 for none."""
        return int(self.number(name))

    def on(self, name: str) -> bool:
        """Whether a boolean switch is on."""
        return bool(self._values[name])

    def text(self, name: str) -> str:
        """A switch as text; empty for none."""
        value = self._values[name]
        return "" if value is None else str(value)

    def described(self) -> dict[str, dict[str, object]]:
        """Name to `{value, default, about}`, for the control API."""
        return {
            name: {"value": self._values[name], "default": default, "about": about}
            for name, (default, about) in _DECLARED.items()
        }

    def _fit(self, name: str, value: object) -> Value:
        if name not in _DECLARED:
            near = difflib.get_close_matches(name, _DECLARED, 1)
            raise UnknownSwitch(f"no switch is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        try:
            return _as(_DECLARED[name][0], value)
        except ValueError as problem:
            raise UnknownSwitch(f"switch {name}: {problem}") from None


def _as(default: Value, value: object) -> Value:
    """`value` in the type of `default`; a default of none takes a number or none."""
    text = str(value).strip()
    if isinstance(default, bool):
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ValueError(f"{text!r} is neither on nor off")
    if default is None or isinstance(default, int | float):
        if text.lower() in ("none", ""):
            if default is None:
                return None
            raise ValueError("a number is needed")
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a number") from None
        return int(number) if isinstance(default, int) and number.is_integer() else number
    return text

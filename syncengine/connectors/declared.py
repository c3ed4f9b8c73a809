"""What an endpoint can set, declared as data: connectors read settings by it, `init` asks by it, and the reference lists it.

A system's package exports `SETTINGS` and `SECRETS`. Nothing here knows a system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class SettingType(StrEnum):
    """What a setting takes; the value is how the reference calls it."""

    TEXT = "text"
    ADDRESS = "address"
    FILE = "path of a file"
    NUMBER = "number"
    WHOLE_NUMBER = "whole number"
    FLAG = "true or false"
    CHOICE = "choice"
    NAMES = "list of names"
    TABLE = "table"
    PATTERN = "regular expression"


@dataclass(frozen=True, slots=True)
class DeclaredSetting:
    """One setting of an endpoint.

    default: its value if it is not set; None: it must be set. least: the smallest number that is valid. choices: what a
    choice may be. needed_if: when it must be set although it has a default, as a line of the file (`auth: oauth`).
    about: what it means; error texts continue `set it to` with it.
    """

    name: str
    type: SettingType
    default: Any
    about: str
    least: float = 0.0
    choices: tuple[str, ...] = ()
    needed_if: str = ""

    @property
    def unit(self) -> str:
        """Its unit by the end of its name, empty if it has none: `settle_s` is in seconds."""
        return next((unit for ending, unit in _UNITS.items() if self.name.endswith(ending)), "")


_UNITS = {"_s": "seconds", "_bytes": "bytes", "limit_per_minute": "calls", "reserve": "calls"}


@dataclass(frozen=True, slots=True)
class DeclaredSecret:
    """One secret of an endpoint, kept in the vault. needed_if: the settings that need it, as lines of the file."""

    name: str
    about: str
    needed_if: str = ""


def text(name: str, about: str, default: str | None = "", *, needed_if: str = "") -> DeclaredSetting:
    """A text; it must be set if `default` is None."""
    return DeclaredSetting(name, SettingType.TEXT, default, about, needed_if=needed_if)


def address(name: str, about: str, default: str | None = None, *, needed_if: str = "") -> DeclaredSetting:
    """The address of a server; it must be set if `default` is None."""
    return DeclaredSetting(name, SettingType.ADDRESS, default, about, needed_if=needed_if)


def file(name: str, about: str) -> DeclaredSetting:
    """The path of a file; none by default."""
    return DeclaredSetting(name, SettingType.FILE, "", about)


def number(name: str, default: float, about: str, *, least: float = 0.0) -> DeclaredSetting:
    """A number of at least `least`."""
    return DeclaredSetting(name, SettingType.NUMBER, default, about, least)


def whole_number(name: str, default: int, about: str, *, least: int = 0) -> DeclaredSetting:
    """A whole number of at least `least`."""
    return DeclaredSetting(name, SettingType.WHOLE_NUMBER, default, about, least)


def flag(name: str, default: bool, about: str) -> DeclaredSetting:
    """True or false."""
    return DeclaredSetting(name, SettingType.FLAG, default, about)


def choice(name: str, choices: tuple[str, ...], default: str, about: str) -> DeclaredSetting:
    """One of `choices`."""
    return DeclaredSetting(name, SettingType.CHOICE, default, about, choices=choices)


def names(name: str, about: str, default: tuple[str, ...] = ()) -> DeclaredSetting:
    """A list of names; empty by default."""
    return DeclaredSetting(name, SettingType.NAMES, default, about)


def table(name: str, about: str) -> DeclaredSetting:
    """Names with values; empty by default."""
    return DeclaredSetting(name, SettingType.TABLE, {}, about)


def pattern(name: str, default: str, about: str) -> DeclaredSetting:
    """A regular expression."""
    return DeclaredSetting(name, SettingType.PATTERN, default, about)


def by_name(declared: Iterable[DeclaredSetting]) -> Mapping[str, DeclaredSetting]:
    """The settings by name. Where two parts declare the same one, the first counts."""
    found: dict[str, DeclaredSetting] = {}
    for setting in declared:
        found.setdefault(setting.name, setting)
    return found

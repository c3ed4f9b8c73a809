"""What a system's own setup says about a connection's settings and tables, for people who check an installation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Basis(StrEnum):
    """What a declared value rests on."""

    CONFIRMED = "confirmed"  # the system says the same
    ASSUMED = "assumed"  # the system does not say
    CONTRADICTED = "contradicted"  # the system says something else


@dataclass(frozen=True, slots=True)
class SiteFinding:
    """One setting of a connection, held against the system's setup.

    setting: its name. says: what the system says and what follows, in a line. remedy: what to do; empty if there is nothing.
    """

    setting: str
    basis: Basis
    says: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class EntryDifference:
    """An entry of a lookup table for which the system has another value. about: in which case, such as `status O`."""

    key: str
    declared: str
    found: str
    about: str = ""

    def __str__(self) -> str:
        """One line for people."""
        about = f" ({self.about})" if self.about else ""
        return f"{self.key} is declared as {self.declared}, the system has {self.found}{about}"


@dataclass(frozen=True, slots=True)
class TableComparison:
    """A lookup table held against the system.

    confirmed: what the system has too, such as `T20 (status N)`. unconfirmed: by key, why the system cannot be asked.
    unavailable: why it cannot be asked about any of them, empty if it can.
    """

    confirmed: Sequence[str] = ()
    differences: Sequence[EntryDifference] = ()
    unconfirmed: Mapping[str, str] = field(default_factory=dict)
    unavailable: str = ""

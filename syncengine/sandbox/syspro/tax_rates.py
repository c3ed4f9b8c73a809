"""The company's tax codes and their percentages, each from a date on.

SYSPRO keeps a current rate for each code and a history of effective rates for VAT and GST (help.syspro.com, imptax). No
public source names a table or an object that reads them, so finds cannot see them; only SORRSL shows a rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(slots=True)
class TaxCode:
    """A tax code of up to 3 characters; `percents` by the date from which they hold."""

    code: str
    description: str = ""
    percents: dict[date, Decimal] = field(default_factory=dict)


class TaxRates:
    """Tax codes by code. Not thread-safe by itself: the company's lock protects it."""

    def __init__(self) -> None:
        self._codes: dict[str, TaxCode] = {}

    def add(self, code: str, percent: Decimal, since: date = date.min, description: str = "") -> None:
        """Add a code, or a percentage of a known one from a date on."""
        entry = self._codes.setdefault(code, TaxCode(code, description))
        entry.percents[since] = percent

    def knows(self, code: str) -> bool:
        """Whether the code exists."""
        return code in self._codes

    def percent(self, code: str, on: date) -> Decimal:
        """A code's percentage on a day; 0 for a blank or unknown code, and before its first rate."""
        entry = self._codes.get(code)
        days = [since for since in entry.percents if since <= on] if entry is not None else []
        return entry.percents[max(days)] if entry is not None and days else ZERO

    def described(self) -> list[dict[str, object]]:
        """Each code with its dated rates, for the control API."""
        return [
            {
                "code": entry.code,
                "description": entry.description,
                "rates": [
                    {"from": "" if since == date.min else since.isoformat(), "percent": str(percent)}
                    for since, percent in sorted(entry.percents.items())
                ],
            }
            for entry in self._codes.values()
        ]

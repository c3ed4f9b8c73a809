"""What the comparison finds wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One difference. `subject` is `order` or `customer` with the object's id in `key`; both are empty for all others."""

    text: str
    subject: str = ""
    key: str = ""

    def __str__(self) -> str:
        return f"{self.subject} {self.key}: {self.text}" if self.subject else self.text

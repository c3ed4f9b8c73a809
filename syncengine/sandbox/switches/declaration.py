"""How a switch is declared."""

from __future__ import annotations

from collections.abc import Mapping

Value = bool | int | float | str | None
#: Name to default value and description, which names its source.
Declarations = Mapping[str, tuple[Value, str]]

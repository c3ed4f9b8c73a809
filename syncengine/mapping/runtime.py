"""What exists while one document is mapped: the frame that closures read, and how a failure becomes a Rejected."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any

from syncengine.document import Doc
from syncengine.errors import Rejected
from syncengine.mapping import contract

PRECISION = 34
"""Digits of every intermediate result (decimal128): a price of 15 digits times a quantity of 18 stays exact."""

ARITHMETIC = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])

LARGEST_POWER = 30
"""Numbers of 10^30 and more, and digits beyond the 30th decimal place, are no quantities of this world."""

FAILURES = (ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError)
"""What Python raises about a value that is not what it should be; each becomes a Rejected with field and source."""

Run = Callable[["Frame"], Any]
"""A compiled piece of a mapping."""


MOST_STEPS = 1_000_000
"""Items that the loops, `in` and functions of one document may go through in all; some seconds of work."""


class Written(Decimal):
    """A decimal that the mapping itself says: as text it keeps the digits that it is written with (`1.10`)."""


class Unfit(Exception):
    """A value does not allow what the mapping asks of it. Becomes a Rejected where the target field is known."""

    def __init__(self, reason: str, *, value: Any = None, remedy: str = "") -> None:
        self.reason, self.value, self.remedy = reason, value, remedy
        super().__init__(reason)


class Frame:
    """One document in the course of being mapped; also one row of it, one part of it. Lives for one call."""

    __slots__ = (
        "cache", "context", "doc", "mapped", "names", "number", "part", "routed", "row", "row_cache", "row_caches",
        "settings", "steps",
    )  # fmt: skip

    def __init__(self, doc: Doc, context: contract.Context) -> None:
        self.doc = doc
        self.context = context
        self.part = ""
        self.row: Any = None
        self.number = 0
        self.mapped: Doc = {}
        self.names: dict[str, Any] = {}
        self.routed: Mapping[str, Run] = {}
        self.cache: dict[str, Any] = {}
        self.row_cache: dict[str, Any] = {}
        self.row_caches: dict[tuple[int, int, int], dict[str, Any]] = {}
        self.settings: dict[str, Any] = {}
        self.steps = 0

    def spend(self, items: Any, text: str) -> None:
        """Count the items of a list that an expression goes through. Raises Unfit where the budget is used up."""
        if not isinstance(items, list | tuple):
            return
        self.steps += len(items)
        if self.steps > MOST_STEPS:
            raise Unfit(
                f"the loops of this document take more than {MOST_STEPS:,} steps in all, the last of them in {text}",
                remedy="In the mapping name an inner list under values: or let:, or put a condition before the loop",
            )

    def enter_row(self, row: Any, number: int, let: int = 0) -> None:
        """Look at one row from now on. Blocks that share their named values (`let`) share what was computed of a row."""
        self.row, self.number = row, number
        self.row_cache = self.row_caches.setdefault((let, id(row), number), {}) if let else {}


CORRECT_AT_SOURCE = "Correct it at the source and it will be fetched again"


def rejected(field: str, error: Exception, source: str) -> Rejected:
    """The failure of one field as a Rejected: the target field, the value, and where in the source it came from."""
    if isinstance(error, Rejected):
        return error
    reason, value, remedy = _told(error)
    return Rejected(
        field=field,
        value=presentable(value),
        reason=f"{reason} [from {source}]" if source else reason,
        remedy=remedy or CORRECT_AT_SOURCE,
    )


def _told(error: Exception) -> tuple[str, Any, str]:
    if isinstance(error, Unfit):
        return error.reason, error.value, error.remedy
    if isinstance(error, DivisionByZero):
        return "it would be divided by zero", None, ""
    if isinstance(error, ArithmeticError):
        return "the calculation has no result that can be used", None, ""
    if isinstance(error, RecursionError):
        return "it is nested too deeply", None, ""
    return f"it cannot be computed: {type(error).__name__}", None, ""


def presentable(value: Any) -> Any:
    """The value as a dead letter may show it, whatever it is: groups by their size, huge numbers by theirs."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < 256 else f"a number of {value.bit_length()} bits"
    if isinstance(value, Decimal | float):
        return value
    if isinstance(value, dict):
        return f"a group of {len(value)} fields"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return str(value)[:200]


def number(value: Any, what: str) -> Decimal:
    """A value as an exact, finite number of reasonable size. `what` is the source it came from. Raises Unfit."""
    if type(value) is not Decimal:
        value = _converted(value, what)
    if not value.is_finite():
        raise Unfit(f"{what} is not a finite number", value=value)
    if value and (value.adjusted() >= LARGEST_POWER or value.as_tuple().exponent < -LARGEST_POWER * 2):
        raise Unfit(f"{what} is out of any reasonable range", value=value)
    result: Decimal = value if value or not value.is_signed() else value.copy_abs()
    return result


def _converted(value: Any, what: str) -> Decimal:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Unfit(f"{what} has no value, and a number is needed")
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        raise Unfit(f"{what} is not a number", value=value)
    if isinstance(value, int) and value.bit_length() > 128:
        raise Unfit(f"{what} is out of any reasonable range", value=value)
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def key_text(value: Any) -> str:
    """A value as the key of a table, a link or a document: numbers plain, dates and times by ISO 8601, `""` for nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Written):
        return format(value, "f")
    if isinstance(value, int | Decimal | float):
        return plain(number(value, "the key"))
    if isinstance(value, dict | list | tuple):
        raise Unfit("a single value is needed as a key, not a group or a list", value=value)
    return value.isoformat() if isinstance(value, date) else str(value)


def normal(text: str) -> str:
    """The text as it is compared: one Unicode form (NFC), no white space at its ends."""
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def table_key(value: Any) -> str:
    """A value as the key of a lookup table, for the table's own keys and for what is looked up. Raises Unfit."""
    return normal(key_text(value))


def plain(value: Decimal) -> str:
    """A number without exponent and without trailing zeros: `4711`, `0.5`."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text

"""The state while one document is mapped, and the conversion of failures to Rejected."""

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
"""Numbers of 10^30 and more, and digits beyond the 30th decimal place, are not real quantities and are refused."""

FAILURES = (ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError)
"""What Python raises if a value is not what the mapping expects. Each becomes a Rejected with field and source."""

Run = Callable[["Frame"], Any]
"""A compiled piece of a mapping."""


MOST_STEPS = 1_000_000
"""Maximum number of items that all loops, `in` and functions of one document may visit: some seconds of work."""


class DecimalLiteral(Decimal):
    """A decimal literal of the mapping. As text it keeps the digits that it is written with (`1.10`)."""


class Unfit(Exception):
    """The mapping cannot use a value. Becomes a Rejected as soon as the target field is known.

    reason, remedy: sentences for people. value: the value in question.
    """

    def __init__(self, reason: str, *, value: Any = None, remedy: str = "") -> None:
        self.reason, self.value, self.remedy = reason, value, remedy
        super().__init__(reason)


class Frame:
    """The state of one document being mapped, at one of its parts and rows. Lives for one call."""

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
        """Count the items of a list that an expression visits. Raises Unfit if that exceeds MOST_STEPS."""
        if not isinstance(items, list | tuple):
            return
        self.steps += len(items)
        if self.steps > MOST_STEPS:
            raise Unfit(
                f"the loops of this document take more than {MOST_STEPS:,} steps in total, the last of them in {text}",
                remedy="In the mapping name an inner list under values: or let:, or put a condition before the loop",
            )

    def enter_row(self, row: Any, number: int, let: int = 0) -> None:
        """Make this the current row. Blocks that share their named values (`let`) share the cache of a row."""
        self.row, self.number = row, number
        self.row_cache = self.row_caches.setdefault((let, id(row), number), {}) if let else {}


CORRECT_AT_SOURCE = "Correct it at the source and it will be fetched again"


def rejected(field: str, error: Exception, source: str) -> Rejected:
    """The failure of one target field as a Rejected. `source` says where in the source the value came from."""
    if isinstance(error, Rejected):
        return error
    reason, value, remedy = _explained(error)
    return Rejected(
        field=field,
        value=presentable(value),
        reason=f"{reason} [from {source}]" if source else reason,
        remedy=remedy or CORRECT_AT_SOURCE,
    )


def _explained(error: Exception) -> tuple[str, Any, str]:
    if isinstance(error, Unfit):
        return error.reason, error.value, error.remedy
    if isinstance(error, DivisionByZero):
        return "it divides by zero", None, ""
    if isinstance(error, ArithmeticError):
        return "the calculation has no usable result", None, ""
    if isinstance(error, RecursionError):
        return "it is nested too deeply", None, ""
    return f"it cannot be computed: {type(error).__name__}", None, ""


def presentable(value: Any) -> Any:
    """The value as a dead letter shows it: a group, a list or a huge number is replaced by its size."""
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
    """A value as an exact, finite number of reasonable size. `what` names its source in error texts. Raises Unfit."""
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
        raise Unfit(f"{what} has no value, but a number is needed")
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        raise Unfit(f"{what} is not a number", value=value)
    if isinstance(value, int) and value.bit_length() > 128:
        raise Unfit(f"{what} is out of any reasonable range", value=value)
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def key_text(value: Any) -> str:
    """A value as the key of a table, a link or a document: numbers plain, dates and times in ISO 8601, `""` for None.

    Raises Unfit for a group or a list.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, DecimalLiteral):
        return format(value, "f")
    if isinstance(value, int | Decimal | float):
        return plain(number(value, "the key"))
    if isinstance(value, dict | list | tuple):
        raise Unfit("a single value is needed as a key, not a group or a list", value=value)
    return value.isoformat() if isinstance(value, date) else str(value)


def normal(text: str) -> str:
    """The text as it is compared: in Unicode form NFC, without surrounding white space."""
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def table_key(value: Any) -> str:
    """A value as the key of a lookup table, for the table's own keys and for searched keys. Raises Unfit."""
    return normal(key_text(value))


def plain(value: Decimal) -> str:
    """A number without exponent and without trailing zeros: `4711`, `0.5`."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text

"""The two forms of a sales order's number: SorMaster stores 15 digits, SORTOI and SORQRY show fewer (section 6)."""

from __future__ import annotations

from syncengine.connectors.syspro.documents import STORED_WIDTH

SHOWN_WIDTH = 6


def shown(number: str, *, is_numeric: bool) -> str:
    """The form that SORTOI and SORQRY show, which is our key. is_numeric: whether the site's numbers are numeric."""
    is_stored = len(number) == STORED_WIDTH and number.isdecimal() and number.startswith("0")
    return number.lstrip("0").zfill(SHOWN_WIDTH) if is_numeric and is_stored else number


def stored(number: str, *, is_numeric: bool) -> str:
    """The form in which the tables of orders store a number, and by which COMFND finds it."""
    return number.zfill(STORED_WIDTH) if is_numeric and number.isdecimal() else number

"""How deep the tests go: usually a telling share of the largest matrices and longest machines, with TEST_DEPTH=full all."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

FULL = os.environ.get("TEST_DEPTH") == "full"


def usually(share: T, *, full: T) -> T:
    """`share` in the suite, `full` with `TEST_DEPTH=full`: a number of examples, or the parameters of a test."""
    return full if FULL else share

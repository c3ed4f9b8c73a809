"""How Brightpearl answers a bulk read."""

from __future__ import annotations

from enum import StrEnum


class Shape(StrEnum):
    """How the answer of a bulk read holds its objects; the value is what error texts call it."""

    LIST = "a list of objects"
    BY_ID = "an object of objects by id"

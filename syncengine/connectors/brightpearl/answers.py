"""How Brightpearl answers a read. Loads no HTTP client."""

from __future__ import annotations

from enum import StrEnum

from syncengine.errors import Rejected


class Shape(StrEnum):
    """How the answer of a bulk read holds its objects; the value is what error texts call it."""

    LIST = "a list of objects"
    BY_ID = "an object of objects by id"


class NothingFound(Exception):
    """404 of a GET with the code for it: none of the ids exists (section 4); a fact, not a failure."""


class Stale(Rejected):
    """412: the object has changed since the version that the write names in If-Match (sections 4, 14.4). Nothing was done."""

"""The locations of a warehouse: its default location, a bay, and quarantine (section 14.1).

Products name the default location, whose id is the warehouse's. The other ids are the sandbox's own.
"""

from __future__ import annotations

_PER_WAREHOUSE = 10


def default(warehouse_id: int) -> int:
    """The id of the default location."""
    return warehouse_id


def bay(warehouse_id: int) -> int:
    """The id of a second location, for accounts with several locations a product."""
    return warehouse_id * _PER_WAREHOUSE + 100


def quarantine(warehouse_id: int) -> int:
    """The id of the location whose goods cannot be sold."""
    return bay(warehouse_id) + 1


def of(warehouse_id: int) -> tuple[int, int, int]:
    """All three, ascending."""
    return default(warehouse_id), bay(warehouse_id), quarantine(warehouse_id)

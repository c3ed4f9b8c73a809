"""All that a store holds, to be compared."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from syncengine.store import Store
from syncengine.store.models import Base


def rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table, by its name."""
    with store.read() as session:
        return {
            table.name: sorted((tuple(row) for row in session.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }

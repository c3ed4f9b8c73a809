"""What became of holding a connection's lookup tables against a system (`upkeep/tables.py`): kept in the store, sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncengine.connectors.base import TableComparison
from syncengine.document import from_json, to_json
from syncengine.engine.core.engine import Engine
from syncengine.store.dialect import insert_into
from syncengine.store.models import Slot

_PREFIX = "table-check:"
"""Of the names of slots that keep a check: then the connection's id, a colon and the table."""


@dataclass(frozen=True, slots=True)
class TableCheck:
    """The last comparison of one table.

    at: when the system was asked (UTC, ISO 8601). entries: fingerprint of what was compared. differences: each in a line.
    The others are those of `TableComparison`.
    """

    at: str
    entries: str
    confirmed: Sequence[str] = ()
    differences: Sequence[str] = ()
    unconfirmed: Mapping[str, str] = field(default_factory=dict)
    unavailable: str = ""

    @classmethod
    def of(cls, comparison: TableComparison, entries: str, now: datetime) -> TableCheck:
        """The check of a comparison that was made now."""
        return cls(
            now.astimezone(UTC).isoformat(),
            entries,
            list(comparison.confirmed),
            [str(difference) for difference in comparison.differences],
            dict(comparison.unconfirmed),
            comparison.unavailable,
        )

    @property
    def asked_at(self) -> datetime:
        """When the system was asked (UTC)."""
        return datetime.fromisoformat(self.at)


def every(engine: Engine, session: Session) -> dict[tuple[int, str], TableCheck]:
    """The last check of each table that was ever compared, by connection id and table.

    Raises Misconfigured if no key of this host opens one.
    """
    rows = session.execute(select(Slot.name, Slot.value).where(Slot.name.startswith(_PREFIX)))
    found: dict[tuple[int, str], TableCheck] = {}
    for name, sealed in rows:
        if sealed is not None:
            connection_id, _, table = name.removeprefix(_PREFIX).partition(":")
            found[int(connection_id), table] = TableCheck(**from_json(engine.vault.open(sealed).decode()))
    return found


def last(engine: Engine, session: Session, connection_id: int, table: str) -> TableCheck | None:
    """The last check of a table; None if there was none. Raises Misconfigured if no key of this host opens it."""
    return every(engine, session).get((connection_id, table))


def keep(engine: Engine, session: Session, connection_id: int, table: str, check: TableCheck) -> None:
    """Keep a check instead of the one before."""
    name = f"{_PREFIX}{connection_id}:{table}"
    session.execute(insert_into(session, Slot).values(name=name).on_conflict_do_nothing())
    value = engine.vault.seal(to_json(asdict(check)).encode())
    session.execute(update(Slot).where(Slot.name == name).values(value=value))

"""The table of movements: what one system's figures have, and the other's may not have yet."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from syncengine.store.models.base import Base


class Movement(Base):
    """A movement of an item that a system tells of, with its signed effect (`quantity`, an exact number as text).

    side: whose movement it is, and in whose terms item and place are. ref: its own name there. note: the document behind it.
    correction: it was made in that system alone, and nothing brings it to the other one. is_ours: this engine made it.
    *_after, *_by: a figure of that side that was read before `after` surely lacks it, one that was read at `by` or later surely
    has it. Both NULL: it is surely not there yet. Times are by that side's clock.
    """

    __tablename__ = "movement"
    __table_args__ = (
        UniqueConstraint("connection_id", "side", "ref"),
        Index("ix_movement_item", "connection_id", "side", "item"),
        Index("ix_movement_note", "connection_id", "side", "note"),
        Index("ix_movement_at", "at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    side: Mapped[str] = mapped_column(String(8))
    ref: Mapped[str] = mapped_column(String(128))
    note: Mapped[str] = mapped_column(String(128), default="", server_default="")
    kind: Mapped[str] = mapped_column(String(16), default="", server_default="")
    item: Mapped[str] = mapped_column(String(128))
    place: Mapped[str] = mapped_column(String(64))
    quantity: Mapped[str] = mapped_column(String(40))
    correction: Mapped[bool] = mapped_column(default=False)
    is_ours: Mapped[bool] = mapped_column(default=False)
    at: Mapped[datetime]
    left_after: Mapped[datetime | None]
    left_by: Mapped[datetime | None]
    right_after: Mapped[datetime | None]
    right_by: Mapped[datetime | None]
    noted_at: Mapped[datetime]

"""Tables of work in progress: slots, cursors, sent writes, runs, turns, pulses, and the timeline."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from syncengine.store.models.base import Base


class Slot(Base):
    """A right that one worker holds at a time: to call as a SYSPRO operator, to refresh a token; or a sealed value by name.

    closed_until: nobody may take it earlier, because a call that timed out may still be running. value: encrypted.
    waiting_lane, waiting_until: the most urgent lane that asked for it and goes first, and until when.
    """

    __tablename__ = "slot"
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64), default="", server_default="")
    held_until: Mapped[datetime | None]
    closed_until: Mapped[datetime | None]
    value: Mapped[bytes | None]
    waiting_lane: Mapped[int | None]
    waiting_until: Mapped[datetime | None]


class Cursor(Base):
    """How far a feed of a flow has been read.

    read_at: when its latest page was read; complete_at: when it was last read to its end, both by the source's clock.
    """

    __tablename__ = "cursor"
    __table_args__ = (UniqueConstraint("connection_id", "flow", "feed"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    flow: Mapped[str] = mapped_column(String(64))
    feed: Mapped[str] = mapped_column(String(32))
    position: Mapped[dict[str, Any]]
    read_at: Mapped[datetime | None]
    complete_at: Mapped[datetime | None]
    holder: Mapped[str] = mapped_column(String(36), default="", server_default="")
    held_until: Mapped[datetime | None]


class Schedule(Base):
    """When the feeds of a flow of a connection are read next by schedule, and when its next sweep begins.

    next_sweep: null before the first tick. sweep_after: while a sweep is under way, the id of the last record that it has
    read; sweep_position the same for one that reads pages of the source. sweep_is_full: it wants every object, changed or not.
    full_at: when the last full one began. sweep_held_until: the reader's lease. heard_at: the last webhook about one of its
    objects. missed_at: when a feed last showed a change that no webhook had reported.
    """

    __tablename__ = "schedule"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"), primary_key=True)
    flow: Mapped[str] = mapped_column(String(64), primary_key=True)
    next_due: Mapped[datetime]
    next_sweep: Mapped[datetime | None]
    sweep_after: Mapped[int | None]
    sweep_position: Mapped[dict[str, Any] | None]
    sweep_is_full: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    full_at: Mapped[datetime | None]
    sweep_held_until: Mapped[datetime | None]
    heard_at: Mapped[datetime | None]
    missed_at: Mapped[datetime | None]


class Hook(Base):
    """The webhooks that one side of a connection should have, as they were last checked.

    checked_at: when they were found, or made, as they should be. problem: why they are not, for people; empty if they are.
    check_due: whether to check them at the next opportunity. ids: of those that we have created.
    """

    __tablename__ = "hook"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"), primary_key=True)
    side: Mapped[str] = mapped_column(String(8), primary_key=True)
    checked_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(default="", server_default="")
    check_due: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    ids: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'"))


class AcceptedOnce(Base):
    """The digest of a webhook that must not be accepted a second time, and when it came."""

    __tablename__ = "accepted_once"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)


class Sent(Base):
    """Writes that a flow of a connection has sent, by time. Its ceiling counts them.

    A write that is tried again counts each time. `count` is negative for calls that were refused before they were sent.
    kind: empty, or `vanished` for levels that were set to nothing, which a guard of their own counts.
    """

    __tablename__ = "sent"
    __table_args__ = (Index("ix_sent_flow", "connection_id", "flow", "at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    flow: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    count: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16), default="", server_default="")


class Run(Base):
    """One sync: trigger, lane, times, and how many objects it found."""

    __tablename__ = "run"
    __table_args__ = (Index("ix_run_latest", "connection_id", "flow", "started_at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id"))
    flow: Mapped[str] = mapped_column(String(64))
    trigger: Mapped[str] = mapped_column(String(16))
    lane: Mapped[int]
    found: Mapped[int] = mapped_column(default=0, server_default="0")
    known: Mapped[int] = mapped_column(default=0, server_default="0")
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(default="", server_default="")


class Turn(Base):
    """When work of a flow of a connection was last claimed in a lane, so that flows take turns (`engine/steps/pump.py`)."""

    __tablename__ = "turn"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"), primary_key=True)
    flow: Mapped[str] = mapped_column(String(64), primary_key=True)
    lane: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class Pulse(Base):
    """A sign of life, by name: the last run of the pump, the last canary of a lane (`engine/watch/health.py`)."""

    __tablename__ = "pulse"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime]


class Event(Base):
    """The timeline, append only: what happened to a record or an endpoint, with details that contain no secrets."""

    __tablename__ = "event"
    __table_args__ = (Index("ix_event_record", "record_id", "id"), Index("ix_event_at", "at"))
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    record_id: Mapped[int | None]
    connection_id: Mapped[int | None]
    flow: Mapped[str] = mapped_column(String(64), default="", server_default="")
    key: Mapped[str] = mapped_column(String(128), default="", server_default="")
    what: Mapped[str] = mapped_column(String(32))
    detail: Mapped[dict[str, Any]]

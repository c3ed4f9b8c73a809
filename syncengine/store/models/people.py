"""Tables for people: dead letters, corrections, decisions, write ceilings, alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from syncengine.store.models.base import Base


class Failure(Base):
    """A dead letter, or a done record that needs attention (`attention`): cause, field, value, proposed remedy."""

    __tablename__ = "failure"
    __table_args__ = (
        Index(
            "ix_failure_open", "connection_id", "flow",
            postgresql_where=text("closed_at IS NULL"), sqlite_where=text("closed_at IS NULL"),
        ),
        Index("ix_failure_record", "record_id"),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("record.id", ondelete="CASCADE"))
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id"))
    flow: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(16))
    stage: Mapped[str] = mapped_column(String(16))
    why: Mapped[str] = mapped_column(String(16), default="rejected", server_default="rejected")
    cause: Mapped[str]
    cause_key: Mapped[str] = mapped_column(String(32), default="", server_default="")  # equal for failures of one cause
    remark: Mapped[str] = mapped_column(
        String(32), default="", server_default=""
    )  # of a check's finding: with its figures
    field: Mapped[str] = mapped_column(default="", server_default="")
    value: Mapped[str] = mapped_column(default="", server_default="")
    remedy: Mapped[str] = mapped_column(default="", server_default="")
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_because: Mapped[str] = mapped_column(default="", server_default="")
    closed_by: Mapped[str] = mapped_column(
        String(64), default="", server_default=""
    )  # a person; empty if the engine did it


class Correction(Base):
    """A person's correction of a source document: a JSON patch, kept beside the original.

    It applies to one state of the source (`source_fingerprint`) and lapses when the source changes.
    """

    __tablename__ = "correction"
    __table_args__ = (Index("ix_correction_record", "record_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("record.id", ondelete="CASCADE"))
    patch: Mapped[bytes] = mapped_column(LargeBinary)  # sealed, as payloads are
    source_fingerprint: Mapped[str] = mapped_column(String(32))
    because: Mapped[str] = mapped_column(default="", server_default="")
    made_by: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime]
    lapsed_at: Mapped[datetime | None]
    lapsed_because: Mapped[str] = mapped_column(default="", server_default="")


class Decision(Base):
    """A person's decision about a held plan (`approved` or `refused`). It lapses when the plan changes.

    shown: fingerprints of the writes that the person decided on, so that the rest is known after some were carried out.
    lapsed_because: how the decision ended, also if it was carried out.
    """

    __tablename__ = "decision"
    __table_args__ = (Index("ix_decision_record", "record_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("record.id", ondelete="CASCADE"))
    verdict: Mapped[str] = mapped_column(String(16))
    side: Mapped[str] = mapped_column(String(8), default="", server_default="")  # that wins, of an approval
    plan_hash: Mapped[str] = mapped_column(String(64))
    shown: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))
    because: Mapped[str] = mapped_column(default="", server_default="")
    made_by: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime]
    lapsed_at: Mapped[datetime | None]
    lapsed_because: Mapped[str] = mapped_column(default="", server_default="")


class Ceiling(Base):
    """The write ceiling of a flow of a connection: shut once it is reached, until a person opens it again.

    counted_from: earlier writes do not count, because a person has reviewed them.
    """

    __tablename__ = "ceiling"
    __table_args__ = (UniqueConstraint("connection_id", "flow"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    flow: Mapped[str] = mapped_column(String(64))
    shut_at: Mapped[datetime | None]
    shut_because: Mapped[str] = mapped_column(default="", server_default="")
    stops_all: Mapped[bool] = mapped_column(default=False, server_default=text("false"))  # falls of levels too
    counted_from: Mapped[datetime | None]
    opened_by: Mapped[str] = mapped_column(String(64), default="", server_default="")


class Alert(Base):
    """An alert: one row from the first sign of trouble until it is resolved.

    notified_at, end_notified_at: when all sinks had accepted the message about its beginning and its end; None until then.
    """

    __tablename__ = "alert"
    __table_args__ = (
        Index(
            "ix_alert_open", "rule", "subject", unique=True,
            postgresql_where=text("resolved_at IS NULL"), sqlite_where=text("resolved_at IS NULL"),
        ),
    )  # fmt: skip
    id: Mapped[int] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(128))
    severity: Mapped[str] = mapped_column(String(16))
    text: Mapped[str]
    remedy: Mapped[str] = mapped_column(default="", server_default="")
    count: Mapped[int] = mapped_column(default=1, server_default="1")
    last_count: Mapped[int] = mapped_column(default=1, server_default="1")
    opened_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    notified_at: Mapped[datetime | None] = mapped_column("told_at")  # phrases: allow
    resolved_at: Mapped[datetime | None]
    end_notified_at: Mapped[datetime | None] = mapped_column("resolve_told_at")  # phrases: allow

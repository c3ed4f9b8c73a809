"""Tables of the synced objects: records, their payloads, links and writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from syncengine.store.models.base import NEVER_REUSED, Base


class Record(Base):
    """One object in one flow: the wanted revision, its progress, and the worker that holds it. States: `store/states.py`."""

    __tablename__ = "record"
    __table_args__ = (
        UniqueConstraint("connection_id", "flow", "key"),
        Index(
            "ix_record_due", "connection_id", "flow", "lane", "not_before",
            postgresql_where=text("wanted > done AND token IS NULL"),
            sqlite_where=text("wanted > done AND token IS NULL"),
        ),
        Index(
            "ix_record_token", "token",
            postgresql_where=text("token IS NOT NULL"), sqlite_where=text("token IS NOT NULL"),
        ),
        Index(
            "ix_record_waiting", "connection_id", "need_entity", "need_key",
            postgresql_where=text("status = 'waiting'"), sqlite_where=text("status = 'waiting'"),
        ),
        Index("ix_record_status", "connection_id", "flow", "status"),
        NEVER_REUSED,
    )  # fmt: skip
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id"))
    flow: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(128))
    # The parts of it that others need, in the order in which they asked.
    parts: Mapped[list[Any]] = mapped_column(default=list, server_default=text("'[]'"))
    needed: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    ignored: Mapped[str] = mapped_column(default="", server_default="")  # who excluded it from syncing, and why
    # For an object that is created again, by part: its former reference, searched for before the create.
    must_find: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))

    wanted: Mapped[int] = mapped_column(default=1)
    claimed: Mapped[int] = mapped_column(default=0, server_default="0")
    done: Mapped[int] = mapped_column(default=0, server_default="0")
    lane: Mapped[int]
    urgency: Mapped[int] = mapped_column(default=0, server_default="0")  # the higher goes first within a lane
    not_before: Mapped[datetime]
    pause: Mapped[str] = mapped_column(String(16), default="", server_default="")

    stage: Mapped[str] = mapped_column(String(16), default="fetch", server_default="fetch")
    status: Mapped[str] = mapped_column(String(16), default="open", server_default="open")
    why: Mapped[str] = mapped_column(String(16), default="", server_default="")
    about: Mapped[str] = mapped_column(String(128), default="", server_default="")  # the key that `why` is about
    reason: Mapped[str] = mapped_column(default="", server_default="")
    need_entity: Mapped[str] = mapped_column(String(64), default="", server_default="")
    need_key: Mapped[str] = mapped_column(String(128), default="", server_default="")
    need_part: Mapped[str] = mapped_column(String(32), default="", server_default="")
    need_side: Mapped[str] = mapped_column(String(8), default="", server_default="")  # the side of `need_key`

    token: Mapped[str | None] = mapped_column(String(36))
    runner: Mapped[str | None] = mapped_column(String(36))
    lease_until: Mapped[datetime | None]
    lease_lane: Mapped[int | None]  # the lane of its chain, whatever becomes of `lane` meanwhile
    batch: Mapped[int] = mapped_column(default=0, server_default="0")
    run_alone: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    crashes: Mapped[int] = mapped_column(default=0, server_default="0")
    crashed_at: Mapped[datetime | None]  # when the last death was counted
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")

    fetched_at: Mapped[datetime | None]
    kept_until: Mapped[datetime | None]  # until then the next fetch may use the documents that are stored
    swept_at: Mapped[datetime | None]  # when a sweep by pages showed it last
    source_time: Mapped[datetime | None]
    seen_version: Mapped[str] = mapped_column(default="", server_default="")
    seen_fingerprint: Mapped[str] = mapped_column(String(32), default="", server_default="")
    debounce_fingerprint: Mapped[str] = mapped_column(String(32), default="", server_default="")
    debounce_since: Mapped[datetime | None]
    done_version: Mapped[str] = mapped_column(default="", server_default="")
    done_fingerprint: Mapped[str] = mapped_column(String(32), default="", server_default="")
    done_source_time: Mapped[datetime | None]

    # When the latest change happened that a webhook has reported, by the system's clock; and whether a fetch has seen it.
    hinted_at: Mapped[datetime | None]
    is_hinted: Mapped[bool] = mapped_column(default=False, server_default=text("false"))

    run_id: Mapped[int | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Payload(Base):
    """The latest document of a record of one kind (`source`, `context`, `plan`), compressed and encrypted."""

    __tablename__ = "payload"
    __table_args__ = (UniqueConstraint("record_id", "kind"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("record.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class RecordName(Base):
    """A name by which people look a record up, as a keyed digest (`Vault.digest`) of its kind and its one form.

    side: whose object has it. kind: a `NameKind`. Rows change with the record's stored documents, and go with the record.
    """

    __tablename__ = "record_name"
    __table_args__ = (Index("ix_record_name_digest", "digest", "record_id"), {"sqlite_with_rowid": False})
    record_id: Mapped[int] = mapped_column(ForeignKey("record.id", ondelete="CASCADE"), primary_key=True)
    side: Mapped[str] = mapped_column(String(8), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)


class Link(Base):
    """Two objects, one on each side, that are the same; with their lines and the last agreement (`base`).

    part: which part, if the left object becomes several on the right side. right_part: the same, if the right object
    becomes several; otherwise empty. right_key: NULL while the link is provisional, and permanently if the target never
    returned a key. lines: for each flow, the target's line numbers by the source's line keys.
    """

    __tablename__ = "link"
    __table_args__ = (
        UniqueConstraint("connection_id", "entity", "left_key", "part"),
        UniqueConstraint("connection_id", "entity", "right_key", "right_part"),
        NEVER_REUSED,
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id"))
    entity: Mapped[str] = mapped_column(String(64))
    left_key: Mapped[str] = mapped_column(String(128))
    part: Mapped[str] = mapped_column(String(32), default="", server_default="")
    right_key: Mapped[str | None] = mapped_column(String(128))
    right_part: Mapped[str] = mapped_column(String(32), default="", server_default="")
    natural_key: Mapped[str] = mapped_column(String(128), default="", server_default="")
    provisional: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    revision: Mapped[int] = mapped_column(default=1, server_default="1")
    lines: Mapped[dict[str, Any]]
    base: Mapped[bytes | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Effect(Base):
    """One intended write and its outcome. `dedupe` maps a second intention of the same write to the same row.

    token: identifies this write across all installations, for targets in which a write can leave a mark.
    """

    __tablename__ = "effect"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "dedupe"),
        Index("ix_effect_record", "record_id"),
        Index("ix_effect_target_key", "endpoint_id", "target_key"),
        Index(
            "ix_effect_unsettled",
            "record_id",
            postgresql_where=text("state IN ('sent', 'unknown')"),
            sqlite_where=text("state IN ('sent', 'unknown')"),
        ),
        NEVER_REUSED,
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id"))
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id"))
    record_id: Mapped[int]
    entity: Mapped[str] = mapped_column(String(64))
    part: Mapped[str] = mapped_column(String(32), default="", server_default="")
    resource: Mapped[str] = mapped_column(String(64))
    verb: Mapped[str] = mapped_column(String(16))
    dedupe: Mapped[str] = mapped_column(String(255))
    token: Mapped[str] = mapped_column(String(40), default="", server_default="")
    natural_key: Mapped[str] = mapped_column(String(128))
    target_key: Mapped[str | None] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16))
    request: Mapped[bytes | None]
    runner: Mapped[str | None] = mapped_column(String(36))
    sends: Mapped[int] = mapped_column(default=0, server_default="0")
    sent_at: Mapped[datetime | None]
    settle_until: Mapped[datetime | None]
    answered: Mapped[bool] = mapped_column(
        default=False, server_default=text("false")
    )  # refused, perhaps as a duplicate of itself
    accepted: Mapped[bool] = mapped_column(
        default=False, server_default=text("false")
    )  # the target confirmed the write but returned no key
    warnings: Mapped[list[Any]]
    attention: Mapped[str | None]
    error: Mapped[str] = mapped_column(default="", server_default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

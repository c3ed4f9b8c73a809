"""The tables. What deserves a constraint has one; times are aware UTC; payloads stand apart so that they can be removed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, Index, LargeBinary, MetaData, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in and out. SQLite keeps no zone, so it is put on again when a value is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def is_text(value: str) -> bool:
    """True if every database takes it: PostgreSQL knows no NUL, and neither knows half of a surrogate pair."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


class FreeText(TypeDecorator[str]):
    """A text for people, of which some may come from outside. What no database takes stands as a question mark."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002
        if value is None or is_text(value):
            return value
        return value.replace("\0", "?").encode("utf-8", "replace").decode()


NEVER_REUSED = {"sqlite_autoincrement": True}
"""SQLite would give the highest id of a deleted row to the next one; effects and events name rows by their ids."""


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime, str: FreeText, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class Endpoint(Base):
    """One account of a system."""

    __tablename__ = "endpoint"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    system: Mapped[str] = mapped_column(String(32))
    settings: Mapped[dict[str, Any]]
    paused_until: Mapped[datetime | None]
    paused_because: Mapped[str] = mapped_column(default="", server_default="")
    paused_by: Mapped[str] = mapped_column(String(64), default="", server_default="")
    is_paused_by_person: Mapped[bool] = mapped_column(default=False, server_default=text("false"))  # else by itself


class Secret(Base):
    """One encrypted value of an endpoint. `version` rises with every change, so that a stale one is noticed."""

    __tablename__ = "secret"
    __table_args__ = (UniqueConstraint("endpoint_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    value: Mapped[bytes]
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    updated_at: Mapped[datetime]


class Slot(Base):
    """A seat that one worker holds at a time: the calls of a SYSPRO operator, the refresh of a token.

    `closed_until`: nobody may take it before (a call that timed out may still be worked on). `value` is encrypted.
    `waiting` lets a higher lane go first: the most urgent lane that asked, and until when that counts.
    """

    __tablename__ = "slot"
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64), default="", server_default="")
    held_until: Mapped[datetime | None]
    closed_until: Mapped[datetime | None]
    value: Mapped[bytes | None]
    waiting_lane: Mapped[int | None]
    waiting_until: Mapped[datetime | None]


class ConnectionRow(Base):
    """Two endpoints joined."""

    __tablename__ = "connection"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    left_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id"))
    right_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id"))
    mode: Mapped[str] = mapped_column(String(16), default="live", server_default="live")
    cut_over: Mapped[datetime | None]
    verify_creates_until: Mapped[datetime | None]
    flows: Mapped[list[Any]]
    settings: Mapped[dict[str, Any]]  # of its flows
    quiet_s: Mapped[float | None]  # takes the place of the flows' own quiet periods
    ceilings: Mapped[dict[str, Any]] = mapped_column(
        default=dict, server_default=text("'{}'")
    )  # writes an hour, by flow
    entities: Mapped[dict[str, Any]] = mapped_column(
        default=dict, server_default=text("'{}'")
    )  # [entity, source, target] of each flow that it has or had, by name


class Installed(Base):
    """What `configure` has taken over besides endpoints and connections: one row, or none before the first time.

    flows_folder: absolute path of the folder with the site's own flows; empty: there is none. own_flows: the version of each
    of these flows when it was taken over, by name.
    """

    __tablename__ = "installed"
    id: Mapped[int] = mapped_column(primary_key=True)
    flows_folder: Mapped[str]
    own_flows: Mapped[dict[str, Any]]


class Lookup(Base):
    """One entry of a lookup table of a connection; it goes before the entry of the same name in the flow's file.

    origin: `file` (syncengine.yml), whose entries `configure` replaces, or `person` (`syncengine lookups set`).
    """

    __tablename__ = "lookup"
    __table_args__ = (UniqueConstraint("connection_id", "name", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(255))
    value: Mapped[str]
    origin: Mapped[str] = mapped_column(String(8), default="file", server_default="file")


class Cursor(Base):
    """How far a feed of a flow has been read."""

    __tablename__ = "cursor"
    __table_args__ = (UniqueConstraint("connection_id", "flow", "feed"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    flow: Mapped[str] = mapped_column(String(64))
    feed: Mapped[str] = mapped_column(String(32))
    position: Mapped[dict[str, Any]]
    read_at: Mapped[datetime | None]
    holder: Mapped[str] = mapped_column(String(36), default="", server_default="")
    held_until: Mapped[datetime | None]


class Schedule(Base):
    """When the feeds of a flow of a connection are read next by schedule."""

    __tablename__ = "schedule"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"), primary_key=True)
    flow: Mapped[str] = mapped_column(String(64), primary_key=True)
    next_due: Mapped[datetime]


class Record(Base):
    """One object in one flow: what is wanted, how far it is, who works on it. States: `store/states.py`."""

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
    ignored: Mapped[str] = mapped_column(default="", server_default="")  # who said that it is not to be synced, and why
    # Of an object that is created once more, by part: the reference by which it was linked, looked for before that create.
    must_find: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default=text("'{}'"))

    wanted: Mapped[int] = mapped_column(default=1)
    claimed: Mapped[int] = mapped_column(default=0, server_default="0")
    done: Mapped[int] = mapped_column(default=0, server_default="0")
    lane: Mapped[int]
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
    need_side: Mapped[str] = mapped_column(String(8), default="", server_default="")  # whose key `need_key` is

    token: Mapped[str | None] = mapped_column(String(36))
    runner: Mapped[str | None] = mapped_column(String(36))
    lease_until: Mapped[datetime | None]
    lease_lane: Mapped[int | None]  # the lane of its chain, whatever becomes of `lane` meanwhile
    batch: Mapped[int] = mapped_column(default=0, server_default="0")
    run_alone: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    crashes: Mapped[int] = mapped_column(default=0, server_default="0")
    crashed_at: Mapped[datetime | None]  # when a death was counted last
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")

    fetched_at: Mapped[datetime | None]
    source_time: Mapped[datetime | None]
    seen_version: Mapped[str] = mapped_column(default="", server_default="")
    seen_fingerprint: Mapped[str] = mapped_column(String(32), default="", server_default="")
    debounce_fingerprint: Mapped[str] = mapped_column(String(32), default="", server_default="")
    debounce_since: Mapped[datetime | None]
    done_version: Mapped[str] = mapped_column(default="", server_default="")
    done_fingerprint: Mapped[str] = mapped_column(String(32), default="", server_default="")
    done_source_time: Mapped[datetime | None]

    run_id: Mapped[int | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Payload(Base):
    """The latest document of one kind of a record (`source`, `context`, `plan`), compressed and encrypted."""

    __tablename__ = "payload"
    __table_args__ = (UniqueConstraint("record_id", "kind"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("record.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class Link(Base):
    """Two objects, one on each side, that are the same; with their lines and the last agreement (`base`).

    part: which part, where one object becomes several on the other side. right_part: the same, where it is the right object
    that becomes several; else empty. right_key is empty (NULL) while the link is provisional, and for good if the target
    never told a key. lines: the target's line numbers by the source's line keys, for each flow.
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
    """One intended write and what became of it. `dedupe` makes a second intention of the same write the same row.

    token: unique to this write in all installations, for targets in which a write can leave a mark.
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
    )  # refused, perhaps as its own twin
    accepted: Mapped[bool] = mapped_column(
        default=False, server_default=text("false")
    )  # the target said that it is done, and told no key
    warnings: Mapped[list[Any]]
    attention: Mapped[str | None]
    error: Mapped[str] = mapped_column(default="", server_default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Failure(Base):
    """A dead letter, or a done record that needs a look (`attention`): cause, field, value, proposed remedy."""

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
    field: Mapped[str] = mapped_column(default="", server_default="")
    value: Mapped[str] = mapped_column(default="", server_default="")
    remedy: Mapped[str] = mapped_column(default="", server_default="")
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_because: Mapped[str] = mapped_column(default="", server_default="")
    closed_by: Mapped[str] = mapped_column(String(64), default="", server_default="")  # a person; empty: by itself


class Correction(Base):
    """A person's correction of a source document: a JSON patch, kept beside the original.

    It holds for the source as it was (`source_fingerprint`), and lapses when that changes.
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
    """A person's word on a held plan (`approved` or `refused`); it holds for that plan, and lapses when the plan changes.

    shown: prints of what was decided on, write by write, so that the rest of it is known when a part was carried out.
    lapsed_because: how it ended, be it that it was carried out.
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
    """The write ceiling of a flow of a connection: shut once it was reached, until a person opens it again.

    `counted_from`: writes before do not count, since a person has looked at them.
    """

    __tablename__ = "ceiling"
    __table_args__ = (UniqueConstraint("connection_id", "flow"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    flow: Mapped[str] = mapped_column(String(64))
    shut_at: Mapped[datetime | None]
    shut_because: Mapped[str] = mapped_column(default="", server_default="")
    counted_from: Mapped[datetime | None]
    opened_by: Mapped[str] = mapped_column(String(64), default="", server_default="")


class Sent(Base):
    """Writes that a flow of a connection has sent, by the time at which they left: what its ceiling counts.

    A write that is tried again counts each time. `count` is below zero for calls that were refused before they left.
    """

    __tablename__ = "sent"
    __table_args__ = (Index("ix_sent_flow", "connection_id", "flow", "at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    flow: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    count: Mapped[int]


class Alert(Base):
    """What people were told, or are to be told: one row from the first sign to the resolve message.

    `told_at` and `resolve_told_at` are when a sink took the message; None means that it is still to be sent.
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
    opened_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    resolve_told_at: Mapped[datetime | None]


class Run(Base):
    """One execution of a sync: trigger, window, counts."""

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
    """When work of a flow of a connection was last claimed in a lane, so that flows take turns (`engine/pump.py`)."""

    __tablename__ = "turn"
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"), primary_key=True)
    flow: Mapped[str] = mapped_column(String(64), primary_key=True)
    lane: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class Pulse(Base):
    """A sign of life, by name: when the pump ran last, when a lane's canary arrived last (`engine/health.py`)."""

    __tablename__ = "pulse"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime]


class Event(Base):
    """The timeline, append only: what happened to a record (or an endpoint), in a word and some detail without secrets."""

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

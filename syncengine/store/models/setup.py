"""Tables of the installation: endpoints, secrets, connections, lookup entries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from syncengine.store.models.base import Base


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
    """One encrypted value of an endpoint. `version` rises with every change, so that a stale value is noticed."""

    __tablename__ = "secret"
    __table_args__ = (UniqueConstraint("endpoint_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    value: Mapped[bytes]
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    updated_at: Mapped[datetime]


class ConnectionRow(Base):
    """A connection between two endpoints, the left and the right one."""

    __tablename__ = "connection"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    left_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id"))
    right_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id"))
    mode: Mapped[str] = mapped_column(String(16), default="live", server_default="live")
    cut_over: Mapped[datetime | None]
    verify_creates_until: Mapped[datetime | None]
    flows: Mapped[list[Any]]
    settings: Mapped[dict[str, Any]]  # settings of its flows
    quiet_s: Mapped[float | None]  # replaces the quiet periods of the flows
    sweep_s: Mapped[float | None]  # replaces the intervals of sweeps of those flows that have one
    relaxed_s: Mapped[float | None]  # replaces the intervals of flows that have events
    ceilings: Mapped[dict[str, Any]] = mapped_column(
        default=dict, server_default=text("'{}'")
    )  # writes per hour, by flow
    entities: Mapped[dict[str, Any]] = mapped_column(
        default=dict, server_default=text("'{}'")
    )  # [entity, source, target] of each present or former flow, by name


class Installed(Base):
    """What `configure` has applied besides endpoints and connections: one row, or none before its first run.

    flows_folder: absolute path of the folder with the site's own flows; empty for none. own_flows: version of each of these
    flows when it was applied, by name.
    """

    __tablename__ = "installed"
    id: Mapped[int] = mapped_column(primary_key=True)
    flows_folder: Mapped[str]
    own_flows: Mapped[dict[str, Any]]


class Lookup(Base):
    """One entry of a lookup table of a connection. It takes precedence over the entry in the flow's file.

    origin: `file` (from syncengine.yml; `configure` replaces these entries) or `person` (`syncengine lookups set`).
    """

    __tablename__ = "lookup"
    __table_args__ = (UniqueConstraint("connection_id", "name", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(255))
    value: Mapped[str]
    origin: Mapped[str] = mapped_column(String(8), default="file", server_default="file")

"""Corrections, decisions, ceilings and alerts"""

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0003"
down_revision = "0002"


def upgrade() -> None:

    op.create_table(
        "alert",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("text", models.FreeText(), nullable=False),
        sa.Column("remedy", models.FreeText(), server_default="", nullable=False),
        sa.Column("count", sa.Integer(), server_default="1", nullable=False),
        sa.Column("opened_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("seen_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("told_at", models.UtcDateTime(timezone=True), nullable=True),  # phrases: allow
        sa.Column("resolved_at", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("resolve_told_at", models.UtcDateTime(timezone=True), nullable=True),  # phrases: allow
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.create_index(
            "ix_alert_open",
            ["rule", "subject"],
            unique=True,
            postgresql_where=sa.text("resolved_at IS NULL"),
            sqlite_where=sa.text("resolved_at IS NULL"),
        )

    op.create_table(
        "ceiling",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("flow", sa.String(length=64), nullable=False),
        sa.Column("shut_at", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("shut_because", models.FreeText(), server_default="", nullable=False),
        sa.Column("counted_from", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("opened_by", sa.String(length=64), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_ceiling_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ceiling")),
        sa.UniqueConstraint("connection_id", "flow", name=op.f("uq_ceiling_connection_id_flow")),
    )
    op.create_table(
        "correction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("patch", sa.LargeBinary(), nullable=False),
        sa.Column("source_print", sa.String(length=32), nullable=False),
        sa.Column("because", models.FreeText(), server_default="", nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("made_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("lapsed_at", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("lapsed_because", models.FreeText(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_correction_record_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
    )
    with op.batch_alter_table("correction", schema=None) as batch_op:
        batch_op.create_index("ix_correction_record", ["record_id"], unique=False)

    op.create_table(
        "decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("plan_hash", sa.String(length=64), nullable=False),
        sa.Column("because", models.FreeText(), server_default="", nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("made_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("lapsed_at", models.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_decision_record_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index("ix_decision_record", ["record_id"], unique=False)

    with op.batch_alter_table("connection", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ceilings", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))

    with op.batch_alter_table("effect", schema=None) as batch_op:
        batch_op.create_index("ix_effect_sent", ["connection_id", "entity", "sent_at"], unique=False)

    with op.batch_alter_table("failure", schema=None) as batch_op:
        batch_op.add_column(sa.Column("closed_by", sa.String(length=64), server_default="", nullable=False))

    with op.batch_alter_table("record", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ignored", models.FreeText(), server_default="", nullable=False))

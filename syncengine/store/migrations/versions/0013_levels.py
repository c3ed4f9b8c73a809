"""Levels: urgency, kept documents, complete reads of feeds, sweeps by pages, movements, and the guard against vanishing."""

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("record", sa.Column("urgency", sa.Integer(), server_default="0", nullable=False))
    op.add_column("record", sa.Column("kept_until", models.UtcDateTime(), nullable=True))
    op.add_column("record", sa.Column("swept_at", models.UtcDateTime(), nullable=True))
    op.add_column("ceiling", sa.Column("stops_all", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("cursor", sa.Column("complete_at", models.UtcDateTime(), nullable=True))
    op.add_column("schedule", sa.Column("sweep_position", sa.JSON(), nullable=True))
    op.add_column("schedule", sa.Column("sweep_is_full", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("schedule", sa.Column("full_at", models.UtcDateTime(), nullable=True))
    op.add_column("sent", sa.Column("kind", sa.String(16), server_default="", nullable=False))
    op.create_table(
        "movement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(8), nullable=False),
        sa.Column("ref", sa.String(128), nullable=False),
        sa.Column("note", sa.String(128), server_default="", nullable=False),
        sa.Column("kind", sa.String(16), server_default="", nullable=False),
        sa.Column("item", sa.String(128), nullable=False),
        sa.Column("place", sa.String(64), nullable=False),
        sa.Column("quantity", sa.String(40), nullable=False),
        sa.Column("correction", sa.Boolean(), nullable=False),
        sa.Column("is_ours", sa.Boolean(), nullable=False),
        sa.Column("at", models.UtcDateTime(), nullable=False),
        *(
            sa.Column(f"{side}_{mark}", models.UtcDateTime(), nullable=True)
            for side in ("left", "right")
            for mark in ("after", "by")
        ),
        sa.Column("noted_at", models.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_movement")),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_movement_connection_id"), ondelete="CASCADE"
        ),
        sa.UniqueConstraint("connection_id", "side", "ref", name=op.f("uq_movement_connection_id_side_ref")),
    )
    op.create_index("ix_movement_item", "movement", ["connection_id", "side", "item"])
    op.create_index("ix_movement_note", "movement", ["connection_id", "side", "note"])
    op.create_index("ix_movement_at", "movement", ["at"])

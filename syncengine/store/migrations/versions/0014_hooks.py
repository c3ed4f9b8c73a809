"""Webhooks: what they reported records, when they were heard and missed, and their subscriptions."""

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("record", sa.Column("hinted_at", models.UtcDateTime(), nullable=True))
    op.add_column("record", sa.Column("is_hinted", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("schedule", sa.Column("heard_at", models.UtcDateTime(), nullable=True))
    op.add_column("schedule", sa.Column("missed_at", models.UtcDateTime(), nullable=True))
    op.add_column("connection", sa.Column("relaxed_s", sa.Double(), nullable=True))
    op.create_table(
        "hook",
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(8), nullable=False),
        sa.Column("checked_at", models.UtcDateTime(), nullable=True),
        sa.Column("problem", models.FreeText(), server_default="", nullable=False),
        sa.Column("check_due", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("ids", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "side", name=op.f("pk_hook")),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_hook_connection_id"), ondelete="CASCADE"
        ),
    )
    op.create_table(
        "accepted_once",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", models.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_accepted_once")),
    )
    op.create_index(op.f("ix_accepted_once_at"), "accepted_once", ["at"])

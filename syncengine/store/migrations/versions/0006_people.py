"""What was decided on and how each decision ended, references to look for, keyless answers, writes that were sent."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("record", sa.Column("must_find", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("effect", sa.Column("accepted", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("decision", sa.Column("shown", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("decision", sa.Column("lapsed_because", models.FreeText(), server_default="", nullable=False))
    op.create_table(
        "sent",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("flow", sa.String(length=64), nullable=False),
        sa.Column("at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_sent_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sent")),
    )
    op.create_index("ix_sent_flow", "sent", ["connection_id", "flow", "at"])
    op.drop_index("ix_effect_sent", "effect")
    # What a person sees of a plan, values that are written over, is part of its hash now: what is held is planned once more.
    op.execute("UPDATE record SET wanted = wanted + 1 WHERE status = 'held' AND wanted = done AND ignored = ''")
    counted = sa.text(  # what the ceilings count at this time
        "INSERT INTO sent (connection_id, flow, at, count) SELECT effect.connection_id, record.flow, effect.sent_at, 1 "
        "FROM effect JOIN record ON record.id = effect.record_id WHERE effect.sent_at > :since"
    )
    since = sa.bindparam("since", datetime.now(UTC) - timedelta(hours=1), models.UtcDateTime())
    op.execute(counted.bindparams(since))

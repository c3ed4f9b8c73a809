"""Who paused an endpoint, and signs of life"""

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("endpoint", schema=None) as batch_op:
        batch_op.add_column(sa.Column("paused_by", sa.String(length=64), server_default="", nullable=False))
    op.create_table(
        "pulse",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("at", models.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pulse")),
    )

"""Sweeps: some feeds miss changes, so a flow reads open objects again at an interval."""

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("connection", sa.Column("sweep_s", sa.Double(), nullable=True))
    op.add_column("schedule", sa.Column("next_sweep", models.UtcDateTime(), nullable=True))
    op.add_column("schedule", sa.Column("sweep_after", sa.Integer(), nullable=True))
    op.add_column("schedule", sa.Column("sweep_held_until", models.UtcDateTime(), nullable=True))

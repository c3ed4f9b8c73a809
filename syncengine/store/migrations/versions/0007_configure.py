"""Where lookup entries come from, entities that flows have had, the folder of a site's flows."""

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # Until now only `configure` wrote entries, so those that are there came from the file.
    op.add_column("lookup", sa.Column("origin", sa.String(length=8), server_default="file", nullable=False))
    op.add_column("connection", sa.Column("entities", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    op.create_table(
        "installed",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("flows_folder", models.FreeText(), nullable=False),
        sa.Column("own_flows", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installed")),
    )

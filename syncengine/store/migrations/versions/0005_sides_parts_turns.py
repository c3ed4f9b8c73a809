"""Whose key a need is, parts of right-hand objects, turns of flows, tokens of writes, ids that are never given again."""

from typing import Literal

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0005"
down_revision = "0004"

NEVER_REUSED = {"sqlite_autoincrement": True}


def upgrade() -> None:
    remakes: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("record", recreate=remakes, table_kwargs=NEVER_REUSED) as batch_op:
        batch_op.add_column(sa.Column("need_side", sa.String(length=8), server_default="", nullable=False))
        batch_op.add_column(sa.Column("died_at", models.UtcDateTime(timezone=True), nullable=True))
    with op.batch_alter_table("link", recreate=remakes, table_kwargs=NEVER_REUSED) as batch_op:
        batch_op.add_column(sa.Column("right_part", sa.String(length=32), server_default="", nullable=False))
        batch_op.drop_constraint(batch_op.f("uq_link_connection_id_entity_right_key"), type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_link_connection_id_entity_right_key_right_part"),
            ["connection_id", "entity", "right_key", "right_part"],
        )
    with op.batch_alter_table("effect", recreate=remakes, table_kwargs=NEVER_REUSED) as batch_op:
        batch_op.add_column(sa.Column("token", sa.String(length=40), server_default="", nullable=False))
        batch_op.add_column(sa.Column("answered", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    unsettled = sa.text("state IN ('sent', 'unknown')")
    op.create_index("ix_effect_unsettled", "effect", ["record_id"], postgresql_where=unsettled, sqlite_where=unsettled)
    op.execute("UPDATE effect SET token = 'se-' || id")  # the marks that writes have left by now
    op.execute("UPDATE effect SET answered = true WHERE settle_until = updated_at")  # the former encoding
    if remakes == "always":
        for table in ("record", "link", "effect"):
            _count_on(table)
    op.create_table(
        "turn",
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("flow", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("at", models.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_turn_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_id", "flow", "lane", name=op.f("pk_turn")),
    )


def _count_on(table: str) -> None:
    """Give ids from above all that were ever given: an effect may be named after a row that is gone.

    Each row that was ever made has left an event, whose ids were never given twice.
    """
    op.execute(f"DELETE FROM sqlite_sequence WHERE name = '{table}'")  # noqa: S608 - a name of ours
    highest = f"max(coalesce((SELECT max(id) FROM {table}), 0), coalesce((SELECT max(id) FROM event), 0))"  # noqa: S608
    op.execute(f"INSERT INTO sqlite_sequence (name, seq) SELECT '{table}', {highest}")

"""Reasons as data: what the program decides by has columns of its own, and `reason` is for people alone."""

import json

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0009"
down_revision = "0008"

RENAMED = (
    ("solo", "run_alone"), ("deaths", "crashes"), ("died_at", "crashed_at"), ("quiet_print", "debounce_fingerprint"),
    ("quiet_since", "debounce_since"), ("seen_print", "seen_fingerprint"), ("done_print", "done_fingerprint"),
)  # fmt: skip

WHY = (  # the first that fits; texts as the versions before have written them
    ("skipped", "ignored <> ''", "ignored"),
    ("skipped", "discarded <> '' AND discarded = reason", "discarded"),
    ("skipped", "reason = 'observed, not written'", "observed"),
    ("skipped", "reason = 'created before the cut-over date'", "too old"),
    ("skipped", "reason = 'no flow has linked it yet'", "not linked"),
    ("skipped", "reason IN ('not there in the source', 'not there on either side')", "not there"),
    ("skipped", "reason = 'already equal'", "equal"),
    ("skipped", "reason LIKE 'refused by %'", "decided"),
    ("skipped", "reason <> ''", "rule"),
    ("held", "reason = 'gone on the left side'", "gone left"),  # phrases: allow
    ("held", "reason = 'gone on the right side'", "gone right"),  # phrases: allow
    ("held", "reason LIKE '%is gone in the target' AND reason NOT LIKE '%[%'", "gone"),
    ("held", "reason LIKE 'write ceiling: %'", "ceiling"),
    ("waiting", "need_key <> ''", "need"),
    ("dead", "reason LIKE 'its step died%'", "crashed"),
    ("dead", "reason <> ''", "rejected"),
)
"""What else holds a record is found out by the hourly look at what is held, which this migration makes due."""


def upgrade() -> None:
    for table, before, after in (
        *(("record", *names) for names in RENAMED), ("correction", "source_print", "source_fingerprint"),
    ):  # fmt: skip
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {before} TO {after}")
    op.add_column("record", sa.Column("why", sa.String(16), server_default="", nullable=False))
    op.add_column("record", sa.Column("about", sa.String(128), server_default="", nullable=False))
    op.add_column("record", sa.Column("lease_lane", sa.Integer(), nullable=True))
    op.add_column("failure", sa.Column("why", sa.String(16), server_default="rejected", nullable=False))
    op.add_column("decision", sa.Column("side", sa.String(8), server_default="", nullable=False))
    op.add_column(
        "endpoint", sa.Column("is_paused_by_person", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("alert", sa.Column("last_count", sa.Integer(), server_default="1", nullable=False))
    _fill()
    _parts()
    _schedule()
    op.execute("ALTER TABLE record DROP COLUMN discarded")


def _fill() -> None:
    for status, condition, why in WHY:
        op.execute(f"UPDATE record SET why = '{why}' WHERE why = '' AND status = '{status}' AND {condition}")  # noqa: S608 - constants
    op.execute(
        "UPDATE record SET about = SUBSTR(REPLACE(reason, ' is gone in the target', ''), 1, 128) WHERE why = 'gone'"
    )
    op.execute("UPDATE record SET lease_lane = CAST(SUBSTR(token, 1, 1) AS INTEGER) WHERE token IS NOT NULL")
    op.execute("UPDATE alert SET last_count = count")
    op.execute("UPDATE failure SET why = 'crashed' WHERE cause LIKE 'its step died%'")
    op.execute("UPDATE decision SET side = 'right', verdict = 'approved' WHERE verdict = 'approved right'")
    op.execute("UPDATE decision SET side = 'left' WHERE verdict = 'approved' AND side = ''")
    op.execute("UPDATE endpoint SET is_paused_by_person = true WHERE paused_by <> '' AND paused_until IS NOT NULL")
    held = "status = 'held' AND why = '' AND token IS NULL AND wanted = done"
    op.execute(f"UPDATE record SET wanted = wanted + 1, stage = 'fetch', not_before = updated_at WHERE {held}")  # noqa: S608 - constants


def _parts() -> None:
    """`;EUR;GBP;` becomes a list."""
    op.add_column("record", sa.Column("part_list", sa.JSON(), server_default=sa.text("'[]'"), nullable=False))
    bind = op.get_bind()
    for id_, parts in bind.execute(sa.text("SELECT id, parts FROM record WHERE parts <> ';'")).all():
        listed = json.dumps([part for part in parts.split(";") if part])
        bind.execute(sa.text("UPDATE record SET part_list = :parts WHERE id = :id"), {"parts": listed, "id": id_})
    op.execute("ALTER TABLE record DROP COLUMN parts")
    op.execute("ALTER TABLE record RENAME COLUMN part_list TO parts")


def _schedule() -> None:
    op.create_table(
        "schedule",
        sa.Column("connection_id", sa.Integer(), sa.ForeignKey("connection.id", ondelete="CASCADE"), nullable=False),
        sa.Column("flow", sa.String(64), nullable=False),
        sa.Column("next_due", models.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "flow"),
    )
    op.execute("INSERT INTO schedule SELECT connection_id, flow, next_due FROM cursor WHERE feed = ''")
    op.execute("DELETE FROM cursor WHERE feed = ''")
    op.execute("ALTER TABLE cursor DROP COLUMN next_due")

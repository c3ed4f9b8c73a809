"""That a record was discarded is kept on the record; the timeline also refuses REPLACE and TRUNCATE."""

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0008"
down_revision = "0007"

SQLITE = (
    "CREATE TRIGGER event_is_never_replaced BEFORE INSERT ON event "
    "WHEN EXISTS (SELECT 1 FROM event WHERE id = NEW.id) "
    "BEGIN SELECT RAISE(ABORT, 'the timeline is append only'); END",
)
"""REPLACE fires no delete trigger unless the connection sets recursive_triggers, so it is stopped before it inserts."""

POSTGRESQL = (
    "CREATE FUNCTION event_is_never_emptied() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "RAISE EXCEPTION 'the timeline is append only'; END $$",
    "CREATE TRIGGER event_is_never_emptied BEFORE TRUNCATE ON event "
    "FOR EACH STATEMENT EXECUTE FUNCTION event_is_never_emptied()",
)
"""TRUNCATE fires no row trigger."""


def upgrade() -> None:
    op.add_column("record", sa.Column("discarded", models.FreeText(), server_default="", nullable=False))
    op.execute(  # how it was known until now: the letter that a person has closed gives the reason of its record
        "UPDATE record SET discarded = reason WHERE status = 'skipped' AND EXISTS ("
        "SELECT 1 FROM failure WHERE failure.record_id = record.id AND failure.kind = 'dead' AND failure.closed_by <> '' "
        "AND record.reason = 'discarded by ' || failure.closed_by || ': ' || failure.closed_because)"
    )
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)

"""The timeline is append only: the database refuses to change an event, or to remove one that is younger than a month.

On SQLite a batch migration of the table rebuilds it and loses its triggers; one that touches `event` must call
`protect` of this module again.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

KEPT_DAYS = 30

SQLITE = (
    "CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event "
    "BEGIN SELECT RAISE(ABORT, 'the timeline is append only'); END",
    "CREATE TRIGGER event_is_kept BEFORE DELETE ON event "
    f"WHEN OLD.at > datetime('now', '-{KEPT_DAYS} days') "
    f"BEGIN SELECT RAISE(ABORT, 'the timeline is append only; what is older than {KEPT_DAYS} days may be removed'); END",
)
POSTGRESQL = (
    "CREATE FUNCTION event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF TG_OP = 'DELETE' AND OLD.at <= now() - interval '{days} days' THEN RETURN OLD; END IF; "
    "RAISE EXCEPTION 'the timeline is append only; what is older than {days} days may be removed'; END $$",
    "CREATE TRIGGER event_is_append_only BEFORE UPDATE OR DELETE ON event "
    "FOR EACH ROW EXECUTE FUNCTION event_is_append_only()",
)


def protect() -> None:
    """Have the database keep the timeline as it is."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE if is_sqlite else POSTGRESQL:
        op.execute(statement if is_sqlite else statement.replace("{days}", str(KEPT_DAYS)))


def upgrade() -> None:
    protect()

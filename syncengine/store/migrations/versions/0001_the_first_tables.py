"""The first tables"""

import sqlalchemy as sa
from alembic import op

from syncengine.store import models

revision = "0001"
down_revision = None


def upgrade() -> None:

    op.create_table(
        "endpoint",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("system", sa.String(length=32), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("paused_until", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("paused_because", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint")),
        sa.UniqueConstraint("name", name=op.f("uq_endpoint_name")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=True),
        sa.Column("connection_id", sa.Integer(), nullable=True),
        sa.Column("flow", sa.String(length=64), server_default="", nullable=False),
        sa.Column("key", sa.String(length=128), server_default="", nullable=False),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_at", ["at"], unique=False)
        batch_op.create_index("ix_event_record", ["record_id", "id"], unique=False)

    op.create_table(
        "slot",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("holder", sa.String(length=64), server_default="", nullable=False),
        sa.Column("held_until", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("closed_until", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("waiting_lane", sa.Integer(), nullable=True),
        sa.Column("waiting_until", models.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_slot")),
    )
    op.create_table(
        "connection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("left_id", sa.Integer(), nullable=False),
        sa.Column("right_id", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(length=16), server_default="live", nullable=False),
        sa.Column("cut_over", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("verify_creates_until", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("flows", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("quiet_s", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["left_id"], ["endpoint.id"], name=op.f("fk_connection_left_id")),
        sa.ForeignKeyConstraint(["right_id"], ["endpoint.id"], name=op.f("fk_connection_right_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
        sa.UniqueConstraint("name", name=op.f("uq_connection_name")),
    )
    op.create_table(
        "secret",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("updated_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.id"], name=op.f("fk_secret_endpoint_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret")),
        sa.UniqueConstraint("endpoint_id", "name", name=op.f("uq_secret_endpoint_id_name")),
    )
    op.create_table(
        "cursor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("flow", sa.String(length=64), nullable=False),
        sa.Column("feed", sa.String(length=32), nullable=False),
        sa.Column("position", sa.JSON(), nullable=False),
        sa.Column("next_due", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("read_at", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("holder", sa.String(length=36), server_default="", nullable=False),
        sa.Column("held_until", models.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_cursor_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cursor")),
        sa.UniqueConstraint("connection_id", "flow", "feed", name=op.f("uq_cursor_connection_id_flow_feed")),
    )
    op.create_table(
        "effect",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("entity", sa.String(length=64), nullable=False),
        sa.Column("part", sa.String(length=32), server_default="", nullable=False),
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.Column("verb", sa.String(length=16), nullable=False),
        sa.Column("dedupe", sa.String(length=255), nullable=False),
        sa.Column("natural_key", sa.String(length=128), nullable=False),
        sa.Column("target_key", sa.String(length=128), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=True),
        sa.Column("runner", sa.String(length=36), nullable=True),
        sa.Column("sends", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("settle_until", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("attention", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_effect_connection_id")),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoint.id"], name=op.f("fk_effect_endpoint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_effect")),
        sa.UniqueConstraint("endpoint_id", "dedupe", name=op.f("uq_effect_endpoint_id_dedupe")),
    )
    with op.batch_alter_table("effect", schema=None) as batch_op:
        batch_op.create_index("ix_effect_record", ["record_id"], unique=False)
        batch_op.create_index("ix_effect_target_key", ["endpoint_id", "target_key"], unique=False)

    op.create_table(
        "link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("entity", sa.String(length=64), nullable=False),
        sa.Column("left_key", sa.String(length=128), nullable=False),
        sa.Column("part", sa.String(length=32), server_default="", nullable=False),
        sa.Column("right_key", sa.String(length=128), nullable=True),
        sa.Column("natural_key", sa.String(length=128), server_default="", nullable=False),
        sa.Column("provisional", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("base", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_link_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint(
            "connection_id", "entity", "left_key", "part", name=op.f("uq_link_connection_id_entity_left_key_part")
        ),
        sa.UniqueConstraint(
            "connection_id", "entity", "right_key", name=op.f("uq_link_connection_id_entity_right_key")
        ),
    )
    op.create_table(
        "lookup",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_lookup_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lookup")),
        sa.UniqueConstraint("connection_id", "name", "key", name=op.f("uq_lookup_connection_id_name_key")),
    )
    op.create_table(
        "record",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("flow", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("parts", sa.Text(), server_default=";", nullable=False),
        sa.Column("needed", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("claimed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("not_before", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("pause", sa.String(length=16), server_default="", nullable=False),
        sa.Column("stage", sa.String(length=16), server_default="fetch", nullable=False),
        sa.Column("status", sa.String(length=16), server_default="open", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("need_entity", sa.String(length=64), server_default="", nullable=False),
        sa.Column("need_key", sa.String(length=128), server_default="", nullable=False),
        sa.Column("need_part", sa.String(length=32), server_default="", nullable=False),
        sa.Column("token", sa.String(length=36), nullable=True),
        sa.Column("runner", sa.String(length=36), nullable=True),
        sa.Column("lease_until", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("batch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("solo", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("deaths", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fetched_at", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("source_time", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("seen_version", sa.Text(), server_default="", nullable=False),
        sa.Column("seen_print", sa.String(length=32), server_default="", nullable=False),
        sa.Column("quiet_print", sa.String(length=32), server_default="", nullable=False),
        sa.Column("quiet_since", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("done_version", sa.Text(), server_default="", nullable=False),
        sa.Column("done_print", sa.String(length=32), server_default="", nullable=False),
        sa.Column("done_source_time", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("created_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_record_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record")),
        sa.UniqueConstraint("connection_id", "flow", "key", name=op.f("uq_record_connection_id_flow_key")),
    )
    with op.batch_alter_table("record", schema=None) as batch_op:
        batch_op.create_index(
            "ix_record_due",
            ["connection_id", "flow", "lane", "not_before"],
            unique=False,
            postgresql_where=sa.text("wanted > done AND token IS NULL"),
            sqlite_where=sa.text("wanted > done AND token IS NULL"),
        )
        batch_op.create_index("ix_record_status", ["connection_id", "flow", "status"], unique=False)
        batch_op.create_index(
            "ix_record_token",
            ["token"],
            unique=False,
            postgresql_where=sa.text("token IS NOT NULL"),
            sqlite_where=sa.text("token IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_record_waiting",
            ["connection_id", "need_entity", "need_key"],
            unique=False,
            postgresql_where=sa.text("status = 'waiting'"),
            sqlite_where=sa.text("status = 'waiting'"),
        )

    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("flow", sa.String(length=64), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), server_default="0", nullable=False),
        sa.Column("known", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_run_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index("ix_run_latest", ["connection_id", "flow", "started_at"], unique=False)

    op.create_table(
        "failure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("flow", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), server_default="", nullable=False),
        sa.Column("value", sa.Text(), server_default="", nullable=False),
        sa.Column("remedy", sa.Text(), server_default="", nullable=False),
        sa.Column("opened_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.Column("closed_at", models.UtcDateTime(timezone=True), nullable=True),
        sa.Column("closed_because", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_failure_connection_id")),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_failure_record_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failure")),
    )
    with op.batch_alter_table("failure", schema=None) as batch_op:
        batch_op.create_index(
            "ix_failure_open",
            ["connection_id", "flow"],
            unique=False,
            postgresql_where=sa.text("closed_at IS NULL"),
            sqlite_where=sa.text("closed_at IS NULL"),
        )
        batch_op.create_index("ix_failure_record", ["record_id"], unique=False)

    op.create_table(
        "payload",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", models.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_payload_record_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payload")),
        sa.UniqueConstraint("record_id", "kind", name=op.f("uq_payload_record_id_kind")),
    )

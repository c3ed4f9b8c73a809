"""Failures of one cause share a key, and what a flow's checks have found is shown once."""

import re

import sqlalchemy as sa
from alembic import op

from syncengine.document import fingerprint

revision = "0010"
down_revision = "0009"

QUOTED, NUMBERS = re.compile(r"'[^']*'|\"[^\"]*\""), re.compile(r"\d+")
CAUSES = "SELECT DISTINCT kind, stage, field, cause FROM failure"
FILL = "UPDATE failure SET cause_key = :key WHERE kind = :kind AND stage = :stage AND field = :field AND cause = :cause"


def upgrade() -> None:
    op.add_column("failure", sa.Column("cause_key", sa.String(32), server_default="", nullable=False))
    op.add_column("failure", sa.Column("remark", sa.String(32), server_default="", nullable=False))
    bind = op.get_bind()
    for kind, stage, field, cause in bind.execute(sa.text(CAUSES)).all():
        key = fingerprint([kind, stage, _alike(field), _alike(cause)])
        place = {"kind": kind, "stage": stage, "field": field, "cause": cause}
        bind.execute(sa.text(FILL), {"key": key, **place})


def _alike(text: str) -> str:
    return NUMBERS.sub("N", QUOTED.sub("'...'", text))

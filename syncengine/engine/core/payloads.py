"""The documents of records: the latest source, context and plan of each, compressed and encrypted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.document import from_json, to_json
from syncengine.store.dialect import upsert
from syncengine.store.models import Payload
from syncengine.vault import Vault


def seal(vault: Vault, value: Any) -> bytes:
    """Compress and encrypt a JSON-able value."""
    return vault.seal_text(to_json(value))


def unseal(vault: Vault, body: bytes) -> Any:
    """The inverse of `seal`."""
    return from_json(vault.open_text(body))


def save(session: Session, kind: str, sealed: Mapping[int, bytes], now: datetime) -> None:
    """Store sealed bodies by record id; each replaces the record's former one of this kind."""
    rows = [{"record_id": id_, "kind": kind, "body": body, "created_at": now} for id_, body in sealed.items()]
    upsert(session, Payload, rows, keys=("record_id", "kind"), update=("body", "created_at"))


def load(session: Session, vault: Vault, kind: str, record_ids: Sequence[int]) -> dict[int, Any]:
    """The stored values by record id; a record without one is absent."""
    query = select(Payload.record_id, Payload.body).where(Payload.kind == kind, Payload.record_id.in_(record_ids))
    return {record_id: unseal(vault, body) for record_id, body in session.execute(query)}

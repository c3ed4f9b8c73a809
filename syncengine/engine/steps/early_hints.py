"""A webhook may overtake the change that it tells of: what a fetch finds unchanged then is fetched once more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from syncengine.engine.core.want import want_again
from syncengine.store.models import Record

TOO_EARLY = timedelta(seconds=5)
"""When an object is fetched once more."""


def fetch_again(
    session: Session, found: Sequence[Record], prints: Mapping[int, str], absent: Collection[int], now: datetime
) -> None:
    """Have those fetched once more that a webhook reported, and whose fetch shows no news.

    found: records as they were before the fetch. prints: fingerprints of what was fetched, by record id. absent: ids of those
    whose source was not found.
    """
    early = [
        record.id
        for record in found
        if record.is_hinted and (prints[record.id] == record.done_fingerprint or record.id in absent)
    ]
    want_again(session, early, now + TOO_EARLY)

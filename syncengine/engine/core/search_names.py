"""The names by which people look records up: kept beside each record as keyed digests, since its documents are sealed.

They are replaced in the transaction that stores the documents they come from, side by side: what was not read keeps its
names, also an object that has gone since. No name is stored in clear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, bindparam, delete, insert, select
from sqlalchemy.orm import Session

from syncengine.connectors.base import NameKind
from syncengine.connectors.searchable import MOST, names_in, normal
from syncengine.document import Doc
from syncengine.engine.core.engine import Route
from syncengine.store.models import ConnectionRow, Record, RecordName
from syncengine.vault import Vault

Names = Mapping[str, frozenset[tuple[NameKind, bytes]]]
"""The names of one record by the side (`left`, `right`) of the object that has them; a side that was not read is absent."""

KEYS = ("record_id", "side", "kind", "digest")


def of_docs(route: Route, docs: Mapping[str, Mapping[str, Doc]]) -> Names:
    """The names of a record in its own documents, as read, by resource and key. What both sides have is kept for the source.

    Raises as `Vault.digest`, and like that must not be called within a transaction.
    """
    vault = route.engine.vault
    found: dict[str, frozenset[tuple[NameKind, bytes]]] = {}
    own: frozenset[tuple[NameKind, bytes]] = frozenset()
    for resource in (route.source, route.target):
        if resource.searchable and docs.get(resource.name):
            its_docs = docs[resource.name].values()
            names = dict.fromkeys(pair for doc in its_docs for pair in names_in(doc, resource.searchable))
            digests = frozenset((kind, vault.digest(_marked(kind, text))) for kind, text in list(names)[:MOST])
            found[route.connection.side(resource.name)] = digests - own
            own = digests
    return found


def _marked(kind: NameKind, name: str) -> str:
    return f"{kind}:{name}"


def save(session: Session, names: Mapping[int, Names]) -> None:
    """Replace the names of records, by id, on the sides given. The records must be locked by this transaction."""
    query = select(*(getattr(RecordName, key) for key in KEYS)).where(RecordName.record_id.in_(names))
    stored = {tuple(row) for row in session.execute(query)} if names else set()
    wanted = {
        (record_id, side, str(kind), value)
        for record_id, by_side in names.items()
        for side, pairs in by_side.items()
        for kind, value in pairs
    }
    gone = {row for row in stored - wanted if row[1] in names[row[0]]}
    if gone:
        same = [RecordName.__table__.c[key] == bindparam(f"its_{key}") for key in KEYS]
        rows = [{f"its_{key}": value for key, value in zip(KEYS, row, strict=True)} for row in sorted(gone)]
        session.connection().execute(delete(RecordName.__table__).where(*same), rows)  # type: ignore[arg-type]
    if wanted - stored:
        rows = [dict(zip(KEYS, row, strict=True)) for row in sorted(wanted - stored)]
        session.connection().execute(insert(RecordName), rows)


# -- searching ---------------------------------------------------------------------------------------------------------


def sought(vault: Vault, text: str, *, kinds: Iterable[NameKind] = NameKind) -> dict[NameKind, bytes]:
    """The digests of a text, one for each kind of name that it may be. It writes nothing. Raises Misconfigured, Transient."""
    forms = {kind: normal(kind, text) for kind in kinds}
    found = {kind: vault.known_digest(_marked(kind, form)) for kind, form in forms.items() if form}
    return {kind: digest for kind, digest in found.items() if digest is not None}


def find(
    session: Session,
    wanted: Mapping[NameKind, bytes],
    *,
    where: Sequence[ColumnElement[bool]] = (),
    most: int,
) -> dict[int, NameKind]:
    """The records, by id, that have one of these names (`sought`), with its kind; the newest `most` of each kind.

    where: conditions over Record and its Connection that narrow the search.
    """
    found: dict[int, NameKind] = {}
    for kind, value in wanted.items():
        query = (
            select(RecordName.record_id)
            .join(Record, Record.id == RecordName.record_id)
            .join(ConnectionRow, ConnectionRow.id == Record.connection_id)
            .where(RecordName.digest == value, *where)
            .distinct()
        )
        for record_id in session.scalars(query.order_by(RecordName.record_id.desc()).limit(most)):
            found.setdefault(record_id, kind)
    return found

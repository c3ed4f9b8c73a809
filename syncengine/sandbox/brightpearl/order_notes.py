"""Notes on orders (section 11)."""

from __future__ import annotations

from syncengine.sandbox.brightpearl.calls import Call
from syncengine.sandbox.brightpearl.errors import invalid, missing
from syncengine.sandbox.brightpearl.order_parts import order_of
from syncengine.sandbox.brightpearl.state import Account, Note


def create(call: Call) -> dict[str, object]:
    """`POST order/{id}/note`."""
    body, account = call.json_object(), call.account
    if not body.get("text"):
        raise invalid("ORDC-032", "You have not supplied the text of the note")
    with account.lock:
        order = order_of(account, call.key())
        note = account.add_note(
            order, str(body["text"]), is_public=bool(body.get("isPublic")), file_id=body.get("fileId")
        )
    return {"response": note.id}


def read(call: Call) -> dict[str, object]:
    """`GET order/{id}/note[/{ids}]`."""
    account = call.account
    with account.lock:
        order = order_of(account, call.key())
        keys = call.ids(account.notes) if "ids" in call.path else sorted(account.notes)
        found = [account.notes[key] for key in keys if account.notes[key].order_id == order.id]
    if not found:
        raise missing(f"No notes found for order {order.id}")
    return {"response": [_note(note, account) for note in found]}


def _note(note: Note, account: Account) -> dict[str, object]:
    return {
        "noteId": note.id,
        "contactId": note.contact_id,
        "text": note.text,
        "isPublic": note.is_public,
        "addedOn": note.added_on.astimezone(account.zone).isoformat(timespec="milliseconds"),
        "addedBy": note.contact_id,
        "orderStatusId": note.status_id,
        **({"fileId": note.file_id} if note.file_id else {}),
    }

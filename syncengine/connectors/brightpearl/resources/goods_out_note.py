"""Brightpearl goods-out notes: read, created, given their reference, and shipped. Facts: brightpearl.md sections 14.4 and 14.5.

A document is a note as GET gives it, with its id, and the fields that can be written once more at its top: `reference`,
`shippingMethodId`, `boxes`, `weight`, `shippedOn`. A note has no time of its last change: its version is a fingerprint, and
what happens to it before it is shipped shows in no feed. The POST has no key: `made_by` finds what an unanswered one has made.
"""

# ruff: noqa: N815 - the names are Brightpearl's
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, fields

from syncengine.connectors import base
from syncengine.connectors.base import NameKind, Operation, Outcome, Page, Position, Safety, Verb
from syncengine.connectors.brightpearl import movements, times
from syncengine.connectors.brightpearl.answers import NothingFound, Shape, Stale
from syncengine.connectors.brightpearl.goods_out_bodies import DETAILS, SHIPPED_ON, changed, creation, event
from syncengine.connectors.brightpearl.goods_out_settings import SHIPPED
from syncengine.connectors.brightpearl.id_sets import id_sets
from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.schemas import Document, Flag, Number, Part, Rows, Time, Whole, Words
from syncengine.document import LINE_KEY, Doc, fingerprint
from syncengine.errors import OutcomeUnknown, Rejected, Transient

if TYPE_CHECKING:
    from syncengine.connectors.brightpearl.gateway import Gateway

NOTES = "warehouse-service/goods-note/goods-out"
NOT_WRITTEN_AT_ONCE = (*DETAILS, SHIPPED_ON)
"""What a creation does not write: it follows as a change."""

SKEW = timedelta(minutes=5)
"""How far Brightpearl's clock and ours may differ."""


class Piece(Document):
    """A quantity of a product, from one location."""

    productId = Whole()
    quantity = Whole()
    locationId = Whole()


class NoteRow(Document):
    """What is on the note of one order row: `quantity` is the sum of its pieces."""

    productId = Whole()
    quantity = Whole()
    pieces = fields.List(Part(Piece), allow_none=True)


class NoteRows(Rows):
    """A map of lists of pieces by row id, given as a list of rows."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> list[Doc]:
        if not isinstance(value, Mapping):
            raise ValidationError("Not a map of rows by id.")
        rows = {row_id: _row(pieces) for row_id, pieces in value.items()}
        return super()._deserialize(rows, attr, data, **more)


def _row(pieces: Any) -> Any:
    if not isinstance(pieces, list) or not pieces or not all(isinstance(piece, Mapping) for piece in pieces):
        return pieces
    quantities = [piece.get("quantity") for piece in pieces]
    is_known = all(isinstance(quantity, int) for quantity in quantities)
    return {
        "productId": pieces[0].get("productId"),
        "quantity": sum(quantities) if is_known else f"{quantities!r:.40}",
        "pieces": pieces,
    }


class Status(Document):
    """How far a note has come, and when and by whom."""

    shipped = Flag()
    packed = Flag()
    picked = Flag()
    printed = Flag()
    shippedOn = Time()
    packedOn = Time()
    pickedOn = Time()
    printedOn = Time()
    shippedById = Whole()


class Shipping(Document):
    """How it is sent."""

    reference = Words()
    shippingMethodId = Whole()
    boxes = Whole()
    weight = Number()


class Event(Document):
    """Something that happened to it; `occured` is Brightpearl's spelling."""

    eventCode = Words()
    occured = Time()
    eventOwnerId = Whole()


class GoodsOutNoteSchema(Document):
    """A note as GET gives it; `orderRows` becomes a list, by row id."""

    id = Whole(required=True, allow_none=False)
    orderId = Whole()
    warehouseId = Whole()
    transfer = Flag()
    targetWarehouseId = Whole()
    priority = Flag()
    status = Part(Status)
    shipping = Part(Shipping)
    releaseDate = Time()
    createdOn = Time()
    createdBy = Whole()
    orderRows = NoteRows(NoteRow, "id", load_default=list)
    transferRows = fields.List(Part(Piece), allow_none=True)
    sequence = Whole()
    events = fields.List(Part(Event), allow_none=True)
    labelUri = Words()
    lastEventVersion = Whole()
    reference = Words()
    shippingMethodId = Whole()
    boxes = Whole()
    weight = Number()
    shippedOn = Time()


class GoodsOutNote(BrightpearlSource, base.Resource):
    """Notes by id. The natural key is the order's id, perhaps with more behind a slash."""

    name = "brightpearl.goods_out_note"
    schema = GoodsOutNoteSchema
    searchable = {"shipping.reference": NameKind.REFERENCE, "orderId": NameKind.REFERENCE}
    feeds = {"moved": "updatedOn", "shipped": "shippedOn", "created": "createdOn"}
    events = ("goods-out-note",)  # created, destroyed, and every step
    touched = {"shippedOn": "status.shippedOn", "createdOn": "createdOn"}
    path = "warehouse-service/order/*/goods-note/goods-out"
    answer = Shape.BY_ID
    most_per_read = 500
    search = f"{NOTES}-search"
    id_column = "goodsOutNoteId"
    misses_changes = True  # steps before shipping, and what undoes a shipment, show in no feed
    required_fields = ("id", "orderId", "warehouseId", "orderRows")
    safety = {
        Verb.CREATE: Safety.SEARCH,  # by the order; `made_by` says which of its notes
        Verb.CHANGE: Safety.ABSOLUTE,
        Verb.CANCEL: Safety.ABSOLUTE,
    }
    identity = ("orderId", "warehouseId")
    line_fields = {"orderRows": ("id", "quantity")}
    field_notes = {
        "id": "the note's number",
        "orderId": "0: a transfer",
        "transfer": "whether the goods go to targetWarehouseId instead of a customer",
        "status.shippedOn": "as the one who shipped says; it may be long before it was entered",
        "orderRows": "by id of the order's row; quantity is the sum of its pieces",
        "orderRows.id": "the order's row",
        "orderRows.productId": "written: read from the order where it is left out",
        "lastEventVersion": "changes with each event; writes name the one that was read",
        "reference": "shipping.reference once more, as it is written: at most 64 characters, until the note is shipped",
        "shippedOn": "status.shippedOn once more, as it is written: it ships the note. Empty: not shipped",
        "events.occured": "Brightpearl's spelling",
    }

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._settings = gateway.account.goods_out
        self.most_per_look = self.most_per_read
        self.settle_s = self._settings.goods_out_settle_s

    # --- reading -----------------------------------------------------------------------------------------------

    def normalised(self, doc: Doc, answered_at: datetime) -> Doc:  # noqa: ARG002
        """The note with the fields that can be written once more at its top."""
        flat = {name: times.at(doc, f"shipping.{name}") for name in DETAILS if name in Shipping().fields}
        return {**doc, **flat, SHIPPED_ON: times.at(doc, f"status.{SHIPPED_ON}")}

    def version(self, doc: Doc) -> str:
        """A fingerprint: nothing in a note says when it was last changed."""
        return fingerprint(doc)

    def is_closed(self, doc: Doc) -> bool:
        """Once it has been shipped for so long that nobody undoes it."""
        shipped_on = times.lenient(times.at(doc, "status.shippedOn"))
        return shipped_on is not None and self.now() - shipped_on > timedelta(days=self._settings.goods_out_undone_days)

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        """Pages of notes by feed.

        moved: by the movements of their goods, however far back the shipping is dated; one search for 500 movements.
        shipped: by shippedOn; nothing, and no call, where movements appear when a note is shipped. created: by createdOn.
        """
        if feed == "moved":
            yield from self._moved(position, since)
        elif feed == "shipped" and self._settings.goods_movements_appear == SHIPPED:
            yield Page([], position, self.now())
        else:
            yield from super().changes(feed, position, since=since)

    def _moved(self, position: Position, since: datetime | None) -> Iterator[Page]:
        from syncengine.connectors.brightpearl.feed import Feed  # with it comes the HTTP client, as in `source`

        code = self._settings.goods_out_type_code
        filters = {"goodsNoteTypeCode": code} if code else {}
        columns = "updatedOn", "goodsMovementId", filters, ("updatedOn",), "goodsNoteId"
        for page in Feed(self.gateway, movements.SEARCH, *columns).pages(position, since):
            yield replace(page, refs=list({ref.key: ref for ref in page.refs}.values()))

    def of_orders(self, order_ids: Sequence[str]) -> dict[str, list[Doc]]:
        """The notes of some orders, by order, the oldest first; an order without notes is absent. 500 orders a call."""
        found: dict[str, list[Doc]] = {}
        for text, count in id_sets([int(key) for key in order_ids if key.isdecimal()], self.most_per_read):
            path = f"warehouse-service/order/{text}/goods-note/goods-out"
            try:
                answer = self.gateway.call(
                    "GET", path, show_path=f"warehouse-service/order/({count} ids)/goods-note/goods-out"
                )
            except NothingFound:
                continue
            content = answer.body["response"]
            if not isinstance(content, Mapping):
                raise Transient(f"{path}: the answer is not {self.answer}")
            for key, doc in sorted(content.items(), key=lambda item: int(item[0])):
                note = self.normalised({"id": int(key), **doc}, answer.source_time)
                found.setdefault(str(doc.get("orderId")), []).append(note)
        return found

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        """The notes of an order, by natural keys that begin with its id (`5001`, `5001/000123`)."""
        orders = {key: key.partition("/")[0] for key in natural_keys}
        found = self.of_orders(list(dict.fromkeys(orders.values())))
        return {key: found[order] for key, order in orders.items() if order in found}

    def made_by(self, operation: Operation, sent_at: datetime) -> list[Doc]:
        """The notes that a creation, sent at that time (UTC), may have made: of its order and warehouse, created since, with
        equal rows, not shipped by others before. One call."""
        order_id, warehouse_id = str(operation.doc["orderId"]), int(operation.doc["warehouseId"])
        wanted = _quantities(operation.doc["orderRows"])
        return [
            doc
            for doc in self.of_orders([order_id]).get(order_id, [])
            if doc.get("warehouseId") == warehouse_id
            and (times.lenient(doc.get("createdOn")) or sent_at) >= sent_at - SKEW
            and self._quantities_of(doc) == wanted
        ]

    def _quantities_of(self, doc: Doc) -> Counter[str] | None:
        try:
            return _quantities(self.load(doc)["orderRows"])
        except Rejected:
            return None

    # --- writing -----------------------------------------------------------------------------------------------

    def calls(self, operation: Operation) -> Sequence[Operation]:
        """A creation is followed by its reference, and by shipping; a change of both is two."""
        if operation.verb is Verb.CREATE:
            later = {
                name: base.Change(None, operation.doc[name]) for name in NOT_WRITTEN_AT_ONCE if operation.doc.get(name)
            }
            first = {name: value for name, value in operation.doc.items() if name not in later}
            follow = [replace(operation, verb=Verb.CHANGE, changes=later)] if later else []
            return [replace(operation, doc=first), *follow]
        if operation.verb is Verb.CHANGE and SHIPPED_ON in operation.changes and len(operation.changes) > 1:
            shipping = {SHIPPED_ON: operation.changes[SHIPPED_ON]}
            others = {name: change for name, change in operation.changes.items() if name != SHIPPED_ON}
            return [replace(operation, changes=others), replace(operation, changes=shipping)]
        return [operation]

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        """One call: a POST, a PUT, an event, or a DELETE."""
        return [self._written(operation) for operation in operations]

    def refuses(self, verb: Verb, doc: Doc) -> str | None:
        """A shipped note is neither changed nor deleted (section 14.4)."""
        if doc.get(SHIPPED_ON) and verb is not Verb.CREATE:
            return "it is shipped in Brightpearl"
        return None

    def _written(self, operation: Operation) -> Outcome:
        try:
            if operation.verb is Verb.CREATE:
                return self._created(operation)
            if operation.verb is Verb.CANCEL:
                order_id = (operation.current or {})["orderId"]
                path = f"warehouse-service/order/{order_id}/goods-note/goods-out/{operation.key}"
                self.gateway.call("DELETE", path, is_write=True)
                return Outcome.done(key=operation.key)
            return self._changed(operation)
        except Stale as error:
            return Outcome.retry(Transient(str(error)))
        except Rejected as error:
            return Outcome.rejected(error)
        except OutcomeUnknown as error:
            return Outcome.unknown(error)

    def _created(self, operation: Operation) -> Outcome:
        order_id = operation.doc["orderId"]
        body = creation(operation.doc, self._products(operation))
        path = f"warehouse-service/order/{order_id}/goods-note/goods-out"
        answer = self.gateway.call("POST", path, json=body, is_write=True)
        said = answer.body.get("response")
        keys = said if isinstance(said, list) else [said]
        if len(keys) != 1 or not isinstance(keys[0], int) or isinstance(keys[0], bool):
            raise OutcomeUnknown(f"{path}: the answer is not the id of one note: {said!r:.40}")
        lines = {str(line[LINE_KEY]): str(line["id"]) for line in operation.doc["orderRows"] if LINE_KEY in line}
        return Outcome.done(key=str(keys[0]), lines=lines)

    def _products(self, operation: Operation) -> dict[str, int]:
        """The product of each row, from the write or else from the order, which is read only if one is left out."""
        rows = operation.doc["orderRows"]
        given = {str(row["id"]): int(row["productId"]) for row in rows if row.get("productId")}
        if len(given) == len(rows):
            return given
        found = self.gateway.objects("order-service/order", [str(operation.doc["orderId"])], most=1)
        known = (found[0].get("orderRows") or {}) if found else {}
        return {**{key: int(row["productId"]) for key, row in known.items()}, **given}

    def _changed(self, operation: Operation) -> Outcome:
        current = operation.current or {}
        version = str(current.get("lastEventVersion") or "")
        if SHIPPED_ON in operation.changes:
            body = event(operation.changes[SHIPPED_ON].new, self._settings.goods_out_owner_id)
            self.gateway.call("POST", f"{NOTES}/{operation.key}/event", json=body, is_write=True, if_match=version)
        else:
            body = changed(current, {name: change.new for name, change in operation.changes.items()})
            self.gateway.call("PUT", f"{NOTES}/{operation.key}", json=body, is_write=True, if_match=version)
        return Outcome.done(key=operation.key)


def _quantities(rows: Sequence[Doc]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        found[str(row["id"])] += int(row["quantity"])
    return found

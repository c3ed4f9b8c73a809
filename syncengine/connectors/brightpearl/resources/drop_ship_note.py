"""Brightpearl drop-ship notes: what suppliers send to an order's customer. Read only.

Facts: the vendor's pages "Drop-Ship Note GET" and "Drop-Ship Note Event POST"; brightpearl.md section 10 for the events. No
search finds them: webhooks tell of them, and `of_orders` reads those of orders.
"""

# ruff: noqa: N815 - the names are Brightpearl's
from __future__ import annotations

from collections.abc import Sequence

from syncengine.connectors.brightpearl.answers import NothingFound, Shape
from syncengine.connectors.brightpearl.id_sets import id_sets
from syncengine.connectors.brightpearl.resources.goods_out_note import NoteRow, NoteRows, Shipping, Status
from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.schemas import Document, Part, Time, Whole
from syncengine.document import Doc, fingerprint
from syncengine.errors import Transient


class DropShipNoteSchema(Document):
    """A note as GET gives it; `orderRows` becomes a list, by row id."""

    id = Whole(required=True, allow_none=False)
    orderId = Whole()
    purchaseOrderId = Whole()
    supplierId = Whole()
    status = Part(Status)
    shipping = Part(Shipping)
    orderRows = NoteRows(NoteRow, "id", load_default=list)
    createdOn = Time()


class DropShipNote(BrightpearlSource):
    """Notes by id."""

    name = "brightpearl.drop_ship_note"
    schema = DropShipNoteSchema
    path = "warehouse-service/order/*/goods-note/drop-ship"
    answer = Shape.BY_ID
    misses_changes = True
    required_fields = ("id", "orderId")
    field_notes = {
        "orderId": "the sales order",
        "status.shippedOn": "as the supplier says",
        "orderRows": "by id of the sales order's row; quantity is the sum of its pieces",
    }

    def version(self, doc: Doc) -> str:
        """A fingerprint: nothing in a note says when it was last changed."""
        return fingerprint(doc)

    def of_orders(self, order_ids: Sequence[str]) -> dict[str, list[Doc]]:
        """The notes of some sales orders, by order; an order without notes is absent. 200 orders a call."""
        found: dict[str, list[Doc]] = {}
        for text, count in id_sets([int(key) for key in order_ids if key.isdecimal()], self.most_per_read):
            shown = f"warehouse-service/order/({count} ids)/goods-note/drop-ship"
            try:
                answer = self.gateway.call(
                    "GET", f"warehouse-service/order/{text}/goods-note/drop-ship", show_path=shown
                )
            except NothingFound:
                continue
            content = answer.body["response"]
            if not isinstance(content, dict):
                raise Transient(f"{shown}: the answer is not {self.answer}")
            for key, doc in sorted(content.items(), key=lambda item: int(item[0])):
                found.setdefault(str(doc.get("orderId")), []).append({"id": int(key), **doc})
        return found

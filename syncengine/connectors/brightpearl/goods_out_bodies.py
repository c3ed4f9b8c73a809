"""What is sent to create, change and ship a goods-out note. Facts: brightpearl.md section 14.4. Nothing here makes a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from syncengine.connectors.brightpearl import times
from syncengine.document import Doc
from syncengine.errors import Rejected

DETAILS = ("reference", "shippingMethodId", "boxes", "weight", "priority", "labelUri")
"""What a PUT writes, by its name in a document."""

SHIPPED_ON = "shippedOn"
LONGEST = {"reference": 64, "labelUri": 512}
_OF_SHIPPING = ("reference", "shippingMethodId", "boxes", "weight")


def creation(doc: Doc, products: Mapping[str, int]) -> Doc:
    """The body of a POST for one note.

    Args:
        products: the product of each order row.

    Raises:
        Rejected: a row's product is not known, or its quantity is not a whole number above 0.
    """
    release_on = doc.get("releaseDate")
    warehouse = {
        **({"releaseDate": _time(release_on)} if release_on else {}),
        "warehouseId": int(doc["warehouseId"]),
        "transfer": False,
        "products": _products(doc["orderRows"], products),
    }
    method = doc.get("shippingMethodId")
    return {
        "warehouses": [warehouse],
        "priority": bool(doc.get("priority")),
        **({"shippingMethodId": int(method)} if method else {}),
        **({"labelUri": str(doc["labelUri"])} if doc.get("labelUri") else {}),
    }


def changed(current: Doc, changes: Mapping[str, Any]) -> Doc:
    """The body of a PUT: all that it can write, as it was read, with the changes.

    Raises:
        Rejected: a text is too long for Brightpearl.
    """
    wanted = {name: current.get(name) for name in DETAILS} | dict(changes)
    for name, most in LONGEST.items():
        if len(str(wanted.get(name) or "")) > most:
            raise Rejected(
                field=name,
                value=wanted[name],
                reason=f"Brightpearl keeps {most} characters",
                remedy="Shorten it in the mapping",
            )
    unknown = [name for name in changes if name not in DETAILS]
    if unknown:
        raise Rejected(
            field=unknown[0],
            value=changes[unknown[0]],
            reason="a goods-out note that exists cannot be given another one",
            remedy="Delete the note in Brightpearl if it is not shipped; it is then created as it should be",
        )
    shipping = {name: _plain(wanted[name]) for name in _OF_SHIPPING if wanted.get(name) is not None}
    return {
        "priority": bool(wanted.get("priority")),
        "shipping": shipping,
        **({"labelUri": str(wanted["labelUri"])} if wanted.get("labelUri") else {}),
    }


def event(shipped_on: Any, owner_id: int) -> Doc:
    """The body of the event that ships a note.

    Raises:
        Rejected: nobody is named as the one who ships, or a shipment would be undone.
    """
    if not shipped_on:
        raise Rejected(
            field=SHIPPED_ON,
            value=shipped_on,
            reason="Brightpearl has no event that undoes a shipment",
            remedy="Undo it in Brightpearl by hand",
        )
    if not owner_id:
        raise Rejected(
            field=SHIPPED_ON,
            value=shipped_on,
            reason="an event needs the id of the contact who ships",
            remedy="Set the endpoint's setting goods_out_owner_id",
        )
    return {"events": [{"eventCode": "SHW", "occured": _time(shipped_on), "eventOwnerId": owner_id}]}


def _products(rows: Sequence[Doc], products: Mapping[str, int]) -> list[Doc]:
    found = []
    for row in rows:
        row_id, quantity = str(row["id"]), Decimal(str(row["quantity"]))
        if row_id not in products:
            raise Rejected(
                field="orderRows.productId",
                value=row_id,
                reason="the order has no such row in Brightpearl",
                remedy="Ship it by hand, or add the row to the order",
            )
        if quantity <= 0 or quantity != quantity.to_integral_value():
            raise Rejected(
                field="orderRows.quantity",
                value=str(quantity),
                reason="Brightpearl ships whole units",
                remedy="Ship a whole number of units",
            )
        found.append({"productId": products[row_id], "salesOrderRowId": int(row_id), "quantity": int(quantity)})
    return found


def _time(value: Any) -> str:
    return times.text(value) if isinstance(value, datetime) else str(value)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value

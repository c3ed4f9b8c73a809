"""What is open of a SYSPRO sales order, by line: what a shipment needs to know of it. Read only.

Two COMFND read many orders, where SORQRY would take a call for each. SorMaster has no column of the last change, so there is no
feed. Facts: syspro-transport.md section 10, syspro-objects.md section 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from marshmallow import fields

from syncengine.connectors.base import NameKind
from syncengine.connectors.syspro.elements import Section, code, flag, number, text
from syncengine.connectors.syspro.order_balance import OrderReader
from syncengine.connectors.syspro.order_options import OrderOptions
from syncengine.connectors.syspro.resources.sales_order import SalesOrder
from syncengine.connectors.syspro.resources.source import SysproSource
from syncengine.connectors.syspro.schemas import schema_of
from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import Doc, fingerprint

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway

_QUANTITY = number(12, 6)
ORDER: Section = {
    "SalesOrder": code(20),
    "CustomerPoNumber": text(30),
    "Customer": code(15),
    "OrderStatus": code(1),
    "CancelledFlag": flag(),
    "Warehouse": code(10),
    "DeliveryNote": text(20),
    "LastInvoice": code(20),
    "NumDispatches": number(6, 0),
}
LINE: Section = {
    "SalesOrderLine": code(4), "LineType": code(1), "StockCode": code(30), "StockDescription": text(50),
    "Warehouse": code(10), "OrderUom": code(10), "OrderQty": _QUANTITY, "ShipQty": _QUANTITY, "BackOrderQty": _QUANTITY,
    "DispatchedQty": _QUANTITY, "OpenQty": _QUANTITY, "InvoicedQty": _QUANTITY, "UnitFactor": number(12, 6),
}  # fmt: skip
LINES = fields.List(fields.Nested(schema_of("OrderLine", LINE)))
LINE_NOTES: Mapping[str, str] = {
    "Line": "all lines, by SYSPRO's number",
    "Line.LineType": "1 stocked, 7 non-stocked, 4 freight, 5 charge, 6 comment",
    "Line.ShipQty": "allocated, neither dispatched nor invoiced",
    "Line.OpenQty": "ShipQty and BackOrderQty",
    "Line.InvoicedQty": "what is in none of the other quantities; of goods alone",
    "Line.UnitFactor": "stocking units in one order unit; empty where SorDetail does not show it",
    "DeliveryNote": "of the last printing, or the number that direct invoicing gave it",
    "NumDispatches": "dispatch notes made, cancelled ones too",
}


class OrderLines(SysproSource):
    """The key is the sales order's number."""

    name = "syspro.order_lines"
    schema = schema_of("OrderLines", ORDER, Line=LINES)
    searchable = {"CustomerPoNumber": NameKind.REFERENCE}
    misses_changes = True
    required_fields = ("SalesOrder",)
    field_notes: ClassVar[Mapping[str, str]] = LINE_NOTES

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(gateway, settings)
        options: OrderOptions = settings.options[SalesOrder.name]
        self._reader = OrderReader(gateway, settings, options.has_numeric_keys)

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Orders with their lines by number: two COMFND for `find_at_once` of them."""
        return self._reader.read(keys)

    def key_of(self, doc: Doc) -> str:
        """The order's number."""
        return self._reader.shown(text_of(doc, "SalesOrder"))

    def version(self, doc: Doc) -> str:
        """A fingerprint: SorMaster does not say when it was last changed."""
        return fingerprint(doc)

    def is_closed(self, doc: Doc) -> bool:
        """Once it is complete or cancelled."""
        return text_of(doc, "OrderStatus") in ("9", "*", "\\", "/") or text_of(doc, "CancelledFlag") == "Y"

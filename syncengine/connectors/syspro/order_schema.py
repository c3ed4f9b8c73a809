"""The schema of sales orders as they are read: SORTOI's elements, and some that only SORQRY gives."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from syncengine.connectors.syspro.elements import Element, Kind, Section, number
from syncengine.connectors.syspro.order_elements import ORDER_HEADER, ORDER_LINES
from syncengine.connectors.syspro.schemas import SysproText, schema_of

_QUANTITY, _VALUE = number(12, 6), number(12, 2)

_READ_ONLY_HEADER: Section = {
    "ExchangeRate": number(12, 6),
    "DateLastInvPrt": Element(Kind.DATE),
    "NumDispatches": number(6, 0),
}
_READ_ONLY_LINE: Section = {
    "MShipQty": _QUANTITY,
    "MBackOrderQty": _QUANTITY,
    "QtyReserved": _QUANTITY,
    "MQtyDispatched": _QUANTITY,
    "MStockQtyToShp": _QUANTITY,
    "OrderLineValue": _VALUE,
}


def _lines(name: str, section: Section) -> fields.Field[Any]:
    more = _READ_ONLY_LINE if name == "StockLine" else {}
    return fields.List(fields.Nested(schema_of(name, {**section, **more})))


SalesOrderSchema = schema_of(
    "SalesOrder",
    {**ORDER_HEADER, **_READ_ONLY_HEADER},
    OrderSourceCode=SysproText(allow_none=True),
    OrderStatus=SysproText(allow_none=True),
    **{name: _lines(name, section) for name, section in ORDER_LINES.items()},
)

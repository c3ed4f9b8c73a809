"""What the names of SORTOI's elements do not say, for people who write flows. Facts: syspro-transport.md 9.2 and 9.3."""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.connectors.syspro.elements import choices, lengths
from syncengine.connectors.syspro.order_elements import ORDER_HEADER, ORDER_LINES, ORDER_SOURCE

LENGTHS: Mapping[str, str] = {
    **lengths(ORDER_HEADER),
    "OrderSourceCode": ORDER_SOURCE.length,
    **{path: length for name, section in ORDER_LINES.items() for path, length in lengths(section, f"{name}.").items()},
}

REQUIRED = (
    "CustomerPoNumber",
    "Customer",
    "StockLine.StockCode",
    "StockLine.OrderQty",
    "StockLine.OrderUom",
    "CommentLine.Comment",
)

_BY_ENGINE = "set by the engine, not by a mapping"
_READ_ONLY = "read only"

_HEADER = {
    "CustomerPoNumber": "natural key; SYSPRO may be set up to refuse an order without it",
    "OrderActionType": _BY_ENGINE,
    "NewCustomerPoNumber": "change only",
    "Customer": "must exist",
    "InvoiceTerms": "default from the customer",
    "Currency": "must be the customer's; ignored on a change",
    "ShippingInstrs": "text; ShippingInstrsCode sets it otherwise",
    "ShippingInstrsCode": "code; sets the text unless ShippingInstrs is given",
    "CustomerName": "overrides the customer's name on this order",
    "ShipAddress1": "if all lines are empty: the customer's address",
    "Warehouse": "default of the lines",
    "SalesOrder": _BY_ENGINE,
    "OrderType": "a code of the site's own list",
    "MultiShipCode": "a stored ship-to address instead of the lines",
    "Salesperson": "default from the customer",
    "Branch": "default from the customer",
    "Area": "default from the customer; may decide tax",
    "RequestedShipDate": "default from the customer",
    "AlternateReference": "not free text: must fit the site's alternate key type",
    "InvoiceNumberEntered": "only with status 8",
    "InvoiceDateEntered": "only with status 8",
    "OrderComments": "one text is split into lines",
    "CancelReasonCode": _BY_ENGINE,
    "ExchangeRate": _READ_ONLY,
    "DateLastInvPrt": _READ_ONLY,
    "NumDispatches": _READ_ONLY,
    "OrderSourceCode": "sales channel; e.net carries it in the element named by the setting order_source_field",
    "OrderStatus": "of a new order: 1, 4, 8 or S",
}
_LINE = {
    "CustomerPoLine": _BY_ENGINE,
    "LineActionType": _BY_ENGINE,
    "LineCancelCode": _BY_ENGINE,
}
_LINES: Mapping[str, Mapping[str, str]] = {
    "StockLine": {
        "StockCode": "must exist, unless NonStockedLine is Y",
        "StockDescription": "taken only with the parameter UseStockDescSupplied Y",
        "Warehouse": "default: the header's, then the stock code's",
        "OrderUom": "ignored on a change",
        "Price": "per PriceUom, net of tax",
        "PriceUom": "needed with Price",
        "LineDiscPercent1": "not for customers on contract prices",
        "LineDiscValue": "LineDiscValFlag says per unit or line",
        "LineDiscValFlag": "U per unit, V for the line",
        "StockTaxCode": "taken only if the site's set-up allows it",
        "AllocationAction": "F, B or A",
        "MShipQty": _READ_ONLY,
        "MBackOrderQty": _READ_ONLY,
        "QtyReserved": _READ_ONLY,
        "MQtyDispatched": _READ_ONLY,
        "MStockQtyToShp": _READ_ONLY,
        "OrderLineValue": _READ_ONLY,
    },
    "CommentLine": {"CommentType": "I on invoice and order (default), O on the order only"},
    "MiscChargeLine": {
        "MiscChargeValue": "net; negative for a discount",
        "MiscProductClass": "required without MiscChargeCode; SYSPRO does not return it",
    },
    "FreightLine": {"FreightValue": "net"},
}

NOTES: Mapping[str, str] = {
    **choices(ORDER_HEADER),
    **_HEADER,
    **{path: note for name, section in ORDER_LINES.items() for path, note in choices(section, f"{name}.").items()},
    **{
        f"{name}.{field}": note
        for name, section in ORDER_LINES.items()
        for field, note in {**{field: _LINE[field] for field in _LINE if field in section}, **_LINES[name]}.items()
    },
}

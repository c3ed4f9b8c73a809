"""The business objects of sales orders: their parameters, and their addresses in the Harmony interface.

Facts: syspro-transport.md sections 4.3 (a proposal: no public specification of Harmony was found), 9.1, 10.2 and 10.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from syncengine.connectors.syspro.business import BusinessCall, BusinessObject, Route
from syncengine.connectors.syspro.json_documents import to_json
from syncengine.connectors.syspro.xml import text_of


def _import(call: BusinessCall) -> Route | None:
    return Route("POST", "/SalesOrder", {"Parameters": to_json(call.parameters), **to_json(call.content)})


def _query(call: BusinessCall) -> Route | None:
    number = text_of(call.content, "Key", "SalesOrder")
    return Route("GET", f"/SalesOrder/{quote(number, safe='')}") if number else None


def _cancel(call: BusinessCall) -> Route | None:
    item = call.content["Item"]
    if text_of(item, "SalesOrderLine"):
        return None
    reason = text_of(item, "CancelReasonCode")
    query = f"?{urlencode({'CancelReasonCode': reason})}" if reason else ""
    return Route("DELETE", f"/SalesOrder/{quote(text_of(item, 'SalesOrder'), safe='')}{query}")


ALLOW_NEGATIVE = "AllowBackOrderForNegativeMerchLine"
"""The parameter by which SORTOI takes stock lines of a negative quantity, at sites whose setup allows them."""

_PARAMETERS = """
    InBoxMsgReqd Process CustomerToUse WarehouseListToUse UseCustomerSalesWarehouse TypeOfOrder OrderStatus MinimumDaysToShip
    AllowNonStockItems AcceptOrdersIfNoCredit AcceptEarlierShipDate OperatorToInform CreditFailMessage ValidProductClassList
    ShipFromDefaultBin AllowDuplicateOrderNumbers CheckForCustomerPoNumbers AllowInvoiceInformationEntry
    AlwaysUsePriceEntered AllowZeroPrice AllowChangeToZeroPrice AddStockSalesOrderText AddDangerousGoodsText
    UseStockDescSupplied ValidateShippingInstrs AllocationAction IgnoreWarnings AddAttachedServiceCharges StatusInProcess
    StatusInProcessResponse WarnIfCustomerOnHold AcceptKitOptional AllowBackOrderForPartialHold AllowBackOrderForSuperseded
    OverrideCustomerBackOrder UseMasterAccountForCustomerPartNo ApplyLeadTimeCalculation ApplyParentDiscountToComponents
    AllowManualOrderNumberToBeUsed ReserveStock ReserveStockRequestAllocs AllowBackOrderForNegativeMerchLine
    PutEntireQuantityOnNewLoadWhenChanged"""


def in_order(parameters: Mapping[str, str]) -> dict[str, str]:
    """SORTOI's parameters in the order of its 7.0 schema, those of later versions at the end."""
    known = {name: parameters[name] for name in _PARAMETERS.split() if name in parameters}
    return {**known, **parameters}


SORTOI = BusinessObject(
    "SORTOI",
    "Transaction",
    "SalesOrders",
    parameters={
        "InBoxMsgReqd": "N",
        "Process": "IMPORT",
        "TypeOfOrder": "ORD",
        "OrderStatus": "1",
        "AllowNonStockItems": "N",
        "AcceptOrdersIfNoCredit": "N",  # the choice for account customers; a shop of prepaid orders sets Y
        "AcceptEarlierShipDate": "Y",
        "ShipFromDefaultBin": "Y",
        "AllowDuplicateOrderNumbers": "N",
        "CheckForCustomerPoNumbers": "Y",
        "AlwaysUsePriceEntered": "Y",
        "AllowZeroPrice": "Y",
        "AllowChangeToZeroPrice": "Y",  # a change of a line states its price again, which is zero for a gift
        "AddStockSalesOrderText": "N",
        "AddDangerousGoodsText": "N",
        "UseStockDescSupplied": "N",
        "ValidateShippingInstrs": "N",
        "AllocationAction": "A",
        "IgnoreWarnings": "W",
        "AddAttachedServiceCharges": "N",
        "WarnIfCustomerOnHold": "N",
        "AcceptKitOptional": "N",
    },
    reply_root="SalesOrders",
    remedies={
        r"\bcustomer\b.*\bon hold\b": (
            "Release the customer in SYSPRO, or set sortoi.WarnIfCustomerOnHold to Y for this endpoint, then retry"
        ),
        r"\bcredit\b": (
            "Raise the credit limit in SYSPRO, or set sortoi.AcceptOrdersIfNoCredit to Y for prepaid orders, then retry"
        ),
    },
    route=_import,
)
"""Creates, changes and validates orders. The parameters are for a web shop, by the advice of section 9.1."""

SORTOX = BusinessObject(
    "SORTOX",
    "Transaction",
    "PostSalesOrderCancel",
    parameters={
        "IgnoreWarnings": "W",
        "ApplyIfEntireDocumentValid": "Y",
        "ValidateOnly": "N",
        "CancelAttachedComments": "Y",
    },
    route=_cancel,
)
"""Cancels orders."""

SORQRY = BusinessObject("SORQRY", "Query", "Query", reply_root="SorDetail", route=_query)
"""Reads one order with its lines."""

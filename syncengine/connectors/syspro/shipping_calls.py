"""The business objects by which goods leave SYSPRO. Facts: syspro-transport.md section 10.3, syspro-objects.md section 9.

Every parameter that changes what is posted is sent: an omitted ValidateOnly posts nothing (SORTBO, SORTOS), an omitted
BasisForDispatch takes back orders, an omitted NonMerchandiseSource leaves the charges of the order behind.
"""

from __future__ import annotations

from syncengine.connectors.syspro.business import BusinessObject

SORTDN = BusinessObject(
    "SORTDN",
    "Transaction",
    "PostDispatchNotes",
    parameters={
        "ValidateOnly": "N",
        "IgnoreWarnings": "W",
        "BasisForDispatch": "S",
        "NonMerchandiseSource": "S",
        "IgnoreAutoDepletion": "N",
        "CopyCustomForm": "Y",
        "AppendToExistingLine": "N",
    },
    remedies={
        r"not available in warehouse|not enough|insufficient": (
            "The goods have left, and SYSPRO does not have them: correct its stock, then retry"
        ),
    },
)
"""Makes dispatch notes of ship quantities."""

SORTDS = BusinessObject(
    "SORTDS",
    "Transaction",
    "PostDispStatus",
    parameters={"IgnoreWarnings": "W", "ApplyIfEntireDocumentValid": "Y", "ValidateOnly": "N"},
)
"""Sets the status of dispatch notes; SYSPRO 8 and later."""

SORTDC = BusinessObject(
    "SORTDC",
    "Transaction",
    "PostDispCancel",
    parameters={
        "CancelAttachedComments": "Y",
        "IgnoreWarnings": "W",
        "ApplyIfEntireDocumentValid": "Y",
        "ValidateOnly": "N",
    },
    reply_root="canceldispatchnotes",
)
"""Cancels dispatch notes that are not invoiced."""

SORQDN = BusinessObject("SORQDN", "Query", "Query", reply_root="DispatchNoteDetail")
"""Reads one dispatch note with its lines, which do not say of which order line they are."""

SORQDL = BusinessObject("SORQDL", "Query", "Query", reply_root="DispatchNoteList")
"""Lists the dispatch notes of one order."""

SORTBO = BusinessObject(
    "SORTBO",
    "Transaction",
    "PostSorBackOrderRelease",
    parameters={
        "IgnoreWarnings": "W",
        "ApplyIfEntireDocumentValid": "Y",
        "ValidateOnly": "N",
        "IgnoreAutoDepletion": "N",
    },
    reply_root="PostSorBackOrderRelease",
)
"""Moves quantities of order lines between back order and ship."""

SORTOS = BusinessObject(
    "SORTOS",
    "Transaction",
    "PostSorOrderStatus",
    parameters={
        "InBoxMsgReqd": "N",
        "ValidateOnly": "N",
        "IgnoreWarnings": "W",
        "AllowInvoiceInformationEntry": "N",
        "ApplyIfEntireDocumentValid": "N",
        "WarnIfCustomerOnHold": "Y",
        "StatusInProcess": "N",
    },
)
"""Sets the status of an order, and its delivery note number."""

SORTIC = BusinessObject(
    "SORTIC",
    "Transaction",
    "PostSalesOrderInvoice",
    parameters={
        "OrderType": "I",
        "PostingPeriod": "C",
        "IgnoreWarnings": "W",
        "ApplyIfEntireDocumentValid": "N",
        "ValidateOnly": "N",
    },
)
"""Invoices an order of status 8."""

"""The tables of dispatch notes. Source: syspro-objects.md sections 9.2 and 10; columns as SORQDN names them (assumed there).

MdnDetail's columns of the order, and those of lots and serial numbers, are the sandbox's own assumption; so is the width.
"""

from __future__ import annotations

from syncengine.sandbox.syspro.tables import DATE, FLAG, INTEGER, Table, decimal, own, text

_QUANTITY = decimal(18, 6)


def dispatch_tables() -> list[Table]:
    """MdnMaster and MdnDetail, without rows."""
    return [_notes(), _lines()]


def _notes() -> Table:
    address = {f"DispatchAddress{number}": text(40) for number in "12345"}
    return Table(
        "MdnMaster",
        ("DispatchNote",),
        {
            "DispatchNote": text(20),
            "NextDetailLine": INTEGER,
            "SalesOrder": text(20),
            "Customer": text(15),
            "CustomerName": text(50),
            "CustomerPoNumber": text(30),
            "ShippingInstrs": text(50),
            "SpecialInstrs": text(30),
            **{f"DispatchComments{number}": text(60) for number in "1234"},
            "UserField1": text(15),
            "UserField2": text(15),
            "Salesperson": text(20),
            "Branch": text(10),
            "Area": text(10),
            "Currency": text(3),
            "OrderType": text(2),
            "DispatchName": text(50),
            "DispatchCustName": text(50),
            **address,
            "DispatchPostalCode": text(10),
            "MultiShipCode": text(5),
            "PlannedDeliverDate": DATE,
            "ActualDeliveryDate": DATE,
            "Invoice": text(20),
            "InvoiceCreatedDate": DATE,
            "DispatchNoteStatus": FLAG,  # 3 created, 5 printed, 7 to invoice, 9 invoiced, S and H held, * cancelled
            "PrevStatus": FLAG,
            "StatusWhenHeld": FLAG,
            "Reason": text(30),
            "CreditAuthority": text(3),
            "LastOperator": text(20),
            "EntryDate": own(DATE),
        },
        indexes=("SalesOrder", "UserField2"),
    )


def _lines() -> Table:
    return Table(
        "MdnDetail",
        ("DispatchNote", "DispatchNoteLine"),
        {
            "DispatchNote": text(20),
            "DispatchNoteLine": INTEGER,
            "SalesOrder": text(20),
            "SalesOrderLine": INTEGER,
            "LineType": FLAG,
            "MStockCode": text(30),
            "MStockDes": text(50),
            "MWarehouse": text(10),
            "MOrderQty": _QUANTITY,
            "MShipQty": _QUANTITY,
            "MStockQtyToShp": _QUANTITY,
            "MBackOrderQty": _QUANTITY,
            "MOrderUom": text(10),
            "MStockingUom": text(10),
            "MPrice": decimal(15, 5),
            "MPriceUom": text(10),
            "NComment": text(100),
            "NMscChargeValue": decimal(14, 2),
            "Lot": own(text(50)),
            "Serials": own(text(255)),  # with commas between them
        },
        indexes=("SalesOrder",),
    )

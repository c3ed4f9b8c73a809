"""The tables of stock. Source: syspro-objects.md section 10; tables and columns marked as own are the sandbox's.

The reference does not give the whole key of InvMovements, so `Sequence` completes it here.
"""

from __future__ import annotations

from syncengine.sandbox.syspro.tables import DATE, FLAG, INTEGER, Column, Table, decimal, own, text

_QUANTITY = decimal(18, 6)
_COST = decimal(15, 5)
_SEQUENCE = own(text(8))


def stock_tables() -> list[Table]:
    """InvWarehouse, InvWhControl, InvMovements, the physical journal and the jobs' materials, without rows."""
    return [_warehouses(), _controls(), _movements(), _journal(), _job_materials()]


def _warehouses() -> Table:
    quantities = (
        "QtyOnHand", "QtyAllocated", "QtyAllocatedWip", "QtyOnOrder", "QtyOnBackOrder", "QtyInTransit", "QtyInInspection",
        "QtyDispatched", "QtyWipReserved",
    )  # fmt: skip
    dates = (
        "DateLastStockMove", "DateLastSale", "DateLastPurchase", "DateLastCostChange", "DateLastStockCnt", "DateWhAdded",
    )  # fmt: skip
    columns = {
        "StockCode": text(30),
        "Warehouse": text(10),
        **dict.fromkeys(quantities, _QUANTITY),
        "UnitCost": _COST,
        "DefaultBin": text(20),
        **dict.fromkeys(dates, DATE),
    }
    return Table("InvWarehouse", ("StockCode", "Warehouse"), columns)


def _controls() -> Table:
    return Table(
        "InvWhControl",
        ("Warehouse",),
        {
            "Warehouse": text(10),
            "Description": text(50),
            "NegStockAllow": Column("text", 1, initial="N"),
            "Branch": text(10),
        },
    )


def _movements() -> Table:
    return Table(
        "InvMovements",
        ("StockCode", "Warehouse", "Sequence"),
        {
            "StockCode": text(30),
            "Warehouse": text(10),
            "Sequence": _SEQUENCE,
            "TrnYear": INTEGER,
            "TrnMonth": INTEGER,
            "EntryDate": DATE,
            "TrnTime": decimal(8, 0),
            "MovementType": FLAG,  # I inventory, S sales
            "TrnType": FLAG,  # R receipt, A adjustment, S sale, T transfer, I issue, P physical count
            "TrnQty": _QUANTITY,
            "TrnValue": decimal(14, 2),
            "UnitCost": _COST,
            "Reference": text(30),
            "AddReference": text(50),
            "NewWarehouse": text(10),
            "Journal": INTEGER,
            "JournalEntry": INTEGER,
            "SalesOrder": text(20),
            "Invoice": text(20),
            "Customer": text(15),
            "DispatchNote": text(20),
            "LotSerial": text(50),
        },
    )


def _journal() -> Table:
    columns = {
        "Sequence": _SEQUENCE,
        "At": own(text(32)),  # the sandbox's time of the posting, ISO 8601 in UTC
        "Dated": own(DATE),  # the date that it was posted for
        "StockCode": own(text(30)),
        "Warehouse": own(text(10)),
        "Quantity": own(_QUANTITY),
        "OnHand": own(_QUANTITY),  # after it
        "TrnType": own(FLAG),
        "Reference": own(text(30)),
        "SalesOrder": own(text(20)),
        "By": own(text(10)),  # api or person
    }
    return Table("_StockJournal", ("Sequence",), columns, indexes=("StockCode",))


def _job_materials() -> Table:
    columns = {"Job": own(text(20)), "StockCode": own(text(30)), "Warehouse": own(text(10)), "Quantity": own(_QUANTITY)}
    return Table("_JobMaterial", ("Job", "StockCode", "Warehouse"), columns)

"""The tables of a SYSPRO company that orders and customers need, with the columns in use.

Source: syspro-objects.md sections 3.1 and 10, syspro-transport.md sections 9 and 10; widths of a 7/8 database.
"""

from __future__ import annotations

from syncengine.sandbox.syspro.item_columns import ITEM
from syncengine.sandbox.syspro.schema_dispatch import dispatch_tables
from syncengine.sandbox.syspro.schema_ledger import ledger_tables
from syncengine.sandbox.syspro.schema_stock import stock_tables
from syncengine.sandbox.syspro.tables import DATE, FLAG, INTEGER, Column, Table, decimal, own, text

QUANTITY = decimal(18, 6)
PRICE = decimal(15, 5)
AMOUNT = decimal(14, 2)
PERCENT = decimal(5, 2)

ADDRESS_LINES = ("1", "2", "3", "3Loc", "4", "5")


def _address(prefix: str, postcode: str) -> dict[str, Column]:
    return {**{f"{prefix}{line}": text(40) for line in ADDRESS_LINES}, postcode: text(10)}


def _customers() -> Table:
    return Table(
        "ArCustomer",
        ("Customer",),
        {
            "Customer": text(15),
            "Name": text(50),
            "ShortName": text(20),
            "Salesperson": text(20),
            "Branch": text(10),
            "TermsCode": text(2),
            "CreditStatus": text(1),
            "CreditLimit": decimal(12, 0),
            "CreditCheckFlag": FLAG,
            "PriceCode": text(10),
            "CustomerClass": text(10),
            "BalanceType": FLAG,
            "Area": text(10),
            "TaxStatus": FLAG,
            "TaxExemptNumber": text(30),
            "Telephone": text(20),
            "Contact": text(50),
            "Fax": text(20),
            "Email": text(255),
            "Currency": text(3),
            "UserField1": text(10),
            "UserField2": decimal(17, 5),
            "StatementReqd": FLAG,
            "BackOrdReqd": FLAG,
            "ShippingInstrs": text(50),
            "ShippingInstrsCod": text(6),
            "StateCode": text(3),
            "DateCustAdded": DATE,
            "Nationality": text(3),
            "CustomerOnHold": FLAG,
            **_address("SoldToAddr", "SoldPostalCode"),
            **_address("ShipToAddr", "ShipPostalCode"),
            "State": text(2),
            "CountyZip": text(5),
            "City": text(3),
            "PoNumberMandatory": FLAG,
            "CompanyTaxNumber": text(15),
            "SalesWarehouse": text(10),
            "DateLastSale": DATE,
            "DateLastPay": DATE,
        },
    )


def _orders() -> Table:
    return Table(
        "SorMaster",
        ("SalesOrder",),
        {
            "SalesOrder": text(20),
            "NextDetailLine": INTEGER,
            "OrderStatus": FLAG,
            "ActiveFlag": FLAG,
            "CancelledFlag": FLAG,
            "DocumentType": FLAG,
            "ScheduledOrdFlag": FLAG,
            "InterWhSale": FLAG,
            "Customer": text(15),
            "CustomerName": text(50),
            "Salesperson": text(20),
            "CustomerPoNumber": text(30),
            "OrderDate": DATE,
            "EntrySystemDate": DATE,
            "ReqShipDate": DATE,
            "ShippingInstrs": text(50),
            "ShippingInstrsCod": text(6),
            "SpecialInstrs": text(30),
            "InvTermsOverride": text(2),
            "CreditAuthority": text(3),
            "Branch": text(10),
            "Area": text(10),
            "OrderType": text(2),
            "AlternateKey": text(10),
            "Warehouse": text(10),
            "Currency": text(3),
            "FixExchangeRate": Column("text", 1, initial="N"),
            "ExchangeRate": decimal(11, 6),
            "MulDiv": FLAG,
            "DiscPct1": PERCENT,
            "DiscPct2": PERCENT,
            "DiscPct3": PERCENT,
            "TaxStatus": own(FLAG),
            "TaxExemptNumber": text(30),
            "GstExemptFlag": Column("text", 1, initial="E"),  # as recorded: a company without Canadian tax
            "GstExemptNum": text(15),
            "CompanyTaxNo": text(15),
            "State": text(2),
            "CountyZip": text(5),
            "ExtendedTaxCode": text(3),
            **_address("ShipAddress", "ShipPostalCode"),
            "MultiShipCode": text(5),
            "Email": text(255),
            "Nationality": text(3),
            "DeliveryTerms": text(3),
            "ShippingLocation": text(10),
            "TransactionNature": text(3),
            "TransportMode": text(2),
            "ProcessFlag": FLAG,
            "EntInvoice": text(20),
            "EntInvoiceDate": DATE,
            "LastInvoice": text(20),
            "DateLastInvPrt": DATE,
            "DeliveryNote": text(20),
            "LastDelNote": DATE,
            "DateLastDocPrt": DATE,
            "LastOperator": text(20),
            "Operator": text(20),
            "WebCreated": FLAG,
            "SalesOrderSource": text(6),
            "User1": FLAG,
            "ReasonCode": own(text(6)),
            "DispatchesMade": FLAG,
            "LiveDispExist": FLAG,
            "NumDispatches": INTEGER,
            "IncludeInMrp": Column("text", 1, initial="Y"),
        },
        indexes=("CustomerPoNumber", "Customer"),
    )


def _order_lines() -> Table:
    return Table(
        "SorDetail",
        ("SalesOrder", "SalesOrderLine"),
        {
            "SalesOrder": text(20),
            "SalesOrderLine": INTEGER,
            "SalesOrderInitLine": INTEGER,
            "LineType": FLAG,  # 1 stocked, 4 freight, 5 miscellaneous charge, 6 comment, 7 non-stocked
            "MStockCode": text(30),
            "MStockDes": text(50),
            "MWarehouse": text(10),
            "MBin": text(20),
            "MOrderQty": QUANTITY,
            "MShipQty": QUANTITY,
            "MBackOrderQty": QUANTITY,
            "MQtyDispatched": QUANTITY,
            "MStockQtyToShp": QUANTITY,
            "QtyReserved": QUANTITY,
            "QtyReservedShip": QUANTITY,
            "MOrderUom": text(10),
            "MStockingUom": text(10),
            "MPrice": PRICE,
            "MPriceUom": text(10),
            "MPriceCode": text(10),
            "MProductClass": text(20),
            "MTaxCode": text(3),
            "MFstTaxCode": text(3),
            "MDiscPct1": PERCENT,
            "MDiscPct2": PERCENT,
            "MDiscPct3": PERCENT,
            "MDiscValFlag": FLAG,
            "MDiscValue": AMOUNT,
            "MLineShipDate": DATE,
            "MCustRequestDat": DATE,
            "MCusSupStkCode": text(30),
            "MUserDef": text(4),
            "MLastDelNote": text(20),
            "MCompleteFlag": own(FLAG),
            "NComment": text(100),
            "NCommentFromLin": INTEGER,
            "NCommentType": FLAG,
            "NMscChargeValue": AMOUNT,
            "NMscChargeCost": AMOUNT,
            "NMscChargeQty": QUANTITY,
            "NMscProductCls": text(20),
            "NMscTaxCode": text(3),
            "NMscFstCode": text(3),
            "NChargeCode": text(6),
            "LineCancelCode": own(text(6)),
        },
    )


def _items() -> list[Table]:
    return [
        Table("InvMaster", ("StockCode",), ITEM),
        Table(
            "InvPrice",
            ("StockCode", "PriceCode"),
            {
                "StockCode": text(30),
                "PriceCode": text(10),
                "SellingPrice": PRICE,
                "PriceBasis": FLAG,
                "CommissionCode": text(1),
            },
        ),
    ]


def _codes() -> list[Table]:
    """Small tables of codes; the key column has the name that the documents use."""
    return [
        Table("SalBranch", ("Branch",), {"Branch": text(10), "Description": text(50)}),
        Table("SalSalesperson", ("Salesperson",), {"Salesperson": text(20), "Name": text(50)}),
        Table("SalArea", ("Area",), {"Area": text(10), "Description": text(50), "TaxCode": own(text(3))}),
        Table("TblArTerms", ("TermsCode",), {"TermsCode": text(2), "Description": text(50)}),
        Table(
            "TblCurrency",
            ("Currency",),
            {"Currency": text(3), "Description": text(30), "SellExchangeRate": decimal(11, 6)},
        ),
        Table(
            "ArMultAddress",
            ("Customer", "AddrCode"),
            {
                "Customer": text(15),
                "AddrCode": text(5),
                "ShipToName": text(50),
                **_address("ShipToAddr", "ShipPostalCode"),
            },
        ),
    ]


def empty_tables() -> dict[str, Table]:
    """All tables by name, without rows."""
    tables = [_customers(), _orders(), _order_lines(), *_items(), *stock_tables(), *_codes(), *ledger_tables()]
    tables += dispatch_tables()
    return {table.name: table for table in tables}

"""The elements of the documents that we send and read: names, order, widths. The server drops what it does not know in silence.

Facts: syspro-transport.md sections 9.2 and 9.3 (SORTOI), syspro-objects.md section 3.1 (ARSSCS); widths are those of a
7/8 company database, digits are those before the point. A site whose widths differ overrides them by the setting `widths`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    TEXT = "text"
    CODE = "code"  # a key or table code: upper case by convention
    NUMBER = "number"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Element:
    """One element. `width`: characters of a text, digits before the point of a number; 0 for a width nobody knows.

    choices: the values that a code may have. repeats: how often it may stand there. keeps_blank: an empty text is a value
    of its own; elsewhere an empty element makes SYSPRO take its default, so it is not sent and not compared.
    """

    kind: Kind
    width: int = 0
    places: int = 0
    choices: tuple[str, ...] = ()
    repeats: int = 1
    keeps_blank: bool = False


Section = Mapping[str, Element]


def text(width: int = 0, *, repeats: int = 1, keeps_blank: bool = False) -> Element:
    return Element(Kind.TEXT, width, repeats=repeats, keeps_blank=keeps_blank)


def code(width: int = 0, *choices: str) -> Element:
    return Element(Kind.CODE, width, choices=choices)


def flag(*choices: str) -> Element:
    return Element(Kind.CODE, 1, choices=choices or ("Y", "N"))


def number(digits: int, places: int) -> Element:
    return Element(Kind.NUMBER, digits, places)


DATE = Element(Kind.DATE)
_ADDRESS = text(40, keeps_blank=True)

ORDER_HEADER: Section = {
    "CustomerPoNumber": text(30),
    "OrderActionType": flag("A", "C", "D"),
    "NewCustomerPoNumber": text(30),
    "Customer": code(15),
    "OrderDate": DATE,
    "InvoiceTerms": code(2),
    "Currency": code(3),
    "ShippingInstrs": text(50),
    "ShippingInstrsCode": code(6),
    "CustomerName": text(50),
    "ShipAddress1": _ADDRESS,
    "ShipAddress2": _ADDRESS,
    "ShipAddress3": _ADDRESS,
    "ShipAddress3Locality": _ADDRESS,
    "ShipAddress4": _ADDRESS,
    "ShipAddress5": _ADDRESS,
    "ShipPostalCode": text(10, keeps_blank=True),
    "Email": text(255),
    "OrderDiscPercent1": number(2, 2),
    "OrderDiscPercent2": number(2, 2),
    "OrderDiscPercent3": number(2, 2),
    "Warehouse": code(10),
    "SpecialInstrs": text(30),  # 50 in the documents, 30 in the database: the narrower one loses nothing
    "SalesOrder": code(20),
    "OrderType": code(2),
    "MultiShipCode": code(5),
    "ShipAddressPerLine": flag(),
    "AlternateReference": code(10),
    "Salesperson": code(20),
    "Branch": code(10),
    "Area": code(10),
    "RequestedShipDate": DATE,
    "InvoiceNumberEntered": code(20),
    "InvoiceDateEntered": DATE,
    "OrderComments": text(100, repeats=4),
    "Nationality": code(3),
    "DeliveryTerms": code(3),
    "ShippingLocation": code(10),
    "TransactionNature": code(3),
    "TransportMode": code(2),
    "ProcessFlag": code(1),
    "TaxExemptNumber": text(30),
    "TaxExemptionStatus": flag("E", "N", "O"),
    "GstExemptNumber": text(30),
    "GstExemptionStatus": flag("E", "N"),
    "CompanyTaxNumber": text(15),
    "CancelReasonCode": code(6),
}
"""SORTOI's OrderHeader in the order of its schema."""

ORDER_SOURCE = code(6)
"""`OrderSourceCode` where a gateway takes it as it is; the width is that of the column SorMaster.SalesOrderSource."""

SHIP_ADDRESS = tuple(name for name, element in ORDER_HEADER.items() if element.keeps_blank)

_LINE: Section = {
    "CustomerPoLine": number(4, 0),
    "LineActionType": flag("A", "C", "D"),
    "LineCancelCode": code(6),
}

STOCK_LINE: Section = {
    **_LINE,
    "StockCode": code(30),
    "StockDescription": text(50),
    "Warehouse": code(10),
    "CustomersPartNumber": text(30),
    "OrderQty": number(12, 6),
    "OrderUom": code(10),
    "Price": number(10, 5),
    "PriceUom": code(10),
    "PriceCode": code(10),
    "AlwaysUsePriceEntered": flag(),
    "Units": number(12, 6),
    "Pieces": number(12, 6),
    "ProductClass": code(20),
    "LineDiscPercent1": number(3, 2),
    "LineDiscPercent2": number(3, 2),
    "LineDiscPercent3": number(3, 2),
    "AlwaysUseDiscountEntered": flag(),
    "CustRequestDate": DATE,
    "CommissionCode": code(1),
    "LineShipDate": DATE,
    "LineDiscValue": number(12, 2),
    "LineDiscValFlag": flag("U", "V"),
    "OverrideCalculatedDiscount": flag(),
    "UserDefined": text(4),
    "NonStockedLine": flag(),
    "NsProductClass": code(20),
    "NsUnitCost": number(10, 5),
    "UnitMass": number(12, 6),
    "UnitVolume": number(12, 6),
    "StockTaxCode": code(3),
    "StockNotTaxable": flag(),
    "StockFstCode": code(3),
    "StockNotFstTaxable": flag(),
    "AllocationAction": flag("F", "B", "A"),
    "ReserveStock": flag(),
    "DeliveryLoad": text(20),
}

COMMENT_LINE: Section = {
    **_LINE,
    "Comment": text(100),
    "AttachedLineNumber": number(4, 0),
    "CommentType": flag("I", "O"),
}

MISC_CHARGE_LINE: Section = {
    **_LINE,
    "MiscChargeValue": number(12, 2),
    "MiscChargeCost": number(12, 2),
    "MiscQuantity": number(12, 6),
    "MiscProductClass": code(20),
    "MiscTaxCode": code(3),
    "MiscNotTaxable": flag(),
    "MiscFstCode": code(3),
    "MiscNotFstTaxable": flag(),
    "MiscDescription": text(100),
    "MiscChargeCode": code(6),
    "MiscTariffCode": code(20),
    "MiscSvcChargePrice": number(12, 2),
}

FREIGHT_LINE: Section = {
    **_LINE,
    "FreightValue": number(12, 2),
    "FreightCost": number(12, 2),
    "FreightTaxCode": code(3),
    "FreightNotTaxable": flag(),
    "FreightFstCode": code(3),
    "FreightNotFstTaxable": flag(),
}

ORDER_LINES: Mapping[str, Section] = {
    "StockLine": STOCK_LINE,
    "CommentLine": COMMENT_LINE,
    "MiscChargeLine": MISC_CHARGE_LINE,
    "FreightLine": FREIGHT_LINE,
}
"""The line lists of SORTOI's OrderDetails in the order of its schema."""

CUSTOMER: Section = {
    "Customer": code(15),
    "Name": text(50),
    "Salesperson": code(20),
    "Branch": code(10),
    "TermsCode": code(2),
    "ShortName": text(20),
    "CreditStatus": code(1, *"0123456789"),
    "CreditLimit": number(12, 0),
    "CreditCheckFlag": code(1, "T", "L", "B", "N"),
    "PriceCode": code(10),
    "CustomerClass": code(10),
    "BalanceType": flag("I", "B"),
    "Area": code(10),
    "TaxStatus": flag("E", "N", "O"),
    "TaxExemptNumber": text(30),
    "Telephone": text(20),
    "Contact": text(50),
    "Fax": text(20),
    "Currency": code(3),
    "UserField1": text(10),
    "UserField2": number(12, 5),
    "StatementReqd": flag(),
    "BackOrdReqd": flag("Y", "N", "R"),
    "ShippingInstrs": text(50),
    "ShippingInstrsCod": code(6),
    "StateCode": code(10),
    "DateCustAdded": DATE,
    "Nationality": code(3),
    "CustomerOnHold": flag(),
    "Email": text(255),
    "SoldToAddr1": _ADDRESS,
    "SoldToAddr2": _ADDRESS,
    "SoldToAddr3": _ADDRESS,
    "SoldToAddr3Loc": _ADDRESS,
    "SoldToAddr4": _ADDRESS,
    "SoldToAddr5": _ADDRESS,
    "SoldPostalCode": text(10, keeps_blank=True),
    "ShipToAddr1": _ADDRESS,
    "ShipToAddr2": _ADDRESS,
    "ShipToAddr3": _ADDRESS,
    "ShipToAddr3Loc": _ADDRESS,
    "ShipToAddr4": _ADDRESS,
    "ShipToAddr5": _ADDRESS,
    "ShipPostalCode": text(10, keeps_blank=True),
    "State": code(2),
    "CountyZip": code(5),
    "City": code(3),
    "PoNumberMandatory": flag(),
    "CompanyTaxNumber": text(15),
    "SalesWarehouse": code(10),
}
"""ARSSCS's Item in the order of its schema, with the key `Customer` beside the fields."""

CUSTOMER_ONLY_SENT = ("StateCode", "StatementReqd", "PoNumberMandatory", "DateCustAdded")
"""Elements of ARSSCS whose columns in ArCustomer no source names, and the date that only a create sets: not read."""

STOCK_CODE: Section = {
    "StockCode": code(30),
    "Description": text(50),
    "LongDesc": text(100),
    "AlternateKey1": text(20),
    "AlternateKey2": text(20),
    "StockUom": code(10),
    "AlternateUom": code(10),
    "OtherUom": code(10),
    "ConvFactAltUom": number(12, 6),
    "ConvMulDiv": flag("M", "D"),
    "Mass": number(18, 6),
    "Volume": number(18, 6),
    "Decimals": number(1, 0),
    "ProductClass": code(20),
    "TaxCode": code(3),
    "KitType": flag("N", "F", "K", "S"),
    "PartCategory": code(1),
    "WarehouseToUse": code(10),
    "StockOnHold": code(1),
    "Supplier": code(15),
    "ListPriceCode": code(10),
}
"""Columns of InvMaster (syspro-objects.md sections 4.1 and 10)."""

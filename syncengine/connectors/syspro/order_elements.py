"""The elements of SORTOI's document: names, order, widths.

Facts: syspro-transport.md sections 9.2 and 9.3, syspro-objects.md section 14 item 7. DeliveryLoad is left out: it holds
elements of its own, for sites with Load Planning.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.connectors.syspro.elements import ADDRESS, DATE, Section, code, flag, number, text

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
    "ShipAddress1": ADDRESS,
    "ShipAddress2": ADDRESS,
    "ShipAddress3": ADDRESS,
    "ShipAddress3Locality": ADDRESS,
    "ShipAddress4": ADDRESS,
    "ShipAddress5": ADDRESS,
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
    "GstExemptNumber": text(15),
    "GstExemptionStatus": flag("E", "N"),
    "CompanyTaxNumber": text(15),
    "CancelReasonCode": code(6),
}
"""SORTOI's OrderHeader in the order of its schema."""

ORDER_SOURCE = code(6)
"""`OrderSourceCode` where a gateway takes it as it is; the width is that of the column SorMaster.SalesOrderSource."""

SHIP_ADDRESS = tuple(name for name, element in ORDER_HEADER.items() if element.keeps_blank)

_LINE: Section = {"CustomerPoLine": number(4, 0), "LineActionType": flag("A", "C", "D")}
_CANCELLABLE_LINE: Section = {**_LINE, "LineCancelCode": code(6)}

STOCK_LINE: Section = {
    **_CANCELLABLE_LINE,
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
    "NonStockedLine": flag("Y"),
    "NsProductClass": code(20),
    "NsUnitCost": number(10, 5),
    "UnitMass": number(12, 6),
    "UnitVolume": number(12, 6),
    "StockTaxCode": code(3),
    "StockNotTaxable": flag("Y"),
    "StockFstCode": code(3),
    "StockNotFstTaxable": flag("Y"),
    "AllocationAction": flag("F", "B", "A"),
    "ReserveStock": flag(),
}

COMMENT_LINE: Section = {
    **_LINE,
    "Comment": text(100),
    "AttachedLineNumber": number(4, 0),
    "CommentType": flag("I", "O"),
}

MISC_CHARGE_LINE: Section = {
    **_CANCELLABLE_LINE,
    "MiscChargeValue": number(12, 2),
    "MiscChargeCost": number(12, 2),
    "MiscQuantity": number(12, 6),
    "MiscProductClass": code(20),
    "MiscTaxCode": code(3),
    "MiscNotTaxable": flag("Y"),
    "MiscFstCode": code(3),
    "MiscNotFstTaxable": flag("Y"),
    "MiscDescription": text(100),
    "MiscChargeCode": code(6),
    "MiscTariffCode": code(20),
    "MiscSvcChargePrice": number(10, 5),
}

FREIGHT_LINE: Section = {
    **_CANCELLABLE_LINE,
    "FreightValue": number(12, 2),
    "FreightCost": number(12, 2),
    "FreightTaxCode": code(3),
    "FreightNotTaxable": flag("Y"),
    "FreightFstCode": code(3),
    "FreightNotFstTaxable": flag("Y"),
}

ORDER_LINES: Mapping[str, Section] = {
    "StockLine": STOCK_LINE,
    "CommentLine": COMMENT_LINE,
    "MiscChargeLine": MISC_CHARGE_LINE,
    "FreightLine": FREIGHT_LINE,
}
"""The line lists of SORTOI's OrderDetails in the order of its schema."""

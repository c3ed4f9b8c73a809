"""SORTOI's elements, with lengths of versions 7 and 8 (and of 6.1 where they differ), and its parameters' defaults.

Source: syspro-transport.md sections 9.1 to 9.3, syspro-objects.md section 14 item 7. Other elements are ignored; DeliveryLoad,
which holds elements of its own, is for sites with Load Planning.
"""

from __future__ import annotations

from syncengine.sandbox.syspro.xmlin import DAY, Field, choice, num, txt

#: Parameter to default; a blank default means that a setting or a rule decides.
PARAMETERS = {
    "Process": "VALIDATE",  # the schema's default: what leaves it out imports nothing
    "CustomerToUse": "",
    "WarehouseListToUse": "",
    "UseCustomerSalesWarehouse": "N",
    "TypeOfOrder": "ORD",
    "OrderStatus": "1",
    "AllowNonStockItems": "N",
    "AcceptOrdersIfNoCredit": "N",
    "AcceptEarlierShipDate": "N",
    "AllowDuplicateOrderNumbers": "N",
    "CheckForCustomerPoNumbers": "Y",
    "AlwaysUsePriceEntered": "N",
    "AllowZeroPrice": "N",
    "AllowChangeToZeroPrice": "N",
    "UseStockDescSupplied": "N",
    "AllocationAction": "",
    "IgnoreWarnings": "N",
    "WarnIfCustomerOnHold": "N",
    "AllowManualOrderNumberToBeUsed": "N",
    "AllowBackOrderForNegativeMerchLine": "N",
    "ValidateShippingInstrs": "N",
}
#: Parameters that hold codes, whose case counts.
CODES = ("CustomerToUse", "WarehouseListToUse")
#: The values that a parameter may have; anything else fails the call.
ALLOWED = {
    "Process": ("VALIDATE", "IMPORT"),
    "TypeOfOrder": ("ORD", "FWD", "SCH", "IBT", "BIL"),
    "OrderStatus": ("1", "4", "8", "S"),
    "AllowNonStockItems": ("N", "Y", "S"),
    "AllowDuplicateOrderNumbers": ("N", "Y", "A"),
    "CheckForCustomerPoNumbers": ("Y", "N", "C"),
    "AllocationAction": ("", "F", "B", "A"),
    "IgnoreWarnings": ("N", "Y", "W"),
}

ADDRESS = ("ShipAddress1", "ShipAddress2", "ShipAddress3", "ShipAddress3Locality", "ShipAddress4", "ShipAddress5")

HEADER: dict[str, Field] = {
    "CustomerPoNumber": txt(30),
    "OrderActionType": choice("ACD"),
    "NewCustomerPoNumber": txt(30),
    "Customer": txt(15, old=7),
    "OrderDate": DAY,
    "InvoiceTerms": txt(2),
    "Currency": txt(3),
    "ShippingInstrs": txt(50, old=30),
    "ShippingInstrsCode": txt(6),
    "CustomerName": txt(50),
    **{name: txt(40) for name in ADDRESS},
    "ShipPostalCode": txt(10, old=9),
    "Email": txt(255),
    **{f"OrderDiscPercent{number}": num(2, 2) for number in (1, 2, 3)},
    "Warehouse": txt(10),
    "SpecialInstrs": txt(30),  # 50 in the schema, 30 in both known databases: the stricter
    "SalesOrder": txt(20),
    "OrderType": txt(2),
    "MultiShipCode": txt(5),
    "ShipAddressPerLine": choice("YN"),
    "AlternateReference": txt(10),
    "Salesperson": txt(20),
    "Branch": txt(10),
    "Area": txt(10),
    "RequestedShipDate": DAY,
    "InvoiceNumberEntered": txt(20),
    "InvoiceDateEntered": DAY,
    "OrderComments": txt(400),
    "Nationality": txt(3),
    "DeliveryTerms": txt(3),
    "ShippingLocation": txt(10),
    "TransactionNature": txt(3),
    "TransportMode": txt(2),
    "ProcessFlag": txt(1),
    "TaxExemptNumber": txt(30),
    "TaxExemptionStatus": choice("ENO"),
    "GstExemptNumber": txt(15),
    "GstExemptionStatus": choice("EN"),
    "CompanyTaxNumber": txt(15),
    "CancelReasonCode": txt(6),
}
REPEATED = ("OrderComments",)

_LINE: dict[str, Field] = {"CustomerPoLine": num(4), "LineActionType": choice("ACD")}
_CANCELLABLE: dict[str, Field] = _LINE | {"LineCancelCode": txt(6)}

STOCK_LINE: dict[str, Field] = _CANCELLABLE | {
    "StockCode": txt(30),
    "StockDescription": txt(50),
    "Warehouse": txt(10),
    "CustomersPartNumber": txt(30),
    "OrderQty": num(12, 6),
    "OrderUom": txt(10),
    "Price": num(10, 5),
    "PriceUom": txt(10),
    "PriceCode": txt(10),
    "AlwaysUsePriceEntered": choice("YN"),
    "Units": num(12, 6),
    "Pieces": num(12, 6),
    "ProductClass": txt(20),
    **{f"LineDiscPercent{number}": num(3, 2) for number in (1, 2, 3)},
    "AlwaysUseDiscountEntered": choice("YN"),
    "CustRequestDate": DAY,
    "CommissionCode": txt(1),
    "LineShipDate": DAY,
    "LineDiscValue": num(12, 2),
    "LineDiscValFlag": choice("UV"),
    "OverrideCalculatedDiscount": choice("YN"),
    "UserDefined": txt(4),
    "NonStockedLine": choice("Y"),
    "NsProductClass": txt(20),
    "NsUnitCost": num(10, 5),
    "UnitMass": num(12, 6),
    "UnitVolume": num(12, 6),
    "StockTaxCode": txt(3),
    "StockNotTaxable": choice("Y"),
    "StockFstCode": txt(3),
    "StockNotFstTaxable": choice("Y"),
    "AllocationAction": choice("FBA"),
    "ReserveStock": choice("YN"),
}
COMMENT_LINE: dict[str, Field] = _LINE | {
    "Comment": txt(100, old=45),
    "AttachedLineNumber": num(4),
    "CommentType": choice("IO"),
}
MISC_LINE: dict[str, Field] = _CANCELLABLE | {
    "MiscChargeValue": num(12, 2),
    "MiscChargeCost": num(12, 2),
    "MiscQuantity": num(12, 6),
    "MiscProductClass": txt(20),
    "MiscTaxCode": txt(3),
    "MiscNotTaxable": choice("Y"),
    "MiscFstCode": txt(3),
    "MiscNotFstTaxable": choice("Y"),
    "MiscDescription": txt(100),
    "MiscChargeCode": txt(6),
    "MiscTariffCode": txt(20),
    "MiscSvcChargePrice": num(10, 5),
}
FREIGHT_LINE: dict[str, Field] = _CANCELLABLE | {
    "FreightValue": num(12, 2),
    "FreightCost": num(12, 2),
    "FreightTaxCode": txt(3),
    "FreightNotTaxable": choice("Y"),
    "FreightFstCode": txt(3),
    "FreightNotFstTaxable": choice("Y"),
}
LINES = {
    "StockLine": STOCK_LINE,
    "CommentLine": COMMENT_LINE,
    "MiscChargeLine": MISC_LINE,
    "FreightLine": FREIGHT_LINE,
}
#: Line element to line types of SorDetail.
LINE_TYPES = {"StockLine": "17", "CommentLine": "6", "MiscChargeLine": "5", "FreightLine": "4"}

"""The form of recorded replies, as facts: element names in their order, and how values are written.

Forms: `text` (also blank), `number:WIDTH.PLACES` (padded to WIDTH), `date`, `null date` (0000-00-00), `group`.
Sources: syspro-transport.md and syspro-objects.md section 15, key WILD (SYSPRO 7.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

SORQRY_HEADER = """
SalesOrder DocumentType DocumentTypeDesc InterBranchTransfer InterWhSale SourceWarehouse TargetWarehouse GtrReference Customer
CustomerName TaxStatusCode TaxStatus GSTTaxStatusCode GSTTaxStatus EUFlag EUFlagDesc SoldToName SoldAddr1 SoldAddr2 SoldAddr3
SoldAddr3Locality SoldAddr4 SoldAddr5 SoldPostalCode SoldGpsLat=number:10.6 SoldGpsLong=number:11.6 Salesperson
ScheduledOrdFlag DiscPct1=number:4.2 DiscPct2=number:4.2 DiscPct3=number:4.2 Commissions=group SALSLS:Name OrderStatus
OrderStatusDesc CustomerPoNumber OrderDate=date GITReference ReqShipDate=date ShippingInstrs ShippingInstrsCod SpecialInstrs
InvTermsOverride DeliveryNote LastDelNote TimeDelPrtedHh=number:2.0 TimeDelPrtedMm=number:2.0 LastInvoice DateLastInvPrt
TimeInvPrtedHh=number:2.0 TimeInvPrtedMm=number:2.0 TBLART:Description Branch SALBRN:Description EntInvoice OrderType Area
SALARE:Description TaxExemptNumber GstExemptNum Currency TBLCUR:Description ShipAddress1 ShipAddress2 ShipAddress3
ShipAddress3Locality ShipAddress4 ShipAddress5 ShipPostalCode ShipGpsLat=number:10.6 ShipGpsLong=number:11.6 ShipComplete
Email FixExchangeRate ExchangeRate=number:13.6 Edited_ExchangeRate=number:8.6 MulDiv ConsolidatedOrder GstDeduction
CreditedInvDate Job SerialisedFlag CounterSalesFlag Nationality DeliveryTerms ShippingLocation
TransactionNature=number:3.0 TransportMode=number:2.0 ProcessFlag=number:1.0 JobsExistFlag AlternateKey HierarchyFlag
DepositFlag EdiSource MultShipCode CompanyTaxNo LastOperator Operator State CountyZip ExtendedTaxCode WebCreated Quote
DispatchesMade LiveDispExist NumDispatches=number:1.0 IncludeInMrp HeaderText HeaderNotes
"""
COMMISSIONS = """
Salesperson CommissionSales1=number:4.2 Edited_CommissionSales1=number:4.2 Salesperson2 CommissionSales2=number:4.2
Edited_CommissionSales2=number:4.2 Salesperson3 CommissionSales3=number:4.2 Edited_CommissionSales3=number:4.2 Salesperson4
CommissionSales4=number:4.2 Edited_CommissionSales4=number:4.2
"""
COMFCH_INVMASTER = """
StockCode Description LongDesc AlternateKey1 AlternateKey2 EccUser StockUom AlternateUom OtherUom ConvFactAltUom=number:13.6
ConvMulDiv ConvFactOthUom=number:13.6 MulDiv Mass=number:19.6 Volume=number:19.6 Decimals=number:1.0 PriceCategory PriceMethod
Supplier CycleCount=number:2.0 ProductClass TaxCode OtherTaxCode ListPriceCode SerialMethod InterfaceFlag KitType
LowLevelCode=number:2.0 Buyer Planner TraceableType MpsFlag BulkIssueFlag AbcClass LeadTime=number:10.0 StockMovementReq
ClearingFlag SupercessionDate=null_date AbcAnalysisReq AbcCostingReq CostUom MinPricePct=number:6.2 LabourCost=number:16.5
MaterialCost=number:16.5 FixOverhead=number:16.5 VariableOverhead=number:16.5 PartCategory DrawOfficeNum WarehouseToUse
BuyingRule SpecificGravity=number:7.4 ImplosionNum=number:5.0 Ebq=number:19.6 ComponentCount=number:5.0
FixTimePeriod=number:2.0 PanSize=number:19.6 DockToStock=number:10.0 OutputMassFlag ShelfLife=number:4.0 Version Release
DemandTimeFence=number:10.0 MakeToOrderFlag ManufLeadTime=number:10.0 GrossReqRule PercentageYield=number:3.0
AbcPreProd=number:16.5 AbcManufacturing=number:16.5 AbcSales=number:16.5 AbcCumPreProd=number:16.5 AbcCumManuf=number:16.5
WipCtlGlCode ResourceCode GstTaxCode PrcInclGst SerEntryAtSale StpSelection UserField1 UserField2=number:18.5 UserField3
UserField4 UserField5 TariffCode SupplementaryUnit EbqPan StdLandedCost=number:16.5 LctRequired StdLctRoute IssMultLotsFlag
InclInStrValid StdLabCostsBill=number:16.5 PhantomIfComp CountryOfOrigin StockOnHold StockOnHoldReason EccFlag StockAndAltUm
AltUnitChar=number:1.0 JobsOnHold JobHoldAllocs PurchOnHold SalesOnHold MaintOnHold BatchBill BlanketPoExists
CallOffBpoExists DistWarehouseToUse JobClassification SubContractCost=number:16.5 DateStkAdded=date InspectionFlag
SerialPrefix SerialSuffix ReturnableItem ProductGroup PriceType Basis ManualCostFlag ManufactureUom ConvFactMuM=number:13.6
ManMulDiv LookAheadWin=number:10.0 LoadingFactor=number:10.3 SupplUnitCode StorageSecurity StorageHazard StorageCondition
ProductShelfLife=number:4.0 InternalShelfLife=number:4.0 AltMethodFlag AltSisoFlag AltReductionFlag WithTaxExpenseType
"""
INVQRY_QUANTITIES = """
QtyOnHand AvailableQty QtyOnOrder QtyInInspection MinimumQty MaximumQty QtyOnBackOrder QtyAllocated QtyInTransit
QtyAllocatedWip FutureFree QuantityDispatchNotInvoiced
"""
"""Each is `number:20.6`, with a twin `Edited_`."""


def forms(recorded: str) -> list[tuple[str, str]]:
    """Name and form of each element of a recording."""
    return [(name, form or "text") for name, _, form in (entry.partition("=") for entry in recorded.split())]


def form(text: str) -> str:
    """How a value is written."""
    if text == "0000-00-00":
        return "null_date"
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return "date"
    if found := re.fullmatch(r" *-?\d+(?:\.(\d+))?", text):
        return f"number:{len(text)}.{len(found[1] or '')}"
    return "text"


def without_width(written: str) -> str:
    """A form without its padding, which the shortened examples do not keep."""
    return re.sub(r":\d+\.", ":.", written)


def leaves(element: Element, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of each element without children; what repeats is there once for each."""
    for child in element:
        inner = f"{path}/{child.tag}"
        if len(child):
            yield from leaves(child, inner)
        else:
            yield inner, child.text or ""

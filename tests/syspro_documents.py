"""What SYSPRO's documents may look like: element tables and rules, and a validator that knows nothing of the connector.

Written from the references alone: syspro-transport.md sections 9.1 to 9.3, 8 and 10.3, syspro-objects.md sections 3.1 and 14
item 7; names and order from the vendor's 7.0 schemas, lengths of SYSPRO 7 and 8 (the database's where it is narrower).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from xml.etree.ElementTree import Element

import defusedxml.ElementTree as SafeTree

_ADDRESS = (
    "ShipAddress1 40, ShipAddress2 40, ShipAddress3 40, ShipAddress3Locality 40, ShipAddress4 40, ShipAddress5 40"
)
_PARAMETERS = """
InBoxMsgReqd N|Y, Process VALIDATE|IMPORT, CustomerToUse 15, WarehouseListToUse 100, UseCustomerSalesWarehouse N|Y,
TypeOfOrder ORD|FWD|SCH|IBT|BIL, OrderStatus 1|4|8|S, MinimumDaysToShip 3.0, AllowNonStockItems N|Y|S,
AcceptOrdersIfNoCredit N|Y, AcceptEarlierShipDate N|Y, OperatorToInform 20, CreditFailMessage 100, ValidProductClassList 100,
ShipFromDefaultBin N|Y, AllowDuplicateOrderNumbers N|Y|A, CheckForCustomerPoNumbers N|Y|C, AllowInvoiceInformationEntry N|Y,
AlwaysUsePriceEntered N|Y, AllowZeroPrice N|Y, AllowChangeToZeroPrice N|Y, AddStockSalesOrderText N|Y,
AddDangerousGoodsText N|Y, UseStockDescSupplied N|Y, ValidateShippingInstrs N|Y, AllocationAction F|B|A, IgnoreWarnings N|Y|W,
AddAttachedServiceCharges N|Y|M, StatusInProcess N|Y, StatusInProcessResponse N|Y, WarnIfCustomerOnHold N|Y,
AcceptKitOptional N|Y|E, AllowBackOrderForPartialHold N|Y, AllowBackOrderForSuperseded N|Y, OverrideCustomerBackOrder N|Y,
UseMasterAccountForCustomerPartNo N|A|C, ApplyLeadTimeCalculation N|Y, ApplyParentDiscountToComponents N|Y,
AllowManualOrderNumberToBeUsed N|Y, ReserveStock N|Y, ReserveStockRequestAllocs N|Y, AllowBackOrderForNegativeMerchLine N|Y,
PutEntireQuantityOnNewLoadWhenChanged N|Y
"""
_HEADER = f"""
CustomerPoNumber 30, OrderActionType A|C|D, NewCustomerPoNumber 30, Supplier 15, Customer 15, OrderDate date,
InvoiceTerms 2, Currency 3, ShippingInstrs 50, ShippingInstrsCode 6, CustomerName 50, {_ADDRESS}, ShipPostalCode 10,
ShipGpsLat 2.6, ShipGpsLong 3.6, LanguageCode 2, Email 255, OrderDiscPercent1 2.2, OrderDiscPercent2 2.2, OrderDiscPercent3 2.2,
Warehouse 10, SpecialInstrs 30, SalesOrder 20, OrderType 2, MultiShipCode 5, ShipAddressPerLine N|Y, AlternateReference 10,
Salesperson 20, Branch 10, Area 10, RequestedShipDate date, InvoiceNumberEntered 20, InvoiceDateEntered date,
OrderComments 400 *, Nationality 3, DeliveryTerms 3, ShippingLocation 10, TransactionNature 3, TransportMode 2, ProcessFlag 1,
TaxExemptNumber 30, TaxExemptionStatus E|N|O, GstExemptNumber 15, GstExemptionStatus E|N, CompanyTaxNumber 15,
CancelReasonCode 6, DocumentFormat 1, State 2, CountyZip 5, City 3
"""
_STOCK = """
CustomerPoLine 4.0, LineActionType A|C|D, LineCancelCode 6, StockCode 30, StockDescription 50, Warehouse 10,
CustomersPartNumber 30, OrderQty 12.6, OrderUom 10, Price 10.5, PriceUom 10, PriceCode 10, AlwaysUsePriceEntered N|Y,
Units 12.6, Pieces 12.6, ProductClass 20, LineDiscPercent1 3.2, LineDiscPercent2 3.2, LineDiscPercent3 3.2,
AlwaysUseDiscountEntered N|Y, CustRequestDate date, CommissionCode 1, LineShipDate date, LineDiscValue 12.2,
LineDiscValFlag V|U, OverrideCalculatedDiscount N|Y, UserDefined 4, NonStockedLine Y, NsProductClass 20, NsUnitCost 10.5,
UnitMass 12.6, UnitVolume 12.6, StockTaxCode 3, StockNotTaxable Y, StockFstCode 3, StockNotFstTaxable Y,
AllocationAction F|B|A, ReserveStock N|Y
"""
_COMMENT = "CustomerPoLine 4.0 !, LineActionType A|C|D, Comment 100 !, AttachedLineNumber 4.0, CommentType I|O"
_CHARGE = """
CustomerPoLine 4.0 !, LineActionType A|C|D, LineCancelCode 6, MiscChargeValue 12.2, MiscChargeCost 12.2, MiscQuantity 12.6,
MiscProductClass 20, MiscTaxCode 3, MiscNotTaxable Y, MiscFstCode 3, MiscNotFstTaxable Y, MiscDescription 100,
MiscChargeCode 6, MiscTariffCode 20, MiscSvcChargePrice 10.5
"""
_FREIGHT = """
CustomerPoLine 4.0 !, LineActionType A|C|D, LineCancelCode 6, FreightValue 12.2, FreightCost 12.2, FreightTaxCode 3,
FreightNotTaxable Y, FreightFstCode 3, FreightNotFstTaxable Y
"""
_CANCEL_PARAMETERS = """
IgnoreWarnings N|Y|W, ApplyIfEntireDocumentValid N|Y, ValidateOnly N|Y, CancelAttachedComments N|Y
"""
_CANCEL = "SalesOrder 20 !, SalesOrderLine 4.0, MarkLineComplete N|Y, CancelReasonCode 6"
_SETUP_PARAMETERS = """
IgnoreWarnings N|Y|W, ApplyIfEntireDocumentValid N|Y, ValidateOnly N|Y, UpdateFaxEmailOrders N|Y, UpdateFaxEmailReprint N|Y,
ValidateTaxExemptionNo N|Y
"""
_CUSTOMER = """
Name 50, Salesperson 20, Branch 10, TermsCode 2, ShortName 20, CreditStatus 0|1|2|3|4|5|6|7|8|9, CreditLimit 12.0,
CreditCheckFlag T|L|B|N, PriceCode 10, CustomerClass 10, BalanceType I|B, Area 10, TaxStatus E|N|O, TaxExemptNumber 30,
Telephone 20, Contact 50, Fax 20, Currency 3, UserField1 10, UserField2 12.5, StatementReqd Y|N, BackOrdReqd Y|N|R,
ShippingInstrs 50, ShippingInstrsCod 6, StateCode 3, DateCustAdded date, Nationality 3, CustomerOnHold N|Y, Email 255,
SoldToAddr1 40, SoldToAddr2 40, SoldToAddr3 40, SoldToAddr3Loc 40, SoldToAddr4 40, SoldToAddr5 40, SoldPostalCode 10,
ShipToAddr1 40, ShipToAddr2 40, ShipToAddr3 40, ShipToAddr3Loc 40, ShipToAddr4 40, ShipToAddr5 40, ShipPostalCode 10,
State 2, CountyZip 5, City 3, PoNumberMandatory N|Y, CompanyTaxNumber 15, SalesWarehouse 10
"""
_LINE_OPTIONS = "StockedLines NonStockedLines FreightLines MiscLines CommentLines CompletedLines Serials Lots Bins"
_MORE_OPTIONS = "AttachedItems CustomForms DetailLineCustomForms Values"
_QUERY_OPTION = ", ".join(f"Include{name} N|Y" for name in f"{_LINE_OPTIONS} {_MORE_OPTIONS}".split())
_EXPRESSION = """
AndOr And|Or, OpenBracket (|((|(((, Column 30 !, Condition GT|GE|LT|LE|EQ|NE|LIKE !, Value 100, ColumnName 30,
CloseBracket )|))|)))
"""


@dataclass(frozen=True)
class Rule:
    """What one element may hold. `length` is 0 where it is not a text."""

    length: int = 0
    digits: tuple[int, int] | None = None
    is_date: bool = False
    choices: tuple[str, ...] = ()
    repeats: bool = False
    mandatory: bool = False

    def complaint(self, text: str) -> str:
        """What is wrong with a text; empty for nothing."""
        if self.is_date:
            return "" if _is_date(text) else f"{text!r} is not CCYY-MM-DD"
        if self.choices:
            return "" if text in self.choices else f"{text!r} is none of {self.choices}"
        if self.digits is not None:
            return "" if _is_number(text, *self.digits) else f"{text!r} is not a number of {self.digits}"
        return "" if len(text) <= self.length else f"{text!r} has {len(text)} characters, {self.length} are allowed"


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_number(text: str, digits: int, places: int) -> bool:
    found = re.fullmatch(r"-?(\d+)(?:\.(\d+))?", text)
    return found is not None and len(found[1].lstrip("0")) <= digits and len(found[2] or "") <= places


def _table(text: str) -> dict[str, Rule]:
    """`Name 30`, `Name 12.6`, `Name date`, `Name Y|N`; `*` it repeats, `!` it is mandatory."""
    table = {}
    for entry in text.split(","):
        name, kind, *marks = entry.split()
        given = {"repeats": "*" in marks, "mandatory": "!" in marks}
        if kind == "date":
            table[name] = Rule(is_date=True, **given)
        elif re.fullmatch(r"\d+\.\d+", kind):
            digits, places = kind.split(".")
            table[name] = Rule(digits=(int(digits), int(places)), **given)
        elif kind.isdigit() and int(kind) > 0 and "|" not in entry:
            table[name] = Rule(length=int(kind), **given)
        else:
            table[name] = Rule(choices=tuple(kind.split("|")), **given)
    return table


LINES = {
    "StockLine": _table(_STOCK),
    "CommentLine": _table(_COMMENT),
    "MiscChargeLine": _table(_CHARGE),
    "FreightLine": _table(_FREIGHT),
}
HEADER, CUSTOMER = _table(_HEADER), _table(_CUSTOMER)
_BLANKABLE = {*(entry.split()[0] for entry in _ADDRESS.split(",")), "ShipPostalCode"}
_KEY = {"Customer": Rule(length=15, mandatory=True)}


def complaints(business_object: str, parameters: str, document: str) -> list[str]:
    """What is wrong with the two documents of a call; empty for nothing."""
    check = {"SORTOI": _sortoi, "SORTOX": _sortox, "ARSSCS": _arsscs, "SORQRY": _sorqry, "COMFND": _comfnd}
    found = [*_characters(document)]
    if parameters:
        found += _parameters(business_object, SafeTree.fromstring(parameters))
    return [*found, *check[business_object](SafeTree.fromstring(document))]


def _characters(document: str) -> Iterator[str]:
    try:
        document.encode("cp1252")
    except UnicodeEncodeError as error:
        yield f"{document[error.start]!r} is outside Windows-1252"


def _parameters(business_object: str, root: Element) -> Iterator[str]:
    tables = {"SORTOI": _PARAMETERS, "SORTOX": _CANCEL_PARAMETERS, "ARSSCS": _SETUP_PARAMETERS}
    roots = {"SORTOI": "SalesOrders", "SORTOX": "PostSalesOrderCancel", "ARSSCS": "SetupArCustomer"}
    if root.tag != roots[business_object] or [child.tag for child in root] != ["Parameters"]:
        yield f"{business_object}: the parameters' document is {root.tag}/{[child.tag for child in root]}"
    yield from _section(root[0], _table(tables[business_object]))


def _section(section: Element, table: Mapping[str, Rule], *, blankable: bool = False) -> Iterator[str]:
    """Unknown, repeated and misplaced elements, and wrong values, of one part of a document."""
    names = [str(child.tag) for child in section]
    known = [name for name in names if name in table]
    for name in names:
        if name not in table:
            yield f"{section.tag}: {name} does not exist"
    for name in {name for name in known if known.count(name) > 1 and not table[name].repeats}:
        yield f"{section.tag}: {name} is there twice"
    if known != sorted(known, key=list(table).index):
        yield f"{section.tag}: the order is {known}"
    for name, rule in table.items():
        if rule.mandatory and not section.findtext(name):
            yield f"{section.tag}: {name} is missing"
    for child in section:
        text = child.text or ""
        is_blank = blankable and text == "{blank}" and child.tag in _BLANKABLE
        if child.tag in table and text and not is_blank and (complaint := table[str(child.tag)].complaint(text)):
            yield f"{section.tag}: {child.tag}: {complaint}"


def _sortoi(root: Element) -> Iterator[str]:
    if root.tag != "SalesOrders" or {child.tag for child in root} != {"Orders"}:
        yield f"SORTOI: the document is {root.tag}/{[child.tag for child in root]}"
    for orders in root.iter("Orders"):
        parts = [child.tag for child in orders]
        if parts not in (["OrderHeader"], ["OrderHeader", "OrderDetails"]):
            yield f"Orders: the parts are {parts}"
        action = orders.findtext("OrderHeader/OrderActionType") or ""
        yield from _order_header(orders[0], action)
        yield from _order_lines(orders.find("OrderDetails"), action)


def _order_header(header: Element, action: str) -> Iterator[str]:
    yield from _section(header, HEADER, blankable=action == "C")
    needed = {"A": ("CustomerPoNumber", "Customer"), "C": ("SalesOrder",), "D": ("SalesOrder",)}.get(
        action, ("OrderActionType",)
    )
    for name in needed:
        if not header.findtext(name):
            yield f"OrderHeader of {action}: {name} is missing"
    if action != "C" and header.find("NewCustomerPoNumber") is not None:
        yield f"OrderHeader of {action}: NewCustomerPoNumber is for a change"


def _order_lines(details: Element | None, action: str) -> Iterator[str]:
    if details is None:
        if action == "A":
            yield "an order without lines"
        return
    kinds = [str(line.tag) for line in details]
    if unknown := {*kinds} - {*LINES}:
        yield f"OrderDetails: {unknown} do not exist"
        return
    if kinds != sorted(kinds, key=list(LINES).index):
        yield f"OrderDetails: the order is {kinds}"
    for line in details:
        yield from _section(line, LINES[str(line.tag)])
        yield from _needed(line, action)


def _needed(line: Element, order_action: str) -> Iterator[str]:
    """Elements that depend on others: section 9.3, and syspro-objects.md section 14 item 7."""
    action = line.findtext("LineActionType") or ""
    if order_action in "AD" and action != "A":
        yield f"{line.tag}: {action} in an order of {order_action}"
    needed = ["LineActionType"]
    if action in ("C", "D"):
        needed += ["CustomerPoLine"]
    if line.tag == "StockLine" and action == "A":
        needed += ["StockCode", "OrderQty", "OrderUom"]
    if line.find("Price") is not None:
        needed += ["PriceUom"]
    if line.tag == "MiscChargeLine" and action != "D" and not line.findtext("MiscChargeCode"):
        needed += ["MiscProductClass"]
    for name in needed:
        if not line.findtext(name):
            yield f"{line.tag} of {action}: {name} is missing"


def _sortox(root: Element) -> Iterator[str]:
    if root.tag != "PostSalesOrderCancel" or [child.tag for child in root] != ["Item"]:
        yield f"SORTOX: the document is {root.tag}/{[child.tag for child in root]}"
    for item in root:
        yield from _section(item, _table(_CANCEL))


def _arsscs(root: Element) -> Iterator[str]:
    if root.tag != "SetupArCustomer" or {child.tag for child in root} != {"Item"}:
        yield f"ARSSCS: the document is {root.tag}/{[child.tag for child in root]}"
    for item in root:
        if item[0].tag != "Key":
            yield f"Item: {item[0].tag} comes before the Key"
        yield from _section(item[0], _KEY)
        fields = Element("Item")
        fields.extend(list(item)[1:])
        yield from _section(fields, CUSTOMER)


def _sorqry(root: Element) -> Iterator[str]:
    if [child.tag for child in root] != ["Key", "Option"]:
        yield f"SORQRY: the parts are {[child.tag for child in root]}"
    yield from _section(root[0], {"SalesOrder": Rule(length=20, mandatory=True), "Invoice": Rule(length=20)})
    yield from _section(root[1], {**_table(_QUERY_OPTION), "ReturnLineShipDate": Rule(choices=("N", "Y"))})


def _comfnd(root: Element) -> Iterator[str]:
    parts = [str(child.tag) for child in root]
    known = ["TableName", "ReturnRows", "Columns", "Where", "OrderBy"]
    if root.tag != "Query" or {*parts} - {*known} or parts != sorted(parts, key=known.index):
        yield f"COMFND: the parts are {parts}"
    for path in ("Columns", "OrderBy"):
        if {child.tag for child in root.find(path) or ()} != {"Column"}:
            yield f"COMFND: {path} has no Column, or something else"
    expressions = list(root.find("Where") or ())
    for expression in expressions:
        yield from _section(expression, _table(_EXPRESSION))
    opened = sum(len(each.findtext("OpenBracket") or "") for each in expressions)
    closed = sum(len(each.findtext("CloseBracket") or "") for each in expressions)
    if opened != closed:
        yield f"COMFND: {opened} brackets are opened, {closed} closed"

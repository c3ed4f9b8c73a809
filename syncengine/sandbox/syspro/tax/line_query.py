"""SORRSL (Transaction/Build): what SYSPRO would charge for a line, with its own price and tax.

Source: the vendor's schemas SORRSL.XSD and SORRSLOUT.XSD of 7.0. ReturnTaxInformation Y gives code, rate and amount;
ExemptStatus (E, N, O; blank: the customer's) and OrderPrice take part in the calculation. Where there is nothing to show an
element is empty. Assumed: the text of a refusal; the number formats; the rate is that of OrderDate; an exempt line shows
Taxable N, its code, and a TaxPercentage of 0.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, text_of
from syncengine.sandbox.syspro.tax import codes
from syncengine.sandbox.syspro.texts import EnetError
from syncengine.sandbox.syspro.xmlout import Writer, rounded

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_ITEM = ["StockCode", "Description", "LongDesc", "StockOnHold", "PartCategory", "TraceableType", "SerialMethod"]
_UNITS = ["StockUom", "AlternateUom", "OtherUom", "ConvFactAltUom", "ConvMulDiv", "ConvFactOthUom", "MulDiv"]
_LAST = [
    "LevelOfStockControl",
    "Version",
    "Release",
    "CustRetailPrice",
    "LastPricePaid1",
    "PriceUom1",
    "QtyPurch1",
    "Invoice1",
    "InvoiceDate1",
    "LastPricePaid2",
    "PriceUom2",
    "QtyPurch2",
]


class _Request:
    """A query's parameters, found and checked."""

    def __init__(self, company: Company, document: Element) -> None:
        self._given = {str(child.tag): (child.text or "").strip() for child in document.iterfind("Parameters/*")}
        stock = company.table("InvMaster").get(self.text("StockCode"))
        customer = company.customer(self.text("Customer"))
        if stock is None:
            raise EnetError(f"Stock code '{self.text('StockCode')}' not found")
        if customer is None:
            raise EnetError(f"Customer '{self.text('Customer')}' not found")
        self.stock, self.customer = stock, customer
        self.status = self.text("ExemptStatus") or text_of(customer, "TaxStatus") or codes.TAXABLE
        self.quantity = self.number("OrderQuantity", Decimal(1))
        self.unit = self.text("OrderUm") or text_of(stock, "StockUom")
        self.day = self._date("OrderDate", company.today())

    def text(self, name: str) -> str:
        return self._given.get(name, "")

    def number(self, name: str, default: Decimal) -> Decimal:
        text = self.text(name)
        if text and not _NUMBER.fullmatch(text):
            raise EnetError(f"XML element '{name}' must be numeric")
        return Decimal(text) if text else default

    def _date(self, name: str, default: date) -> date:
        try:
            return date.fromisoformat(self.text(name)) if self.text(name) else default
        except ValueError:
            raise EnetError(
                f"Date '{self.text(name)}' is invalid for XML element '{name}' it must be CCYY-MM-DD format"
            ) from None


def sorrsl(company: Company, session: Session, _method: str, _params: Element | None, document: Element) -> str:
    """One order line as SYSPRO would make it.

    Raises:
        EnetError: stock code or customer do not exist, or a value cannot be read.
    """
    request, writer = _Request(company, document), Writer(company.style(session))
    writer.put("Customer", request.customer["Customer"])
    writer.put("Name", request.customer["Name"])
    for name in _ITEM:
        writer.put(name, request.stock[name])
    writer.put("BackOrdReqd", request.customer["BackOrdReqd"])
    writer.put("KitType", request.stock["KitType"])
    for name, value in (("EccFlag", "N"), ("CostUom", request.unit), ("OutputMassFlag", "N")):
        writer.put(name, value)
    for name in _UNITS:
        writer.put(name, request.stock[name])
    _price_and_tax(company, writer, request)
    _rest(writer, request)
    return company.style(session).document("SoLine", writer.nodes)


def _price_and_tax(company: Company, writer: Writer, request: _Request) -> None:
    shown = request.text("ReturnTaxInformation").upper() == "Y"
    code = codes.own_code(
        company, request.stock, request.status, request.text("Area") or text_of(request.customer, "Area")
    )
    percent = _percent(company, request, code)
    units = booking.stocking_units(request.stock, request.unit) or Decimal(1)
    price = request.number("OrderPrice", _own_price(company, request))
    value = rounded(request.quantity * units * price, 2)
    writer.put("Taxable", "N" if request.status == codes.EXEMPT or (not code and not percent) else "Y")
    writer.put("TaxCode", code)
    if shown:
        writer.number("TaxPercentage", percent, 8, 2)
        writer.put("TaxInclusive", "N")
    for name, text in (("LineShipDate", request.day), ("IsItemSuperceded", "N"), ("SupercessionDate", None)):
        writer.put(name, text)
    for name in ("PriceBasedOnQty", "PriceBasedOnQtyUM"):
        writer.put(name)
    writer.number("CurrentPrice", price, 15, 5)
    writer.put("CurrentPriceUM", request.stock["StockUom"])
    writer.number("CurrentLineValue", value, 14, 2)
    if shown:
        writer.number("CurrentTaxValue", rounded(value * percent / 100, 2), 14, 2)
        writer.number("TaxBaseValue", value, 14, 2)


def _rest(writer: Writer, request: _Request) -> None:
    writer.put("DiscountValueFlag")
    for number in (1, 2, 3):
        writer.number(f"DiscountPct{number}", 0, 5, 2)
    for name in ("PriceInAlternateUM", "PriceInOtherUM"):
        writer.group(name, [])
    for name in ("GstTaxCode", "TariffCode", "SupplementaryUnit"):
        writer.put(name)
    for name in ("Volume", "Mass"):
        writer.quantity(name, amount_of(request.stock, name))
    writer.put("ProductClass", request.stock["ProductClass"])
    writer.put("StockAndAltUm", "N")
    for name in _LAST:
        writer.put(name)


def _percent(company: Company, request: _Request, code: str) -> Decimal:
    if request.status == codes.EXEMPT:
        return Decimal(0)
    if codes.system(company) in codes.BY_ADDRESS:
        postal_code = request.text("ShipPostalCode") or text_of(request.customer, "ShipPostalCode")
        return codes.percent_at(postal_code)
    return company.tax_rates.percent(code, request.day)


def _own_price(company: Company, request: _Request) -> Decimal:
    rate = company.table("TblCurrency").get(text_of(request.customer, "Currency"))
    listed = company.table("InvPrice").get(text_of(request.stock, "StockCode"), text_of(request.stock, "ListPriceCode"))
    return _in(amount_of(listed, "SellingPrice") if listed is not None else Decimal(0), rate)


def _in(amount: Decimal, currency: Row | None) -> Decimal:
    return rounded(amount * (amount_of(currency, "SellExchangeRate") if currency is not None else Decimal(1)), 5)

"""SORTOI: what added and changed lines share: quantity, discounts, tax code, price."""

from __future__ import annotations

from decimal import Decimal

from syncengine.sandbox.syspro.sortoi.draft import Draft, Options
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, integer_of, text_of
from syncengine.sandbox.syspro.xmlin import Section
from syncengine.sandbox.syspro.xmlout import rounded

ZERO = Decimal(0)
_PERCENTS = {"LineDiscPercent1": "MDiscPct1", "LineDiscPercent2": "MDiscPct2", "LineDiscPercent3": "MDiscPct3"}


def needed(section: Section, name: str) -> None:
    """Refuse a missing mandatory element, unless its value was refused already."""
    if not any(found.field == name for found in section.problems):
        section.refuse("100030", name, "{" + section.name + "}{" + name + "}")


def common(section: Section) -> Row:
    return {
        "MLineShipDate": section.day("LineShipDate"),
        "MCustRequestDat": section.day("CustRequestDate"),
        "MCusSupStkCode": section.text("CustomersPartNumber"),
        "MUserDef": section.text("UserDefined"),
        **_discounts(section),
    }


def _discounts(section: Section) -> Row:
    values: Row = {}
    for name, column in _PERCENTS.items():
        percent = section.amount(name)
        if percent is not None and percent > 100:
            section.refuse("bad_value", name, percent, name)
        elif percent is not None:
            values[column] = percent
    if (discount := section.amount("LineDiscValue")) is not None:
        values |= {"MDiscValue": discount, "MDiscValFlag": section.flag("LineDiscValFlag", "V")}
    return values


def needed_class(section: Section) -> None:
    """A charge needs its product class, unless a standard code brings one."""
    if not section.text("MiscProductClass") and not section.text("MiscChargeCode"):
        needed(section, "MiscProductClass")


def cancel_reason(company: Company, section: Section, name: str, otherwise: str = "") -> None:
    """The reason of a cancellation, where the site retains analysis details of what is cancelled; comments have none."""
    known = company.listed("syspro_cancel_reasons")
    if known and section.name != "CommentLine" and (section.text(name) or otherwise) not in known:
        section.refuse("cancel_reason", name, section.text(name) or otherwise)


def quantity(company: Company, options: Options, section: Section, stock: Row | None) -> Decimal | None:
    """OrderQty; a negative one where setup option and parameter allow it, to be placed on back order.

    What SYSPRO does with a negative line without the parameter is not public: refusing it is the stricter assumption.
    """
    ordered = section.amount("OrderQty")
    if ordered is None:
        needed(section, "OrderQty")
        return None
    if ordered == 0:
        section.refuse("bad_value", "OrderQty", ordered, "OrderQty")
        return None
    allowed = company.switches.on("syspro_negative_quantities") and options.on("AllowBackOrderForNegativeMerchLine")
    if ordered < 0 and not allowed:
        section.refuse("negative", "OrderQty", ordered)
        return None
    if stock is not None:
        places = integer_of(stock, "Decimals")
        if ordered != rounded(ordered, places):
            section.refuse("decimals", "OrderQty", ordered, places, stock["StockCode"])
            return None
    return ordered


def description(options: Options, section: Section, stock: Row) -> str:
    own = text_of(stock, "Description")
    return section.text("StockDescription") or own if options.on("UseStockDescSupplied") else own


def uses_entered_price(options: Options, section: Section) -> bool:
    """Whether the document's price is used: the line's flag, otherwise the parameter."""
    return (section.text("AlwaysUsePriceEntered") or options["AlwaysUsePriceEntered"]) == "Y"


def own_price(company: Company, draft: Draft, stock: Row, price_code: str) -> Decimal:
    """SYSPRO's own price of a stocking unit in the customer's currency: by price code, otherwise the list price."""
    customer = draft.customer or {}
    for code in (price_code, str(customer.get("PriceCode") or ""), text_of(stock, "ListPriceCode")):
        row = company.table("InvPrice").get(text_of(stock, "StockCode"), code) if code else None
        if row is not None:
            rate = exchange_rate(company, str(customer.get("Currency") or ""))
            return rounded(amount_of(row, "SellingPrice") * rate, 5)
    return ZERO


def exchange_rate(company: Company, currency: str) -> Decimal:
    """Units of a currency for 1 unit of the company's; 1 for its own."""
    row = company.table("TblCurrency").get(currency)
    return amount_of(row, "SellExchangeRate") if row is not None else Decimal(1)

"""SORTOI: the checks of existing lines, which a change replaces or cancels."""

from __future__ import annotations

from decimal import Decimal

from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.sortoi import fields, tax
from syncengine.sandbox.syspro.sortoi.draft import Draft, Line, Options
from syncengine.sandbox.syspro.sortoi.parts import (
    cancel_reason,
    common,
    needed,
    needed_class,
    quantity,
    uses_entered_price,
)
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, amount_of, integer_of, text_of
from syncengine.sandbox.syspro.xmlin import BLANK


def check(company: Company, options: Options, draft: Draft, line: Line) -> None:
    """C and D name the real SYSPRO line (section 9.3)."""
    section, order = line.section, draft.order
    if order is None:
        return
    number = section.amount("CustomerPoLine")
    if number is None:
        needed(section, "CustomerPoLine")
        return
    shown = company.shown(text_of(order, "SalesOrder"))
    line.existing = company.table("SorDetail").get(text_of(order, "SalesOrder"), f"{int(number):04d}")
    if line.existing is None:
        section.refuse("line", "CustomerPoLine", int(number), shown)
    elif text_of(line.existing, "LineType") not in fields.LINE_TYPES[line.kind]:
        section.refuse("line_type", "CustomerPoLine", int(number), shown)
    elif (code := section.text("StockCode")) and code != line.existing["MStockCode"]:
        section.refuse("line_stock", "StockCode", code, int(number), shown)
    elif line.existing["MCompleteFlag"] == "Y":
        section.refuse("status", "CustomerPoLine", shown, "line complete", "changed")
    elif line.action == "D":
        cancel_reason(company, section, "LineCancelCode", draft.header.text("CancelReasonCode"))
    elif line.action == "C":
        _changes(company, options, line, line.existing)
        _warn_of_back_order(company, draft, line, line.existing)


def _changes(company: Company, options: Options, line: Line, existing: Row) -> None:
    section = line.section
    stock = company.table("InvMaster").get(text_of(existing, "MStockCode"))
    if line.kind == "StockLine":
        _changed_stock(company, options, line, existing, stock)
        line.row |= tax.changed_stock(company, section, existing)
        return
    if line.kind == "CommentLine" and not section.text("Comment"):
        needed(section, "Comment")
    if line.kind == "MiscChargeLine" and company.switches.on("syspro_charge_class_on_change"):
        needed_class(section)
    renamed = {
        "Comment": "NComment",
        "CommentType": "NCommentType",
        "MiscDescription": "NComment",
        "MiscChargeValue": "NMscChargeValue",
        "MiscChargeCost": "NMscChargeCost",
        "MiscQuantity": "NMscChargeQty",
        "MiscProductClass": "NMscProductCls",
        "FreightValue": "NMscChargeValue",
        "FreightCost": "NMscChargeCost",
    }
    for name, column in renamed.items():
        if name in section.values:
            line.row[column] = "" if section.values[name] == BLANK else section.values[name]
    if line.kind != "CommentLine":
        line.row |= tax.changed_charge(company, section)


def _changed_stock(company: Company, options: Options, line: Line, existing: Row, stock: Row | None) -> None:
    """OrderUom is ignored, as the unit of an existing line cannot change (syspro-objects.md section 14 item 7)."""
    section = line.section
    if "OrderQty" in section.values or any(found.field == "OrderQty" for found in section.problems):
        ordered = quantity(company, options, section, stock)
        if ordered is not None:
            line.row["MOrderQty"] = ordered
    price = section.amount("Price")
    if price is not None and not section.text("PriceUom"):
        needed(section, "PriceUom")
    if price is not None and uses_entered_price(options, section):
        if price == 0 and not options.on("AllowChangeToZeroPrice"):
            section.refuse("zero_price", "Price", existing["MStockCode"])
        line.row |= {
            "MPrice": price,
            "MPriceUom": section.text("PriceUom"),
            "_price_ratio": _ratio(existing, line, stock),
        }
    if options.on("UseStockDescSupplied") and section.text("StockDescription"):
        line.row["MStockDes"] = section.text("StockDescription")
    line.row |= {column: value for column, value in common(section).items() if value not in (None, "")}


def _ratio(existing: Row, line: Line, stock: Row | None) -> Decimal:
    """Price units per order unit."""
    if stock is None:
        return Decimal(1)
    order_units = booking.stocking_units(stock, text_of(existing, "MOrderUom")) or Decimal(1)
    return order_units / (booking.stocking_units(stock, line.section.text("PriceUom")) or Decimal(1))


def _warn_of_back_order(company: Company, draft: Draft, line: Line, existing: Row) -> None:
    ordered = line.row.get("MOrderQty")
    if not isinstance(ordered, Decimal) or line.section.problems:
        return
    back = booking.quantities(company, existing, ordered, line.allocation)["MBackOrderQty"]
    if isinstance(back, Decimal) and back > amount_of(existing, "MBackOrderQty"):
        draft.has_back_orders = True
        number, code = integer_of(existing, "SalesOrderLine"), existing["MStockCode"]
        draft.warnings.append((line.section, f"Line {number:04d} for stock code '{code}' was placed on back order"))

"""SORTOI: the tax codes of added and changed lines, and of an order whose tax status changes.

The 7.0 schema of SORTOI: StockTaxCode and MiscTaxCode must be valid codes; without the setup option "allow changes to tax code
for stocked items" any entry in StockTaxCode, and StockNotTaxable Y on a stocked line, is rejected; a live site saw StockTaxCode
ignored (syspro-transport.md section 9.3). Charges, freight and non-stocked lines are outside that option.
Assumed: an ignored entry is not validated either; FreightTaxCode follows MiscTaxCode; a line that is not taxable keeps no code;
a new tax status gives stocked lines the code that goes with it, unless their code was entered. A refusal's text is invented.
"""

from __future__ import annotations

from syncengine.sandbox.syspro.sortoi.draft import Draft
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, text_of
from syncengine.sandbox.syspro.tax import codes
from syncengine.sandbox.syspro.xmlin import BLANK, Section

#: Line element to the beginning of its elements' names.
_PREFIXES = {"MiscChargeLine": "Misc", "FreightLine": "Freight"}


def stocked(company: Company, draft: Draft, section: Section, stock: Row) -> Row:
    """The tax columns of an added stocked line."""
    own = codes.own_code(company, stock, status_of(draft), _area(draft))
    return {"MTaxCode": own, "_OwnTaxCode": "Y"} | _entered(company, section, text_of(stock, "StockCode"))


def changed_stock(company: Company, section: Section, existing: Row) -> Row:
    """The tax columns that a changed stock line gets; none if the document says nothing about them."""
    if existing["LineType"] == "7":
        return _non_stocked_entered(company, section)
    if company.switches.text("syspro_tax_override_on_change") == "unseen":
        return {}
    return _entered(company, section, text_of(existing, "MStockCode"))


def non_stocked(company: Company, section: Section) -> Row:
    """The tax columns of an added non-stocked line: its own code, else the site's default."""
    return {"MTaxCode": codes.default_code(company, "non_stocked")} | _non_stocked_entered(company, section)


def charge(company: Company, section: Section) -> Row:
    """The tax columns of an added charge or freight line: its own code, else the site's default."""
    kind = {"Misc": "misc", "Freight": "freight"}[_PREFIXES[section.name]]
    return {"NMscTaxCode": codes.default_code(company, kind)} | changed_charge(company, section)


def changed_charge(company: Company, section: Section) -> Row:
    """The tax columns that a changed charge or freight line gets."""
    prefix = _PREFIXES[section.name]
    return _plain(company, section, f"{prefix}TaxCode", f"{prefix}NotTaxable", "NMscTaxCode")


def follow_status(company: Company, order: Row) -> None:
    """Give the stocked lines of an order whose tax status has changed the code that goes with it."""
    for line in company.lines(order):
        stock = company.table("InvMaster").get(text_of(line, "MStockCode"))
        if line["LineType"] == "1" and line.get("_OwnTaxCode") == "Y" and stock is not None:
            code = codes.own_code(company, stock, text_of(order, "TaxStatus"), text_of(order, "Area"))
            company.table("SorDetail").update(line, MTaxCode=code)


def status_of(draft: Draft) -> str:
    """The order's tax status: the document's, else the order's, else the customer's."""
    given = draft.header.text("TaxExemptionStatus")
    if given and given != BLANK:
        return given
    return text_of(draft.order or draft.customer or {}, "TaxStatus") or codes.TAXABLE


def _area(draft: Draft) -> str:
    given = draft.header.text("Area")
    return given if given and given != BLANK else text_of(draft.order or draft.customer or {}, "Area")


def _entered(company: Company, section: Section, stock_code: str) -> Row:
    """What a document enters for a stocked line, as the site's setup has it: ignored, refused or taken."""
    given, rule = section.text("StockTaxCode"), company.switches.text("syspro_tax_override")
    not_taxable = section.flag("StockNotTaxable") == "Y"
    seen: Row = {"_StockTaxCode": given} if given else {}
    if rule == "accepted":
        return seen | _plain(company, section, "StockTaxCode", "StockNotTaxable", "MTaxCode")
    if given and rule == "rejected":
        section.refuse("tax_override", "StockTaxCode", stock_code)
    if not_taxable and rule == "rejected":
        section.refuse("tax_override", "StockNotTaxable", stock_code)
    return seen


def _non_stocked_entered(company: Company, section: Section) -> Row:
    return _plain(company, section, "StockTaxCode", "StockNotTaxable", "MTaxCode")


def _plain(company: Company, section: Section, element: str, flag: str, column: str) -> Row:
    """An entered code must be valid; `Y` in the flag means without tax."""
    if section.flag(flag) == "Y":
        return {column: "", "_NotTaxable": "Y", "_OwnTaxCode": ""}
    given = section.text(element)
    if not given or given == BLANK:
        return {}
    if not company.tax_rates.knows(given):
        section.refuse("not_found", element, "Tax code", given)
    return {column: given, "_NotTaxable": "", "_OwnTaxCode": ""}

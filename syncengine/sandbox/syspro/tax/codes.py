"""Which tax code SYSPRO gives a line by itself.

Sources: syspro-objects.md section 3.1 (TaxStatus: E exempt, N taxable, O by the item's OtherTaxCode) and 4.1; tax systems from
the vendor's help (Company Tax Options: by the item's code, by the code of the customer's area, by postal code). The tax system
concerns stocked lines alone. Assumed: an item without an OtherTaxCode is not taxed under O; a blank code means no tax; an
exempt order keeps its lines' codes, and they are not taxed.
"""

from __future__ import annotations

from decimal import Decimal

from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tables import Row, text_of

BY_CODE, BY_AREA, BY_ADDRESS = "N", "Y", ("G", "A")
TAXABLE, EXEMPT, OTHER = "N", "E", "O"

#: Percentages by address: state, and county and city by the digits of the postal code. Invented: nobody outside can predict
#: what a site's geocode file says.
_STATE, _COUNTIES, _CITIES = Decimal(4), 7, 5


def system(company: Company) -> str:
    """The tax system's letter."""
    return company.switches.text("syspro_tax_system")


def own_code(company: Company, stock: Row, status: str, area: str) -> str:
    """A stocked line's code where nobody enters one; `status` is the order's, N if blank. By address there is no code."""
    if system(company) in BY_ADDRESS:
        return ""
    if system(company) == BY_AREA:
        row = company.table("SalArea").get(area)
        return text_of(row, "TaxCode") if row is not None else ""
    return text_of(stock, "OtherTaxCode" if status == OTHER else "TaxCode")


def default_code(company: Company, kind: str) -> str:
    """The code of a line without one. `kind`: misc, freight or non_stocked."""
    return company.switches.text(f"syspro_tax_default_{kind}")


def percent_at(postal_code: str) -> Decimal:
    """What tax by address comes to at a postal code."""
    digits = sum(ord(character) for character in postal_code)
    return _STATE + Decimal(digits % _COUNTIES) / 4 + Decimal(digits % _CITIES) / 8

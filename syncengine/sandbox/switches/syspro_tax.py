"""SYSPRO's switches for tax: what a site chooses in its setup.

The default is the known live site: tax by the item's code, on the invoice's total, no override of a stocked item's code.
Sources: "t" is syspro-transport.md, "o" syspro-objects.md, "x" the vendor's schemas IMPQSO, IMPQTX and SORTOI of 7.0.
"""

from __future__ import annotations

from types import MappingProxyType

from syncengine.sandbox.switches.declaration import Declarations

SWITCHES: Declarations = MappingProxyType(
    {
        "syspro_tax_override": (
            "ignored",
            "ignored, rejected (any entry, also the item's own code) or accepted: StockTaxCode of a stocked line (t9.3, x)",
        ),
        "syspro_tax_override_on_change": (
            "same",
            "same as on an added line, or unseen: neither applied nor refused on LineActionType C (o14.7, unconfirmed)",
        ),
        "syspro_tax_system": (
            "N",
            "N by the item's code, Y by the code of the area, G and A by the delivery address (x; the letter N is assumed)",
        ),
        "syspro_tax_calculation": (
            "I",
            "I on each code's total of an invoice, L line by line (x; the letters are assumed)",
        ),
        "syspro_tax_default_misc": ("T20", "tax code of a miscellaneous charge without one (x; the value is assumed)"),
        "syspro_tax_default_freight": ("T20", "tax code of a freight line without one (x; the value is assumed)"),
        "syspro_tax_default_non_stocked": (
            "T20",
            "tax code of a non-stocked line without one (x; the value is assumed)",
        ),
    }
)

"""IMPQSO (sales order setup) and IMPQTX (tax options): what a client can read of a site's choices.

Source: the vendor's schemas IMPQSO(OUT).XSD and IMPQTX(OUT).XSD of 7.0, which give names and nesting, but no values. A group
whose elements are all optional holds only those that this sandbox simulates. Assumed: flags are Y and N, TaxSystem is N where
tax goes by the item's code (Y, G and A are known), SalesTaxCalc is I or L. AllowTaxChg is N whether the site ignores or
rejects a code.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tax import codes
from syncengine.sandbox.syspro.xmlout import Node

_TAX_GROUPS: dict[str, list[str]] = {
    "General": [
        "TaxSystem",
        "CompTaxCodeFile",
        "EcVatReq",
        "CanGstReq",
        "AusGstReq",
        "SalesTaxIntGl",
        "SalesTaxCalc",
        "DiscInclTax",
        "DiscMerLines",
        "DiscFrtLines",
        "DiscMiscLines",
        "GstCalc",
    ],
    "Options": [
        "DefTaxMisc",
        "DefTaxFrt",
        "DefTaxNon",
        "DefTaxCr",
        "GlPerTaxRet",
        "DescTaxCodes",
        "TaxRndReq",
        "RndTaxVal",
        "RndInvVal",
        "IncForInv",
        "RndValues",
        "InvRound",
        "RndFactor",
    ],
    "WithholdingTax": [
        "WithTaxReq",
        "AutoCalcWithTax",
        "WithholdingTaxTrn",
        "WithholdingTaxForComp",
        "WithholdingTaxLocComp",
        "WithholdingTaxIndiComp",
        "WithholdingTaxAppProd",
        "WithholdingTaxCalcBasis",
        "WithholdingAmtTaxCalc",
    ],
    "USA3rdParty": [
        "InterfaceType",
        "BusinessObject",
        "TaxSetup",
        "IdentificationType",
        "UserCompanyId",
        "UserDivision",
        "UpdateTaxFlag",
        "LiveTaxCompany",
        "DefaultShipFromStreet",
        "DefaultShipFromCity",
        "DefaultShipFromState",
        "DefaultShipFromZip",
        "UserParameters",
    ],
}
#: Options that are off at the simulated site.
_OFF = frozenset(
    [
        "CanGstReq",
        "AusGstReq",
        "DiscInclTax",
        "DiscFrtLines",
        "DiscMiscLines",
        "DescTaxCodes",
        "TaxRndReq",
        "RndInvVal",
        "WithTaxReq",
    ]
)


def impqso(company: Company, session: Session, _method: str, _params: Element | None, _document: Element) -> str:
    """The sales order setup, with what this sandbox simulates of it."""
    override = company.switches.text("syspro_tax_override")
    groups: dict[str, dict[str, str]] = {
        "Company": {"CompanyId": session.company},
        "General1": {"AllowNegQtys": _flag(_allows_negative(company)), "DupCustPOValidation": "Y"},
        "General2": {"ValidateOrderType": _flag(bool(company.listed("syspro_order_types")))},
        "General3": {"BackOrders": "Y"},
        "Details": {"AllowChgStkDesc": "Y"},
        "TermsMargins": {"CheckCreditLimit": "Y"},
        "Pricing": {},
        "TaxUm": {"AllowTaxChg": _flag(override == "accepted")},
        "Commission": {},
        "Numbering": {},
        "Printing": {},
        "CounterSales": {},
        "PaymentBlockWording": {},
    }
    nodes = [Node(name, [Node(*pair) for pair in values.items()]) for name, values in groups.items()]
    return company.style(session).document("SalesOrderOptions", nodes)


def impqtx(company: Company, session: Session, _method: str, _params: Element | None, _document: Element) -> str:
    """The tax options."""
    values = dict.fromkeys(_OFF, "N") | {
        "TaxSystem": codes.system(company),
        "EcVatReq": "Y",
        "SalesTaxCalc": company.switches.text("syspro_tax_calculation"),
        "DiscMerLines": "Y",
        "DefTaxMisc": codes.default_code(company, "misc"),
        "DefTaxFrt": codes.default_code(company, "freight"),
        "DefTaxNon": codes.default_code(company, "non_stocked"),
    }
    nodes = [Node(group, [Node(name, values.get(name, "")) for name in names]) for group, names in _TAX_GROUPS.items()]
    return company.style(session).document("TaxOptions", nodes)


def _flag(is_on: bool) -> str:
    return "Y" if is_on else "N"


def _allows_negative(company: Company) -> bool:
    """Whether the site allows negative quantities."""
    return company.switches.on("syspro_negative_quantities")

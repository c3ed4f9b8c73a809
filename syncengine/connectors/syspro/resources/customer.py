"""SYSPRO customers: written by ARSSCS, read by COMFND on ArCustomer in bulk. Facts: syspro-objects.md section 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncengine.connectors.base import NameKind
from syncengine.connectors.declared import whole_number
from syncengine.connectors.syspro.business import BusinessObject
from syncengine.connectors.syspro.elements import ADDRESS, DATE, Section, choices, code, flag, number, text
from syncengine.connectors.syspro.resources.setup import SetupResource
from syncengine.connectors.syspro.schemas import schema_of
from syncengine.connectors.syspro.settings import Settings, SettingsReader

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway

ARSSCS = BusinessObject(
    "ARSSCS",
    "Setup",
    "SetupArCustomer",
    parameters={
        "IgnoreWarnings": "Y",
        "ApplyIfEntireDocumentValid": "N",
        "ValidateOnly": "N",
        "UpdateFaxEmailOrders": "N",
        "UpdateFaxEmailReprint": "N",
        "ValidateTaxExemptionNo": "N",
    },
)
"""The parameters are what its schema gives as defaults, all of them sent (syspro-objects.md section 1)."""

CUSTOMER: Section = {
    "Customer": code(15),
    "Name": text(50),
    "Salesperson": code(20),
    "Branch": code(10),
    "TermsCode": code(2),
    "ShortName": text(20),
    "CreditStatus": code(1, *"0123456789"),
    "CreditLimit": number(12, 0),
    "CreditCheckFlag": code(1, "T", "L", "B", "N"),
    "PriceCode": code(10),
    "CustomerClass": code(10),
    "BalanceType": flag("I", "B"),
    "Area": code(10),
    "TaxStatus": flag("E", "N", "O"),
    "TaxExemptNumber": text(30),
    "Telephone": text(20),
    "Contact": text(50),
    "Fax": text(20),
    "Currency": code(3),
    "UserField1": text(10),
    "UserField2": number(12, 5),
    "StatementReqd": flag(),
    "BackOrdReqd": flag("Y", "N", "R"),
    "ShippingInstrs": text(50),
    "ShippingInstrsCod": code(6),
    "StateCode": code(3),
    "DateCustAdded": DATE,
    "Nationality": code(3),
    "CustomerOnHold": flag(),
    "Email": text(255),
    "SoldToAddr1": ADDRESS,
    "SoldToAddr2": ADDRESS,
    "SoldToAddr3": ADDRESS,
    "SoldToAddr3Loc": ADDRESS,
    "SoldToAddr4": ADDRESS,
    "SoldToAddr5": ADDRESS,
    "SoldPostalCode": text(10, keeps_blank=True),
    "ShipToAddr1": ADDRESS,
    "ShipToAddr2": ADDRESS,
    "ShipToAddr3": ADDRESS,
    "ShipToAddr3Loc": ADDRESS,
    "ShipToAddr4": ADDRESS,
    "ShipToAddr5": ADDRESS,
    "ShipPostalCode": text(10, keeps_blank=True),
    "State": code(2),
    "CountyZip": code(5),
    "City": code(3),
    "PoNumberMandatory": flag(),
    "CompanyTaxNumber": text(15),
    "SalesWarehouse": code(10),
}
"""ARSSCS's Item in the order of its schema, with the key `Customer` beside the fields."""


class Customer(SetupResource):
    """Field names are those of ARSSCS, flat; the key field is `Customer`."""

    name = "syspro.customer"
    schema = schema_of("Customer", CUSTOMER)
    searchable = {
        "CompanyTaxNumber": NameKind.REFERENCE,
        "Email": NameKind.EMAIL,
        "Telephone": NameKind.PHONE,
    }
    setup = ARSSCS
    table = "ArCustomer"
    key_field = "Customer"
    elements = CUSTOMER
    numeric_keys = {"Customer": "numeric_customer_keys"}
    identity = ("Name", "Currency")
    required_fields = ("Customer", "Name", "Salesperson", "Branch", "TermsCode")
    field_notes = {
        **choices(CUSTOMER),
        "Customer": "the code: upper case; the site decides whether codes are numeric",
        "Salesperson": "must exist",
        "Branch": "must exist; drives the ledger and invoice numbers",
        "TermsCode": "must exist",
        "ShortName": "search name",
        "CreditStatus": "0 to 9, set by period end",
        "CreditLimit": "whole number",
        "CreditCheckFlag": "T terms, L limit, B both, N none",
        "BalanceType": "I open item, B balance forward",
        "Area": "geographic area; may decide tax",
        "TaxStatus": "E exempt, N taxable, O by the item",
        "Currency": "empty: local; cannot change after the first transaction",
        "BackOrdReqd": "back orders allowed: Y, N or R",
        "ShippingInstrs": "text or code, by an option of the site",
        "StateCode": "written only: it cannot be read back",
        "StatementReqd": "Y or N; written only: it cannot be read back",
        "DateCustAdded": "empty: today; only a create sets it",
        "CustomerOnHold": "Y blocks new orders",
        "State": "US extended tax, not address text",
        "CountyZip": "US extended tax, not address text",
        "City": "US extended tax, not address text",
        "PoNumberMandatory": "Y or N; written only: it cannot be read back",
        "CompanyTaxNumber": "VAT number",
        "SalesWarehouse": "default warehouse of orders",
    }
    settings = (whole_number("customers_per_write", 1, "customers that one call writes", least=1),)

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(gateway, settings)
        self.most_per_write = settings.options[self.name]

    @classmethod
    def options(cls, given: SettingsReader) -> int:
        """Customers that one call writes."""
        return given.whole_number("customers_per_write")

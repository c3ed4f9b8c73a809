"""Tax rates as the site has them, one code and status at a time: SORRSL shows what SYSPRO would charge for a line.

Facts: the vendor's 7.0 schemas of SORRSL and its reply (source JARR7 of syspro-objects.md section 15). No table and no other
object shows a rate. SORRSL wants an item and a customer, so an item that has the code is found first. ExemptStatus N and O
take the place of the customer's status; status E has no rate, since nothing is taxed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from syncengine.connectors.site import EntryDifference, TableComparison
from syncengine.connectors.syspro.business import BusinessCall, BusinessObject
from syncengine.connectors.syspro.find import first_where
from syncengine.connectors.syspro.gateways import Gateway
from syncengine.connectors.syspro.optional_calls import Refusal, ask
from syncengine.connectors.syspro.values import decimal_of
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import Doc

TABLE = "tax_rates"
"""The lookup table from SYSPRO's tax code to its percentage."""

SORRSL = BusinessObject("SORRSL", "Transaction", "Build", reply_root="SoLine")
"""Shows a sales order line as SYSPRO would make it."""

CODE_OF_STATUS = {"N": "TaxCode", "O": "OtherTaxCode"}
"""The column of InvMaster from which a line gets its tax code, by tax status (syspro-objects.md section 3.1)."""


@dataclass(slots=True)
class _Found:
    """What has been found so far."""

    confirmed: list[str] = field(default_factory=list)
    differences: list[EntryDifference] = field(default_factory=list)
    unconfirmed: dict[str, str] = field(default_factory=dict)

    def judge(self, code: str, declared: str, status: str, reply: Doc | Refusal) -> None:
        """Add what SORRSL answered for a code under a status."""
        if isinstance(reply, Refusal):
            self.unconfirmed[code] = reply.says
            return
        percent, booked = _percent(text_of(reply, "TaxPercentage")), text_of(reply, "TaxCode")
        if booked != code or percent is None:
            self.unconfirmed[code] = f"under status {status} SORRSL shows tax code {booked!r}, and no rate of {code}"
        elif percent == _percent(declared):
            self.confirmed.append(f"{code} (status {status})")
        else:
            self.differences.append(EntryDifference(code, declared, f"{percent.normalize():f}", f"status {status}"))

    def result(self, unavailable: str = "") -> TableComparison:
        """The comparison. unavailable: why no more can be asked; empty if all was asked."""
        return TableComparison(self.confirmed, self.differences, self.unconfirmed, unavailable)


def compare(gateway: Gateway, entries: Mapping[str, str], on: date, settings: Mapping[str, Any]) -> TableComparison:
    """Hold percentages by tax code, which hold on a day, against the site's; at most four calls for each code, and one.

    A code that no item has is left unconfirmed. A site without SORRSL is asked once. Raises what makes the endpoint unusable.
    """
    if settings.get("tax_by_area"):
        return TableComparison(unavailable="tax goes by area, so a tax code has no rate of its own")
    customer = first_where(gateway, "ArCustomer", {"TaxStatus": "N", "CustomerOnHold": "N"}, ["Customer"])
    if customer is None:
        return TableComparison(unavailable="SORRSL wants a customer, and none is taxable and not on hold")
    found = _Found()
    for code, declared in entries.items():
        is_used = False
        for status, column in CODE_OF_STATUS.items():
            item = first_where(gateway, "InvMaster", {column: code}, ["StockCode"])
            if item is None:
                continue
            reply = ask(gateway, _line(text_of(customer, "Customer"), text_of(item, "StockCode"), status, on))
            if isinstance(reply, Refusal) and reply.is_absent:
                return found.result(reply.says)
            found.judge(code, declared, status, reply)
            is_used = True
        if not is_used:
            found.unconfirmed[code] = "no stock code has it"
    return found.result()


def _line(customer: str, stock_code: str, status: str, on: date) -> BusinessCall:
    parameters = {
        "StockCode": stock_code,
        "Customer": customer,
        "OrderDate": on.isoformat(),
        "ExemptStatus": status,
        "OrderQuantity": "1",
        "ReturnTaxInformation": "Y",
    }
    return BusinessCall(SORRSL, "Build", {"Parameters": parameters})


def _percent(text: str) -> Decimal | None:
    """The number in a text; None if there is none."""
    try:
        return decimal_of(text)
    except ValueError:
        return None

"""SYSPRO's error numbers and texts.

Numbers and texts with a number are known (syspro-transport.md section 7.4). Those without one were not found in any
public source: their wording is the sandbox's own, and no client may depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass


class EnetError(Exception):
    """An e.net exception: the call did not run or failed as a whole. The answer is `ERROR: ` and this text."""


class SessionGone(EnetError):
    """The session id is unknown, evicted or expired."""


class LicenceFull(EnetError):
    """All licences are taken, and no session is idle."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one value is refused. `number` is blank if no public source gives it."""

    field: str
    value: str
    number: str
    text: str


_KNOWN = {
    "240001": "Inventory module not installed",
    "240003": "Stock code '{0}' not numeric",
    "240004": "Stock code '{0}' not found",
    "240008": "Stock code '{0}' not stocked in warehouse '{1}'",
    "240096": "Access to warehouse '{0}' denied",
    "240118": "Bin '{0}' not found in warehouse '{1}' for stock code '{2}'",
    "100028": "Date '{0}' is invalid for XML element '{1}' it must be CCYY-MM-DD format",
    "100030": "XML element '{0}' cannot be spaces",
    "100031": "XML element '{0}' must be numeric",
    "100156": "Invalid company id format",
    "120001": "Duplicate key '{0}' on '{1}'",
}

_OWN = {
    "too_long": "XML element '{0}' exceeds {1} characters",
    "bad_value": "Value '{0}' is invalid for XML element '{1}'",
    "characters": "XML element '{0}' contains characters that cannot be stored",
    "not_found": "{0} '{1}' not found",
    "not_numeric": "{0} '{1}' not numeric",
    "customer_on_hold": "Customer '{0}' is on hold",
    "credit": "Credit limit exceeded for customer '{0}'",
    "duplicate_po": "Customer purchase order number '{0}' already used on sales order '{1}'",
    "negative": "Quantity '{0}' cannot be negative",
    "cancel_reason": "Cancel reason code '{0}' not found",
    "currency": "Currency '{0}' does not match currency '{1}' of customer '{2}'",
    "currency_fixed": "Currency cannot be changed for customer '{0}'",
    "stock_on_hold": "Stock code '{0}' is on hold",
    "no_warehouse": "No warehouse for stock code '{0}'",
    "uom": "Unit of measure '{0}' is invalid for stock code '{1}'",
    "decimals": "Quantity '{0}' has more than {1} decimals for stock code '{2}'",
    "zero_price": "Price of stock code '{0}' cannot be zero",
    "non_stocked": "Non-stocked lines are not allowed for stock code '{0}'",
    "tax_override": "Tax code cannot be overridden for stock code '{0}'",
    "status": "Sales order '{0}' in status '{1}' cannot be {2}",
    "line": "Line {0} of sales order '{1}' not found",
    "line_type": "Line {0} of sales order '{1}' is not of this type",
    "line_stock": "Stock code '{0}' does not match line {1} of sales order '{2}'",
    "line_action": "Line action type must be A for a new sales order",
    "other_customer": "Sales order '{0}' is not for customer '{1}'",
    "no_lines": "Sales order has no lines",
    "manual_number": "Manual sales order number '{0}' is not allowed",
    "in_use": "Customer '{0}' has sales orders",
    "credit_authority": "Credit authority required for sales order '{0}'",
    "back_orders": "Sales order '{0}' has back orders",
    "not_enough": "Quantity '{0}' of stock code '{1}' is not available in warehouse '{2}'",
    "one_cost": "Either a unit cost or a total cost is needed for stock code '{0}'",
    "lot": "Lot is needed for stock code '{0}'",
    "serials": "Serial numbers are needed for stock code '{0}'",
    "period": "Posting period '{0}' cannot be used",
    "future": "Transaction date '{0}' is in the future",
    "no_dispatch": "Dispatch notes are not in use",
    "charge_lines": "Element '{0}' is not simulated",
    "dispatch_status": "Dispatch note '{0}' in status '{1}' cannot be {2}",
    "dispatch_line": "Line {0} of dispatch note '{1}' not found",
    "delivery_note": "Delivery note number '{0}' cannot be entered for status '{1}'",
    "periods": "Posting period of accounts receivable is one month behind inventory",
    "release": "Sales order '{0}' line {1}: quantity '{2}' cannot be released",
}


def problem(code: str, field: str, value: object, *parameters: object, number: str | None = None) -> Problem:
    """The problem of a known number, or in the sandbox's own wording, with its parameters filled in."""
    known = code in _KNOWN
    wording = _KNOWN[code] if known else _OWN[code]
    return Problem(field, str(value), code if known else number or "", wording.format(*parameters))


def translate(number: str, parameters: list[str]) -> str | None:
    """COMQER: the text of a number; None for an unknown one."""
    wording = _KNOWN.get(number)
    return wording.format(*parameters, *[""] * 3) if wording is not None else None

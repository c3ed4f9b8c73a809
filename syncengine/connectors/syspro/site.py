"""What a site's own setup says about the orders that it takes, for people who check an installation.

Facts: the vendor's 7.0 schemas of IMPQSO and its reply (source JARR7 of syspro-objects.md section 15).
"""

from __future__ import annotations

from syncengine.connectors.syspro.business import BusinessCall, BusinessObject
from syncengine.connectors.syspro.errors import OddAnswer
from syncengine.connectors.syspro.gateways import Gateway
from syncengine.connectors.syspro.xml import content_of, text_of
from syncengine.errors import Rejected

IMPQSO = BusinessObject("IMPQSO", "Query", "Query", reply_root="SalesOrderOptions")
"""Reads the sales order setup."""

_ALLOWED = {"Y": "allowed", "N": "not allowed"}


def negative_quantities(gateway: Gateway) -> str:
    """Whether Sales Order Setup allows stock lines of a negative quantity, in words; by one call."""
    call = BusinessCall(IMPQSO, "Query", {"Option": {"ReturnSchema": "N", "IncludeInformationItems": "N"}})
    try:
        allowed = _ALLOWED.get(text_of(content_of(gateway.call(call)), "General1", "AllowNegQtys"))
    except (Rejected, OddAnswer) as error:
        return f"negative quantities: IMPQSO cannot be read ({error.says}), so the flow's setting is not confirmed"
    if allowed is None:
        return "negative quantities: IMPQSO does not say, so the flow's setting is not confirmed"
    return f"negative quantities are {allowed} by its Sales Order Setup"

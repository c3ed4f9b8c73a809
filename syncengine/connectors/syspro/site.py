"""What a site's own setup says about the settings of a connection: IMPQSO (sales orders) and IMPQTX (tax).

Facts: the vendor's 7.0 schemas of IMPQSO and IMPQTX and their replies (source JARR7 of syspro-objects.md section 15). They name
the elements, but not their values; those that are not known here are shown, and the setting is said to be assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncengine.connectors.site import Basis, SiteFinding
from syncengine.connectors.syspro.business import BusinessCall, BusinessObject
from syncengine.connectors.syspro.gateways import Gateway
from syncengine.connectors.syspro.optional_calls import Refusal, ask
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import Doc

IMPQSO = BusinessObject("IMPQSO", "Query", "Query", reply_root="SalesOrderOptions")
"""Reads the sales order setup."""

IMPQTX = BusinessObject("IMPQTX", "Query", "Query", reply_root="TaxOptions")
"""Reads the tax options."""

BY_AREA = {"Y": "by area", "G": "by the delivery address (G)", "A": "by the delivery address (A)"}
BY_CODE = "N"
CALCULATIONS = {"I": "invoice", "L": "line"}
NOT_COMPARED = "amounts are not compared, tax codes alone"


@dataclass(frozen=True, slots=True)
class _Option:
    """One option of the site's setup. value: empty if it cannot be read; unread: why, then."""

    name: str
    value: str
    unread: str = ""

    def assumed(self, setting: str, declared: str) -> SiteFinding:
        """The finding for a value that says nothing."""
        why = self.unread or f"{self.name} is {self.value!r}, which is unknown here"
        return SiteFinding(setting, Basis.ASSUMED, f"{why}; assumed: {declared}")


def findings(gateway: Gateway, settings: Mapping[str, Any]) -> list[SiteFinding]:
    """The settings that the site's setup speaks of, by at most two calls; none for a setting that is not declared.

    Raises what makes the endpoint unusable; a business object that is not there makes its settings assumed.
    """
    found: list[SiteFinding] = []
    sends_codes = settings.get("send_tax_codes", True) and "tax_override" in settings
    if sends_codes or "negative_quantities" in settings:
        reply = _read(gateway, IMPQSO)
        if sends_codes:
            found.append(_tax_override(_option(reply, "TaxUm", "AllowTaxChg"), str(settings["tax_override"])))
        if "negative_quantities" in settings:
            option = _option(reply, "General1", "AllowNegQtys")
            found.append(_negative_quantities(option, is_declared=bool(settings["negative_quantities"])))
    if "tax_by_area" in settings:
        reply = _read(gateway, IMPQTX)
        is_by_area = bool(settings["tax_by_area"])
        found.append(_tax_by_area(_option(reply, "General", "TaxSystem"), is_declared=is_by_area))
        if "tax_calculation" in settings and not is_by_area:
            option = _option(reply, "General", "SalesTaxCalc")
            found.append(_tax_calculation(option, str(settings["tax_calculation"])))
    return found


def _read(gateway: Gateway, query: BusinessObject) -> Doc | Refusal:
    return ask(gateway, BusinessCall(query, "Query", {"Option": {"ReturnSchema": "N", "IncludeInformationItems": "N"}}))


def _option(reply: Doc | Refusal, group: str, name: str) -> _Option:
    if isinstance(reply, Refusal):
        return _Option(name, "", reply.says)
    value = text_of(reply, group, name).upper()
    return _Option(name, value, "" if value else f"SYSPRO does not say {name}")


def _tax_override(option: _Option, declared: str) -> SiteFinding:
    setting, is_applied = "tax_override", declared == "applied"
    if option.value not in ("Y", "N"):
        return option.assumed(setting, declared)
    if (option.value == "Y") == is_applied:
        if is_applied:
            return SiteFinding(setting, Basis.CONFIRMED, "SYSPRO allows orders to change tax codes (AllowTaxChg Y)")
        says = "SYSPRO does not allow orders to change tax codes (AllowTaxChg N), but does not say what becomes of such a code"
        return SiteFinding(setting, Basis.ASSUMED, f"{says}; assumed: {declared}")
    if is_applied:
        return SiteFinding(
            setting,
            Basis.CONTRADICTED,
            "declared is applied, but SYSPRO does not allow orders to change tax codes (AllowTaxChg N)",
            "Allow it in SYSPRO's Sales Order Setup, or set tax_override: ignored (tax_override: rejected if SYSPRO refuses "
            "orders with a tax code)",
        )
    says = f"declared is {declared}, but SYSPRO allows orders to change tax codes (AllowTaxChg Y)"
    return SiteFinding(setting, Basis.CONTRADICTED, says, "Set tax_override: applied")


def _negative_quantities(option: _Option, *, is_declared: bool) -> SiteFinding:
    setting = "negative_quantities"
    if option.value not in ("Y", "N"):
        return option.assumed(setting, _flag(is_declared))
    if option.value == "Y":
        use = "" if is_declared else "; the setting is false, so none are sent"
        return SiteFinding(setting, Basis.CONFIRMED, f"SYSPRO allows negative quantities (AllowNegQtys Y){use}")
    if not is_declared:
        return SiteFinding(setting, Basis.CONFIRMED, "SYSPRO does not allow negative quantities (AllowNegQtys N)")
    return SiteFinding(
        setting,
        Basis.CONTRADICTED,
        "declared is true, but SYSPRO does not allow negative quantities (AllowNegQtys N)",
        "Allow them in SYSPRO's Sales Order Setup, or set negative_quantities: false",
    )


def _tax_by_area(option: _Option, *, is_declared: bool) -> SiteFinding:
    setting = "tax_by_area"
    if option.value not in (*BY_AREA, BY_CODE):
        return option.assumed(setting, f"true, so {NOT_COMPARED}" if is_declared else "false")
    is_by_area = option.value in BY_AREA
    how = f"SYSPRO computes tax {BY_AREA.get(option.value, 'by tax codes')} (TaxSystem {option.value})"
    if is_by_area == is_declared:
        return SiteFinding(setting, Basis.CONFIRMED, f"{how}: {NOT_COMPARED}" if is_by_area else how)
    says = f"declared is {_flag(is_declared)}, but {how}"
    if is_by_area:
        says += ": amounts cannot be compared, tax codes alone"
    return SiteFinding(setting, Basis.CONTRADICTED, says, f"Set tax_by_area: {_flag(is_by_area)}")


def _tax_calculation(option: _Option, declared: str) -> SiteFinding:
    setting, site = "tax_calculation", CALCULATIONS.get(option.value)
    if site is None:
        return option.assumed(setting, declared or "nothing, so SYSPRO's calculation is not checked")
    how = f"SYSPRO computes tax by {site} (SalesTaxCalc {option.value})"
    if not declared:
        says = f"{how}; the setting is empty, so invoices are not computed again. To check them, set tax_calculation: {site}"
        return SiteFinding(setting, Basis.CONFIRMED, says)
    if declared == site:
        return SiteFinding(setting, Basis.CONFIRMED, how)
    return SiteFinding(
        setting, Basis.CONTRADICTED, f"declared is {declared}, but {how}", f"Set tax_calculation: {site}"
    )


def _flag(value: object) -> str:
    return "true" if value else "false"

"""What the site's own setup says about the settings and the tax rates of a connection, on the sandbox in each mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connectors.site import Basis, EntryDifference, SiteFinding, TableComparison
from syncengine.connectors.syspro.connector import Syspro
from syncengine.errors import EndpointDown, Transient
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from tests.contract.syspro.conftest import Connect

GATEWAYS = ("enet", "harmony-key")
DECLARED: Mapping[str, Any] = {
    "send_tax_codes": True, "tax_override": "applied", "negative_quantities": False, "tax_by_area": False,
    "tax_calculation": "invoice",
}  # fmt: skip


@pytest.fixture(params=GATEWAYS)
def syspro(request: pytest.FixtureRequest, connect_to: Connect) -> Syspro:
    return connect_to(request.param)


def _finding(syspro: Syspro, setting: str, **declared: Any) -> SiteFinding:
    found = {finding.setting: finding for finding in syspro.site({**DECLARED, **declared})}
    return found[setting]


def test_reading_the_setup_takes_no_licence_that_was_free(connect_to: Connect, sandbox: Sandbox) -> None:
    syspro = connect_to("enet")
    syspro.site(DECLARED)
    assert sandbox.syspro.sessions.open() == []

    syspro.check()
    syspro.site(DECLARED)
    assert len(sandbox.syspro.sessions.open()) == 1, "the session of the workers stays"


@pytest.mark.parametrize(
    ("site", "declared", "basis", "said", "remedy"),
    [
        ("accepted", "applied", Basis.CONFIRMED, "AllowTaxChg Y", ""),
        (
            "accepted",
            "ignored",
            Basis.CONTRADICTED,
            "declared is ignored, but SYSPRO allows",
            "Set tax_override: applied",
        ),
        ("accepted", "rejected", Basis.CONTRADICTED, "declared is rejected, but SYSPRO", "Set tax_override: applied"),
        ("ignored", "applied", Basis.CONTRADICTED, "AllowTaxChg N", "or set tax_override: ignored"),
        ("rejected", "applied", Basis.CONTRADICTED, "AllowTaxChg N", "tax_override: rejected if SYSPRO refuses"),
        ("ignored", "ignored", Basis.ASSUMED, "does not say what becomes of such a code; assumed: ignored", ""),
        ("rejected", "ignored", Basis.ASSUMED, "does not say what becomes of such a code; assumed: ignored", ""),
        ("ignored", "rejected", Basis.ASSUMED, "assumed: rejected", ""),
    ],
)
def test_the_override_of_tax_codes(
    syspro: Syspro, sandbox: Sandbox, site: str, declared: str, basis: Basis, said: str, remedy: str
) -> None:
    sandbox.switches.turn({"syspro_tax_override": site})

    finding = _finding(syspro, "tax_override", tax_override=declared)
    assert (finding.basis, said in finding.says) == (basis, True), finding
    assert remedy in finding.remedy
    assert bool(finding.remedy) is (basis is Basis.CONTRADICTED)


@pytest.mark.parametrize(
    ("site", "declared", "basis"),
    [
        (True, True, Basis.CONFIRMED),
        (True, False, Basis.CONFIRMED),
        (False, False, Basis.CONFIRMED),
        (False, True, Basis.CONTRADICTED),
    ],
)
def test_negative_quantities(syspro: Syspro, sandbox: Sandbox, site: bool, declared: bool, basis: Basis) -> None:
    sandbox.switches.turn({"syspro_negative_quantities": site})

    finding = _finding(syspro, "negative_quantities", negative_quantities=declared)
    assert finding.basis is basis, finding
    assert ("set negative_quantities: false" in finding.remedy) is (basis is Basis.CONTRADICTED)


@pytest.mark.parametrize("site", ["N", "Y", "G", "A"])
@pytest.mark.parametrize("declared", [False, True])
def test_the_tax_system(syspro: Syspro, sandbox: Sandbox, site: str, declared: bool) -> None:
    sandbox.switches.turn({"syspro_tax_system": site})
    is_by_area = site != "N"

    finding = _finding(syspro, "tax_by_area", tax_by_area=declared)
    assert f"(TaxSystem {site})" in finding.says
    assert ("tax codes alone" in finding.says) is is_by_area
    if is_by_area is declared:
        assert (finding.basis, finding.remedy) == (Basis.CONFIRMED, "")
    else:
        assert (finding.basis, finding.remedy) == (
            Basis.CONTRADICTED, f"Set tax_by_area: {'true' if is_by_area else 'false'}",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("site", "declared", "basis", "said", "remedy"),
    [
        ("I", "invoice", Basis.CONFIRMED, "SYSPRO computes tax by invoice (SalesTaxCalc I)", ""),
        ("L", "line", Basis.CONFIRMED, "SYSPRO computes tax by line (SalesTaxCalc L)", ""),
        ("L", "invoice", Basis.CONTRADICTED, "declared is invoice, but SYSPRO", "Set tax_calculation: line"),
        ("I", "line", Basis.CONTRADICTED, "declared is line, but SYSPRO", "Set tax_calculation: invoice"),
        ("L", "", Basis.CONFIRMED, "To check them, set tax_calculation: line", ""),
    ],
)
def test_the_calculation(
    syspro: Syspro, sandbox: Sandbox, site: str, declared: str, basis: Basis, said: str, remedy: str
) -> None:
    sandbox.switches.turn({"syspro_tax_calculation": site})

    finding = _finding(syspro, "tax_calculation", tax_calculation=declared)
    assert (finding.basis, said in finding.says, finding.remedy) == (basis, True, remedy), finding


def test_what_cannot_be_read_is_assumed(syspro: Syspro, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_unlicensed": "IMPQSO,IMPQTX"})

    found = {finding.setting: finding for finding in syspro.site({**DECLARED, "tax_by_area": True})}
    assert {finding.basis for finding in found.values()} == {Basis.ASSUMED}
    assert all("cannot be read (" in finding.says and "100000" in finding.says for finding in found.values())
    assert found["tax_override"].says.endswith("assumed: applied")
    assert found["negative_quantities"].says.endswith("assumed: false")
    assert found["tax_by_area"].says.endswith("assumed: true, so amounts are not compared, tax codes alone")
    assert not any(finding.remedy for finding in found.values())


def test_a_setting_that_is_not_declared_is_not_asked_for(syspro: Syspro, sandbox: Sandbox) -> None:
    before = _calls(sandbox)
    assert syspro.site({"time_zone": "UTC"}) == []
    assert _calls(sandbox) == before

    without = {**DECLARED, "send_tax_codes": False}
    assert {finding.setting for finding in syspro.site(without)} == set(DECLARED) - {"send_tax_codes", "tax_override"}
    assert _calls(sandbox) - before == 2


@pytest.mark.parametrize("object_", ["IMPQSO", "IMPQTX"])
def test_an_outage_is_no_assumption(connect_to: Connect, sandbox: Sandbox, object_: str) -> None:
    syspro = connect_to()
    syspro.check()
    sandbox.faults.add(Fault("syspro", object_, "drop"))
    with pytest.raises((EndpointDown, Transient)):
        syspro.site(DECLARED)


# -- rates -------------------------------------------------------------------------------------------------------------

DAY = date(2026, 4, 1)


def _calls(sandbox: Sandbox) -> int:
    """Calls of business objects; logons do not count."""
    objects = ("IMPQSO", "IMPQTX", "SORRSL", "COMFND")
    return sum(sandbox.calls.total("syspro", operation) for operation in objects)


@pytest.fixture
def compare(syspro: Syspro, sandbox: Sandbox) -> Callable[..., TableComparison]:
    """A function that compares rates. T20 and T5 are codes of items; T0 is the other code of items."""
    company = sandbox.syspro
    company.tax_rates.add("T20", Decimal("21"), DAY)
    for number, row in enumerate(company.table("InvMaster").rows()):
        row["TaxCode"], row["OtherTaxCode"] = ("T20", "T5")[number % 2], "T0"

    def compared(on: date = DAY, settings: Mapping[str, Any] | None = None, **entries: str) -> TableComparison:
        return syspro.compare_table("tax_rates", entries, on, settings or {})

    return compared


def test_rates_that_are_right_are_confirmed_by_code_and_status(compare: Callable[..., TableComparison]) -> None:
    found = compare(T20="21", T5="5.0", T0="0")
    assert found == TableComparison(["T20 (status N)", "T5 (status N)", "T0 (status O)"], [], {}, "")


def test_a_rate_that_differs_names_code_and_both_rates(compare: Callable[..., TableComparison]) -> None:
    found = compare(T20="20", T0="no")
    assert found.differences == [
        EntryDifference("T20", "20", "21", "status N"), EntryDifference("T0", "no", "0", "status O"),
    ]  # fmt: skip
    assert str(found.differences[0]) == "T20 is declared as 20, the system has 21 (status N)"


def test_the_rate_is_that_of_the_day(compare: Callable[..., TableComparison]) -> None:
    assert compare(date(2026, 3, 31), T20="20").confirmed == ["T20 (status N)"]
    assert compare(T20="21").confirmed == ["T20 (status N)"]


def test_a_code_that_no_item_has_is_unconfirmed(compare: Callable[..., TableComparison]) -> None:
    assert compare(T9="0", T5="5") == TableComparison(["T5 (status N)"], [], {"T9": "no stock code has it"}, "")


def test_a_site_without_sorrsl_is_asked_once(
    compare: Callable[..., TableComparison], sandbox: Sandbox, syspro: Syspro
) -> None:
    sandbox.switches.turn({"syspro_unlicensed": "SORRSL"})
    before = _calls(sandbox)
    found = compare(T20="20", T5="5")
    assert "SORRSL cannot be read (" in found.unavailable
    assert (found.confirmed, found.differences) == ([], [])
    assert _calls(sandbox) - before == 3  # a customer, an item, SORRSL


def test_the_calls_of_a_comparison(compare: Callable[..., TableComparison], sandbox: Sandbox) -> None:
    before = _calls(sandbox)
    compare(T20="21", T5="5", T0="0")
    assert _calls(sandbox) - before == 1 + 3 * 3  # a customer; for each code two finds and one SORRSL


def test_by_area_no_rate_is_asked_for(compare: Callable[..., TableComparison], sandbox: Sandbox) -> None:
    before = _calls(sandbox)
    assert "tax goes by area" in compare(settings={"tax_by_area": True}, T20="20").unavailable
    assert _calls(sandbox) == before


def test_where_tax_goes_by_area_all_the_same_nothing_is_confirmed(
    compare: Callable[..., TableComparison], sandbox: Sandbox
) -> None:
    sandbox.switches.turn({"syspro_tax_system": "G"})
    found = compare(T20="20")
    assert (found.confirmed, found.differences) == ([], [])
    assert "SORRSL shows tax code ''" in found.unconfirmed["T20"]


def test_another_table_is_unknown(connect_to: Connect) -> None:
    with pytest.raises(LookupError, match="stock_codes"):
        connect_to().compare_table("stock_codes", {}, DAY, {})

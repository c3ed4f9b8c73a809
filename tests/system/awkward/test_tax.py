"""A shop with all kinds of tax, through the real engine, in each set-up of the site: no difference of tax stays silent.

`SYNCENGINE_TAX_ORDERS=220 pytest -n0 tests/system/awkward/test_tax.py -k matrix` runs all set-ups with more orders.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

import pytest
import requests

from syncengine.demo.comparison.tax import Explanation, Verdict, compare_tax, judge
from syncengine.demo.comparison.tax.reading import read
from syncengine.demo.tax_shown import tax_shown
from syncengine.engine.doctor import Level, sites
from syncengine.engine.upkeep import tables
from syncengine.engine.watch.rule import Thresholds, View
from syncengine.engine.watch.rules.dead_letters import often_found
from syncengine.engine.watch.rules.tables import table_differs
from syncengine.sandbox.shop.model import CUT_OVER
from tests.system.awkward.world import World

D = Decimal
_CODE = re.compile(r"\bT\d+\b")
FLOWS = ["customers", "orders", "order_tax"]
SIZES: dict[str, int] = {"contacts": 0, "products": 2, "orders": 0, "awkward": False, "tax_mix": 22}
ORDERS = int(os.environ.get("SYNCENGINE_TAX_ORDERS", "0"))
WITH_AWKWARD: dict[str, int] = {
    "contacts": 8, "products": 70, "orders": ORDERS or 8, "awkward": True, "tax_mix": ORDERS or 11,
}  # fmt: skip
SETUPS = [(override, calculation) for override in ("accepted", "ignored", "rejected") for calculation in ("I", "L")]


def _run(
    world: World, override: str, calculation: str = "I", *, days: int = 2,
    lookups: Mapping[str, Mapping[str, str]] | None = None, sizes: Mapping[str, int] = MappingProxyType(SIZES),
    **settings: object,
) -> None:  # fmt: skip
    world.start_over(seed=3, **sizes)
    _set_up(world, override, {"syspro_tax_calculation": calculation}, settings, lookups, cut_over=CUT_OVER)
    world.sync("customers")
    world.sync("orders")
    for _ in range(days):
        answer = requests.post(f"{world.sandbox.base_url}/_sandbox/syspro/day", json={"every_in_part": 3}, timeout=30)
        assert answer.status_code == 200, answer.text
        world.sync("order_tax")


def _set_up(
    world: World,
    override: str,
    switches: Mapping[str, str],
    settings: Mapping[str, object] = MappingProxyType({}),
    lookups: Mapping[str, Mapping[str, str]] | None = None,
    **connection: object,
) -> None:
    """A site that treats tax codes like this, and a connection that says so."""
    world.sandbox.switches.turn({"syspro_tax_override": override, **switches})
    declared = {"tax_override": {"accepted": "applied"}.get(override, override), **settings}
    world.configure(flows=FLOWS, settings=declared, lookups=lookups, **connection)


def _shown(world: World) -> Sequence[Explanation]:
    company = world.erp.company
    rows = company.table("SorMaster").rows()
    numbers = {company.shown(str(row["SalesOrder"])): str(row["CustomerPoNumber"]) for row in rows}
    with world.store.read() as session:
        return tax_shown(session, numbers)


def _judged(world: World) -> Verdict:
    return compare_tax(world.sandbox.base_url, world.sandbox.shop, _shown(world))


@pytest.mark.parametrize("calculation", ["I", "L"])
def test_a_site_that_takes_the_codes_books_what_was_charged(world: World, calculation: str) -> None:
    _run(world, "accepted", calculation)

    verdict = _judged(world)
    assert [str(difference) for difference in verdict.differences] == []
    assert (verdict.orders, _shown(world)) == (22, [])
    assert verdict.invoices > 22


@pytest.mark.parametrize("override", ["ignored", "rejected"])
def test_where_codes_cannot_be_sent_every_difference_is_told_with_both_figures(world: World, override: str) -> None:
    _run(world, override)

    verdict = _judged(world)
    assert [str(difference) for difference in verdict.silent] == []
    assert [f"{difference} / {explanation.text}" for difference, explanation in verdict.without_figures] == []
    assert verdict.orders == 22
    assert verdict.explained


def test_differing_codes_are_shown_before_there_is_an_invoice(world: World) -> None:
    _run(world, "ignored", days=0)

    verdict = _judged(world)
    assert (verdict.silent, verdict.without_figures, verdict.invoices) == ([], [], 0)
    exempt = {str(order_id) for order_id in world.sandbox.shop.tax_mix["exempt_customer"]}
    assert exempt <= {difference.po for difference, _ in verdict.explained}


@pytest.mark.parametrize(("code", "figures"), [("T2", []), ("T20", ["exempt; expected T20"])])
def test_a_customer_who_is_exempt_in_syspro_alone_is_shown(world: World, code: str, figures: list[str]) -> None:
    _set_up(world, "ignored", {})
    contact = world.shop.contact()
    world.sync("customers")
    world.erp.act(f"customers/BP{contact.id}", TaxStatus="E")
    order = world.shop.order(
        contact, world.shop.row("MUG", 1, "8.00", "1.60" if code == "T20" else "0.00", tax_code=code)
    )
    world.sync()

    verdict = judge(*read(world.sandbox.base_url, [order.id], {}, ["T2"]), _shown(world))
    assert (verdict.silent, verdict.without_figures) == ([], [])
    assert [shown.text for _, shown in verdict.explained] == [f"CustomerTaxStatus {text}" for text in figures]
    assert len(_shown(world)) == len(figures)


@pytest.mark.parametrize(("override", "calculation"), SETUPS if ORDERS else [("ignored", "L")])
def test_no_difference_is_silent_in_the_matrix_of_set_ups_and_awkward_orders(
    world: World, override: str, calculation: str
) -> None:
    _run(world, override, calculation, sizes=WITH_AWKWARD)

    verdict = _judged(world)
    assert [str(difference) for difference in verdict.silent] == []
    assert [f"{difference} / {shown.text}" for difference, shown in verdict.without_figures] == []
    assert verdict.invoices > verdict.orders > WITH_AWKWARD["tax_mix"]
    if override == "accepted":
        assert (verdict.differences, _shown(world)) == ([], [])


def test_a_calculation_that_is_declared_wrongly_is_found_within_twenty_invoices(world: World) -> None:
    rates = {"T20": "20", "T5": "5", "T0": "0", "T9": "0", "D19": "19", "T2": "0"}
    _run(world, "accepted", "I", days=0, tax_calculation="line", lookups={"tax_rates": rates})
    company = world.erp.company
    orders = [company.shown(str(row["SalesOrder"])) for row in company.table("SorMaster").rows()]
    body = {"orders": orders[:20]}
    answer = requests.post(f"{world.sandbox.base_url}/_sandbox/syspro/day", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    world.sync("order_tax")

    with world.store.read() as session:
        signs = often_found(View(world.engine, session, world.time.now(), Thresholds(), None, None, {}, set()))
    assert [(sign.rule, sign.count > 1) for sign in signs] == [("attention", True)]
    assert "SYSPRO does not compute tax as the setting tax_calculation says" in signs[0].text
    assert "tax_calculation" in signs[0].remedy


def test_rates_are_compared_with_syspros_once_a_day(world: World) -> None:
    world.start_over(seed=3, **SIZES)
    world.configure(flows=FLOWS, lookups={"tax_rates": {"T20": "17.5", "T20@2020-01-01": "22", "T5": "5"}})

    assert [tables.run(world.engine) for _ in range(2)] == ["1 compared, 0 postponed", "0 compared, 0 postponed"]
    with world.store.read() as session:
        view = View(world.engine, session, world.time.now(), Thresholds(), None, None, {}, frozenset())
        [sign] = table_differs(view) or []
    assert sign.text.endswith("T20 is declared as 22, the system has 20 (status N)")
    shown = {finding.part.split()[-1]: finding for finding in sites.examine(world.engine, ["erp"])}
    assert {name: finding.level for name, finding in shown.items()} == {
        "tax_override": Level.OK, "negative_quantities": Level.OK, "tax_by_area": Level.OK, "tax_calculation": Level.OK,
        "tax_rates": Level.WARN,
    }  # fmt: skip


def test_orders_are_held_before_the_write_if_that_is_wanted(world: World) -> None:
    _run(world, "ignored", tax_difference="hold")

    verdict = _judged(world)
    assert verdict.passed
    held = [explanation for _, explanation in verdict.explained if explanation.kind == "held"]
    assert held
    assert all("SYSPRO would book other tax codes" in explanation.text for explanation in held)


@pytest.mark.parametrize(("on_change", "codes"), [("same", []), ("unseen", ["T20", "T5"])])
def test_an_amended_order_is_compared_after_the_change(world: World, on_change: str, codes: list[str]) -> None:
    _set_up(world, "accepted", {"syspro_tax_override_on_change": on_change})
    shop = world.shop
    mug, wrap = shop.row("MUG", 2, "16.00", "3.20"), shop.text("Gift wrap", "3.50", tax=D("0.70"))
    order = shop.order(None, mug, wrap)
    world.sync()
    assert _shown(world) == []

    shop.edit_row(order, mug, quantity=D(5), net=D("40.00"), tax=D("2.00"), tax_code="T5")
    shop.add_row(order, shop.row("BOOK", 3, "37.50", "7.50"))  # under T20, where the book's own code is T0
    shop.edit_row(order, wrap, net=D("4.00"), tax=D("0.20"), tax_code="T5")
    world.sync()

    verdict = judge(*read(world.sandbox.base_url, [order.id], {}), _shown(world))
    assert (verdict.orders, verdict.silent, verdict.without_figures) == (1, [], [])
    assert [sorted(_CODE.findall(shown.text)) for _, shown in verdict.explained] == ([codes] if codes else [])


def test_an_order_that_has_left_the_eligible_statuses_is_compared_when_it_is_invoiced(world: World) -> None:
    _set_up(world, "ignored", {})
    order = world.shop.order(None, world.shop.row("MUG", 1, "8.00", "1.60"))
    world.sync()
    fates = {id_: status.fate for id_, status in world.shop.account.statuses.items()}
    world.shop.set_status(order, next(id_ for id_, fate in fates.items() if fate == "ineligible"))
    world.sync()
    assert _shown(world) == []

    [number] = [str(row["SalesOrder"]) for row in world.erp.orders(order.id)]
    world.erp.act(f"orders/{world.erp.company.shown(number)}/lines/1", "PATCH", tax_code="T0")
    assert requests.post(f"{world.sandbox.base_url}/_sandbox/syspro/day", json={}, timeout=30).status_code == 200
    world.sync("order_tax")
    verdict = judge(*read(world.sandbox.base_url, [order.id], {}), _shown(world))
    assert (verdict.silent, verdict.without_figures, len(verdict.explained)) == ([], [], 2)


def test_an_attention_closes_when_the_order_is_cancelled(world: World) -> None:
    _set_up(world, "ignored", {})
    order = world.shop.order(None, world.shop.row("MUG", 1, "8.00", tax_code="T0"))
    world.sync()
    assert len(_shown(world)) == 1

    fates = {id_: status.fate for id_, status in world.shop.account.statuses.items()}
    world.shop.set_status(order, next(id_ for id_, fate in fates.items() if fate == "cancelled"))
    world.sync()
    assert (world.record(order.id).reason, _shown(world)) == ("cancel 001001", [])


def test_a_row_that_gets_its_items_own_code_is_booked_under_it(world: World) -> None:
    _set_up(world, "accepted", {"syspro_tax_override_on_change": "same"})
    shop = world.shop
    mug = shop.row("MUG", 2, "16.00", "0.80", tax_code="T5")
    order = shop.order(None, mug)
    world.sync()
    shop.edit_row(order, mug, quantity=D(5), net=D("40.00"), tax=D("8.00"), tax_code="T20")
    world.sync()

    verdict = judge(*read(world.sandbox.base_url, [order.id], {}), _shown(world))
    assert [str(difference) for difference in verdict.differences] == []
    assert _shown(world) == []

"""A shop with all kinds of tax, through the real engine, in each set-up of the site: no difference of tax stays silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import requests

from syncengine.demo.comparison.tax import Explanation, Verdict, compare_tax
from syncengine.demo.tax_shown import tax_shown
from syncengine.engine.doctor import Level, sites
from syncengine.engine.upkeep import tables
from syncengine.engine.watch.rule import Thresholds, View
from syncengine.engine.watch.rules.dead_letters import often_found
from syncengine.engine.watch.rules.tables import table_differs
from tests.system.awkward.world import World

FLOWS = ["customers", "orders", "order_tax"]
SIZES = {"contacts": 0, "products": 2, "orders": 0, "awkward": False, "tax_mix": 22}


def _run(
    world: World, override: str, calculation: str = "I", *, days: int = 2,
    lookups: Mapping[str, Mapping[str, str]] | None = None, **settings: object,
) -> None:  # fmt: skip
    world.sandbox.switches.turn({"syspro_tax_override": override, "syspro_tax_calculation": calculation})
    world.undo.append(
        lambda: world.sandbox.switches.turn({"syspro_tax_override": "ignored", "syspro_tax_calculation": "I"})
    )
    world.start_over(seed=3, **SIZES)
    declared = {"accepted": "applied"}.get(override, override)
    world.configure(flows=FLOWS, settings={"tax_override": declared, **settings}, lookups=lookups)
    world.sync("customers")
    world.sync("orders")
    for _ in range(days):
        answer = requests.post(f"{world.sandbox.base_url}/_sandbox/syspro/day", json={"every_in_part": 3}, timeout=30)
        assert answer.status_code == 200, answer.text
        world.sync("order_tax")


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
    assert [f"{difference} / {told.text}" for difference, told in verdict.without_figures] == []
    assert verdict.orders == 22
    assert verdict.explained


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
    held = [told for _, told in verdict.explained if told.kind == "held"]
    assert held
    assert all("SYSPRO would book other tax codes" in told.text for told in held)

"""The generated shop with all its awkward and invalid orders, through the real engine, checked by the demo's comparison."""

from __future__ import annotations

from sqlalchemy import func, select

from syncengine.demo.comparison import compare
from syncengine.engine.people import dead_letters
from syncengine.sandbox.shop.generator import generate
from syncengine.sandbox.shop.model import CUT_OVER
from syncengine.store.models import Record
from tests.system.awkward.world import World, both_gateways

SIZES = {"contacts": 8, "products": 70, "orders": 24, "awkward": True}


@both_gateways
def test_every_order_of_the_shop_is_in_syspro_once_with_every_field_right(world: World) -> None:
    world.start_over(seed=3, **SIZES)
    world.configure(cut_over=CUT_OVER)

    world.sync("customers")
    world.sync("orders")

    with world.store.read() as session:
        names = ("flow", "key", "field", "value", "cause", "kind")
        letters = [{name: getattr(one, name) for name in names} for one, _ in dead_letters.listed(session)]
        counts: dict[str, dict[str, int]] = {"orders": {}, "customers": {}}
        query = select(Record.flow, Record.status, func.count()).group_by(Record.flow, Record.status)
        for flow, status, count in session.execute(query):
            counts[flow][status] = count
    report = compare(world.sandbox.base_url, generate(3, **SIZES), letters, counts)
    assert report.problems == []
    assert report.duplicates == 0
    assert report.found == report.pushed + report.guests
    assert counts["orders"]["dead"] == report.invalid

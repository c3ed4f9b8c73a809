"""A system that was wiped, and a mapping that is wrong for everything: neither flows into the other system."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from syncengine.engine.writes import ceiling
from tests.system.awkward.world import World, both_installations


def _wipe(world: World) -> None:
    """Somebody empties the company: orders and customers are gone, its catalogue is not."""
    company = world.erp.company
    with company.lock:
        for name in ("SorDetail", "SorMaster", "ArCustomer"):
            for row in company.table(name).rows():
                company.table(name).delete(row)


def _created(world: World) -> Counter[str]:
    effects = world.sandbox.calls.effects(object="SorMaster", action="created")
    return Counter(str(effect.reference) for effect in effects)


@both_installations
def test_nothing_that_was_linked_is_created_again_in_a_target_that_was_wiped(world: World) -> None:
    contact = world.shop.contact()
    orders = [world.shop.order(contact) for _ in range(6)]
    world.sync()
    _wipe(world)
    for order in orders:
        world.shop.edit(order, reference="EDITED")
    world.shop.edit(orders[0], reference="EDITED AGAIN")
    newcomer = world.shop.order(world.shop.contact("Kim", "New"))
    world.sync()
    world.sync("orders", newcomer.id)
    world.sync("customers", contact.id)
    for _ in range(3):  # and no later look does either
        world.time.pass_(3700)
        world.settle()

    numbers = [str(order.id) for order in orders]
    assert _created(world) == Counter({**dict.fromkeys(numbers, 1), str(newcomer.id): 1})
    assert {world.status(number)[0] for number in numbers} == {"held"}
    assert world.status(orders[0].id)[1].endswith(" no longer exists in the target")
    assert world.erp.customers() == [f"BP{newcomer.customer.contact_id}"]


@pytest.mark.one_database
@both_installations
def test_a_new_order_of_a_customer_who_is_gone_is_refused_and_makes_no_customer(world: World) -> None:
    contact = world.shop.contact()
    world.sync("customers")
    _wipe(world)
    order = world.shop.order(contact)
    world.sync("orders", order.id)

    assert world.erp.customers() == []
    assert world.erp.orders(order.id) == []
    (letter,) = world.letters()
    assert (letter[0], letter[1].rpartition(".")[2]) == (str(order.id), "Customer")


@pytest.mark.one_database
@both_installations
def test_a_mapping_error_that_would_change_every_order_stops_at_the_ceiling(world: World) -> None:
    world.configure(ceilings={"orders": 5})
    ceiling.open_(world.engine, "main", "orders", by="Kim", uncounted=timedelta(minutes=5))
    contact = world.shop.contact()
    orders = [world.shop.order(contact) for _ in range(14)]
    world.sync()
    assert {world.status(order.id)[0] for order in orders} == {"done"}
    world.time.pass_(301)

    world.configure(ceilings={"orders": 5}, lookups={"shipping_texts": {2: "WRONG"}})
    for order in orders:  # whatever makes everything be read again
        world.shop.edit(order)
    world.sync()

    changed = [order for order in orders if world.erp.order(order.id)["ShippingInstrs"] == "WRONG"]
    assert len(changed) == 5
    held = [world.status(order.id) for order in orders if order not in changed]
    assert {status for status, _ in held} == {"held"}
    assert {reason[:15] for _, reason in held} == {"write ceiling: "}

    world.configure(ceilings={"orders": 100})  # the mapping is fixed, then the flow is opened
    assert ceiling.open_(world.engine, "main", "orders", by="Kim").let_go == 9
    world.settle()
    assert {world.status(order.id)[0] for order in orders} == {"done"}


@pytest.mark.parametrize("sends", ["orders", "customers"])
def test_the_first_writes_into_a_wiped_company_are_bounded_by_the_ceiling_too(world: World, sends: str) -> None:
    world.configure(ceilings={sends: 3})
    _wipe(world)
    for number in range(6):
        world.shop.order(world.shop.contact("Kim", f"New {number}"))
    world.sync()

    made = _created(world) if sends == "orders" else world.erp.customers()
    assert len(made) == 3

"""A changed configuration reaches the records that the former one skipped or held."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, select

from syncengine.store import models as m
from tests.system.awkward.world import World

NEW = 1  # Brightpearl's first order status, which the sandbox's connection does not send


def test_a_status_that_becomes_eligible_sends_the_orders_that_were_skipped_for_it(world: World) -> None:
    order = world.shop.order(status_id=NEW)
    world.sync()
    assert world.status(order.id) == ("skipped", "its status is not one of the setting eligible_statuses")
    world.configure(settings={"eligible_statuses": [NEW, 2]})
    world.settle()
    assert world.erp.made(order.id) == 1


def test_held_creates_are_linked_once_creates_are_verified(world: World) -> None:
    """An installation with an empty store meets orders that its predecessor has written."""
    contact = world.shop.contact()
    order = world.shop.order(contact)
    world.sync()
    with world.store.write() as session:
        for table in (m.Link, m.Payload, m.Effect, m.Record, m.Cursor):
            session.execute(delete(table))
    world.sync()
    assert [world.record(contact.id, "customers").why, world.record(order.id).why] == ["exists", "need"]
    assert f"BP{contact.id} exists in the target, and we did not create it" in world.status(contact.id, "customers")[1]
    world.configure(verify_creates_until=world.time.now() + timedelta(days=1))
    world.settle()
    assert world.status(order.id)[0] == "done"
    assert world.erp.made(order.id) == 1
    with world.store.read() as session:
        assert session.scalar(select(func.count()).select_from(m.Link)) == 2

"""Who is due first: a long backlog does not stand between an object, what it needs, and its own write."""

from __future__ import annotations

from collections.abc import Callable

from syncengine.document import Doc
from syncengine.engine.engine import Limits
from syncengine.mapping.contract import Context, Need
from syncengine.store.states import Lane
from tests.contract.kernel.world import Plain, World, by_name, flow


def _customer(doc: Doc, context: Context) -> list[Need]:
    return [Need("customers", f"c{doc['id']}", "", "customers")]


def test_what_a_batch_needs_and_then_the_batch_itself_goes_before_the_rest_of_the_backlog(
    make_world: Callable[..., World],
) -> None:
    orders = flow("orders", Plain(by_name, needs_=_customer), batch=2)
    world = make_world(flow("customers", Plain(by_name)), orders, limits=Limits(chains=dict.fromkeys(Lane, 1)))
    for key in "123456":
        world.left.put("orders", key, name=key)
        world.left.put("customers", f"c{key}", name=key)
    world.want("orders", *"1234")
    world.time.pass_(600)
    world.want("orders", *"56")
    world.settle()

    assert [natural for _, natural, _ in world.right.writes] == [
        "c1", "c2", "1", "2",
        "c3", "c4", "3", "4",
        "c5", "c6", "5", "6",
    ]  # fmt: skip
    assert world.timeline("customers", "c1")[0] == "needed"
    assert world.timeline("orders", "1") == ["fetched", "waiting", "woken", "planned", "written"]

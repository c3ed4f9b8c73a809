"""Who is due first: a long backlog does not come between an object, what it needs, and its own write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.document import Doc
from syncengine.engine.core.engine import Limits
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


def _put(world: World, kind: str, count: int) -> list[str]:
    keys = [f"{number:05}" for number in range(count)]
    for key in keys:
        world.left.put(kind, key, name="x")
    return keys


@pytest.mark.parametrize("chains", [1, 3])
def test_a_flow_with_a_large_backlog_does_not_stand_before_one_with_a_single_record(
    make_world: Callable[..., World], chains: int
) -> None:
    limits = Limits(chains=dict.fromkeys(Lane, chains))
    world = make_world(flow("stock", Plain(by_name), batch=20), flow("orders", Plain(by_name), batch=20), limits=limits)
    world.want("stock", *_put(world, "stock", 600))
    world.time.pass_(1)
    world.want("orders", *_put(world, "orders", 1))
    before = 0
    while world.record("orders", "00000").status == "open":
        world.pump(sweep=False)
        message = world.messages.pop(0)
        before += message.flow == "stock"
        for stage in message.stages:
            world.step(message, stage)

    assert before <= chains + 1


@pytest.mark.one_database
def test_flows_take_turns_however_old_their_records_are(make_world: Callable[..., World]) -> None:
    flows = [flow(name, Plain(by_name), batch=1) for name in ("a", "b", "c")]
    world = make_world(*flows, limits=Limits(chains=dict.fromkeys(Lane, 1)))
    for name in ("a", "b", "c"):
        world.want(name, *_put(world, name, 4))
        world.time.pass_(60)
    taken = []
    while world.pump(sweep=False):
        taken.append(world.messages[0].flow)
        world.run_message(world.messages.pop(0))

    assert taken == ["a", "b", "c"] * 4

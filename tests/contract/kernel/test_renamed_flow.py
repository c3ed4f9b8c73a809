"""A flow whose file was renamed: the processes load it under its new name, and nothing is created a second time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from syncengine.engine.setup import continuity
from syncengine.engine.steps import sync
from syncengine.errors import Misconfigured
from syncengine.mapping.contract import Need
from tests.contract.kernel.world import Plain, World, by_name, flow


def _rename(world: World, former: str, **more: Any) -> None:
    """The processes were started again with `stuff` where `former` was; nobody has run `configure`."""
    resources = {"source": "left.things", "target": "right.things"}
    del world.engine.flows[former]
    world.engine.flows["stuff"] = flow("stuff", Plain(by_name), **{"entity": "stuff", **resources, **more})


@pytest.fixture
def renamed(world: World) -> World:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    _rename(world, "things")
    return world


@pytest.mark.one_database
def test_a_renamed_flow_does_not_run_before_configure_names_it(renamed: World) -> None:
    renamed.left.put("things", "1", name="a red lamp")
    assert sync.start(renamed.engine, sync.Request("stuff", trigger="schedule")) == []
    with pytest.raises(Misconfigured, match="connection 'main' does not have the flow 'stuff'"):
        sync.start(renamed.engine, sync.Request("stuff", connection="main"))
    renamed.want("stuff", "1")  # whatever may have wanted it
    renamed.want("things", "1")
    renamed.settle(patience_s=3700)

    assert renamed.right.writes == [("create", "1", "R1")]
    assert (renamed.record("stuff", "1").done, renamed.record("things", "1").done) == (0, 1)


@pytest.mark.one_database
def test_what_needs_a_renamed_flow_waits_and_creates_nothing(make_world: Callable[..., World]) -> None:
    needs = Plain(by_name, needs_=lambda doc, context: [Need("stuff", "1", flow="stuff")])
    world = make_world(flow("things", Plain(by_name)), flow("orders", needs))
    world.left.put("things", "1", name="a lamp")
    world.left.put("orders", "7", name="an order")
    world.sync("things", "1")
    _rename(world, "things")
    world.sync("orders", "7", patience_s=3700)

    assert world.right.writes == [("create", "1", "R1")]
    assert world.record("orders", "7").status == "waiting"


@pytest.mark.one_database
def test_a_process_does_not_start_with_it_once_the_connection_has_it_under_a_new_entity(renamed: World) -> None:
    def check() -> None:
        with renamed.store.read() as session:
            continuity.check_installed(session, renamed.engine.flows)

    check()  # the connection has the flow `things`, whose file is gone
    renamed.configure(flows=["stuff"])
    with pytest.raises(Misconfigured, match=r"connection main: the flow stuff .* write `entity: things`"):
        check()
    _rename(renamed, "stuff", entity="things")
    check()
    renamed.left.put("things", "1", name="a red lamp")
    renamed.sync("stuff", "1")
    assert [verb for verb, _, _ in renamed.right.writes] == ["create", "change"]

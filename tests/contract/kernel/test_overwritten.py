"""What a write replaces in the target can be read afterwards: both values, and the policy that let the source win."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from syncengine import clock
from syncengine.document import Doc
from syncengine.engine.people import trace
from syncengine.engine.upkeep import retention
from syncengine.mapping.contract import Context, Policy
from syncengine.store import models as m
from tests.contract.kernel.world import Plain, World, flow

pytestmark = pytest.mark.one_database


def _to(doc: Doc, context: Context) -> Doc:
    return {"ref": doc["id"], "name": doc["name"], "street": doc["street"]}


def test_the_trace_shows_what_was_overwritten_and_by_which_policy(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(_to, policies={"street": Policy.ENFORCE, "name": Policy.SOURCE})))
    world.left.put("things", "1", name="lamp", street="1 Kings Road")
    world.sync("things", "1")
    world.right.put("things", "R1", street="9 Queens Road", name="bulb")
    world.left.put("things", "1", name="lantern")
    world.sync("things", "1")

    [found] = trace.trace(world.engine, "1")
    assert [effect["changes"] for effect in found.effects] == [
        [],
        [
            "name: bulb -> lantern (changed at the source, another value in the target, policy source)",
            "street: 9 Queens Road -> 1 Kings Road (another value in the target, policy enforce)",
        ],
    ]
    world.left.put("things", "1", name="lamp post")
    world.sync("things", "1")
    [found] = trace.trace(world.engine, "1")
    assert found.effects[-1]["changes"] == ["name: lantern -> lamp post"]

    with world.store.read() as session:  # the values are sealed
        rows = f"{session.execute(select(m.Effect.__table__)).all()}{session.execute(select(m.Event.detail)).all()}"
    assert "Queens" not in rows

    world.time.at = clock.now() + timedelta(days=100)
    retention.remove(world.engine, retention.Kept())
    [found] = trace.trace(world.engine, "1")
    assert [effect["changes"] for effect in found.effects[:-1]] == [[], []]

"""What breaks: decisions, ceilings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from syncengine.connectors.base import Operation, Safety, Verb
from syncengine.document import Doc
from syncengine.engine import byhand, ceiling, held, linking, settle
from syncengine.engine.engine import Limits
from syncengine.errors import Misconfigured
from syncengine.mapping.contract import Context, Decision, Policy, Verdict
from syncengine.store import Store
from syncengine.store import models as m
from tests.contract.kernel.world import Plain, Thing, World, by_name, flow

MakeWorld = Callable[..., World]


class FieldByField(Thing):
    def calls(self, operation: Operation) -> Sequence[Operation]:
        if operation.verb is Verb.CREATE:
            first = replace(operation, doc={k: v for k, v in operation.doc.items() if k != "size"})
            return [first, operation] if "size" in operation.doc else [operation]
        if operation.verb is not Verb.CHANGE:
            return [operation]
        return [replace(operation, changes={name: one}) for name, one in sorted(operation.changes.items())]


def _dear(doc: Doc, context: Context) -> Decision:
    return Decision(Verdict.HOLD, "over the credit limit") if doc.get("dear") else Decision()


def _both(doc: Doc, context: Context) -> Doc:
    return {"ref": doc["id"], "name": doc["name"], "size": doc["size"]}


def _events(world: World, key: str = "1") -> list[Any]:
    with world.store.read() as session:
        rows = session.execute(select(m.Event.what, m.Event.detail).where(m.Event.key == key).order_by(m.Event.id)).all()
        return [(what, dict(detail)) for what, detail in rows]


def _approve(world: World, key: str = "1", name: str = "things") -> None:
    with world.store.read() as session:
        one = held.of_record(session, world.engine, world.record(name, key))
    held.approve(world.engine, [one], by="anna")


@pytest.fixture
def several(make_world: MakeWorld) -> World:
    world = make_world(flow("things", Plain(_both, rules=_dear, policies={"name": Policy.SOURCE, "size": Policy.SOURCE})))
    world.resources["right.things"] = FieldByField(world.right, "right.things", settle_s=120.0)
    return world


def test_an_approved_change_of_several_calls_is_written_whole(several: World) -> None:
    world = several
    world.left.put("things", "1", name="x", size="1")
    world.sync("things", "1", patience_s=300)
    world.left.put("things", "1", name="y", size="2", dear=True)
    world.sync("things", "1", patience_s=300)
    assert world.record("things", "1").status == "held"
    _approve(world)
    world.right.faults = ["", "busy"]
    world.settle(patience_s=600)
    there = world.right.objects["things"]["R1"]
    assert (there["name"], there["size"], world.record("things", "1").status) == ("y", "2", "done"), _events(world)[-8:]


def test_an_approved_create_of_several_calls_is_written_whole(several: World) -> None:
    world = several
    world.left.put("things", "1", name="y", size="2", dear=True)
    world.sync("things", "1", patience_s=300)
    assert world.record("things", "1").status == "held"
    _approve(world)
    world.settle(patience_s=600)
    there = world.right.objects["things"]["R1"]
    assert (there.get("size"), world.record("things", "1").status) == ("2", "done"), _events(world)[-8:]


# -- ceilings ----------------------------------------------------------------------------------------------------------


def test_writes_of_a_worker_that_waited_for_an_opening_are_counted(make_world: MakeWorld, monkeypatch: Any) -> None:
    """The worker takes the time, then waits for the row that `ceilings open` has locked."""
    world = make_world(flow("things", Plain(by_name)), right={"most_per_write": 5})
    world.configure(ceilings={"things": 5})
    for key in range(20):
        world.left.put("things", str(key), name="x")
    real, done = Store.write, []

    @contextmanager
    def write(store: Store, *, durable: bool = True) -> Any:
        import inspect

        caller = inspect.stack()[2]
        if caller.function == "write" and caller.filename.endswith("push.py") and not done:
            done.append(1)
            world.time.pass_(0.05)
            ceiling.open_(world.engine, "main", "things", by="anna")
        with real(store, durable=durable) as session:
            yield session

    monkeypatch.setattr(Store, "write", write)
    world.sync("things", *map(str, range(20)))
    assert done
    assert len(world.right.writes) <= 5


# -- must_find ---------------------------------------------------------------------------------------------------------


def _two(doc: Doc, context: Context) -> Doc:
    return {part: {"ref": f"{doc['ref']}/{part}", "name": doc["name"]} for part in ("a", "b")}


def test_recreate_of_two_parts_looks_for_both_former_references(make_world: MakeWorld) -> None:
    world = make_world(flow("things", Plain(_two, parts=True)), right={"identity": ("name",)})
    world.left.put("things", "1", name="x", ref="A")
    world.sync("things", "1")
    there = world.right.objects["things"]
    former = {part: key for _, part, key in world.links("things")}
    # The target's people move both to new numbers; the reference stays. The source's reference is another one by then.
    for part in ("a", "b"):
        doc = there.pop(former[part])
        there[f"N{part}"] = {**doc, "id": f"N{part}"}
    world.left.put("things", "1", ref="B")
    world.sync("things", "1", patience_s=300)
    for part in ("a", "b"):
        record = world.record("things", "1")
        with world.store.read() as session:
            link = byhand.link_of(session, world.engine, record, part)
        byhand.unlink(world.engine, record, link, by="anna", because="x", recreate=True)
        world.settle(patience_s=600)
    assert len(there) == 2, (there, world.record("things", "1").reason)
    assert world.record("things", "1").status == "held"
    pairing = linking.look(world.engine, world.connection_id, "things", "1", "Nb", part="b")
    linking.join(world.engine, pairing, by="anna")
    world.settle(patience_s=600)
    assert len(there) == 2, (there, world.record("things", "1").reason)

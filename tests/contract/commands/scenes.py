"""What there is before a command is run: one flow, `things`, from `left` to `right`, and an object in the state it is about.

A name that is `bad` is refused by the mapping, and what is `dear` is held by a rule.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.connectors.base import Moved, NameKind, Safety, Verb
from syncengine.document import Doc
from syncengine.engine.core import failures, lookups, movements, observe_mode
from syncengine.engine.core.want import want
from syncengine.engine.decide import patches
from syncengine.engine.people import dead_letter_detail, held, manual
from syncengine.engine.steps import sync
from syncengine.engine.traffic import endpoints
from syncengine.engine.watch import health
from syncengine.errors import Rejected
from syncengine.mapping.contract import Context, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Lane
from tests.contract.kernel.world import Plain, World, by_name, flow


def _dear(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.HOLD, "over the credit limit") if doc.get("dear") else RuleDecision()


def _named(doc: Doc, context: Context) -> Doc:
    if doc["name"] == "bad":
        raise Rejected(field="name", value="bad", reason="no such thing", remedy="correct it")
    return by_name(doc, context)


def shop(make_world: Callable[..., World]) -> World:
    """Both systems, empty."""
    things = flow("things", Plain(_named, rules=_dear), lookups={"names": {}})
    return make_world(things, left={"searchable": {"name": NameKind.REFERENCE}}, right={"identity": ("ref",)})


def put(world: World) -> None:
    """A lamp of which nobody has heard yet."""
    world.left.put("things", "1", name="a lamp")


def linked(world: World) -> None:
    put(world)
    world.sync("things", "1")


def dear(world: World) -> None:
    world.left.put("things", "1", name="a lamp", dear=True)
    world.sync("things", "1")


def lost(world: World) -> None:
    """Its create timed out, did not happen, and nobody but a person can find that out."""
    _in_doubt(world, "lost")


def unheard(world: World) -> None:
    """The same, but it happened."""
    _in_doubt(world, "unheard")


def _in_doubt(world: World, fault: str, key: str = "1") -> None:
    world.resources["right.things"].safety = {Verb.CREATE: Safety.ASK, Verb.CHANGE: Safety.ABSOLUTE}  # type: ignore[misc]
    world.left.put("things", key, name="a lamp")
    world.right.faults.append(fault)
    world.sync("things", key, patience_s=300)


def dead(world: World) -> None:
    world.left.put("things", "1", name="bad")
    world.sync("things", "1")


def right_by_now(world: World) -> None:
    """Dead, and by now its source is right."""
    dead(world)
    world.left.put("things", "1", name="a lamp")


def corrected(world: World) -> None:
    """Dead, and carl has corrected it a moment ago."""
    dead(world)
    source = dead_letter_detail.source_of(world.engine, 1)
    dead_letter_detail.correct(
        world.engine, source, patches.of_values(source.present, ["name=a lamp"]), because="x", by="carl"
    )


def looked_at(world: World) -> None:
    """Written, and a person should look at it."""
    linked(world)
    with world.store.write() as session:
        failures.open_attention(session, world.record("things", "1"), "the journal failed", world.time.at)


def strangers(world: World) -> None:
    """Both exist, and nothing joins them."""
    put(world)
    world.right.put("things", "R7", name="a lamp", ref="1")


def gone(world: World) -> None:
    """Linked, and the target's people have removed it."""
    linked(world)
    del world.right.objects["things"]["R1"]
    world.left.put("things", "1", name="a red lamp")
    world.sync("things", "1")


def ignored(world: World) -> None:
    put(world)
    world.want("things", "1")
    manual.ignore(world.engine, world.record("things", "1"), by="carl", because="a test")


def shut(world: World) -> None:
    """One was written, and a second one is held by the ceiling."""
    world.configure(ceilings={"things": 1})
    for key in ("1", "2"):
        world.left.put("things", key, name="a lamp")
    world.sync("things", "1", "2")


def entry(world: World) -> None:
    """carl has set an entry of a table."""
    put(world)
    lookups.put(world.engine, "main", "names", "a", "b", by="carl")


def paused(world: World) -> None:
    put(world)
    until = world.time.at + timedelta(hours=8)
    endpoints.pause(world.engine, "right-1", until=until, because="year end", by="carl")


def crowd(world: World) -> None:
    """Something of everything, rows in every table: 1 is held and approved, 2 is dead and corrected (letter 1), 3 in doubt, 4
    needs attention, 5 is linked, 6 is ignored; a flow is shut, and an observed connection would write 9.
    """
    now = world.time.at
    for key, name, more in (
        ("1", "a lamp", {"dear": True}),
        ("2", "bad", {}),
        ("4", "a chair", {}),
        ("5", "a bed", {}),
    ):
        world.left.put("things", key, name=name, **more)
    for started in sync.start(world.engine, sync.Request("things")):
        assert not isinstance(started, str)
    world.settle()
    _in_doubt(world, "unheard", key="3")
    with world.store.write() as session:
        failures.open_attention(session, world.record("things", "4"), "the journal failed", now)
        session.add(m.Slot(name="a seat"))
        session.add(m.Schedule(connection_id=world.connection_id, flow="things", next_due=now))
        session.add(m.Hook(connection_id=world.connection_id, side="left", ids=["41"]))
        session.add(m.AcceptedOnce(digest="ab" * 32, at=now))
        session.add(m.Installed(flows_folder="", own_flows={}))
        session.add(m.Lookup(connection_id=world.connection_id, name="names", key="a", value="b"))
        session.add(
            m.Alert(rule="dead letters", subject="things", severity="warning", text="1", opened_at=now, seen_at=now)
        )
        health.note(session, health.PUMP, now)
        moved = Moved("SC1/1", "SC1", "SC", "R5", "2", Decimal(5), now, correction=True)
        movements.note_ours(session, world.connection_id, "right", [moved], now)
        shadow = _observed(session, world.connection_id)
        want(session, world.connection_id, "things", ["6"], lane=Lane.SCHEDULED, now=now)
        want(session, shadow, "things", ["9"], lane=Lane.SCHEDULED, now=now)
    world.vault.write(1, "account_token", "secret")
    manual.ignore(world.engine, world.record("things", "6"), by="carl", because="a test")
    world.left.put("things", "9", name="a desk")
    world.settle()
    _shut(world)
    with world.store.read() as session:
        approved = held.of_record(session, world.engine, world.record("things", "1"))
    held.approve(world.engine, [approved], by="carl")
    source = dead_letter_detail.source_of(world.engine, 1)
    dead_letter_detail.correct(
        world.engine, source, patches.of_values(source.present, ["name=fine"]), because="x", by="carl"
    )
    world.messages.clear()


def _observed(session: Session, of: int) -> int:
    """A connection between the same systems that is only observed."""
    other = session.get_one(m.ConnectionRow, of)
    shadow = m.ConnectionRow(
        name="shadow",
        left_id=other.left_id,
        right_id=other.right_id,
        flows=["things"],
        settings={},
        mode=observe_mode.MODE,
    )
    session.add(shadow)
    session.flush()
    return shadow.id


def _shut(world: World) -> None:
    with world.store.write() as session:
        ceiling = session.scalars(select(m.Ceiling).where(m.Ceiling.connection_id == world.connection_id)).one()
        ceiling.shut_at, ceiling.shut_because = world.time.at, "too many"

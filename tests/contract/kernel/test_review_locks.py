"""Bulk decisions beside feeds: nobody ends as the victim of a deadlock."""

from __future__ import annotations

import random
import threading
import traceback
import time as real_time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from sqlalchemy import text

from syncengine.connectors.base import Safety, Verb
from syncengine.engine import deadletters, held, replay, seen
from syncengine.engine.want import want
from syncengine.errors import Misconfigured, Rejected, Transient
from syncengine.mapping.contract import Context, Decision, Verdict
from syncengine.store.states import Lane
from tests.contract.kernel.world import Plain, World, by_name, flow


def _dear(doc: Any, context: Context) -> Decision:
    return Decision(Verdict.HOLD, "over the credit limit") if doc.get("dear") else Decision()


def _map(doc: Any, context: Context) -> Any:
    if doc["name"] == "bad":
        raise Rejected(field="name", value="bad", reason="no such thing", remedy="correct it")
    return by_name(doc, context)


COUNT = 400


@pytest.mark.parametrize("what", ["discard", "approve"])
def test_no_deadlock(make_world: Callable[..., World], what: str) -> None:
    world = make_world(flow("things", Plain(_map, rules=_dear), batch=200))
    if world.store.is_sqlite:
        pytest.skip("one writer")
    keys = [str(number) for number in range(COUNT)]  # as a feed told them: 0, 1, 2 ..., while `want` locks 0, 1, 10, 100
    for key in keys:
        world.left.put("things", key, name="bad" if what == "discard" else "x", dear=True)
    for start in range(0, COUNT, 5):
        with world.store.write() as session:
            want(session, world.connection_id, "things", keys[start : start + 5], lane=Lane.SCHEDULED, now=world.time.at)
    world.settle(rounds=200)
    with world.store.read() as session:
        letters = [one for one, _ in deadletters.listed(session)]
        found = held.listed(session, world.engine)
    assert len(letters if what == "discard" else found) == COUNT
    errors: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    until = real_time.monotonic() + 12

    def loop(name: str, act: Callable[[], Any]) -> None:
        while real_time.monotonic() < until:
            try:
                act()
            except Misconfigured as error:
                runs[f"{name} refused {str(error)[:60]}"] += 1
            except Transient as error:
                errors[f"{name}: {error}"[:150]] += 1
            runs[name] += 1

    def feed() -> None:
        with world.store.write() as session:
            some = random.sample(keys, 150)  # a page of a feed
            want(session, world.connection_id, "things", some, lane=Lane.SCHEDULED, now=world.time.at)

    def decide() -> None:
        if what == "discard":
            replay.discard(world.engine, letters, because="x", by="anna")
        else:
            held.refuse(world.engine, found, because="x", by="anna")

    def retry() -> None:
        deadletters.retry(world.engine, [one.id for one in letters], closed_too=True, a_minute=30)

    acts = {"feed": feed, "decide": decide} | ({"retry": retry} if what == "discard" else {})
    threads = [threading.Thread(target=loop, args=one) for one in acts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(runs, errors)
    assert not errors, (runs, errors)


def test_a_second_approval_leaves_no_write_in_doubt(make_world: Callable[..., World]) -> None:
    """The target cannot be searched: whatever makes a worker lose its answer costs a person's look."""
    world = make_world(flow("things", Plain(_map, rules=_dear), batch=200), right={"most_per_write": 20})
    if world.store.is_sqlite:
        pytest.skip("one writer")
    world.resources["right.things"].safety = {Verb.CREATE: Safety.ASK, Verb.CHANGE: Safety.ABSOLUTE}
    keys = [str(number) for number in range(20)]
    for key in keys:
        world.left.put("things", key, name="x", dear=True)
    with world.store.write() as session:
        for key in reversed(keys):
            want(session, world.connection_id, "things", [key], lane=Lane.SCHEDULED, now=world.time.at)
    world.settle(rounds=200)
    with world.store.read() as session:
        found = held.listed(session, world.engine)
    assert len(found) == 20
    for one in reversed(found):  # one after the other, so that they are not due in the order of their numbers
        held.approve(world.engine, [one], by="anna")
        world.time.pass_(1)
    ids = sorted(one.record.id for one in found)
    told: Counter[str] = Counter()
    has_first = threading.Event()

    def bert() -> None:
        """The locks of a bulk command, in their order: `seen.locked` takes the lowest first."""
        try:
            with world.store.write() as session:
                seen.locked(session, ids[:1])
                has_first.set()
                blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                for _ in range(200):
                    with world.store.read() as other:
                        if other.execute(text(blocked)).scalar():
                            break
                    real_time.sleep(0.01)
                seen.locked(session, ids)
        except Transient as error:
            told[f"bert: {error}"] += 1

    person = threading.Thread(target=bert)

    def during_write(_: Any) -> None:
        if len(world.right.writes) == len(keys) - 1:
            person.start()
            has_first.wait(10)

    world.right.during_write = during_write
    world.right.faults = [*[""] * (len(keys) - 1), "busy"]  # put off at once, before what went through is stored
    try:
        world.settle(rounds=20, patience_s=300)
    except Transient as error:  # as a worker's: its step ends here
        told[f"the worker: {error}"] += 1
        told[" > ".join(one.name for one in traceback.extract_tb(error.__traceback__) if "syncengine/engine" in one.filename)] += 1
    person.join()
    world.right.during_write = None
    world.time.pass_(3600)
    world.settle(rounds=40, patience_s=600)
    states = Counter((one.status, one.reason.rstrip("0123456789")) for one in (world.record("things", key) for key in keys))
    print(told, states)
    assert set(states) == {("done", "create ")}, (told, states)

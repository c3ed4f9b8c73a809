"""Bulk decisions beside feeds on PostgreSQL: nobody ends as the victim of a deadlock."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet

from syncengine.document import Doc
from syncengine.engine.core.want import want
from syncengine.engine.people import dead_letter_bulk, dead_letters, held
from syncengine.engine.upkeep import reseal
from syncengine.errors import Misconfigured, Rejected, Transient
from syncengine.mapping.contract import Context, RuleDecision, RuleVerdict
from syncengine.store.states import Lane
from syncengine.vault import Vault
from tests.conftest import KEY
from tests.contract.kernel.world import Plain, World, by_name, flow

COUNT = 200
FOR_S = 4.0


def _dear(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.HOLD, "over the credit limit") if doc.get("dear") else RuleDecision()


def _or_refuse(doc: Doc, context: Context) -> Doc:
    if doc["name"] == "bad":
        raise Rejected(field="name", value="bad", reason="no such thing", remedy="correct it")
    return by_name(doc, context)


@pytest.fixture
def world(make_world: Callable[..., World], request: pytest.FixtureRequest) -> World:
    """Records that a feed listed as 0, 1, 2 ..., while `want` locks 0, 1, 10, 100; all dead, or all held."""
    world = make_world(flow("things", Plain(_or_refuse, rules=_dear), batch=200))
    if world.store.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    for number in range(COUNT):
        world.left.put("things", str(number), name="bad" if request.param == "dead" else "x", dear=True)
    for start in range(0, COUNT, 5):
        world.want("things", *map(str, range(start, start + 5)))
    world.settle(rounds=200)
    return world


def _at_once(*acts: Callable[[], Any]) -> list[str]:
    """Do these again and again beside one another; what was not possible for a deadlock or a lock."""
    until, errors = time.monotonic() + FOR_S, []

    def loop(act: Callable[[], Any]) -> None:
        while time.monotonic() < until:
            try:
                act()
            except Misconfigured:  # others were faster
                continue
            except Transient as error:
                errors.append(str(error))

    threads = [threading.Thread(target=loop, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def _feed(world: World) -> None:
    some = [str(number) for number in random.sample(range(COUNT), 100)]
    with world.store.write() as session:
        want(session, world.connection_id, "things", some, lane=Lane.SCHEDULED, now=world.time.at)


@pytest.mark.parametrize("world", ["held"], indirect=True)
def test_many_are_refused_while_feeds_tell_of_them(world: World) -> None:
    with world.store.read() as session:
        found = held.listed(session, world.engine)
    assert len(found) == COUNT
    refuse = lambda: held.refuse(world.engine, found, because="x", by="anna")  # noqa: E731
    assert _at_once(lambda: _feed(world), refuse) == []


@pytest.mark.parametrize("world", ["dead"], indirect=True)
def test_many_are_discarded_and_retried_while_feeds_tell_of_them(world: World) -> None:
    with world.store.read() as session:
        letters = [one for one, _ in dead_letters.listed(session)]
    assert len(letters) == COUNT
    ids = [one.id for one in letters]
    discard = lambda: dead_letter_bulk.discard(world.engine, letters, because="x", by="anna")  # noqa: E731
    retry = lambda: dead_letters.retry(world.engine, ids, closed_too=True, a_minute=30)  # noqa: E731
    assert _at_once(lambda: _feed(world), discard, retry) == []


@pytest.mark.parametrize("world", ["held"], indirect=True)
def test_everything_is_sealed_again_while_feeds_and_people_work(world: World) -> None:
    with world.store.read() as session:
        found = held.listed(session, world.engine)
    second = Fernet.generate_key().decode()
    vault = Vault(world.store, [second, KEY])
    world.engine.vault = vault
    refuse = lambda: held.refuse(world.engine, found, because="x", by="anna")  # noqa: E731
    reseal.request(world.store, vault)
    assert _at_once(lambda: _feed(world), refuse, lambda: reseal.run(world.engine, for_s=1.0)) == []

"""The write ceiling: a maximum of writes of a flow in an hour, until a person opens it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread
from types import ModuleType

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncengine.engine.core.engine import Engine
from syncengine.engine.core.want import want
from syncengine.engine.people import dead_letters, trace
from syncengine.engine.steps import running
from syncengine.engine.traffic import endpoints
from syncengine.engine.writes import ceiling
from syncengine.errors import Misconfigured
from syncengine.mapping.contract import Context
from syncengine.store import models as m
from tests.contract.kernel.world import Plain, World, by_name, flow


def _put(world: World, numbers: range, **more: object) -> list[str]:
    for number in numbers:
        world.left.put("things", str(number), name=f"thing {number}", **more)
    return [str(number) for number in numbers]


def _held(world: World) -> list[str]:
    with world.store.read() as session:
        query = select(m.Record.key, m.Record.reason).where(m.Record.status == "held").order_by(m.Record.id)
        found = [(key, reason) for key, reason in session.execute(query)]
    assert all(reason.startswith("write ceiling: things of main has been shut since ") for _, reason in found)
    return [key for key, _ in found]


def _open(world: World, **more: object) -> int:
    world.time.pass_(1)
    return ceiling.open_(world.engine, "main", "things", by="Kim", **more).let_go  # type: ignore[arg-type]


@pytest.mark.one_database
def test_beyond_its_ceiling_a_flow_writes_nothing_more_and_says_what_to_do(world: World) -> None:
    world.configure(ceilings={"things": 12})
    world.sync("things", *_put(world, range(1, 31)))  # batches of ten

    assert len(world.right.writes) == 12
    assert len(_held(world)) == 18
    assert "`syncengine ceilings open main things --because TEXT`" in world.record("things", "30").reason
    assert world.timeline("things", "30") == ["fetched", "planned", "held"]
    (listed,) = ceiling.listed(world.engine)
    assert (listed.limit, listed.sent, listed.held) == (12, 12, 18)
    assert listed.shut_because == "12 writes within an hour, the maximum that its ceiling allows"
    with world.store.read() as session:
        shut = session.scalars(select(m.Event).where(m.Event.what == "ceiling reached")).all()
    assert [(event.connection_id, event.flow) for event in shut] == [(world.connection_id, "things")]


@pytest.mark.one_database
def test_a_flow_that_is_shut_stays_shut_when_the_hour_is_over_and_when_held_records_are_looked_at_again(
    world: World,
) -> None:
    world.configure(ceilings={"things": 5})
    world.sync("things", *_put(world, range(1, 9)))
    reads = len(world.right.reads)
    world.time.pass_(3 * 3600)
    world.settle()
    world.sync("things", *_put(world, range(20, 23)))

    assert len(world.right.writes) == 5
    assert _held(world) == ["6", "7", "8", "20", "21", "22"]
    assert len(world.right.reads) == reads  # nobody checked the held ones again: a person must open it


@pytest.mark.one_database
def test_what_was_held_is_written_once_a_person_has_opened_the_flow(world: World) -> None:
    world.configure(ceilings={"things": 5})
    world.sync("things", *_put(world, range(1, 9)))

    assert _open(world, because="the first load") == 3
    world.settle()

    assert sorted(natural for _, natural, _ in world.right.writes) == [str(number) for number in range(1, 9)]
    assert _held(world) == []
    (listed,) = ceiling.listed(world.engine)
    assert (listed.sent, listed.shut_at, listed.opened_by) == (3, None, "Kim")
    assert world.timeline("things", "8")[-4:] == ["ceiling opened", "fetched", "planned", "written"]


@pytest.mark.one_database
def test_what_an_opening_releases_is_no_longer_held_while_it_waits_for_its_quiet_period(world: World) -> None:
    world.configure(ceilings={"things": 5})
    world.sync("things", *_put(world, range(1, 9)))

    _open(world)
    assert _held(world) == []
    (state,) = ceiling.listed(world.engine)
    assert state.held == 0
    [found] = trace.trace(world.engine, "8")
    assert found.state.startswith("due, next step fetch")
    assert "shut" not in found.state


@pytest.mark.one_database
def test_the_count_begins_anew_when_a_flow_is_opened_and_shuts_it_again(world: World) -> None:
    world.configure(ceilings={"things": 5})
    world.sync("things", *_put(world, range(1, 21)))
    _open(world)
    world.settle()

    assert len(world.right.writes) == 10
    assert len(_held(world)) == 10


@pytest.mark.one_database
def test_for_a_first_load_nothing_is_counted_for_a_while_and_then_it_is_again(world: World) -> None:
    world.configure(ceilings={"things": 5})
    assert _open(world, uncounted=timedelta(hours=8)) == 0
    world.sync("things", *_put(world, range(1, 21)))
    assert len(world.right.writes) == 20

    world.time.pass_(8 * 3600 + 1)
    world.sync("things", *_put(world, range(101, 121)))
    assert len(world.right.writes) == 25


@pytest.mark.one_database
def test_writes_of_an_hour_ago_count_no_more(world: World) -> None:
    world.configure(ceilings={"things": 5})
    for first in (1, 11, 21):
        world.sync("things", *_put(world, range(first, first + 5)))
        world.time.pass_(3601)

    assert len(world.right.writes) == 15
    assert _held(world) == []


@pytest.mark.one_database
def test_what_needs_no_write_goes_through_a_shut_flow(world: World) -> None:
    world.configure(ceilings={"things": 5})
    world.sync("things", *_put(world, range(1, 9)))
    world.left.put("things", "1", colour="red")  # not mapped
    world.sync("things", "1")

    assert world.record("things", "1").status == "done"


@pytest.mark.one_database
def test_a_mapping_error_that_would_change_everything_stops_at_the_ceiling(make_world: Callable[..., World]) -> None:
    right = {"suffix": ""}

    def to(doc: dict[str, object], context: Context) -> dict[str, object]:
        return {"ref": doc["id"], "name": f"{doc['name']}{right['suffix']}"}

    world = make_world(flow("things", Plain(to), ceiling=7))
    _open(world, uncounted=timedelta(minutes=1))
    keys = _put(world, range(1, 31))
    world.sync("things", *keys)
    world.time.pass_(60)

    right["suffix"] = ", wrongly mapped"
    for key in keys:
        world.left.put("things", key)
    world.sync("things", *keys)

    wrong = [doc for doc in world.right.objects["things"].values() if doc["name"].endswith("wrongly mapped")]
    assert len(wrong) == 7
    assert len(_held(world)) == 23


@pytest.mark.one_database
def test_a_write_that_is_refused_for_the_moment_is_no_write_of_the_hour(world: World) -> None:
    world.configure(ceilings={"things": 1})
    world.right.faults = ["busy", "busy"]
    world.sync("things", *_put(world, range(1, 2)), patience_s=600)

    assert [write[:2] for write in world.right.writes] == [("create", "1")]
    assert world.record("things", "1").status == "done"


@pytest.mark.one_database
def test_the_ceiling_of_one_flow_is_none_of_anothers(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(by_name)), flow("others", Plain(by_name), entity="things"))
    world.configure(ceilings={"things": 2})
    for number in range(101, 106):
        world.left.put("others", str(number), name="other")
    world.sync("others", *map(str, range(101, 106)))
    world.sync("things", *_put(world, range(1, 6)))

    assert [natural for _, natural, _ in world.right.writes] == ["101", "102", "103", "104", "105", "1", "2"]


def test_workers_that_write_at_once_do_not_exceed_the_ceiling_together(world: World) -> None:
    world.configure(ceilings={"things": 15})
    world.want("things", *_put(world, range(1, 61)))
    world.pump()
    engines = [_like(world) for _ in range(3)]
    threads = [Thread(target=_work, args=(world, engine)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.settle()

    assert len(world.right.writes) == 15
    assert len(_held(world)) == 45


def _like(world: World) -> Engine:
    return Engine(
        world.store, world.vault, world.flows, connect=world._connect, send=world.messages.append, limits=world.limits
    )  # fmt: skip


def _work(world: World, engine: Engine) -> None:
    while world.messages:
        try:
            chain = world.messages.pop(0)
        except IndexError:
            return
        for stage in chain.stages:
            running.run(engine, stage, chain.token)


@pytest.mark.one_database
def test_of_a_flow_whose_file_is_gone_no_ceiling_is_listed(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(by_name)), flow("stuff", Plain(by_name)))
    del world.engine.flows["things"]
    assert [one.flow for one in ceiling.listed(world.engine)] == ["stuff"]


@pytest.mark.one_database
def test_only_a_flow_that_the_connection_has_can_be_opened(world: World) -> None:
    with pytest.raises(Misconfigured, match="no connection 'other'"):
        ceiling.open_(world.engine, "other", "things", by="Kim")
    with pytest.raises(Misconfigured, match="no flow 'orders'"):
        ceiling.open_(world.engine, "main", "orders", by="Kim")


@pytest.mark.one_database
def test_a_record_with_several_writes_is_held_whole(make_world: Callable[..., World]) -> None:
    def to(doc: dict[str, object], context: Context) -> dict[str, dict[str, object]]:
        return {part: {"ref": f"{doc['id']}{part}", "name": doc["name"]} for part in ("", "EUR")}

    world = make_world(flow("things", Plain(to, parts=True)), right={"most_per_write": 10})
    world.configure(ceilings={"things": 3})
    world.sync("things", *_put(world, range(1, 4)))

    assert sorted(natural for _, natural, _ in world.right.writes) == ["1", "1EUR"]
    assert _held(world) == ["2", "3"]
    _open(world, uncounted=timedelta(hours=1))
    world.settle()
    assert len(world.right.writes) == 6


# -- many that are held ------------------------------------------------------------------------------------------------


class _Interrupted(Exception):
    """As when the process is killed."""


def _opened(world: World) -> list[str]:
    """Keys of the records that were let go, each as often as it was."""
    with world.store.read() as session:
        query = select(m.Event.key).where(m.Event.what == "ceiling opened", m.Event.key != "").order_by(m.Event.id)
        return list(session.scalars(query))


def _interrupt(monkeypatch: pytest.MonkeyPatch, module: ModuleType, *, after: int) -> None:
    """Let `want` succeed `after` times, then raise."""
    calls: list[int] = []

    def fails(*args: object, **more: object) -> int:
        calls.append(1)
        if len(calls) > after:
            raise _Interrupted
        return want(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "want", fails)


@pytest.mark.one_database
def test_many_held_records_are_let_go_in_short_transactions_between_which_others_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceiling, "AT_ONCE", 3)
    world.configure(ceilings={"things": 1})
    world.sync("things", *_put(world, range(1, 11)))
    let_go: list[int] = []
    write = world.store.write

    @contextmanager
    def counted(**more: bool) -> Iterator[Session]:
        before = len(_opened(world))
        with write(**more) as session:
            yield session
        let_go.append(len(_opened(world)) - before)
        with write() as session:  # another writer gets in here
            session.execute(update(m.ConnectionRow).values(quiet_s=float(len(let_go))))

    monkeypatch.setattr(world.store, "write", counted)
    assert _open(world, uncounted=timedelta(hours=1)) == 9

    assert let_go == [0, 3, 3, 3]  # first the ceiling itself is opened


def test_an_opening_that_is_interrupted_is_finished_by_the_next_and_lets_nothing_go_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceiling, "AT_ONCE", 3)
    world.configure(ceilings={"things": 1})
    keys = _put(world, range(11, 21))
    world.sync("things", *keys)
    with monkeypatch.context() as patched:
        _interrupt(patched, ceiling, after=2)
        with pytest.raises(_Interrupted):
            _open(world, uncounted=timedelta(hours=1))
    assert _opened(world) == keys[1:7]
    (listed,) = ceiling.listed(world.engine)
    assert (listed.shut_at, listed.held) == (None, 3)

    assert _open(world, uncounted=timedelta(hours=1)) == 3
    assert _opened(world) == keys[1:]
    world.settle()
    assert sorted(natural for _, natural, _ in world.right.writes) == sorted(keys)
    assert world.record("things", "12").done == 2  # wanted at the source, and once more by the opening


@pytest.mark.one_database
def test_what_an_interrupted_opening_has_left_is_looked_at_within_the_hour_without_a_person(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.configure(ceilings={"things": 1})
    keys = _put(world, range(1, 4))
    world.sync("things", *keys)
    with monkeypatch.context() as patched:
        _interrupt(patched, ceiling, after=0)
        with pytest.raises(_Interrupted):
            _open(world, uncounted=timedelta(hours=8))
    world.time.pass_(world.limits.hold_again_s + 1)
    world.settle()

    assert sorted(natural for _, natural, _ in world.right.writes) == keys


# -- what counts -------------------------------------------------------------------------------------------------------


def _retry(world: World) -> None:
    with world.store.read() as session:
        ids = [one.id for one, _ in dead_letters.listed(session)]
    dead_letters.retry(world.engine, ids, by="anna")


@pytest.mark.one_database
def test_each_send_counts_those_that_were_refused_and_tried_again_too(world: World) -> None:
    world.configure(ceilings={"things": 50})
    world.right.faults += ["refused"] * 1000
    world.sync("things", *_put(world, range(1, 21)), patience_s=200)
    for _ in range(4):
        _retry(world)
        world.settle(patience_s=200)

    assert 1000 - len(world.right.faults) == 50
    (listed,) = ceiling.listed(world.engine)
    assert (listed.sent, listed.held, listed.shut_at is not None) == (50, 20, True)


@pytest.mark.one_database
def test_what_never_left_or_was_not_taken_for_the_moment_does_not_count(world: World) -> None:
    world.configure(ceilings={"things": 2})
    world.right.faults += ["down", "busy", "", ""]
    world.sync("things", *_put(world, range(1, 3)), patience_s=600)

    assert len(world.right.writes) == 2
    (listed,) = ceiling.listed(world.engine)
    assert (listed.sent, listed.shut_at) == (2, None)


@pytest.mark.one_database
def test_a_figure_that_is_lowered_holds_for_the_writes_that_are_on_their_way(make_world: Callable[..., World]) -> None:
    world = make_world(flow("things", Plain(by_name)), right={"most_per_write": 1})
    world.right.during_write = lambda operation: _set(world, ceilings={"things": 3})
    world.sync("things", *_put(world, range(1, 11)))

    assert len(world.right.writes) == 3
    assert len(_held(world)) == 7


def _set(world: World, **values: object) -> None:
    """As another process does, which this one does not know of."""
    with world.store.write() as session:
        connection = session.get_one(m.ConnectionRow, world.connection_id)
        for name, value in values.items():
            setattr(connection, name, value)


@pytest.mark.one_database
@pytest.mark.parametrize("what", ["observed", "paused", "without the flow"])
def test_what_a_person_stops_is_stopped_before_the_next_write(make_world: Callable[..., World], what: str) -> None:
    world = make_world(flow("things", Plain(by_name)), right={"most_per_write": 1})

    def stop(operation: object) -> None:
        world.right.during_write = None
        if what == "observed":
            _set(world, mode="observe")
        elif what == "paused":
            until = world.time.at + timedelta(hours=1)
            endpoints.pause(world.engine, "right-1", until=until, because="year end closing", by="anna")
        else:
            _set(world, flows=[])

    world.right.during_write = stop
    world.sync("things", *_put(world, range(1, 11)))
    assert len(world.right.writes) == 1

    if what == "paused":
        endpoints.resume(world.engine, "right-1", by="anna")
    world.configure(mode="live", flows=["things"])
    world.settle(patience_s=60)
    assert len(world.right.writes) == (1 if what == "observed" else 10)  # what was observed goes by `configure`


# -- opened by two -----------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_an_opening_does_not_shorten_that_of_somebody_else(world: World) -> None:
    world.configure(ceilings={"things": 5})
    _open(world, uncounted=timedelta(hours=8))
    until = world.time.at + timedelta(hours=8)
    ceiling.open_(world.engine, "main", "things", by="bert", because="a check")

    (listed,) = ceiling.listed(world.engine)
    assert (listed.open_until, listed.opened_by) == (until, "Kim")


@pytest.mark.one_database
def test_nothing_is_left_uncounted_for_longer_than_a_week(world: World) -> None:
    with pytest.raises(Misconfigured, match="Ask for a week at most, or raise the ceiling"):
        ceiling.open_(world.engine, "main", "things", by="bert", uncounted=timedelta(days=36_500))
    ceiling.open_(world.engine, "main", "things", by="bert", uncounted=timedelta(days=7))


def test_writes_of_a_worker_that_waited_for_an_opening_are_counted(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has read the clock; then somebody opens the flow, whose row the worker waits for."""
    world = make_world(flow("things", Plain(by_name)), right={"most_per_write": 5})
    world.configure(ceilings={"things": 5})
    admit, opened = ceiling.admit, []

    def late(*given: object) -> object:
        if not opened:
            opened.append(world.time.at + timedelta(milliseconds=50))
            world.time.pass_(0.05)
            session = given[0]
            assert isinstance(session, Session)
            session.add(m.Ceiling(connection_id=world.connection_id, flow="things", counted_from=world.time.at))
            session.flush()
        return admit(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(ceiling, "admit", late)
    world.sync("things", *_put(world, range(1, 21)))

    assert (len(world.right.writes), len(_held(world))) == (5, 15)

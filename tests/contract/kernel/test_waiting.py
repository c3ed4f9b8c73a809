"""Work that the quota makes wait: it costs no attempt, holds no worker for long, and keeps nothing urgent waiting."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from syncengine.engine.steps import running
from syncengine.engine.steps.running import TryAgain
from syncengine.errors import Throttled
from syncengine.store import models as m
from syncengine.store.states import Lane, Stage
from tests.contract.kernel.world import Fake, World

pytestmark = pytest.mark.one_database


@pytest.fixture
def backlog(world: World) -> World:
    """100 things of a backfill."""
    keys = [str(number) for number in range(100)]
    for key in keys:
        world.left.put("things", key, name="lamp")
    world.want("things", *keys, lane=Lane.BACKFILL)
    return world


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says how long a call of the low lanes to one side would wait."""

    def crowd(side: str, wait_s: float) -> None:
        monkeypatch.setattr(
            Fake, "wait_s", lambda fake: wait_s if any(name.startswith(side) for name in fake.resources) else 0.0
        )

    return crowd


def throttle(world: World, monkeypatch: pytest.MonkeyPatch, retry_in_s: float) -> None:
    def read(*arguments: object) -> None:
        raise Throttled("the next free call is far away", retry_in_s=retry_in_s)

    monkeypatch.setattr(world.resources["left.things"], "read", read)


def attempts(world: World) -> int:
    with world.store.read() as session:
        return int(session.scalar(select(func.sum(m.Record.attempts))) or 0)


def test_a_wait_of_up_to_15_s_is_a_retry_of_the_step_and_after_four_of_them_the_records_wait(
    backlog: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttle(backlog, monkeypatch, 15)
    backlog.pump()
    token = backlog.messages[0].token
    for retries in range(4):
        with pytest.raises(TryAgain) as again:
            running.run(backlog.engine, Stage.FETCH, token, retries=retries)
        assert again.value.wait_s == 15
    assert running.run(backlog.engine, Stage.FETCH, token, retries=4).startswith("put off")
    assert attempts(backlog) == 0


def test_a_longer_wait_frees_the_worker_at_once(backlog: World, monkeypatch: pytest.MonkeyPatch) -> None:
    throttle(backlog, monkeypatch, 15.1)
    backlog.pump()
    assert running.run(backlog.engine, Stage.FETCH, backlog.messages[0].token).startswith("put off")
    assert attempts(backlog) == 0


def test_while_the_quota_is_used_up_a_backlog_stays_in_sql_and_urgent_work_starts_at_once(
    backlog: World, crowd: Callable[..., None]
) -> None:
    crowd("left", 40)
    assert backlog.pump() == 0
    backlog.want("things", "7", lane=Lane.REALTIME)
    assert backlog.pump() == 1
    assert backlog.messages[0].lane is Lane.REALTIME


def test_a_backlog_goes_on_when_its_wait_is_no_longer_than_a_retry(backlog: World, crowd: Callable[..., None]) -> None:
    crowd("left", 15.1)
    assert backlog.pump() == 0
    crowd("left", 15)
    assert backlog.pump() == 2


def test_what_was_fetched_already_is_pushed_although_the_sources_quota_is_used_up(
    backlog: World, crowd: Callable[..., None]
) -> None:
    fetched(backlog)
    crowd("left", 40)
    assert backlog.pump() == 1
    assert backlog.messages[0].stages == [Stage.PUSH]
    backlog.run_message(backlog.messages[0])
    assert len(backlog.right.writes) == 10


def test_what_was_fetched_already_waits_where_the_targets_quota_is_used_up(
    backlog: World, crowd: Callable[..., None]
) -> None:
    fetched(backlog)
    crowd("right", 40)
    assert backlog.pump() == 0


def fetched(world: World) -> None:
    """One batch is before its push, as after a minute of writing."""
    world.pump()
    first = world.messages[0]
    world.messages.clear()
    world.step(first, Stage.FETCH)
    world.step(first, Stage.TRANSFORM)
    with world.store.write() as session:
        for record in session.scalars(select(m.Record)):
            record.token = record.runner = record.lease_until = None
    world.time.pass_(1)

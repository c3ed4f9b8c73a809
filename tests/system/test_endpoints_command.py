"""`syncengine endpoints` and `syncengine health` as an operator meets them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from cryptography.fernet import Fernet
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from syncengine import clock, settings
from syncengine.cli import commands
from syncengine.engine.setup import bootstrap
from syncengine.engine.steps import sync
from syncengine.engine.watch import health
from syncengine.http.breaker import Breakers
from syncengine.store.models import Ceiling, ConnectionRow, Endpoint, Record
from syncengine.store.states import Lane
from tests.databases import Databases
from tests.services import free_port
from tests.system.frame_fixtures import redis_url

__all__ = ["redis_url"]

CONFIGURATION = """\
endpoints:
  shop:
    system: brightpearl
    settings: {url: "http://127.0.0.1:1", account: acme, app_ref: app, auth: private}
    secrets: {account_token: token}
  erp:
    system: syspro
    settings: {gateway: enet, url: "http://127.0.0.1:1/Rest", operator: BPSYNC, company: T}
    secrets: {operator_password: secret}
connections:
  main: {left: shop, right: erp, mode: live, flows: [customers], cut_over: 2026-01-01T00:00:00Z}
"""


class Operator:
    """Runs commands, and keeps what they said."""

    def __init__(self) -> None:
        self.runner = CliRunner()

    def says(self, *words: str, code: int = 0) -> str:
        done = self.runner.invoke(commands, words, standalone_mode=False)
        assert (done.return_value or 0) == code, done.output
        if done.exception is not None:
            raise done.exception
        return done.output

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.says(*words, "--json", code=code))


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str, databases: Databases) -> Operator:
    """An operator of an installation with one connection, whose systems do not answer."""
    configuration = tmp_path / "syncengine.yml"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNCENGINE_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("SYNCENGINE_CONFIG", str(configuration))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("DATABASE_URL", databases.sqlite())
    monkeypatch.setenv("SYNCENGINE_KEYS", Fernet.generate_key().decode())
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    client.close()
    operator = Operator()
    operator.says("configure", "--yes")
    return operator


def _row(operator: Operator, name: str) -> dict[str, Any]:
    return next(row for row in operator.json("endpoints", "list") if row["name"] == name)


def _break(redis_url: str) -> None:
    breakers = Breakers(redis.Redis.from_url(redis_url), bootstrap.rules(settings.load()))
    for _ in range(3):
        with breakers.admit("erp") as passage:
            passage.failed("connection refused")


def test_endpoints_are_listed_with_their_state_and_quota(operator: Operator) -> None:
    shown = operator.says("endpoints", "list")

    assert [line.split()[:4] for line in shown.splitlines()] == [
        ["endpoint", "system", "connections", "state"],
        ["erp", "syspro", "main", "up"],
        ["shop", "brightpearl", "main", "up"],
    ]
    assert _row(operator, "erp")["breaker"]["is_open"] is False


def test_a_pause_is_shown_with_its_end_its_reason_and_who_it_was(operator: Operator) -> None:
    said = operator.says("endpoints", "pause", "erp", "--for", "2h", "--because", "upgrade")

    assert "erp is paused until 20" in said
    assert "Resume it with `syncengine endpoints resume erp`." in said
    assert ": upgrade" in operator.says("endpoints", "list")
    row = _row(operator, "erp")
    assert row["paused_because"] == "upgrade"
    assert row["paused_by"]
    assert operator.json("endpoints", "resume", "erp") == {"endpoint": "erp", "resumed": True}
    assert operator.says("endpoints", "resume", "erp").startswith("erp was neither paused nor down (resumed: ")


def test_an_endpoint_that_cannot_be_reached_is_named_once(operator: Operator) -> None:
    lines = operator.says("check", code=1).splitlines()
    assert [line.split(": ")[0] for line in lines] == ["FAILED shop", "FAILED erp"]
    assert all(line.count("refused") == 1 for line in lines)
    assert not any("erp: erp" in line or "shop: shop" in line for line in lines)


def test_a_sync_that_does_not_move_says_which_endpoint_rests_and_exits_with_1(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncengine.cli._waiting.CHECK_EVERY_S", 0.2)
    _put("200", wanted=2)  # due too, and not asked for
    operator.says("endpoints", "pause", "erp", "--for", "2h", "--because", "upgrade")

    said = operator.says("sync", "customers", "--id", "310", code=1)

    assert "1 record of customers is still waiting" in said
    assert re.search(r"erp is paused until .* UTC by \S+: upgrade; they continue after it", said)
    assert said.splitlines()[-1] == "1 due"
    assert "up` running" not in said
    row = operator.json("sync", "customers", "--id", "310", code=1)
    assert (row["due"], row["statuses"]) == (1, {"open": 1})


def test_a_sync_that_does_not_move_says_that_credentials_are_refused_or_that_an_endpoint_is_down(
    operator: Operator, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncengine.cli._waiting.CHECK_EVERY_S", 0.2)
    with _session() as session:
        shop = session.scalars(select(Endpoint).where(Endpoint.name == "shop")).one()
        shop.paused_until, shop.paused_because = clock.now() + timedelta(minutes=5), "401"
    _break(redis_url)

    said = operator.says("sync", "customers", "--id", "310", code=1)

    assert re.search(r"credentials refused; paused until .* UTC: 401\. Correct its credentials", said)
    assert "down: connection refused. Check that erp is running" in said


def test_a_sync_that_nobody_works_on_says_to_start_the_processes(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncengine.cli._waiting.CHECK_EVERY_S", 0.2)
    said = operator.says("sync", "customers", "--id", "310", code=1)
    assert "pump: has not run yet. Start the processes with `syncengine up`" in said


def test_a_sync_that_is_slow_says_now_and_then_what_it_waits_for_and_ends_well(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncengine.cli._waiting.CHECK_EVERY_S", 0.2)
    with _session() as session:
        for name in (health.PUMP, Lane.REALTIME.label):
            health.note(session, name, clock.now())
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(0.3)
        if len(waits) == 3:
            with _session() as session:
                session.execute(update(Record).values(done=Record.wanted, status="done"))

    monkeypatch.setattr(clock, "sleep", sleep)

    said = operator.says("sync", "customers", "--id", "310").splitlines()

    assert any(line.startswith("customers: 1 due; waiting for the workers") for line in said)
    assert said[-1] == "1 done"


def test_a_sync_whose_feeds_wait_says_so_and_does_not_wait_for_what_it_could_not_start(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncengine.cli._waiting.CHECK_EVERY_S", 0.1)
    _put("200", wanted=2)

    def start(*_: object) -> list[str]:
        time.sleep(0.5)
        return ["main: the next free call is 80 s away"]

    monkeypatch.setattr(sync, "start", start)

    said = operator.says("sync", "customers", code=1).splitlines()

    assert said[0].startswith("customers: reading its feeds")
    assert said[-1] == "main: the next free call is 80 s away"
    row = operator.json("sync", "customers", code=1)
    assert (row["due"], row["failed"]) == (0, ["main: the next free call is 80 s away"])


def test_a_shut_flow_and_held_records_are_in_the_status(operator: Operator) -> None:
    with _session() as session:
        [connection_id] = session.scalars(select(ConnectionRow.id))
        now = clock.now()
        session.add(Ceiling(connection_id=connection_id, flow="customers", shut_at=now, shut_because="too many"))
    _put("310", status="held")
    said = " ".join(operator.says("status").split())
    assert "customers of main is shut by its write ceiling. " in said
    assert "`syncengine ceilings open main customers --because TEXT`" in said
    assert "Records that need a person: `syncengine held list`" in said
    assert operator.json("status")["flows"][0]["is_shut"] is True


def _put(key: str, *, wanted: int = 1, status: str = "open") -> None:
    """A record of the flow customers, which is due if it is wanted twice."""
    with _session() as session:
        [connection_id] = session.scalars(select(ConnectionRow.id))
        now = clock.now()
        session.add(
            Record(
                connection_id=connection_id, flow="customers", key=key, lane=1, wanted=wanted, done=1, status=status,
                not_before=now, created_at=now, updated_at=now,
            )
        )  # fmt: skip


@contextmanager
def _session() -> Iterator[Session]:
    store = bootstrap.open_store(settings.load())
    with store.write() as session:
        yield session
    store.close()


def test_an_endpoint_that_is_down_says_why_and_is_tried_at_once_by_resume(
    operator: Operator, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCENGINE_BREAKER_FIRST_S", "600")
    monkeypatch.setenv("SYNCENGINE_BREAKER_MOST_S", "600")
    _break(redis_url)

    shown = " ".join(operator.says("endpoints", "list").split())
    assert re.search(r"down for \d+ s, next try in \d+ s: connection refused", shown)
    assert operator.says("endpoints", "resume", "erp") == "erp resumed.\n"
    assert _row(operator, "erp")["breaker"]["retry_in_s"] == 0


def test_without_redis_a_pause_works_and_the_breaker_is_not_known(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")

    assert "unknown: Redis does not answer" in operator.says("endpoints", "list")
    assert "is paused until" in operator.says("endpoints", "pause", "shop", "--for", "30m")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("pause", "nobody"), "there is no endpoint 'nobody'. Known endpoints: erp, shop"),
        (("resume", "nobody"), "there is no endpoint 'nobody'. Known endpoints: erp, shop"),
        (("pause", "erp", "--for", "soon"), "--for 'soon' is not a duration. Write 90s, 30m, 2h, 1h30m or 3d"),
        (("pause", "erp", "--until", "2001-01-01"), "Name a time within the coming year"),
        (("pause", "erp", "--for", "1h", "--until", "2099-01-01"), "use --for or --until, not both"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(operator: Operator, words: tuple[str, ...], says: str) -> None:
    with pytest.raises(Exception, match=r".") as error:
        operator.says("endpoints", *words)
    assert says in (getattr(error.value, "message", "") or str(error.value))


def test_health_of_an_installation_that_does_not_run_is_exit_code_1_and_what_to_do(operator: Operator) -> None:
    shown = operator.says("health", code=1)

    assert "redis" in shown
    assert "→ Start the processes with `syncengine up`" in shown
    assert operator.json("health", "--only", "redis") == {
        "well": True,
        "parts": [{"name": "redis", "pace": "moves", "says": "answers", "remedy": ""}],
    }


def test_health_without_redis_says_so_and_hides_its_password(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:hidden@127.0.0.1:{free_port()}/0")

    shown = " ".join(operator.says("health", code=1).split())
    assert "Connection refused → Start that Redis, or correct REDIS_URL" in shown
    assert shown.count("→") == 1, "all parts have the same cause"
    assert "hidden" not in shown


def test_health_of_a_part_that_does_not_exist_names_those_that_do(operator: Operator) -> None:
    with pytest.raises(
        Exception, match="Use one of: redis, connections, pump, realtime, scheduled, backfill, main: customers"
    ):
        operator.says("health", "--only", "nothing")

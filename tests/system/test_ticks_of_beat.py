"""What beat sends: it reaches workers whose clock differs, and a heap of it costs a stopped worker next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncengine.store import migrate
from tests.system.frame_fixtures import Run, bare_environment, redis_url, run

__all__ = ["bare_environment", "redis_url", "run"]

CLOCKS_DIFFER_S = 120.0
"""More than an unattended clock drifts in weeks, less than `syncengine doctor` lets pass in silence for long."""

Tasks = Callable[[str], Any]


@pytest.fixture
def tasks(bare_environment: dict[str, str], redis_url: str, tmp_path: Path) -> Tasks:
    """Run code beside our tasks, as a worker's process has them; what it puts into `result` comes back."""

    def run(code: str) -> Any:
        before = "import json\nfrom syncengine.celery import app\nfrom syncengine.tasks import made\n"
        done = subprocess.run(
            [sys.executable, "-c", f"{before}{code}\nprint(json.dumps(result))"],
            cwd=tmp_path,
            env={**bare_environment, "REDIS_URL": redis_url},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def migrated(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    migrate.upgrade(f"sqlite:///{tmp_path}/var/syncengine.db")


def test_no_tick_expires_on_arrival_where_the_workers_clock_is_minutes_ahead(tasks: Tasks) -> None:
    """A tick must last until the next one is there, by a clock that differs."""
    schedule = tasks(
        "entries = app.conf.beat_schedule.items()\n"
        "result = {name: [one['schedule'], one['options']['expires']] for name, one in entries}"
    )

    assert {"pump", "watch", "canary.realtime", "orders.sync"} <= set(schedule)
    too_short = {name for name, (every_s, expires_s) in schedule.items() if expires_s - CLOCKS_DIFFER_S < every_s * 0.9}
    assert too_short == set()
    assert max(expires_s / every_s for every_s, expires_s in schedule.values()) < 200  # so much may lie in a queue


@pytest.mark.usefixtures("migrated")
def test_of_a_heap_of_ticks_one_sweeps(tasks: Tasks) -> None:
    said = tasks(
        "tick = app.conf.beat_schedule['pump']['kwargs']\n"
        "result = [app.tasks['engine.pump'].apply(kwargs=tick).result for _ in range(3)]\n"
        "result += [app.tasks['engine.pump'].apply().result]"
    )
    assert said == ["0 chains", "another pump ran a moment ago", "another pump ran a moment ago", "0 chains"]


def test_a_message_that_must_wait_comes_before_redis_delivers_it_again(tasks: Tasks) -> None:
    """Redis gives a message to another worker after the visibility timeout, so it must be run well before."""
    countdowns, limit = tasks(
        "from syncengine.engine.steps.sync import Waiting\n"
        "class Spy:\n"
        "    name, request, seen = 'orders.sync', type('Request', (), {'retries': 0}), []\n"
        "    def apply_async(self, **how): self.seen.append(how['countdown'])\n"
        "spy = Spy()\n"
        "for wait_s in (12.5, 900.0): made._sync_later(spy, Waiting('main', wait_s, 'throttled'))\n"
        "result = [spy.seen, app.conf.broker_transport_options['visibility_timeout']]"
    )
    assert countdowns == [12.5, 300.0]
    assert max(countdowns) * 3 <= limit


def test_a_time_without_a_zone_is_utc_on_every_host(tasks: Tasks) -> None:
    read = tasks(
        "import os, time; os.environ['TZ'] = 'America/New_York'; time.tzset()\n"
        "result = [made._moment(text).isoformat() for text in ('2026-07-31T06:00', '2026-07-31T06:00+01:00', '2026-07-31')]"
    )
    assert read == ["2026-07-31T06:00:00+00:00", "2026-07-31T05:00:00+00:00", "2026-07-31T00:00:00+00:00"]


@pytest.mark.usefixtures("migrated")
def test_a_time_that_cannot_be_read_is_told_with_what_to_write(tasks: Tasks) -> None:
    said = tasks("result = str(app.tasks['orders.sync'].apply(kwargs={'since': 'soon'}).result)")
    assert said == "since = 'soon' is not a time. Write 2026-01-31T06:00 or 2026-01-31T06:00+01:00"


@pytest.mark.usefixtures("migrated")
def test_what_is_old_is_removed_by_the_hourly_task_and_shown_by_the_command(tasks: Tasks, run: Run) -> None:
    """400 days of the timeline by default, and never less than a month."""
    (at,) = tasks(
        "from datetime import UTC, datetime, timedelta\n"
        "from syncengine.tasks.base import engine\n"
        "from syncengine.store.models import Event\n"
        "ages = [timedelta(days=days) for days in (500, 450, 399, 1)]\n"
        "with engine().store.write() as session:\n"
        "    session.add_all([Event(at=datetime.now(UTC) - age, what='fetched', detail={}) for age in ages])\n"
        "result = [app.conf.beat_schedule['retention']['task']]"
    )
    shown = json.loads(run("syncengine", "retention", "--json", SYNCENGINE_KEEP_RUNS_DAYS="7").stdout)
    assert (shown["removable"]["events"], shown["kept_days"]["events"], shown["kept_days"]["runs"]) == (2, 400, 7)
    assert run("syncengine", "retention").stdout.splitlines()[1].split() == ["events", "400", "days", "2"]
    said = run("syncengine", "retention", SYNCENGINE_KEEP_EVENTS_DAYS="30").stderr
    assert said.startswith("syncengine: SYNCENGINE_KEEP_EVENTS_DAYS = '30' is not 0 (for ever) or at least 31.")

    assert tasks(f"result = app.tasks['{at}'].apply().result") == "removed 2 events"
    assert run("syncengine", "retention", "--yes").stdout == "Removed nothing.\n"

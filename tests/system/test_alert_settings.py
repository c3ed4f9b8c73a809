"""Running processes and `alerts test` agree on where alerts go."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from syncengine import clock
from syncengine.alerts import Sinks, in_use
from tests.system.frame_fixtures import Run, bare_environment, redis_url, run

__all__ = ["bare_environment", "redis_url", "run"]

pytestmark = pytest.mark.process

EDITS = """
from pathlib import Path
from syncengine.tasks.base import watcher

def after(text):
    Path(".env").write_text(text)
    return [len(watcher().sinks), watcher().thresholds.gone]

print([after("SYNCENGINE_ALERT_GONE=6"), after("SYNCENGINE_ALERT_URLS=json://127.0.0.1/a"), after("SYNCENGINE_ALERT_GONE=x")])
"""


def test_a_watcher_follows_the_file_and_keeps_its_settings_while_the_file_is_wrong(
    run: Run, bare_environment: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    assert run("syncengine", "migrate").returncode == 0
    done = subprocess.run(
        [sys.executable, "-c", EDITS], cwd=tmp_path, env={**bare_environment, "REDIS_URL": redis_url},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout == "[[0, 6], [1, 5], [1, 5]]\n"
    assert "alerts keep their previous settings: SYNCENGINE_ALERT_GONE = 'x' is not a whole number" in done.stderr


def test_alerts_test_names_the_host_whose_processes_were_started_with_other_sinks(run: Run, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        in_use.note(client, socket.gethostname(), Sinks(["json://127.0.0.1/former"]), clock.now())
        done = run("syncengine", "alerts", "test", "--json", REDIS_URL=redis_url)
        client.delete(in_use.KEY)

    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        f"processes on {socket.gethostname()}": {
            "ok": False,
            "says": "they use other sinks, which they read when they started. Restart them",
        }
    }

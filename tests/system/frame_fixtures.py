"""Fixtures of the frame: a Redis of one's own, a bare data folder, and `syncengine` run as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncengine import settings
from tests import forked
from tests.services import free_port, start_valkey, stop

OURS = ("SYNCENGINE_", "REDIS_", "DATABASE_", "CELERY_", "FLOWER_")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Valkey of this test process alone; empty it as you like."""
    url, process = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield url
    stop(process)


@pytest.fixture
def bare_environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine on which nothing of ours is set, but the data folder and a free port for Flower.

    Flower has no password and the web process no port, so `syncengine up` starts neither: a test that needs one sets it.
    """
    bare = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {
        **bare,
        "SYNCENGINE_HOME": str(tmp_path / "var"),
        "SYNCENGINE_FLOWER_PORT": str(free_port()),
        "SYNCENGINE_WEB_PORT": "0",
    }


@pytest.fixture
def bare_settings(bare_environment: dict[str, str]) -> settings.Settings:
    """The settings that `bare_environment` means."""
    return settings.load(bare_environment)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(bare_environment: dict[str, str], tmp_path: Path) -> Run:
    """Run `python -m MODULE ARGUMENTS` in an empty folder; keyword arguments are environment variables on top."""

    def run_module(module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return forked.server().run(
            module,
            arguments,
            env={**bare_environment, **variables},
            cwd=tmp_path,
            timeout_s=60,
        )

    return run_module


@pytest.fixture
def start(bare_environment: dict[str, str], tmp_path: Path) -> Run:
    """As `run`, in an interpreter that is started for it: for what imports and the start itself may break."""

    def start_module(module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=tmp_path,
            env={**bare_environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return start_module

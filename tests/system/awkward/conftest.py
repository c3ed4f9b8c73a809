"""Both sandbox systems over real HTTP, and the real engine between them; see `world.py`.

These tests take SQLite and e.net where they do not say otherwise. `SYNCENGINE_TEST_DATABASE=postgresql` and
`SYNCENGINE_TEST_GATEWAY=harmony` run them on the other ones, by hand (what is about e.net's session fails then, since an
API key has none: `test_a_session_that_is_evicted_in_mid_run_is_opened_again`):

    SYNCENGINE_TEST_DATABASE=postgresql SYNCENGINE_TEST_GATEWAY=harmony pytest -n0 tests/system/awkward/test_replay.py
"""

from __future__ import annotations

import email.utils
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from syncengine import clock
from syncengine.cli import _engine, main
from syncengine.connectors.syspro import operator
from syncengine.sandbox import http_server
from syncengine.sandbox.server import Running, Sandbox
from tests.databases import Databases
from tests.services import start_valkey, stop
from tests.system.awkward.world import DATABASES, GATEWAYS, Time, World

Cli = Callable[..., tuple[int, str, str]]

SIZES = {"contacts": 0, "products": 40, "orders": 0, "awkward": False, "tax_mix": 0}


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """A real Valkey of this test process alone, for the limiter."""
    url, process = start_valkey(tmp_path_factory.mktemp("valkey"))
    client = redis.Redis.from_url(url)
    yield client
    client.close()
    stop(process)


@pytest.fixture(scope="session")
def served() -> Iterator[Running]:
    """One sandbox for all tests; each starts with it as new."""
    with Sandbox(switches={"latency_s": 0.0}, **SIZES).start() as running:
        yield running


@pytest.fixture
def sandbox(served: Running) -> Iterator[Sandbox]:
    """The sandbox as new: products, settings and house accounts, and neither contacts nor orders."""
    sandbox = served.sandbox
    switches = dict(sandbox.switches)
    sandbox.reset(seed=1, **SIZES)
    yield sandbox
    sandbox.faults.clear()
    sandbox.switches.turn(switches)


@pytest.fixture
def time(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Time:
    """The engine's clocks and the sandbox's, moved on together without waiting."""
    time = Time(sandbox)
    monkeypatch.setattr(clock, "now", time.now)
    monkeypatch.setattr(clock, "monotonic", time.monotonic)
    monkeypatch.setattr(operator, "_now", lambda session: time.now())  # PostgreSQL's clock cannot be moved
    monkeypatch.setattr(
        http_server._Handler,
        "date_time_string",
        lambda handler, timestamp=None: email.utils.formatdate(sandbox.now().timestamp(), usegmt=True),
    )
    return time


def _one_of(known: tuple[str, ...], name: str) -> str:
    """What the environment's variable `name` says, the first of `known` where it is not set."""
    chosen = os.environ.get(name, known[0])
    if chosen not in known:
        raise pytest.UsageError(f"{name} is {chosen!r}; known are {', '.join(known)}")
    return chosen


GATEWAY, DATABASE = _one_of(GATEWAYS, "SYNCENGINE_TEST_GATEWAY"), _one_of(DATABASES, "SYNCENGINE_TEST_DATABASE")


@pytest.fixture(params=[GATEWAY])
def gateway(request: pytest.FixtureRequest) -> str:
    """`enet` by default; a test that both gateways must pass is marked with `both_gateways`."""
    return str(request.param)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """`sqlite` by default; a test that both databases must pass is marked with `both_installations`."""
    return str(getattr(request, "param", DATABASE))


@pytest.fixture
def world(
    sandbox: Sandbox, time: Time, valkey: redis.Redis, database: str, databases: Databases, gateway: str
) -> Iterator[World]:
    """Both systems and the engine, with the connection's settings of `flows/connections/sandbox.yml`."""
    valkey.flushall()
    is_sqlite, kept = database == "sqlite", f"awkward {gateway}"
    store = databases.store(databases.sqlite(kept) if is_sqlite else databases.postgres())
    is_configured = is_sqlite and databases.is_kept(kept)
    world = World(sandbox, time, store, valkey, gateway, is_configured=is_configured)
    if is_sqlite and not is_configured:  # configuring takes longer than many of these tests
        databases.keep(store, kept)
    yield world
    for undo in world.undo:
        undo()
    world.engine.close()


@pytest.fixture
def cli(
    world: World,
    valkey: redis.Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    """Runs a command on the world's store in this process; gives exit code, output and complaints."""
    host = valkey.connection_pool.connection_kwargs
    for name, value in {
        "SYNCENGINE_HOME": str(tmp_path),
        "DATABASE_URL": world.store.url,
        "SYNCENGINE_KEYS": world.key,
        "REDIS_URL": f"redis://{host['host']}:{host['port']}/0",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_engine, "_celery_send", world.messages.append)

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run

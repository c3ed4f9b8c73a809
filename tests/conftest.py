"""What all tests share: stores on both databases, a vault, one PostgreSQL a run."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, settings

from syncengine.engine.setup import bootstrap
from syncengine.store import Store
from syncengine.vault import Vault
from tests import shipped
from tests.databases import Databases
from tests.services import fast_folder, shared_folder

# A machine that is busy with other things must not fail a property; how fast code is, benchmarks tell.
settings.register_profile("syncengine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("syncengine")

# Every process of the tests would compile the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(fast_folder()))  # `tmp_path` and all below it

#: Files that take long since they wait for real processes, longest first. One comes after every few other files: together
#: they would leave the processors idle, and at the end leave a test process alone with one.
LONGEST = (
    "test_redis_faults.py",
    "test_limiter_bench.py",
    "test_watchdog.py",
    "test_supervisor.py",
    "test_processes.py",
    "test_calls.py",
    "test_processes_in_trouble.py",
    "test_newest_wins.py",
    "test_outage.py",
    "test_every_place.py",
    "test_dropped_flow.py",
    "test_ticks_of_beat.py",
    "test_embedded_redis.py",
    "test_shutdown.py",
    "test_keys_command.py",
)
BETWEEN = 3

#: Where the tests are that show what the engine and the mapping do, on SQLite: coverage is measured for these alone, since
#: it makes each of them twice as slow, and the others go the same ways once more. So do the files of `COVERED_BY_OTHERS`.
COVERED = ("unit/engine", "unit/mapping", "contract/kernel", "contract/configure", "contract/doctor", "contract/health",
           "contract/alerts")  # fmt: skip
COVERED_BY_OTHERS = frozenset({
    "test_accounts.py", "test_bulk_locks.py", "test_ceiling.py", "test_corners.py", "test_cut_over.py",
    "test_doubtful_changes.py", "test_faults.py", "test_flows_folder.py", "test_in_between.py", "test_in_line.py",
    "test_init.py", "test_missed_needs.py", "test_moving.py", "test_needs.py", "test_newborn.py", "test_observe.py",
    "test_old_pictures.py", "test_one_bad_record.py", "test_one_bad_record_and_the_probe.py",
    "test_people_machine.py", "test_plain.py", "test_renamed_flow.py", "test_retention.py", "test_same_version.py",
    "test_several_calls.py", "test_shapes.py", "test_state_machine.py", "test_store_faults.py", "test_texts.py",
    "test_two_people.py",
})  # fmt: skip

KEY = Fernet.generate_key().decode()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Spread `LONGEST` over the first files; the order within a file stays. Measure the coverage of `COVERED` alone.

    See `_leave_out` for what is not run.
    """
    _leave_out(config, items)
    long = {name: BETWEEN * number for number, name in enumerate(LONGEST)}
    order = {path: number for number, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (long.get(item.path.name, order[item.path]), order[item.path]))
    for item in items:
        if not _is_measured(item):
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """Search for garbage less often, and not in what stays until the end: it takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _is_measured(item: pytest.Item) -> bool:
    room = item.path.relative_to(Path(__file__).parent).parent.as_posix()
    if item.get_closest_marker("postgres") is not None or item.path.name in COVERED_BY_OTHERS:
        return False
    return room.startswith(COVERED)


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out of `items` what shows a rule once more in a place that the rule does not depend on.

    `one_database`: a rule that is not SQL's runs on SQLite, and on both with TEST_DATABASES=all. `one_gateway`: a rule that
    SYSPRO's gateways have no part in runs with e.net, and with both with TEST_GATEWAYS=all.
    """
    twice = set()
    if os.environ.get("TEST_DATABASES") != "all":
        twice |= {
            item for item in items if item.get_closest_marker("one_database") and item.get_closest_marker("postgres")
        }
    if os.environ.get("TEST_GATEWAYS") != "all":
        once = [item for item in items if item.get_closest_marker("one_gateway")]
        twice |= {item for item in once if item.callspec.params["gateway"] != "enet"}  # type: ignore[attr-defined]
    config.hook.pytest_deselected(items=list(twice))
    items[:] = [item for item in items if item not in twice]


@pytest.fixture(scope="session", autouse=True)
def _shipped_flows_are_compiled_once() -> Iterator[None]:
    """In commands that tests run in their own process; see `shipped`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "compiled_flows", shipped.load_once)
        yield


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """This test process's databases."""
    databases = Databases(tmp_path_factory.mktemp("databases"), shared_folder(tmp_path_factory.getbasetemp()))
    yield databases
    databases.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, databases: Databases) -> str:
    """A migrated, empty database: each test runs once on SQLite and once on PostgreSQL."""
    return databases.sqlite() if request.param == "sqlite" else databases.postgres()


@pytest.fixture
def store(database_url: str, databases: Databases) -> Iterator[Store]:
    """A store on `database_url`, with no connection that an earlier test used if that is a file."""
    store = databases.store(database_url)
    yield store
    if store.is_sqlite:
        store.close()


@pytest.fixture
def vault(store: Store) -> Vault:
    """A vault on `store`, with a key of the test run's own."""
    return Vault(store, [KEY])

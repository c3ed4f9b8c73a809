"""What all tests share: stores on both databases, a vault, one PostgreSQL a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, settings

from syncengine.store import Store
from syncengine.store.migrate import upgrade
from syncengine.vault import Vault
from tests.services import drop_postgres, shared_folder, start_postgres

# A machine that is busy with other things must not fail a property; how fast code is, benchmarks tell.
settings.register_profile("syncengine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("syncengine")

KEY = Fernet.generate_key().decode()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A migrated, empty database: each test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/test.db"
        upgrade(url)
        yield url
        return
    url = start_postgres(shared_folder(tmp_path_factory.getbasetemp()))
    upgrade(url)
    yield url
    drop_postgres(url)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store on `database_url`."""
    store = Store(database_url)
    yield store
    store.close()


@pytest.fixture
def vault(store: Store) -> Vault:
    """A vault on `store`, with a key of the test run's own."""
    return Vault(store, [KEY])

"""A Valkey of one's own, for what speaks to it directly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests import services


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url, process = services.start_valkey(tmp_path_factory.mktemp("valkey"))
    yield url
    services.stop(process)


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    """Emptied before each test."""
    client = redis.Redis.from_url(valkey_url)
    client.flushall()
    yield client
    client.close()

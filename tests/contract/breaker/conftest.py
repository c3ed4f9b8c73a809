"""A Valkey of one's own, a clock that tests move, and a server that can be told to fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from tests import services


@dataclass
class Time:
    """Seconds; stands still until a test moves it."""

    at: float = 1_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url, process = services.start_valkey(tmp_path_factory.mktemp("valkey"))
    yield url
    services.stop(process)


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(valkey_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def time() -> Time:
    return Time()

"""A sink on 127.0.0.1 and a Valkey of one's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.contract.alerts.sink import Inbox
from tests.services import start_valkey, stop


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    yield inbox
    inbox.close()


@pytest.fixture
def other() -> Iterator[Inbox]:
    other = Inbox()
    yield other
    other.close()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    url, process = start_valkey(tmp_path_factory.mktemp("valkey"))
    client = redis.Redis.from_url(url)
    yield client
    client.close()
    stop(process)


@pytest.fixture
def client(valkey: redis.Redis) -> redis.Redis:
    valkey.flushall()
    return valkey

"""A sink on 127.0.0.1."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.alerts.sink import Inbox


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

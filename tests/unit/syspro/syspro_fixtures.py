"""Settings for tests without a network."""

from __future__ import annotations

from typing import Any

from syncengine.connectors.base import Endpoint
from syncengine.connectors.syspro.resources import RESOURCES
from syncengine.connectors.syspro.settings import Settings


def endpoint(**more: Any) -> Endpoint:
    given = {"url": "http://127.0.0.1:1", "operator": "BPSYNC", "company": "T", **more}
    return Endpoint(1, "syspro-test", "syspro", given)


def settings(**more: Any) -> Settings:
    return Settings.of(endpoint(**more), RESOURCES)

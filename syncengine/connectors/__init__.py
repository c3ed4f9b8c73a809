"""Connectors: one package a system, found by its folder's name. `base.py` is the face that the engine knows."""

from __future__ import annotations

import functools
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING

from syncengine.errors import Misconfigured

if TYPE_CHECKING:
    from syncengine.connectors.base import Account, Connector, Endpoint, Source
    from syncengine.connectors.declared import DeclaredSecret, DeclaredSetting
    from syncengine.connectors.hooks import Receiver
    from syncengine.connectors.services import Services

__all__ = ["account_of", "connect", "receiver_of", "resources", "secrets_of", "settings_of", "systems"]


def systems() -> list[str]:
    """Names of all systems that can be connected."""
    return sorted(module.name for module in iter_modules(__path__) if module.ispkg)


def connect(endpoint: Endpoint, services: Services) -> Connector:
    """The connector of an endpoint; makes no call. Raises Misconfigured for a wrong system or setting."""
    connector: Connector = _package(endpoint).connect(endpoint, services)
    return connector


def account_of(endpoint: Endpoint) -> Account:
    """The account that an endpoint's settings name, even if they are not valid. Raises Misconfigured for an unknown system."""
    account: Account = _package(endpoint).account_of(endpoint)
    return account


def settings_of(system: str) -> tuple[DeclaredSetting, ...]:
    """What an endpoint of the system can set."""
    declared: tuple[DeclaredSetting, ...] = import_module(f"{__name__}.{system}").SETTINGS
    return declared


def secrets_of(system: str) -> tuple[DeclaredSecret, ...]:
    """The secrets that an endpoint of the system may have."""
    declared: tuple[DeclaredSecret, ...] = import_module(f"{__name__}.{system}").SECRETS
    return declared


@functools.lru_cache(maxsize=32)  # asked for each webhook, and names come from outside
def receiver_of(system: str) -> Receiver | None:
    """How webhooks of the system are read; None if there is no such system, or it has none."""
    if system not in systems() or find_spec(f"{__name__}.{system}.hooks") is None:
        return None
    receiver: Receiver = import_module(f"{__name__}.{system}.hooks").RECEIVER
    return receiver


def _package(endpoint: Endpoint) -> ModuleType:
    if endpoint.system not in systems():
        known = ", ".join(systems())
        raise Misconfigured(
            f"endpoint {endpoint.name}: system = {endpoint.system!r} is not known. Write one of {known}"
        )
    return import_module(f"{__name__}.{endpoint.system}")


def resources() -> dict[str, type[Source]]:
    """The resource classes of all systems by name, as flows refer to them: `RESOURCES` of each system's `resources`."""
    return {
        kind.name: kind for system in systems() for kind in import_module(f"{__name__}.{system}.resources").RESOURCES
    }

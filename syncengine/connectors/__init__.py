"""Connectors: one package a system, found by its folder's name. `base.py` is the face that the engine knows."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from syncengine.connectors.base import Connector, Endpoint, Resource
from syncengine.connectors.services import Services
from syncengine.errors import Misconfigured

__all__ = ["connect", "resources", "systems"]


def systems() -> list[str]:
    """Names of all systems that can be connected."""
    return sorted(module.name for module in iter_modules(__path__) if module.ispkg)


def connect(endpoint: Endpoint, services: Services) -> Connector:
    """The connector of an endpoint; makes no call. Raises Misconfigured for a wrong system or setting."""
    if endpoint.system not in systems():
        known = ", ".join(systems())
        raise Misconfigured(
            f"endpoint {endpoint.name}: system = {endpoint.system!r} is not known. Write one of {known}"
        )
    connector: Connector = import_module(f"{__name__}.{endpoint.system}").connect(endpoint, services)
    return connector


def resources() -> dict[str, type[Resource]]:
    """The resources of all systems by name, as flows refer to them: what each package's `resources` exports."""
    found: dict[str, type[Resource]] = {}
    for system in systems():
        for kind in vars(import_module(f"{__name__}.{system}.resources")).values():
            if isinstance(kind, type) and issubclass(kind, Resource) and "name" in vars(kind):
                found[kind.name] = kind
    return found

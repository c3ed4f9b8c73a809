"""Brightpearl: omnichannel retail. `connect` makes the connector of one endpoint.

Facts: reference/brightpearl.md. `settings` says what an endpoint can set, `auth` which secrets it needs in the vault.
"""

from __future__ import annotations

from syncengine.connectors.base import Connector, Endpoint
from syncengine.connectors.brightpearl.declared_settings import SECRETS, declared
from syncengine.connectors.brightpearl.resources import RESOURCES
from syncengine.connectors.brightpearl.settings import account_of
from syncengine.connectors.services import Services

__all__ = ["SECRETS", "SETTINGS", "account_of", "connect"]

SETTINGS = declared(RESOURCES)


def connect(endpoint: Endpoint, services: Services) -> Connector:
    """The connector of one endpoint; makes no call.

    Raises Misconfigured for settings that are missing or cannot be used, and where there is a limit but no limiter.
    """
    from syncengine.connectors.brightpearl import connector  # with it comes the HTTP client, which schemas do not need

    return connector.connect(endpoint, services)

"""SYSPRO, an ERP, over e.net (`enet`) or the conjectured Harmony interface (`harmony`).

`connect(endpoint, services)` gives the connector; what a site decides is read in `settings.py`.
"""

from __future__ import annotations

from syncengine.connectors.base import Connector, Endpoint
from syncengine.connectors.services import Services
from syncengine.connectors.syspro.declared_settings import SECRETS
from syncengine.connectors.syspro.resources import RESOURCES
from syncengine.connectors.syspro.settings import account_of, declared

__all__ = ["SECRETS", "SETTINGS", "account_of", "connect"]

SETTINGS = declared(RESOURCES)


def connect(endpoint: Endpoint, services: Services) -> Connector:
    """The connector of one SYSPRO endpoint; makes no call. Raises Misconfigured: setting, value and remedy."""
    from syncengine.connectors.syspro.connector import Syspro
    from syncengine.connectors.syspro.settings import Settings

    return Syspro(Settings.of(endpoint, RESOURCES), services)

"""All that speaks to one SYSPRO endpoint, in one process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar

from syncengine.connectors.base import Connector, Resource, SiteFinding, TableComparison, bound
from syncengine.connectors.services import Services
from syncengine.connectors.syspro import find, site, tax_rates, versions
from syncengine.connectors.syspro.gateways import Gateway, open_gateway
from syncengine.connectors.syspro.resources import RESOURCES
from syncengine.connectors.syspro.settings import GIVE_SECRET, Settings
from syncengine.connectors.syspro.xml import text_of

MOST_WAREHOUSES = 500
"""Warehouses that are listed for people."""


class Syspro(Connector):
    """The kinds of objects in `resources/`, over the gateway of the endpoint's settings.

    One call at a time: SYSPRO has one session per operator (syspro-transport.md section 5.3).
    """

    system: ClassVar[str] = "syspro"
    concurrency = 1
    compared_tables: ClassVar[Collection[str]] = (tax_rates.TABLE,)

    def __init__(self, settings: Settings, services: Services) -> None:
        self.settings = settings
        self.gateway: Gateway = open_gateway(settings, services)
        self.longest_call_s = settings.connect_timeout_s + settings.read_timeout_s
        self.resources: Mapping[str, Resource] = bound(RESOURCES, self.gateway, settings)

    def check(self) -> str:
        """See `Connector.check`. Logs on if no worker has a session, and ends nobody's. A version before 7 is refused."""
        return self._described(self.gateway.check())

    def site(self, settings: Mapping[str, Any]) -> Sequence[SiteFinding]:
        """See `Connector.site`: by IMPQSO and IMPQTX, one call each."""
        with self.gateway.as_found():
            return site.findings(self.gateway, settings)

    def compare_table(
        self, table: str, entries: Mapping[str, str], on: date, settings: Mapping[str, Any]
    ) -> TableComparison:
        """See `Connector.compare_table`: tax rates, by SORRSL."""
        if table != tax_rates.TABLE:
            return super().compare_table(table, entries, on, settings)
        return tax_rates.compare(self.gateway, entries, on, settings)

    def listed(self, what: str) -> Mapping[str, str]:
        """The warehouses, by one COMFND on InvWhControl; see `Connector.listed`."""
        if what != "warehouses":
            return {}
        table, key = "InvWhControl", "Warehouse"
        with self.gateway.as_found():
            rows, _ = find.groups_after(
                self.gateway, table, key, [], [key, "Description"], then_by=key, most=MOST_WAREHOUSES
            )
        return {text_of(row, key): text_of(row, "Description") for row in rows}

    def try_credentials(self) -> str:
        """See `Connector.try_credentials`. Logs on with the stored password, between two calls of the workers."""
        return self._described(self.gateway.check(fresh=True))

    def _described(self, reached: versions.Reached) -> str:
        return f"{reached.says}, {versions.described(reached, self.settings)}"

    def needed_secrets(self) -> Mapping[str, str]:
        """See `Connector.needed_secrets`."""
        names = {"session": "operator_password", "api_key": "api_key", "oauth": "client_secret"}
        return {names[self.settings.auth]: GIVE_SECRET}

    def quota(self) -> str:
        """See `Connector.quota`."""
        return self.gateway.quota()

    def log_off(self) -> None:
        """End the session that all workers share, which gives its licence back: when the whole installation stops."""
        self.gateway.log_off()

    def close(self) -> None:
        """Close this process's connections. The session stays: the other workers use it."""
        self.gateway.close()

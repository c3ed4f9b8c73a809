"""The locations of warehouses that have a role, each asked for once in a process. Facts: brightpearl.md section 14.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncengine.connectors.brightpearl.answers import NothingFound
from syncengine.errors import Rejected

if TYPE_CHECKING:
    from syncengine.connectors.brightpearl.gateway import Gateway


DEFAULT, QUARANTINE = "default", "quarantine"


class Locations:
    """Ids of locations by warehouse and role. May be shared by threads: two at once ask twice, and get the same."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._known: dict[tuple[int, str], int | None] = {}

    def default(self, warehouse_id: int) -> int:
        """Where goods are put if nothing else is said. Raises Rejected if the warehouse has none; else as `Gateway.call`."""
        found = self._role(warehouse_id, DEFAULT)
        if found is None:
            raise Rejected(
                field="warehouse",
                value=warehouse_id,
                reason="Brightpearl knows no default location of it",
                remedy="Check the warehouse's id in the flow's settings",
            )
        return found

    def quarantine(self, warehouse_id: int) -> int | None:
        """Where goods lie that cannot be sold; None if the warehouse has no such location. Raises as `Gateway.call`."""
        return self._role(warehouse_id, QUARANTINE)

    def _role(self, warehouse_id: int, role: str) -> int | None:
        key = warehouse_id, role
        if key not in self._known:
            try:
                answer = self._gateway.call("GET", f"warehouse-service/warehouse/{warehouse_id}/location/{role}")
                self._known[key] = int(answer.body["response"])
            except NothingFound:
                self._known[key] = None
        return self._known[key]

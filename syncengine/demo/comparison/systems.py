"""What both simulated systems hold, read through the sandbox's control API."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import requests

from syncengine.demo.comparison.texts import Json
from syncengine.sandbox.shop.model import ENTERED_BEFORE

TIMEOUT_S = 30


class Systems:
    """Orders, lines and customers of SYSPRO, and who created or changed each; net totals of Brightpearl."""

    def __init__(self, url: str) -> None:
        self._session, self._url = requests.Session(), f"{url.rstrip('/')}/_sandbox"
        self.orders: dict[str, list[Json]] = defaultdict(list)
        for order in self._get("syspro/SorMaster"):
            if not order["CustomerPoNumber"].startswith(ENTERED_BEFORE):
                self.orders[order["CustomerPoNumber"]].append(order)
        self.lines: dict[str, list[Json]] = defaultdict(list)
        for line in self._get("syspro/SorDetail"):
            self.lines[line["SalesOrder"]].append(line)
        self.customers: dict[str, Json] = {row["Customer"]: row for row in self._get("syspro/ArCustomer")}
        self.created: Counter[tuple[str, str]] = Counter()
        self.changed: set[tuple[str, str]] = set()
        self._read_effects()
        self._latest = {order["id"]: order for order in self._get("brightpearl/orders")["latest"]}

    def net_total(self, order_id: int) -> Decimal:
        """Brightpearl's own total of an order, without tax."""
        order = self._latest.get(order_id) or self._get(f"brightpearl/orders/{order_id}")
        return Decimal(order["totalValue"]["net"])

    def _read_effects(self) -> None:
        """Count creates and note changes made through the API, by table and order reference or customer code."""
        for effect in self._get("effects?system=syspro"):
            name = effect["reference"] if effect["object"] == "SorMaster" else effect["key"]
            if effect["action"] == "created":
                self.created[effect["object"], name] += 1
            elif effect["by"] == "api":
                self.changed.add((effect["object"], name))

    def _get(self, path: str) -> Any:
        answer = self._session.get(f"{self._url}/{path}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

"""The connection's documented settings and tables (docs/flows.md, flows/connections/sandbox.yml), read as plain data."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import yaml

PENNY = Decimal("0.01")
PRICE_STEP = Decimal("0.00001")


@dataclass(frozen=True, slots=True)
class Documented:
    """Settings, lookup tables and country names by code."""

    settings: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, str]]
    countries: Mapping[str, str]

    def lookup(self, table: str, key: object, default: str = "") -> str:
        """The entry of a table for `key`, `default` if it has none."""
        return str(self.tables.get(table, {}).get(str(key), default))

    def customer_code(self, contact_id: str, currency: str) -> str:
        """The SYSPRO customer of a contact: one for each currency."""
        prefix, home = self.settings.get("customer_prefix", "BP"), self.settings["home_currency"]
        suffix = "" if currency == home else self.lookup("currency_suffixes", currency, currency)
        return f"{prefix}{contact_id}{suffix}"

    def day(self, moment: datetime) -> str:
        """The ISO date of an aware time in the connection's time zone."""
        return moment.astimezone(ZoneInfo(self.settings["time_zone"])).date().isoformat()


def load() -> Documented:
    """Read the settings and tables that the sandbox's connection documents."""
    flows = resources.files("syncengine.flows")
    read = yaml.safe_load((flows / "connections" / "sandbox.yml").read_text(encoding="utf-8"))
    tables = {name: {str(key): str(to) for key, to in table.items()} for name, table in read["lookups"].items()}
    names = csv.DictReader((flows / "countries.csv").read_text(encoding="utf-8").splitlines())
    return Documented(read["settings"], tables, {row["code"]: row["name"] for row in names})


def rounded(value: Decimal, step: Decimal) -> Decimal:
    """`value` rounded half up to a multiple of `step`."""
    return value.quantize(step, ROUND_HALF_UP)

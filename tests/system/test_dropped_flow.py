"""A new flow between existing resources is one YAML file in a folder: it gets its tasks, and it runs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from syncengine import settings
from syncengine.demo.installation import DemoInstallation, ShopSize
from tests.system.test_processes import _json, _run, _within

pytestmark = pytest.mark.process

FLOW = """\
flow: purchase_numbers
about: Customers who must give a purchase number; comes to the links that the flow customers makes.
entity: customers
source: brightpearl.contact
target: syspro.customer
natural_key: Customer
feeds: [created]
every: 1 min
rules:
  - skip: not a customer who pays in pounds
    when: relationshipToAccount.isSupplier or relationshipToAccount.isStaff or financialDetails.currencyId != 1 or contactTags
parts:
  - "'GBP'"
mapping:
  Customer: {from: "'BP' + text(contactId)"}
  PoNumberMandatory: {value: "Y"}
"""

WATCHING = """\
flow: watching
entity: customers
about: Writes nothing; beat looks at its feed every second.
source: brightpearl.contact
target: syspro.customer
natural_key: Customer
feeds: [created]
every: 1 s
rules:
  - skip: it only watches
    when: contactId
mapping:
  Customer: {from: "'XX' + text(contactId)"}
"""


def test_one_file_in_a_folder_is_a_flow_with_tasks_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(os.environ)
    folder = tmp_path / "flows.d"
    folder.mkdir()
    (folder / "purchase_numbers.yml").write_text(FLOW, encoding="utf-8")
    (folder / "watching.yml").write_text(WATCHING, encoding="utf-8")
    site = DemoInstallation(tmp_path / "home", "enet", ShopSize(seed=3, contacts=5, products=20, orders=6), None)
    monkeypatch.setenv("SYNCENGINE_FLOWS", str(folder))
    site.plan = replace(site.plan, flows=("customers", "orders", "purchase_numbers", "watching"))
    site.settings = settings.load()
    try:
        url = site.start()
        registered = _within(
            30, lambda: "purchase_numbers.push" in _run("celery", "-A", "syncengine", "inspect", "registered").stdout
        )
        assert registered
        assert _within(30, lambda: _status("watching")["skipped"])  # nobody called it: beat did, as its file says
        for flow in ("customers", "purchase_numbers"):
            assert _run("celery", "-A", "syncengine", "call", f"{flow}.sync").returncode == 0
            assert _within(60, lambda flow=flow: _is_done(flow))
        customers = requests.get(f"{url}/_sandbox/syspro/ArCustomer", timeout=10).json()
        rows = customers.get("rows", customers) if isinstance(customers, dict) else customers
        assert {
            row["PoNumberMandatory"] for row in rows if row["Customer"].startswith("BP") and row["Currency"] == "GBP"
        } == {"Y"}
    finally:
        site.stop()
        os.environ.clear()
        os.environ.update(before)


def _is_done(name: str) -> bool:
    flow = _status(name)
    return bool(flow["done"] and not flow["due"])


def _status(name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in _json("status")["flows"] if one["flow"] == name)
    return found

"""A connection that is observed before it goes live: nothing is written, all is planned, and people see it."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from tests.system.awkward.conftest import Cli
from tests.system.awkward.world import PLACED, World


def test_an_observed_connection_reports_what_it_would_have_written_and_writes_it_when_it_goes_live(
    world: World, cli: Cli, tmp_path: Path
) -> None:
    world.configure(mode="observe")
    contact = world.shop.contact()
    order = world.shop.order(contact, world.shop.row("MUG", 2, "16.00"))
    euros = world.shop.order(contact, world.shop.row("BOOK", 1, "12.50"), currency="EUR")
    old = world.shop.order(contact, created_on=PLACED - timedelta(days=30), placed_on=PLACED - timedelta(days=30))
    refused = world.shop.order(contact, no_rows=True)
    code = f"BP{contact.id}"
    world.sync()
    assert (world.erp.customers(), world.erp.orders(order.id)) == ([], [])

    said, out, _ = cli("observe", "report", "--json")
    [report] = json.loads(out)
    assert said == 0
    assert [(one["flow"], one["verb"], one["count"], one["worth"]) for one in report["writes"]] == [
        ("customers", "create", 2, {}),
        ("orders", "create", 3, {"GBP": "24.00", "EUR": "12.50"}),
    ]
    assert [(one["status"], one["count"], one["keys"]) for one in report["stays"]] == [("dead", 1, [str(refused.id)])]
    assert "orders     create        3  EUR 12.50, GBP 24.00" in cli("observe", "report")[1]

    _, shown, _ = cli("observe", "report", "--show", euros.id)
    assert f"    Customer: {code}EUR\n" in shown
    assert f"  customers {contact.id} (EUR) is provisional: planned, not written\n" in shown
    assert "    StockLine[8102].StockCode: BOOK\n" in shown
    said, _, complaint = cli("observe", "report", "--show", refused.id)
    assert (said, complaint) == (
        1, f"Nothing would have been written for {refused.id}. Use `syncengine trace ID` to see why.\n",
    )  # fmt: skip

    sheet = tmp_path / "writes.csv"
    cli("observe", "report", "--flow", "orders", "--csv", sheet)
    rows = list(csv.DictReader(sheet.open(encoding="utf-8-sig")))
    prices = {row["key"]: Decimal(row["after"]) for row in rows if row["field"].endswith(".Price")}
    assert prices == {str(order.id): Decimal(8), str(euros.id): Decimal("12.5"), str(old.id): Decimal(8)}

    world.configure(mode="live", cut_over=PLACED)
    world.settle()
    assert world.erp.customers() == [code, f"{code}EUR"]
    assert world.erp.order(euros.id)["Customer"] == f"{code}EUR"
    assert [len(world.erp.orders(one.id)) for one in (order, euros, old, refused)] == [1, 1, 0, 0]
    assert world.status(old.id) == ("skipped", "created before the cut-over date")
    assert cli("observe", "report")[1].startswith("No connection is in observe mode")
    assert cli("observe", "report", "--connection", "main")[0] == 2


def test_going_live_with_an_earlier_cut_over_date_writes_what_was_too_old_for_the_first(world: World) -> None:
    """The feed has not listed the first order; the other was asked for, and left alone for its age."""
    world.configure(mode="observe", cut_over=PLACED)
    long_ago = {"created_on": PLACED - timedelta(days=30), "placed_on": PLACED - timedelta(days=30)}
    contact = world.shop.contact()
    unseen, asked = (world.shop.order(contact, **long_ago) for _ in range(2))
    older = world.shop.order(contact, created_on=PLACED - timedelta(days=90), placed_on=PLACED - timedelta(days=90))
    world.sync()
    world.sync("orders", asked.id)
    assert world.status(asked.id) == ("skipped", "created before the cut-over date")

    world.configure(mode="live", cut_over=PLACED - timedelta(days=60))
    world.sync()

    assert [len(world.erp.orders(one.id)) for one in (unseen, asked, older)] == [1, 1, 0]

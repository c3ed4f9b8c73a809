"""What `configure` lets through."""

from __future__ import annotations

import dataclasses
import pytest
from sqlalchemy import select

from syncengine import clock
from syncengine.engine import configure
from syncengine.engine.plan import TOO_OLD
from syncengine.errors import Misconfigured
from syncengine.store import models as m
from tests.contract.configure.test_changes import LIVE, Site, flows, installed, site  # noqa: F401

SECOND = """\
  second:
    left: shop
    right: erp
    mode: live
    cut_over: 2026-01-31T00:00:00Z
    flows: [customers, orders]
    settings: {time_zone: Europe/London, eligible_statuses: [2, 3]}
    lookups:
      currencies: {1: GBP, 2: EUR}
"""
END = "      currencies: {1: GBP, 2: EUR}\n"


def test_a_flow_that_moves_to_another_connection_of_the_same_accounts_is_refused(installed: Site) -> None:  # noqa: F811
    """`main` has written orders; `second` knows none of its links and would create each of them a second time."""
    installed.link()
    installed.link("customers")
    moved = (LIVE, ("    flows: [customers, orders]\n    quiet_s: 30\n    ceilings: {orders: 2500}\n", "    flows: []\n"),
             ("    settings: {time_zone: Europe/London, eligible_statuses: [2, 3]}\n" + "    lookups:\n" + END, SECOND))
    with pytest.raises(Misconfigured, match="a second time|twice"):
        print(installed.look(*moved).consequences)
        installed.apply(*moved)


def test_a_flow_that_moves_while_the_other_keeps_one(installed: Site) -> None:  # noqa: F811
    """What the refusal of two connections with one flow says to do: take it out of one of them. The wrong one is taken."""
    installed.link()
    installed.link("customers")
    with pytest.raises(Misconfigured) as refused:
        installed.apply(LIVE, (END, END + SECOND))
    assert "out of one of them" in str(refused.value)
    # customers and orders go to `second`; `main` keeps nothing but its name
    moved = (LIVE, ("flows: [customers, orders]\n    quiet_s: 30\n    ceilings: {orders: 2500}", "flows: [customers]\n    quiet_s: 30"),
             ("    settings: {time_zone: Europe/London, eligible_statuses: [2, 3]}\n", ""),
             (END, END + SECOND.replace("[customers, orders]", "[orders]").replace("    lookups:\n" + END, "")))
    flow = installed.flows["orders"]
    installed.flows["orders"] = dataclasses.replace(flow, needs={})  # a site's own, that needs no customers
    with pytest.raises(Misconfigured, match="a second time|twice"):
        print(installed.look(*moved).consequences)
        installed.apply(*moved)


def test_the_same_flow_under_another_name_in_a_second_connection(installed: Site) -> None:  # noqa: F811
    installed.flows["sales"] = dataclasses.replace(installed.flows["orders"], name="sales", file="flows.d/sales.yml")
    installed.link()
    second = SECOND.replace("[customers, orders]", "[sales]").replace("    lookups:\n" + END, "")
    installed.flows["sales"] = dataclasses.replace(installed.flows["sales"], needs={})
    with pytest.raises(Misconfigured, match="a second time|twice"):
        print(installed.look(LIVE, (END, END + second)).consequences)
        installed.apply(LIVE, (END, END + second))


def test_the_same_flow_under_another_name_and_entity_in_one_connection(installed: Site) -> None:  # noqa: F811
    installed.flows["sales"] = dataclasses.replace(
        installed.flows["orders"], name="sales", entity="sales", file="flows.d/sales.yml"
    )
    with pytest.raises(Misconfigured, match="a second time|twice"):
        print(installed.look(LIVE, ("[customers, orders]", "[customers, orders, sales]")).consequences)
        installed.apply(LIVE, ("[customers, orders]", "[customers, orders, sales]"))


def test_an_earlier_date_reaches_a_flow_that_was_left_out_meanwhile(installed: Site) -> None:  # noqa: F811
    now = clock.now()
    installed.add(
        m.Record(connection_id=1, flow="orders", key="4001", lane=1, wanted=1, done=1, status="skipped", reason=TOO_OLD,
                 not_before=now, created_at=now, updated_at=now),
        m.Cursor(connection_id=1, flow="orders", feed="updated", position={}, next_due=now),
    )
    out = ("[customers, orders]\n    quiet_s: 30\n    ceilings: {orders: 2500}", "[customers]")
    earlier = ("2026-01-31", "2026-01-01")
    orders_only = ("    settings: {time_zone: Europe/London, eligible_statuses: [2, 3]}\n", "")
    installed.apply(out, earlier, orders_only)
    installed.apply(earlier)
    with installed.store.read() as session:
        record = session.scalars(select(m.Record)).one()
        cursors = session.scalars(select(m.Cursor)).all()
    assert record.wanted > record.done and not cursors

"""`syspro.order_lines` and `syspro.order_progress` against the sandbox: quantities by hand figures, and calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from syncengine.connectors.base import Source
from syncengine.connectors.syspro.resources.order_lines import OrderLines
from syncengine.connectors.syspro.resources.order_progress import OrderProgress
from syncengine.document import Doc
from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.syspro import booking, invoicing
from tests.contract.syspro.conftest import Connect
from tests.contract.syspro.shipping import D, Site

Progress = Callable[..., OrderProgress]


@pytest.fixture(params=["enet", "harmony-key"])
def gateway(request: pytest.FixtureRequest) -> str:
    """Both gateways."""
    return str(request.param)


@pytest.fixture
def progress(gateway: str, connect_to: Connect) -> Progress:
    """The resource, with settings."""

    def make(**settings: Any) -> OrderProgress:
        found = connect_to(gateway, **settings).resources["syspro.order_progress"]
        assert isinstance(found, OrderProgress)
        return found

    return make


@pytest.fixture
def site(sandbox: Sandbox) -> Site:
    return Site(sandbox)


def invoice(site: Site, order: str) -> str:
    """People invoice what can be shipped."""
    booking.set_status(site.company, site.row(order), "8")
    return str(invoicing.invoice(site.company, site.row(order))["Invoice"])


def one(found: Source, order: str) -> Doc:
    return found.load(found.read([order])[order])


QUANTITIES = ("OrderQty", "ShipQty", "BackOrderQty", "DispatchedQty", "InvoicedQty", "OpenQty")


@pytest.mark.parametrize(("lists", "more"), [("SORQDL", {"SORQDL": 1}), ("COMFND", {"COMFND": 4})])
def test_progress_of_an_order_that_is_dispatched_invoiced_and_on_back_order(
    progress: Progress, site: Site, lists: str, more: dict[str, int]
) -> None:
    """Of 10: 3 are invoiced directly, 2 on a note, 1 was on a note that is cancelled, so that 5 are on back order."""
    order = site.order((3, 7), (1, 0), po="500123")
    first = invoice(site, order)
    site.change_line(order, MShipQty=D(3), MBackOrderQty=D(4), MStockQtyToShp=D(3))
    note = site.dispatch(order, tracking="TRACK-1", reference="7001")
    undone = site.dispatch(order, 1, reference="7002")
    site.act("dispatches", "cancel", note=undone)
    site.posts()
    found = progress(dispatch_lists=lists)
    doc = one(found, order)

    assert site.posts() == {"COMFND": 3} | more
    assert [tuple(line[name] for name in QUANTITIES) for line in doc["Line"]] == [
        (10, 0, 5, 2, 3, 5),
        (1, 0, 0, 0, 1, 0),
    ]
    assert [doc[f"Total{name}"] for name in QUANTITIES[:5]] == [11, 0, 5, 2, 4]
    assert (doc["CustomerPoNumber"], doc["NumDispatches"], doc["LastInvoice"]) == ("500123", 2, first)
    assert (doc["DispatchNotes"], doc["Invoices"], doc["TrackingNumbers"]) == (note, first, "TRACK-1")
    shown = [(each["DispatchNote"], each["DispatchNoteStatus"], each["UserDefined2"]) for each in doc["Dispatch"]]
    assert shown == [(note, "7", "7001"), (undone, "*", "7002")]
    assert not found.is_closed(doc)


def test_an_order_is_closed_when_all_its_dispatches_are_invoiced(progress: Progress, site: Site) -> None:
    order = site.order((2, 0))
    site.dispatch(order)
    found = progress()
    before = one(found, order)
    site.act("dispatches", "invoice", order=order)
    doc = one(found, order)

    assert (found.is_closed(before), found.is_closed(doc)) == (False, True)
    assert (doc["OrderStatus"], len(doc["Invoice"]), doc["TotalInvoicedQty"]) == ("9", 1, 2)
    assert found.version(doc) != found.version(before)


@pytest.mark.one_gateway
def test_forty_orders_cost_two_calls_until_something_left(progress: Progress, site: Site) -> None:
    """80 orders: 4 calls; with a dispatch of one of them, a SORQDL."""
    orders = [site.order((1, 0)) for _ in range(80)]
    found = progress()
    assert len(found.read(orders)) == 80
    assert site.posts() == {"COMFND": 4}
    site.dispatch(orders[0], 1)
    site.posts()
    found.read(orders)
    assert site.posts() == {"COMFND": 4, "SORQDL": 1}


def test_lines_alone_are_two_calls_whatever_was_invoiced(connect_to: Connect, site: Site) -> None:
    order = site.order((2, 1))
    invoice(site, order)
    found = connect_to().resources["syspro.order_lines"]
    assert isinstance(found, OrderLines)
    site.posts()
    doc = one(found, order)

    assert site.posts() == {"COMFND": 2}
    assert [(line["SalesOrderLine"], line["OpenQty"], line["UnitFactor"]) for line in doc["Line"]] == [("1", 1, 1)]
    assert found.read(["999999"]) == {}


@pytest.mark.one_gateway
def test_a_factor_is_shown_where_units_differ_and_something_is_to_be_shipped(progress: Progress, site: Site) -> None:
    order = site.order((2, 0), (0, 1))
    for line in (1, 2):
        site.change_line(order, line, MOrderUom="BX", MStockQtyToShp=D(24 if line == 1 else 0))
    lines = one(progress(), order)["Line"]

    assert [line["UnitFactor"] for line in lines] == [12, None]

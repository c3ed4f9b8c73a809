"""`syspro.direct_shipment` against the sandbox: its steps, where an interrupted one continues, how it is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from syncengine.connectors.base import Operation, Result
from syncengine.connectors.syspro.resources.direct_shipment import DirectShipment
from syncengine.connectors.syspro.resources.order_lines import OrderLines
from syncengine.document import Doc
from syncengine.errors import Rejected
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.syspro import booking, invoicing
from syncengine.store import Store
from tests.contract.syspro.conftest import Connect
from tests.contract.syspro.shipping import D, Site, rested, shipped

Shipments = Callable[..., DirectShipment]
BY_STATUS = pytest.mark.parametrize("status", ["4", "8"])
FULL = {"SORTOS": 1, "SORTBO": 1, "SORTIC": 1}
WITH_BACK_ORDERS = FULL | {"SORTBO": 2}
READ = {"COMFND": 2}


@pytest.fixture(params=["enet", "harmony-key"])
def gateway(request: pytest.FixtureRequest) -> str:
    """Both gateways."""
    return str(request.param)


@pytest.fixture
def shipments(gateway: str, connect_to: Connect, sandbox: Sandbox) -> Shipments:
    """The resource, with settings."""

    def make(**settings: Any) -> DirectShipment:
        if settings.get("delivery_note_status") == "8":
            sandbox.switches.turn({"syspro_delivery_note_entry": "any"})
        found = connect_to(gateway, **settings).resources["syspro.direct_shipment"]
        assert isinstance(found, DirectShipment)
        return found

    return make


@pytest.fixture
def site(sandbox: Sandbox) -> Site:
    return Site(sandbox)


def written(found: DirectShipment, operation: Operation) -> tuple[Result, str]:
    (outcome,) = found.write([operation])
    return outcome.result, outcome.key or ""


def direct(order: str, *quantities: tuple[int, int], **more: Any) -> Operation:
    return shipped(order, *quantities, is_direct=True, **more)


def known(connect_to: Connect, order: str) -> Doc:
    """What `order_lines` reads of an order, as a shipment's document may carry it."""
    found = connect_to().resources["syspro.order_lines"]
    assert isinstance(found, OrderLines)
    doc = found.read([order])[order]
    return {name: doc[name] for name in ("OrderStatus", "DeliveryNote", "Line")}


def invoices(site: Site) -> list[tuple[str, str]]:
    """Each invoice's delivery note and number."""
    return [(str(row["LastDelNote"]), str(row["Invoice"])) for row in site.company.table("ArInvoice").rows()]


# -- steps -------------------------------------------------------------------------------------------------------------


@BY_STATUS
def test_all_that_can_be_shipped_is_invoiced_in_three_calls(
    shipments: Shipments, site: Site, connect_to: Connect, status: str
) -> None:
    order = site.order((5, 0), (3, 0))
    believed = known(connect_to, order)
    found = shipments(delivery_note_status=status)
    site.posts()
    day = {"InvoiceDate": "2026-03-04", "DateDeliveryNotePrinted": "2026-03-03"}
    result, key = written(found, direct(order, (1, 5), (2, 3), **day, **believed))

    assert (result, site.posts()) == (Result.DONE, FULL)
    assert (invoices(site), site.on_hand(), site.row(order)["OrderStatus"]) == ([("7001", key)], 92, "9")
    doc = found.load(found.read([key])[key])
    assert (doc["SalesOrder"], doc["DeliveryNoteNumber"], doc["InvoiceDate"].isoformat()) == (
        order,
        "7001",
        "2026-03-04",
    )
    assert [(line["SalesOrderLine"], line["DispatchQty"]) for line in doc["MerchandiseLine"]] == [("1", 5), ("2", 3)]
    assert doc["Total"] > 0


@BY_STATUS
def test_a_part_lowers_its_lines_and_leaves_the_others_on_back_order(
    shipments: Shipments, site: Site, status: str
) -> None:
    order = site.order((5, 0), (3, 0), (0, 2))
    result, _ = written(shipments(delivery_note_status=status), direct(order, (1, 2)))

    assert (result, site.posts()) == (Result.DONE, READ | FULL)
    assert [site.line(order, line) for line in (1, 2, 3)] == [(5, 0, 3, 0), (3, 0, 3, 0), (2, 0, 2, 0)]
    assert (site.on_hand(), site.row(order)["OrderStatus"]) == (98, "2")


@BY_STATUS
def test_back_orders_are_released_from_zero(shipments: Shipments, site: Site, status: str) -> None:
    order = site.order((1, 4), (3, 0))
    result, _ = written(shipments(delivery_note_status=status), direct(order, (1, 3)))

    assert (result, site.posts()) == (Result.DONE, READ | WITH_BACK_ORDERS)
    assert [site.line(order, line) for line in (1, 2)] == [(5, 0, 2, 0), (3, 0, 3, 0)]
    assert site.on_hand() == 97


@pytest.mark.one_gateway
def test_an_order_is_shipped_in_three_parts(shipments: Shipments, site: Site) -> None:
    order = site.order((5, 0), (3, 0))
    found = shipments()
    for mark, lines in (("7001", [(1, 1)]), ("7002", [(1, 4), (2, 1)]), ("7003", [(2, 2)])):
        assert written(found, direct(order, *lines, mark=mark))[0] is Result.DONE

    assert [mark for mark, _ in invoices(site)] == ["7001", "7002", "7003"]
    assert (site.on_hand(), site.row(order)["OrderStatus"]) == (92, "9")
    hits = found.find([f"{order}/7002", f"{order}/7009"])
    (doc,) = hits.pop(f"{order}/7002")
    assert hits == {}
    assert [(line["SalesOrderLine"], D(line["DispatchQty"])) for line in doc["MerchandiseLine"]] == [("1", 4), ("2", 1)]


@pytest.mark.one_gateway
@pytest.mark.parametrize("lines", [[(1, 0)], [], [(1, 6)], [(9, 1)]])
def test_what_cannot_be_shipped_is_refused_before_any_step(
    shipments: Shipments, site: Site, lines: list[tuple[int, int]]
) -> None:
    order = site.order((5, 0))
    result, _ = written(shipments(), direct(order, *lines))

    assert (result, site.line(order), invoices(site)) == (Result.REJECTED, (5, 5, 0, 0), [])


@pytest.mark.one_gateway
@pytest.mark.parametrize("status", ["4", "8"])
def test_an_order_that_people_are_invoicing_is_left_alone(shipments: Shipments, site: Site, status: str) -> None:
    order = site.order((5, 0))
    booking.set_status(site.company, site.row(order), status)
    (outcome,) = shipments().write([direct(order, (1, 2))])

    assert isinstance(outcome.error, Rejected)
    assert (outcome.error.field, site.line(order)) == ("OrderStatus", (5, 5, 0, 0))


# -- what was believed -------------------------------------------------------------------------------------------------


@pytest.mark.one_gateway
def test_a_ship_quantity_that_grew_since_it_was_read_is_not_invoiced(
    shipments: Shipments, site: Site, connect_to: Connect
) -> None:
    """A receipt releases back orders of both lines between reading and writing."""
    order = site.order((1, 4), (0, 3))
    believed = known(connect_to, order)
    for line, ordered in ((1, 5), (2, 3)):
        site.change_line(order, line, MShipQty=D(ordered), MBackOrderQty=D(0), MStockQtyToShp=D(ordered))
    site.posts()
    result, _ = written(shipments(), direct(order, (1, 2), **believed))

    assert (result, site.posts()) == (Result.DONE, WITH_BACK_ORDERS)
    assert [site.line(order, line) for line in (1, 2)] == [(5, 0, 3, 0), (3, 0, 3, 0)]


@pytest.mark.one_gateway
def test_a_ship_quantity_that_shrank_is_read_again(shipments: Shipments, site: Site, connect_to: Connect) -> None:
    order = site.order((5, 0))
    believed = known(connect_to, order)
    site.change_line(order, MShipQty=D(1), MBackOrderQty=D(4), MStockQtyToShp=D(1))
    result, _ = written(shipments(), direct(order, (1, 3), **believed))

    assert (result, site.line(order), site.on_hand()) == (Result.DONE, (5, 0, 2, 0), 97)


# -- interrupted -------------------------------------------------------------------------------------------------------


@BY_STATUS
@pytest.mark.parametrize("is_believed", [True, False])
@pytest.mark.parametrize("after", ["before", "commit"])
@pytest.mark.parametrize("lost", ["SORTBO", "SORTOS", "SORTIC"])
def test_a_shipment_goes_on_where_it_stopped(
    shipments: Shipments,
    site: Site,
    sandbox: Sandbox,
    store: Store,
    connect_to: Connect,
    status: str,
    is_believed: bool,
    after: str,
    lost: str,
) -> None:
    """The answer to a step is lost, whether or not SYSPRO did it; the repetition believes what the first attempt did."""
    order = site.order((1, 4), (3, 0))
    believed = known(connect_to, order) if is_believed else {}
    found = shipments(delivery_note_status=status)
    operation = direct(order, (1, 3), **believed)
    sandbox.faults.add(Fault("syspro", lost, "drop", after=after))
    result, _ = written(found, operation)
    assert result in (Result.UNKNOWN, Result.RETRY)
    rested(store)

    hits = found.find([operation.natural_key])
    is_invoiced = (lost, after) == ("SORTIC", "commit")
    assert bool(hits) == is_invoiced
    if not is_invoiced:
        assert written(found, operation)[0] is Result.DONE
    assert [mark for mark, _ in invoices(site)] == ["7001"]
    assert [site.line(order, line) for line in (1, 2)] == [(5, 0, 2, 0), (3, 0, 3, 0)]
    assert site.on_hand() == 97


# -- find --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps", [True, False])
def test_a_shipment_is_found_by_order_and_delivery_note(
    shipments: Shipments, site: Site, sandbox: Sandbox, keeps: bool
) -> None:
    sandbox.switches.turn({"syspro_invoice_keeps_delivery_note": keeps})
    order, other = site.order((5, 0)), site.order((5, 0))
    found = shipments(invoices_keep_delivery_note=keeps)
    assert written(found, direct(order, (1, 2)))[0] is Result.DONE
    booking.set_status(site.company, site.row(other), "8")
    invoicing.invoice(site.company, site.row(other))
    site.posts()
    hits = found.find([f"{order}/7001", f"{order}/7002", f"{other}/7001"])

    assert site.posts() == {"COMFND": 2 if keeps else 3}
    assert [(key, [doc["SalesOrder"] for doc in docs]) for key, docs in hits.items()] == [(f"{order}/7001", [order])]


@pytest.mark.one_gateway
def test_reading_what_is_not_there_finds_nothing(shipments: Shipments) -> None:
    assert shipments().read(["999999"]) == {}

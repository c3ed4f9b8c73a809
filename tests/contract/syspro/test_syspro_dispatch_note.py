"""`syspro.dispatch_note` against the sandbox: made by SORTBO and SORTDN, found, cancelled, released and fed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from syncengine import clock
from syncengine.connectors.base import Change, Operation, Result, Verb
from syncengine.connectors.syspro.resources.dispatch_note import DispatchNote
from syncengine.errors import Rejected
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.syspro import booking, invoicing
from syncengine.store import Store
from tests.contract.syspro.conftest import Connect
from tests.contract.syspro.shipping import D, Site, rested, shipped

Notes = Callable[..., DispatchNote]
LISTS = pytest.mark.parametrize("lists", ["SORQDL", "COMFND"])


@pytest.fixture(params=["enet", "harmony-key"])
def gateway(request: pytest.FixtureRequest) -> str:
    """Both gateways."""
    return str(request.param)


@pytest.fixture
def notes(gateway: str, connect_to: Connect) -> Notes:
    """The resource, with settings."""

    def make(**settings: Any) -> DispatchNote:
        found = connect_to(gateway, **settings).resources["syspro.dispatch_note"]
        assert isinstance(found, DispatchNote)
        return found

    return make


@pytest.fixture
def site(sandbox: Sandbox) -> Site:
    return Site(sandbox)


def written(found: DispatchNote, operation: Operation) -> tuple[Result, str]:
    (outcome,) = found.write([operation])
    return outcome.result, outcome.key or ""


# -- create ------------------------------------------------------------------------------------------------------------


def test_a_note_of_ship_quantity_is_one_call_when_the_lines_are_known(notes: Notes, site: Site) -> None:
    order = site.order((5, 0), (3, 0))
    found = notes()
    line = {"ShipQty": "5", "BackOrderQty": "0"}
    operation = shipped(order, (1, 2), UserDefined1="TRACK-1", SpecialInstrs="DPD")
    operation.doc["MerchandiseLine"][0].update(line)
    result, key = written(found, operation)

    assert (result, site.posts()) == (Result.DONE, {"SORTDN": 1})
    assert (site.line(order), site.line(order, 2), site.on_hand()) == ((5, 3, 0, 2), (3, 3, 0, 0), 98)
    note = found.load(found.read([key])[key])
    assert [note[name] for name in ("SalesOrder", "UserDefined1", "UserDefined2", "DispatchNoteStatus")] == [
        order, "TRACK-1", "7001", "3",
    ]  # fmt: skip
    assert [(each["StockCode"], each["DispatchQty"]) for each in note["MerchandiseLine"]] == [("KB-2040", 2)]


def test_back_orders_are_released_before_as_far_as_the_note_needs_them(notes: Notes, site: Site) -> None:
    order = site.order((1, 4), (3, 0))
    result, _ = written(notes(), shipped(order, (1, 3), (2, 3)))

    assert (result, site.posts()) == (Result.DONE, {"COMFND": 2, "SORTBO": 1, "SORTDN": 1})
    assert (site.line(order), site.line(order, 2)) == ((5, 0, 2, 3), (3, 0, 0, 3))


def test_what_was_believed_of_a_line_is_read_again_after_a_refusal(notes: Notes, site: Site) -> None:
    order = site.order((5, 0))
    operation = shipped(order, (1, 3))
    operation.doc["MerchandiseLine"][0].update({"ShipQty": "5", "BackOrderQty": "0"})
    site.change_line(order, MShipQty=D(1), MBackOrderQty=D(4), MStockQtyToShp=D(1))
    result, _ = written(notes(), operation)

    assert (result, site.line(order)) == (Result.DONE, (5, 0, 2, 3))
    assert site.posts() == {"COMFND": 2, "SORTBO": 1, "SORTDN": 2}


@pytest.mark.one_gateway
@pytest.mark.parametrize("lines", [[(1, 0)], [], [(1, 2), (9, 1)], [(1, 6)]])
def test_a_note_that_cannot_be_made_is_refused_and_dispatches_nothing(
    notes: Notes, site: Site, lines: list[tuple[int, int]]
) -> None:
    """0 would dispatch the full quantity."""
    order = site.order((5, 0))
    result, _ = written(notes(), shipped(order, *lines))

    assert (result, site.line(order)) == (Result.REJECTED, (5, 5, 0, 0))


@pytest.mark.one_gateway
def test_a_line_without_a_link_is_refused_with_what_to_do(notes: Notes, site: Site) -> None:
    operation = shipped(site.order((5, 0)), (1, 1))
    operation.doc["MerchandiseLine"][0]["SalesOrderLine"] = ""
    (outcome,) = notes().write([operation])

    assert isinstance(outcome.error, Rejected)
    assert "link" in outcome.error.remedy
    assert site.posts() == {}


# -- find --------------------------------------------------------------------------------------------------------------


@LISTS
def test_a_note_is_found_by_order_and_reference_after_an_unknown_outcome(
    notes: Notes, site: Site, sandbox: Sandbox, store: Store, lists: str
) -> None:
    order, other = site.order((5, 0)), site.order((5, 0))
    site.dispatch(order, reference="7000")
    site.dispatch(other, reference="7002")
    found = notes(dispatch_lists=lists)
    sandbox.faults.add(Fault("syspro", "SORTDN", "drop", after="commit"))
    result, _ = written(found, shipped(order, (1, 2)))
    assert result is Result.UNKNOWN
    rested(store)
    site.posts()
    hits = found.find([f"{order}/7001", f"{other}/7001", f"{other}/7002"])

    expected = {"COMFND": 2} if lists == "COMFND" else {"SORQDL": 2, "SORQDN": 2}
    assert site.posts() == expected
    assert [(key, len(docs)) for key, docs in hits.items()] == [(f"{order}/7001", 1), (f"{other}/7002", 1)]
    (note,) = hits[f"{order}/7001"]
    assert (note["SalesOrder"], D(note["MerchandiseLine"][0]["DispatchQty"])) == (order, 2)
    assert found.read([found.key_of(note)])[found.key_of(note)] == note


@LISTS
@pytest.mark.one_gateway
def test_notes_are_read_by_key_and_one_that_does_not_exist_is_absent(notes: Notes, site: Site, lists: str) -> None:
    order = site.order((5, 0))
    keys = [site.dispatch(order, 1), site.dispatch(order, 2)]
    found = notes(dispatch_lists=lists)
    site.posts()

    assert set(found.read([*keys, "NONE/0001"])) == set(keys)
    assert site.posts() == ({"COMFND": 2} if lists == "COMFND" else {"SORQDN": 3})
    assert [each["DispatchNote"] for each in found.of_orders([order])[order]] == keys


def test_an_unknown_note_is_absent(notes: Notes, sandbox: Sandbox) -> None:
    assert notes().read(["NONE/0001"]) == {}


def test_a_release_without_its_note_is_taken_up_when_it_is_made_again(
    notes: Notes, site: Site, sandbox: Sandbox, store: Store
) -> None:
    order = site.order((0, 5))
    sandbox.faults.add(Fault("syspro", "SORTDN", "error"))
    (first,) = notes().write([shipped(order, (1, 2))])
    assert first.result in (Result.RETRY, Result.UNKNOWN)
    assert site.line(order) == (5, 2, 3, 0)
    rested(store)
    site.posts()
    result, _ = written(notes(), shipped(order, (1, 2)))

    assert (result, site.line(order)) == (Result.DONE, (5, 0, 3, 2))
    assert site.posts() == {"COMFND": 2, "SORTDN": 1}


# -- cancel and release ------------------------------------------------------------------------------------------------


def test_a_note_is_cancelled_before_its_invoice_and_not_after(notes: Notes, site: Site) -> None:
    order = site.order((5, 0))
    first, second = site.dispatch(order), site.dispatch(order)
    found = notes()
    note = found.read([first])[first]
    assert found.refuses(Verb.CANCEL, note) is None
    result, _ = written(found, Operation(Verb.CANCEL, f"{order}/7001", {}, key=first))
    assert (result, site.on_hand()) == (Result.DONE, 98)
    assert found.is_cancelled(found.read([first])[first])

    site.act("dispatches", "invoice", note=second)
    note = found.read([second])[second]
    assert "invoiced" in (found.refuses(Verb.CANCEL, note) or "")
    result, _ = written(found, Operation(Verb.CANCEL, f"{order}/7002", {}, key=second))
    assert (result, found.is_closed(note)) == (Result.REJECTED, True)


def test_a_status_is_changed_and_nothing_else_of_a_note(notes: Notes, site: Site) -> None:
    order = site.order((5, 0))
    key = site.dispatch(order, printed=False)
    found = notes()
    released = {"DispatchNoteStatus": Change("3", "5")}
    result, _ = written(found, Operation(Verb.CHANGE, "", {}, key=key, changes=released))
    assert (result, found.read([key])[key]["DispatchNoteStatus"]) == (Result.DONE, "5")

    changes = {"UserDefined1": Change("", "TRACK-2")}
    (outcome,) = found.write([Operation(Verb.CHANGE, "", {}, key=key, changes=changes)])
    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == "UserDefined1"


# -- feed --------------------------------------------------------------------------------------------------------------


@LISTS
def test_movements_feed_notes_with_the_version_that_reading_gives(notes: Notes, site: Site, lists: str) -> None:
    order = site.order((5, 0), (2, 0))
    first = str(site.act("orders", order, "dispatch", lines={"1": "2", "2": "1"})["note"]["DispatchNote"])
    second = site.dispatch(order, 1)
    site.act("dispatches", "cancel", note=second)
    found = notes(dispatch_lists=lists, dispatch_rows_per_page=2)
    site.posts()
    pages = list(found.changes("dispatched", {}))
    refs = {ref.key: ref.version for page in pages for ref in page.refs}

    assert site.posts()["COMFND"] >= 2
    assert refs == {key: found.version(doc) for key, doc in found.read([first, second]).items()}
    assert refs[first] == "3"
    today = clock.now().date()
    assert pages[-1].position == {"on": today.isoformat()}
    again = list(found.changes("dispatched", pages[-1].position))
    assert {ref.key for page in again for ref in page.refs} == {first, second}
    later = {"on": (today + timedelta(days=9)).isoformat()}
    assert not [ref for page in found.changes("dispatched", later) for ref in page.refs]


@pytest.mark.one_gateway
@pytest.mark.parametrize("rows", [2, 3, 4, 500])
def test_a_page_never_cuts_the_movements_of_a_note(notes: Notes, site: Site, rows: int) -> None:
    """Notes of 1, 3 and 2 lines, with the movements of a direct invoice among them."""
    order = site.order(*[(3, 0)] * 3)
    made = [
        str(site.act("orders", order, "dispatch", lines={str(line): "1" for line in lines})["note"]["DispatchNote"])
        for lines in ((1,), (1, 2, 3), (2, 3))
    ]
    booking.set_status(site.company, site.row(order), "8")
    invoicing.invoice(site.company, site.row(order))
    found = notes(dispatch_rows_per_page=rows)
    refs = [ref for page in found.changes("dispatched", {}) for ref in page.refs]

    assert [(ref.key, ref.version) for ref in refs] == list(zip(made, ["1", "3", "2"], strict=True))


@pytest.mark.one_gateway
def test_an_unknown_feed_is_no_feed(notes: Notes) -> None:
    with pytest.raises(LookupError):
        next(notes().changes("other", {}))


# -- documents ---------------------------------------------------------------------------------------------------------


@pytest.mark.one_gateway
def test_canonical_is_the_form_in_which_it_is_written(notes: Notes) -> None:
    line = {"SalesOrderLine": "1", "DispatchQty": "2.50"}
    doc = {"SalesOrder": "000000000001001", "UserDefined1": "TRACK-1", "MerchandiseLine": [line]}
    found = notes()
    result = found.canonical(doc)

    assert (result["SalesOrder"], result["UserDefined1"]) == ("001001", "TRACK-1")
    assert result["MerchandiseLine"][0]["DispatchQty"] == D("2.5")
    assert found.lengths()["UserDefined1"]

"""Goods-out and drop-ship notes against the sandbox: reads, feeds, what an unanswered POST has made, writes and their calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncengine.connectors.base import Change, Operation, Result, Verb
from syncengine.connectors.brightpearl.resources.drop_ship_note import DropShipNote
from syncengine.connectors.brightpearl.resources.goods_out_note import GoodsOutNote
from syncengine.document import LINE_KEY
from syncengine.errors import Rejected
from syncengine.sandbox.brightpearl import goods_out_control, stock_control
from syncengine.sandbox.brightpearl.order_parts import contact_of, new_order
from syncengine.sandbox.brightpearl.order_rows import new_row
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from tests.contract.brightpearl.conftest import Connect

MAIN, STORE, OWNER = 2, 3, 4
SHIPPED_ON = datetime(2024, 3, 6, 15, tzinfo=UTC)


class Shop:
    """An order of 5 of one product, and people who ship."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.account = sandbox, sandbox.brightpearl
        self.product = next(each for each in sandbox.shop.products if each.stock_tracked and each.sku)
        body = {"productId": self.product.id, "warehouse": MAIN, "to": 40, "cost": "1.25"}
        with self.account.lock:
            stock_control.act(self.account, "correct", body)
            stock_control.act(self.account, "correct", body | {"warehouse": STORE, "to": 8})
        self.order_id = self.order()
        sandbox.calls.reset()

    def order(self) -> int:
        with self.account.lock:
            order = new_order(self.account, contact_of(self.account, 310))
            price = self.product.price
            new_row(self.account, order, self.product, "", price * 0 + 5, price, price * 0, "T20")
            self.account.add_order(order)
        return order.id

    def row(self, order_id: int | None = None) -> int:
        return next(iter(self.account.orders[order_id or self.order_id].rows))

    def act(self, *path: str, **body: Any) -> Any:
        with self.account.lock:
            return goods_out_control.act(self.account, list(path), body)

    def note(self, quantity: int = 2, order_id: int | None = None, **body: Any) -> int:
        """People make a note."""
        order = order_id or self.order_id
        found = self.act("orders", str(order), "goods-out", rows={str(self.row(order)): quantity}, **body)
        return int(found["ids"][0])

    def calls(self) -> dict[str, int]:
        found: Any = self.sandbox.calls.summary().get("brightpearl", {"operations": {}})["operations"]
        self.sandbox.calls.reset()
        return dict(found)


@pytest.fixture
def people(sandbox: Sandbox) -> Shop:
    return Shop(sandbox)


def notes_of(shop: Connect, **settings: Any) -> GoodsOutNote:
    found = shop(**{"goods_out_owner_id": OWNER, **settings}).resources["brightpearl.goods_out_note"]
    assert isinstance(found, GoodsOutNote)
    return found


def read(notes: GoodsOutNote, *keys: int) -> dict[int, Any]:
    return {int(key): notes.load(doc) for key, doc in notes.read([str(key) for key in keys]).items()}


def creation(people: Shop, quantity: int = 2, **more: Any) -> Operation:
    row = people.row()
    line = {LINE_KEY: "1", "id": str(row), "quantity": quantity}
    doc = {"orderId": people.order_id, "warehouseId": MAIN, "orderRows": [line], **more}
    return Operation(Verb.CREATE, f"{people.order_id}/000000000001001/0001", doc, token="se-1")


def change(notes: GoodsOutNote, key: str, **changes: Any) -> Operation:
    current = notes.load(notes.read([key])[key])
    made = {name: Change(current.get(name), value) for name, value in changes.items()}
    return Operation(Verb.CHANGE, key, {}, key=key, changes=made, current=current)


# --- reading -------------------------------------------------------------------------------------------------------


def test_notes_are_read_500_a_call_with_their_rows_and_what_can_be_written(people: Shop, shop: Connect) -> None:
    first, second = people.note(2), people.note(1, reference="TRACK-1", boxes=2)
    people.act("goods-out", str(second), "ship", shippedOn="2024-03-06T15:00:00Z")
    notes = notes_of(shop)
    found = read(notes, first, second, 999_999)

    assert people.calls() == {"goods_out_note.read": 1}
    assert (notes.most_per_read, set(found)) == (500, {first, second})
    assert [(row["id"], row["productId"], row["quantity"]) for row in found[first]["orderRows"]] == [
        (str(people.row()), people.product.id, 2)
    ]
    written = ("reference", "boxes", "shippedOn", "orderId", "warehouseId")
    assert [found[second][name] for name in written] == ["TRACK-1", 2, SHIPPED_ON, people.order_id, MAIN]
    assert (found[first]["shippedOn"], found[first]["status"]["shipped"]) == (None, False)


def test_a_row_from_several_locations_is_one_row(people: Shop, shop: Connect) -> None:
    body = {"productId": people.product.id, "warehouse": MAIN, "quantity": 38, "location": 120, "cost": "1"}
    with people.account.lock:
        stock_control.act(people.account, "correct", body | {"quantity": 10})
        stock_control.act(people.account, "correct", {**body, "quantity": -37, "location": MAIN})
    note = people.note(5)
    (row,) = read(notes_of(shop), note)[note]["orderRows"]
    assert (row["quantity"], [piece["quantity"] for piece in row["pieces"]]) == (5, [3, 2])


def test_notes_of_orders_are_read_500_orders_a_call(people: Shop, shop: Connect) -> None:
    other = people.order()
    mine, theirs = people.note(), people.note(1, other)
    found = notes_of(shop).of_orders([str(people.order_id), str(other), "999999"])
    assert {key: [doc["id"] for doc in docs] for key, docs in found.items()} == {
        str(people.order_id): [mine],
        str(other): [theirs],
    }
    assert people.calls() == {"goods_out_note.read": 1}
    assert notes_of(shop).of_orders(["999999"]) == {}


def test_a_version_is_the_same_until_something_happens(people: Shop, shop: Connect) -> None:
    note, notes = str(people.note()), notes_of(shop)

    def version() -> str:
        return notes.version(notes.read([note])[note])

    first = version()
    assert version() == first
    people.act("goods-out", note, "ship")
    shipped = version()
    people.act("goods-out", note, "unship")
    assert len({first, shipped, version()}) == 3


def test_a_note_is_closed_once_nobody_undoes_it(people: Shop, shop: Connect, sandbox: Sandbox) -> None:
    note, notes = str(people.note()), notes_of(shop)
    assert not notes.is_closed(notes.read([note])[note])
    ago = (sandbox.now() - timedelta(days=13)).isoformat()
    people.act("goods-out", note, "ship", shippedOn=ago)
    assert not notes.is_closed(notes.read([note])[note])
    assert notes_of(shop, goods_out_undone_days=12).is_closed(notes.read([note])[note])


def test_a_transfer_has_a_target_and_no_order(people: Shop, shop: Connect) -> None:
    body = {"productId": people.product.id, "from": MAIN, "to": STORE, "quantity": 3}
    with people.account.lock:
        moved: Any = stock_control.act(people.account, "transfer", body)
    note = int(moved[0]["noteId"])
    found = read(notes_of(shop), note)[note]
    assert (found["orderId"], found["transfer"], found["targetWarehouseId"], found["orderRows"]) == (0, True, STORE, [])
    assert [(each["productId"], each["quantity"]) for each in found["transferRows"]] == [(people.product.id, 3)]


# --- feeds ---------------------------------------------------------------------------------------------------------


def keys_in(notes: GoodsOutNote, feed: str, position: Any = None, since: datetime | None = None) -> list[str]:
    return [ref.key for page in notes.changes(feed, position or {}, since=since) for ref in page.refs]


def test_shipped_notes_are_found_by_their_movements_back_dated_ones_too(people: Shop, shop: Connect) -> None:
    open_, shipped = people.note(1), people.note(2)
    people.act("goods-out", str(shipped), "ship", shippedOn="2020-01-01T10:00:00Z")
    notes = notes_of(shop)
    since = people.sandbox.now() - timedelta(minutes=1)
    assert keys_in(notes, "moved", since=since) == [str(shipped)]
    assert people.calls() == {"goods_movement.search": 1}
    assert keys_in(notes, "created", since=since) == [str(open_), str(shipped)]
    people.calls()
    assert keys_in(notes, "shipped", since=since) == []
    assert people.calls() == {}


def test_corrections_and_receipts_are_not_goods_out_notes(people: Shop, shop: Connect) -> None:
    with people.account.lock:
        body = {"productId": people.product.id, "warehouse": MAIN, "quantity": 3}
        stock_control.act(people.account, "receive", body)
    assert keys_in(notes_of(shop), "moved", since=people.sandbox.now() - timedelta(minutes=1)) == []


def test_where_movements_come_with_the_note_shipping_is_found_by_shipped_on(
    people: Shop, shop: Connect, sandbox: Sandbox
) -> None:
    sandbox.switches.turn({"brightpearl_movements_before_shipping": True})
    notes = notes_of(shop, goods_movements_appear="when created")
    note = people.note()
    since = sandbox.now() - timedelta(minutes=1)
    assert keys_in(notes, "moved", since=since) == [str(note)]
    assert keys_in(notes, "shipped", since=since) == []
    people.act("goods-out", str(note), "ship")
    assert keys_in(notes, "shipped", since=since) == [str(note)]


def test_an_undone_note_is_in_no_feed_and_seen_when_it_is_read_again(people: Shop, shop: Connect) -> None:
    note, notes = str(people.note()), notes_of(shop)
    people.act("goods-out", note, "ship")
    since = people.sandbox.now() - timedelta(minutes=1)
    people.act("goods-out", note, "unship")
    assert keys_in(notes, "moved", since=since) == []
    assert notes.misses_changes
    assert read(notes, int(note))[int(note)]["shippedOn"] is None


# --- creating ------------------------------------------------------------------------------------------------------


def test_a_note_is_created_given_its_reference_and_shipped(people: Shop, shop: Connect) -> None:
    notes = notes_of(shop)
    wanted = creation(people, 2, shippingMethodId=3, reference="TRACK-1", shippedOn=SHIPPED_ON)
    first, later = notes.calls(wanted)
    assert (first.verb, later.verb, set(later.changes)) == (
        Verb.CREATE, Verb.CHANGE, {"reference", "shippedOn", "shippingMethodId"},
    )  # fmt: skip
    (outcome,) = notes.write([first])
    assert (outcome.result, outcome.lines) == (Result.DONE, {"1": str(people.row())})
    key = str(outcome.key)

    for operation in notes.calls(change(notes, key, reference="TRACK-1", shippedOn=SHIPPED_ON)):
        current = notes.load(notes.read([key])[key])
        assert notes.write([_with(operation, current)])[0].result is Result.DONE
    found = read(notes, int(key))[int(key)]
    assert (found["reference"], found["shippedOn"]) == ("TRACK-1", SHIPPED_ON)
    assert found["events"][-1]["eventOwnerId"] == OWNER
    assert people.account.stock.shipped[people.row()] == 2


def test_the_products_of_rows_are_read_from_the_order_only_where_they_are_left_out(people: Shop, shop: Connect) -> None:
    notes = notes_of(shop)
    notes.write([creation(people, 1)])
    assert people.calls() == {"order.read": 1, "goods_out_note.create": 1}
    named = {LINE_KEY: "1", "id": str(people.row()), "quantity": 1, "productId": people.product.id}
    notes.write([creation(people, 1, orderRows=[named])])
    assert people.calls() == {"goods_out_note.create": 1}


@pytest.mark.parametrize("is_listed", [True, False])
def test_the_answer_is_an_id_or_a_list_of_one(people: Shop, shop: Connect, sandbox: Sandbox, is_listed: bool) -> None:
    sandbox.switches.turn({"brightpearl_goods_out_ids_are_listed": is_listed})
    (outcome,) = notes_of(shop).write([creation(people)])
    assert outcome.key in {str(key) for key in people.account.goods_out}


def test_what_cannot_be_created_is_refused_by_its_field(people: Shop, shop: Connect) -> None:
    notes = notes_of(shop)
    unknown = {LINE_KEY: "1", "id": "999999", "quantity": 1}
    half = {LINE_KEY: "1", "id": str(people.row()), "quantity": "0.5"}
    outcomes = [notes.write([creation(people, 1, orderRows=[line])])[0] for line in (unknown, half)]
    outcomes += notes.write([creation(people, 6)])
    assert [outcome.result for outcome in outcomes] == [Result.REJECTED] * 3
    fields = [outcome.error.field for outcome in outcomes[:2] if isinstance(outcome.error, Rejected)]
    assert fields == ["orderRows.productId", "orderRows.quantity"]


def test_an_unanswered_creation_is_found_among_the_notes_of_its_order(
    people: Shop, shop: Connect, sandbox: Sandbox
) -> None:
    """Beside it the order has an older note with equal rows, a newer one of another quantity, and one of another place."""
    sandbox.switches.turn({"clock_offset_s": -7200})
    people.note(1)
    sandbox.switches.turn({"clock_offset_s": 0})
    people.note(2)
    people.note(1, warehouse=STORE)
    sandbox.faults.add(Fault("brightpearl", "goods_out_note.create", "drop", after="commit"))
    notes, sent_at = notes_of(shop, read_s=0.3), sandbox.now()
    operation = creation(people, 1)
    assert notes.write([operation])[0].result is Result.UNKNOWN

    people.calls()
    assert [doc["id"] for doc in notes.made_by(operation, sent_at)] == [max(people.account.goods_out)]
    assert people.calls() == {"goods_out_note.read": 1}
    assert len(notes.find([operation.natural_key])[operation.natural_key]) == 4


def test_two_equal_notes_are_both_candidates_and_none_is_none(people: Shop, shop: Connect, sandbox: Sandbox) -> None:
    notes, operation = notes_of(shop), creation(people, 1)
    assert notes.made_by(operation, sandbox.now()) == []
    people.note(1)
    people.note(1)
    assert len(notes.made_by(operation, sandbox.now())) == 2


# --- changing and deleting -----------------------------------------------------------------------------------------


def test_a_note_that_changed_since_it_was_read_is_read_again(people: Shop, shop: Connect) -> None:
    note, notes = str(people.note()), notes_of(shop)
    operation = change(notes, note, shippedOn=SHIPPED_ON)
    people.act("goods-out", note, "ship")
    (outcome,) = notes.write([operation])
    assert outcome.result is Result.RETRY
    assert people.account.stock.shipped[people.row()] == 2


def test_a_shipped_note_is_not_changed(people: Shop, shop: Connect) -> None:
    note, notes = str(people.note()), notes_of(shop)
    people.act("goods-out", note, "ship")
    operation = change(notes, note, reference="TRACK-1")
    assert notes.refuses(Verb.CHANGE, operation.current or {}) == "it is shipped in Brightpearl"
    assert notes.write([operation])[0].result is Result.REJECTED


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reference": "x" * 65}, "reference"),
        ({"warehouseId": STORE}, "warehouseId"),
        ({"shippedOn": None}, "shippedOn"),
    ],
)
def test_what_a_note_cannot_be_given_is_refused_before_it_is_sent(
    people: Shop, shop: Connect, changes: dict[str, Any], field: str
) -> None:
    note, notes = str(people.note()), notes_of(shop)
    operation = change(notes, note, **changes)
    people.calls()
    (outcome,) = notes.write([operation])
    assert isinstance(outcome.error, Rejected)
    assert (outcome.error.field, people.calls()) == (field, {})


def test_shipping_needs_the_contact_who_ships(people: Shop, shop: Connect) -> None:
    notes = notes_of(shop, goods_out_owner_id=0)
    operation = change(notes, str(people.note()), shippedOn=SHIPPED_ON)
    (outcome,) = notes.write([operation])
    assert isinstance(outcome.error, Rejected)
    assert "goods_out_owner_id" in outcome.error.remedy


def test_a_note_is_deleted_before_it_ships(people: Shop, shop: Connect) -> None:
    note, notes = str(people.note()), notes_of(shop)
    operation = Operation(Verb.CANCEL, note, {}, key=note, current=notes.load(notes.read([note])[note]))
    assert notes.write([operation])[0].result is Result.DONE
    assert notes.read([note]) == {}


# --- drop-ship notes -----------------------------------------------------------------------------------------------


def test_drop_ship_notes_are_read_by_id_and_by_order(people: Shop, shop: Connect) -> None:
    note = people.act("orders", str(people.order_id), "drop-ship", rows={str(people.row()): 2}, supplierId=8)["id"]
    people.act("drop-ship", str(note), "ship", reference="SUP-1")
    drop_ships = shop().resources["brightpearl.drop_ship_note"]
    assert isinstance(drop_ships, DropShipNote)
    found = drop_ships.load(drop_ships.read([str(note)])[str(note)])
    assert (found["orderId"], found["supplierId"], found["status"]["shipped"]) == (people.order_id, 8, True)
    assert [(row["id"], row["quantity"]) for row in found["orderRows"]] == [(str(people.row()), 2)]
    assert [doc["id"] for doc in drop_ships.of_orders([str(people.order_id)])[str(people.order_id)]] == [note]


def _with(operation: Operation, current: Any) -> Operation:
    return Operation(operation.verb, "", {}, key=operation.key, changes=operation.changes, current=current)

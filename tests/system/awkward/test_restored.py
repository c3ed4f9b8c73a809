"""A day-old copy of the store is restored while both systems have continued: docs/operate/restore.md."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from syncengine import connectors
from syncengine.engine.core.engine import Engine
from syncengine.engine.people import dead_letters
from syncengine.engine.setup import bootstrap
from syncengine.sandbox.shop.model import Contact, Order, Product, Row
from syncengine.store import Store
from syncengine.vault import Vault
from tests import shipped
from tests.services import dump_postgres, restore_postgres, shared_folder
from tests.system.awkward.world import World, both_installations

CANCELLED = 5
DAY_S = 86_400


pytestmark = both_installations


class Backup:
    """A copy of the store, taken and put back with the tools that the handbook names."""

    def __init__(self, copy: Path, shared: Path) -> None:
        """`copy`: where it goes; `shared`: the folder of the PostgreSQL server, where the store is in one."""
        self.copy, self.shared = copy, shared

    def take(self, world: World) -> None:
        if not world.store.is_sqlite:
            dump_postgres(self.shared, world.store.url, self.copy)
            return
        with sqlite3.connect(self._file(world)) as live, sqlite3.connect(self.copy) as copy:
            live.backup(copy)

    def put_back(self, world: World) -> None:
        """The processes are stopped, the copy is put back, the processes are started; Redis has been lost as well."""
        url = world.store.url
        world.engine.close()
        world.messages.clear()
        if world.store.is_sqlite:
            file = self._file(world)
            for name in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
                name.unlink(missing_ok=True)
            file.write_bytes(self.copy.read_bytes())
        else:
            restore_postgres(self.shared, url, self.copy)
        world.valkey.flushall()
        world.store = Store(url)
        world.vault = Vault(world.store, [world.key])
        lent = bootstrap.services(world.store, world.vault, world.valkey)
        world.engine = Engine(
            world.store,
            world.vault,
            shipped.flows(),
            connect=lambda end: connectors.connect(end, lent),
            send=world.messages.append,
        )

    def _file(self, world: World) -> Path:
        return Path(world.store.url.removeprefix("sqlite:///"))


def _order(world: World, contact: Contact | None = None, *rows: Row, **changes: Any) -> Order:
    """An order that is placed now, so that the feeds tell it."""
    world.time.pass_(2)
    now = world.time.now().replace(microsecond=0)
    return world.shop.order(contact, *rows, placed_on=now, created_on=now, **changes)


def _edit(world: World, order: Order, **changes: Any) -> None:
    world.time.pass_(2)
    world.shop.edit(order, **changes)


def _add(world: World, order: Order, sku: str, quantity: int, net: str) -> Row:
    world.time.pass_(2)
    row = world.shop.row(sku, quantity, net)
    world.shop.add_row(order, row)
    return row


def _set(world: World, order: Order, row: Row, quantity: int, net: str) -> None:
    world.time.pass_(2)
    value = Decimal(net)
    world.shop.edit_row(order, row, quantity=Decimal(quantity), net=value)


def _rows(order: Order) -> list[tuple[str, Decimal]]:
    return sorted((row.sku, row.quantity) for row in order.rows.values())


def _lines(world: World, order: Order) -> list[tuple[str, Decimal]]:
    return sorted((code, quantity) for code, quantity, _ in world.erp.stock_lines(order.id))


def _two_rows(world: World) -> tuple[Row, Row]:
    return world.shop.row("MUG", 2, "16.00"), world.shop.row("BOOK", 1, "12.50")


def _catch_up(world: World, backup: Backup) -> None:
    """What the handbook says, after the loss."""
    backup.put_back(world)
    world.configure(verify_creates_until=world.time.now() + timedelta(days=30))
    with world.store.read() as session:
        letters = [letter.id for letter, _ in dead_letters.listed(session)]
    if letters:
        dead_letters.retry(world.engine, letters, by="Kim")
    for _ in range(3):
        world.sync("customers")
        world.sync("orders")


@pytest.fixture
def backup(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    return Backup(tmp_path / "backup", shared_folder(tmp_path_factory.getbasetemp()))


def test_orders_that_the_restored_store_has_forgotten_are_found_and_none_is_made_twice(
    world: World, backup: Backup
) -> None:
    contact = world.shop.contact()
    before = _order(world, contact)
    world.sync()
    backup.take(world)

    plain = _order(world, world.shop.contact("Kim", "New"), *_two_rows(world))
    amended = _order(world, contact, *_two_rows(world))
    clerks = _order(world, contact, *_two_rows(world))
    addressed = _order(world, contact, *_two_rows(world))
    changed = _order(world, contact, *_two_rows(world))
    cancelled = _order(world, contact)
    cancelled_late = _order(world, contact)
    stopped = _order(world, contact)
    world.sync()
    _add(world, amended, "MUG", 3, "24.00")
    world.shop.set_status(cancelled, CANCELLED)
    world.erp.act(f"orders/{world.erp.order(clerks.id)['SalesOrder']}/lines", stock_code="BOOK", qty=7, price="12.50")
    world.erp.act(f"orders/{world.erp.order(stopped.id)['SalesOrder']}/cancel")
    world.sync()
    assert {world.status(one.id)[0] for one in (plain, amended, clerks, addressed, changed, cancelled)} == {"done"}

    world.time.pass_(DAY_S)  # the store is lost, and the shop continues
    _edit(world, addressed, delivery=replace(addressed.delivery, line1="2 Other Street"))
    _set(world, changed, next(iter(changed.rows.values())), 5, "40.00")
    world.shop.set_status(cancelled_late, CANCELLED)
    new = _order(world, world.shop.contact("Lee", "Newer"))
    _catch_up(world, backup)

    orders = (before, plain, amended, clerks, addressed, changed, cancelled, cancelled_late, stopped, new)
    assert {one.id: world.erp.made(one.id) for one in orders} == dict.fromkeys([one.id for one in orders], 1)
    assert len(world.erp.customers()) == 3
    for one in (before, plain, amended, addressed, new):
        assert (world.status(one.id)[0], _lines(world, one)) == ("done", _rows(one)), one.id
    assert world.erp.address(addressed.id)[1] == "2 Other Street"
    assert (world.status(clerks.id)[0], len(_lines(world, clerks))) == ("done", 3)  # the clerk's line is left alone
    status, reason = world.status(changed.id)
    assert (status, reason.partition(" ")[2]) == ("held", "was changed on both sides")
    assert world.erp.order(cancelled_late.id)["OrderStatus"] == "\\"
    assert world.erp.order(cancelled.id)["OrderStatus"] == "\\"
    assert world.status(cancelled.id)[0] == "skipped"
    assert world.status(stopped.id)[0] == "held"
    assert world.status(stopped.id)[1].endswith("has this reference but was cancelled in the target")


@pytest.mark.one_database
def test_orders_that_it_knows_as_they_were_are_brought_up_to_date_and_no_line_is_added_twice(
    world: World, backup: Backup
) -> None:
    contact = world.shop.contact()
    made = {name: _order(world, contact, *_two_rows(world)) for name in (
        "same", "amended", "moved", "late", "twice", "clerk", "cancelled", "cancelled late", "reworked",
    )}  # fmt: skip
    world.sync()
    backup.take(world)

    mug, book = made["amended"].rows.values()
    _set(world, made["amended"], mug, 9, "72.00")
    _add(world, made["amended"], "BOOK", 4, "50.00")
    world.shop.remove_row(made["amended"], book)
    _edit(world, made["moved"], delivery=replace(made["moved"].delivery, line1="2 Other Street"))
    twice = next(iter(made["twice"].rows.values()))
    _set(world, made["twice"], twice, 3, "24.00")
    world.shop.set_status(made["cancelled"], CANCELLED)
    added = _add(world, made["reworked"], "MUG", 1, "8.00")
    world.sync()
    number = world.erp.order(made["clerk"].id)["SalesOrder"]
    world.erp.act(f"orders/{number}/lines", stock_code="MUG", qty=7, price="8.00")
    world.erp.act(f"orders/{number}/header", ShippingInstrs="By van")

    world.time.pass_(DAY_S)
    _add(world, made["late"], "BOOK", 2, "25.00")
    _edit(world, made["late"], reference="LATE")
    _set(world, made["twice"], twice, 4, "32.00")
    _set(world, made["reworked"], added, 6, "48.00")
    _edit(world, made["clerk"], reference="EDITED")
    world.shop.set_status(made["cancelled late"], CANCELLED)
    _catch_up(world, backup)

    assert {world.erp.made(order.id) for order in made.values()} == {1}
    for name in ("same", "amended", "moved", "late"):
        assert (world.status(made[name].id)[0], _lines(world, made[name])) == ("done", _rows(made[name])), name
    assert world.erp.address(made["moved"].id)[1] == "2 Other Street"
    assert world.erp.order(made["late"].id)["SpecialInstrs"] == "LATE"
    order = world.erp.order(made["clerk"].id)
    assert (order["SpecialInstrs"], order["ShippingInstrs"], len(_lines(world, made["clerk"]))) == (
        "EDITED",
        "By van",
        3,
    )
    for name, quantities in (("twice", [1, 3]), ("reworked", [1, 1, 2])):  # nobody can tell whose the last change was
        assert world.status(made[name].id)[0] == "held", name
        assert sorted(quantity for _, quantity in _lines(world, made[name])) == quantities
    assert world.erp.order(made["cancelled"].id)["OrderStatus"] == "\\"
    assert world.erp.order(made["cancelled late"].id)["OrderStatus"] == "\\"


@pytest.mark.one_database
def test_customers_that_have_changed_since_are_brought_up_to_date_and_made_once(world: World, backup: Backup) -> None:
    known = world.shop.contact()
    world.sync("customers")
    backup.take(world)
    new = world.shop.contact("Kim", "New")
    world.sync("customers", new.id)
    for contact in (known, new):
        changed = replace(contact, phone="0117 496 0001", updated_on=None)
        world.time.pass_(2)
        world.shop.account.save_contact(changed, by="person")
    world.sync("customers", known.id, new.id)
    late = replace(new, phone="0117 496 0002")
    world.time.pass_(DAY_S)
    world.shop.account.save_contact(late, by="person")
    _catch_up(world, backup)
    world.sync("customers", known.id, new.id)

    assert world.erp.customers() == [f"BP{known.id}", f"BP{new.id}"]
    assert world.erp.customer(f"BP{known.id}")["Telephone"] == "0117 496 0001"
    assert world.erp.customer(f"BP{new.id}")["Telephone"] == "0117 496 0002"
    assert {world.status(one.id, "customers")[0] for one in (known, new)} == {"done"}


@pytest.mark.one_database
def test_a_dead_letter_of_the_backup_that_went_through_since_makes_no_second_order(
    world: World, backup: Backup
) -> None:
    product = Product(3003, "LAMP", "A lamp", Decimal("4.50"), "T20", {})
    world.shop.account.products[3003] = product
    order = _order(world, world.shop.contact(), world.shop.row("LAMP", 1, "4.50"))
    world.sync()
    assert world.status(order.id)[0] == "dead"
    backup.take(world)
    world._stock(product)
    dead_letters.retry(world.engine, [1], by="Kim")
    world.settle()
    assert world.erp.made(order.id) == 1

    world.time.pass_(DAY_S)
    _catch_up(world, backup)
    assert (world.status(order.id)[0], world.erp.made(order.id)) == ("done", 1)

"""The state of the simulated Brightpearl account, and all changes to it.

Every change goes through `save_order`, `save_contact` and the like, which set updatedOn, update the index, log the
effect and raise the event. Hold `lock` while reading or changing several objects that belong together.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from syncengine.sandbox.brightpearl import order_stock, render, searches
from syncengine.sandbox.brightpearl.authentication import Authentication
from syncengine.sandbox.brightpearl.goods_out import SHIPPED, STEPS, UNDONE, DropShipNote, GoodsOutNote
from syncengine.sandbox.brightpearl.responses import dumps
from syncengine.sandbox.brightpearl.search import Index
from syncengine.sandbox.brightpearl.stock import Clock, Ledger, Movement
from syncengine.sandbox.brightpearl.throttle import Throttle
from syncengine.sandbox.brightpearl.webhooks import Webhooks
from syncengine.sandbox.host import Host
from syncengine.sandbox.shop.model import Address, Contact, Order, Product, Shop, Status

SYSTEM = "brightpearl"


@dataclass(frozen=True, slots=True)
class Note:
    """A note on an order."""

    id: int
    order_id: int
    contact_id: int
    text: str
    is_public: bool
    added_on: datetime
    status_id: int
    file_id: int | None = None


class Account:
    """One Brightpearl account: its objects by id, its indexes, its callers and subscribers."""

    def __init__(self, host: Host, shop: Shop) -> None:
        self.switches = host.switches
        self.now = host.now
        self._calls = host.calls
        self.shop = shop
        self.lock = threading.RLock()
        self.authentication = Authentication(host)
        self.throttle = Throttle(host.switches, lambda: host.now().timestamp())
        self.webhooks = Webhooks(host, lambda: self.new_id("webhook"))
        self.currencies = {currency.code: currency for currency in shop.currencies}
        self.taxes = {tax.code: tax for tax in shop.tax_codes}
        self.statuses: dict[int, Status] = {status.id: status for status in shop.statuses}
        self.warehouse_ids = {warehouse.code: warehouse.id for warehouse in shop.warehouses}
        self.brands = {74 + number: name for number, name in enumerate(("House brand", "Atelier Nord", "Ōmi"))}
        self.products: dict[int, Product] = {entry.id: replace(entry) for entry in shop.products}
        self.addresses: dict[int, Address] = {entry.id: replace(entry) for entry in shop.addresses}
        self.contacts: dict[int, Contact] = {entry.id: replace(entry) for entry in shop.contacts}
        self.orders: dict[int, Order] = {entry.id: _copy(entry) for entry in shop.orders}
        self.notes: dict[int, Note] = {}
        self.goods_out: dict[int, GoodsOutNote] = {}
        self._goods_out_of: dict[int, list[int]] = {}  # ids by order
        self.drop_ships: dict[int, DropShipNote] = {}
        self.order_fields: dict[int, dict[str, str]] = {}  # order id: its custom fields that are set
        self.closing: dict[int, tuple[datetime, datetime | None]] = {}  # order id: (when it is invoiced, its tax date)
        self._ids = _Ids(self)
        self._texts: dict[int, tuple[str, str]] = {}  # order id: (time zone, its JSON)
        self.indexes = {name: Index(search, host.switches, host.now) for name, search in searches.SEARCHES.items()}
        self._load_indexes()
        self.stock = self._opened_stock()

    @property
    def code(self) -> str:
        """The account code."""
        return self.switches.text("brightpearl_account")

    @property
    def zone(self) -> ZoneInfo:
        """The account's time zone."""
        return ZoneInfo(self.switches.text("brightpearl_time_zone"))

    def new_id(self, kind: str) -> int:
        """The next id of a kind; ids are never reused."""
        return self._ids.next(kind)

    def stamp(self) -> datetime:
        """Now, as `updatedOn` and `createdOn` keep it: whole seconds, unless the switch says milliseconds."""
        now = self.now()
        if self.switches.on("brightpearl_updated_on_ms"):
            return now.replace(microsecond=now.microsecond // 1000 * 1000)
        return now.replace(microsecond=0)

    # --- reading -----------------------------------------------------------------------------------------------

    def order_text(self, order: Order) -> str:
        """The JSON of one order, kept until it changes."""
        zone_name = self.switches.text("brightpearl_time_zone")
        kept = self._texts.get(order.id)
        if kept is None or kept[0] != zone_name:
            kept = (zone_name, dumps(self.order_json(order)))
            self._texts[order.id] = kept
        return kept[1]

    def order_json(self, order: Order) -> render.Json:
        """One order as `GET order` shows it."""
        return render.order(order, self.statuses, self.taxes, self.shop.base_currency, self.zone)

    def contact_json(self, contact: Contact) -> render.Json:
        """One contact as `GET contact` shows it."""
        now = self.now()
        read_at = now.replace(microsecond=max(1_000, now.microsecond))  # never a whole second, as an edit's time is
        return render.contact(contact, self.currencies, self.zone, read_at)

    def product_json(self, product: Product) -> render.Json:
        """One product as `GET product` shows it."""
        return render.product(product, self.taxes, self.warehouse_ids, self.zone)

    def goods_out_of(self, order_id: int) -> list[GoodsOutNote]:
        """An order's goods-out notes, the oldest first; those of transfers for 0."""
        return [self.goods_out[key] for key in self._goods_out_of.get(order_id, ())]

    def order_tax(self, net: Decimal, tax_code: str) -> Decimal:
        """The tax on a net amount, two places."""
        return (net * self.shop.rate_of(tax_code)).quantize(Decimal("0.01"))

    # --- changing ----------------------------------------------------------------------------------------------

    def add_order(self, order: Order, *, by: str = "api", is_sales_order: bool = False) -> None:
        """Add a new order; its first version has no updatedOn (section 11.1)."""
        self.orders[order.id] = order
        self._follow_stock(order)
        self._index_order(order)
        self._note("order", "created", order.id, by, reference=order.reference)
        self.webhooks.raise_event("order", order.id, "modified")  # fires on creation too (section 10)
        if is_sales_order:
            self.webhooks.raise_event("sales-order", order.id, "created")

    def save_order(self, order: Order, what: str, *, by: str = "api", updates: bool = True, event: str = "") -> None:
        """Save a changed order.

        Args:
            what: the changed part, for the effect log.
            updates: whether version and updatedOn are set; some changes may leave them (sections 14.8, 16 no. 11).
            event: specifier of the event, such as `order-status`.
        """
        if updates:
            order.version += 1
            order.updated_on = self.stamp()
        self._follow_stock(order)
        self._texts.pop(order.id, None)
        self._index_order(order)
        is_cancelled = self.statuses[order.status_id].fate == "cancelled" and what == "status"
        action = "cancelled" if is_cancelled else "changed"
        self._note("order", action, order.id, by, reference=order.reference, what=what)
        self.webhooks.raise_event("order", order.id, "modified", event)

    def close_order(self, order: Order, *, by: str = "api") -> None:
        """Invoice an order: its tax point is today, and it cannot be changed any more (section 11.4)."""
        order.closed_on = self.stamp()
        order.invoice_reference = f"SI-{self.new_id('invoice')}"
        order.tax_date = order.tax_date or order.closed_on.replace(hour=0, minute=0, second=0, microsecond=0)
        self.save_order(order, "invoice", by=by)

    def close_due_orders(self) -> None:
        """Invoice the orders whose closing was asked for long enough ago."""
        for order_id, (due, tax_date) in list(self.closing.items()):
            if due <= self.now():
                del self.closing[order_id]
                order = self.orders[order_id]
                order.tax_date = tax_date or order.tax_date
                self.close_order(order)

    def stamp_order(self, order: Order, moment: datetime) -> None:
        """Set an order's `updatedOn` and raise its version without an event, as a mass change does."""
        order.version += 1
        order.updated_on = moment
        self._texts.pop(order.id, None)
        self._index_order(order)

    def save_contact(self, contact: Contact, *, is_new: bool = False, by: str = "api") -> None:
        """Save a new or changed contact; contacts raise no events (section 10)."""
        if not is_new:
            contact.updated_on = self.stamp()
        self.contacts[contact.id] = contact
        self.indexes["contact"].put(contact.id, searches.contact_values(contact))
        self._note("contact", "created" if is_new else "changed", contact.id, by, reference=contact.email)

    def save_address(self, address: Address, *, by: str = "api") -> None:
        """Save a new address."""
        self.addresses[address.id] = address
        self._note("postal-address", "created", address.id, by)

    def save_product(self, product: Product, *, is_new: bool = False, by: str = "api") -> None:
        """Save a new or changed product."""
        if not is_new:
            product.updated_on = self.stamp()
        self.products[product.id] = product
        self.indexes["product"].put(product.id, searches.product_values(product))
        self._note("product", "created" if is_new else "changed", product.id, by, reference=product.sku)
        self.webhooks.raise_event("product", product.id, "created" if is_new else "modified")

    def add_note(self, order: Order, text: str, *, is_public: bool = False, file_id: int | None = None) -> Note:
        """Add a note to an order."""
        note = Note(
            self.new_id("note"), order.id, order.created_by, text, is_public, self.stamp(), order.status_id, file_id
        )
        self.notes[note.id] = note
        self._note("order-note", "created", note.id, "api", reference=order.id)
        return note

    # --- goods-out notes -----------------------------------------------------------------------------------------

    def add_goods_out(self, note: GoodsOutNote, *, by: str = "api") -> None:
        """Add a goods-out note; where the switch says so, searches show its movements before the goods leave."""
        self.goods_out[note.id] = note
        self._goods_out_of.setdefault(note.order_id, []).append(note.id)
        if self.switches.on("brightpearl_movements_before_shipping") and not note.movements:
            note.planned = self._plan_movements(note)
        self._index_goods_out(note)
        self.note_effect("goods-out-note", "created", note.id, by, order=note.order_id)
        self.webhooks.raise_event("goods-out-note", note.id, "created")

    def save_goods_out(self, note: GoodsOutNote, code: str, *, by: str = "api") -> None:
        """Save a changed goods-out note. code: of the event, empty for a change of another kind."""
        self._index_goods_out(note)
        words = {**STEPS, **{back: f"un-{STEPS[step]}" for back, step in UNDONE.items()}, SHIPPED: "shipped"}
        self.note_effect("goods-out-note", words.get(code, "changed"), note.id, by, order=note.order_id)
        self.webhooks.raise_event("goods-out-note", note.id, "modified", words.get(code, ""))

    def remove_goods_out(self, note: GoodsOutNote, *, by: str = "api") -> None:
        """Remove a goods-out note; its id is not used again."""
        del self.goods_out[note.id]
        self._goods_out_of[note.order_id].remove(note.id)
        self.hide_movements(note.planned)
        self.indexes["goods-note/goods-out"].drop(note.id)
        self.note_effect("goods-out-note", "deleted", note.id, by, order=note.order_id)
        self.webhooks.raise_event("goods-out-note", note.id, "destroyed")

    def hide_movements(self, movement_ids: Iterable[int]) -> None:
        """Let searches no longer find these movements."""
        for movement_id in movement_ids:
            self.indexes["goods-movement"].drop(movement_id)

    def note_effect(self, kind: str, action: str, key: int, by: str, **detail: object) -> None:
        """Log what happened to an object that is saved elsewhere."""
        self._note(kind, action, key, by, **detail)

    def _index_goods_out(self, note: GoodsOutNote) -> None:
        self.indexes["goods-note/goods-out"].put(note.id, searches.goods_out_values(note))

    def _plan_movements(self, note: GoodsOutNote) -> list[int]:
        planned = self.stock.planned(note.id, note.held, note.created_on, note.order_id)
        for movement in planned:
            values = searches.goods_movement_values(movement, self.shop.base_currency)
            self.indexes["goods-movement"].put(movement.id, values)
        return [movement.id for movement in planned]

    # --- for the sandbox ---------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Number of objects by kind."""
        with self.lock:
            return {
                "orders": len(self.orders),
                "contacts": len(self.contacts),
                "products": len(self.products),
                "addresses": len(self.addresses),
                "notes": len(self.notes),
                "goodsOutNotes": len(self.goods_out),
                "webhooks": len(self.webhooks.subscriptions),
            }

    def _index_order(self, order: Order) -> None:
        self.indexes["order"].put(order.id, searches.order_values(order))
        if order.type_code == "SO":
            self.indexes["sales-order"].put(order.id, searches.sales_order_values(order))

    def _load_indexes(self) -> None:
        self.indexes["order"].load({key: searches.order_values(entry) for key, entry in self.orders.items()})
        self.indexes["sales-order"].load({key: searches.sales_order_values(each) for key, each in self.orders.items()})
        self.indexes["contact"].load({key: searches.contact_values(entry) for key, entry in self.contacts.items()})
        self.indexes["product"].load({key: searches.product_values(entry) for key, entry in self.products.items()})
        base = self.shop.base_currency
        self.indexes["currency"].load(
            {entry.id: searches.currency_values(entry, base) for entry in self.currencies.values()}
        )

    def _follow_stock(self, order: Order) -> None:
        order_stock.follow(
            self.stock,
            self.products,
            order,
            is_cancelled=self.statuses[order.status_id].fate == "cancelled",
            allocates=self.switches.on("brightpearl_orders_allocate"),
        )

    def _opened_stock(self) -> Ledger:
        """The ledger with the products' stock at the start; what bundles and untracked products have is not stock."""
        stock = Ledger(Clock(self.now, self.stamp, self.new_id), self._moved, self._stock_changed)
        for product in self.products.values():
            for code, quantity in product.stock.items() if product.stock_tracked else ():
                stock.open(product.id, self.warehouse_ids[code], int(quantity), product.cost)
        return stock

    def _moved(self, movement: Movement) -> None:
        place, note = movement.place, movement.note
        if note.is_searchable:
            values = searches.goods_movement_values(movement, self.shop.base_currency)
            self.indexes["goods-movement"].put(movement.id, values)
        self._note(
            "goods-movement",
            "created",
            movement.id,
            note.by,
            reference=note.reason,
            product=place.product_id,
            warehouse=place.warehouse_id,
            quantity=movement.quantity,
        )
        self._stock_changed(place.product_id)

    def _stock_changed(self, product_id: int) -> None:
        self.webhooks.raise_event("product", product_id, "modified", "on-hand-modified")

    def _note(self, kind: str, action: str, key: int, by: str, *, reference: object = "", **detail: object) -> None:
        self._calls.effect(SYSTEM, kind, action, key, reference=reference, by=by, **detail)


class _Ids:
    """Counters that start above the shop's ids."""

    def __init__(self, account: Account) -> None:
        rows: Iterable[int] = itertools.chain.from_iterable(order.rows for order in account.orders.values())
        self._counters = {
            "order": itertools.count(max(account.orders, default=5000) + 1),
            "row": itertools.count(max(rows, default=8100) + 1),
            "contact": itertools.count(max(account.contacts, default=309) + 1),
            "address": itertools.count(max(account.addresses, default=9000) + 1),
            "product": itertools.count(max(account.products, default=2000) + 1),
            "brand": itertools.count(max(account.brands) + 1),
            "status": itertools.count(max(account.statuses) + 1),
            "note": itertools.count(1201),
            "goods-note": itertools.count(7401),
            "goods-movement": itertools.count(9501),
            "event-version": itertools.count(41001),
            "webhook": itertools.count(41),
            "invoice": itertools.count(1001 + sum(bool(order.closed_on) for order in account.orders.values())),
        }

    def next(self, kind: str) -> int:
        return next(self._counters[kind])


def _copy(order: Order) -> Order:
    rows = {key: replace(row) for key, row in order.rows.items()}
    return replace(
        order,
        rows=rows,
        customer=replace(order.customer),
        billing=replace(order.billing),
        delivery=replace(order.delivery),
    )

"""Brightpearl stock: levels of products by warehouse, written by stock corrections. Facts: brightpearl.md section 14.

A document is one product. Its `warehouses` are lines: a write changes `inStock` of one of them, and the difference of old
and new is sent as it is, so both must come from the same read. There is no key against a second correction (section 14.2),
so each has a token in its reason, by which `corrections_since` finds it.
"""

# ruff: noqa: N815 - the names are Brightpearl's
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from syncengine import clock
from syncengine.connectors import base
from syncengine.connectors.base import (
    LineChange,
    Moved,
    NameKind,
    Operation,
    Outcome,
    Page,
    Position,
    Safety,
    SentWrite,
    Verb,
)
from syncengine.connectors.brightpearl import corrections, movements, times
from syncengine.connectors.brightpearl.answers import Shape
from syncengine.connectors.brightpearl.products import Product, Products
from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.schemas import Document, Flag, Number, Part, Rows, Time, Whole, Words
from syncengine.connectors.brightpearl.stock_settings import WHOLE
from syncengine.connectors.brightpearl.warehouses import Locations
from syncengine.document import Doc, fingerprint
from syncengine.errors import OutcomeUnknown, Rejected, SyncError

if TYPE_CHECKING:
    from syncengine.connectors.brightpearl.gateway import Gateway


OF_THE_READ = ("readFrom", "readBy", "product")
"""What a document has beside the figures."""

_Write = tuple[int, list[Doc]]  # position of the operation, its corrections


class Figures(Document):
    """The four figures. inStock = onHand + allocated."""

    inStock = Whole()
    onHand = Whole()
    allocated = Whole()
    inTransit = Whole()


class Warehouse(Figures):
    """The figures of a warehouse, and of its locations except quarantine."""

    locations = Rows(Figures, "id")
    locationId = Whole()
    cost = Number()
    currency = Words()


class ProductFacts(Document):
    """What the product itself says, in documents that `find` gave."""

    sku = Words()
    stockTracked = Flag()
    bundle = Flag()
    defaultLocations = fields.Dict(allow_none=True)


class StockLevelSchema(Document):
    """The stock of one product."""

    productId = Whole(required=True, allow_none=False)
    total = Part(Figures)
    warehouses = Rows(Warehouse, "id")
    readFrom = Time()
    readBy = Time()
    product = Part(ProductFacts)


class StockLevel(BrightpearlSource, base.Resource):
    """The level of a product in each warehouse; the key is the product's id, the natural key its SKU."""

    name = "brightpearl.stock_level"
    schema = StockLevelSchema
    searchable = {"product.sku": NameKind.SKU}
    feeds = {"moved": "updatedOn"}
    events = ("product.modified.on-hand-modified",)
    touched = {"updatedOn": "updatedOn"}
    path = "warehouse-service/product-availability"
    answer = Shape.BY_ID
    id_field = "productId"
    search = movements.SEARCH
    id_column = "goodsMovementId"
    key_column = "productId"
    more_columns = movements.COLUMNS
    required_fields = ("productId",)
    safety = {
        Verb.CREATE: Safety.ASK,  # never done: a product has stock as soon as it exists
        Verb.CHANGE: Safety.SEARCH,
    }
    line_fields = {corrections.LINES: ("id",)}
    field_notes = {
        "warehouses": "by warehouse id",
        "warehouses.inStock": "what is there, allocated or not; a write changes this alone",
        "warehouses.onHand": "what can be sold: inStock less allocated",
        "warehouses.locations": "by location id, without quarantine; only if the endpoint reads stock by location",
        "warehouses.locationId": "written only: where goods are added. Default: the product's default or only location, or the "
        "warehouse's default",
        "warehouses.cost": "written only: of one unit that is added",
        "warehouses.currency": "written only: of the cost. Default: the endpoint's setting cost_currency",
        "readFrom": "not read before this time of Brightpearl's clock",
        "readBy": "read by this time of Brightpearl's clock",
        "product": "only of a document that was found by its SKU",
        "product.defaultLocations": "by warehouse id",
    }

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._settings = gateway.account.stock
        self.most_per_write = self._settings.corrections_per_call
        self.most_per_look = self.most_per_read
        self.settle_s = self._settings.correction_settle_s + self.search_lag_s  # by then searches show it
        self.locations = Locations(gateway)
        self.products = Products(gateway)

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Levels by product id, `stock_level_per_read` a call. A product that is unknown or not stock-tracked is absent.

        `readFrom` and `readBy` are the bounds of the moment at which the level was as shown.
        """
        began = clock.now()
        found = super().read(keys)
        asked = times.text(began + (self.now() - clock.now()))  # by Brightpearl's clock, as the answer has shown it
        return {key: {**doc, "readFrom": asked} for key, doc in found.items()}

    def query(self) -> str:
        """The optional sections, with the locations."""
        by_location = ("breakDownByLocation",) if self._settings.stock_by_location else ()
        sections = dict.fromkeys((*by_location, *self._optional))
        return f"?includeOptional={','.join(sections)}" if sections else ""

    def normalised(self, doc: Doc, answered_at: datetime) -> Doc:
        """The level without quarantine, and the time by which it was read: the answer's clock has whole seconds."""
        warehouses = doc.get("warehouses")
        if isinstance(warehouses, Mapping):
            doc = {**doc, "warehouses": {key: self._without_quarantine(key, row) for key, row in warehouses.items()}}
        return {**doc, "readBy": times.text(answered_at + timedelta(seconds=1))}

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        """Pages of products that something moved of after `position`: each once a page, with its latest movement.

        Allocations are not movements: they change onHand, not inStock.
        """
        for page in super().changes(feed, position, since=since):
            yield replace(page, refs=list({ref.key: ref for ref in page.refs}.values()))

    def movement_reader(self) -> Callable[[Mapping[str, Any]], Moved]:
        """Each row of the feed is a movement."""
        return movements.moved

    def read_between(self, doc: Doc) -> tuple[datetime, datetime] | None:
        """`readFrom` and `readBy`."""
        return corrections.read_between(doc)

    def version(self, doc: Doc) -> str:
        """A fingerprint of the figures. A movement's Ref has the movement as its version, so each is a reason to read."""
        return fingerprint(_figures(doc))

    def unchanged(self, pictures: Mapping[str, Doc]) -> set[str]:
        """The products whose figures are still the same, whenever they were read."""
        found = self.read(list(pictures))
        return {key for key, doc in found.items() if self._has_figures_of(pictures[key], doc)}

    def _has_figures_of(self, picture: Doc, doc: Doc) -> bool:
        try:
            return fingerprint(_figures(self.load(doc))) == fingerprint(_figures(picture))
        except Rejected:
            return False

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        """Levels by SKU, each with what the `product` says of itself; one without stock has no `warehouses`.

        Several products may have one SKU. One that is not stock-tracked, or is a bundle, is found and says so.
        """
        by_sku = self.products.ids(natural_keys)
        ids = sorted({key for found in by_sku.values() for key in found})
        facts, levels = self.products.read(ids), self.read([str(key) for key in ids])
        docs = {
            key: {**levels.get(str(key), {"productId": key, "warehouses": {}}), "product": _facts(product)}
            for key, product in facts.items()
        }
        return {sku: [docs[key] for key in found if key in docs] for sku, found in by_sku.items()}

    def keys_of(self, natural_keys: Sequence[str]) -> dict[str, list[str]]:
        """Ids of products by SKU, without reading the products (see `Products.ids` for the calls)."""
        return {sku: [str(key) for key in ids] for sku, ids in self.products.ids(natural_keys).items()}

    def movements_since(self, time: datetime) -> list[movements.Movement]:
        """All movements updated at `time` or later; see `movements.since`."""
        return movements.since(self.gateway, time)

    def corrections_since(self, time: datetime, keys: Collection[str]) -> list[movements.Posted]:
        """The corrections of some products since `time`, ours and others', with their reasons (a token is in ours)."""
        return movements.corrections_since(self.gateway, time, {int(key) for key in keys})

    def took_effect(self, writes: Sequence[SentWrite]) -> dict[str, bool | None]:
        """By the token in the reasons of the corrections since the oldest send, held against the levels and all movements.

        Where a level is not what it was before the write and all movements since make of it, nobody knows: None. Costs a search
        for 500 movements, one for 500 corrections, a read for 200 of these in each warehouse, and one for 200 levels.
        """
        levels = self.read([str(write.operation.key) for write in writes])
        since = min(map(_read_at, writes)) - corrections.A_SECOND
        moved = self.movements_since(since)
        posted = self.corrections_since(since, [str(write.operation.key) for write in writes])
        return {
            write.operation.token: corrections.took_effect(write.operation, levels, moved, posted) for write in writes
        }

    # --- writing -----------------------------------------------------------------------------------------------

    def calls(self, operation: Operation) -> Sequence[Operation]:
        """One operation for each warehouse: a correction is of one, and each has a token of its own."""
        return [replace(operation, lines=(line,)) for line in operation.lines] or [operation]

    def least_level(self, line: Doc) -> Decimal:
        """What orders have allocated: a correction cannot take it (assumed)."""
        return Decimal(line.get("allocated") or 0)

    def objection(self, operation: Operation) -> str | None:
        """Goods are added whose cost is not known."""
        return corrections.objection(operation, self._settings.cost_currency)

    def worth_of_line(self, line: LineChange) -> tuple[str, Decimal] | None:
        """The units that are added or removed, at the cost of one."""
        return corrections.worth(line, self._settings.cost_currency)

    def after(self, doc: Doc, operation: Operation) -> Doc:
        """The level with the corrections of the operation, by location where the locations are known."""
        warehouse_id, entries = self._corrections(operation)
        return corrections.after(doc, str(warehouse_id), entries)

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Corrections in bulk: for each warehouse one call with at most `corrections_per_call` of them."""
        self._learn_locations(operations)
        outcomes: dict[int, Outcome] = {}
        by_warehouse: dict[int, list[_Write]] = {}
        for position, operation in enumerate(operations):
            try:
                warehouse_id, entries = self._corrections(operation)
            except Rejected as error:
                outcomes[position] = Outcome.rejected(error)
                continue
            if entries:
                by_warehouse.setdefault(warehouse_id, []).append((position, entries))
            else:
                outcomes[position] = Outcome.done(key=operation.key)
        sent = False
        for warehouse_id, writes in by_warehouse.items():
            for group in corrections.in_calls(writes, self._settings.corrections_per_call):
                outcomes |= self._send(warehouse_id, group, is_first=not sent)
                sent = True
        return [outcomes[position] for position in range(len(operations))]

    def _corrections(self, operation: Operation) -> tuple[int, list[Doc]]:
        if operation.verb is not Verb.CHANGE:
            raise Rejected(
                field="productId",
                value=operation.natural_key,
                reason=f"stock cannot be written by a {operation.verb}",
                remedy="Create the product in Brightpearl; its stock is then a change",
            )
        wanted = corrections.wanted_of(operation, self._settings.cost_currency)
        if not wanted.quantity:
            return wanted.warehouse_id, []
        own = self.products.known(wanted.product_id)
        location_id = wanted.location_id or (own.default_locations.get(wanted.warehouse_id) if own else None)
        location_id = location_id or self.locations.default(wanted.warehouse_id)
        return wanted.warehouse_id, corrections.bodies(wanted, location_id, self._settings.correction_reason)

    def _learn_locations(self, operations: Sequence[Operation]) -> None:
        """Read the products to which goods are added where no location is known yet; they are kept for `products_s`."""
        lacking = [int(each.key) for each in operations if each.key and corrections.lacks_location(each)]
        if unread := [key for key in dict.fromkeys(lacking) if self.products.known(key) is None]:
            self.products.read(unread)

    def _send(self, warehouse_id: int, group: Sequence[_Write], *, is_first: bool) -> dict[int, Outcome]:
        """One call. One that is refused as a whole is sent again in halves, if that means that nothing was done."""
        body = {"corrections": [entry for _, entries in group for entry in entries]}
        try:
            path = f"warehouse-service/warehouse/{warehouse_id}/stock-correction"
            answer = self.gateway.call("POST", path, json=body, is_write=True)
        except OutcomeUnknown as error:
            return {position: Outcome.unknown(error) for position, _ in group}
        except Rejected as error:
            if len(group) == 1:
                return {group[0][0]: Outcome.rejected(error)}
            if self._settings.refused_corrections != WHOLE:
                unknown = OutcomeUnknown(f"one of {len(group)} corrections was refused: {error}")
                return {position: Outcome.unknown(unknown) for position, _ in group}
            half = len(group) // 2
            first = self._send(warehouse_id, group[:half], is_first=False)
            return first | self._send(warehouse_id, group[half:], is_first=False)
        except SyncError as error:  # certainly not done
            if is_first:
                raise
            return {position: Outcome.retry(error) for position, _ in group}
        notes = _notes(answer.body, body["corrections"])
        done: dict[int, Outcome] = {}
        begin = 0
        for position, entries in group:
            note = notes[begin] if len(entries) == 1 and notes else ""
            done[position] = Outcome.done(key=str(entries[0]["productId"]), note=note)
            begin += len(entries)
        return done

    def _without_quarantine(self, warehouse_id: str, row: Any) -> Any:
        """A warehouse with its `locations`, whatever the section is called, less the one whose goods cannot be sold.

        What is not as expected stays as it is, or becomes a text: its schema refuses it.
        """
        name = self._settings.location_section
        locations = _by_id(row.get(name)) if isinstance(row, Mapping) else None
        if locations is None or not warehouse_id.isdecimal():
            return row
        found = {key: value for key, value in row.items() if key != name}
        quarantine = str(self.locations.quarantine(int(warehouse_id)))
        found["locations"] = {key: each for key, each in locations.items() if key != quarantine}
        if self._settings.quarantine_in_stock and quarantine in locations:
            found["inStock"] = _less(row.get("inStock"), locations[quarantine].get("inStock"))
        return found


def _notes(body: Any, entries: Sequence[Doc]) -> list[str]:
    """The notes of the corrections in their order, as movements name them; none if the answer has not one for each."""
    found = body.get("response") if isinstance(body, Mapping) else None
    is_one_each = isinstance(found, list) and len(found) == len(entries) and len(set(map(str, found))) == len(entries)
    return [f"{movements.CORRECTION}{note}" for note in found] if is_one_each and found else []


def _read_at(write: SentWrite) -> datetime:
    """When the level was read that the write came from, or else when it was sent: no movement since then may be missed."""
    window = corrections.read_between(write.operation.current or {})
    return min(window[0], write.sent_at) if window else write.sent_at


def _by_id(section: Any) -> dict[str, Doc] | None:
    """Locations by id, from a map or a list; None if it is neither, or there are none."""
    if isinstance(section, Mapping):
        found = {str(key): each for key, each in section.items()}
    elif isinstance(section, list) and all(isinstance(each, Mapping) for each in section):
        found = {str(each.get("locationId", each.get("id"))): each for each in section}
    else:
        return None
    return found if all(isinstance(each, Mapping) for each in found.values()) else None


def _less(in_stock: Any, quarantined: Any) -> Any:
    is_known = all(isinstance(each, int) for each in (in_stock, quarantined))
    return in_stock - quarantined if is_known else f"{in_stock!r:.20} less {quarantined!r:.20}"


def _figures(doc: Doc) -> Doc:
    return {name: value for name, value in doc.items() if name not in OF_THE_READ}


def _facts(product: Product) -> Doc:
    return {
        "sku": product.sku,
        "stockTracked": product.is_tracked,
        "bundle": product.is_bundle,
        "defaultLocations": {str(key): value for key, value in product.default_locations.items()},
    }

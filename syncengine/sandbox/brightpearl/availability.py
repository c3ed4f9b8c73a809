"""What there is of a product (section 14.1). The forms of the optional sections are assumed."""

from __future__ import annotations

from syncengine.sandbox.brightpearl import locations
from syncengine.sandbox.brightpearl.calls import Call
from syncengine.sandbox.brightpearl.errors import invalid
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.brightpearl.stock import Level
from syncengine.sandbox.brightpearl.warehouses import warehouse_of

Json = dict[str, object]


def read(call: Call) -> Json:
    """`GET product-availability/{ids}`: keyed by product; products that are not stock-tracked are left out."""
    account = call.account
    if "ids" not in call.path:
        raise invalid("WHSC-020", "You must supply the ids of the products")
    only = warehouse_of(call).id if "id" in call.path else None
    sections = call.request.args.get("includeOptional", "").split(",")
    most = account.switches.integer("brightpearl_availability_most_ids")
    with account.lock:
        return {
            "response": {
                str(key): _availability(account, key, only, sections)
                for key in call.ids(account.products, most=most)
                if account.products[key].stock_tracked
            }
        }


def _availability(account: Account, product_id: int, only: int | None, sections: list[str]) -> Json:
    """The totals, and the same for each warehouse that holds the product or has held it."""
    stock = account.stock
    keys = [key for key in stock.warehouses_of(product_id) if only in (None, key)]
    levels = {key: _level(account, product_id, key) for key in keys}
    total = Level(sum(each.in_stock for each in levels.values()), sum(each.allocated for each in levels.values()))
    found: Json = {"total": _four(total)}
    found["warehouses"] = {
        str(key): {
            **_four(level),
            **({"locations": _locations(account, product_id, key)} if "breakDownByLocation" in sections else {}),
        }
        for key, level in levels.items()
    }
    if "allocatedOrders" in sections:
        found["allocatedOrders"] = _allocated_orders(account, product_id, keys)
    return found


def _allocated_orders(account: Account, product_id: int, warehouse_ids: list[int]) -> Json:
    """The orders that hold some of a product, each with the goods-out notes that do."""
    found: dict[str, dict[str, list[int]]] = {}
    for held in account.stock.allocations.values():
        if held.product_id == product_id and held.warehouse_id in warehouse_ids:
            found.setdefault(str(held.order_id), {"goodsNotes": []})
    for of_row in account.stock.on_notes.values():
        for note_id, held in of_row.items():
            if held.product_id == product_id and held.warehouse_id in warehouse_ids:
                found.setdefault(str(held.order_id), {"goodsNotes": []})["goodsNotes"].append(note_id)
    return dict(found)


def _level(account: Account, product_id: int, warehouse_id: int) -> Level:
    """The figures of a warehouse. Goods in quarantine cannot be sold; whether they are inStock is a switch."""
    level = account.stock.level(product_id, warehouse_id)
    if not account.switches.on("brightpearl_quarantine_in_stock"):
        return level
    quarantined = account.stock.by_location(product_id, warehouse_id).get(locations.quarantine(warehouse_id), 0)
    return Level(level.in_stock + quarantined, level.allocated)


def _locations(account: Account, product_id: int, warehouse_id: int) -> Json:
    """By location. What is allocated is taken from the default location first, as shipping does."""
    found: Json = {}
    left = account.stock.level(product_id, warehouse_id).allocated
    for location_id, quantity in account.stock.by_location(product_id, warehouse_id).items():
        taken = 0 if location_id == locations.quarantine(warehouse_id) else min(left, quantity)
        left -= taken
        found[str(location_id)] = _four(Level(quantity, taken))
    return found


def _four(level: Level) -> Json:
    return {"inStock": level.in_stock, "onHand": level.on_hand, "allocated": level.allocated, "inTransit": 0}

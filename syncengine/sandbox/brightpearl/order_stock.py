"""How an order and its stock follow each other: rows allocate, cancelled ones give back (sections 11.1, 11.2 and 14.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from syncengine.sandbox.brightpearl.stock import Allocation, Ledger
from syncengine.sandbox.shop.model import Order, Product

Products = Mapping[int, Product]
_NONE, _PART, _ALL = "N", "P", "A"


def rows_of(products: Products, order: Order) -> Iterator[Allocation]:
    """What is ordered of stock-tracked products, by row; bundles themselves are not among them, their components are."""
    for row in order.rows.values():
        product = products.get(row.product_id)
        if product is not None and product.stock_tracked and row.quantity > 0:
            yield Allocation(order.id, row.id, row.product_id, order.warehouse_id, int(row.quantity))


def follow(stock: Ledger, products: Products, order: Order, *, is_cancelled: bool, allocates: bool) -> None:
    """Adjust stock to a sales order that was added or changed, and the order's codes to its stock.

    A cancelled order gives back all; else it gives back what its rows no longer ask for and, if it `allocates` by itself,
    takes what is on hand.
    """
    if order.type_code != "SO":
        return
    wanted = [] if is_cancelled else list(rows_of(products, order))
    stock.trim(order.id, [(each.row_id, each.quantity) for each in wanted])
    if allocates:
        for each in wanted:
            allocate_row(stock, each)
    _show(stock, products, order)


def allocate_row(stock: Ledger, row: Allocation) -> int:
    """Reserve what a row still lacks, as far as it is on hand where it has a reservation; how many units that was."""
    held = stock.allocations.get(row.row_id)
    warehouse_id = held.warehouse_id if held else row.warehouse_id
    return stock.allocate(replace(row, warehouse_id=warehouse_id, quantity=missing(stock, row)))


def missing(stock: Ledger, row: Allocation) -> int:
    """What of a row is neither reserved nor shipped."""
    return row.quantity - stock.committed(row.row_id)


def _show(stock: Ledger, products: Products, order: Order) -> None:
    """Set the order's three codes, as far as its rows have been allocated or shipped; untouched orders keep theirs."""
    rows = list(rows_of(products, order))
    ordered = sum(each.quantity for each in rows)
    shipped = sum(stock.shipped.get(each.row_id, 0) for each in rows)
    committed = sum(stock.committed(each.row_id) for each in rows)
    if rows and (committed or order.allocation_status in ("APA", "AAA")):
        order.allocation_status = f"A{_degree(committed, ordered)}A"
        order.stock_status = f"SO{_degree(shipped, ordered)}"
        order.shipping_status = {_NONE: "SNS", _PART: "SPS", _ALL: "ASS"}[_degree(shipped, ordered)]


def _degree(part: int, whole: int) -> str:
    return _NONE if not part else _PART if part < whole else _ALL

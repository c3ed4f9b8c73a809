"""The people of both systems, who move goods, tell the systems of it, and keep the ledger."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from syncengine.demo.comparison.stock import Demand, Doubt, Ledger, Move, Span
from syncengine.demo.day.systems import Refused, Systems
from syncengine.demo.plan import MAIN, SECOND, WAREHOUSES

BACK_DAYS = 20
NEW_ORDER, CANCELLED = 2, 5


@dataclass(slots=True)
class Order:
    """An order of Brightpearl's: what was ordered and is reserved, by SKU, and its number in SYSPRO once that has it."""

    id: int
    rows: dict[str, int]
    row_ids: dict[str, int]
    number: str = ""
    is_begun: bool = False  # something was shipped
    is_closed: bool = False


@dataclass(slots=True)
class _Due:
    at: datetime
    act: Callable[[], None]


@dataclass(slots=True)
class People:
    """Whoever works at either system. gap_s: the longest time between telling one and telling the other of the same goods.

    Each method that acts raises Refused where a system does not allow it; then nothing has changed.
    """

    systems: Systems
    ledger: Ledger
    skus: Sequence[str]
    contacts: Sequence[int]
    chance: random.Random
    gap_s: float = 2.0
    product_ids: dict[str, int] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    jobs: list[tuple[str, str, str, int]] = field(default_factory=list)
    own_orders: list[tuple[str, str, str, int]] = field(default_factory=list)
    in_transit: list[tuple[str, str, int]] = field(default_factory=list)
    inspected: list[tuple[str, str, int]] = field(default_factory=list)
    corrections: int = 0
    _due: list[_Due] = field(default_factory=list)
    _numbers: int = 0

    # -- the day's clock -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin the ledger with what SYSPRO has, and stock some items in a second warehouse too."""
        products = self.systems.get("brightpearl/stock/products")
        self.product_ids = {each["sku"]: each["id"] for each in products if each["stockTracked"]}
        for row in self.systems.get("syspro/InvWarehouse"):
            if row["StockCode"] in self.product_ids and row["Warehouse"] in WAREHOUSES:
                self.ledger.opening[row["StockCode"], row["Warehouse"]] = int(float(row["QtyOnHand"]))
        for sku in self.skus[::2]:
            self.systems.erp("stock/add", stock_code=sku, warehouse=SECOND)
            self.receive(sku, SECOND, 25)

    def tend(self) -> None:
        """Do what is due: the other system is informed, and orders that have arrived in SYSPRO become known."""
        now = self.systems.now()
        ready = [each for each in self._due if each.at <= now]
        self._due = [each for each in self._due if each.at > now]
        for each in ready:
            each.act()
        for order in [order for order in self.orders if not order.number and not order.is_closed]:
            found = self.systems.get(f"syspro/orders/count?po={order.id}")
            order.number = found["numbers"][0] if found["live"] else ""
            for doubt in self.ledger.doubts:
                if doubt.order == order.id and order.number:
                    doubt.until = self.systems.now()
        self._end_doubts()

    @property
    def is_idle(self) -> bool:
        """Whether both systems were informed of everything."""
        return not self._due

    def _soon(self, act: Callable[[], None]) -> None:
        self._due.append(_Due(self.systems.now() + timedelta(seconds=self.chance.uniform(0, self.gap_s)), act))

    def free(self, sku: str, warehouse: str) -> int:
        """What nobody has asked for of the goods in a warehouse."""
        number = WAREHOUSES[warehouse]
        ordered = sum(order.rows.get(sku, 0) for order in self.orders if not order.is_closed) if number == 2 else 0
        own = self.ledger.physical(sku, warehouse) - self.ledger.demanded(sku, warehouse)
        together = sum(
            self.ledger.physical(sku, code) - self.ledger.demanded(sku, code)
            for code, other in WAREHOUSES.items()
            if other == number
        )
        main = own - ordered if warehouse == MAIN else own
        return min(main, together - ordered)

    # -- SYSPRO alone --------------------------------------------------------------------------------------------------

    def _erp(self, what: str, sku: str, warehouse: str, quantity: int, span: Span, *, is_dated: bool = True) -> None:
        self.ledger.moves.append(Move(sku, warehouse, quantity, what, is_dated=is_dated, erp=span))

    def _day(self, *, is_late: bool) -> dict[str, str]:
        return {"on": (self.systems.now() - timedelta(days=BACK_DAYS)).date().isoformat()} if is_late else {}

    def count(self, sku: str, warehouse: str, found: int, *, is_late: bool = False) -> None:
        """Somebody counts, and finds this quantity."""
        missing = found - self.ledger.booked(sku, warehouse)
        _, span = self.systems.erp(f"stock/{sku}/{warehouse}", on_hand=found, **self._day(is_late=is_late))
        self._erp("count", sku, warehouse, missing, span, is_dated=not is_late)

    def receive(self, sku: str, warehouse: str, quantity: int, *, is_late: bool = False) -> None:
        """Goods are bought."""
        _, span = self.systems.erp(
            "stock/receive", stock_code=sku, warehouse=warehouse, quantity=quantity, unit_cost="3.25",
            reference="GRN", **self._day(is_late=is_late),
        )  # fmt: skip
        self._erp("receipt", sku, warehouse, quantity, span, is_dated=not is_late)

    def produce(self, sku: str, warehouse: str, quantity: int) -> None:
        """A job has made goods."""
        _, span = self.systems.erp(
            "stock/produce", job=self._number("J"), stock_code=sku, warehouse=warehouse, quantity=quantity,
            unit_cost="3.10",
        )  # fmt: skip
        self._erp("production", sku, warehouse, quantity, span)

    def scrap(self, sku: str, warehouse: str, quantity: int, *, is_late: bool = False) -> None:
        """Goods are thrown away."""
        _, span = self.systems.erp(
            "stock/scrap", stock_code=sku, warehouse=warehouse, quantity=quantity, **self._day(is_late=is_late)
        )
        self._erp("scrap", sku, warehouse, -quantity, span, is_dated=not is_late)

    def move_in_erp(self, sku: str, source: str, target: str, quantity: int) -> None:
        """A transfer of SYSPRO's own, of which Brightpearl is informed by its levels alone."""
        _, span = self.systems.erp("stock/transfer", **_transfer(sku, source, target, quantity))
        self._erp("transfer out", sku, source, -quantity, span)
        self._erp("transfer in", sku, target, quantity, span)

    def send(self, sku: str, source: str, target: str, quantity: int) -> None:
        """Goods leave for another warehouse, and are in neither until they arrive."""
        _, span = self.systems.erp("stock/transfer", **_transfer(sku, source, target, quantity), in_transit=True)
        self._erp("sent", sku, source, -quantity, span)
        self.in_transit.append((sku, target, quantity))

    def arrive(self) -> None:
        """What is on its way arrives."""
        sku, warehouse, quantity = self.in_transit[0]
        _, span = self.systems.erp("stock/arrive", stock_code=sku, warehouse=warehouse, quantity=quantity)
        del self.in_transit[0]
        self._erp("arrived", sku, warehouse, quantity, span)

    def inspect(self, sku: str, warehouse: str, quantity: int) -> None:
        """Goods come into inspection, where they are not on hand."""
        self.systems.erp("stock/inspect", stock_code=sku, warehouse=warehouse, quantity=quantity)
        self.inspected.append((sku, warehouse, quantity))

    def accept(self) -> None:
        """What is in inspection is good."""
        sku, warehouse, quantity = self.inspected[0]
        _, span = self.systems.erp("stock/accept", stock_code=sku, warehouse=warehouse, quantity=quantity)
        del self.inspected[0]
        self._erp("accepted", sku, warehouse, quantity, span)

    def oversell(self, sku: str, warehouse: str, quantity: int) -> None:
        """More is written off than there is: SYSPRO's figure becomes negative."""
        self.systems.erp("stock/negative", warehouse=warehouse, allowed=True)
        try:
            self.scrap(sku, warehouse, max(0, self.ledger.physical(sku, warehouse)) + quantity)
        finally:
            self.systems.erp("stock/negative", warehouse=warehouse, allowed=False)

    # -- SYSPRO's own demand -------------------------------------------------------------------------------------------

    def _demand(self, what: str, sku: str, warehouse: str, quantity: int, span: Span) -> None:
        self.ledger.demands.append(Demand(sku, warehouse, quantity, what, span))

    def need(self, sku: str, warehouse: str, quantity: int) -> None:
        """A job needs material."""
        job = self._number("J")
        _, span = self.systems.erp("stock/allocate", job=job, stock_code=sku, warehouse=warehouse, quantity=quantity)
        self.jobs.append((job, sku, warehouse, quantity))
        self._demand(f"job {job}", sku, warehouse, quantity, span)

    def end_job(self, *, is_issued: bool) -> None:
        """The oldest job gets its material, or is given up."""
        job, sku, warehouse, quantity = self.jobs[0]
        about = {"job": job, "stock_code": sku, "warehouse": warehouse}
        if is_issued:
            _, span = self.systems.erp("stock/issue", **about, quantity=quantity)
            self._erp(f"issue to {job}", sku, warehouse, -quantity, span)
        else:
            _, span = self.systems.erp("stock/allocate", **about, quantity=-quantity)
        del self.jobs[0]
        self._demand(f"job {job}", sku, warehouse, -quantity, span)

    def own_order(self, sku: str, warehouse: str, quantity: int) -> None:
        """A clerk enters an order in SYSPRO that Brightpearl does not know."""
        line = {"stock_code": sku, "qty": quantity, "warehouse": warehouse}
        made, span = self.systems.erp("orders", customer="WEBGBP", po=self._number("C"), lines=[line])
        number = made["order"]["SalesOrder"]
        self.own_orders.append((number, sku, warehouse, quantity))
        self._demand(f"own order {number}", sku, warehouse, quantity, span)

    def end_own_order(self, *, is_shipped: bool) -> None:
        """The oldest of these orders is shipped, or cancelled."""
        number, sku, warehouse, quantity = self.own_orders[0]
        if is_shipped:
            _, span = self.systems.erp(f"orders/{number}/dispatch", lines={"1": quantity})
            self._erp(f"own order {number} shipped", sku, warehouse, -quantity, span)
        else:
            _, span = self.systems.erp(f"orders/{number}/cancel")
        del self.own_orders[0]
        self._demand(f"own order {number}", sku, warehouse, -quantity, span)

    # -- Brightpearl's people correct what they should not -------------------------------------------------------------

    def correct(self, sku: str, warehouse: str, quantity: int) -> None:
        """Brightpearl's people correct a level, though SYSPRO's figure is right."""
        self.systems.shop("stock/correct", sku=sku, warehouse=WAREHOUSES[warehouse], quantity=quantity)
        self.corrections += 1

    # -- goods that both systems are informed of ---------------------------------------------------------------------------

    def _tell_both(
        self, moves: Sequence[Move], tell_shop: Callable[[], Span], tell_erp: Callable[[], Span],
        *, shop_first: bool = False,
    ) -> None:  # fmt: skip
        """Tell one system now, and the other one a little later. Raises Refused if the first one refuses."""

        def of_shop() -> None:
            span = tell_shop()
            for move in moves:
                move.shop = span

        def of_erp() -> None:
            span = tell_erp()
            for move in moves:
                move.erp = span

        first, other = [of_shop, of_erp] if shop_first else self.chance.sample([of_shop, of_erp], 2)
        first()
        self.ledger.moves.extend(moves)
        self._soon(other)

    def come_in(self, sku: str, warehouse: str, quantity: int, what: str) -> None:
        """Goods come in by a purchase order of Brightpearl's, or from a customer."""
        about = {"stock_code": sku, "warehouse": warehouse, "quantity": quantity, "reference": what}
        self._tell_both(
            [Move(sku, warehouse, quantity, what, is_mirrored=True)],
            lambda: self.systems.shop("stock/receive", sku=sku, warehouse=WAREHOUSES[warehouse], quantity=quantity)[1],
            lambda: self.systems.erp("stock/receive", **about)[1],
        )

    def move_in_shop(self, sku: str, source: str, target: str, quantity: int) -> None:
        """Goods go from one warehouse of Brightpearl's to another one."""
        ends = {"from": WAREHOUSES[source], "to": WAREHOUSES[target]}
        out = Move(sku, source, -quantity, "shop's transfer out", is_mirrored=True)
        in_ = Move(sku, target, quantity, "shop's transfer in", is_mirrored=True)
        self._tell_both(
            [out, in_],
            lambda: self.systems.shop("stock/transfer", sku=sku, quantity=quantity, **ends)[1],
            lambda: self.systems.erp("stock/transfer", **_transfer(sku, source, target, quantity))[1],
            shop_first=True,  # whose level may be behind
        )

    # -- orders of Brightpearl's ---------------------------------------------------------------------------------------

    def place(self, rows: dict[str, int]) -> None:
        """A customer orders, and all of it is reserved. Raises Refused if it is not there."""
        for sku, quantity in rows.items():
            level = self.systems.get(f"brightpearl/stock/{self.product_ids[sku]}").get("2", {"onHand": 0})
            if level["onHand"] < quantity or self.free(sku, MAIN) < quantity:
                raise Refused(f"there is not enough of {sku}")
        body = [{"sku": sku, "quantity": quantity} for sku, quantity in rows.items()]
        made, _ = self.systems.shop(
            "orders", contactId=self.chance.choice(self.contacts), statusId=NEW_ORDER, channelId=1, rows=body
        )
        self.systems.shop(f"orders/{made['id']}/allocate")
        began = self.systems.now()
        self.ledger.doubts.extend(Doubt(sku, MAIN, quantity, began, order=made["id"]) for sku, quantity in rows.items())
        shown = self.systems.get(f"brightpearl/orders/{made['id']}")["orderRows"]
        row_ids = {row["productSku"]: int(key) for key, row in shown.items()}
        self.orders.append(Order(made["id"], dict(rows), row_ids))

    def ship(self, order: Order, *, is_partial: bool = False) -> None:
        """Goods of an order leave; both systems are informed. Raises Refused if SYSPRO has not allocated them."""
        key = self.systems.get(f"syspro/SorMaster/{order.number}")["SalesOrder"]
        lines = {
            line["MStockCode"]: line
            for line in self.systems.get(f"syspro/SorDetail?SalesOrder={key}")
            if line["LineType"] == "1"
        }
        left = {sku: quantity for sku, quantity in order.rows.items() if quantity}
        now = {sku: (quantity + 1) // 2 if is_partial else quantity for sku, quantity in left.items()}
        if any(sku not in lines or float(lines[sku]["MShipQty"]) < quantity for sku, quantity in now.items()):
            raise Refused(f"SYSPRO has not allocated order {order.id}")
        moves = [
            Move(sku, MAIN, -quantity, f"order {order.id} shipped", is_mirrored=True) for sku, quantity in now.items()
        ]
        began = self.systems.now()

        parts = {str(int(lines[sku]["SalesOrderLine"])): quantity for sku, quantity in now.items()}
        rows = {str(order.row_ids[sku]): quantity for sku, quantity in now.items()}
        self._tell_both(
            moves,
            lambda: self.systems.shop(f"orders/{order.id}/ship", rows=rows)[1],
            lambda: self.systems.erp(f"orders/{order.number}/dispatch", lines=parts)[1],
        )
        order.is_begun = True
        for sku, quantity in now.items():
            self.ledger.doubts.append(Doubt(sku, MAIN, quantity, began))
            order.rows[sku] -= quantity
        order.is_closed = not any(order.rows.values())

    def cancel(self, order: Order) -> None:
        """The customer cancels; Brightpearl releases the goods at once, and SYSPRO when it has been informed.

        Raises Refused if something was shipped.
        """
        if order.is_begun:
            raise Refused(f"order {order.id} has shipments")
        _, span = self.systems.shop(f"orders/{order.id}/edit", statusId=CANCELLED)
        for sku, quantity in order.rows.items():
            self.ledger.doubts.append(Doubt(sku, MAIN, quantity, span.began))
        order.rows = dict.fromkeys(order.rows, 0)
        order.is_closed = True

    def _end_doubts(self) -> None:
        """Doubts about an order end when SYSPRO has nothing allocated any more that Brightpearl has not."""
        open_doubts = [doubt for doubt in self.ledger.doubts if doubt.until is None and not doubt.order]
        if not open_doubts:
            return
        at = self.systems.now()
        allocated: dict[str, int] = {}
        for row in self.systems.get("syspro/InvWarehouse"):
            if row["Warehouse"] == MAIN:
                allocated[row["StockCode"]] = int(float(row["QtyAllocated"]))
        for doubt in open_doubts:
            reserved = sum(
                order.rows.get(doubt.sku, 0) for order in self.orders if order.number and not order.is_closed
            )
            own = sum(each[3] for each in self.own_orders if each[1:3] == (doubt.sku, MAIN))
            if allocated.get(doubt.sku, 0) <= reserved + own:
                doubt.until = at

    def _number(self, kind: str) -> str:
        self._numbers += 1
        return f"{kind}{self._numbers:05d}"


def _transfer(sku: str, source: str, target: str, quantity: int) -> dict[str, object]:
    return {"stock_code": sku, "from": source, "to": target, "quantity": quantity}

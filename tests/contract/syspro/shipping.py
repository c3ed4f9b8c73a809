"""An order of SYSPRO for tests of shipments: its lines, and the people who handle it. FG has 100 of KB-2040."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from syncengine.connectors.base import Operation, Verb
from syncengine.document import LINE_KEY, Doc
from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.syspro import booking
from syncengine.sandbox.syspro.dispatch import control
from syncengine.sandbox.syspro.tables import Row, Value, text_of
from syncengine.store import Store
from syncengine.store.models import Slot

D = Decimal
CODE, WAREHOUSE = "KB-2040", "FG"
QUANTITIES = ("MOrderQty", "MShipQty", "MBackOrderQty", "MQtyDispatched")


class Site:
    """One company of the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.company = sandbox, sandbox.syspro

    def order(self, *lines: tuple[int, int], po: str = "500123") -> str:
        """An order; lines: the ship and the back order quantity of each. Gives its number as SYSPRO shows it."""
        company = self.company
        order = company.table("SorMaster").insert(
            SalesOrder=company.order_key(company.next_number("order")), NextDetailLine=1, OrderStatus="1",
            Customer="WEB001", CustomerPoNumber=po, Warehouse=WAREHOUSE,
        )  # fmt: skip
        for ship, back in lines:
            booking.add_line(
                company, order, LineType="1", MStockCode=CODE, MWarehouse=WAREHOUSE, MOrderQty=D(ship + back),
                MShipQty=D(ship), MBackOrderQty=D(back), MStockQtyToShp=D(ship), MOrderUom="EA", MStockingUom="EA",
                MPrice=D(2),
            )  # fmt: skip
        self.sandbox.calls.reset()
        return company.shown(text_of(order, "SalesOrder"))

    def row(self, order: str) -> Row:
        """An order's row of SorMaster."""
        found = self.company.order(order)
        assert found is not None
        return found

    def set(self, order: str, **values: Value) -> None:
        """People change an order."""
        self.company.table("SorMaster").update(self.row(order), **values)

    def change_line(self, order: str, line: int = 1, **values: Value) -> None:
        """People change a line."""
        booking.change_line(self.company, self.company.lines(self.row(order))[line - 1], **values)

    def line(self, order: str, line: int = 1) -> tuple[int, ...]:
        """Ordered, to ship, on back order and dispatched."""
        row = self.company.lines(self.row(order))[line - 1]
        return tuple(int(D(str(row[name]))) for name in QUANTITIES)

    def act(self, *path: str, **body: Any) -> Any:
        """People dispatch, invoice or cancel."""
        return control.act(self.company, list(path), body)

    def dispatch(self, order: str, quantity: int = 2, **body: Any) -> str:
        """People dispatch a quantity of the first line. Gives the note's number."""
        return str(self.act("orders", order, "dispatch", lines={"1": str(quantity)}, **body)["note"]["DispatchNote"])

    def on_hand(self) -> int:
        """In FG."""
        row = self.company.table("InvWarehouse").get(CODE, WAREHOUSE)
        assert row is not None
        return int(D(str(row["QtyOnHand"])))

    def posts(self) -> dict[str, int]:
        """Calls of SYSPRO's business objects since the last look."""
        found: Any = self.sandbox.calls.summary().get("syspro", {"operations": {}})["operations"]
        self.sandbox.calls.reset()
        return {name: count for name, count in found.items() if name.startswith(("SOR", "COM"))}


def rested(store: Store) -> None:
    """The operator's rest after a call without an answer is over."""
    with store.write() as session:
        session.query(Slot).update({"closed_until": None})


def shipped(order: str, *quantities: tuple[int, int], **more: Any) -> Operation:
    """A shipment of lines, each with its quantity, as flow and engine would give it."""
    lines: list[Doc] = [
        {LINE_KEY: str(line), "SalesOrderLine": str(line), "DispatchQty": str(quantity)}
        for line, quantity in quantities
    ]
    reference = "DeliveryNoteNumber" if more.pop("is_direct", False) else "UserDefined2"
    mark = more.pop("mark", "7001")
    doc = {"SalesOrder": order, reference: mark, "MerchandiseLine": lines, **more}
    return Operation(Verb.CREATE, f"{order}/{mark}", doc)

"""How dispatch notes are listed and read: by SORQDL and SORQDN, or by COMFND on MdnMaster and MdnDetail where the site's find
knows these tables. Facts: syspro-objects.md sections 9.2 and 10, which does not confirm the columns of the tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncengine.connectors.declared import DeclaredSetting, choice, whole_number
from syncengine.connectors.syspro.business import BusinessCall
from syncengine.connectors.syspro.errors import Absent
from syncengine.connectors.syspro.order_balance import MERCHANDISE, OrderReader, amount
from syncengine.connectors.syspro.settings import SettingsReader
from syncengine.connectors.syspro.shipping_calls import SORQDL, SORQDN
from syncengine.connectors.syspro.xml import all_of, content_of, get, text_of
from syncengine.document import LINE_NUMBER, Doc

BY_OBJECTS, BY_TABLES = "SORQDL", "COMFND"
SETTINGS: tuple[DeclaredSetting, ...] = (
    choice(
        "dispatch_lists",
        (BY_OBJECTS, BY_TABLES),
        BY_OBJECTS,
        "how dispatch notes are read: `SORQDL` (a call for each order, then SORQDN for each note), or `COMFND` (many at once, "
        "where the site's find knows MdnMaster and MdnDetail)",
    ),
    whole_number("dispatch_days_back", 3, "days by which a dispatch may be dated back and still be seen by each poll"),
    whole_number("dispatch_rows_per_page", 500, "stock movements that one COMFND returns", least=2),
)
HEAD = {
    "DispatchNote": "DispatchNote",
    "SalesOrder": "SalesOrder",
    "Customer": "Customer",
    "CustomerPoNumber": "CustomerPoNumber",
    "DispatchNoteStatus": "DispatchNoteStatus",
    "UserDefined1": "UserField1",
    "UserDefined2": "UserField2",
    "ShippingInstrs": "ShippingInstrs",
    "SpecialInstrs": "SpecialInstrs",
    "PlannedDispatchDate": "PlannedDeliverDate",
    "ActualDispatchDate": "ActualDeliveryDate",
    "Invoice": "Invoice",
    "InvoiceCreatedDate": "InvoiceCreatedDate",
}
"""Fields of a document, each with the element or column that holds it."""

_DETAIL = (
    "DispatchNote", "DispatchNoteLine", "SalesOrderLine", "LineType", "MStockCode", "MWarehouse", "MShipQty",
    "MStockQtyToShp",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """How dispatch notes are read. days_back: how late a dispatch may be dated back. per_page: movements of one call."""

    lists: str
    days_back: int
    per_page: int

    @classmethod
    def of(cls, given: SettingsReader) -> DispatchOptions:
        """The settings whose names begin with `dispatch_`. Raises Misconfigured."""
        return cls(
            given.choice("dispatch_lists"),
            given.whole_number("dispatch_days_back"),
            given.whole_number("dispatch_rows_per_page"),
        )

    @property
    def by_tables(self) -> bool:
        """Whether COMFND reads dispatch notes."""
        return self.lists == BY_TABLES


@dataclass(frozen=True, slots=True)
class DispatchReader:
    """Reads dispatch notes."""

    orders: OrderReader
    options: DispatchOptions

    def of_orders(self, numbers: Sequence[str]) -> dict[str, list[Doc]]:
        """The heads of the notes of some orders, by order, in the order of their numbers.

        Calls: a SORQDL for each order, or a COMFND for `find_at_once` of them.
        """
        found: dict[str, list[Doc]] = defaultdict(list)
        if self.options.by_tables:
            asked = {self.orders.stored(number): number for number in numbers}
            for row in self.orders.rows("MdnMaster", "SalesOrder", list(asked), tuple(HEAD.values())):
                found[asked[self.orders.stored(text_of(row, "SalesOrder"))]].append(self._head(row))
        else:
            for number in numbers:
                heads = [self._head(item) for item in self._listed(number)]
                found[number] += [head for head in heads if head["SalesOrder"] == self.orders.shown(number)]
        return {order: sorted(heads, key=lambda head: head["DispatchNote"]) for order, heads in found.items()}

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Whole notes by number: a SORQDN each, or two COMFND for `find_at_once` of them. One that does not exist is absent."""
        if self.options.by_tables:
            return self._from_tables("DispatchNote", keys)
        found = {}
        for key in keys:
            call = BusinessCall(SORQDN, "Query", {"Key": {"DispatchNote": key}})
            try:
                content = content_of(self.orders.gateway.call(call))
            except Absent:
                continue
            if text_of(content, "DispatchNote"):
                found[key] = {**self._head(content), "MerchandiseLine": _lines_of(content)}
        return found

    def by_reference(self, wanted: Sequence[tuple[str, str]]) -> list[Doc]:
        """Whole notes with one of these references in UserDefined2. wanted: an order's number with a reference, each.

        Calls: two COMFND for many; or a SORQDL for each order and a SORQDN for each hit.
        """
        if self.options.by_tables:
            return list(self._from_tables("UserField2", [reference for _, reference in wanted]).values())
        orders = list(dict.fromkeys(order for order, _ in wanted if order))
        heads = [head for found in self.of_orders(orders).values() for head in found]
        hits = [head["DispatchNote"] for head in heads if (head["SalesOrder"], head["UserDefined2"]) in set(wanted)]
        return list(self.read(hits).values())

    def _listed(self, number: str) -> list[Any]:
        content = {"Filter": {"SalesOrder": {"@FilterType": "S", "@FilterValue": self.orders.stored(number)}}}
        reply = self.orders.gateway.call(BusinessCall(SORQDL, "Query", content))
        return all_of(content_of(reply), "DispatchNoteItem")

    def _from_tables(self, column: str, values: Sequence[str]) -> dict[str, Doc]:
        heads = {
            text_of(row, "DispatchNote"): self._head(row)
            for row in self.orders.rows("MdnMaster", column, values, tuple(HEAD.values()))
        }
        if not heads:
            return {}
        lines: dict[str, list[Doc]] = defaultdict(list)
        for row in self.orders.rows("MdnDetail", "DispatchNote", list(heads), _DETAIL):
            if text_of(row, "LineType") in MERCHANDISE:
                lines[text_of(row, "DispatchNote")].append(_line(row))
        return {
            key: {**head, "MerchandiseLine": sorted(lines[key], key=lambda line: int(line[LINE_NUMBER]))}
            for key, head in heads.items()
        }

    def _head(self, content: Any) -> Doc:
        head = {name: text_of(content, element) for name, element in HEAD.items()}
        return {**head, "SalesOrder": self.orders.shown(head["SalesOrder"])}


def _lines_of(content: Any) -> list[Doc]:
    goods = [get(line, "Merchandise") for line in all_of(content, "DispatchNoteLine")]
    return [_line(row) for row in goods if isinstance(row, Mapping)]


def _line(row: Mapping[str, Any]) -> Doc:
    number = str(int(text_of(row, "DispatchNoteLine") or 0))
    order_line = text_of(row, "SalesOrderLine")
    return {
        LINE_NUMBER: number,
        **({"SalesOrderLine": str(int(order_line))} if order_line else {}),
        "StockCode": text_of(row, "MStockCode"),
        "Warehouse": text_of(row, "MWarehouse"),
        "DispatchQty": str(amount(row, "MShipQty")),
        "StockingQty": str(amount(row, "MStockQtyToShp")),
    }

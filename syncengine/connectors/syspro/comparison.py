"""Whether a sales order still shows what SORQRY gave: that picture compared with its rows of SorMaster and SorDetail. Pure.

Facts: syspro-transport.md section 10.2 (what SORQRY gives), syspro-objects.md sections 10 and 14. Column names are those that
both database models cited there (sources SKER and BENC, companies of SYSPRO 7) have; a site without one of them leaves it out
by the setting `unread_columns`. A column is compared where the picture has its element: SORQRY gives more in some versions.

Not compared, since neither table holds it as SORQRY gives it: texts and notes of the header (OrderComments), the address that
is sold to, exemption status and GST status, printing times, descriptions of codes, the value of a line that SORQRY computes
(with it the amount of a discount by value, unless SORQRY gives MDiscValue), and OrderSourceCode as Harmony gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncengine.connectors.syspro import orders
from syncengine.connectors.syspro.documents import Filler
from syncengine.connectors.syspro.elements import Kind
from syncengine.connectors.syspro.order_elements import ORDER_LINES
from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.values import day_of, decimal_of
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import LINE_NUMBER, Doc

MASTER, DETAIL = "SorMaster", "SorDetail"
_KEYS: Mapping[str, tuple[str, ...]] = {
    MASTER: ("SalesOrder", "OrderStatus", "CancelledFlag"),
    DETAIL: ("SalesOrder", "SalesOrderLine", "LineType"),
}

_HEADER: Mapping[Kind, str] = {
    Kind.TEXT: """
        DocumentType InterWhSale Customer CustomerName Salesperson ScheduledOrdFlag OrderStatus CustomerPoNumber
        ShippingInstrs ShippingInstrsCod SpecialInstrs InvTermsOverride DeliveryNote LastInvoice Branch EntInvoice OrderType
        Area TaxExemptNumber GstExemptNum Currency ShipAddress1 ShipAddress2 ShipAddress3 ShipAddress3Loc ShipAddress4
        ShipAddress5 ShipPostalCode Email FixExchangeRate MulDiv AlternateKey LastOperator Operator WebCreated
        DispatchesMade LiveDispExist IncludeInMrp
        Warehouse MultiShipCode CompanyTaxNo Nationality DeliveryTerms ShippingLocation State CountyZip SalesOrderSource
        User1 CreditAuthority DocumentFormat LanguageCode""",
    Kind.DATE: "OrderDate ReqShipDate DateLastInvPrt LastDelNote EntInvoiceDate",
    Kind.NUMBER: "DiscPct1 DiscPct2 DiscPct3 ExchangeRate TransactionNature TransportMode ProcessFlag NumDispatches",
}
_STOCK_LINE: Mapping[Kind, str] = {
    Kind.TEXT: """
        MStockCode MStockDes MProductClass MWarehouse MBin MOrderUom MStockingUom MPriceUom MPriceCode MTaxCode
        MDiscValFlag MFstTaxCode MCommissionCode MCusSupStkCode MUserDef MLastDelNote""",
    Kind.DATE: "MLineShipDate MCustRequestDat",
    Kind.NUMBER: """
        SalesOrderInitLine MOrderQty MShipQty MStockQtyToShp QtyReserved QtyReservedShip MBackOrderQty MQtyDispatched
        MPrice MDiscPct1 MDiscPct2 MDiscPct3 MDiscValue""",
}
_OTHER_LINE: Mapping[Kind, str] = {
    Kind.TEXT: "NComment NCommentType NMscTaxCode NMscFstCode NMscProductCls NChargeCode",
    Kind.NUMBER: "SalesOrderInitLine NCommentFromLin NMscChargeValue NMscChargeCost NMscChargeQty",
}

_ELEMENTS = {
    "ShipAddress3Loc": "ShipAddress3Locality",
    "MultiShipCode": "MultShipCode",
    "NChargeCode": "NMscChargeCode",
}
"""SORQRY's elements of columns whose names differ; all others are the same."""

_LINE_TYPES = {
    "1": "StockLine",
    "7": "StockLine",
    "4": "FreightLine",
    "5": "MiscChargeLine",
    "6": "CommentLine",
}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column, and the field of a picture that shows it."""

    name: str
    kind: Kind
    field: str


def _columns(listed: Mapping[Kind, str], field_of: Callable[[str], str]) -> tuple[_Column, ...]:
    return tuple(
        _Column(name, kind, field_of(_ELEMENTS.get(name, name)))
        for kind, names in listed.items()
        for name in names.split()
    )


_HEADER_COLUMNS = _columns(_HEADER, orders.header_name)
_LINE_COLUMNS: Mapping[str, tuple[_Column, ...]] = {
    "StockLine": _columns(_STOCK_LINE, lambda element: orders.line_name("StockLine", element)),
    "CommentLine": _columns(_OTHER_LINE, lambda element: orders.line_name("CommentLine", element)),
    "MiscChargeLine": _columns(_OTHER_LINE, lambda element: orders.line_name("MiscChargeLine", element)),
    "FreightLine": _columns(_OTHER_LINE, lambda element: orders.line_name("FreightLine", element)),
}


def columns_of(table: str, pictures: Iterable[Doc], settings: Settings) -> list[str]:
    """The columns to ask of SorMaster or SorDetail: the keys, and what any of the pictures shows."""
    wanted = dict.fromkeys(_KEYS[table])
    for picture in pictures:
        for columns, shown in _parts(table, picture):
            wanted |= {column.name: None for column in _compared(table, columns, shown, settings)}
    return list(wanted)


def _parts(table: str, picture: Doc) -> Iterator[tuple[tuple[_Column, ...], Doc]]:
    if table == MASTER:
        yield _HEADER_COLUMNS, _by_lower_name(picture)
        return
    for kind in ORDER_LINES:
        for line in picture.get(kind) or ():
            yield _LINE_COLUMNS[kind], _by_lower_name(line)


def _compared(table: str, columns: Iterable[_Column], shown: Doc, settings: Settings) -> Iterator[_Column]:
    for column in columns:
        is_read = settings.asks_for(table, column.name)
        if column.field.lower() in shown and (is_read or column.name in _KEYS[table]):
            yield column


def differences(picture: Doc, row: Doc, lines: Sequence[Doc], filler: Filler, *, is_cancelled: bool) -> list[str]:
    """The columns (`SorDetail.MPrice`) in which an order's rows differ from its picture; empty if it shows the same.

    `row` is its row of SorMaster, `lines` are its rows of SorDetail, both with the columns of `columns_of`;
    `is_cancelled` says whether the picture is one of a cancelled order.
    """
    found = _differing(MASTER, _HEADER_COLUMNS, picture, row, filler)
    is_flagged = text_of(row, "CancelledFlag").upper() == "Y"
    if is_flagged != is_cancelled and (is_flagged or "CancelledFlag" in picture):
        found.append(f"{MASTER}.CancelledFlag")
    shown = {_whole(line.get(LINE_NUMBER)): (kind, line) for kind in ORDER_LINES for line in picture.get(kind) or ()}
    stored = {_whole(text_of(line, "SalesOrderLine")): line for line in lines}
    if shown.keys() != stored.keys() or len(stored) != len(lines):
        found.append(f"{DETAIL}.SalesOrderLine")
    for number in shown.keys() & stored.keys():
        kind, line = shown[number]
        if _LINE_TYPES.get(text_of(stored[number], "LineType")) != kind:
            found.append(f"{DETAIL}.LineType")
        else:
            found += _differing(DETAIL, _LINE_COLUMNS[kind], line, stored[number], filler)
    return sorted(set(found))


def _differing(table: str, columns: Iterable[_Column], part: Doc, row: Doc, filler: Filler) -> list[str]:
    shown = _by_lower_name(part)
    return [
        f"{table}.{column.name}"
        for column in _compared(table, columns, shown, filler.settings)
        if _canonical(column, shown[column.field.lower()], filler)
        != _canonical(column, text_of(row, column.name), filler)
    ]


def _canonical(column: _Column, value: Any, filler: Filler) -> Any:
    """One form for a typed value and a column's text: exact numbers (blank is 0), dates, unpadded texts, stored keys."""
    if isinstance(value, str):
        value = value.strip()
    try:
        if column.kind is Kind.NUMBER:
            return decimal_of(value or 0)
        if column.kind is Kind.DATE:
            return day_of(value) if value else None
    except ValueError:
        return str(value)  # compared as it is: the column has another type at this site
    return filler.key(column.field, str(value or ""))


def _by_lower_name(part: Mapping[str, Any]) -> Doc:
    return {name.lower(): value for name, value in part.items()}


def _whole(value: object) -> str:
    """A line's number without padding: `0001` and `     1` are the same line."""
    return str(value or "").strip().lstrip("0")

"""Lines of an order in SYSPRO against the rows of the order in the shop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from syncengine.demo.comparison import texts
from syncengine.demo.comparison.documented import PENNY, PRICE_STEP, Documented, rounded
from syncengine.demo.comparison.texts import Json
from syncengine.sandbox.shop.model import FREE_TEXT_PRODUCT_ID, Order, Row

COMMENT_LENGTH, REFERENCE_LENGTH = 100, 30
STOCK, FREIGHT, CHARGE, COMMENT = "1", "4", "5", "6"  # SorDetail.LineType
SHIPPING = "4040"  # the nominal code that marks shipping


def compare(config: Documented, order: Order, lines: Sequence[Json], net_total: Decimal) -> Iterable[str]:
    """What is wrong with the lines of an order, and with their sum. `net_total`: Brightpearl's, without tax."""
    by_type: dict[str, list[Json]] = defaultdict(list)
    for line in lines:
        by_type[line["LineType"]].append(line)
    if unexpected := set(by_type) - {STOCK, FREIGHT, CHARGE, COMMENT}:
        yield f"has lines of type {', '.join(sorted(unexpected))}"
    yield from _stock(config, order, by_type[STOCK])
    yield from _charges(config, order, by_type[CHARGE])
    yield from _freight(config, order, by_type[FREIGHT])
    yield from _comments(order, [line["NComment"] for line in by_type[COMMENT]])
    yield from _total(order, lines, net_total)


def _stock(config: Documented, order: Order, found: Sequence[Json]) -> Iterable[str]:
    unit, warehouse = config.settings.get("uom", "EA"), config.lookup("warehouses", order.warehouse_id)
    return texts.match(
        "stock line",
        [(row.sku, row.quantity, price, unit, unit, warehouse) for row, price in _stock_rows(order)],
        texts.columns(found, "MStockCode", "MOrderQty", "MPrice", "MOrderUom", "MPriceUom", "MWarehouse"),
    )


def _charges(config: Documented, order: Order, found: Sequence[Json]) -> Iterable[str]:
    product_class = str(config.settings.get("misc_product_class", "MISC"))
    wanted = [
        (row.name, rounded(row.net, PENNY), product_class, config.lookup("tax_codes", row.tax_code))
        for row in order.rows.values()
        if _is_text(row) and row.net
    ]
    return texts.match(
        "charge", wanted, texts.columns(found, "NComment", "NMscChargeValue", "NMscProductCls", "NMscTaxCode")
    )


def _freight(config: Documented, order: Order, found: Sequence[Json]) -> Iterable[str]:
    wanted = [
        (rounded(row.net, PENNY), config.lookup("tax_codes", row.tax_code))
        for row in order.rows.values()
        if row.nominal_code == SHIPPING and row.net
    ]
    return texts.match("freight", wanted, texts.columns(found, "NMscChargeValue", "NMscTaxCode"))


def _is_text(row: Row) -> bool:
    return row.product_id == FREE_TEXT_PRODUCT_ID and row.nominal_code != SHIPPING


def _stock_rows(order: Order) -> list[tuple[Row, Decimal]]:
    """The rows that are goods, each with its net unit price. A bundle's components share the price of the bundle by their
    list prices, else by their costs, else by their quantities (docs/flows.md, `bundles: spread`)."""
    rows = [r for r in order.rows.values() if r.product_id != FREE_TEXT_PRODUCT_ID and r.nominal_code != SHIPPING]
    goods = []
    for row in (row for row in rows if not row.bundle_parent and row.quantity):
        net = row.net
        if row.parent_row_id:
            siblings = [r for r in rows if r.parent_row_id == row.parent_row_id]
            weigh = next(by for by in (_by_price, _by_cost, _by_quantity) if sum(map(by, siblings)) > 0)
            net += order.rows[row.parent_row_id].net * weigh(row) / sum(map(weigh, siblings))
        goods.append((row, rounded(net / row.quantity, PRICE_STEP)))
    return goods


def _by_price(row: Row) -> Decimal:
    return row.price * row.quantity


def _by_cost(row: Row) -> Decimal:
    return row.cost * row.quantity


def _by_quantity(row: Row) -> Decimal:
    return row.quantity


def _comments(order: Order, found: Sequence[str]) -> Iterable[str]:
    if too_long := [text for text in found if len(text) > COMMENT_LENGTH]:
        yield f"has a comment of {len(too_long[0])} characters"
    left, split = [texts.squeezed(text) for text in found], []
    for text in _wanted_comments(order):
        whole = next((each for each in left if texts.pattern(texts.squeezed(text)).fullmatch(each)), None)
        if whole is None:
            split.append(text)  # over several lines, if it is there
        else:
            left.remove(whole)
    rest, is_complete = "".join(left), True
    for text in split:
        hit = texts.pattern(texts.squeezed(text)).search(rest)
        if hit is None:
            is_complete = False
            yield f"lacks the comment {text!r}"
        else:
            rest = rest[: hit.start()] + rest[hit.end() :]
    if rest and is_complete:
        yield f"has an unexpected comment: {rest!r}"


def _wanted_comments(order: Order) -> list[str]:
    party, wanted = order.delivery, []
    if party.company and party.full_name and party.company != party.full_name:
        wanted.append(f"Attn: {party.full_name}")
    if len(order.reference) > REFERENCE_LENGTH:
        wanted.append(f"Ref: {order.reference}")
    wanted += [row.name for row in order.rows.values() if _is_text(row) and not row.net and row.name]
    wanted += [f"Bundle: {texts.plain(row.quantity)} x {row.name}" for row in order.rows.values() if row.bundle_parent]
    return wanted


def _total(order: Order, lines: Sequence[Json], net_total: Decimal) -> Iterable[str]:
    """To the penny, but for rounding: half of the fifth place of each price, half a penny of each charge, and where prices
    include tax, what Brightpearl's total loses when it rounds each row's tax."""
    total = sum((Decimal(line["MOrderQty"]) * Decimal(line["MPrice"]) for line in lines), Decimal(0))
    total += sum((Decimal(line["NMscChargeValue"]) for line in lines), Decimal(0))
    goods = sum((Decimal(line["MOrderQty"]) for line in lines), Decimal(0))
    charges = sum(line["LineType"] in (FREIGHT, CHARGE) for line in lines)
    taxes = len(order.rows) if order.price_mode == "INC" else 0
    tolerance = PRICE_STEP / 2 * goods + PENNY / 2 * (1 + charges + taxes)
    if abs(total - net_total) > tolerance:
        yield f"comes to {texts.plain(total)} in SYSPRO and to {net_total} net in Brightpearl"

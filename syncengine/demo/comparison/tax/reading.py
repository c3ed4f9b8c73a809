"""Reads what the shop charged and what SYSPRO booked through the sandbox's control API."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

import requests

from syncengine.demo.comparison import documented
from syncengine.demo.comparison.tax.figures import EXEMPT, UNTAXED, Booked, Charged, Explanation, Kind, Part, Tolerance
from syncengine.demo.comparison.tax.judge import FIELDS, Verdict, judge
from syncengine.sandbox.shop.model import ENTERED_BEFORE, FREE_TEXT_PRODUCT_ID, Shop

Json = dict[str, Any]
TIMEOUT_S = 30
ARRIVING = ("pushed", "guest")
SHIPPING = "4040"  # the nominal code that marks shipping
_COMPLETE = "9"
_KINDS: Mapping[str, Kind] = {"1": "goods", "7": "goods", "4": "freight", "5": "charge"}


def compare_tax(
    sandbox_url: str,
    shop: Shop,
    explanations: Iterable[Explanation] = (),
    *,
    exempt: Collection[str] = ("T2",),
    tolerance: Tolerance | None = None,
    fields: Collection[str] = FIELDS,
) -> Verdict:
    """Compare all orders and invoices of both systems, with the tax codes that the sandbox's connection documents.

    Args:
        shop: the shop as generated, which says which orders SYSPRO should have.
        exempt: the shop's tax codes whose rows may be booked by an exempt order, whatever the code there.
    """
    codes = documented.load().tables["tax_codes"]
    expected = [order_id for order_id, fate in shop.expected.items() if fate in ARRIVING]
    charged, booked = read(sandbox_url, expected, codes, exempt)
    return judge(charged, booked, explanations, tolerance=tolerance, fields=fields)


def read(
    sandbox_url: str, order_ids: Iterable[int], codes: Mapping[str, str], exempt: Collection[str] = ()
) -> tuple[list[Charged], list[Booked]]:
    """What the shop charged for these orders, and all that SYSPRO booked, without cancelled orders and those from before.

    Args:
        codes: the shop's tax codes to SYSPRO's; an unknown one stays as it is.
        exempt: the shop's tax codes whose rows an exempt order may book.
    """
    session, url = requests.Session(), f"{sandbox_url.rstrip('/')}/_sandbox"

    def get(path: str) -> Any:
        answer = session.get(f"{url}/{path}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    latest = {order["id"]: order for order in get("brightpearl/orders")["latest"]}
    orders = [latest.get(order_id) or get(f"brightpearl/orders/{order_id}") for order_id in order_ids]
    return [charged(order, codes, exempt) for order in orders], [
        *(
            _booked("order", order)
            for order in get("syspro/tax/orders")
            if _is_of_shop(order) and not order["cancelled"]
        ),
        *(_booked("invoice", invoice) for invoice in get("syspro/tax/invoices") if _is_of_shop(invoice)),
    ]


def _is_of_shop(document: Json) -> bool:
    return not str(document["po"]).startswith(ENTERED_BEFORE)


def charged(order: Json, codes: Mapping[str, str], exempt: Collection[str]) -> Charged:
    """A Brightpearl order. A bundle's components share the amounts of their bundle, under the bundle's tax code, by their list
    prices, else by their costs, else by their quantities (docs/flows.md, `bundles: spread`)."""
    rows: dict[str, Json] = order["orderRows"]
    bundles = {key: row for key, row in rows.items() if row["composition"]["bundleParent"]}
    parts = []
    for key, row in rows.items():
        if key in bundles:
            continue
        bundle = bundles.get(str(row["composition"]["parentOrderRowId"]))
        net, tax = _amount(row, "rowNet"), _amount(row, "rowTax")
        if bundle is not None:
            share = _share_of_bundle(rows, row)
            net, tax = net + _amount(bundle, "rowNet") * share, tax + _amount(bundle, "rowTax") * share
        parts.append(_part(row, net, tax, (bundle or row)["rowValue"]["taxCode"], codes, exempt))
    total = order["totalValue"]
    return Charged(str(order["id"]), Decimal(total["net"]), Decimal(total["taxAmount"]), parts)


def _part(
    row: Json, net: Decimal, tax: Decimal, tax_code: str, codes: Mapping[str, str], exempt: Collection[str]
) -> Part:
    kind: Kind = "goods"
    if row["nominalCode"] == SHIPPING:
        kind = "freight"
    elif row["productId"] == FREE_TEXT_PRODUCT_ID:
        kind = "charge"
    right = (codes.get(tax_code, tax_code), *((EXEMPT,) if tax_code in exempt else ()))
    return Part(kind, row.get("productSku", ""), Decimal(row["quantity"]["magnitude"]), net, right, tax)


def _amount(row: Json, name: str) -> Decimal:
    return Decimal(row["rowValue"][name]["value"])


def _share_of_bundle(rows: Mapping[str, Json], row: Json) -> Decimal:
    parent = row["composition"]["parentOrderRowId"]
    siblings = [each for each in rows.values() if each["composition"]["parentOrderRowId"] == parent]
    for name in ("productPrice", "itemCost"):
        weights = [Decimal(each[name]["value"]) * Decimal(each["quantity"]["magnitude"]) for each in siblings]
        if sum(weights) > 0:
            own = Decimal(row[name]["value"]) * Decimal(row["quantity"]["magnitude"])
            return own / sum(weights)
    pieces = sum(Decimal(each["quantity"]["magnitude"]) for each in siblings)
    return Decimal(row["quantity"]["magnitude"]) / pieces


def _booked(document: Any, found: Json) -> Booked:
    parts = [
        Part(
            _KINDS[line["type"]],
            line["stock_code"],
            Decimal(line["quantity"]),
            Decimal(line["net"]),
            (_treatment(line),),
        )
        for line in found["lines"]
    ]
    complete = found.get("status") == _COMPLETE
    return Booked(document, found["po"], found["number"], Decimal(found["net"]), Decimal(found["tax"]), parts, complete)


def _treatment(line: Json) -> str:
    if line["status"] == "E":
        return EXEMPT
    return UNTAXED if line["status"] == "-" else str(line["code"])

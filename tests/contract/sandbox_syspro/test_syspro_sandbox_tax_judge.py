"""The judge of tax over both simulated systems: a shop with all kinds of tax, keyed into SYSPRO by a clerk without mistakes.

What differs then is what the site's setup does to codes and amounts.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal

import pytest
import requests

from syncengine.demo.comparison.tax import Explanation, Verdict, compare_tax
from syncengine.sandbox import Running, Sandbox
from syncengine.sandbox.shop.model import FREE_TEXT_PRODUCT_ID, Order, Row

from .conftest import EnetClient, errors, head

CODES = {"DE19": "D19"}
#: Kinds of orders in which the shop charged each row by the item's own code.
OWN_CODES = {"own_codes_net", "own_codes_gross", "discounts", "many_small_rows"}


@pytest.fixture(scope="module")
def shop_server() -> Iterator[Running]:
    running = Sandbox(3, {"latency_s": 0}, contacts=0, products=2, orders=0, awkward=False, tax_mix=22).start()
    yield running
    running.stop()


def book(server: Running, *, override: str, calculation: str = "I", send_codes: bool = True) -> EnetClient:
    """Start over, and key every order into a site with this setup."""
    server.sandbox.switches.turn({"syspro_tax_override": override, "syspro_tax_calculation": calculation})
    server.sandbox.reset()
    client = EnetClient(server.url)
    client.log_on()
    for order in server.sandbox.shop.orders:
        lines = sorted(
            (_line(row, send_codes) for row in order.rows.values()), key=lambda text: "<StockLine>" not in text
        )
        customer = f"WEB{order.currency}"
        reply = client.import_order(head(str(order.id), customer=customer), "".join(lines), AllowZeroPrice="Y")
        assert errors(reply) == []
    return client


def _line(row: Row, send_code: bool) -> str:
    code = CODES.get(row.tax_code, row.tax_code)
    if row.product_id != FREE_TEXT_PRODUCT_ID:
        price = (row.net / row.quantity).quantize(Decimal("0.00001"), ROUND_HALF_UP)
        entered = f"<StockTaxCode>{code}</StockTaxCode>" if send_code else ""
        return (
            f"<StockLine><StockCode>{row.sku}</StockCode><Warehouse>MN</Warehouse><OrderQty>{row.quantity}</OrderQty>"
            f"<OrderUom>EA</OrderUom><Price>{price}</Price><PriceUom>EA</PriceUom>{entered}</StockLine>"
        )
    value = row.net.quantize(Decimal("0.01"), ROUND_HALF_UP)
    if row.nominal_code == "4040":
        return f"<FreightLine><FreightValue>{value}</FreightValue><FreightTaxCode>{code}</FreightTaxCode></FreightLine>"
    return (
        f"<MiscChargeLine><MiscChargeValue>{value}</MiscChargeValue><MiscProductClass>WEB</MiscProductClass>"
        f"<MiscTaxCode>{code}</MiscTaxCode></MiscChargeLine>"
    )


def invoice_all(server: Running) -> None:
    """Two days' work: every third order in two parts."""
    for _ in range(2):
        answer = requests.post(f"{server.url}/_sandbox/syspro/day", json={"every_in_part": 3}, timeout=30)
        assert answer.status_code == 200, answer.text


def judged(server: Running, *shown: Explanation) -> Verdict:
    return compare_tax(server.url, server.sandbox.shop, shown)


def kinds(server: Running, verdict: Verdict) -> set[str]:
    """The kinds of the orders that differ."""
    differing = {int(difference.po) for difference in verdict.differences}
    return {kind for kind, ids in server.sandbox.shop.tax_mix.items() if differing & set(ids)}


@pytest.mark.parametrize("calculation", ["I", "L"])
def test_site_that_takes_the_codes_books_what_was_charged(shop_server: Running, calculation: str) -> None:
    book(shop_server, override="accepted", calculation=calculation)
    invoice_all(shop_server)
    verdict = judged(shop_server)

    assert verdict.differences == []
    assert verdict.orders == 22
    assert verdict.invoices > 22


def test_site_that_ignores_the_codes_is_found_out_in_orders_and_invoices(shop_server: Running) -> None:
    book(shop_server, override="ignored")
    invoice_all(shop_server)
    verdict = judged(shop_server)

    found = kinds(shop_server, verdict)
    assert not found & OWN_CODES
    assert found == set(shop_server.sandbox.shop.tax_mix) - OWN_CODES
    assert {difference.document for difference in verdict.silent} >= {"order", "invoice"}


def test_every_difference_is_explained_by_an_attention_that_shows_it(shop_server: Running) -> None:
    book(shop_server, override="ignored")
    silent = judged(shop_server).silent
    shown = [Explanation(difference.po, "attention", str(difference)) for difference in silent]

    assert silent
    assert judged(shop_server, *shown).passed


def test_orders_that_were_held_are_missing_and_explained(shop_server: Running) -> None:
    shop_server.sandbox.reset()
    held = [Explanation(str(order.id), "held") for order in shop_server.sandbox.shop.orders]

    assert len(judged(shop_server).silent) == 22
    assert judged(shop_server, *held[:-1]).silent[0].po == held[-1].po
    assert judged(shop_server, *held).passed


def test_order_of_the_shop_as_people_have_edited_it_is_what_was_charged(shop_server: Running) -> None:
    book(shop_server, override="accepted")
    order: Order = shop_server.sandbox.shop.orders[0]
    row = next(iter(order.rows))
    url = f"{shop_server.url}/_sandbox/brightpearl/orders/{order.id}/rows/{row}"
    requests.post(url, json={"net": "500.00"}, timeout=10).raise_for_status()

    (difference,) = judged(shop_server).silent
    assert (difference.po, difference.fields) == (str(order.id), ("net", "tax", "total"))

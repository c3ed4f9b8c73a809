"""The simulated systems as benchmarks need them: a plain shop of N orders by C customers, every one of them good.

A separate process, so that its CPU share can be measured. It reads one command per line from standard input and answers
each with one line of JSON: `amend SECONDS` changes a quantity of every order (their times spread over the next SECONDS),
`status ID` gives all orders a status without telling anybody;
`addresses` counts the customers' addresses, `cpu` tells the CPU seconds used so far, `stock N` adds N products with stock in
three of SYSPRO's warehouses and none in Brightpearl, `count CODE QUANTITY` is a count in SYSPRO's first warehouse, `levels`
tells how many of Brightpearl's levels are not those of SYSPRO, and `level CODE` what Brightpearl has in its first warehouse.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from datetime import timedelta
from decimal import Decimal

from syncengine.sandbox.brightpearl.app import Brightpearl
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.shop.model import CUT_OVER, Product, Warehouse
from syncengine.sandbox.shop.order_writer import OrderWriter
from syncengine.sandbox.syspro import seed
from syncengine.sandbox.syspro.inventory import people


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--customers", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--status", type=int, default=2, help="of every order")
    options = parser.parse_args()
    switches = {"latency_s": options.latency, "brightpearl_limit": 0}
    sandbox = Sandbox(1, switches, contacts=options.customers, products=100, orders=0, awkward=False)
    fill(sandbox, options.orders, options.status)
    with sandbox.start() as running:
        ordinary = next(product for product in sandbox.shop.products if product.in_syspro and product.sku)
        _answer({"url": running.url, "sku": ordinary.sku})
        for line in sys.stdin:
            _answer(_do(sandbox, line.split()))


def fill(sandbox: Sandbox, orders: int, status_id: int = 2) -> None:
    """Put orders into the shop, by all customers in turn, each of one to three stock lines; seven seconds apart."""
    chance, writer = random.Random(2), OrderWriter(sandbox.shop)
    customers, ordinary = writer.customers, writer.ordinary
    for number in range(orders):
        placed = CUT_OVER + timedelta(minutes=1) + timedelta(seconds=7 * number)
        order = writer.order(customers[number % len(customers)], placed, status_id=status_id)
        for product in chance.sample(ordinary, chance.choice((1, 1, 2, 3))):
            writer.add(order, product, chance.choice((1, 2, 3)))
    sandbox.brightpearl = Account(sandbox, sandbox.shop)
    sandbox.apps["brightpearl"] = Brightpearl(sandbox, sandbox.brightpearl)


def amend(sandbox: Sandbox, over_s: float) -> int:
    """Double a quantity, and with it the net amount, of every order; returns how many."""
    account = sandbox.brightpearl
    with account.lock:
        orders = list(account.orders.values())
        begin = account.stamp()
        for number, order in enumerate(orders):
            row = next(iter(order.rows.values()))
            row.quantity, row.net, row.tax = row.quantity * 2, row.net * 2, row.tax * Decimal(2)
            moment = begin + timedelta(seconds=over_s * number / len(orders))
            account.stamp_order(order, moment.replace(microsecond=0))
    return len(orders)


WAREHOUSES = {"MN": 2, "ST": 3, "EX": 4}
"""SYSPRO's warehouses with stock, and Brightpearl's."""


def stock(sandbox: Sandbox, count: int) -> int:
    """Add products that both systems have, 1 to 9 of each in each of SYSPRO's warehouses; returns how many."""
    account, company = sandbox.brightpearl, sandbox.syspro
    with company.lock:
        company.table("InvWhControl").insert(Warehouse="EX", Description="Extra", Branch="10")
    account.shop.warehouses.append(Warehouse(WAREHOUSES["EX"], "EX", "Extra"))
    account.warehouse_ids["EX"] = WAREHOUSES["EX"]
    for number in range(count):
        product = Product(
            100_000 + number, f"S{number:06}", f"Item {number}", Decimal(9), "T20", {}, stock_tracked=True
        )
        product.stock = {code: Decimal(1 + (number + place) % 9) for place, code in enumerate(WAREHOUSES)}
        product.cost = Decimal("4.20")
        with account.lock:
            account.save_product(product, is_new=True)
        with company.lock:
            seed._product(company, product, list(WAREHOUSES))
    with company.lock:
        for row in company.table("InvWarehouse").rows():
            row["DateLastStockMove"] = CUT_OVER.date()
    return count


def differing(sandbox: Sandbox) -> int:
    """How many of Brightpearl's levels of these products are not those of SYSPRO."""
    account, company = sandbox.brightpearl, sandbox.syspro
    with company.lock:
        there = {
            (row["StockCode"], row["Warehouse"]): int(row["QtyOnHand"]) for row in company.table("InvWarehouse").rows()
        }
    products = [product for product in account.products.values() if product.id >= 100_000]
    with account.lock:
        return sum(
            account.stock.level(product.id, warehouse_id).in_stock != there[product.sku, code]
            for product in products
            for code, warehouse_id in WAREHOUSES.items()
        )


def set_status(sandbox: Sandbox, status_id: int) -> list[int]:
    """Give every order a status, now; returns their ids."""
    account = sandbox.brightpearl
    with account.lock:
        for order in account.orders.values():
            order.status_id = status_id
            account.stamp_order(order, account.stamp())
        return sorted(account.orders)


def _do(sandbox: Sandbox, words: list[str]) -> dict[str, object]:
    if words[0] == "amend":
        return {"amended": amend(sandbox, float(words[1]))}
    if words[0] == "status":
        return {"ids": set_status(sandbox, int(words[1]))}
    if words[0] == "addresses":
        return {"addresses": len(sandbox.brightpearl.addresses)}
    if words[0] == "cpu":
        return {"cpu_s": time.process_time()}
    if words[0] == "stock":
        return {"products": stock(sandbox, int(words[1]))}
    if words[0] == "levels":
        return {"differ": differing(sandbox)}
    if words[0] == "level":
        found = next(each.id for each in sandbox.brightpearl.products.values() if each.sku == words[1])
        with sandbox.brightpearl.lock:
            return {"level": sandbox.brightpearl.stock.level(found, WAREHOUSES["MN"]).in_stock}
    if words[0] == "count":
        with sandbox.syspro.lock:
            people.count(sandbox.syspro, words[1], "MN", Decimal(words[2]), None)
        return {"counted": words[1]}
    return {"error": f"there is no command {words[0]!r}"}


def _answer(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

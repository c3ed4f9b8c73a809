"""The world of the end-to-end tests: people at both systems, and the real engine with its messages kept in a list.

Nothing is replaced but Celery and the clock: flows, mapping, connectors, limiter, vault and store are the real ones, and
every call goes over HTTP to the sandbox.
"""

from __future__ import annotations

import itertools
import time as machine
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis
import requests
from cryptography.fernet import Fernet
from sqlalchemy import func, select

from syncengine import connectors
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.setup import bootstrap, configure
from syncengine.engine.setup.configure import ConnectionPlan, EndpointPlan, Installation
from syncengine.engine.steps import running, sync
from syncengine.engine.steps.pump import pump
from syncengine.flows.connections import connection_template
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.shop.model import FREE_TEXT_PRODUCT_ID, Address, Contact, Order, Party, Product, Row
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.vault import Vault
from tests import shipped

#: A Monday before clocks change: London is at UTC.
PLACED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SETTLE_S = 20.0

GATEWAYS, DATABASES = ("enet", "harmony"), ("sqlite", "postgresql")

both_gateways = pytest.mark.parametrize("gateway", GATEWAYS, indirect=True)
both_installations = pytest.mark.parametrize(
    ("database", "gateway"),
    [("sqlite", "enet"), pytest.param("postgresql", "harmony", marks=pytest.mark.postgres)],
    indirect=True,
)
"""The parts of a laptop, and other ones: each database and each gateway once."""


class Time:
    """The machine's clocks, and how far the test has moved them on; the sandbox's clock goes with them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.ahead_s = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return machine.monotonic() + self.ahead_s

    def pass_(self, seconds: float) -> None:
        """Move on without waiting."""
        self.ahead_s += seconds
        self.sandbox.switches.turn({"clock_offset_s": self.ahead_s})


class Shop:
    """The people of the Brightpearl account. Texts and figures are what the test says, nothing is made up."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.account = sandbox.brightpearl
        self._orders, self._rows = itertools.count(5001), itertools.count(8101)
        self._contacts = itertools.count(310)
        self._sequence = itertools.count(1)
        for product in (
            Product(3001, "MUG", "Enamel Mug", Decimal("8.00"), "T20", {}),
            Product(3002, "BOOK", "A Book", Decimal("12.50"), "T0", {}),
        ):
            self.account.products[product.id] = product

    def contact(self, first: str = "Robin", last: str = "Sample", **changes: Any) -> Contact:
        """A private person in Bristol who pays in pounds; `address` replaces parts of the address."""
        contact_id = next(self._contacts)
        parts = changes.pop("address", {})
        address = Address(9000 + contact_id, contact_id, "1 Example Road", "", "Bristol", "Avon", "BS1 4QA", "GB")
        address = replace(address, **parts)
        self.account.addresses[address.id] = address
        contact = Contact(
            contact_id, first, last, "", f"c{contact_id}@mail.example", "0117 496 0000", "", "GBP", 2, "T20",
            address.id, address.id, created_on=PLACED - timedelta(days=9),
        )  # fmt: skip
        contact = replace(contact, **changes)
        self.account.save_contact(contact, is_new=True, by="person")
        return contact

    def order(self, contact: Contact | None = None, *rows: Row, **changes: Any) -> Order:
        """A new order of an eligible status, delivered to the contact's address; one mug where no rows are given."""
        contact = contact or self.contact()
        address = self.account.addresses[contact.delivery_address_id]
        party = Party(
            contact.id, f"{contact.first_name} {contact.last_name}".strip(), contact.company, address.line1,
            address.line2, address.line3, address.line4, address.postal_code, address.country, contact.phone,
            contact.mobile, contact.email,
        )  # fmt: skip
        delivery = replace(party, **changes.pop("delivery", {}))
        order_id = next(self._orders)
        currency = changes.get("currency", contact.currency)
        given = rows if rows or "no_rows" in changes else (self.row("MUG", 1, "8.00"),)
        changes.pop("no_rows", None)
        order = Order(
            order_id, f"WEB-{order_id}", 2, PLACED, PLACED + timedelta(seconds=2), None, currency,
            self.account.currencies[currency].rate, contact.price_list_id, "EXC", 1, 2, party, replace(party), delivery,
            {row.id: row for row in given}, shipping_method_id=2,
        )  # fmt: skip
        order = replace(order, **changes)
        self.account.add_order(order, by="person")
        return order

    def row(self, sku: str, quantity: Any, net: str, tax: str = "0.00", **changes: Any) -> Row:
        """A row of a product; `net` and `tax` are for the whole row."""
        product = next(one for one in self.account.products.values() if one.sku == sku)
        return self._row((product.id, product.name, sku), quantity, net, tax, changes)

    def text(self, name: str, net: str = "0.00", **changes: Any) -> Row:
        """A free-text row."""
        return self._row((FREE_TEXT_PRODUCT_ID, name, ""), 1, net, "0.00", changes)

    def shipping(self, name: str, net: str, **changes: Any) -> Row:
        """A row of the nominal code of shipping."""
        return self.text(name, net, nominal_code="4040", **changes)

    def _row(self, product: tuple[int, str, str], quantity: Any, net: str, tax: str, changes: dict[str, Any]) -> Row:
        quantity, net_ = Decimal(str(quantity)), Decimal(net).quantize(Decimal("0.0001"))
        price = (net_ / quantity).quantize(Decimal("0.0001")) if quantity else net_
        key, sequence = next(self._rows), 10 * next(self._sequence)
        row = Row(key, sequence, *product, quantity, price, net_, Decimal(tax), "T20")
        return replace(row, **changes)

    def edit(self, order: Order, **changes: Any) -> None:
        """Somebody edits the order."""
        for name, value in changes.items():
            setattr(order, name, value)
        self.account.save_order(order, "order", by="person")

    def edit_row(self, order: Order, row: Row, **changes: Any) -> None:
        """Somebody edits a row."""
        for name, value in changes.items():
            setattr(order.rows[row.id], name, value)
        self.account.save_order(order, "rows", by="person")

    def add_row(self, order: Order, row: Row) -> None:
        order.rows[row.id] = row
        self.account.save_order(order, "rows", by="person")

    def remove_row(self, order: Order, row: Row) -> None:
        del order.rows[row.id]
        self.account.save_order(order, "rows", by="person")

    def set_status(self, order: Order, status_id: int) -> None:
        order.status_id = status_id
        self.account.save_order(order, "status", by="person")


class Erp:
    """What SYSPRO has, and its clerks, who work through the sandbox's control API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.company = sandbox.syspro
        self.sandbox = sandbox

    def orders(self, po_number: object) -> list[Mapping[str, Any]]:
        """All orders of a CustomerPoNumber, cancelled ones too."""
        with self.company.lock:
            return [dict(row) for row in self.company.table("SorMaster").by("CustomerPoNumber", str(po_number))]

    def order(self, po_number: object) -> Mapping[str, Any]:
        """The one order of a CustomerPoNumber."""
        found = self.orders(po_number)
        assert len(found) == 1, f"{len(found)} orders of the number {po_number}"
        return found[0]

    def lines(self, po_number: object) -> list[Mapping[str, Any]]:
        """All lines of the one order."""
        with self.company.lock:
            return [dict(line) for line in self.company.lines(self.order(po_number))]

    def stock_lines(self, po_number: object) -> list[tuple[str, Decimal, Decimal]]:
        """Stock code, quantity and price of the merchandise, by line number."""
        return [(line["MStockCode"], line["MOrderQty"], line["MPrice"]) for line in self._typed(po_number, "1")]

    def charges(self, po_number: object) -> list[tuple[str, Decimal]]:
        return [(line["NComment"], line["NMscChargeValue"]) for line in self._typed(po_number, "5")]

    def freight(self, po_number: object) -> list[Decimal]:
        return [line["NMscChargeValue"] for line in self._typed(po_number, "4")]

    def comments(self, po_number: object) -> list[str]:
        return [line["NComment"] for line in self._typed(po_number, "6")]

    def _typed(self, po_number: object, kind: str) -> list[Mapping[str, Any]]:
        return [line for line in self.lines(po_number) if line["LineType"] == kind]

    def address(self, po_number: object) -> list[str]:
        """Name and address lines as they are read, without blank ones, and the post code."""
        order = self.order(po_number)
        names = (
            "CustomerName",
            *(f"ShipAddress{line}" for line in ("1", "2", "3", "3Loc", "4", "5")),
            "ShipPostalCode",
        )
        return [order[name] for name in names if order[name]]

    def customer(self, code: str) -> Mapping[str, Any]:
        row = self.company.customer(code)
        assert row is not None, f"no customer {code}"
        return dict(row)

    def customers(self) -> list[str]:
        """Codes of all customers that came from Brightpearl."""
        return sorted(row["Customer"] for row in self.company.table("ArCustomer").rows() if row["UserField1"])

    def made(self, po_number: object) -> int:
        """How often an order of this number was created."""
        return len(self.sandbox.calls.effects(object="SorMaster", reference=str(po_number), action="created"))

    def act(self, path: str, method: str = "POST", **body: Any) -> Any:
        """A clerk does something: `orders/<number>/lines`, `customers/<code>`, ... (sandbox/syspro/control.py)."""
        answer = requests.request(method, f"{self.sandbox.base_url}/_sandbox/syspro/{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json()


A_MINUTE = 60_000  # calls; traffic has tests of its own, here nobody shall wait for it
KEY = Fernet.generate_key().decode()


class World:
    """Both systems, the engine, and the messages that it has sent and nobody has run yet."""

    def __init__(
        self, sandbox: Sandbox, time: Time, store: Store, valkey: redis.Redis, gateway: str, *, is_configured: bool
    ) -> None:
        """is_configured: the store has the endpoints and the connection already."""
        self.sandbox, self.time, self.store, self.valkey, self.gateway = sandbox, time, store, valkey, gateway
        self.key = KEY
        self.vault = Vault(store, [self.key])
        self.messages: list[Chain] = []
        self.undo: list[Callable[[], None]] = []  # what a test put in the way and the next one must not find
        self.between: Callable[[], None] = lambda: None  # what happens elsewhere between two steps of a chain
        sandbox.switches.turn({"brightpearl_limit": A_MINUTE})
        self.shop, self.erp = Shop(sandbox), Erp(sandbox)
        for product in list(self.shop.account.products.values()):
            if product.sku in ("MUG", "BOOK"):
                self._stock(product)
        if not is_configured:
            self.configure()
        lent = bootstrap.services(store, self.vault, valkey)
        self.engine = Engine(
            store,
            self.vault,
            shipped.flows(),
            connect=lambda end: connectors.connect(end, lent),
            send=self.messages.append,
        )

    def start_over(self, **sizes: Any) -> None:
        """Fill both systems with another shop; nothing was synced yet."""
        self.sandbox.reset(**sizes)
        self.shop, self.erp = Shop(self.sandbox), Erp(self.sandbox)

    def _stock(self, product: Product) -> None:
        from syncengine.sandbox.syspro import seed

        stocked = replace(product, stock={"MN": Decimal(1000), "ST": Decimal(1000)})
        with self.sandbox.syspro.lock:
            seed._product(self.sandbox.syspro, stocked, ["MN", "ST"])

    def configure(
        self, *, settings: Mapping[str, Any] | None = None, lookups: Mapping[str, Any] | None = None,
        quiet_s: float = 0.0, erp: Mapping[str, Any] | None = None, shop: Mapping[str, Any] | None = None,
        **connection: Any,
    ) -> None:  # fmt: skip
        """Store both endpoints and the connection, as `syncengine configure` does; what is given is put over it."""
        url = self.sandbox.base_url
        account = {"url": url, "account": "sandbox", "app_ref": "sandbox_app", "auth": "private", "lag_s": 1}
        account["limit_per_minute"] = A_MINUTE
        enet = {"gateway": "enet", "url": f"{url}/SYSPROWCFService/Rest", "operator": "BPSYNC", "company": "T"}
        harmony = {"gateway": "harmony", "url": url, "auth": "api_key"}
        company = {**(enet if self.gateway == "enet" else harmony), "settle_s": SETTLE_S, **(erp or {})}
        secrets = {"operator_password": "s3cret!"} if self.gateway == "enet" else {"api_key": "harmony-sandbox-key"}
        flows = connection.pop("flows", ["customers", "orders"])
        flow_settings, tables = connection_template(flows)
        plan = ConnectionPlan(
            name="main", left="shop", right="erp", mode="live",
            cut_over=None, verify_creates_until=None, flows=flows, quiet_s=quiet_s,
            settings={**flow_settings, **(settings or {})}, lookups={**tables, **(lookups or {})}, where="the test",
        )  # fmt: skip
        endpoints = [
            EndpointPlan(
                "shop",
                "brightpearl",
                {**account, **(shop or {})},
                {"account_token": "sandbox-account-token"},
                "the test",
            ),
            EndpointPlan("erp", "syspro", company, secrets, "the test"),
        ]
        installation = Installation(endpoints, [replace(plan, **connection)])
        configure.apply(self.store, self.vault, shipped.flows(), installation)
        if hasattr(self, "engine"):
            self.engine._connections.clear()

    def fault(self, operation: str, kind: str, *, system: str = "syspro", **more: Any) -> Fault:
        """The next call of this kind goes wrong (sandbox/faults.py)."""
        return self.sandbox.faults.add(Fault(system=system, operation=operation, kind=kind, **more))

    # -- running -------------------------------------------------------------------------------------------------------

    def sync(self, flow: str = "orders", *ids: object, patience_s: float = 60.0) -> None:
        """Read the feeds, or want these ids, and run what is due until nothing is, or `patience_s` have passed."""
        if not ids:
            self.time.pass_(2)  # the window of a feed ends a little before now
        for started in sync.start(self.engine, sync.Request(flow, ids=tuple(map(str, ids)))):
            assert not isinstance(started, str) or started.startswith("sweep, "), started
        self.settle(patience_s)

    def settle(self, patience_s: float = 60.0) -> None:
        """Run everything that is due; where nothing is, move on to when something will be, for `patience_s` in all."""
        end = self.time.now() + timedelta(seconds=patience_s)
        while True:
            pump(self.engine, sweep=True)
            while self.messages:
                self._run(self.messages.pop(0))
                pump(self.engine)
            wait_s = self._next_due_s()
            if wait_s is None or self.time.now() + timedelta(seconds=wait_s) > end:
                return
            self.time.pass_(max(wait_s, 0.05))

    def _run(self, chain: Chain) -> None:
        """One chain as a worker would, with its retries."""
        for stage in chain.stages:
            for retries in range(10):
                try:
                    running.run(self.engine, stage, chain.token, retries=retries)
                    self.between()
                    break
                except running.TryAgain as again:
                    self.time.pass_(again.wait_s)

    def _next_due_s(self) -> float | None:
        with self.store.read() as session:
            due = session.scalar(select(func.min(m.Record.not_before)).where(m.Record.wanted > m.Record.done))
            paused = session.scalar(select(func.max(m.Endpoint.paused_until)))
        if due is None:
            return None
        return float((max(due, paused or due) - self.time.now()).total_seconds())

    # -- looking -------------------------------------------------------------------------------------------------------

    def record(self, key: object, flow: str = "orders") -> m.Record:
        with self.store.read() as session:
            return session.scalars(select(m.Record).where(m.Record.flow == flow, m.Record.key == str(key))).one()

    def status(self, key: object, flow: str = "orders") -> tuple[str, str]:
        """Status and reason of a record."""
        record = self.record(key, flow)
        return str(record.status), record.reason

    def letters(self) -> list[tuple[str, str, str, str]]:
        """Open dead letters: key, field, value, cause."""
        with self.store.read() as session:
            found = session.scalars(select(m.Failure).where(m.Failure.closed_at.is_(None)).order_by(m.Failure.id))
            return [(one.key, one.field, one.value, one.cause) for one in found]

    def timeline(self, key: object, flow: str = "orders") -> list[str]:
        with self.store.read() as session:
            query = select(m.Event.what).where(m.Event.flow == flow, m.Event.key == str(key)).order_by(m.Event.id)
            return list(session.scalars(query))

    def calls(self, operation: str, system: str = "syspro") -> int:
        return self.sandbox.calls.total(system, operation)

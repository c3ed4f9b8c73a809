"""A sandbox of its own for each test, and a client that speaks to it as recorded e.net clients do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote
from xml.etree.ElementTree import Element

import defusedxml.ElementTree as SafeTree
import pytest
import requests

from syncengine.sandbox import Running, Sandbox

EXAMPLES = Path(__file__).parent / "examples"
LOGON = "Operator=BPSYNC&OperatorPassword=s3cret%21&CompanyId=T&CompanyPassword="
PARAMETERS = {
    "Process": "IMPORT",
    "AllocationAction": "A",
    "IgnoreWarnings": "W",
    "AllowDuplicateOrderNumbers": "N",
    "AlwaysUsePriceEntered": "Y",
    "AllowZeroPrice": "Y",
    "WarnIfCustomerOnHold": "N",
}


def example(name: str, **replacements: str) -> str:
    """An example document of the references, with texts replaced."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    for old, new in replacements.items():
        text = text.replace(old.removeprefix("_"), new)
    return text


class EnetClient:
    """The URI forms that were recorded: every plain verb a GET, values percent-encoded, the id with its blanks."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/SYSPROWCFService/Rest"
        self.http = requests.Session()
        self.user_id = ""

    def get(self, path: str, query: str = "") -> requests.Response:
        return self.http.get(f"{self.url}/{path}" + (f"?{query}" if query else ""), timeout=10)

    def log_on(self, query: str = LOGON) -> str:
        self.user_id = self.get("Logon", query).content.decode("cp1252")
        return self.user_id

    def call(self, path: str, code: str = "", params: str = "", data: str = "") -> str:
        values = {"UserId": self.user_id, "BusinessObject": code, "XmlParameters": params, "XmlIn": data}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items() if value)
        answer = self.get(path, query)
        assert answer.status_code == 200, answer.text
        return answer.content.decode("cp1252")

    def post(self, code: str, params: str, data: str) -> str:
        return self.call("Transaction/Post", code, params, data)

    def query(self, code: str, data: str) -> str:
        return self.call("Query/Query", code, data=data)

    # -- shorthand for tests -------------------------------------------------------------------------------------------

    def import_order(self, header: str, lines: str = "", **parameters: str) -> Element:
        """Import one order; parameters come on top of those a web shop sends."""
        return self.import_orders(order(header, lines), **parameters)

    def import_orders(self, *orders: str, **parameters: str) -> Element:
        given = "".join(f"<{name}>{value}</{name}>" for name, value in (PARAMETERS | parameters).items())
        params = f"<SalesOrders><Parameters>{given}</Parameters></SalesOrders>"
        return parsed(self.post("SORTOI", params, f"<SalesOrders>{''.join(orders)}</SalesOrders>"))

    def read_order(self, number: str) -> Element:
        query = f"<Query><Key><SalesOrder>{number}</SalesOrder></Key></Query>"
        return parsed(self.query("SORQRY", query))

    def find(self, table: str, columns: str, where: str = "", more: str = "") -> list[dict[str, str]]:
        """Rows of a COMFND; `where` is the inside of Where."""
        named = "".join(f"<Column>{name}</Column>" for name in columns.split())
        query = (
            f"<Query><TableName>{table}</TableName><Columns>{named}</Columns>"
            + (f"<Where>{where}</Where>" if where else "")
            + f"{more}</Query>"
        )
        reply = self.query("COMFND", query)
        assert reply.startswith("<?xml"), reply
        return [{child.tag: (child.text or "").strip() for child in row} for row in parsed(reply).iter("Row")]


def order(header: str, lines: str = "") -> str:
    """One `Orders` element."""
    return f"<Orders><OrderHeader>{header}</OrderHeader><OrderDetails>{lines}</OrderDetails></Orders>"


def head(po: str = "500123", more: str = "", *, action: str = "A", customer: str = "WEB001") -> str:
    """A header's inside."""
    return (
        f"<CustomerPoNumber>{po}</CustomerPoNumber><OrderActionType>{action}</OrderActionType>"
        f"<Customer>{customer}</Customer>{more}"
    )


def stock_line(code: str = "KB-2040", qty: str = "1.000", price: str = "8.00000", more: str = "") -> str:
    """A StockLine in warehouse FG."""
    return (
        f"<StockLine><CustomerPoLine>0001</CustomerPoLine><LineActionType>A</LineActionType>"
        f"<StockCode>{code}</StockCode><Warehouse>FG</Warehouse><OrderQty>{qty}</OrderQty><OrderUom>EA</OrderUom>"
        f"<Price>{price}</Price><PriceUom>EA</PriceUom>{more}</StockLine>"
    )


def parsed(reply: str) -> Element:
    """A reply's root; numbers and blanks as they came."""
    assert reply.startswith("<?xml"), reply
    assert reply.endswith("\n ")
    return SafeTree.fromstring(reply.strip())


def errors(root: Element) -> list[tuple[str, str]]:
    """Number and text of every error in a reply."""
    return [
        (parent.findtext("ErrorNumber") or "", parent.findtext("ErrorDescription") or "")
        for parent in root.iter()
        if parent.find("ErrorDescription") is not None
    ]


def same_but_version(reply: str, name: str) -> bool:
    """Whether a reply equals an example byte for byte, but for the object's version."""
    blank = re.compile(r"Version='[^']*'")
    assert blank.sub("", reply) == blank.sub("", example(name))
    return True


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """One server for all tests of this folder; each test starts it over."""
    running = Sandbox(1, {"latency_s": 0}, contacts=2, products=3, orders=0, awkward=False).start()
    yield running
    running.stop()


@pytest.fixture
def make_sandbox(server: Running) -> Callable[..., Running]:
    """The sandbox as new, with these switches and all others at their defaults."""

    def make(**switches: object) -> Running:
        defaults = {name: described["default"] for name, described in server.sandbox.switches.described().items()}
        server.sandbox.switches.turn({**defaults, "latency_s": 0, **switches})
        server.sandbox.reset()
        return server

    return make


@pytest.fixture
def running(make_sandbox: Callable[..., Running]) -> Running:
    """A sandbox with default switches."""
    return make_sandbox()


@pytest.fixture
def sandbox(running: Running) -> Sandbox:
    """Its inside."""
    return running.sandbox


@pytest.fixture
def enet(running: Running) -> EnetClient:
    """A client that is logged on."""
    client = EnetClient(running.url)
    client.log_on()
    return client


@pytest.fixture
def control(server: Running) -> Callable[..., requests.Response]:
    """Call the control API: control("POST", "orders/1001/status", status="4")."""

    def call(method: str, path: str, **body: object) -> requests.Response:
        return requests.request(method, f"{server.url}/_sandbox/syspro/{path}", json=body or None, timeout=10)

    return call

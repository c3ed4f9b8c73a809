"""Syncs the suppliers of docs/new-entity.md between stand-ins of both systems, and prints what SYSPRO was asked to write.

Run by `test_new_entity_page.py` in a copy of the tree to which the page was applied. Loopback only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.fernet import Fernet

from syncengine import connectors
from syncengine.connectors.base import Endpoint
from syncengine.connectors.services import Services
from syncengine.connectors.syspro import xml
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.steps import running, sync
from syncengine.engine.steps.pump import pump
from syncengine.flows import SHIPPED
from syncengine.flows.loader import load_flows
from syncengine.store import Store
from syncengine.store import models as rows
from syncengine.vault import Vault

CONTACT: dict[str, Any] = {
    "contactId": 320,
    "organisation": {"name": "Example Mills"},
    "relationshipToAccount": {"isSupplier": True},
    "createdOn": "2024-03-04T09:15:00.000-05:00",
    "updatedOn": "2024-03-04T09:15:00.000-05:00",
}


@dataclass
class Systems:
    """Both systems: one contact, the suppliers of SYSPRO by key, and a journal of writes: method, document."""

    contact: dict[str, Any] = field(default_factory=lambda: dict(CONTACT))
    suppliers: dict[str, dict[str, str]] = field(default_factory=dict)
    writes: list[tuple[str, Any]] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, str]) -> str:
        """The body of an answer to a GET: Brightpearl's, or e.net's. Raises KeyError for what neither has."""
        if path.startswith("/public-api/"):
            return json.dumps({"response": self._search(query) if "contact-search" in path else [self.contact]})
        method = path.rpartition("/")[2]
        if method == "Logon":
            return "SESSION1"
        content = xml.content_of(xml.parse(query["XmlIn"]))
        return xml.build({"reply": self._called(query["BusinessObject"], method, content)})

    def answer_json(self, path: str, body: dict[str, Any]) -> str:
        """The body of Harmony's answer to a POST."""
        _, method, name = path.rsplit("/", 2)
        return json.dumps(self._called(name, method, body["XmlIn"]))

    def _search(self, query: dict[str, str]) -> dict[str, Any]:
        assert query["isSupplier"] == "true"
        columns = query["columns"].split(",")
        about = {"columns": [{"name": name} for name in columns], "resultsAvailable": 1, "lastResult": 1}
        return {"results": [[self.contact[name] for name in columns]], "metaData": about}

    def _called(self, name: str, method: str, content: dict[str, Any]) -> dict[str, Any]:
        if name == "COMFND":
            assert content["TableName"] == "ApSupplier"
            asked = [expression["Value"] for expression in xml.all_of(content, "Where", "Expression")]
            found = [self.suppliers[key] for key in asked if key in self.suppliers]
            return {"Row": found, "RowsReturned": str(len(found))}
        assert name == "APSSSP"
        (item,) = xml.all_of(content, "Item")
        self.writes.append((method, item))
        key = item["Key"]["Supplier"]
        fields = {name: value for name, value in item.items() if name != "Key"}
        self.suppliers[key] = {**self.suppliers.get(key, {}), "Supplier": key, **fields}
        return {"item": {"key": {"supplier": key}}, "StatusOfItems": {"RecordsRead": "1", "RecordsInvalid": "0"}}


@contextmanager
def serving(systems: Systems) -> Iterator[str]:
    """The address at which both systems answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self._send(systems.answer(parts.path, query).encode())

        def do_POST(self) -> None:
            given = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(systems.answer_json(self.path, json.loads(given)).encode())

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: Any) -> None:
            """Not on the output, which is read."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def engine_for(folder: Path, url: str, gateway: str) -> tuple[Engine, list[Chain]]:
    """An engine on a store of its own with a connection that has the flow `suppliers`, and the chains that it sends."""
    store = Store(f"sqlite:///{folder}/{gateway}.db")
    rows.Base.metadata.create_all(store.engine)
    vault = Vault(store, [Fernet.generate_key().decode()])
    shop = {"url": url, "account": "acme", "app_ref": "a", "auth": "private", "limit_per_minute": 0}
    erp = {"url": url, "operator": "BPSYNC", "company": "T", "gateway": gateway}
    with store.write() as session:
        ends = [
            rows.Endpoint(name="shop", system="brightpearl", settings=shop),
            rows.Endpoint(name="erp", system="syspro", settings=erp),
        ]
        session.add_all(ends)
        session.flush()
        ids = [end.id for end in ends]
        session.add(rows.ConnectionRow(name="main", left_id=ids[0], right_id=ids[1], flows=["suppliers"], settings={}))
    vault.write(ids[0], "account_token", "token")
    for name in ("operator_password", "api_key"):
        vault.write(ids[1], name, "secret")
    flows = load_flows([SHIPPED, folder / "flows.d"], connectors.resources())
    chains: list[Chain] = []

    def connect(endpoint: Endpoint) -> connectors.Connector:
        return connectors.connect(endpoint, Services(store, vault))

    return Engine(store, vault, flows, connect=connect, send=chains.append), chains


def run(engine: Engine, chains: list[Chain]) -> None:
    """Read the feeds and do everything that follows from them."""
    sync.start(engine, sync.Request("suppliers"))
    pump(engine)
    while chains:
        chain = chains.pop(0)
        for stage in chain.stages:
            running.run(engine, stage, chain.token)
        pump(engine)


def main(folder: Path, gateway: str) -> None:
    systems = Systems()
    with serving(systems) as url:
        engine, chains = engine_for(folder, url, gateway)
        run(engine, chains)
        systems.contact |= {"organisation": {"name": "Example Weavers"}, "updatedOn": "2024-03-05T09:15:00.000-05:00"}
        run(engine, chains)
    sys.stdout.write(json.dumps(systems.writes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""The sandbox as a whole: both systems behind one HTTP server.

URL space: Brightpearl's own paths, `/SYSPROWCFService/Rest/...` (e.net), `/api/harmony/2.0/...`,
`/_sandbox/...` (control) and `/` (a page for people).
"""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from werkzeug import Request, Response

from syncengine.sandbox import certificate, control
from syncengine.sandbox.brightpearl.app import Brightpearl
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.calls import Calls
from syncengine.sandbox.faults import Faults
from syncengine.sandbox.http_server import App, HttpServer
from syncengine.sandbox.shop.generator import generate
from syncengine.sandbox.shop.model import Shop
from syncengine.sandbox.switches import Switches
from syncengine.sandbox.syspro.enet import Enet
from syncengine.sandbox.syspro.harmony import Harmony
from syncengine.sandbox.syspro.simulation import Syspro


class Sandbox:
    """Both systems and their `Host`: clock, switches, faults, and the journal of calls and effects.

    Attributes:
        shop: the generated shop that Brightpearl starts with; it says what must become of each order.
        brightpearl: the state of the Brightpearl account.
        syspro: the SYSPRO company.
    """

    shop: Shop
    brightpearl: Account
    syspro: Syspro

    def __init__(
        self,
        seed: int = 1,
        switches: Mapping[str, object] | None = None,
        *,
        contacts: int = 60,
        products: int = 80,
        orders: int = 100,
        awkward: bool = True,
        tax_mix: int = 0,
    ) -> None:
        self.switches = Switches(switches)
        self.faults = Faults()
        self.calls = Calls(self.now)
        self._sizes: dict[str, Any] = {
            "contacts": contacts,
            "products": products,
            "orders": orders,
            "awkward": awkward,
            "tax_mix": tax_mix,
        }
        self.base_url = ""
        self.seed = seed
        self.reset()

    def now(self) -> datetime:
        """The sandbox's clock, aware UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.switches.number("clock_offset_s"))

    def reset(self, seed: int | None = None, **sizes: int | bool) -> None:
        """Start over: new shop and systems, no faults, empty journal. Switches keep their values."""
        self.faults.clear()
        if hasattr(self, "brightpearl"):
            self.brightpearl.webhooks.stop()
        self.seed = self.seed if seed is None else seed
        self._sizes.update(sizes)
        self.shop = generate(self.seed, **self._sizes)
        self.brightpearl = Account(self, self.shop)
        self.syspro = Syspro(self, self.shop)
        self.calls.reset(effects=True)  # what both were filled with is not an effect of a call
        self.apps: dict[str, App] = {
            "brightpearl": Brightpearl(self, self.brightpearl),
            "enet": Enet(self, self.syspro),
            "harmony": Harmony(self, self.syspro),
        }

    def run(
        self, system: str, operation: str, request: Request, work: Callable[[], Response], is_write: bool = False
    ) -> Response:
        """Run and count one operation (see `Host.run`)."""
        request.get_data()  # a late write could not read it once the connection is closed
        self._delay(system, is_write)
        status = 0
        try:
            response = self.faults.around(system, operation, request, work)
            status = response.status_code
            return response
        finally:
            self.calls.count(system, operation, status, request.method, request.path)

    def start(self, host: str = "127.0.0.1", port: int = 0, tls: bool = False) -> Running:
        """Serve over HTTP, or HTTPS with a new certificate, in a thread of its own; port 0 picks a free one."""
        return Running(self, host, port, tls)

    def dispatch(self, request: Request) -> Response:
        """Route one request to the system, the control API or the page."""
        parts = [part for part in request.path.split("/") if part]
        first = parts[0].lower() if parts else ""
        if first == "_sandbox" or not parts:
            return control.respond(self, request, parts[1:])
        if first == "sysprowcfservice":
            return self._serve("syspro", "enet", request)
        if [part.lower() for part in parts[:2]] == ["api", "harmony"]:
            return self._serve("syspro", "harmony", request)
        return self._serve("brightpearl", "brightpearl", request)

    def _serve(self, system: str, app: str, request: Request) -> Response:
        self.faults.refuse_if_down(system)
        return self.apps[app](request)

    def _delay(self, system: str, is_write: bool) -> None:
        names = [f"{system}_latency_s", "latency_s"]
        chosen = next(
            name for name in ([f"{system}_write_latency_s"] * is_write + names) if self.switches[name] is not None
        )
        seconds = self.switches.number(chosen)
        if seconds > 0:
            time.sleep(seconds)


class Running:
    """A running sandbox.

    Attributes:
        url: `http://127.0.0.1:PORT`, without a trailing slash.
        ca_file: path of the certificate that signs an HTTPS sandbox, for `verify=`; None over HTTP.
    """

    def __init__(self, sandbox: Sandbox, host: str, port: int, tls: bool) -> None:
        self.sandbox = sandbox
        self.ca_file: str | None = None
        context: ssl.SSLContext | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="sandbox-")
        if tls:
            self.ca_file, context = certificate.make(self._folder.name, host)
        self._server = HttpServer(sandbox.dispatch, sandbox.now, host, port, context)
        shown = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104
        self.url = f"{'https' if tls else 'http'}://{shown}:{self._server.port}"
        sandbox.base_url = self.url
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close every connection, kept-alive ones too."""
        self.sandbox.faults.clear()
        self.sandbox.brightpearl.webhooks.stop()
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()
        self._folder.cleanup()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

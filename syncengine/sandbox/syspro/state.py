"""The state of one SYSPRO company: its tables, sessions, numbers and settings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime

from syncengine.sandbox.host import Host
from syncengine.sandbox.syspro.schema import empty_tables
from syncengine.sandbox.syspro.sessions import Session, Sessions
from syncengine.sandbox.syspro.tables import Row, Table, text_of
from syncengine.sandbox.syspro.tax_rates import TaxRates
from syncengine.sandbox.syspro.xmlin import Reading
from syncengine.sandbox.syspro.xmlout import Style

NUMERIC_CUSTOMER_WIDTH = 15
FIRST_SALES_ORDER = 1001
FIRST_INVOICE = 100_001


class Company:
    """The state of one company; `lock` guards tables and numbers."""

    def __init__(self, host: Host) -> None:
        self.switches = host.switches
        self.calls = host.calls
        self.now: Callable[[], datetime] = host.now
        self.lock = threading.RLock()
        self.sessions = Sessions(self.switches, self.now)
        self.tables: dict[str, Table] = empty_tables()
        self.tax_rates = TaxRates()
        self.notes: dict[str, list[str]] = {}  # OrderComments by stored order number; no table's column holds them
        self.moved_at: dict[str, datetime] = {}  # when the warehouse last moved an order
        self._numbers = {
            "order": FIRST_SALES_ORDER,
            "invoice": FIRST_INVOICE,
            **dict.fromkeys(
                ("delivery", "customer", "register", "journal", "movement", "stock_journal", "dispatch"), 1
            ),
        }
        self._actor: ContextVar[str] = ContextVar("actor", default="api")
        self._refusing_until = self._unavailable_until = 0.0

    def counts(self) -> dict[str, int]:
        """Rows by table, and the number of open sessions."""
        return {**{name: len(table) for name, table in self.tables.items()}, "sessions": len(self.sessions.open())}

    # -- restart -----------------------------------------------------------------------------------------------------

    def restart(self, refused_s: float, unavailable_s: float) -> None:
        """Restart the service: connections refused, then 503, all sessions lost."""
        self.sessions.end()
        self._refusing_until = time.monotonic() + refused_s
        self._unavailable_until = self._refusing_until + unavailable_s

    @property
    def refuses_connections(self) -> bool:
        """Whether the service is down at this moment."""
        return time.monotonic() < self._refusing_until

    @property
    def is_starting(self) -> bool:
        """Whether the service answers 503 at this moment."""
        return time.monotonic() < self._unavailable_until

    # -- tables and settings -----------------------------------------------------------------------------------------

    def table(self, name: str) -> Table:
        """A table by its SQL name."""
        return self.tables[name]

    def listed(self, switch: str) -> list[str]:
        """A switch with comma-separated values."""
        return [part.strip() for part in self.switches.text(switch).split(",") if part.strip()]

    def paired(self, switch: str) -> dict[str, str]:
        """A switch with comma-separated `code:text` pairs."""
        return dict(part.split(":", 1) for part in self.listed(switch) if ":" in part)

    def today(self) -> date:
        """The company's date."""
        return self.now().date()

    def reading(self) -> Reading:
        """How documents are read at this site."""
        return Reading(
            self.switches.text("syspro_version"),
            self.switches.text("syspro_over_length"),
            self.switches.text("syspro_outside_cp1252"),
        )

    def style(self, session: Session) -> Style:
        """How this session's replies are written."""
        return Style(
            self.switches.text("syspro_version"),
            self.switches.on("syspro_padded_numbers"),
            session.system_information,
            session.company,
            self.switches.text("syspro_local_currency"),
        )

    # -- keys --------------------------------------------------------------------------------------------------------

    def next_number(self, kind: str) -> int:
        """The next number of a kind, such as order, invoice, customer, dispatch; KeyError for an unknown one."""
        number = self._numbers[kind]
        self._numbers[kind] += 1
        return number

    def start_numbers_at(self, kind: str, number: int) -> None:
        """Set the next number of a kind.

        Raises:
            KeyError: the kind is unknown.
        """
        if kind not in self._numbers:
            raise KeyError(f"no numbers of kind {kind!r}; there are {', '.join(self._numbers)}")
        self._numbers[kind] = number

    def order_key(self, number: str | int) -> str:
        """The stored form of a sales order number: zero-padded if it is numeric."""
        text = str(number).strip()
        return text.zfill(self.switches.integer("syspro_order_key_width")) if text.isdigit() else text

    def shown(self, order_key: str) -> str:
        """The form in which order documents show a sales order number."""
        width = self.switches.integer("syspro_order_shown_width")
        return order_key.lstrip("0").zfill(width) if order_key.isdigit() else order_key

    def customer_key(self, code: str) -> str | None:
        """The stored form of a customer code; None if keys must be numeric and this one is not."""
        text = code.strip()
        if not self.switches.on("syspro_numeric_customers"):
            return text
        return text.zfill(NUMERIC_CUSTOMER_WIDTH) if text.isdigit() else None

    def customer(self, code: str) -> Row | None:
        """A customer by a short or stored code."""
        key = self.customer_key(code)
        return self.table("ArCustomer").get(key) if key else None

    def order(self, number: str) -> Row | None:
        """A sales order by a short or stored number."""
        return self.table("SorMaster").get(self.order_key(number))

    def lines(self, order: Row) -> list[Row]:
        """An order's lines by number."""
        return self.table("SorDetail").by("SalesOrder", order["SalesOrder"])

    # -- effects -----------------------------------------------------------------------------------------------------

    @property
    def actor(self) -> str:
        """Who acts now: `api` or `person`."""
        return self._actor.get()

    @contextmanager
    def as_person(self) -> Iterator[None]:
        """Attribute changes inside to a person."""
        token = self._actor.set("person")
        try:
            yield
        finally:
            self._actor.reset(token)

    def effect(self, table: str, action: str, key: object, reference: object = "", **detail: object) -> None:
        """Log that an object was created, changed, cancelled or deleted."""
        self.calls.effect("syspro", table, action, key, reference=reference, by=self.actor, **detail)

    def order_effect(self, action: str, order: Row, **detail: object) -> None:
        """Log an effect on a sales order; its reference is the CustomerPoNumber."""
        key = self.shown(text_of(order, "SalesOrder"))
        self.effect("SorMaster", action, key, text_of(order, "CustomerPoNumber"), **detail)

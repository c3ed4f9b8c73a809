"""The shop's people: orders and customers are created and edited at random, the same way for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from syncengine.sandbox.server import Sandbox
from syncengine.sandbox.shop.catalogue import BUNDLE, GIFT, TOO_LONG_SKU, UNKNOWN_TO_SYSPRO, WITHOUT_SKU
from syncengine.sandbox.shop.model import FREE_TEXT_PRODUCT_ID, Address, Contact, Row, Shop

CANCELLED, ELIGIBLE = 5, (2, 3, 6, 8)
AWKWARD = "awkward"
_SPECIAL = {BUNDLE, GIFT, TOO_LONG_SKU, UNKNOWN_TO_SYSPRO, WITHOUT_SKU, ""}
_PLACES = (
    ("1 Mill Lane", "Leeds", "LS1 4AP"),
    ("22 Quay Road", "Bristol", "BS1 6XN"),
    ("7 High Street", "York", "YO1 7HZ"),
)


class People:
    """Acts on the simulated Brightpearl by its control API; remembers what was touched and what must become of it."""

    def __init__(self, sandbox: Sandbox, url: str, seed: int, *, may_cancel: bool = True) -> None:
        self._account, self._sandbox = sandbox.brightpearl, sandbox
        self._url, self._http = f"{url}/_sandbox/brightpearl", requests.Session()
        self._chance = random.Random(seed)
        self._expected = dict(sandbox.shop.expected)
        self._goods = [product.sku for product in sandbox.shop.products if product.sku not in _SPECIAL]
        self._guests = sandbox.shop.guest_tag
        self.may_cancel = may_cancel
        self.edited: set[int] = set()
        self.edited_contacts: set[int] = set()
        self.placed: dict[int, datetime] = {}  # when each new order was placed
        self.acts = 0
        self.last_at = datetime.now(UTC)

    def act(self) -> None:
        """One person does one thing."""
        choices: list[tuple[int, Callable[[], object]]] = [
            (30, self.new_order),
            (50, self.edit_order),
            (4, self._new_contact),
            (10, self._edit_contact),
            (9 if self.may_cancel else 0, self._cancel),
        ]
        weights = [weight for weight, _ in choices]
        self._chance.choices([act for _, act in choices], weights)[0]()

    def new_order(self) -> int:
        """A customer with an account orders one to three articles; the order's id."""
        rows = [{"sku": sku, "quantity": self._chance.randint(1, 5)} for sku in self._some_goods()]
        body = {"contactId": self._contact().id, "statusId": 2, "channelId": 1, "rows": rows}
        at = datetime.now(UTC)
        made = self._post("orders", body)
        self.placed[int(made["id"])] = at
        self._expected[int(made["id"])] = "pushed"
        return int(made["id"])

    def edit_order(self, key: int | None = None) -> None:
        """An order that is to be pushed is changed: reference, delivery date, or a row."""
        key = key if key is not None else self._live_order()
        if key is None:
            return
        self.edited.add(key)
        with self._account.lock:
            rows = [row for row in self._account.orders[key].rows.values() if _is_plain(row)]
        kind = self._chance.choices(("header", "quantity", "add", "remove"), (40, 35, 15, 10))[0]
        if kind == "header" or (not rows and kind != "add"):
            day = datetime(2025, 6, 1, tzinfo=UTC) + timedelta(days=self._chance.randrange(200))
            word = {"reference": f"PO {self._chance.randrange(10**6)}"}
            self._post(f"orders/{key}/edit", self._chance.choice((word, {"deliveryDate": day.isoformat()})))
        elif kind == "quantity":
            row = self._chance.choice(rows)
            self._post(f"orders/{key}/rows/{row.id}", {"quantity": self._chance.randint(1, 9)})
        elif kind == "add" or len(rows) < 2:  # an order without rows would be another story
            self._post(f"orders/{key}/rows", {"sku": self._chance.choice(self._goods), "quantity": 1})
        else:
            self._delete(f"orders/{key}/rows/{self._chance.choice(rows).id}")

    def pushed(self) -> list[int]:
        """Ids of the orders that must arrive and may be edited."""
        return [key for key, fate in self._expected.items() if fate == "pushed"]

    def leave_alone(self, keys: Iterable[int]) -> None:
        """These orders are awkward: nobody edits them, and it is not known beforehand whether they arrive."""
        self._expected |= dict.fromkeys(keys, AWKWARD)

    def arriving(self) -> list[int]:
        """Ids of all orders that must arrive."""
        return [key for key, fate in self._expected.items() if fate in ("pushed", "guest")]

    def provoke(self, operation: str) -> None:
        """Do what leads to this kind of write (`SORTOI.change`, ...) sooner or later."""
        acts = {"SORTOI.add": self.new_order, "SORTOI.change": self.edit_order, "ARSSCS": self._edit_contact}
        acts.get(operation, self._cancel)()

    def shop(self) -> Shop:
        """The shop as it is now, with what must have become of each order."""
        with self._account.lock:
            return replace(
                self._sandbox.shop,
                orders=list(self._account.orders.values()),
                contacts=list(self._account.contacts.values()),
                addresses=list(self._account.addresses.values()),
                expected={key: self._expected.get(key, "ineligible") for key in self._account.orders},
            )

    def _cancel(self) -> None:
        key = self._live_order()
        if key is not None:
            self.edited.add(key)
            self._expected[key] = "cancelled"
            self._post(f"orders/{key}/edit", {"statusId": CANCELLED})

    def _new_contact(self) -> None:
        line, town, code = self._chance.choice(_PLACES)
        account, number = self._account, self._chance.randrange(10**6)
        with account.lock:
            address = Address(account.new_id("address"), 0, line, "", town, "", code, "GB")
            account.save_address(address, by="person")
            contact = Contact(
                account.new_id("contact"), "Pat", f"Number{number}", "", f"pat{number}@mail.example", "0113 496 0000", "",
                "GBP", 2, "T20", address.id, address.id, created_on=account.stamp(),
            )  # fmt: skip
            address.contact_id = contact.id
            account.save_contact(contact, is_new=True, by="person")
        self._acted()

    def _edit_contact(self) -> None:
        contact, number = self._contact(), self._chance.randrange(10**6)
        self.edited_contacts.add(contact.id)
        words = ({"email": f"new{number}@mail.example"}, {"phone": f"0{number}"}, {"firstName": f"Kim{number}"})
        self._post(f"contacts/{contact.id}/edit", self._chance.choice(words))

    def _contact(self) -> Contact:
        with self._account.lock:
            own = [one for one in self._account.contacts.values() if self._guests not in one.tags.split(",")]
        known = {currency.code for currency in self._sandbox.shop.currencies if currency.in_syspro}
        return self._chance.choice([one for one in own if one.currency in known and one.email])

    def _live_order(self) -> int | None:
        live = self.pushed()
        return self._chance.choice(live) if live else None

    def _some_goods(self) -> list[str]:
        return self._chance.sample(self._goods, self._chance.randint(1, 3))

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.post(f"{self._url}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        self._acted()
        return dict(answer.json())

    def _delete(self, path: str) -> None:
        self._http.delete(f"{self._url}/{path}", timeout=30).raise_for_status()
        self._acted()

    def _acted(self) -> None:
        self.acts += 1
        self.last_at = datetime.now(UTC)


def _is_plain(row: Row) -> bool:
    """Goods outside bundles."""
    return not row.bundle_parent and not row.parent_row_id and row.product_id != FREE_TEXT_PRODUCT_ID and row.net > 0

"""The demo's judge: reads what really stands in both simulated systems and compares it with what the shop says is right.

It asks neither mapping, flows nor connectors. What is right follows from the shop, from Brightpearl's and SYSPRO's
references, and from the documented settings and tables of the connection (docs/flows.md, flows/connections/sandbox.yml).
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import requests
import yaml

from syncengine.cli import _demo_texts as texts
from syncengine.cli._demo_texts import Json
from syncengine.sandbox.brightpearl.responses import COUNTRIES
from syncengine.sandbox.shop.model import FREE_TEXT_PRODUCT_ID, Contact, Order, Row, Shop

COMMENT_LENGTH, REFERENCE_LENGTH = 100, 30
STOCK, FREIGHT, CHARGE, COMMENT = "1", "4", "5", "6"  # SorDetail.LineType
SHIPPING = "4040"  # the nominal code that marks shipping
TWO, FIVE = Decimal("0.01"), Decimal("0.00001")
TIMEOUT_S = 30
ARRIVING = ("pushed", "guest")

#: What a dead letter must name: by the shop's reason, the field and a word of value or cause.
LETTERS = {
    "SKU is not a stock code in SYSPRO": ("StockCode", "NEW-NOT-IN-ERP"),
    "row of a product that has no SKU": ("productSku", "SKU"),
    "negative quantity on a stock row": ("quantity", "negative"),
    "currency does not exist in SYSPRO": ("Currency", "JPY"),
    "SKU is longer than a stock code can be": ("StockCode", "LIMITED-EDITION-BLANKET-XL-2025A"),
    "order has no rows": ("orderRows", "no rows"),
}


@dataclass(frozen=True, slots=True)
class Report:
    """What was found: `problems` is empty if all is right; the counts are orders of the shop by what was to become of
    them, `found` the orders in SYSPRO, `duplicates` those too many, `customers` those in SYSPRO for the shop's contacts,
    `lost` the orders and customers that should stand there and do not.
    """

    problems: list[str]
    found: int
    pushed: int
    guests: int
    invalid: int
    ineligible: int
    cancelled: int
    duplicates: int
    customers: int
    lost: int


@dataclass(frozen=True, slots=True)
class Site:
    """The documented settings and tables."""

    settings: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, str]]
    countries: Mapping[str, str]

    def to(self, table: str, key: object, default: str = "") -> str:
        """An entry of a table."""
        return str(self.tables.get(table, {}).get(str(key), default))


def check(
    sandbox_url: str,
    shop: Shop,
    deadletters: list[dict[str, Any]],
    statuses: Mapping[str, Any],
    *,
    edited: Collection[int] = (),
    edited_contacts: Collection[int] = (),
) -> Report:
    """Compare all orders and customers, field by field.

    Args:
        sandbox_url: address of the sandbox, whose control API is asked.
        shop: the shop as it was generated, with the same seed and sizes; or as people have left it.
        deadletters: the open ones, each with flow, key, field, value, cause and kind.
        statuses: by flow, how many records have each status.
        edited: ids of orders that people have changed meanwhile; a cancelled one may stand in SYSPRO, cancelled there too.
        edited_contacts: ids of contacts that people have changed.
    """
    connection, seen = _site(), _Seen(sandbox_url)
    problems = [
        f"{count} of {flow} ended as {status}"
        for flow, counts in statuses.items()
        for status, count in counts.items()
        if count and str(status) not in ("done", "skipped", "dead")
    ]
    for order in shop.orders:
        told = _order(connection, shop, seen, order, deadletters, is_edited=order.id in edited)
        problems += [f"order {order.id}: {found}" for found in told]
    problems += _strays(shop, seen, deadletters)
    customers, absent = _customers(connection, shop, seen, problems, edited, edited_contacts)
    fates = Counter(shop.expected.values())
    absent += sum(shop.expected[order.id] in ARRIVING and str(order.id) not in seen.orders for order in shop.orders)
    return Report(
        problems,
        found=sum(len(orders) for orders in seen.orders.values()),
        pushed=fates["pushed"],
        guests=fates["guest"],
        invalid=fates["invalid"],
        ineligible=fates["ineligible"],
        cancelled=fates["cancelled"],
        duplicates=sum(len(orders) - 1 for orders in seen.orders.values()),
        customers=customers,
        lost=absent,
    )


def _site() -> Site:
    flows = resources.files("syncengine.flows")
    read = yaml.safe_load((flows / "connections" / "sandbox.yml").read_text(encoding="utf-8"))
    tables = {name: {str(key): str(to) for key, to in table.items()} for name, table in read["lookups"].items()}
    names = csv.DictReader((flows / "countries.csv").read_text(encoding="utf-8").splitlines())
    return Site(read["settings"], tables, {row["code"]: row["name"] for row in names})


class _Seen:
    """What stands in the two systems, and who made it."""

    def __init__(self, url: str) -> None:
        self._session, self._url = requests.Session(), f"{url.rstrip('/')}/_sandbox"
        self.orders: dict[str, list[Json]] = defaultdict(list)
        for order in self._get("syspro/SorMaster"):
            self.orders[order["CustomerPoNumber"]].append(order)
        self.lines: dict[str, list[Json]] = defaultdict(list)
        for line in self._get("syspro/SorDetail"):
            self.lines[line["SalesOrder"]].append(line)
        self.customers: dict[str, Json] = {row["Customer"]: row for row in self._get("syspro/ArCustomer")}
        self.made: Counter[tuple[str, str]] = Counter()
        self.changed: set[tuple[str, str]] = set()
        for effect in self._get("effects?system=syspro"):
            name = effect["reference"] if effect["object"] == "SorMaster" else effect["key"]
            if effect["action"] == "created":
                self.made[effect["object"], name] += 1
            elif effect["by"] == "api":
                self.changed.add((effect["object"], name))
        self._totals = {order["id"]: order for order in self._get("brightpearl/orders")["latest"]}

    def net_total(self, order_id: int) -> Decimal:
        """What Brightpearl says that the order comes to without tax."""
        order = self._totals.get(order_id) or self._get(f"brightpearl/orders/{order_id}")
        return Decimal(order["totalValue"]["net"])

    def _get(self, path: str) -> Any:
        answer = self._session.get(f"{self._url}/{path}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()


# -- orders ------------------------------------------------------------------------------------------------------------


def _order(
    connection: Site, shop: Shop, seen: _Seen, order: Order, letters: Sequence[Json], *, is_edited: bool
) -> Iterable[str]:
    fate, found = shop.expected[order.id], seen.orders.get(str(order.id), [])
    mine = [letter for letter in letters if letter["flow"] == "orders" and letter["key"] == str(order.id)]
    if fate == "invalid":
        yield from _letter(shop.invalid[order.id], mine)
    elif mine:
        yield f"is {fate} and has a dead letter: {mine[0]['field']}: {mine[0]['cause']}"
    if fate not in ARRIVING:
        if not (fate == "cancelled" and is_edited):
            yield from (f"is {fate} and stands in SYSPRO" for _ in found)
        elif not all(_is_cancelled(one) for one in found):
            yield "was cancelled after it was pushed, and is not cancelled in SYSPRO"
        return
    if len(found) != 1 or seen.made["SorMaster", str(order.id)] != 1:
        yield f"stands in SYSPRO {len(found)} times, created {seen.made['SorMaster', str(order.id)]} times"
    if ("SorMaster", str(order.id)) in seen.changed and not is_edited:
        yield "was changed in SYSPRO although nothing changed in Brightpearl"
    for one in found:
        yield from _header(connection, order, one, is_guest=fate == "guest")
        lines = seen.lines[one["SalesOrder"]]
        yield from _order_lines(connection, order, lines)
        yield from _total(order, lines, seen.net_total(order.id))


def _is_cancelled(found: Json) -> bool:
    return found["OrderStatus"] in ("\\", "*") or found["CancelledFlag"] == "Y"


def _letter(reason: str, letters: Sequence[Json]) -> Iterable[str]:
    field, word = LETTERS[reason]
    if len(letters) != 1:
        yield f"is invalid ({reason}) and has {len(letters)} dead letters"
    for letter in letters:
        told = f"{letter['field']} = {letter['value']}: {letter['cause']}"
        if field not in letter["field"] or word.lower() not in told.lower() or not letter["cause"]:
            yield f"is invalid ({reason}), and its dead letter says: {told}"


def _header(connection: Site, order: Order, found: Json, *, is_guest: bool) -> Iterable[str]:
    party, settings = order.delivery, connection.settings
    customer = (
        connection.to("house_accounts", order.currency)
        if is_guest
        else _code(connection, str(order.customer.contact_id), order.currency)
    )
    email = party.email or order.customer.email or order.billing.email
    yield from texts.fields(
        found,
        {
            "Customer": customer,
            "Currency": order.currency,
            "OrderDate": _day(connection, order.placed_on),
            "Warehouse": connection.to("warehouses", order.warehouse_id),
            "ShipPostalCode": party.postal_code,
            "Email": email,
            "SpecialInstrs": order.reference if len(order.reference) <= REFERENCE_LENGTH else "",
            "ShippingInstrs": connection.to("shipping_texts", order.shipping_method_id),
            "OrderType": connection.to("order_sources", order.channel_id, settings.get("order_source", "")),
            "CancelledFlag": "",
        },
    )
    if order.delivery_date:
        yield from texts.fields(found, {"ReqShipDate": _day(connection, order.delivery_date)})
    if found["OrderStatus"] not in ("1", "2"):  # 2: all of it is on back order
        yield f"OrderStatus is {found['OrderStatus']!r}"
    country = COUNTRIES[party.country][1] if party.country in COUNTRIES else ""
    lines = (party.line1, party.line2, party.line3, party.line4)
    yield from texts.address(
        found, "CustomerName", "ShipAddress", party.company or party.full_name, lines, country, party.country
    )


def _order_lines(connection: Site, order: Order, lines: Sequence[Json]) -> Iterable[str]:
    of_type: dict[str, list[Json]] = defaultdict(list)
    for line in lines:
        of_type[line["LineType"]].append(line)
    if strange := set(of_type) - {STOCK, FREIGHT, CHARGE, COMMENT}:
        yield f"has lines of type {', '.join(sorted(strange))}"
    unit, place = connection.settings.get("uom", "EA"), connection.to("warehouses", order.warehouse_id)
    yield from texts.match(
        "stock line",
        [(row.sku, row.quantity, price, unit, unit, place) for row, price in _stock_rows(order)],
        texts.shown(of_type[STOCK], "MStockCode", "MOrderQty", "MPrice", "MOrderUom", "MPriceUom", "MWarehouse"),
    )
    product_class = str(connection.settings.get("misc_product_class", "MISC"))
    yield from texts.match(
        "charge",
        [
            (row.name, _rounded(row.net, TWO), product_class, connection.to("tax_codes", row.tax_code))
            for row in order.rows.values()
            if _is_text(row) and row.net
        ],
        texts.shown(of_type[CHARGE], "NComment", "NMscChargeValue", "NMscProductCls", "NMscTaxCode"),
    )
    yield from texts.match(
        "freight",
        [
            (_rounded(row.net, TWO), connection.to("tax_codes", row.tax_code))
            for row in order.rows.values()
            if row.nominal_code == SHIPPING and row.net
        ],
        texts.shown(of_type[FREIGHT], "NMscChargeValue", "NMscTaxCode"),
    )
    yield from _comments(order, [line["NComment"] for line in of_type[COMMENT]])


def _is_text(row: Row) -> bool:
    return row.product_id == FREE_TEXT_PRODUCT_ID and row.nominal_code != SHIPPING


def _stock_rows(order: Order) -> list[tuple[Row, Decimal]]:
    """The rows that are goods, each with its net price for one; a bundle's components share what the bundle costs, by
    their list prices, else by their costs, else by their quantities (docs/flows.md, `bundles: spread`)."""
    rows = [r for r in order.rows.values() if r.product_id != FREE_TEXT_PRODUCT_ID and r.nominal_code != SHIPPING]
    goods = []
    for row in (row for row in rows if not row.bundle_parent and row.quantity):
        net = row.net
        if row.parent_row_id:
            siblings = [r for r in rows if r.parent_row_id == row.parent_row_id]
            weigh = next(by for by in (_by_price, _by_cost, _by_quantity) if sum(map(by, siblings)) > 0)
            net += order.rows[row.parent_row_id].net * weigh(row) / sum(map(weigh, siblings))
        goods.append((row, _rounded(net / row.quantity, FIVE)))
    return goods


def _by_price(row: Row) -> Decimal:
    return row.price * row.quantity


def _by_cost(row: Row) -> Decimal:
    return row.cost * row.quantity


def _by_quantity(row: Row) -> Decimal:
    return row.quantity


def _comments(order: Order, found: list[str]) -> Iterable[str]:
    party, wanted = order.delivery, []
    if party.company and party.full_name and party.company != party.full_name:
        wanted.append(f"Attn: {party.full_name}")
    if len(order.reference) > REFERENCE_LENGTH:
        wanted.append(f"Ref: {order.reference}")
    wanted += [row.name for row in order.rows.values() if _is_text(row) and not row.net and row.name]
    wanted += [f"Bundle: {texts.plain(row.quantity)} x {row.name}" for row in order.rows.values() if row.bundle_parent]
    if too_long := [text for text in found if len(text) > COMMENT_LENGTH]:
        yield f"has a comment of {len(too_long[0])} characters"
    left, split = [texts.squeezed(text) for text in found], []
    for text in wanted:
        whole = next((one for one in left if texts.pattern(texts.squeezed(text)).fullmatch(one)), None)
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
        yield f"has a comment that nobody made: {rest!r}"


def _total(order: Order, lines: Sequence[Json], net_total: Decimal) -> Iterable[str]:
    """To the penny, but for what cannot be told: half of the fifth place of each price, half a penny of each charge, and
    where prices include tax, what Brightpearl's total loses when it rounds each row's tax."""
    total = sum((Decimal(line["MOrderQty"]) * Decimal(line["MPrice"]) for line in lines), Decimal(0))
    total += sum((Decimal(line["NMscChargeValue"]) for line in lines), Decimal(0))
    goods = sum((Decimal(line["MOrderQty"]) for line in lines), Decimal(0))
    charges = sum(line["LineType"] in (FREIGHT, CHARGE) for line in lines)
    taxes = len(order.rows) if order.price_mode == "INC" else 0
    unsure = FIVE / 2 * goods + TWO / 2 * (1 + charges + taxes)
    if abs(total - net_total) > unsure:
        yield f"comes to {texts.plain(total)} in SYSPRO and to {net_total} net in Brightpearl"


def _strays(shop: Shop, seen: _Seen, letters: Sequence[Json]) -> Iterable[str]:
    for po_number, orders in seen.orders.items():
        if not po_number.isdigit() or int(po_number) not in shop.expected:
            yield f"SYSPRO has {len(orders)} orders of the number {po_number!r}, which the shop does not know"
    for letter in letters:
        if letter["flow"] != "orders" or not (letter["key"].isdigit() and int(letter["key"]) in shop.expected):
            yield f"{letter['flow']} {letter['key']} has a dead letter: {letter['field']}: {letter['cause']}"


# -- customers ---------------------------------------------------------------------------------------------------------


def _customers(
    connection: Site,
    shop: Shop,
    seen: _Seen,
    problems: list[str],
    edited: Collection[int],
    edited_contacts: Collection[int],
) -> tuple[int, int]:
    """Compare them and add what is wrong to `problems`; how many stand in SYSPRO for contacts of the shop, and how many
    are missing there."""
    known = set(connection.settings["syspro_currencies"])
    guests = {str(tag) for tag in connection.settings["guest_contact_tags"]}
    contacts = {contact.id: contact for contact in shop.contacts}
    own = {(c.id, c.currency) for c in shop.contacts if not guests & set(c.tags.split(",")) and c.currency in known}
    orders = {(o.customer.contact_id, o.currency, shop.expected[o.id]) for o in shop.orders if o.currency in known}
    wanted = own | {(contact_id, currency) for contact_id, currency, fate in orders if fate == "pushed"}
    allowed = wanted | {(contact_id, currency) for contact_id, currency, fate in orders if fate == "invalid"}
    allowed |= {
        (o.customer.contact_id, o.currency) for o in shop.orders if o.id in edited
    }  # one may be cancelled by now
    for contact_id, currency in sorted(wanted):
        code = _code(connection, str(contact_id), currency)
        made, found = seen.made["ArCustomer", code], seen.customers.get(code)
        if found is None or made != 1:
            problems.append(f"customer {code}: {'missing' if found is None else f'created {made} times'}")
        is_edited = contact_id in edited_contacts
        if ("ArCustomer", code) in seen.changed and not is_edited:
            problems.append(f"customer {code}: changed in SYSPRO although nothing changed in Brightpearl")
        if found is not None:
            told = _customer(connection, shop, contacts[contact_id], currency, found, is_edited=is_edited)
            problems += dict.fromkeys(f"customer {code}: {problem}" for problem in told)  # one name, two addresses
    codes = {_code(connection, str(contact_id), currency) for contact_id, currency in allowed}
    made_by_us = {name for (kind, name) in seen.made if kind == "ArCustomer"}
    problems += [f"customer {code}: nobody needs it" for code in sorted(made_by_us - codes)]
    here = set(seen.customers)
    return len(codes & here), len({_code(connection, str(key), currency) for key, currency in wanted} - here)


def _customer(
    connection: Site, shop: Shop, contact: Contact, currency: str, found: Json, *, is_edited: bool
) -> Iterable[str]:
    settings = connection.settings
    person = f"{contact.first_name} {contact.last_name}".strip()
    phone = contact.phone or contact.mobile
    yield from texts.fields(
        found,
        {
            "Currency": currency,
            "UserField1": str(contact.id),
            "Email": contact.email,
            "Telephone": phone if len(phone) <= 20 else phone.replace(" ", "")[:20],
            "Branch": settings["branch"],
            "Salesperson": settings["salesperson"],
            "TermsCode": connection.to("terms_codes", contact.credit_term_days, settings["terms_code"]),
            "CreditLimit": str(contact.credit_limit),
            "BalanceType": "I",
            "TaxStatus": "N",
            "DateCustAdded": _day(connection, contact.created_on),
        },
    )
    name = contact.company or person
    yield from texts.cut(found, "Contact", person, texts.NAME_LENGTH)
    if not is_edited:  # it is set once
        yield from texts.cut(found, "ShortName", name, 20)
    addresses = {address.id: address for address in shop.addresses}
    for prefix, postcode, address in (
        ("SoldToAddr", "SoldPostalCode", addresses[contact.billing_address_id]),
        ("ShipToAddr", "ShipPostalCode", addresses[contact.delivery_address_id]),
    ):
        yield from texts.fields(found, {postcode: address.postal_code})
        lines = (address.line1, address.line2, address.line3, address.line4)
        country = connection.countries.get(address.country, "")
        yield from texts.address(found, "Name", prefix, name, lines, country, address.country)


def _code(connection: Site, contact_id: str, currency: str) -> str:
    prefix, home = connection.settings.get("customer_prefix", "BP"), connection.settings["home_currency"]
    return f"{prefix}{contact_id}{'' if currency == home else connection.to('currency_suffixes', currency, currency)}"


def _day(connection: Site, moment: datetime) -> str:
    return moment.astimezone(ZoneInfo(connection.settings["time_zone"])).date().isoformat()


def _rounded(value: Decimal, places: Decimal) -> Decimal:
    return value.quantize(places, ROUND_HALF_UP)

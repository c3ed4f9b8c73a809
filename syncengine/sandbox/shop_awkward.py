"""Orders that are hard to get right, one of each kind, each under a label in `Shop.awkward`."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from syncengine.sandbox.shop import CUT_OVER, Contact, Fate, Order, Product, minutes
from syncengine.sandbox.shop_catalogue import GIFT
from syncengine.sandbox.shop_orders import NOMINAL_DISCOUNT, NOMINAL_SHIPPING, REASONS, Scribe, make_invalid
from syncengine.sandbox.shop_people import add_contact


class _Writer:
    """Writes labelled orders, each of a customer of its own, 3 minutes apart."""

    def __init__(self, scribe: Scribe, chance: random.Random) -> None:
        self.scribe = scribe
        self.chance = chance
        self._placed = CUT_OVER

    def contact(self, country: str = "GB", *, tags: str = "", is_company: bool = False) -> Contact:
        return add_contact(self.scribe.shop, self.chance, country, tags=tags, is_company=is_company)

    def order(
        self,
        label: str,
        contact: Contact | None = None,
        *,
        rows: int = 1,
        fate: Fate = "pushed",
        channel_id: int = 1,
        status_id: int = 2,
        currency: str | None = None,
        price_mode: str | None = None,
    ) -> Order:
        self._placed += minutes(3)
        order = self.scribe.order(
            contact or self.contact(),
            self._placed,
            fate=fate,
            channel_id=channel_id,
            status_id=status_id,
            currency=currency,
            price_mode=price_mode,
        )
        self.scribe.shop.awkward[label] = order.id
        for number in range(rows):
            self.scribe.add(order, self.product(number), number + 1)
        return order

    def product(self, number: int) -> Product:
        return self.scribe.ordinary[number % len(self.scribe.ordinary)]


def add_awkward(scribe: Scribe, chance: random.Random) -> None:
    """Add them all; their ids are the lowest of the shop and the same for every seed."""
    if not scribe.ordinary:
        return
    writer = _Writer(scribe, chance)
    for add in (_dates, _rows, _prices, _currencies, _guests, _names, _addresses, _texts, _statuses, _invalid):
        add(writer)


def _dates(writer: _Writer) -> None:
    old = writer.order("before_cut_over", fate="ineligible")
    old.placed_on = old.created_on = CUT_OVER - timedelta(days=60)
    old.tax_date = old.placed_on
    writer.order("plain")
    writer.scribe.touch(writer.order("updated"))


def _rows(writer: _Writer) -> None:
    scribe = writer.scribe
    writer.order("sixty_rows", rows=60)
    scribe.add(writer.order("zero_price_gift"), scribe.products[GIFT], unit=Decimal(0))
    scribe.add(writer.order("only_gifts", rows=0), scribe.products[GIFT], unit=Decimal(0))
    scribe.add_bundle(writer.order("bundle"), 2)
    scribe.add_text(writer.order("free_text_row"), "Engraving: “Für Oma & Opa”", Decimal("7.50"))
    scribe.add_text(writer.order("shipping_row"), "Shipping: next day courier", Decimal("5.95"), NOMINAL_SHIPPING)
    scribe.add_text(writer.order("voucher_row", rows=2), "Voucher SPRING1", Decimal("-1.00"), NOMINAL_DISCOUNT)
    twice = writer.order("same_sku_twice")
    scribe.add(twice, scribe.ordinary[0], 4)
    by_the_metre = scribe.ordinary[-1]
    by_the_metre.decimals = 2
    scribe.add(writer.order("fractional_quantity", rows=0), by_the_metre, Decimal("1.5"))
    scribe.add(writer.order("large_quantity", rows=0), scribe.ordinary[0], 12_500)


def _prices(writer: _Writer) -> None:
    scribe = writer.scribe
    taxes = writer.order("several_tax_rates", rows=0)
    for number, tax_code in enumerate(("T20", "T5", "T0", "T9")):
        scribe.add(taxes, scribe.ordinary[number], number + 1, tax_code=tax_code)
    scribe.add(writer.order("discounted", rows=0), scribe.ordinary[0], 3, discount=15)
    writer.order("prices_with_tax", rows=2, price_mode="INC")
    writer.order("prices_without_tax", rows=2, price_mode="EXC")
    # Three for 10.00: no unit price of five places gives the row's total back exactly.
    thirds = writer.order("price_does_not_divide", rows=0, price_mode="EXC")
    scribe.add(thirds, scribe.ordinary[0], 3, unit=Decimal(10) / 3, tax_code="T20")


def _currencies(writer: _Writer) -> None:
    writer.order("euro", writer.contact("DE"), rows=2)
    writer.order("dollar", writer.contact("US"))
    traveller = writer.contact("GB")
    writer.order("two_currencies_first", traveller)
    writer.order("two_currencies_second", traveller, currency="EUR", rows=2)


def _guests(writer: _Writer) -> None:
    tag = writer.scribe.shop.guest_tag
    fate: Fate = "guest"
    writer.order("guest_by_channel", channel_id=5, fate=fate)
    writer.order("guest_by_tag", writer.contact("GB", tags=f"3,{tag}"), fate=fate)
    writer.order("guest_euro", writer.contact("FR", tags=tag), channel_id=5, fate=fate)


def _names(writer: _Writer) -> None:
    for label, country, first, last in (
        ("polish_name", "PL", "Łukasz", "Żółciński-Dąbrowa"),
        ("czech_name", "CZ", "Zdeněk", "Řezníček"),
        ("greek_name", "GR", "Ελένη", "Παπαδοπούλου"),
        ("japanese_name", "JP", "直美", "佐藤"),
        ("emoji_name", "GB", "Bob 🛠️", "the Builder"),
        ("combining_name", "GB", "Zoe\u0308", "Bronte\u0308"),  # the same to the eye as Zoë Brontë
        ("markup_name", "GB", "<b>Tom</b>", 'O\'Neil & Söhne = "Best"'),
        ("long_name", "GB", "Maximiliane-Charlotte Friederike", "von Hohenzollern-Sigmaringen-Au"),
    ):
        contact = writer.contact(country)
        contact.first_name, contact.last_name, contact.company = first, last, ""
        writer.order(label, contact)
    company = writer.contact("GB", is_company=True)
    company.company = "The Extraordinarily Long-Winded Trading Company of Bristol and Bath Limited"
    writer.order("long_company", company, channel_id=4)
    again = writer.contact("GB")
    writer.order("same_customer_first", again)
    writer.order("same_customer_second", again)
    writer.order("customer_to_hold")  # a test puts this customer on hold in SYSPRO


def _addresses(writer: _Writer) -> None:
    shop = writer.scribe.shop

    def with_address(change: Callable[[Contact], None]) -> Contact:
        contact = writer.contact("GB")
        contact.delivery_address_id = contact.billing_address_id
        change(contact)
        writer.scribe.addresses = {}
        return contact

    def long_lines(contact: Contact) -> None:
        address = shop.addresses[-1] if shop.addresses[-1].id == contact.billing_address_id else shop.addresses[-2]
        address.line1 = "The Old Coach House behind Saint Bartholomew's Parish Church Hall, First Floor"
        address.line2 = "Entrance by the northern courtyard, please ring twice at the blue door"
        address.line3 = "Stratford-upon-Avon and Surrounding Villages"

    def no_country(contact: Contact) -> None:
        next(address for address in shop.addresses if address.id == contact.billing_address_id).country = ""

    writer.order("long_address", with_address(long_lines))
    writer.order("no_country", with_address(no_country))
    elsewhere = writer.order("sent_elsewhere")
    elsewhere.delivery.full_name, elsewhere.delivery.company = "Reception", "Another Firm Ltd"
    elsewhere.delivery.line1, elsewhere.delivery.line2 = "99 Other Street", ""
    elsewhere.delivery.line3, elsewhere.delivery.postal_code = "Cardiff", "CF10 1EP"
    silent = writer.contact("GB")
    silent.email = silent.phone = silent.mobile = ""
    writer.order("no_email_no_phone", silent)


def _texts(writer: _Writer) -> None:
    writer.order("no_reference").reference = ""
    writer.order("long_reference").reference = "MARKETPLACE-0123456789-0123456789-0123456789-0123456789-01234567"
    writer.order("reference_with_markup").reference = "A&B <42> = \"x\" 'y' ż"


def _statuses(writer: _Writer) -> None:
    writer.order("draft", status_id=1, fate="ineligible")
    writer.order("awaiting_payment", status_id=4, fate="ineligible")
    writer.order("cancelled", status_id=5, fate="cancelled")


def _invalid(writer: _Writer) -> None:
    for label in REASONS:
        make_invalid(writer.scribe, writer.order(f"invalid_{label}"), label)

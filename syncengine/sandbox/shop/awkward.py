"""Orders that are hard to transfer, one of each kind, each under a label in `Shop.awkward`."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from syncengine.sandbox.shop.catalogue import GIFT
from syncengine.sandbox.shop.model import CUT_OVER, Contact, Fate, Order, Product
from syncengine.sandbox.shop.order_writer import OrderWriter
from syncengine.sandbox.shop.orders import NOMINAL_DISCOUNT, NOMINAL_SHIPPING, REASONS, make_invalid
from syncengine.sandbox.shop.people import add_contact


class _LabelledOrders:
    """Writes labelled orders, each by its own customer, 3 minutes apart."""

    def __init__(self, writer: OrderWriter, rng: random.Random) -> None:
        self.writer = writer
        self.rng = rng
        self._placed = CUT_OVER

    def contact(self, country: str = "GB", *, tags: str = "", is_company: bool = False) -> Contact:
        return add_contact(self.writer.shop, self.rng, country, tags=tags, is_company=is_company)

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
        self._placed += timedelta(minutes=3)
        order = self.writer.order(
            contact or self.contact(),
            self._placed,
            fate=fate,
            channel_id=channel_id,
            status_id=status_id,
            currency=currency,
            price_mode=price_mode,
        )
        self.writer.shop.awkward[label] = order.id
        for number in range(rows):
            self.writer.add(order, self.product(number), number + 1)
        return order

    def product(self, number: int) -> Product:
        return self.writer.ordinary[number % len(self.writer.ordinary)]


def add(writer: OrderWriter, rng: random.Random) -> None:
    """Add all of them; their ids are the lowest of the shop and the same for every seed."""
    if not writer.ordinary:
        return
    labelled = _LabelledOrders(writer, rng)
    for add_kind in (_dates, _rows, _prices, _currencies, _guests, _names, _addresses, _texts, _statuses, _invalid):
        add_kind(labelled)


def _dates(labelled: _LabelledOrders) -> None:
    old = labelled.order("before_cut_over", fate="ineligible")
    old.placed_on = old.created_on = CUT_OVER - timedelta(days=60)
    old.tax_date = old.placed_on
    labelled.order("plain")
    labelled.writer.mark_updated(labelled.order("updated"))


def _rows(labelled: _LabelledOrders) -> None:
    writer = labelled.writer
    labelled.order("sixty_rows", rows=60)
    writer.add(labelled.order("zero_price_gift"), writer.products[GIFT], unit=Decimal(0))
    writer.add(labelled.order("only_gifts", rows=0), writer.products[GIFT], unit=Decimal(0))
    writer.add_bundle(labelled.order("bundle"), 2)
    writer.add_text(labelled.order("free_text_row"), "Engraving: “Für Oma & Opa”", Decimal("7.50"))
    writer.add_text(labelled.order("shipping_row"), "Shipping: next day courier", Decimal("5.95"), NOMINAL_SHIPPING)
    writer.add_text(labelled.order("voucher_row", rows=2), "Voucher SPRING1", Decimal("-1.00"), NOMINAL_DISCOUNT)
    twice = labelled.order("same_sku_twice")
    writer.add(twice, writer.ordinary[0], 4)
    by_the_metre = writer.ordinary[-1]
    by_the_metre.decimals = 2
    writer.add(labelled.order("fractional_quantity", rows=0), by_the_metre, Decimal("1.5"))
    writer.add(labelled.order("large_quantity", rows=0), writer.ordinary[0], 12_500)


def _prices(labelled: _LabelledOrders) -> None:
    writer = labelled.writer
    taxes = labelled.order("several_tax_rates", rows=0)
    for number, tax_code in enumerate(("T20", "T5", "T0", "T9")):
        writer.add(taxes, writer.ordinary[number], number + 1, tax_code=tax_code)
    discounted = labelled.order("discounted", rows=0)
    writer.add(discounted, writer.ordinary[0], 3, discount=15)
    _invoice(labelled, discounted)
    labelled.order("prices_with_tax", rows=2, price_mode="INC")
    labelled.order("prices_without_tax", rows=2, price_mode="EXC")
    # Three for 10.00: no unit price of five places gives exactly the row's total.
    thirds = labelled.order("price_does_not_divide", rows=0, price_mode="EXC")
    writer.add(thirds, writer.ordinary[0], 3, unit=Decimal(10) / 3, tax_code="T20")


def _invoice(labelled: _LabelledOrders, order: Order) -> None:
    """Invoice an order the day after it was placed; label it `invoiced` too."""
    order.closed_on = order.updated_on = order.placed_on + timedelta(days=1)
    order.invoice_reference = "SI-1001"
    order.version += 1
    labelled.writer.shop.awkward["invoiced"] = order.id


def _currencies(labelled: _LabelledOrders) -> None:
    labelled.order("euro", labelled.contact("DE"), rows=2)
    labelled.order("dollar", labelled.contact("US"))
    traveller = labelled.contact("GB")
    labelled.order("two_currencies_first", traveller)
    labelled.order("two_currencies_second", traveller, currency="EUR", rows=2)


def _guests(labelled: _LabelledOrders) -> None:
    tag = labelled.writer.shop.guest_tag
    fate: Fate = "guest"
    labelled.order("guest_by_channel", channel_id=5, fate=fate)
    labelled.order("guest_by_tag", labelled.contact("GB", tags=f"3,{tag}"), fate=fate)
    labelled.order("guest_euro", labelled.contact("FR", tags=tag), channel_id=5, fate=fate)


def _names(labelled: _LabelledOrders) -> None:
    for label, country, first, last in (
        ("polish_name", "PL", "Łukasz", "Żółciński-Dąbrowa"),
        ("czech_name", "CZ", "Zdeněk", "Řezníček"),
        ("greek_name", "GR", "Ελένη", "Παπαδοπούλου"),
        ("japanese_name", "JP", "直美", "佐藤"),
        ("emoji_name", "GB", "Bob 🛠️", "the Builder"),
        ("combining_name", "GB", "Zoe\u0308", "Bronte\u0308"),  # looks like Zoë Brontë
        ("markup_name", "GB", "<b>Tom</b>", 'O\'Neil & Söhne = "Best"'),
        ("long_name", "GB", "Maximiliane-Charlotte Friederike", "von Hohenzollern-Sigmaringen-Au"),
    ):
        contact = labelled.contact(country)
        contact.first_name, contact.last_name, contact.company = first, last, ""
        if label == "japanese_name":
            labelled.writer.shop.addresses[-1].line1 = "110 銀座4丁目"
        labelled.order(label, contact)
    company = labelled.contact("GB", is_company=True)
    company.company = "The Extraordinarily Long-Winded Trading Company of Bristol and Bath Limited"
    labelled.order("long_company", company, channel_id=4)
    again = labelled.contact("GB")
    labelled.order("same_customer_first", again)
    labelled.order("same_customer_second", again)
    labelled.order("customer_to_hold")  # tests put this customer on hold in SYSPRO


def _addresses(labelled: _LabelledOrders) -> None:
    shop = labelled.writer.shop

    def with_address(change: Callable[[Contact], None]) -> Contact:
        contact = labelled.contact("GB")
        contact.delivery_address_id = contact.billing_address_id
        change(contact)
        labelled.writer.addresses = {}
        return contact

    def long_lines(contact: Contact) -> None:
        address = shop.addresses[-1] if shop.addresses[-1].id == contact.billing_address_id else shop.addresses[-2]
        address.line1 = "The Old Coach House behind Saint Bartholomew's Parish Church Hall, First Floor"
        address.line2 = "Entrance by the northern courtyard, please ring twice at the blue door"
        address.line3 = "Stratford-upon-Avon and Surrounding Villages"

    def no_country(contact: Contact) -> None:
        next(address for address in shop.addresses if address.id == contact.billing_address_id).country = ""

    labelled.order("long_address", with_address(long_lines))
    labelled.order("no_country", with_address(no_country))
    elsewhere = labelled.order("sent_elsewhere")
    elsewhere.delivery.full_name, elsewhere.delivery.company = "Reception", "Another Firm Ltd"
    elsewhere.delivery.line1, elsewhere.delivery.line2 = "99 Other Street", ""
    elsewhere.delivery.line3, elsewhere.delivery.postal_code = "Cardiff", "CF10 1EP"
    silent = labelled.contact("GB")
    silent.email = silent.phone = silent.mobile = ""
    labelled.order("no_email_no_phone", silent)


def _texts(labelled: _LabelledOrders) -> None:
    labelled.order("no_reference").reference = ""
    labelled.order("long_reference").reference = "MARKETPLACE-0123456789-0123456789-0123456789-0123456789-01234567"
    labelled.order("reference_with_markup").reference = "A&B <42> = \"x\" 'y' ż"


def _statuses(labelled: _LabelledOrders) -> None:
    labelled.order("draft", status_id=1, fate="ineligible")
    labelled.order("awaiting_payment", status_id=4, fate="ineligible")
    labelled.order("cancelled", status_id=5, fate="cancelled")


def _invalid(labelled: _LabelledOrders) -> None:
    for label in REASONS:
        make_invalid(labelled.writer, labelled.order(f"invalid_{label}"), label)

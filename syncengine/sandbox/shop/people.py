"""The shop's customers: realistic names from many countries, within and outside Windows-1252."""

from __future__ import annotations

import random
from datetime import timedelta

from syncengine.sandbox.shop.model import CUT_OVER, Address, Contact, Shop

FIRST_CONTACT_ID = 310
FIRST_ADDRESS_ID = 9001

#: (country, first names, last names, streets, (city, region, postal code)); the share of each is in `_SHARES`.
_PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[tuple[str, str, str], ...]]] = {
    "GB": (
        ("Robin", "Olivia", "George", "Siân", "Priya", "Callum", "Zoë", "Mohammed"),
        ("Sample", "O'Brien", "Hughes", "Patel", "Fraser", "Brontë-Lee", "Khan", "Whitaker"),
        ("Example Road", "High Street", "Mill Lane", "St. John's Terrace", "Park View"),
        (("Bristol", "Avon", "BS1 4QA"), ("Leeds", "West Yorkshire", "LS2 7EW"), ("Glasgow", "", "G2 8DL")),
    ),
    "IE": (
        ("Aoife", "Seán", "Niamh"),
        ("Ó Súilleabháin", "Murphy", "Byrne"),
        ("Grafton Street", "Patrick Street"),
        (("Dublin 2", "Dublin", "D02 XY45"), ("Cork", "", "T12 W8KP")),
    ),
    "DE": (
        ("Jürgen", "Käthe", "Sören", "Anneliese"),
        ("Müller", "Weiß", "Schröder", "von der Höhe"),
        ("Hauptstraße", "Lindenallee", "Am Mühlbach"),
        (("München", "", "80331"), ("Köln", "", "50667"), ("Berlin", "", "10115")),
    ),
    "FR": (
        ("Chloé", "François", "Anaïs"),
        ("Lefèvre", "d'Artagnan", "Béranger"),
        ("rue de l'Église", "avenue Foch"),
        (("Lyon", "", "69002"), ("Besançon", "", "25000")),
    ),
    "PL": (
        ("Łukasz", "Małgorzata", "Wojciech"),
        ("Wiśniewski", "Dąbrowska", "Żółć"),
        ("ulica Świętokrzyska", "aleja Róż"),
        (("Łódź", "", "90-001"), ("Kraków", "", "31-001")),
    ),
    "CZ": (
        ("Jiří", "Božena", "Zdeněk"),
        ("Dvořák", "Němcová", "Řezníček"),
        ("Příkopy", "Náměstí Míru"),
        (("Plzeň", "", "301 00"), ("Praha 1", "", "110 00")),
    ),
    "GR": (
        ("Γιώργος", "Ελένη"),
        ("Παπαδόπουλος", "Νικολάου"),
        ("Οδός Ερμού", "Λεωφόρος Συγγρού"),
        (("Αθήνα", "", "105 63"), ("Θεσσαλονίκη", "", "546 24")),
    ),
    "JP": (
        ("Naomi", "Kenta"),
        ("Satō", "Takahashi"),
        ("Ginza 4-chōme", "Sakura-dōri"),
        (("Chūō, Tōkyō", "", "104-0061"),),
    ),
    "US": (
        ("Casey", "Jordan", "Dolores"),
        ("Rivera", "McAllister", "Nguyen"),
        ("Main Street", "Sunset Boulevard"),
        (("Springfield", "IL", "62701"), ("Portland", "OR", "97205")),
    ),
}
_SHARES = {"GB": 50, "IE": 6, "DE": 9, "FR": 6, "PL": 6, "CZ": 5, "GR": 3, "JP": 3, "US": 12}
_EURO = frozenset({"IE", "DE", "FR", "GR"})
_COMPANIES = ("Outfitters", "Trading Ltd", "& Sons", "Interiors", "Café", "GmbH & Co. KG", "Stores", "Déco")


def fill(shop: Shop, rng: random.Random, contacts: int) -> None:
    """Fill the shop with customers and their addresses."""
    countries, weights = list(_SHARES), list(_SHARES.values())
    for number in range(contacts):
        country = "GB" if number == 0 else rng.choices(countries, weights)[0]
        add_contact(shop, rng, country, is_company=rng.random() < 0.35, created_days_ago=300 - number % 280)


def add_contact(
    shop: Shop,
    rng: random.Random,
    country: str,
    *,
    currency: str | None = None,
    is_company: bool = False,
    tags: str = "",
    created_days_ago: int = 10,
) -> Contact:
    """Add a customer from this country, with a billing address and sometimes another for delivery."""
    first_names, last_names, _, _ = _PLACES[country]
    contact_id = shop.contacts[-1].id + 1 if shop.contacts else FIRST_CONTACT_ID
    first, last = rng.choice(first_names), rng.choice(last_names)
    billing = _add_address(shop, rng, country, contact_id)
    delivery = _add_address(shop, rng, country, contact_id) if rng.random() < 0.3 else billing
    created = CUT_OVER - timedelta(days=created_days_ago, minutes=contact_id)
    currency = currency or ("EUR" if country in _EURO else "USD" if country == "US" else "GBP")
    contact = Contact(
        contact_id,
        first,
        last,
        f"{last} {rng.choice(_COMPANIES)}" if is_company else "",
        f"customer{contact_id}@shop-mail.example",
        f"+44 20 7946 {contact_id % 10_000:04d}",
        f"+44 7700 90{contact_id % 10_000:04d}" if rng.random() < 0.4 else "",
        currency,
        {"EUR": 4, "USD": 5}.get(currency, 3 if is_company else 2),
        "T20" if country == "GB" else "T0",
        billing.id,
        delivery.id,
        credit_limit=rng.choice((0, 500, 2500, 10_000)) if is_company else 0,
        tags=tags,
        created_on=created,
        updated_on=created + timedelta(days=1) if rng.random() < 0.6 else None,
    )
    shop.contacts.append(contact)
    return contact


def _add_address(shop: Shop, rng: random.Random, country: str, contact_id: int) -> Address:
    _, _, streets, towns = _PLACES[country]
    city, region, postal_code = rng.choice(towns)
    address_id = shop.addresses[-1].id + 1 if shop.addresses else FIRST_ADDRESS_ID
    line2 = rng.choice(("", "", "", "Flat 2", "Unit 14, Riverside Business Park"))
    line1 = f"{rng.randint(1, 240)} {rng.choice(streets)}"
    address = Address(address_id, contact_id, line1, line2, city, region, postal_code, country)
    shop.addresses.append(address)
    return address

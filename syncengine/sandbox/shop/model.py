"""A shop as plain data.

Brightpearl starts with all of it; SYSPRO with the products, warehouses, currencies and house accounts, but without the
customers and orders. `expected`, `invalid` and `awkward` say what must become of each order, so that a test can compare
without asking the mapping.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

#: When the first ordinary order is placed; the only earlier one is `awkward["before_cut_over"]`.
CUT_OVER = datetime(2025, 3, 3, 8, 0, tzinfo=UTC)
#: Free-text rows report this product (brightpearl.md section 11.1).
FREE_TEXT_PRODUCT_ID = 1000
#: The options of the products' custom field PCF_RANGE, by id.
RANGES = {160: "Everyday", 161: "Seasonal"}

#: What begins the references of orders that people entered in SYSPRO before any order of the shop.
ENTERED_BEFORE = "BEFORE-"

Fate = Literal["pushed", "invalid", "ineligible", "cancelled", "guest", "held"]


@dataclass(slots=True)
class Currency:
    """`rate`: units of this currency for 1 GBP, the account's currency."""

    id: int
    code: str
    name: str
    symbol: str
    rate: Decimal
    in_syspro: bool = True


@dataclass(slots=True)
class TaxCode:
    """`rate` is a percentage."""

    id: int
    code: str
    description: str
    rate: Decimal


@dataclass(slots=True)
class PriceList:
    """A price list; `gross` prices include tax (price mode INC)."""

    id: int
    code: str
    name: str
    currency: str
    kind: Literal["BUY", "SELL"]
    gross: bool


@dataclass(slots=True)
class Channel:
    """Where orders come from. `is_guest`: orders of people without an account; Brightpearl itself has no such flag."""

    id: int
    name: str
    type_id: int
    is_guest: bool = False


@dataclass(slots=True)
class Status:
    """An order status. `fate` is what a site would do with such an order."""

    id: int
    name: str
    state: str
    color: str
    fate: Literal["eligible", "ineligible", "cancelled"]
    type_code: str = "SO"


@dataclass(slots=True)
class Warehouse:
    """`code` is its code in SYSPRO and in `Product.stock`."""

    id: int
    code: str
    name: str


@dataclass(slots=True)
class ShippingMethod:
    """A shipping method."""

    id: int
    code: str
    name: str


@dataclass(slots=True)
class Product:
    """A SKU. `price` is the net GBP retail price, `cost` the net GBP purchase price, `stock` by warehouse code.

    `decimals`: how many places its quantities may have in SYSPRO; 0 if it is sold by the piece.
    """

    id: int
    sku: str
    name: str
    price: Decimal
    tax_code: str
    stock: dict[str, Decimal]
    uom: str = "EA"
    decimals: int = 0
    bundle_components: list[tuple[int, int]] = field(default_factory=list)  # (product id, quantity)
    stock_tracked: bool = True
    in_syspro: bool = True
    cost: Decimal = Decimal(0)
    barcode: str = ""
    weight: Decimal = Decimal("0.35")
    brand_id: int = 74
    category_id: int = 296
    group_id: int = 0  # 0 if it is in none
    variant: str = ""  # its size, of a group's products; empty if there is only one
    custom_fields: dict[str, object] = field(default_factory=dict)  # by code
    created_on: datetime = CUT_OVER
    updated_on: datetime | None = None


@dataclass(slots=True)
class Address:
    """A postal address; `country` is the ISO 3166 code of two letters."""

    id: int
    contact_id: int
    line1: str
    line2: str
    line3: str
    line4: str
    postal_code: str
    country: str


@dataclass(slots=True)
class Contact:
    """A customer. `tags` is Brightpearl's comma list of tag ids; `company` is empty for a private person."""

    id: int
    first_name: str
    last_name: str
    company: str
    email: str
    phone: str
    mobile: str
    currency: str
    price_list_id: int
    tax_code: str
    billing_address_id: int
    delivery_address_id: int
    credit_limit: int = 0
    credit_term_days: int = 30
    tags: str = ""
    salutation: str = ""
    created_on: datetime = CUT_OVER
    updated_on: datetime | None = None


@dataclass(slots=True)
class Party:
    """Name and address on an order."""

    contact_id: int
    full_name: str
    company: str
    line1: str
    line2: str
    line3: str
    line4: str
    postal_code: str
    country: str
    phone: str = ""
    mobile: str = ""
    email: str = ""

    @classmethod
    def of(cls, contact: Contact, address: Address) -> Party:
        """A contact at an address."""
        return cls(
            contact.id,
            f"{contact.first_name} {contact.last_name}".strip(),
            contact.company,
            address.line1,
            address.line2,
            address.line3,
            address.line4,
            address.postal_code,
            address.country,
            contact.phone,
            contact.mobile,
            contact.email,
        )


@dataclass(slots=True)
class Row:
    """An order row. `net` (4 places) and `tax` (2 places) are for the whole row; `price` (4 places) is the net unit price."""

    id: int
    sequence: int
    product_id: int
    name: str
    sku: str
    quantity: Decimal
    price: Decimal
    net: Decimal
    tax: Decimal
    tax_code: str
    discount: Decimal = Decimal(0)
    nominal_code: str = "4000"
    cost: Decimal = Decimal(0)
    bundle_parent: bool = False
    parent_row_id: int = 0
    external_ref: str = ""
    tax_calculator: str = "brightpearl"


@dataclass(slots=True)
class Order:
    """A sales order; times are aware UTC, money is in `currency`."""

    id: int
    reference: str
    status_id: int
    placed_on: datetime
    created_on: datetime
    updated_on: datetime | None
    currency: str
    exchange_rate: Decimal
    price_list_id: int
    price_mode: Literal["INC", "EXC"]
    channel_id: int
    warehouse_id: int
    customer: Party
    billing: Party
    delivery: Party
    rows: dict[int, Row]
    delivery_date: datetime | None = None
    tax_date: datetime | None = None
    shipping_method_id: int = 0
    external_ref: str = ""
    payment_status: str = "UNPAID"
    type_code: str = "SO"
    version: int = 1
    shipping_status: str = "SNS"
    stock_status: str = "SON"
    allocation_status: str = "ANA"
    staff_owner_id: int = 0
    project_id: int = 0
    lead_source_id: int = 0
    team_id: int = 0
    parent_id: int = 0
    created_by: int = 4
    fixed_rate: bool = False
    cost_price_list_id: int = 1
    instance_id: int | None = 11
    invoice_reference: str = ""
    closed_on: datetime | None = None


@dataclass(slots=True)
class Shop:
    """Everything, by kind; see the module's docstring."""

    seed: int
    base_currency: str = "GBP"
    currencies: list[Currency] = field(default_factory=list)
    tax_codes: list[TaxCode] = field(default_factory=list)
    price_lists: list[PriceList] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    warehouses: list[Warehouse] = field(default_factory=list)
    shipping_methods: list[ShippingMethod] = field(default_factory=list)
    house_accounts: list[dict[str, str]] = field(default_factory=list)  # code, name, currency; for guest orders
    products: list[Product] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    awkward: dict[str, int] = field(default_factory=dict)
    tax_mix: dict[str, list[int]] = field(default_factory=dict)  # order ids by kind (shop/tax_mix.py)
    invalid: dict[int, str] = field(default_factory=dict)
    expected: dict[int, Fate] = field(default_factory=dict)
    guest_tag: str = "7"
    cut_over: datetime = CUT_OVER

    def rate_of(self, tax_code: str) -> Decimal:
        """A tax code's rate as a fraction; 0 for an unknown code."""
        return next((tax.rate / 100 for tax in self.tax_codes if tax.code == tax_code), Decimal(0))

    def list_price(self, product: Product, prices: PriceList) -> Decimal:
        """A product's unit price in a price list, in the list's currency, with tax if the list includes it."""
        if prices.kind == "BUY":
            return product.cost
        rate = next(entry.rate for entry in self.currencies if entry.code == prices.currency)
        trade = Decimal("0.8") if prices.code == "TRADE" else Decimal(1)
        tax = 1 + self.rate_of(product.tax_code) if prices.gross else Decimal(1)
        return (product.price * rate * trade * tax).quantize(Decimal("0.01"))


def is_unstorable(text: str) -> bool:
    """Whether a text has ideographs or pictures, which Windows-1252 does not have and no transliteration spells in it."""
    return any(unicodedata.category(character) in ("Lo", "So") for character in text)

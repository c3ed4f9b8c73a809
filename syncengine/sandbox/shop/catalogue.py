"""The shop's settings and its products."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal

from syncengine.sandbox.shop.model import (
    CUT_OVER,
    RANGES,
    Channel,
    Currency,
    PriceList,
    Product,
    ShippingMethod,
    Shop,
    Status,
    TaxCode,
    Warehouse,
)

FIRST_PRODUCT_ID = 2001
_MATERIALS = ("Canvas", "Enamel", "Oak", "Linen", "Wool", "Copper", "Leather", "Bamboo", "Cotton", "Stoneware", "Felt")
_THINGS = ("Tote", "Mug", "Board", "Apron", "Throw", "Lamp", "Wallet", "Tray", "Towel", "Bowl", "Basket", "Stool")
_COLOURS = ("", "Red", "Navy", "Moss", "Sand", "Ink", "Clay")

#: Products with a special role, by SKU.
UNKNOWN_TO_SYSPRO = "NEW-NOT-IN-ERP"
WITHOUT_SKU = ""
TOO_LONG_SKU = "LIMITED-EDITION-BLANKET-XL-2025A"  # 32 characters: Brightpearl's maximum, SYSPRO's is 30
BUNDLE = "GIFT-SET-01"
GIFT = "FREE-SAMPLE"


def fill(shop: Shop, rng: random.Random, products: int) -> None:
    """Fill the shop with settings and products."""
    _settings(shop)
    special = _special_products()
    ordinary = [_product(rng, FIRST_PRODUCT_ID + len(special) + number, number) for number in range(products)]
    shop.products = [*special, *ordinary]
    parts = [product for product in ordinary if product.stock_tracked][:2]
    bundle = next(product for product in special if product.sku == BUNDLE)
    bundle.bundle_components = [(part.id, number + 1) for number, part in enumerate(parts)]


def _settings(shop: Shop) -> None:
    shop.currencies = [
        Currency(1, "GBP", "Pound sterling", "£", Decimal("1.000000")),
        Currency(2, "EUR", "Euro", "€", Decimal("1.172400")),
        Currency(3, "USD", "US dollar", "$", Decimal("1.268300")),
        Currency(4, "JPY", "Yen", "¥", Decimal("191.350000"), in_syspro=False),
    ]
    shop.tax_codes = [
        TaxCode(1, "T20", "Standard rate", Decimal("20")),
        TaxCode(2, "T5", "Reduced rate", Decimal("5")),
        TaxCode(3, "T0", "Zero rated", Decimal("0")),
        TaxCode(4, "T9", "Outside the scope", Decimal("0")),
        TaxCode(5, "DE19", "Germany, one stop shop", Decimal("19")),
    ]
    shop.price_lists = [
        PriceList(1, "COST", "Cost", "GBP", "BUY", gross=False),
        PriceList(2, "RETAIL", "Retail incl. VAT", "GBP", "SELL", gross=True),
        PriceList(3, "TRADE", "Trade", "GBP", "SELL", gross=False),
        PriceList(4, "EURO", "Euro incl. VAT", "EUR", "SELL", gross=True),
        PriceList(5, "DOLLAR", "US dollar", "USD", "SELL", gross=False),
    ]
    shop.channels = [
        Channel(1, "Web shop", 1),
        Channel(2, "Marketplace", 2),
        Channel(3, "Point of sale", 3),
        Channel(4, "Wholesale", 4),
        Channel(5, "Web shop, guest checkout", 1, is_guest=True),
    ]
    shop.statuses = [
        Status(1, "Draft / Quote", "draft", "#B0B0B0", "ineligible"),
        Status(2, "New web order", "open", "#60A0FF", "eligible"),
        Status(3, "New phone order", "open", "#60C0FF", "eligible"),
        Status(4, "Awaiting payment", "open", "#FFC060", "ineligible"),
        Status(5, "Cancelled", "cancelled", "#FF6060", "cancelled"),
        Status(6, "Ready to ship", "open", "#60D080", "eligible"),
        Status(7, "Fraud check", "open", "#FF9090", "ineligible"),
        Status(8, "Completed", "closed", "#208040", "eligible"),
        Status(9, "Pending purchase order", "open", "#C0C0FF", "ineligible", "PO"),
        Status(10, "New credit note", "open", "#FFC0FF", "ineligible", "SC"),
        Status(12, "New purchase credit", "open", "#C0FFFF", "ineligible", "PC"),
    ]
    shop.warehouses = [Warehouse(2, "MN", "Main warehouse"), Warehouse(3, "ST", "Store")]
    shop.shipping_methods = [
        ShippingMethod(1, "COLLECT", "Collection"),
        ShippingMethod(2, "POST", "Second class post"),
        ShippingMethod(3, "NEXTDAY", "Next day courier"),
        ShippingMethod(4, "PALLET", "Pallet"),
    ]
    shop.house_accounts = [
        {"code": f"WEB{code}", "name": f"Guest orders in {code}", "currency": code} for code in ("GBP", "EUR", "USD")
    ]


def _special_products() -> list[Product]:
    stock = {"MN": Decimal(40), "ST": Decimal(5)}
    entries = [
        (UNKNOWN_TO_SYSPRO, "Cork Coaster (new this week)", "4.50", False, True),
        (WITHOUT_SKU, "Sample without a code", "3.00", False, True),
        (TOO_LONG_SKU, "Limited Edition Blanket XL", "145.00", False, True),
        (BUNDLE, "Gift Set: Tote and Mugs", "54.00", True, False),
        (GIFT, "Free Sample", "0.00", True, True),
    ]
    return [
        Product(
            FIRST_PRODUCT_ID + number,
            sku,
            name,
            Decimal(price),
            "T20",
            dict(stock) if is_tracked else {},
            in_syspro=in_syspro,
            stock_tracked=is_tracked,
            cost=(Decimal(price) * 2 / 5).quantize(Decimal("0.0001")),
        )
        for number, (sku, name, price, in_syspro, is_tracked) in enumerate(entries)
    ]


def _custom_fields(number: int) -> dict[str, object]:
    return ({"PCF_SERIALIS": number % 2 == 0} if number % 3 else {}) | (
        {"PCF_RANGE": {"id": 160 + number % 2, "value": RANGES[160 + number % 2]}} if number % 5 == 0 else {}
    )


def _product(rng: random.Random, product_id: int, number: int) -> Product:
    material, thing = _MATERIALS[number % len(_MATERIALS)], _THINGS[(number // len(_MATERIALS)) % len(_THINGS)]
    colour = _COLOURS[(number // (len(_MATERIALS) * len(_THINGS))) % len(_COLOURS)]
    price = Decimal(rng.randint(250, 18_000)) / 100
    is_tracked = rng.random() > 0.03
    created = CUT_OVER - timedelta(days=200 - number % 180, minutes=number)
    return Product(
        product_id,
        f"{material[:3]}-{thing[:4]}-{number + 1:04d}".upper(),
        " ".join(filter(None, (colour, material, thing))),
        price,
        rng.choices(("T20", "T5", "T0"), (80, 8, 12))[0],
        {"MN": Decimal(rng.randint(0, 400)), "ST": Decimal(rng.randint(0, 40))} if is_tracked else {},
        uom="EA",
        stock_tracked=is_tracked,
        cost=(price * rng.randint(30, 60) / 100).quantize(Decimal("0.0001")),
        barcode=f"{5_000_000_000_000 + number * 17:013d}",
        weight=Decimal(rng.randint(5, 900)) / 100,
        brand_id=74 + number % 3,
        category_id=296 + number % 5,
        group_id=200 + number // 2 if number % 4 > 1 else 0,
        variant=("S", "M")[number % 2] if number % 8 > 5 else "",
        custom_fields=_custom_fields(number),
        created_on=created,
        updated_on=created + timedelta(days=3) if rng.random() < 0.5 else None,
    )

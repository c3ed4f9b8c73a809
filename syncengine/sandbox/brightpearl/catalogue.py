"""Products, prices, channels, brands, tax codes, shipping methods (sections 13 and 14.1)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from syncengine.sandbox.brightpearl import custom_fields
from syncengine.sandbox.brightpearl.calls import Call, part, read_uris, text
from syncengine.sandbox.brightpearl.errors import ApiError, invalid, missing
from syncengine.sandbox.brightpearl.responses import decimals
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.shop.model import PriceList, Product

MOST_SKU = 32
Json = dict[str, object]


def read_products(call: Call) -> Json:
    """`GET product/{ids}`; what happens when none exists is a switch (section 4)."""
    account = call.account
    with account.lock:
        keys = call.ids(account.products, most=account.switches.integer("brightpearl_product_most_ids"))
        products = [account.products[key] for key in keys]
        found = [{**account.product_json(product), **_optional(call, product)} for product in products]
    if not found and account.switches.on("brightpearl_missing_product_404"):
        raise missing("No Products Found")
    return {"response": found}


def product_options(call: Call) -> Json:
    """`OPTIONS product[/{ids}]`."""
    account = call.account
    with account.lock:
        keys = call.ids(account.products, most=10**9) if "ids" in call.path else sorted(account.products)
    return read_uris("product", keys)


def create_product(call: Call) -> Json:
    """`POST product`: needs a brand, a name and categories."""
    body, account = call.json_object(), call.account
    with account.lock:
        if body.get("brandId") not in account.brands:
            raise invalid("PRDC-014", "You must supply a brand ID.")
        product = Product(
            account.new_id("product"),
            "",
            "",
            Decimal(0),
            "T20",
            {},
            brand_id=body["brandId"],
            created_on=account.stamp(),
        )
        _fill(account, product, body, is_new=True)
        account.save_product(product, is_new=True)
    return {"response": product.id}


def change_product(call: Call) -> Json:
    """`PUT product/{id}`: 412 if `If-Match` names another version than the current one."""
    body, account = call.json_object(), call.account
    with account.lock:
        product = account.products.get(call.key())
        if product is None:
            raise missing("No Products Found")
        version = account.product_json(product)["version"]
        wanted = call.request.headers.get("If-Match")
        if wanted and wanted.strip('"') != str(version):
            raise ApiError(412, ("PRDC-015", f"The product has been changed since version {wanted}"))
        trial = replace(product)
        _fill(account, trial, body, is_new=False)
        account.save_product(trial)
    return {}


def read_prices(call: Call) -> Json:
    """`GET product-price/{ids}[/price-list/{ids}]`; no products is 404."""
    account = call.account
    lists = {entry.id: entry for entry in account.shop.price_lists}
    with account.lock:
        keys = call.ids(account.products)
        chosen = call.ids(lists, "lists") if "lists" in call.path else sorted(lists)
        if not keys:
            raise missing("No Product Prices Found")
        found = [_prices(account, account.products[key], [lists[each] for each in chosen]) for key in keys]
    return {"response": found}


def read_price_lists(call: Call) -> Json:
    """`GET price-list[/{ids}]`; none is 404."""
    account = call.account
    lists = {entry.id: entry for entry in account.shop.price_lists}
    keys = call.ids(lists) if "ids" in call.path else sorted(lists)
    if not keys:
        raise missing("No Price Lists Found")
    return {"response": [_price_list(account, lists[key]) for key in keys]}


def read_channels(call: Call) -> Json:
    """`GET channel[/{ids}]`."""
    channels = {entry.id: entry for entry in call.account.shop.channels}
    keys = call.ids(channels) if "ids" in call.path else sorted(channels)
    if not keys:
        raise missing("No Channels Found")
    return {
        "response": [
            {
                "id": key,
                "name": channels[key].name,
                "channelTypeId": channels[key].type_id,
                "channelBrandId": 74,
                "defaultWarehouseId": call.account.shop.warehouses[0].id,
                "defaultPriceListId": 2,
            }
            for key in keys
        ]
    }


def read_brands(call: Call) -> Json:
    """`GET brand[/{ids}]`."""
    brands = call.account.brands
    keys = call.ids(brands) if "ids" in call.path else sorted(brands)
    if not keys:
        raise missing("No Brands Found")
    return {"response": [{"id": key, "name": brands[key], "description": ""} for key in keys]}


def create_brand(call: Call) -> Json:
    """`POST brand`: the name is unique."""
    body, account = call.json_object(), call.account
    name = text(body.get("name"))
    if not name:
        raise invalid("PRDC-024", "Brand name is required")
    with account.lock:
        if name in account.brands.values():
            raise invalid("PRDC-025", f"A brand with the name {name} already exists")  # invented
        brand_id = account.new_id("brand")
        account.brands[brand_id] = name
    return {"response": brand_id}


def read_tax_codes(call: Call) -> Json:
    """`GET tax-code[/{ids}]`; the rate is left out where it is zero."""
    taxes = {tax.id: tax for tax in call.account.taxes.values()}
    keys = call.ids(taxes) if "ids" in call.path else sorted(taxes)
    if not keys:
        raise missing("No Tax Codes Found")
    return {
        "response": [
            {
                "id": key,
                "code": taxes[key].code,
                "description": taxes[key].description,
                **({"rate": taxes[key].rate.quantize(Decimal("0.0001"))} if taxes[key].rate else {}),
            }
            for key in keys
        ]
    }


def read_shipping_methods(call: Call) -> Json:
    """`GET shipping-method[/{ids}]`; field names are not confirmed (section 14.1)."""
    methods = {entry.id: entry for entry in call.account.shop.shipping_methods}
    keys = call.ids(methods) if "ids" in call.path else sorted(methods)
    if not keys:
        raise missing("No Shipping Methods Found")
    return {"response": [{"id": key, "name": methods[key].name, "code": methods[key].code} for key in keys]}


def _optional(call: Call, product: Product) -> Json:
    """The sections that a product GET has on request: custom fields that are set, and codes of those that are not."""
    wanted = call.request.args.get("includeOptional", "").split(",")
    return ({"customFields": product.custom_fields} if "customFields" in wanted else {}) | (
        {"nullCustomFields": [code for code in custom_fields.CODES if code not in product.custom_fields]}
        if "nullCustomFields" in wanted
        else {}
    )


def _fill(account: Account, product: Product, body: dict[str, Any], *, is_new: bool) -> None:
    channels = body.get("salesChannels")
    first = channels[0] if isinstance(channels, list) and channels else {}
    if is_new and not (part(first, "productName") and part(first, "categories")):
        raise invalid("PRDC-016", "productName and categories are required")  # invented
    product.name = text(part(first, "productName")) or product.name
    if part(body, "identity", "sku") is not None:
        product.sku = text(part(body, "identity", "sku"))
        if len(product.sku) > MOST_SKU:
            raise invalid("PRDC-017", f"sku must not have more than {MOST_SKU} characters")  # invented
    product.barcode = text(part(body, "identity", "barcode")) or product.barcode
    tracked = part(body, "stock", "stockTracked")
    product.stock_tracked = product.stock_tracked if tracked is None else bool(tracked)
    product.tax_code = text(part(body, "financialDetails", "taxCode", "code")) or product.tax_code
    if product.tax_code not in account.taxes:
        raise invalid("PRDC-018", f"You have supplied an invalid tax code: {product.tax_code}")  # invented


def _prices(account: Account, product: Product, lists: list[PriceList]) -> Json:
    return {
        "productId": product.id,
        "priceLists": [
            {
                "priceListId": entry.id,
                "currencyCode": entry.currency,
                "currencyId": account.currencies[entry.currency].id,
                "quantityPrice": {"1": decimals(account.shop.list_price(product, entry), 4)},
            }
            for entry in lists
        ],
    }


def _price_list(account: Account, entry: PriceList) -> Json:
    currency = account.currencies[entry.currency]
    return {
        "id": entry.id,
        "name": {"languageCode": "en", "text": entry.name, "format": "PLAINTEXT"},
        "code": entry.code,
        "currencyCode": entry.currency,
        "currencySymbol": currency.symbol,
        "currencyId": currency.id,
        "priceListTypeCode": entry.kind,
        "gross": entry.gross,
    }

"""Brightpearl products. Facts: reference/brightpearl.md section 13."""

# ruff: noqa: N815 - the names are Brightpearl's
from __future__ import annotations

from marshmallow import fields

from syncengine.connectors.base import NameKind
from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.schemas import Document, Flag, Number, Part, Time, Whole, Words


class Identity(Document):
    """A product's `identity`."""

    sku = Words()
    isbn = Words()
    ean = Words()
    upc = Words()
    mpn = Words()
    barcode = Words()


class Weight(Document):
    """A product's `weight`."""

    magnitude = Number()


class Dimensions(Document):
    """A product's `dimensions`."""

    length = Number()
    height = Number()
    width = Number()
    volume = Number()


class Stock(Document):
    """A product's `stock`."""

    stockTracked = Flag()
    weight = Part(Weight)
    dimensions = Part(Dimensions)


class TaxCode(Document):
    """A product's `taxCode`."""

    id = Whole()
    code = Words()


class FinancialDetails(Document):
    """A product's `financialDetails`."""

    taxable = Flag()
    taxCode = Part(TaxCode)


class LocalText(Document):
    """A product's `description`."""

    languageCode = Words()
    text = Words()
    format = Words()


class Category(Document):
    """A product's `categories`."""

    categoryCode = Words()


class SalesChannel(Document):
    """A product's `salesChannels`."""

    salesChannelName = Words()
    productName = Words()
    productCondition = Words()
    categories = fields.List(Part(Category), allow_none=True)
    description = Part(LocalText)
    shortDescription = Part(LocalText)


class BundleComponent(Document):
    """A product's `bundleComponents`."""

    productId = Whole()
    productQuantity = Number()


class Composition(Document):
    """A product's `composition`."""

    bundle = Flag()
    bundleComponents = fields.List(Part(BundleComponent), allow_none=True)


class ProductSchema(Document):
    """A product as GET gives it."""

    id = Whole(required=True, allow_none=False)
    brandId = Whole()
    collectionId = Whole()
    productTypeId = Whole()
    identity = Part(Identity)
    productGroupId = Whole()
    featured = Flag()
    stock = Part(Stock)
    financialDetails = Part(FinancialDetails)
    salesChannels = fields.List(Part(SalesChannel), allow_none=True)
    composition = Part(Composition)
    createdOn = Time()
    updatedOn = Time()
    warehouses = fields.Dict(allow_none=True)
    nominalCodeStock = Words()
    nominalCodePurchases = Words()
    nominalCodeSales = Words()
    status = Words()
    version = Whole()


class Product(BrightpearlSource):
    """Products of all sales channels."""

    name = "brightpearl.product"
    schema = ProductSchema
    searchable = {
        "identity.sku": NameKind.SKU,
        "identity.barcode": NameKind.SKU,
        "identity.ean": NameKind.SKU,
        "identity.upc": NameKind.SKU,
        "identity.isbn": NameKind.SKU,
        "identity.mpn": NameKind.SKU,
    }
    feeds = {"updated": "updatedOn", "created": "createdOn"}
    events = ("product.created", "product.modified")
    path = "product-service/product"
    search = "product-service/product-search"
    id_column = "productId"
    required_fields = ("id",)
    field_notes = {
        "identity.sku": "at most 32 characters",
        "identity.ean": "at most 14 characters",
        "identity.upc": "at most 14 characters",
        "identity.isbn": "at most 14 characters",
        "stock.stockTracked": "whether stock is kept",
        "composition.bundleComponents": "only of a bundle",
        "warehouses": "by warehouse id: default location, reorder level and quantity",
        "status": "LIVE, and others",
        "version": "milliseconds since 1970",
    }

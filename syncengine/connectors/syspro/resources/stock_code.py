"""SYSPRO stock codes, read only: one COMFND on InvMaster for many. Facts: syspro-objects.md sections 4.1 and 10."""

from __future__ import annotations

from syncengine.connectors.base import NameKind
from syncengine.connectors.syspro.elements import Section, choices, code, flag, number, text
from syncengine.connectors.syspro.resources.source import SysproSource
from syncengine.connectors.syspro.schemas import schema_of

STOCK_CODE: Section = {
    "StockCode": code(30),
    "Description": text(50),
    "LongDesc": text(100),
    "AlternateKey1": text(20),
    "AlternateKey2": text(20),
    "StockUom": code(10),
    "AlternateUom": code(10),
    "OtherUom": code(10),
    "ConvFactAltUom": number(12, 6),
    "ConvMulDiv": flag("M", "D"),
    "Mass": number(18, 6),
    "Volume": number(18, 6),
    "Decimals": number(1, 0),
    "ProductClass": code(20),
    "TaxCode": code(3),
    "OtherTaxCode": code(3),
    "KitType": flag("N", "F", "K", "S"),
    "PartCategory": code(1),
    "WarehouseToUse": code(10),
    "StockOnHold": code(1),
    "Supplier": code(15),
    "ListPriceCode": code(10),
}
"""Columns of InvMaster (syspro-objects.md sections 4.1 and 10)."""


class StockCode(SysproSource):
    """Field names are InvMaster's columns; the key is the stock code."""

    name = "syspro.stock_code"
    schema = schema_of("StockCode", STOCK_CODE)
    searchable = {
        "StockCode": NameKind.SKU,
        "AlternateKey1": NameKind.SKU,
        "AlternateKey2": NameKind.SKU,
    }
    table = "InvMaster"
    key_field = "StockCode"
    elements = STOCK_CODE
    numeric_keys = {"StockCode": "numeric_stock_keys"}
    required_fields = ("StockCode",)
    field_notes = {
        **choices(STOCK_CODE),
        "StockUom": "unit of measure in which stock is kept",
        "ConvFactAltUom": "between AlternateUom and StockUom; ConvMulDiv says whether to multiply or divide",
        "WarehouseToUse": "default warehouse of orders",
    }

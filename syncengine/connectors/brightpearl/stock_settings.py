"""The settings of stock, of which most decide what Brightpearl's documents leave open (brightpearl.md section 14)."""

from __future__ import annotations

from dataclasses import dataclass

from syncengine.connectors.declared import choice, flag, number, text, whole_number

WHOLE, UNKNOWN = "nothing done", "unknown"
SETTINGS = (
    whole_number("corrections_per_call", 200, "stock corrections that one call takes", least=1),
    text("correction_reason", "the beginning of the reason of every stock correction; a token follows", "Synced level"),
    choice(
        "refused_corrections",
        (WHOLE, UNKNOWN),
        WHOLE,
        "what a refused call of several stock corrections means: `nothing done` (they are sent again in smaller calls), or "
        "`unknown` (each is looked up first)",
    ),
    number(
        "correction_settle_s",
        60.0,
        "how long a stock correction may still be carried out after its call was given up",
    ),
    text("cost_currency", "the currency of the cost of added stock, if the write names none: the account's own", ""),
    flag(
        "stock_by_location",
        True,
        "read stock by location; without, all of a warehouse counts as in its default location",
    ),
    text("location_section", "the field of a warehouse's stock that holds its locations", "locations"),
    flag("quarantine_in_stock", False, "goods in quarantine are part of inStock, so they are subtracted"),
    whole_number("sku_searches", 20, "SKUs that are searched one by one; for more of them, all products are listed"),
    number("products_s", 600.0, "how long a list of all products is used for SKUs"),
)


@dataclass(frozen=True, slots=True)
class StockSettings:
    """The values of `SETTINGS`, by their names. Durations in seconds."""

    corrections_per_call: int
    correction_reason: str
    refused_corrections: str
    correction_settle_s: float
    cost_currency: str
    stock_by_location: bool
    location_section: str
    quarantine_in_stock: bool
    sku_searches: int
    products_s: float

"""The settings of goods-out notes: most decide what Brightpearl's documents leave open (brightpearl.md section 14.4)."""

from __future__ import annotations

from dataclasses import dataclass

from syncengine.connectors.declared import choice, number, text, whole_number

SHIPPED, CREATED = "when shipped", "when created"
SETTINGS = (
    text("goods_out_type_code", "the type code of the movements of goods-out notes in searches", "GO"),
    choice(
        "goods_movements_appear",
        (SHIPPED, CREATED),
        SHIPPED,
        "when searches show the movements of a goods-out note: `when shipped`, or `when created` (shipped notes are then found "
        "by shippedOn)",
    ),
    whole_number(
        "goods_out_owner_id", 0, "the id of the contact who ships, as events of goods-out notes that we write say"
    ),
    number(
        "goods_out_settle_s",
        60.0,
        "how long a goods-out note may still be created or shipped after its call was given up",
    ),
    number("goods_out_undone_days", 14.0, "days for which a shipped goods-out note may still be undone by people"),
)


@dataclass(frozen=True, slots=True)
class GoodsOutSettings:
    """The values of `SETTINGS`, by their names."""

    goods_out_type_code: str
    goods_movements_appear: str
    goods_out_owner_id: int
    goods_out_settle_s: float
    goods_out_undone_days: float

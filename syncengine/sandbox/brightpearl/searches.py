"""The searches that exist, their columns in default order, and the values of an object (sections 11.1, 11.3, 12 to 14)."""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.sandbox.brightpearl.goods_out import STEPS, GoodsOutNote
from syncengine.sandbox.brightpearl.search import Column, Search, Values
from syncengine.sandbox.brightpearl.stock import Movement
from syncengine.sandbox.shop.model import Contact, Currency, Order, Product, Status

ORDER_TYPES = {"SO": 1, "PO": 2, "SC": 3, "PC": 4}
ORDER_TYPE_NAMES = {1: "SALES_ORDER", 2: "PURCHASE_ORDER", 3: "SALES_CREDIT", 4: "PURCHASE_CREDIT"}
STOCK_STATUS_UNSET = 13
STOCK_STATUS_NAMES = {STOCK_STATUS_UNSET: "Unset", 3: "All fulfilled"}
#: Only UNPAID, NOT_APPLICABLE and the number 5 are recorded (section 18); the others are invented.
PAYMENT_STATUSES = {"UNPAID": 1, "PARTIALLY_PAID": 2, "PAID": 3, "NOT_APPLICABLE": 5}
SHIPPING_STATUSES = {
    "NST": (1, "No stock tracked products on order"),
    "SNS": (2, "Stock not shipped"),
    "SPS": (3, "Stock part shipped"),
    "ASS": (4, "All stock shipped"),
}

ORDER = Search(
    (
        Column("orderId", "IDSET"),
        Column("orderTypeId", "IDSET", "orderTypeNames"),
        Column("contactId", "INTEGER"),
        Column("orderStatusId", "INTEGER", "orderStatusNames"),
        Column("orderStockStatusId", "INTEGER", "orderStockStatusNames"),
        Column("createdOn", "PERIOD"),
        Column("createdById", "INTEGER"),
        Column("customerRef", "STRING"),
        Column("orderPaymentStatusId", "INTEGER", "orderPaymentStatusNames"),
        Column("updatedOn", "PERIOD"),
        Column("parentOrderId", "IDSET"),
        Column("orderShippingStatusId", "INTEGER", "orderShippingStatusNames"),
        Column("externalRef", "STRING"),
        Column("installedIntegrationInstanceId", "INTEGER"),
        Column("warehouseId", "IDSET"),
        Column("staffOwnerContactId", "INTEGER"),
        Column("taxDate", "PERIOD"),
        Column("departmentId", "INTEGER"),
        Column("deliveryDate", "PERIOD"),
    ),
    (
        Column("placedOn", "PERIOD"),
        Column("shippingMethodId", "INTEGER"),
        Column("projectId", "INTEGER"),
        Column("leadSourceId", "INTEGER"),
    ),
)
SALES_ORDER = Search(
    (
        Column("salesOrderId", "IDSET"),
        Column("customerId", "INTEGER"),
        Column("orderStatusId", "INTEGER", "orderStatusNames"),
        Column("orderStockStatus", "STRING"),
        Column("createdOn", "PERIOD"),
        Column("createdById", "INTEGER"),
        Column("customerRef", "STRING"),
        Column("orderPaymentStatus", "STRING"),
        Column("updatedOn", "PERIOD"),
        Column("orderShippingStatus", "STRING"),
        Column("externalRef", "STRING"),
        Column("installedIntegrationInstanceId", "INTEGER"),
        Column("warehouseId", "IDSET"),
        Column("staffOwnerId", "INTEGER"),
        Column("taxDate", "PERIOD"),
        Column("channelId", "INTEGER"),
        Column("deliveryDate", "PERIOD"),
    ),
    (Column("isHistoricalOrder", "BOOLEAN"), Column("customerRefs", "STRING_SET")),
)
CONTACT = Search(
    (
        Column("contactId", "IDSET"),
        Column("primaryEmail", "SEARCH_STRING"),
        Column("secondaryEmail", "SEARCH_STRING"),
        Column("tertiaryEmail", "SEARCH_STRING"),
        Column("firstName", "SEARCH_STRING"),
        Column("lastName", "SEARCH_STRING"),
        Column("isSupplier", "BOOLEAN", sortable=False),
        Column("companyName", "SEARCH_STRING"),
        Column("isStaff", "BOOLEAN", sortable=False),
        Column("isCustomer", "BOOLEAN", sortable=False),
        Column("createdOn", "PERIOD"),
        Column("updatedOn", "PERIOD"),
        Column("lastContactedOn", "PERIOD"),
        Column("lastOrderedOn", "PERIOD"),
        Column("nominalCode", "INTEGER"),
        Column("isPrimary", "BOOLEAN"),
        Column("pri", "STRING", sortable=False),
        Column("sec", "STRING", sortable=False),
        Column("mob", "STRING", sortable=False),
        Column("exactCompanyName", "STRING"),
        Column("title", "STRING"),
    ),
    (  # sent by clients that run against live accounts; types and meaning are assumed
        Column("allEmail", "SEARCH_STRING"),
        Column("allPhone", "SEARCH_STRING"),
        Column("tagIds", "IDSET"),
        Column("companyIds", "IDSET"),
    ),
)
PRODUCT = Search(
    (
        Column("productId", "IDSET", "productCategoryMembership"),
        Column("productName", "SEARCH_STRING"),
        Column("SKU", "STRING"),
        Column("barcode", "STRING"),
        Column("EAN", "STRING"),
        Column("UPC", "STRING"),
        Column("ISBN", "STRING"),
        Column("MPN", "STRING"),
        Column("stockTracked", "BOOLEAN"),
        Column("salesChannelName", "STRING", filterable=False),
        Column("createdOn", "PERIOD"),
        Column("updatedOn", "PERIOD"),
        Column("brightpearlCategoryCode", "IDSET", sortable=False),
        Column("productGroupId", "INTEGER"),
        Column("brandId", "IDSET"),
        Column("productTypeId", "IDSET"),
        Column("productStatus", "STRING"),
        Column("primarySupplierId", "IDSET"),
    )
)
#: Field names are not confirmed (section 14.7): id, name, code, symbol, exchangeRate, isDefault.
CURRENCY = Search(
    (
        Column("id", "IDSET"),
        Column("name", "STRING"),
        Column("code", "STRING"),
        Column("symbol", "STRING"),
        Column("exchangeRate", "STRING"),
        Column("isDefault", "BOOLEAN"),
    )
)
GOODS_MOVEMENT = Search(
    (
        Column("goodsMovementId", "IDSET"),
        Column("productId", "INTEGER"),
        Column("salesOrderRowId", "IDSET"),
        Column("purchaseOrderRowId", "IDSET"),
        Column("quantity", "INTEGER"),
        Column("destinationLocationId", "INTEGER"),
        Column("warehouseId", "INTEGER"),
        Column("goodsNoteId", "IDSET"),
        Column("productValue", "STRING"),
        Column("currencyCode", "STRING"),
        Column("orderId", "INTEGER"),
        Column("isCleared", "BOOLEAN"),
        Column("isQuarantine", "BOOLEAN"),
        Column("batchId", "INTEGER"),
        Column("goodsNoteTypeCode", "STRING"),
        Column("updatedOn", "PERIOD"),
    )
)
#: What follows createdBy is in another order perhaps (section 14.4); there is no updatedOn.
GOODS_OUT = Search(
    (
        Column("goodsOutNoteId", "INTEGER"),
        Column("printed", "BOOLEAN"),
        Column("picked", "BOOLEAN"),
        Column("packed", "BOOLEAN"),
        Column("shipped", "BOOLEAN"),
        Column("shippedOn", "PERIOD"),
        Column("orderId", "INTEGER"),
        Column("shippingMethodId", "IDSET"),
        Column("warehouseId", "INTEGER"),
        Column("priority", "BOOLEAN"),
        Column("createdOn", "PERIOD"),
        Column("releaseDate", "PERIOD"),
        Column("createdBy", "INTEGER"),
        Column("labelUri", "STRING"),
        Column("transfer", "BOOLEAN"),
    )
)
SEARCHES = {
    "goods-note/goods-out": GOODS_OUT,
    "goods-movement": GOODS_MOVEMENT,
    "order": ORDER,
    "sales-order": SALES_ORDER,
    "contact": CONTACT,
    "product": PRODUCT,
    "currency": CURRENCY,
}


def order_values(order: Order) -> Values:
    """An order's values, in the order of `ORDER.everything`."""
    return (
        order.id,
        ORDER_TYPES[order.type_code],
        order.customer.contact_id,
        order.status_id,
        STOCK_STATUS_UNSET,
        order.created_on,
        order.created_by,
        order.reference,
        PAYMENT_STATUSES[order.payment_status],
        order.updated_on,
        order.parent_id,
        SHIPPING_STATUSES[order.shipping_status][0],
        order.external_ref or None,
        order.instance_id,
        order.warehouse_id,
        order.staff_owner_id,
        order.tax_date,
        order.team_id,
        order.delivery_date,
        order.placed_on,
        order.shipping_method_id,
        order.project_id,
        order.lead_source_id,
    )


def sales_order_values(order: Order) -> Values:
    """A sales order's values, in the order of `SALES_ORDER.everything`."""
    return (
        order.id,
        order.customer.contact_id,
        order.status_id,
        order.stock_status,
        order.created_on,
        order.created_by,
        order.reference,
        order.payment_status,
        order.updated_on,
        order.shipping_status,
        order.external_ref or None,
        order.instance_id,
        order.warehouse_id,
        order.staff_owner_id,
        order.tax_date,
        order.channel_id,
        order.delivery_date,
        False,
        order.reference,
    )


def contact_values(contact: Contact) -> Values:
    """A contact's values, in the order of `CONTACT.everything`; when it last ordered is not kept."""
    return (
        contact.id,
        contact.email,
        "",
        "",
        contact.first_name,
        contact.last_name,
        False,
        contact.company,
        False,
        True,
        contact.created_on,
        contact.updated_on or contact.created_on,  # as recorded of contacts that were never edited
        None,
        None,
        0,
        True,
        contact.phone,
        "",
        contact.mobile,
        contact.company,
        None,
        contact.email,
        f"{contact.phone} {contact.mobile}",
        tuple(int(tag) for tag in contact.tags.split(",") if tag.strip().isdecimal()),
        0,
    )


def product_values(product: Product) -> Values:
    """A product's values, in the order of `PRODUCT.columns`."""
    return (
        product.id,
        product.name,
        product.sku,
        product.barcode,
        product.barcode or None,
        None,
        None,
        None,
        product.stock_tracked,
        "Brightpearl",
        product.created_on,
        product.updated_on,
        product.category_id,
        None,
        product.brand_id,
        1,
        "LIVE",
        None,
    )


def currency_values(currency: Currency, base: str) -> Values:
    """A currency's values, in the order of `CURRENCY.columns`."""
    return (
        currency.id,
        currency.name,
        currency.code,
        currency.symbol,
        str(currency.rate),
        currency.code == base,
    )


def goods_movement_values(movement: Movement, base: str) -> Values:
    """A movement's values, in the order of `GOODS_MOVEMENT.columns`. What `isCleared` means is not known: never set."""
    return (
        movement.id,
        movement.place.product_id,
        movement.sales_row_id or None,
        movement.purchase_row_id or None,
        movement.quantity,
        movement.place.location_id,
        movement.place.warehouse_id,
        movement.note.id,
        f"{movement.value:.4f}",
        base,
        movement.note.order_id or None,
        False,
        movement.is_quarantine,
        movement.batch_id,
        str(movement.note.type),
        movement.updated_on,
    )


def goods_out_values(note: GoodsOutNote) -> Values:
    """A goods-out note's values, in the order of `GOODS_OUT.columns`."""
    return (
        note.id,
        *(note.last(code) is not None for code in STEPS),
        note.shipped_on is not None,
        note.shipped_on,
        note.order_id,
        note.shipping.method_id,
        note.warehouse_id,
        note.priority,
        note.created_on,
        note.release_on,
        note.created_by,
        note.label_uri or None,
        note.is_transfer,
    )


def reference_names(
    statuses: Mapping[int, Status], products: Mapping[int, Product], block: str, value: object
) -> object:
    """The entry of a `reference` block for one value of a page; None if it has none."""
    if not isinstance(value, int):
        return None
    if block == "orderStatusNames":
        return statuses[value].name if value in statuses else None
    if block == "productCategoryMembership":
        return [products[value].category_id] if value in products else None
    names: dict[str, dict[int, str]] = {
        "orderTypeNames": ORDER_TYPE_NAMES,
        "orderStockStatusNames": STOCK_STATUS_NAMES,
        "orderPaymentStatusNames": {number: name for name, number in PAYMENT_STATUSES.items()},
        "orderShippingStatusNames": dict(SHIPPING_STATUSES.values()),
    }
    return names.get(block, {}).get(value)

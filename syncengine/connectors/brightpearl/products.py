"""Which products have a SKU, and what stock needs to know of them. Facts: brightpearl.md section 13."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from syncengine import clock
from syncengine.connectors.brightpearl import times
from syncengine.errors import Transient

if TYPE_CHECKING:
    from syncengine.connectors.brightpearl.gateway import Found, Gateway


SEARCH, READ = "product-service/product-search", "product-service/product"


@dataclass(frozen=True, slots=True)
class Product:
    """What a product says about stock. default_locations: where it is kept, by warehouse."""

    id: int
    sku: str
    is_tracked: bool
    is_bundle: bool
    default_locations: Mapping[int, int]


class Products:
    """The account's products by SKU. May be shared by threads.

    A search takes one SKU. Where more are wanted than `sku_searches`, all products are listed instead (500 a call), and the
    list is used for `products_s` seconds; a SKU that it does not have is then searched by itself, if there are few of those.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lock = threading.Lock()
        self._read: dict[int, tuple[datetime, Product]] = {}
        self._listed: dict[str, list[int]] = {}
        self._listed_at: datetime | None = None

    def ids(self, skus: Collection[str]) -> dict[str, list[int]]:
        """The ids of the products that have exactly this SKU, ascending; a SKU that no product has is absent.

        Raises as `Gateway.call`; Transient if the search does not give what it was asked for.
        """
        wanted, most = set(skus) - {""}, self._gateway.account.stock.sku_searches
        found: dict[str, list[int]] = {}
        if len(wanted) > most:
            found = {sku: ids for sku, ids in self._list().items() if sku in wanted}
        missing = sorted(wanted - set(found))
        if len(missing) <= most:
            found |= {sku: ids for sku in missing if (ids := self._search(sku))}
        return found

    def read(self, ids: Sequence[int]) -> dict[int, Product]:
        """Products by id, `product_per_read` a call; one that does not exist is absent. Raises as `Gateway.objects`."""
        most = self._gateway.account.most_per_read["product"]
        began = clock.now()
        found = {
            int(doc["id"]): _product(doc) for doc in self._gateway.objects(READ, [str(key) for key in ids], most=most)
        }
        with self._lock:
            self._read |= {key: (began, product) for key, product in found.items()}
        return found

    def known(self, product_id: int) -> Product | None:
        """A product that was read within the last `products_s` seconds; None if it was not. Makes no call."""
        with self._lock:
            read = self._read.get(product_id)
        return read[1] if read is not None and clock.now() - read[0] <= self._keeps else None

    @property
    def _keeps(self) -> timedelta:
        return timedelta(seconds=self._gateway.account.stock.products_s)

    def _list(self) -> Mapping[str, list[int]]:
        with self._lock:
            if self._listed_at is None or clock.now() - self._listed_at > self._keeps:
                began = clock.now()
                self._listed, self._listed_at = self._all(), began
            return self._listed

    def _all(self) -> dict[str, list[int]]:
        """All products by SKU. Sorted by id, so that a new one comes last and moves no other to another page."""
        pages = list(self._pages({}))
        if pages[0].available > sum(len(page.rows) for page in pages):
            raise Transient(f"{SEARCH}: products were removed while they were listed")
        return _by_sku(pages)

    def _search(self, sku: str) -> list[int]:
        return _by_sku(self._pages({"SKU": sku})).get(sku, [])

    def _pages(self, filters: Mapping[str, str]) -> Iterator[Found]:
        first, is_more = 1, True
        while is_more:
            page = self._gateway.search(
                SEARCH,
                columns=("productId", "SKU"),
                sort=("productId.ASC",),
                page_size=self._gateway.account.page_size,
                filters=filters,
                first_result=first,
            )
            if page.is_more and not page.rows:
                raise Transient(f"{SEARCH}: the page is empty, but the answer says that there are more")
            yield page
            first, is_more = first + len(page.rows), page.is_more


def _by_sku(pages: Collection[Found] | Iterator[Found]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for page in pages:
        for row in page.rows:
            if row.get("SKU"):
                found.setdefault(str(row["SKU"]), []).append(int(row["productId"]))
    return {sku: sorted(set(ids)) for sku, ids in found.items()}


def _product(doc: Mapping[str, Any]) -> Product:
    warehouses = doc.get("warehouses") or {}
    return Product(
        int(doc["id"]),
        str(times.at(doc, "identity.sku") or ""),
        bool(times.at(doc, "stock.stockTracked")),
        bool(times.at(doc, "composition.bundle")),
        {
            int(key): int(found["defaultLocationId"])
            for key, found in warehouses.items()
            if isinstance(found, Mapping) and found.get("defaultLocationId")
        },
    )

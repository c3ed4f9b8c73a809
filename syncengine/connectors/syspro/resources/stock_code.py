"""SYSPRO stock codes, read only: one COMFND on InvMaster for many. Facts: syspro-objects.md sections 4.1 and 10."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from syncengine.connectors.base import Source
from syncengine.connectors.syspro.documents import Filler, canonical_section
from syncengine.connectors.syspro.elements import STOCK_CODE
from syncengine.connectors.syspro.find import rows_where
from syncengine.connectors.syspro.gateways import Gateway
from syncengine.connectors.syspro.schemas import StockCodeSchema
from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import Doc


class StockCode(Source):
    """Field names are InvMaster's columns; the key is the stock code."""

    name: ClassVar[str] = "syspro.stock_code"
    schema = StockCodeSchema

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self._gateway, self._settings = gateway, settings
        self.most_per_read = settings.most_per_read

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Whole rows by stock code; a code that SYSPRO does not have is absent."""
        filler = Filler(self._settings)
        stored = {key: filler.key("StockCode", key.strip()) for key in keys}
        rows = rows_where(
            self._gateway,
            "InvMaster",
            "StockCode",
            list(stored.values()),
            [name for name in STOCK_CODE if name not in self._settings.unread_columns],
            at_once=self._settings.find_at_once,
        )
        by_code = {text_of(row, "StockCode"): row for row in rows}
        return {key: by_code[code] for key, code in stored.items() if code in by_code}

    def key_of(self, doc: Doc) -> str:
        """The stock code."""
        return Filler(self._settings).key("StockCode", text_of(doc, "StockCode"))

    def canonical(self, doc: Doc) -> Doc:
        """Widths, decimals, case and characters of InvMaster."""
        return canonical_section(Filler(self._settings), "InvMaster", STOCK_CODE, doc)

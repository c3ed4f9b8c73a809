"""What a site decides about sales orders, with its defaults. Facts: syspro-transport.md sections 6, 9.2, 9.3 and 9.6."""

from __future__ import annotations

from dataclasses import dataclass

from syncengine.connectors.declared import choice, flag, text, whole_number
from syncengine.connectors.syspro.settings import SettingsReader

ORDER_SOURCE_FIELDS = ("OrderType", "Salesperson", "Branch", "Area", "AlternateReference", "SpecialInstrs")
"""Header elements of SORTOI that may carry the sales channel. The column made for it, SorMaster.SalesOrderSource, has no
element in SORTOI, which would drop it silently. The default is OrderType: a list of the site's own, 2 characters, that
decides nothing else, while Salesperson, Branch and Area reach into prices, tax and the ledger and AlternateReference must
fit a key type of the site (section 9.2). Empty: it is left out."""

SETTINGS = (
    choice(
        "order_source_field",
        ("", *ORDER_SOURCE_FIELDS),
        "OrderType",
        "e.net: the header element of SORTOI that carries OrderSourceCode; empty: it is not sent",
    ),
    whole_number("most_per_write", 1, "orders that one SORTOI writes", least=1),
    flag("numeric_order_keys", True, "the company numbers its orders: keys are stored with leading zeros"),
    choice("cancel_by", ("SORTOX", "SORTOI"), "SORTOX", "the business object that cancels an order"),
    text("cancel_reason", "the site's code of the reason for a cancelled order"),
    text("line_cancel_code", "the site's code of the reason for a cancelled line"),
    text("blank_marker", "what SORTOI takes for an address line that becomes empty", "{blank}"),
)


@dataclass(frozen=True, slots=True)
class OrderOptions:
    """The endpoint's settings of sales orders.

    source_element: the element of SORTOI's header that carries a document's `OrderSourceCode`; empty if it is left out.
    most_per_write: orders that one SORTOI writes. has_numeric_keys: the company numbers its orders.
    cancel_by: SORTOX or SORTOI. cancel_reason, line_cancel_code: codes of the site, empty for none.
    blank_marker: what SORTOI takes for an address line that is to become empty.
    """

    source_element: str
    most_per_write: int
    has_numeric_keys: bool
    cancel_by: str
    cancel_reason: str
    line_cancel_code: str
    blank_marker: str

    @classmethod
    def of(cls, given: SettingsReader) -> OrderOptions:
        """Raises Misconfigured. The gateway `harmony` takes the source code under its own name."""
        source_field = given.choice("order_source_field")
        is_harmony = given.text("gateway").lower() == "harmony"
        return cls(
            source_element="OrderSourceCode" if is_harmony else source_field,
            most_per_write=given.whole_number("most_per_write"),
            has_numeric_keys=given.flag("numeric_order_keys"),
            cancel_by=given.choice("cancel_by"),
            cancel_reason=given.text("cancel_reason"),
            line_cancel_code=given.text("line_cancel_code"),
            blank_marker=given.text("blank_marker"),
        )

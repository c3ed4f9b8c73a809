"""Typed documents from the recorded payloads, worked out by hand from reference/brightpearl/."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connectors.base import Endpoint
from syncengine.connectors.brightpearl.gateway import Gateway
from syncengine.connectors.brightpearl.resources import RESOURCES
from syncengine.connectors.brightpearl.resources.contact import Contact
from syncengine.connectors.brightpearl.resources.postal_address import PostalAddress
from syncengine.connectors.brightpearl.resources.product import Product
from syncengine.connectors.brightpearl.resources.sales_order import SalesOrder
from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.settings import read
from syncengine.errors import Rejected
from tests.unit.brightpearl.recorded import element


class NoCredentials:
    def api_domain(self) -> None:
        """None needed."""

    def put_on(self, request: Any) -> None:
        """None needed."""

    def renew(self, refused: Any) -> None:
        """None needed."""


def resource(kind: type[BrightpearlSource]) -> BrightpearlSource:
    settings = {"url": "https://host", "account": "acme", "app_ref": "a", "dev_ref": "d"}
    return kind(Gateway(read(Endpoint(1, "shop", "brightpearl", settings), RESOURCES), NoCredentials(), None))


def test_an_orders_amounts_are_exact_and_its_times_in_utc() -> None:
    order = resource(SalesOrder).load(element("order_get"))
    assert order["totalValue"]["total"] == Decimal("75.06")
    assert order["currency"]["exchangeRate"] == Decimal("1.000000")
    assert order["placedOn"] == datetime(2024, 3, 4, 14, 15, tzinfo=UTC)
    assert order["placedOn"].tzinfo is UTC
    assert order["delivery"]["deliveryDate"] == datetime(2024, 3, 8, 5, tzinfo=UTC)
    assert order["invoices"][0]["dueDate"] == datetime(2024, 4, 3, 5, tzinfo=UTC)
    assert order["parties"]["billing"]["contactId"] == 310


def test_rows_become_a_list_that_keeps_every_field_and_adds_the_row_id() -> None:
    rows = resource(SalesOrder).load(element("order_get"))["orderRows"]
    assert [(row["id"], row["productSku"], row["quantity"]["magnitude"]) for row in rows] == [
        ("8101", "TOTE-001", Decimal("2.0000")),
        ("8102", "MUG-002", Decimal("1.0000")),
    ]
    assert rows[0]["rowValue"]["rowNet"] == {"currencyCode": "USD", "value": Decimal("50.0000")}
    assert rows[1]["rowValue"]["rowTax"]["value"] == Decimal("1.56")
    assert rows[0]["clonedFromId"] == 0


def test_rows_are_in_numeric_order_of_sequence_then_id() -> None:
    order = element("order_get")
    row = order["orderRows"]["8101"]
    order["orderRows"] = {
        str(number): {**row, "orderRowSequence": sequence}
        for number, sequence in ((10, "20"), (9, "20"), (8, "100"), (7, "3"))
    }
    assert [row["id"] for row in resource(SalesOrder).load(order)["orderRows"]] == ["7", "9", "10", "8"]


def test_an_order_without_rows_has_an_empty_list() -> None:
    order = element("order_get")
    order["orderRows"] = {}
    assert resource(SalesOrder).load(order)["orderRows"] == []


def test_the_raw_document_is_left_alone_and_unknown_fields_are_kept() -> None:
    order = element("order_get")
    order["brandNew"] = {"deep": "1.5"}
    order["orderRows"]["8101"]["alsoNew"] = "x"
    typed = resource(SalesOrder).load(order)
    assert typed["brandNew"] == {"deep": "1.5"}
    assert typed["orderRows"][0]["alsoNew"] == "x"
    assert isinstance(order["orderRows"], dict)


def test_a_bad_amount_in_a_row_is_named_by_row_id_with_its_value() -> None:
    order = element("order_get")
    order["orderRows"]["8102"]["quantity"]["magnitude"] = "three"
    with pytest.raises(Rejected) as raised:
        resource(SalesOrder).load(order)
    assert (raised.value.field, raised.value.value) == ("orderRows.8102.quantity.magnitude", "three")
    assert "brightpearl.sales_order" in raised.value.reason


@pytest.mark.parametrize(
    ("field", "value"),
    [("placedOn", "2024-03-04T09:15:00"), ("createdOn", "yesterday"), ("warehouseId", 1.5), ("orderRows", [1])],
)
def test_what_cannot_be_read_is_refused_with_field_and_value(field: str, value: Any) -> None:
    with pytest.raises(Rejected) as raised:
        resource(SalesOrder).load({**element("order_get"), field: value})
    assert (raised.value.field.split(".")[0], raised.value.value) == (field, value)


def test_an_order_that_was_never_edited_has_its_creation_as_version() -> None:
    orders, order = resource(SalesOrder), element("order_get")
    assert orders.version(order) == "2024-03-04T14:20:31.000Z"
    assert orders.touched_at(order) == datetime(2024, 3, 4, 14, 20, 31, tzinfo=UTC)
    del order["updatedOn"]
    assert orders.version(order) == "2024-03-04T14:15:02.000Z"
    assert orders.created_at(order) == orders.touched_at(order) == datetime(2024, 3, 4, 14, 15, 2, tzinfo=UTC)
    del order["createdOn"]
    assert (orders.version(order), orders.created_at(order)) == ("", None)


def test_a_time_that_cannot_be_read_has_no_version_and_does_not_stop_others() -> None:
    assert resource(SalesOrder).version({"updatedOn": "soon", "createdOn": None}) == ""


def test_a_contact_has_exact_credit_and_utc_times() -> None:
    contacts, contact = resource(Contact), element("contact_get")
    typed = contacts.load(contact)
    assert typed["financialDetails"]["creditLimit"] == Decimal(0)
    assert typed["postAddressIds"] == {"DEF": 9001, "BIL": 9001, "DEL": 9002}
    assert typed["createdOn"] == datetime(2024, 1, 10, 13, tzinfo=UTC)
    assert contacts.key_of(contact) == "310"
    assert contacts.version(contact) == "2024-02-01T17:30:00.000Z"


def test_a_product_has_exact_weights() -> None:
    typed = resource(Product).load(element("product_get"))
    assert typed["stock"]["weight"]["magnitude"] == Decimal("0.35")
    assert typed["identity"]["sku"] == "TOTE-001"
    assert typed["version"] == 1708463400000


def test_an_address_keeps_all_its_lines() -> None:
    addresses, address = resource(PostalAddress), element("postal_address_get")
    assert addresses.load(address) == address
    assert addresses.key_of(address) == "9001"
    assert not addresses.feeds

"""Answers about stock as the documents have them, and as they should not be: what is made of each."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
import responses

from syncengine.connectors.brightpearl.resources.stock_level import StockLevel
from syncengine.connectors.services import Services
from syncengine.errors import Rejected, Transient
from tests.contract.brightpearl.test_exchanges import URL, connector, sent
from tests.contract.brightpearl.test_stock_level import operation
from tests.unit.brightpearl.recorded import payload

WAREHOUSE = f"{URL}/warehouse-service/warehouse/2"
MOVEMENTS = f"{URL}/warehouse-service/goods-movement-search"
SINCE = datetime(2024, 3, 10, tzinfo=UTC)
ROW = {
    "goodsMovementId": 9501,
    "productId": 2001,
    "warehouseId": 2,
    "destinationLocationId": 2,
    "quantity": 5,
    "goodsNoteId": 7401,
    "goodsNoteTypeCode": "SC",
    "orderId": None,
    "isQuarantine": False,
    "updatedOn": "2024-03-10T18:00:00.000-05:00",
}


def stock(services: Services, **settings: Any) -> StockLevel:
    found = connector(services, **settings).resources["brightpearl.stock_level"]
    assert isinstance(found, StockLevel)
    return found


def available(warehouse: Any, query: str = "?includeOptional=breakDownByLocation") -> None:
    url = f"{URL}/warehouse-service/product-availability/2001{query}"
    responses.get(url, json={"response": {"2001": {"total": {}, "warehouses": {"2": warehouse}}}})


def found_movements(*rows: dict[str, Any]) -> None:
    columns = list(ROW)
    body = {
        "response": {
            "results": [[row[name] for name in columns] for row in rows],
            "metaData": {
                "morePagesAvailable": False,
                "resultsAvailable": len(rows),
                "resultsReturned": len(rows),
                "columns": [{"name": name} for name in columns],
            },
        },
        "reference": {},
    }
    responses.get(MOVEMENTS, json=body)


@responses.activate
def test_the_levels_of_the_example_are_read_in_one_call(local: Services) -> None:
    url = f"{URL}/warehouse-service/product-availability/2001-2002"
    responses.get(url, json=payload("product_availability_get"), headers={"Date": "Sun, 10 Mar 2024 12:00:00 GMT"})
    level = stock(local, stock_by_location=False)
    found = {key: level.load(doc) for key, doc in level.read(["2002", "2001"]).items()}
    assert {
        key: [(row["id"], row["inStock"], row["onHand"]) for row in doc["warehouses"]] for key, doc in found.items()
    } == {
        "2001": [("2", 40, 38), ("3", 8, 8)],
        "2002": [("2", 15, 14)],
    }
    assert {doc["readBy"] for doc in found.values()} == {datetime(2024, 3, 10, 12, 0, 1, tzinfo=UTC)}
    assert all(doc["readFrom"] <= doc["readBy"] for doc in found.values())
    assert len(responses.calls) == 1


@responses.activate
@pytest.mark.parametrize(
    "section",
    [
        {"2": {"inStock": 4}, "121": {"inStock": 9}},
        [{"locationId": 2, "inStock": 4}, {"locationId": 121, "inStock": 9}],
        [{"id": 2, "inStock": 4}, {"id": 121, "inStock": 9}],
    ],
)
def test_locations_are_read_under_the_name_and_in_the_form_that_they_have(local: Services, section: Any) -> None:
    available({"inStock": 13, "byLocation": section})
    responses.get(f"{WAREHOUSE}/location/quarantine", json={"response": 121})
    level = stock(local, location_section="byLocation", quarantine_in_stock=True)
    row = level.load(level.read(["2001"])["2001"])["warehouses"][0]
    assert (row["inStock"], [(each["id"], each["inStock"]) for each in row["locations"]]) == (4, [("2", 4)])
    assert "byLocation" not in row


@responses.activate
@pytest.mark.parametrize(
    "warehouse",
    [
        {"inStock": "many"},
        {"inStock": 4.5},
        "none",
        {"inStock": 4, "locations": {"2": "none"}},
        {"inStock": None, "locations": {"121": {"inStock": 2}}},
        {"inStock": 4, "locations": {"121": {}}},
    ],
)
def test_a_level_that_cannot_be_read_fails_alone(local: Services, warehouse: Any) -> None:
    available(warehouse)
    responses.get(f"{WAREHOUSE}/location/quarantine", json={"response": 121})
    level = stock(local, quarantine_in_stock=True)
    with pytest.raises(Rejected, match="warehouses"):
        level.load(level.read(["2001"])["2001"])


@responses.activate
def test_a_warehouse_without_quarantine_keeps_all_its_locations(local: Services) -> None:
    available({"inStock": 4, "locations": {"2": {"inStock": 4}}})
    missing = {"errors": [{"code": "CMNC-404", "message": "No Locations Found"}]}
    responses.get(f"{WAREHOUSE}/location/quarantine", json=missing, status=404)
    row = stock(local).read(["2001"])["2001"]["warehouses"]["2"]
    assert row["locations"] == {"2": {"inStock": 4}}


@responses.activate
def test_the_corrections_of_the_example_are_found_with_their_reason(local: Services) -> None:
    found_movements(ROW, {**ROW, "goodsMovementId": 9502, "productId": 2002, "goodsNoteId": 7402})
    body = {"response": [{"goodsNoteId": 7401, "warehouseId": 2, "reason": "Cycle count 2024-03-10", "goodsMoved": []}]}
    responses.get(f"{WAREHOUSE}/stock-correction/7401", json=body)
    posted = stock(local).corrections_since(SINCE, ["2001"])
    assert [(each.note_id, each.product_id, each.warehouse_id, each.quantity, each.reason) for each in posted] == [
        (7401, 2001, 2, 5, "Cycle count 2024-03-10")
    ]
    assert posted[0].updated_on == datetime(2024, 3, 10, 23, 0, tzinfo=UTC)
    query = sent(0).url.partition("?")[2]
    assert "updatedOn=2024-03-09T23:59:59.999Z/&goodsNoteTypeCode=SC&" in query
    assert "sort=goodsMovementId.ASC" in query


@responses.activate
@pytest.mark.parametrize("wrong", [{"updatedOn": None}, {"quantity": "five"}, {"productId": None}])
def test_a_movement_that_cannot_be_read_stops_the_search_for_corrections(
    local: Services, wrong: dict[str, Any]
) -> None:
    found_movements({**ROW, **wrong})
    with pytest.raises(Transient, match="9501"):
        stock(local).corrections_since(SINCE, ["2001"])


@responses.activate
def test_corrections_in_another_form_are_not_taken_for_none(local: Services) -> None:
    found_movements(ROW)
    responses.get(f"{WAREHOUSE}/stock-correction/7401", json={"response": {"7401": {}}})
    with pytest.raises(Transient, match="not a list of corrections"):
        stock(local).corrections_since(SINCE, ["2001"])


@responses.activate
def test_a_movement_without_a_product_stops_no_feed(local: Services, caplog: pytest.LogCaptureFixture) -> None:
    found_movements({**ROW, "productId": None}, {**ROW, "goodsMovementId": 9502})
    with caplog.at_level(logging.ERROR):
        pages = list(stock(local).changes("moved", {}))
    assert [ref.key for page in pages for ref in page.refs] == ["2001"]
    assert "they have no productId" in caplog.text


@responses.activate
def test_what_is_posted_has_the_form_of_the_example(local: Services) -> None:

    responses.post(f"{WAREHOUSE}/stock-correction", json=payload("create_response"))
    doc = {"productId": 2001, "warehouses": [{"id": "2", "inStock": 35, "locations": [{"id": "2", "inStock": 35}]}]}
    added = stock(local, cost_currency="USD").write([operation(doc, 40, mark="se-1"), operation(doc, 33, mark="se-2")])
    assert [outcome.result.value for outcome in added] == ["done", "done"]
    assert json.loads(sent().body) == {
        "corrections": [
            {
                "quantity": 5,
                "productId": 2001,
                "reason": "Synced level [se-1]",
                "locationId": 2,
                "cost": {"currency": "USD", "value": 9.5},
            },
            {"quantity": -2, "productId": 2001, "reason": "Synced level [se-2]", "locationId": 2},
        ]
    }


@responses.activate
def test_reservations_are_read_by_order_id(local: Services) -> None:
    body = {"response": [{"orderId": 62, "warehouseId": 2, "orderRows": {"68": {"productId": 2001, "quantity": 3}}}]}
    responses.get(f"{URL}/warehouse-service/order/62-63/reservation", json=body)
    reservations = connector(local).resources["brightpearl.reservation"]
    found = reservations.read(["62", "63"])
    assert list(found) == ["62"]
    assert reservations.load(found["62"])["orderRows"] == [{"id": "68", "productId": 2001, "quantity": 3}]

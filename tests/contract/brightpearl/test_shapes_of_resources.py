"""What a resource class declares is all it takes: goods-out notes, which differ from orders in every respect.


Their answer is keyed by note id, a note does not hold its id, and their search has no `updatedOn` (reference section 14.4).
"""

# ruff: noqa: N815 - the names are Brightpearl's
from __future__ import annotations

from typing import Any

import pytest
import responses

from syncengine.connectors.brightpearl.auth import credentials
from syncengine.connectors.brightpearl.gateway import Gateway, Shape
from syncengine.connectors.brightpearl.resources.source import BrightpearlSource
from syncengine.connectors.brightpearl.schemas import Document, Whole
from syncengine.connectors.brightpearl.settings import read
from syncengine.connectors.services import Services
from syncengine.errors import Misconfigured, Transient
from tests.contract.brightpearl.conftest import endpoint_in
from tests.contract.brightpearl.test_exchanges import APP, TOKENS, URL, connector
from tests.unit.brightpearl.recorded import payload

NOTES = f"{URL}/warehouse-service/order/*/goods-note/goods-out"
ORDERS = f"{URL}/order-service/order"


class GoodsOutNoteSchema(Document):
    id = Whole(required=True)
    orderId = Whole()


class GoodsOutNote(BrightpearlSource):
    """Goods-out notes by what they declare, with no line of code of their own."""

    name = "brightpearl.goods_out_note"
    schema = GoodsOutNoteSchema
    path = "warehouse-service/order/*/goods-note/goods-out"
    answer = Shape.BY_ID
    most_per_read = 500
    search = "warehouse-service/goods-note/goods-out-search"
    id_column = "goodsOutNoteId"
    feeds = {"created": "createdOn", "shipped": "shippedOn"}
    touched = {"shippedOn": "status.shippedOn", "createdOn": "createdOn"}


def notes(services: Services, **settings: Any) -> GoodsOutNote:
    endpoint = endpoint_in(services.store, services.vault, {**APP, **settings}, TOKENS)
    account = read(endpoint, [GoodsOutNote])
    return GoodsOutNote(Gateway(account, credentials(endpoint, account, services), None))


@responses.activate
def test_notes_are_read_from_an_answer_that_is_keyed_by_id_and_get_their_id(local: Services) -> None:
    responses.get(f"{NOTES}/7001-7002", json=payload("goods_out_note_get"))
    resource = notes(local)

    found = resource.read(["7001", "7002"])

    assert found["7001"] == {"id": 7001, **payload("goods_out_note_get")["response"]["7001"]}
    assert resource.key_of(found["7001"]) == "7001"
    assert resource.load(found["7001"])["orderId"] == 5001


@responses.activate
def test_a_feed_of_notes_asks_for_the_columns_that_their_search_has(local: Services) -> None:
    responses.get(f"{URL}/warehouse-service/goods-note/goods-out-search", json=payload("goods_out_note_search"))
    responses.get(f"{NOTES}/7001", json=payload("goods_out_note_get"))
    resource = notes(local)

    (page,) = resource.changes("created", {})

    params = responses.calls[0].request.params
    assert params["columns"] == "goodsOutNoteId,createdOn,shippedOn"
    assert params["sort"] == "createdOn.ASC,goodsOutNoteId.ASC"
    assert {ref.key: ref.version for ref in page.refs} == {
        "7001": "2024-03-06T20:00:00.000Z",  # shipped
        "7002": "2024-03-06T13:00:00.000Z",  # created
    }
    assert resource.version(resource.read(["7001"])["7001"]) == "2024-03-06T20:00:00.000Z"


def test_limits_come_from_the_class_unless_the_endpoint_sets_them(local: Services) -> None:
    assert notes(local).most_per_read == 500
    assert notes(local, goods_out_note_per_read=50).most_per_read == 50


def test_an_endpoint_has_no_settings_of_a_kind_that_is_not_registered(local: Services) -> None:
    with pytest.raises(Misconfigured, match=r"toy_per_read = 50\. There is no such setting"):
        connector(local, toy_per_read=50)


@responses.activate
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"5001": {"id": 5001}}, "not a list of objects, but an object of objects by id"),
        ({}, "not a list of objects, but an object of other values"),
        ([5001], "not a list of objects, but a list of other values"),
        (None, "not a list of objects, but None"),
    ],
)
def test_an_answer_of_another_shape_is_not_tried_for_ever(local: Services, content: Any, said: str) -> None:
    responses.get(f"{ORDERS}/5001", json={"response": content})
    with pytest.raises(Misconfigured, match=said) as raised:
        connector(local).resources["brightpearl.sales_order"].read(["5001"])
    assert "shop: order-service/order/(1 ids)" in str(raised.value)
    assert "Declare the shape of its answers as `answer` of the resource class" in str(raised.value)


@responses.activate
def test_a_list_where_objects_by_id_are_expected_is_refused_too(local: Services) -> None:
    responses.get(f"{NOTES}/7001", json={"response": []})
    with pytest.raises(Misconfigured, match="not an object of objects by id, but a list of objects"):
        notes(local).read(["7001"])


@responses.activate
def test_an_answer_without_a_response_is_transient(local: Services) -> None:
    responses.get(f"{ORDERS}/5001", json={})
    with pytest.raises(Transient, match="has no response, so it is not Brightpearl's"):
        connector(local).resources["brightpearl.sales_order"].read(["5001"])

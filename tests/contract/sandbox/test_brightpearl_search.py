"""Resource search (brightpearl.md sections 7 and 11.1)."""

from __future__ import annotations

from typing import Any

import pytest

from syncengine.sandbox import Sandbox
from tests.contract.sandbox.conftest import Client

SEARCH = "order-service/order-search"
COLUMNS = [
    "orderId",
    "orderTypeId",
    "contactId",
    "orderStatusId",
    "orderStockStatusId",
    "createdOn",
    "createdById",
    "customerRef",
    "orderPaymentStatusId",
    "updatedOn",
    "parentOrderId",
    "orderShippingStatusId",
    "externalRef",
    "installedIntegrationInstanceId",
    "warehouseId",
    "staffOwnerContactId",
    "taxDate",
    "departmentId",
    "deliveryDate",
]


def search(client: Client, query: str) -> Any:
    return client.get(f"{SEARCH}?{query}")


def ids(client: Client, query: str) -> list[int]:
    return [row[0] for row in search(client, query)["results"]]


def test_rows_are_positions_of_the_default_columns(client: Client, sandbox: Sandbox) -> None:
    answer = client.call("GET", f"{SEARCH}?orderId=5002,5003").json()
    meta = answer["response"]["metaData"]

    assert [column["name"] for column in meta["columns"]] == COLUMNS
    assert [row[0] for row in answer["response"]["results"]] == [5002, 5003]
    assert answer["response"]["results"][0][COLUMNS.index("updatedOn")] is None
    assert answer["response"]["results"][0][COLUMNS.index("createdOn")] == "2025-03-03T08:06:02.000+00:00"
    assert {name: value for name, value in meta.items() if name not in ("columns", "sorting")} == {
        "morePagesAvailable": False,
        "resultsAvailable": 2,
        "resultsReturned": 2,
        "firstResult": 1,
        "lastResult": 2,
    }
    assert meta["sorting"][0]["direction"] == "ASC"
    assert answer["reference"] == {
        "orderTypeNames": {"1": "SALES_ORDER"},
        "orderStatusNames": {"2": "New web order"},
        "orderStockStatusNames": {"13": "Unset"},
        "orderPaymentStatusNames": {"1": "UNPAID"},
        "orderShippingStatusNames": {"2": "Stock not shipped"},
    }


def test_no_hits_leave_out_first_and_last_result(client: Client) -> None:
    answer = client.call("GET", f"{SEARCH}?orderId=1").json()
    assert answer["response"]["results"] == []
    assert not {"firstResult", "lastResult"} & set(answer["response"]["metaData"])
    assert answer["reference"] == {}


def test_pages_by_first_result_cover_all(client: Client, sandbox: Sandbox) -> None:
    seen: list[int] = []
    first = 1
    while True:
        page = search(client, f"pageSize=17&firstResult={first}")
        seen += [row[0] for row in page["results"]]
        if not page["metaData"]["morePagesAvailable"]:
            break
        first = page["metaData"]["lastResult"] + 1
    assert seen == sorted(sandbox.brightpearl.orders)


def test_page_size_is_500_at_most(client: Client, sandbox: Sandbox) -> None:
    sandbox.reset(1, orders=600)
    assert search(client, "pageSize=900")["metaData"]["resultsReturned"] == 500
    sandbox.reset(1, orders=30)


def test_sort_by_several_columns_with_empty_values_first(client: Client) -> None:
    rows = search(client, "sort=updatedOn.ASC,orderId.DESC&columns=updatedOn,orderId")["results"]
    empty = [row[1] for row in rows if row[0] is None]
    assert rows[: len(empty)] == [[None, key] for key in sorted(empty, reverse=True)]
    assert [row[0] for row in rows[len(empty) :]] == sorted(row[0] for row in rows[len(empty) :])


def test_columns_are_chosen_and_ordered(client: Client) -> None:
    page = search(client, "columns=customerRef,orderId&orderId=5002")
    assert page["results"] == [["WEB-10002", 5002]]
    assert [column["name"] for column in page["metaData"]["columns"]] == ["customerRef", "orderId"]


def test_count_only(client: Client, sandbox: Sandbox) -> None:
    page = search(client, "countOnly=true")
    assert (page["results"], page["metaData"]["resultsAvailable"]) == ([], len(sandbox.brightpearl.orders))


@pytest.mark.parametrize(
    ("query", "text", "data_type"),
    [
        ("orderStatusId=BAD PARAM", r"orderStatusId\u003dBAD PARAM", "INTEGER"),
        ("orderId=5001-", r"orderId\u003d5001-", "IDSET"),
        ("contactId=-310", r"contactId\u003d-310", "INTEGER"),
        ("orderId=5003-5001", r"orderId\u003d5003-5001", "IDSET"),
        ("updatedOn=yesterday/", r"updatedOn\u003dyesterday/", "PERIOD"),
        ("updatedOn=2025-03-03T00:00:00+00:00/", r"updatedOn\u003d2025-03-03T00:00:00 00:00/", "PERIOD"),
    ],
)
def test_filter_that_cannot_be_read_is_a_500(client: Client, query: str, text: str, data_type: str) -> None:
    answer = client.call("GET", f"{SEARCH}?{query}")
    assert answer.status_code == 500
    assert answer.text == (
        f'{{"errors":[{{"code":"CMNC-018","message":"The filter {text} cannot be parsed as: {data_type}"}}]}}'
    )
    assert answer.headers["Message-Type"] == "bulk-data-search"


def test_filters_that_do_not_exist_are_refused_or_ignored_by_switch(client: Client, sandbox: Sandbox) -> None:
    assert client.call("GET", f"{SEARCH}?reference=WEB-10002").status_code == 500  # it is `customerRef`
    sandbox.switches.turn({"brightpearl_unknown_filters": "ignore"})
    assert client.call("GET", f"{SEARCH}?reference=WEB-10002").status_code == 200


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("customerRef=WEB-10002", [5002]),
        ("orderId=5002-5003,5007", [5002, 5003, 5007]),
        ("orderId=5001-5050&orderStatusId=5", [5047]),
        ("externalRef=ext-10004", [5004]),
        ("orderId=5002-5004&createdOn=2025-03-03T08:09:02Z/2025-03-03T08:12:02Z", [5003, 5004]),
        ("orderId=5002-5004&createdOn=2025-03-03T08:09:02%2B00:00%2F", [5003, 5004]),
        ("orderId=5001-5004&createdOn=/2025-03-03", [5001]),
        ("orderId=5001-5004&createdOn=2025-01-02", [5001]),
        ("orderId=5002-5004&placedOn=2025-03-03T08:12:00Z/", [5004]),
        ("orderId=5001-5004&updatedOn=2020-01-01/", [5003]),
    ],
)
def test_filters_by_data_type(client: Client, query: str, expected: list[int]) -> None:
    assert ids(client, query) == expected


@pytest.mark.parametrize(
    ("inclusive", "expected"), [("both", [5003, 5004]), ("from", [5003]), ("to", [5004]), ("none", [])]
)
def test_edges_of_a_period_are_a_switch(client: Client, sandbox: Sandbox, inclusive: str, expected: list[int]) -> None:
    sandbox.switches.turn({"brightpearl_period_inclusive": inclusive})
    assert ids(client, "createdOn=2025-03-03T08:09:02Z/2025-03-03T08:12:02Z") == expected


def test_rows_can_show_up_late(client: Client, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"brightpearl_search_delay_s": 20})
    body = {"orderTypeCode": "SO", "reference": "LATE", "parties": {"customer": {"contactId": 310}}}
    key = client.send("POST", "order-service/order", body)["response"]
    client.control("POST", "brightpearl/orders/5002/edit", {"reference": "CHANGED"})

    assert client.get(f"order-service/order/{key}")[0]["reference"] == "LATE"
    assert ids(client, "customerRef=LATE") == []
    assert ids(client, "customerRef=WEB-10002") == [5002]

    sandbox.switches.turn({"clock_offset_s": 21})
    assert ids(client, "customerRef=LATE") == [key]
    assert ids(client, "customerRef=CHANGED") == [5002]


def test_many_orders_with_one_updated_on(client: Client) -> None:
    client.control("POST", "brightpearl/touch", {"orders": "all", "updatedOn": "2025-06-01T12:00:00Z"})
    rows = search(client, "columns=updatedOn&updatedOn=2025-06-01T12:00:00Z/2025-06-01T12:00:00Z")["results"]
    assert len(rows) > 80
    assert {row[0] for row in rows} == {"2025-06-01T13:00:00.000+01:00"}


def test_search_follows_a_change_at_once(client: Client) -> None:
    client.control("POST", "brightpearl/orders/5002/edit", {"statusId": 5})
    assert 5002 in ids(client, "orderStatusId=5")


def test_meta_data_alone_describes_the_columns(client: Client) -> None:
    assert [column["name"] for column in client.get(f"{SEARCH}/meta-data")["columns"]] == COLUMNS


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("order-service/sales-order-search?salesOrderId=5002", 5002),
        ("contact-service/contact-search?contactId=310&isCustomer=true", 310),
        ("product-service/product-search?productId=2010", 2010),
        ("accounting-service/currency-search?code=EUR", 2),
    ],
)
def test_other_searches(client: Client, path: str, first: int) -> None:
    assert [row[0] for row in client.get(path)["results"]] == [first]


def test_search_string_matches_a_part_whatever_the_case(client: Client, sandbox: Sandbox) -> None:
    contact = sandbox.brightpearl.contacts[310]
    found = client.get(f"contact-service/contact-search?lastName={contact.last_name[1:4].upper()}")["results"]
    assert 310 in [row[0] for row in found]


def test_column_that_cannot_be_sorted_is_refused(client: Client) -> None:
    assert client.call("GET", "contact-service/contact-search?sort=isStaff.ASC").status_code == 500

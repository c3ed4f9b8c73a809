"""What differs between sites on e.net (syspro-transport.md sections 2.2, 9.4 and 13): the switches of the sandbox."""

from __future__ import annotations

from decimal import Decimal

import pytest

from syncengine.connectors.base import Operation, Result, Verb
from syncengine.errors import EndpointDown, Misconfigured, Rejected
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Sandbox
from syncengine.store import Store
from syncengine.vault import Vault
from tests.contract.syspro.conftest import Connect
from tests.contract.syspro.test_syspro_gateways import CUSTOMER, create, number_of, order


def long_order(rows: int) -> list[dict[str, object]]:
    return [
        {"@key": str(row), "StockCode": "KB-1001", "OrderQty": row, "OrderUom": "EA", "Price": "1.5", "PriceUom": "EA"}
        for row in range(1, rows + 1)
    ]


@pytest.mark.parametrize("shape", ["always", "never"])
@pytest.mark.parametrize("nested", [True, False])
def test_an_order_is_created_whether_the_reply_tells_its_number_or_not(
    connect_to: Connect, sandbox: Sandbox, shape: str, nested: bool
) -> None:
    sandbox.switches.turn({"syspro_clean_reply": shape, "syspro_nested_status": nested})
    orders = connect_to().resources["syspro.sales_order"]
    outcome = create(orders, order(StockLine=[{**long_order(1)[0], "StockCode": "KB-1001", "Warehouse": "MN"}]))
    assert outcome.result is Result.DONE
    assert (outcome.key is None) is (shape == "never")
    assert number_of(orders, outcome, "500123") == orders.keys_of(["500123"])["500123"][0]


def test_a_refusal_without_reasons_is_validated_once_to_learn_them(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_rejection": "empty"})
    orders = connect_to().resources["syspro.sales_order"]
    doc = order()
    doc["StockLine"][0]["StockCode"] = "NO-SUCH"
    outcome = create(orders, doc)
    assert outcome.result is Result.REJECTED
    assert isinstance(outcome.error, Rejected)
    assert (outcome.error.value, outcome.error.field) == ("NO-SUCH", "StockLine.StockCode")
    assert sandbox.calls.total(system="syspro", operation="SORTOI.add") == 2


def test_a_duplicate_is_recognised_from_an_empty_refusal_too(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_rejection": "empty"})
    orders = connect_to().resources["syspro.sales_order"]
    create(orders, order())
    assert create(orders, order()).result is Result.EXISTS


def test_large_documents_go_by_postld_and_small_ones_by_get(connect_to: Connect, sandbox: Sandbox) -> None:
    orders = connect_to().resources["syspro.sales_order"]
    create(orders, order("1", StockLine=long_order(60)))
    create(orders, order("2"))
    writes = [
        (call.method, call.path.rsplit("/", 1)[-1]) for call in sandbox.calls.latest() if "SORTOI" in call.operation
    ]
    assert writes == [("POST", "PostLD"), ("GET", "Post")]


def test_a_site_without_postld_is_told_what_to_do(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_postld": False})
    orders = connect_to().resources["syspro.sales_order"]
    with pytest.raises(Misconfigured, match="get_limit_bytes"):
        create(orders, order(StockLine=long_order(60)))


def test_a_get_limit_that_is_set_too_high_rejects_the_order_and_nothing_ran(
    connect_to: Connect, sandbox: Sandbox
) -> None:
    sandbox.switches.turn({"syspro_get_limit_bytes": 2000})
    outcome = create(connect_to().resources["syspro.sales_order"], order())
    assert outcome.result is Result.REJECTED
    assert "get_limit_bytes" in str(outcome.error)
    assert sandbox.calls.effects(object="SorMaster") == []


def test_a_find_that_would_be_too_long_is_split(connect_to: Connect, sandbox: Sandbox) -> None:
    orders = connect_to(get_limit_bytes=2500).resources["syspro.sales_order"]
    create(orders, order("500039"))
    assert list(orders.keys_of([str(500_000 + number) for number in range(40)])) == ["500039"]
    assert 2 <= sandbox.calls.total(system="syspro", operation="COMFND") <= 6


def test_bodies_that_are_json_strings_are_understood(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_json_bodies": True})
    syspro = connect_to()
    assert "SYSPRO" in syspro.check()
    orders = syspro.resources["syspro.sales_order"]
    assert orders.read([number_of(orders, create(orders, order()), "500123")])


def test_a_session_id_may_be_a_guid_with_hyphens(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_guid_sessions": True, "syspro_json_bodies": True})
    orders = connect_to().resources["syspro.sales_order"]
    assert orders.read([number_of(orders, create(orders, order()), "500123")])


@pytest.mark.parametrize(("version", "shown"), [("7", ", SYSPRO 7"), ("8", ", SYSPRO 8")])
def test_check_names_the_version_of_the_company(
    connect_to: Connect, sandbox: Sandbox, version: str, shown: str
) -> None:
    sandbox.switches.turn({"syspro_version": version})
    assert connect_to().check().endswith(shown)


def test_check_refuses_a_version_before_7_with_the_reason(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_version": "6.1"})
    with pytest.raises(Misconfigured, match=r"SYSPRO 6\.1.* is not supported: .*ShipAddress3Locality"):
        connect_to().check()


def test_a_negative_line_goes_out_with_the_parameter_that_allows_it(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_negative_quantities": True})
    orders = connect_to().resources["syspro.sales_order"]
    doc = order()
    doc["StockLine"].append({**doc["StockLine"][0], "@key": "15", "OrderQty": Decimal(-1)})

    key = number_of(orders, create(orders, doc), "500123")

    (read,) = orders.read([key]).values()
    assert [line["OrderQty"] for line in orders.load(read)["StockLine"]] == [Decimal(2), Decimal(-1)]


def test_plain_numbers_are_read_like_padded_ones(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_padded_numbers": False})
    orders = connect_to().resources["syspro.sales_order"]
    key = number_of(orders, create(orders, order()), "500123")
    assert orders.load(orders.read([key])[key])["StockLine"][0]["Price"] == Decimal("24.95")


def test_a_company_with_numeric_customers_has_one_form_of_each_key(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_numeric_customers": True})
    syspro = connect_to(numeric_customer_keys=True)
    customers, orders = syspro.resources["syspro.customer"], syspro.resources["syspro.sales_order"]
    outcome = create(customers, {**CUSTOMER, "Customer": "4711"}, "Customer")
    assert outcome.key == "000000000004711"
    assert list(customers.read(["4711"])) == ["4711"]
    key = number_of(orders, create(orders, order(Customer="4711")), "500123")
    assert orders.read([key])[key]["Customer"] == "000000000004711"


def test_several_orders_a_call_each_have_an_outcome(connect_to: Connect, sandbox: Sandbox) -> None:
    orders = connect_to(most_per_write=3).resources["syspro.sales_order"]
    docs = [orders.canonical(order(number)) for number in ("1", "2", "3")]
    docs[1]["StockLine"][0]["StockCode"] = "NO-SUCH"
    outcomes = orders.write([Operation(Verb.CREATE, doc["CustomerPoNumber"], doc=doc) for doc in docs])
    assert sandbox.calls.total(system="syspro", operation="SORTOI.add") == 1
    assert outcomes[1].result in (Result.REJECTED, Result.UNKNOWN)
    for outcome in (outcomes[0], outcomes[2]):
        assert outcome.result in (Result.DONE, Result.UNKNOWN)  # a reply without numbers cannot tell which was refused
    assert sorted(orders.keys_of(["1", "2", "3"])) == ["1", "3"]


def test_orders_of_different_status_go_in_calls_of_their_own(connect_to: Connect, sandbox: Sandbox) -> None:
    orders = connect_to(most_per_write=2).resources["syspro.sales_order"]
    docs = [orders.canonical(order("1", OrderStatus="1")), orders.canonical(order("2", OrderStatus="S"))]
    outcomes = orders.write([Operation(Verb.CREATE, doc["CustomerPoNumber"], doc=doc) for doc in docs])
    assert [outcome.result for outcome in outcomes] == [Result.DONE, Result.DONE]
    assert orders.load(orders.find(["2"])["2"][0])["OrderStatus"] == "S"


def test_cancelling_by_sortoi_is_a_setting(connect_to: Connect, sandbox: Sandbox) -> None:
    orders = connect_to(cancel_by="SORTOI").resources["syspro.sales_order"]
    key = number_of(orders, create(orders, order()), "500123")
    current = orders.load(orders.read([key])[key])
    (outcome,) = orders.write([Operation(Verb.CANCEL, "500123", doc=current, key=key, current=current)])
    assert outcome.result is Result.DONE, outcome.error
    assert orders.is_cancelled(orders.load(orders.read([key])[key]))


def test_an_object_without_a_licence_is_rejected_with_what_to_do(connect_to: Connect, sandbox: Sandbox) -> None:
    sandbox.switches.turn({"syspro_unlicensed": "SORTOI"})
    outcome = create(connect_to().resources["syspro.sales_order"], order())
    assert outcome.result is Result.REJECTED
    assert "licensed" in str(outcome.error)


def test_a_customer_on_hold_is_rejected_with_what_to_do(connect_to: Connect, sandbox: Sandbox) -> None:
    table = sandbox.syspro.table("ArCustomer")
    table.update(table.get("WEB001"), CustomerOnHold="Y")
    outcome = create(connect_to().resources["syspro.sales_order"], order())
    assert outcome.result is Result.REJECTED
    assert "on hold" in str(outcome.error)
    assert "WarnIfCustomerOnHold" in str(outcome.error)


def test_an_order_that_takes_effect_after_the_client_gave_up_is_found_later(
    connect_to: Connect, sandbox: Sandbox
) -> None:
    syspro = connect_to(read_timeout_s=0.3, settle_s=0.1)
    orders = syspro.resources["syspro.sales_order"]
    orders.read(["1"])
    sandbox.faults.add(Fault("syspro", "SORTOI", "late", seconds=0.2))
    assert create(orders, order()).result is Result.UNKNOWN
    sandbox.faults.wait_for_late_writes()
    other = connect_to(name="syspro-other", operator="BPTEST").resources["syspro.sales_order"]
    assert len(other.find(["500123"])["500123"]) == 1


def test_a_certificate_is_verified_with_the_file_that_the_settings_name(
    connect_to: Connect, store: Store, vault: Vault
) -> None:
    small = Sandbox(switches={"latency_s": 0.0}, contacts=1, products=1, orders=0, awkward=False)
    with small.start(tls=True) as secure:
        assert "SYSPRO" in connect_to(url=secure.url, ca_file=secure.ca_file).check()
        with pytest.raises(EndpointDown, match="certificate"):
            connect_to(url=secure.url).check()


@pytest.mark.parametrize("suffix", ["", "/", "/SYSPROWCFService/Rest"])
def test_the_address_may_be_given_with_or_without_the_services_path(
    connect_to: Connect, sandbox: Sandbox, suffix: str
) -> None:
    assert "SYSPRO" in connect_to(url=sandbox.base_url + suffix).check()

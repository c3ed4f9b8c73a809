"""The gateway against the sandbox: bulk reads, tokens, quota, and every kind of trouble."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import redis

from syncengine import clock
from syncengine.connectors.brightpearl.connector import Brightpearl, connect
from syncengine.connectors.services import Services
from syncengine.errors import AuthenticationFailed, EndpointDown, Misconfigured, Rejected, Throttled, Transient
from syncengine.http import guard
from syncengine.http.limiter import Limiter
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Running, Sandbox
from syncengine.store import Store
from syncengine.store.models import Slot
from syncengine.vault import Vault
from tests.contract.brightpearl.conftest import APP, FIRST_TOKENS, Connect, endpoint_in
from tests.contract.sandbox.conftest import begin_minute


class Urgent:
    """A lease in the lane that is not paced."""

    lane = "realtime"

    def renew(self) -> None:
        """It does not run out."""

    def check(self) -> None:
        """It does not run out."""

    def called(self, endpoint: str, operation: str, took_s: float) -> None:
        """Nobody keeps an account."""


def test_check_says_what_was_reached(sandbox: Sandbox, shop: Connect) -> None:
    count = len(sandbox.brightpearl.orders)
    assert shop().check() == f"Brightpearl account sandbox answers as oauth app; it has {count} orders"
    assert sandbox.calls.total("brightpearl") == 1


@pytest.mark.parametrize(("auth", "token"), [("private", "account"), ("staff", "staff")])
def test_private_apps_are_let_in_by_their_token(sandbox: Sandbox, shop: Connect, auth: str, token: str) -> None:
    shop({f"{token}_token": f"sandbox-{token}-token"}, auth=auth).check()


def test_all_documents_of_the_shop_are_read_in_full_and_can_be_typed(sandbox: Sandbox, shop: Connect) -> None:
    connector, account = shop(), sandbox.brightpearl
    kinds = {
        "sales_order": account.orders,
        "contact": account.contacts,
        "product": account.products,
        "postal_address": account.addresses,
    }
    for name, state in kinds.items():
        resource = connector.resources[f"brightpearl.{name}"]
        documents = resource.read([str(key) for key in state])
        assert sorted(map(int, documents)) == sorted(state)
        for key, document in documents.items():
            assert resource.key_of(resource.load(document)) == key


def test_unknown_ids_are_absent_and_ids_that_are_none_are_not_asked_for(sandbox: Sandbox, shop: Connect) -> None:
    resources = shop().resources
    for name in ("sales_order", "contact", "product", "postal_address"):
        assert resources[f"brightpearl.{name}"].read(["99999999"]) == {}
    sandbox.calls.reset()
    assert resources["brightpearl.contact"].read(["x", ""]) == {}
    assert sandbox.calls.total("brightpearl") == 0


def test_a_token_that_expired_is_refreshed_once_by_8_workers_of_one_store(
    sandbox: Sandbox, running: Running, store: Store, vault: Vault
) -> None:
    settings = {**APP, "url": running.url, "token_url": f"{running.url}/token/{{account}}"}
    endpoint = endpoint_in(store, vault, settings, FIRST_TOKENS)
    workers = [connect(endpoint, Services(store, vault)) for _ in range(8)]
    for worker in workers:
        worker.check()
    sandbox.brightpearl.authentication.expire()
    sandbox.calls.reset()
    together = threading.Barrier(8)

    def work(number: int) -> str:
        together.wait()
        return workers[number].check()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(8)))

    assert len(set(answers)) == 1
    assert sandbox.calls.total("brightpearl", "token") == 1
    assert vault.version(endpoint.id, "access_token") == 2
    for worker in workers:
        worker.close()


def test_8_threads_that_share_one_connector_refresh_once_too(sandbox: Sandbox, shop: Connect) -> None:
    connector = shop()
    sandbox.brightpearl.authentication.expire()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: connector.check(), range(8)))
    assert sandbox.calls.total("brightpearl", "token") == 1


def test_a_token_that_another_host_has_refreshed_is_taken_from_the_vault(
    sandbox: Sandbox, shop: Connect, local: Services
) -> None:
    here, there = shop(), shop()
    here.check()
    sandbox.brightpearl.authentication.expire()
    there.check()
    here.check()
    assert sandbox.calls.total("brightpearl", "token") == 1


def test_a_refresh_whose_worker_died_is_taken_over(sandbox: Sandbox, shop: Connect, local: Services) -> None:
    connector = shop()
    with local.store.write() as session:
        past = clock.now() - timedelta(seconds=1)
        session.add(Slot(name="brightpearl:refresh:1", holder="dead", held_until=past))
    sandbox.brightpearl.authentication.expire()
    connector.check()
    assert sandbox.calls.total("brightpearl", "token") == 1


def test_a_refresh_token_that_is_void_stops_with_an_authentication_failure(sandbox: Sandbox, shop: Connect) -> None:
    connector = shop({"access_token": "void", "refresh_token": "void"})
    with pytest.raises(AuthenticationFailed, match="invalid_grant"):
        connector.check()


def test_no_call_is_refused_and_all_are_made_while_the_limiter_counts(
    sandbox: Sandbox, running: Running, local: Services, client: redis.Redis
) -> None:
    sandbox.switches.turn({"brightpearl_limit": 200})
    begin_minute(sandbox)
    services = Services(local.store, local.vault, Limiter(client), client)
    settings = {**APP, "url": running.url, "limit_per_minute": 200, "patience_s": 0.5}
    connector = connect(endpoint_in(local.store, local.vault, settings, FIRST_TOKENS), services)

    def work(_: int) -> bool:
        try:
            with guard.guarded(Urgent()):
                connector.check()
        except Throttled:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        made = sum(pool.map(work, range(230)))
    assert made == 200
    assert sandbox.calls.total("brightpearl", status=503) == 0


def test_calls_of_another_app_in_the_pool_are_learned_before_one_is_refused(
    sandbox: Sandbox, running: Running, local: Services, client: redis.Redis
) -> None:
    sandbox.switches.turn({"brightpearl_limit": 200})
    begin_minute(sandbox)
    services = Services(local.store, local.vault, Limiter(client), client)
    settings = {**APP, "url": running.url, "limit_per_minute": 200, "patience_s": 0}
    endpoint = endpoint_in(local.store, local.vault, settings, FIRST_TOKENS)
    ours = connect(endpoint, services)
    unlimited = connect(endpoint_in(local.store, local.vault, {**settings, "limit_per_minute": 0}, {}), services)
    ours.check()
    for _ in range(150):
        unlimited.check()
    made = 1 + _calls_until_throttled(ours)
    assert made <= 50
    assert sandbox.calls.total("brightpearl", status=503) == 0


def test_what_is_left_to_others_is_theirs_and_all_the_rest_is_ours(
    sandbox: Sandbox, running: Running, local: Services, client: redis.Redis
) -> None:
    sandbox.switches.turn({"brightpearl_limit": 60})
    begin_minute(sandbox)
    services = Services(local.store, local.vault, Limiter(client), client)
    settings = {**APP, "url": running.url, "limit_per_minute": 60, "reserve": 20, "patience_s": 0}
    ours = connect(endpoint_in(local.store, local.vault, settings, FIRST_TOKENS), services)
    unlimited = {**settings, "limit_per_minute": 0, "reserve": 0}
    theirs = connect(endpoint_in(local.store, local.vault, unlimited, {}), services)
    ours.check()
    for _ in range(20):
        theirs.check()
    assert 1 + _calls_until_throttled(ours) == 40
    assert sandbox.calls.total("brightpearl", status=503) == 0


def test_a_refused_token_costs_a_slot_as_it_costs_quota(
    sandbox: Sandbox, running: Running, local: Services, client: redis.Redis
) -> None:
    limiter = Limiter(client)
    services = Services(local.store, local.vault, limiter, client)
    settings = {**APP, "url": running.url, "token_url": f"{running.url}/token/{{account}}", "limit_per_minute": 200}
    connector = connect(endpoint_in(local.store, local.vault, settings, FIRST_TOKENS), services)
    sandbox.brightpearl.authentication.expire()
    connector.check()
    assert sandbox.calls.total("brightpearl", status=401) == 1
    pool = connector._gateway.account.pool
    assert pool is not None
    assert limiter.usage(pool).taken == 2


def _calls_until_throttled(connector: Brightpearl) -> int:
    for made in range(200):
        try:
            with guard.guarded(Urgent()):
                connector.check()
        except Throttled:
            return made
    raise AssertionError("never throttled")


def test_a_throttle_answer_closes_the_gate_for_the_next_call(
    sandbox: Sandbox, running: Running, local: Services, client: redis.Redis
) -> None:
    services = Services(local.store, local.vault, Limiter(client), client)
    settings = {**APP, "url": running.url, "limit_per_minute": 200}
    connector = connect(endpoint_in(local.store, local.vault, settings, FIRST_TOKENS), services)
    sandbox.faults.add(Fault("brightpearl", "*", "throttle"))
    with pytest.raises(Throttled):
        connector.check()
    sandbox.calls.reset()
    with pytest.raises(Throttled):
        connector.check()
    assert sandbox.calls.total("brightpearl") == 0
    assert connector.wait_s() > 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("brightpearl", "*", "error"), Transient),
        (Fault("brightpearl", "*", "drop"), Transient),
        (Fault("brightpearl", "*", "malformed"), Transient),
        (Fault("brightpearl", "*", "down"), (EndpointDown, Transient)),
    ],
)
def test_trouble_of_a_read_can_be_tried_again(
    sandbox: Sandbox, shop: Connect, fault: Fault, error: type[Exception]
) -> None:
    connector = shop()
    sandbox.faults.add(fault)
    with pytest.raises(error):
        connector.check()
    sandbox.faults.clear()
    connector.check()


def test_an_expired_token_in_the_middle_is_not_noticed_by_the_caller(sandbox: Sandbox, shop: Connect) -> None:
    connector = shop()
    sandbox.faults.add(Fault("brightpearl", "*", "expired"))
    connector.check()
    assert sandbox.calls.total("brightpearl", "token") == 1


def test_a_wrong_account_is_a_wrong_setting_and_not_an_empty_shop(shop: Connect) -> None:
    connector = shop(account="other", token_url="http://127.0.0.1:1/")
    with pytest.raises(Misconfigured, match="check the endpoint's url and account"):
        connector.resources["brightpearl.sales_order"].read(["5001"])


def test_more_ids_than_a_call_takes_are_rejected_by_name(shop: Connect) -> None:
    connector = shop(sales_order_per_read=300)
    keys = [str(5001 + number) for number in range(300)]
    with pytest.raises(Rejected):
        connector.resources["brightpearl.sales_order"].read(keys)


def test_over_tls_with_the_authority_that_the_setting_names(local: Services) -> None:
    with Sandbox(seed=2, contacts=5, products=5, orders=5).start(tls=True) as running:
        settings = {**APP, "url": running.url, "ca_file": running.ca_file}
        connector = connect(endpoint_in(local.store, local.vault, settings, FIRST_TOKENS), local)
        assert "sandbox" in connector.check()

"""The connector of one Brightpearl account."""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.connectors import base
from syncengine.connectors.base import Endpoint
from syncengine.connectors.brightpearl import settings
from syncengine.connectors.brightpearl.auth import Credentials, InstanceToken, credentials
from syncengine.connectors.brightpearl.gateway import Gateway
from syncengine.connectors.brightpearl.hooks import BrightpearlSubscriptions
from syncengine.connectors.brightpearl.resources import RESOURCES
from syncengine.connectors.brightpearl.resources.sales_order import SALES_ORDER_TYPE, SalesOrder
from syncengine.connectors.hooks import Subscriptions, is_about
from syncengine.connectors.services import Services
from syncengine.errors import Misconfigured


class Brightpearl(base.Connector):
    """All that speaks to one Brightpearl account, in one process."""

    system = "brightpearl"

    def __init__(self, gateway: Gateway, made: Credentials) -> None:
        self._gateway, self._credentials = gateway, made
        self.concurrency = gateway.account.concurrency
        self.longest_call_s = gateway.account.timeouts.connect_s + gateway.account.timeouts.read_s
        self.resources = base.bound(RESOURCES, gateway)

    def check(self) -> str:
        """One search of one row. Raises what `Gateway.call` raises."""
        account = self._gateway.account
        found = self._gateway.search(
            SalesOrder.search, columns=("orderId",), sort=("orderId.DESC",), page_size=1, filters={}
        )
        return f"Brightpearl account {account.account} answers as {account.auth} app; it has {found.available} orders"

    def listed(self, what: str) -> Mapping[str, str]:
        """The statuses of sales orders (section 11) and the warehouses (section 14.1); see `Connector.listed`."""
        if what == "warehouses":
            warehouses = self._gateway.call("GET", "warehouse-service/warehouse").body["response"]
            return {str(each["id"]): str(each["name"]) for each in warehouses}
        if what != "order statuses":
            return {}
        found = self._gateway.call("GET", "order-service/order-status").body["response"]
        return {
            str(status["statusId"]): str(status["name"])
            for status in found
            if status["orderTypeCode"] == SALES_ORDER_TYPE
        }

    @property
    def subscriptions(self) -> Subscriptions:
        """See `Connector.subscriptions`."""
        return BrightpearlSubscriptions(self._gateway, in_path=self._gateway.account.hook_secret_in_path)

    def is_subscribable(self, event: str) -> bool:
        """Whether the setting events_not_subscribable leaves it out."""
        return not is_about(event, self._gateway.account.events_not_subscribable)

    def needed_secrets(self) -> Mapping[str, str]:
        """See `Connector.needed_secrets`."""
        return self._credentials.needed_secrets()

    def consent_url(self, state: str) -> str:
        """Where the shop's owner agrees; see `Connector.consent_url`."""
        return self._app().consent_url(state)

    def trade(self, code: str) -> None:
        """Tokens for the code; see `Connector.trade`."""
        self._app().trade(code)

    def _app(self) -> InstanceToken:
        if isinstance(self._credentials, InstanceToken):
            return self._credentials
        account = self._gateway.account
        raise Misconfigured(
            f"endpoint {account.name}: setting auth = {account.auth!r} has nothing to authorise: put its token under"
            " secrets in syncengine.yml and run `syncengine configure`"
        )

    def quota(self) -> str:
        """How much of the window is used, by all workers; see `Connector.quota`."""
        return self._gateway.quota()

    def wait_s(self) -> float:
        """Until the window has room for the low lanes; see `Connector.wait_s`."""
        return self._gateway.wait_s()

    def calls_a_minute(self) -> float | None:
        """The window's limit less its reserve; see `Connector.calls_a_minute`."""
        pool = self._gateway.account.pool
        return None if pool is None else (pool.limit - pool.reserve) * 60 / (pool.window_s + pool.guard_s)

    def close(self) -> None:
        """Close the connections."""
        self._gateway.close()


def connect(endpoint: Endpoint, services: Services) -> Brightpearl:
    """The connector of one endpoint; makes no call.

    Raises Misconfigured for settings that are missing or cannot be used, and where there is a limit but no limiter.
    """
    account = settings.read(endpoint, RESOURCES)
    if account.pool is not None and services.limiter is None:
        raise Misconfigured(
            f"endpoint {endpoint.name}: calls are limited, but there is no Redis to count them; set REDIS_URL,"
            " or limit_per_minute: 0 if Brightpearl does not limit this app"
        )
    made = credentials(endpoint, account, services)
    return Brightpearl(Gateway(account, made, services.limiter, services.breaker(endpoint.name)), made)

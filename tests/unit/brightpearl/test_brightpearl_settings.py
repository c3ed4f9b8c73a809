"""Settings of a Brightpearl endpoint: defaults, and what cannot be used is named with its remedy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from syncengine.connectors.base import Endpoint
from syncengine.connectors.brightpearl.resources import RESOURCES
from syncengine.connectors.brightpearl.settings import Account, read
from syncengine.errors import Misconfigured
from syncengine.http.limiter import Pool
from syncengine.http.timeouts import Timeouts

GIVEN = {"url": "https://use1.brightpearlconnect.com", "account": "acme", "app_ref": "acme_sync", "dev_ref": "acmedev"}


def endpoint(**settings: Any) -> Endpoint:
    merged = {name: value for name, value in {**GIVEN, **settings}.items() if value is not None}
    return Endpoint(1, "shop", "brightpearl", merged)


def settings_of(endpoint: Endpoint) -> Account:
    return read(endpoint, RESOURCES)


def test_the_defaults_are_those_of_the_references() -> None:
    account = settings_of(endpoint())
    assert account.prefix == "https://use1.brightpearlconnect.com/public-api/acme"
    assert account.token_url == "https://oauth.brightpearlapp.com/token/acme"
    assert account.auth == "oauth"
    assert account.pool == Pool("brightpearl:acme:acmedev", limit=200, window_s=60, guard_s=0.5, reserve=0)
    assert account.timeouts == Timeouts(5, 30)
    assert (account.page_size, account.overlap) == (500, timedelta(seconds=60))
    kinds = ("sales_order", "contact", "postal_address", "product")
    assert [account.most_per_read[kind] for kind in kinds] == [200, 200, 200, 200]


def test_a_whole_prefix_is_taken_as_it_is() -> None:
    assert settings_of(endpoint(url="https://host/2.0.0/acme/")).prefix == "https://host/2.0.0/acme"


def test_private_apps_of_an_account_share_one_pool() -> None:
    one, two = (settings_of(endpoint(auth=auth, app_ref=auth, dev_ref=None)) for auth in ("private", "staff"))
    assert one.pool is not None
    assert two.pool is not None
    assert one.pool.name == two.pool.name == "brightpearl:acme:private"


def test_the_host_named_by_the_token_endpoint_goes_before_the_setting() -> None:
    account = settings_of(endpoint())
    assert account.prefix_at("euw1.brightpearlconnect.com") == "https://euw1.brightpearlconnect.com/public-api/acme"
    assert account.prefix_at(None) == account.prefix
    assert settings_of(endpoint(follow_api_domain=False)).prefix_at("elsewhere") == account.prefix


def test_no_limit_means_no_pool() -> None:
    assert settings_of(endpoint(limit_per_minute=0)).pool is None


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"url": None}, r"endpoint shop: setting url = None. Set it to https://HOST"),
        ({"url": "brightpearl.com"}, r"setting url = '://brightpearl.com'. Set it"),
        ({"url": "https://me:secret@host/"}, r"setting url = 'https://host'. Set it"),
        ({"account": " "}, r"setting account = ' '. Set it to the account code"),
        ({"app_ref": None}, r"setting app_ref = None. Set it to the reference of the app"),
        ({"dev_ref": None}, r"setting dev_ref = None. Set it to the developer reference"),
        ({"auth": "basic"}, r"setting auth = 'basic'. Set it to one of oauth, private, staff"),
        ({"limit_per_minute": "many"}, r"setting limit_per_minute = 'many'. Set it to a number of at least 0"),
        ({"limit_per_minute": 1.5}, r"setting limit_per_minute = 1.5. Set it to a whole number"),
        ({"guard_s": -1}, r"setting guard_s = -1. Set it to a number of at least 0"),
        ({"overlap_s": True}, r"setting overlap_s = True. Set it to a number"),
        ({"follow_api_domain": "yes"}, r"setting follow_api_domain = 'yes'. Set it to true or false"),
        ({"contact_optional": "customFields"}, r"setting contact_optional = 'customFields'. Set it to a list"),
        ({"limit": 200}, r"setting limit = 200. There is no such setting; use one of account, app_ref"),
        ({"access_token": "a secret"}, r"setting access_token = '\*\*\*'. There is no such setting"),
        ({"reserve": 200}, r"a reserve of 200 leaves no calls of 200"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_remedy(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(Misconfigured, match=text) as raised:
        settings_of(endpoint(**settings))
    assert "secret" not in str(raised.value)

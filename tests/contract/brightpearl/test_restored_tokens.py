"""A restored store has a refresh token that was renewed since: it is void, and `configure` takes a new one."""

from __future__ import annotations

import pytest
import requests

from syncengine.connectors.services import Services
from syncengine.engine.setup import configure
from syncengine.engine.setup.configure import EndpointPlan, Installation
from syncengine.errors import AuthenticationFailed
from syncengine.sandbox.server import Running, Sandbox
from tests.contract.brightpearl.conftest import FIRST_TOKENS, Connect

REDIRECT = "https://shop.example/back"


def _authorised_again(running: Running, sandbox: Sandbox) -> str:
    """The shop's owner agrees once more; the code that comes of it is traded for tokens."""
    code = sandbox.brightpearl.authentication.grant_code(REDIRECT)
    form = {"grant_type": "authorization_code", "code": code, "client_id": "sandbox_app", "redirect_uri": REDIRECT}
    return str(requests.post(f"{running.url}/token/sandbox", data=form, timeout=10).json()["refresh_token"])


def test_a_refresh_token_that_was_renewed_since_the_backup_is_refused_until_a_new_one_is_configured(
    running: Running, sandbox: Sandbox, shop: Connect, local: Services
) -> None:
    sandbox.switches.turn({"brightpearl_refresh_rotates": True})
    orders = shop().resources["brightpearl.sales_order"]
    sandbox.brightpearl.authentication.expire()
    orders.read(["5001"])  # trades the first refresh token for another one

    for name, value in FIRST_TOKENS.items():  # the vault of the backup
        local.vault.write(1, name, value)
    restored = shop({}).resources["brightpearl.sales_order"]
    sandbox.brightpearl.authentication.expire()
    with pytest.raises(AuthenticationFailed, match="Authorise the app again"):
        restored.read(["5001"])

    token = _authorised_again(running, sandbox)
    settings = {
        "url": running.url, "token_url": f"{running.url}/token/{{account}}", "account": "sandbox", "auth": "oauth",
        "app_ref": "sandbox_app", "dev_ref": "sandbox", "limit_per_minute": 0,
    }  # fmt: skip
    plan = EndpointPlan("shop", "brightpearl", settings, {"refresh_token": token}, "syncengine.yml:2")
    configure.apply(local.store, local.vault, {}, Installation([plan], []))
    restored.read(["5001"])
    assert local.vault.read(1, "refresh_token") != token  # it has been renewed already

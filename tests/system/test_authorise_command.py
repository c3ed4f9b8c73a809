"""`syncengine authorise`: a person agrees at Brightpearl, and the endpoint has working tokens."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from cryptography.fernet import Fernet

from syncengine.cli import commands
from syncengine.errors import AuthenticationFailed, Misconfigured
from syncengine.sandbox.server import Running, Sandbox
from tests.databases import Databases
from tests.system.frame_fixtures import redis_url

__all__ = ["redis_url"]

REDIRECT = "https://shop.example/back"
CONFIGURATION = """\
endpoints:
  shop:
    system: brightpearl
    settings: {{url: "{url}", account: sandbox, app_ref: sandbox_app, dev_ref: sandbox, limit_per_minute: 0,
      token_url: "{url}/token/{{account}}", authorize_url: "{url}/authorize/{{account}}", redirect_uri: {redirect}}}
    secrets: {{refresh_token: void}}
  private:
    system: brightpearl
    settings: {{url: "{url}", account: sandbox, app_ref: sandbox_app, auth: private, limit_per_minute: 0}}
    secrets: {{account_token: sandbox-account-token}}
  erp:
    system: syspro
    settings: {{gateway: enet, url: "{url}/SYSPROWCFService/Rest", operator: BPSYNC, company: T}}
    secrets: {{operator_password: "s3cret!"}}
connections:
  main: {{left: shop, right: erp, mode: live, flows: [customers], cut_over: 2026-01-01T00:00:00Z}}
"""


@pytest.fixture
def running() -> Iterator[Running]:
    with Sandbox(1, contacts=4, products=4, orders=4, awkward=False).start() as running:
        yield running


@pytest.fixture(autouse=True)
def installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: Running, redis_url: str, databases: Databases
) -> None:
    """An installation whose refresh token is void."""
    configuration = tmp_path / "syncengine.yml"
    configuration.write_text(CONFIGURATION.format(url=running.url, redirect=REDIRECT), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNCENGINE_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("SYNCENGINE_CONFIG", str(configuration))
    monkeypatch.setenv("SYNCENGINE_KEYS", Fernet.generate_key().decode())
    monkeypatch.setenv("DATABASE_URL", databases.sqlite())
    monkeypatch.setenv("REDIS_URL", redis_url)
    assert (done := CliRunner().invoke(commands, ["configure", "--yes"])).exit_code == 0, done.output


def _answering(pasted: str, endpoint: str = "shop") -> None:
    done = CliRunner().invoke(commands, ["authorise", endpoint], input=pasted, standalone_mode=False)
    assert done.exception is not None, done.output
    raise done.exception


@pytest.mark.process
def test_a_person_agrees_and_the_endpoint_answers_with_the_new_tokens() -> None:
    command = [sys.executable, "-m", "syncengine", "authorise", "shop", "--json"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as asked:
        assert asked.stderr is not None
        shown = next(line.strip() for line in asked.stderr if line.strip().startswith("http"))
        back = requests.get(shown, allow_redirects=False, timeout=10).headers["Location"]
        said, _ = asked.communicate(f"{back}\n", timeout=30)

    assert asked.returncode == 0
    assert json.loads(said) == {"endpoint": "shop", "authorised": True}
    assert back not in said
    checked = CliRunner().invoke(commands, ["check", "--json"]).stdout
    assert json.loads(checked)["shop"] == {
        "ok": True, "says": "Brightpearl account sandbox answers as oauth app; it has 4 orders",
    }  # fmt: skip


def test_a_code_that_the_token_endpoint_refuses_is_told_and_shown_nowhere() -> None:
    with pytest.raises(AuthenticationFailed, match=r"shop: the token endpoint refuses: invalid_grant") as refused:
        _answering("an-old-code")
    assert "an-old-code" not in str(refused.value)


@pytest.mark.parametrize(
    ("pasted", "complaint"),
    [
        (f"{REDIRECT}?code=abc&state=of-yesterday", "belongs to another request"),
        (f"{REDIRECT}?code=abc", "belongs to another request"),
        (f"{REDIRECT}?error=access_denied", "grants no access: access_denied"),
        (f"{REDIRECT}", "grants no access: it contains no code"),
        ("\n", "no address given"),
    ],
)
def test_an_address_that_authorises_nothing_is_refused_with_its_reason(pasted: str, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(complaint)):
        _answering(pasted)


@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [
        ("private", "auth = 'private' has nothing to authorise: put its token under secrets"),
        ("erp", "syspro has nothing to authorise"),
        ("shopp", "there is no endpoint 'shopp'. Known endpoints: erp, private, shop"),
    ],
)
def test_an_endpoint_without_an_app_says_how_its_credentials_come(endpoint: str, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(complaint)):
        _answering("code", endpoint)

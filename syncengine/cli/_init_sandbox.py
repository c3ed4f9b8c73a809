"""Answers of `syncengine init --sandbox`: the credentials that the sandbox takes, and settings that fit its two systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncengine.cli._init_files import FLOWS, Extras
from syncengine.cli._init_questions import ERP, SHOP, Answers
from syncengine.flows.connections import connection_template
from syncengine.sandbox.shop.model import CUT_OVER
from syncengine.sandbox.switches import Switches

SANDBOX_URL = "http://127.0.0.1:8900"
REDIRECT = "https://example.com/callback"


def sandbox_answers(url: str, given: Mapping[str, str | None]) -> dict[str, str]:
    """An answer to each question that the sandbox needs. given: options; they say which credentials are used."""
    url, switches = url.rstrip("/"), Switches()
    operator, _, password = str(switches["syspro_operators"]).split(",")[0].partition(":")
    client, _, client_secret = str(switches["syspro_harmony_client"]).partition(":")
    is_harmony = given.get("gateway") == "harmony"
    return {
        "brightpearl_url": url,
        "account": str(switches["brightpearl_account"]),
        "app_ref": str(switches["brightpearl_app_ref"]),
        "account_token": str(switches["brightpearl_account_token"]),
        "staff_token": str(switches["brightpearl_staff_token"]),
        "dev_ref": str(switches["brightpearl_dev_ref"]),
        "redirect_uri": str(switches["brightpearl_redirect_uri"]) or REDIRECT,
        "syspro_url": url if is_harmony else f"{url}/SYSPROWCFService/Rest",
        "operator": operator,
        "operator_password": password,
        "company": str(switches["syspro_company"]),
        "api_key": str(switches["syspro_harmony_api_key"]),
        "syspro_client_id": client,
        "syspro_client_secret": client_secret,
        "syspro_token_url": f"{url}/api/harmony/2.0/token",
        "cut_over": CUT_OVER.isoformat(),
        "time_zone": str(switches["brightpearl_time_zone"]),
    }


def sandbox_extras(url: str, answers: Answers) -> Extras:
    """What the file needs beside the answers: where the sandbox grants tokens, and the settings and tables of its template."""
    flow_settings, lookups = connection_template(FLOWS)
    oauth: dict[str, Any] = {}
    if answers["auth"] == "oauth":
        base = url.rstrip("/")
        oauth = {"token_url": f"{base}/token/{{account}}", "authorize_url": f"{base}/authorize/{{account}}"}
    return Extras(endpoints={SHOP: oauth, ERP: {}}, settings=flow_settings, lookups=lookups)

"""The settings and secrets of a Brightpearl endpoint. Facts: reference/brightpearl.md sections 1, 2 and 5."""

from __future__ import annotations

from collections.abc import Iterable

from syncengine.connectors.base import Source
from syncengine.connectors.brightpearl import goods_out_settings, stock_settings
from syncengine.connectors.declared import (
    DeclaredSecret,
    DeclaredSetting,
    address,
    choice,
    file,
    flag,
    names,
    number,
    text,
    whole_number,
)

AUTH = ("oauth", "private", "staff")
TOKEN_URL = "https://oauth.brightpearlapp.com/token/{account}"  # noqa: S105 - newest documents, brightpearl.md section 2.2
AUTHORIZE_URL = "https://oauth.brightpearl.com/authorize/{account}"  # as above, step 1

_OF_EVERY_ENDPOINT = (
    address(
        "url",
        "https://HOST of the account's data centre, for example https://euw1.brightpearlconnect.com, or "
        "https://HOST/public-api/ACCOUNT",
    ),
    text("account", "the account code, as shown in the address of the Brightpearl user interface", None),
    text(
        "app_ref",
        "the reference of the app, from Brightpearl's developer tools; for OAuth apps also the client id",
        None,
    ),
    choice(
        "auth",
        AUTH,
        "oauth",
        "the kind of app: `private` (an account token), `staff` (a staff token) or `oauth` (an instance app, authorised once "
        "by `syncengine authorise ENDPOINT`)",
    ),
    text("dev_ref", "the developer reference, which OAuth apps send", needed_if="auth: oauth"),
    address(
        "redirect_uri",
        "the redirect address that is registered for the app; `syncengine authorise` needs it",
        "",
        needed_if="auth: oauth",
    ),
    address("token_url", "OAuth: where tokens are granted; `{account}` is replaced", TOKEN_URL),
    address("authorize_url", "OAuth: where the account's owner grants access; `{account}` is replaced", AUTHORIZE_URL),
    flag("follow_api_domain", True, "OAuth: call the host that comes with the token instead of the one in `url`"),
    file("ca_file", "certificates to trust instead of the public ones, for a proxy or a test system"),
    whole_number("limit_per_minute", 200, "calls a minute that the account admits; 0 switches the limiter off"),
    number("guard_s", 0.5, "the limiter's window is longer than a minute by this (traffic.md)"),
    whole_number("reserve", 0, "calls of the limit that are left to other apps in the same pool (traffic.md)"),
    number("patience_s", 5.0, "the longest wait for a slot before the records are given back"),
    whole_number("concurrency", 4, "calls under way at a time", least=1),
    number("connect_s", 5.0, "time-out of a connection", least=0.1),
    number("read_s", 30.0, "time-out of an answer", least=0.1),
    whole_number("page_size", 500, "rows of one page of a search", least=2),
    number("lag_s", 5.0, "how late a change may appear in a search"),
    number("overlap_s", 60.0, "how far back a feed is read again"),
    choice("webhook_auth", ("body", "path"), "body", "where webhooks have their secret (webhooks.md)"),
    names(
        "events_not_subscribable",
        "events that the account does not let webhooks subscribe to, with all events under them",
        ("order.created", "contact"),
    ),
)

SECRETS = (
    DeclaredSecret("account_token", "the account token of a private app", "auth: private"),
    DeclaredSecret("staff_token", "the token of a private staff app", "auth: staff"),
    DeclaredSecret("client_secret", "OAuth: only if the app is confidential; it goes with each request for a token"),
    DeclaredSecret(
        "refresh_token",
        "OAuth: `syncengine authorise` stores it. Give it only if another program has obtained one; renewed ones are kept",
    ),
)


def declared(resources: Iterable[type[Source]]) -> tuple[DeclaredSetting, ...]:
    """All settings: those of every endpoint, those of stock and of goods-out notes, and two for each kind of object."""
    of_kinds = (setting for kind in resources for setting in _of_kind(kind))
    return (*_OF_EVERY_ENDPOINT, *stock_settings.SETTINGS, *goods_out_settings.SETTINGS, *of_kinds)


def _of_kind(kind: type[Source]) -> tuple[DeclaredSetting, ...]:
    short = kind.name.partition(".")[2]
    return (
        whole_number(f"{short}_per_read", kind.most_per_read, f"objects per GET of `{kind.name}`", least=1),
        names(f"{short}_optional", f"optional sections read with `{kind.name}` (includeOptional): `[customFields]`"),
    )

"""What an endpoint of Brightpearl can set, checked once when the connector is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from syncengine.connectors import base
from syncengine.connectors.base import Endpoint, Source
from syncengine.errors import Misconfigured
from syncengine.http.limiter import Pool
from syncengine.http.session import Timeouts
from syncengine.redaction import redact

AUTH = ("oauth", "private", "staff")
TOKEN_URL = "https://oauth.brightpearlapp.com/token/{account}"  # noqa: S105 - newest documents, brightpearl.md section 2.2
AUTHORIZE_URL = "https://oauth.brightpearl.com/authorize/{account}"  # as above, step 1


@dataclass(frozen=True, slots=True)
class Account:
    """The settings of one endpoint: one Brightpearl account, reached as one app. Durations in seconds.

    most_per_read, optional: objects per GET and optional sections, by kind of object (`sales_order`).
    """

    name: str
    prefix: str  # https://HOST/public-api/ACCOUNT
    account: str
    app_ref: str
    dev_ref: str
    auth: str
    token_url: str
    authorize_url: str
    redirect_uri: str  # empty where it is not set: only giving consent needs it
    follow_api_domain: bool
    pool: Pool | None
    timeouts: Timeouts
    ca_file: str | None
    patience_s: float
    concurrency: int
    page_size: int
    lag: timedelta
    overlap: timedelta
    most_per_read: Mapping[str, int] = field(default_factory=dict)
    optional: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def prefix_at(self, api_domain: str | None) -> str:
        """The prefix of all URIs, at the host that the token endpoint named (brightpearl.md section 1), if it did."""
        if not api_domain or not self.follow_api_domain:
            return self.prefix
        parts = urlsplit(self.prefix)
        return f"{parts.scheme}://{api_domain}{parts.path}"


def read(endpoint: Endpoint, resources: Iterable[type[Source]]) -> Account:
    """The checked settings. Raises Misconfigured with the setting, its value and the remedy.

    Args:
        resources: the classes that the endpoint has; each kind has the settings KIND_per_read and KIND_optional.
    """
    limits = {kind.name.partition(".")[2]: kind.most_per_read for kind in resources}
    given = _Given(endpoint)
    given.refuse_unknown(limits)
    account = given.text("account", "the account code, as shown in the address of the Brightpearl user interface")
    auth = given.one_of("auth", AUTH, "oauth")
    app_ref = given.text("app_ref", "the reference of the app, from Brightpearl's developer tools")
    dev_ref = given.text("dev_ref", "the developer reference, which OAuth apps send") if auth == "oauth" else ""
    return Account(
        name=endpoint.name,
        prefix=given.prefix(account),
        account=account,
        app_ref=app_ref,
        dev_ref=dev_ref or given.text("dev_ref", "the developer reference", default=""),
        auth=auth,
        token_url=given.text("token_url", "an address", default=TOKEN_URL).replace("{account}", account),
        authorize_url=given.text("authorize_url", "an address", default=AUTHORIZE_URL).replace("{account}", account),
        redirect_uri=given.text("redirect_uri", "an address", default=""),
        follow_api_domain=given.flag("follow_api_domain", True),
        pool=_pool(given, account, dev_ref if auth == "oauth" else "private"),
        timeouts=Timeouts(given.number("connect_s", 5.0, least=0.1), given.number("read_s", 30.0, least=0.1)),
        ca_file=given.text("ca_file", "a file", default="") or None,
        patience_s=given.number("patience_s", 5.0),
        concurrency=given.whole_number("concurrency", 4, least=1),
        page_size=given.whole_number("page_size", 500, least=2),
        lag=timedelta(seconds=given.number("lag_s", 5.0)),
        overlap=timedelta(seconds=given.number("overlap_s", 60.0)),
        most_per_read={kind: given.whole_number(f"{kind}_per_read", most, least=1) for kind, most in limits.items()},
        optional={kind: given.names(f"{kind}_optional") for kind in limits},
    )


def account_of(endpoint: Endpoint) -> base.Account:
    """The account code, as the setting says it and as the URL carries it: both decide whose objects are read (section 1)."""
    code = str(endpoint.settings.get("account") or "").strip()
    host, _, path = base.address(str(endpoint.settings.get("url") or "")).partition("/")
    path = path or f"public-api/{code.casefold()}"
    return base.Account({"account": code, "account in url": path.rpartition("/")[2]}, f"{host}/{path}")


def _pool(given: _Given, account: str, app: str) -> Pool | None:
    """Private apps of an account share one pool, OAuth apps have one per account and developer (section 5)."""
    limit = given.whole_number("limit_per_minute", 200)
    if limit == 0:
        return None
    guard_s, reserve = given.number("guard_s", 0.5), given.whole_number("reserve", 0)
    return Pool(f"brightpearl:{account}:{app}", limit=limit, guard_s=guard_s, reserve=reserve)


class _Given:
    """The settings as they were given, taken out one by one with a check."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._settings = endpoint.settings

    def text(self, name: str, what: str, default: str | None = None) -> str:
        value = self._settings.get(name, default)
        if value is None or (default is None and not str(value).strip()):
            raise self._wrong(name, value, f"set it to {what}")
        return str(value).strip()

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = str(self._settings.get(name, default))
        if value not in choices:
            raise self._wrong(name, value, f"set it to one of {', '.join(choices)}")
        return value

    def number(self, name: str, default: float, least: float = 0.0) -> float:
        value = self._settings.get(name, default)
        try:
            number = float(str(value))
        except ValueError:
            number = -1.0
        if isinstance(value, bool) or not least <= number < float("inf"):
            raise self._wrong(name, value, f"set it to a number of at least {least:g}")
        return number

    def whole_number(self, name: str, default: int, least: int = 0) -> int:
        number = self.number(name, default, least)
        if not number.is_integer():
            raise self._wrong(name, self._settings.get(name), f"set it to a whole number of at least {least}")
        return int(number)

    def flag(self, name: str, default: bool) -> bool:
        value = self._settings.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "set it to true or false")
        return value

    def names(self, name: str) -> tuple[str, ...]:
        value = self._settings.get(name, [])
        if not isinstance(value, list | tuple) or not all(re.fullmatch(r"\w+", str(item)) for item in value):
            raise self._wrong(name, value, "set it to a list of names, for example [customFields]")
        return tuple(map(str, value))

    def prefix(self, account: str) -> str:
        """`url` is the whole prefix, or only scheme and host (brightpearl.md section 1)."""
        what = f"https://HOST, for example https://euw1.brightpearlconnect.com, or https://HOST/public-api/{account}"
        url = self.text("url", what).rstrip("/")
        parts = urlsplit(url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
        ):
            raise self._wrong("url", f"{parts.scheme}://{parts.hostname or ''}{parts.path}", f"set it to {what}")
        return url if parts.path else f"{url}/public-api/{account}"

    def refuse_unknown(self, kinds: Iterable[str]) -> None:
        """A misspelt setting would be ignored in silence."""
        known = {*_KNOWN, *(f"{kind}_{what}" for kind in kinds for what in ("per_read", "optional"))}
        for name in self._settings:
            if name not in known:
                raise self._wrong(
                    name, self._settings[name], f"there is no such setting; use one of {', '.join(sorted(known))}"
                )

    def _wrong(self, name: str, value: Any, remedy: str) -> Misconfigured:
        return Misconfigured(f"endpoint {self._endpoint.name}: setting {name} = {redact(value, name)!r}: {remedy}")


_KNOWN = {
    *("url", "account", "app_ref", "dev_ref", "auth", "follow_api_domain", "ca_file"),
    *("token_url", "authorize_url", "redirect_uri"),
    *("limit_per_minute", "guard_s", "reserve", "patience_s", "concurrency"),
    *("connect_s", "read_s", "page_size", "lag_s", "overlap_s"),
}

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
from syncengine.connectors.brightpearl.declared_settings import declared
from syncengine.connectors.brightpearl.goods_out_settings import GoodsOutSettings
from syncengine.connectors.brightpearl.stock_settings import StockSettings
from syncengine.connectors.declared import DeclaredSetting, by_name
from syncengine.errors import Misconfigured
from syncengine.http.limiter import Pool
from syncengine.http.timeouts import Timeouts
from syncengine.redaction import redact


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
    stock: StockSettings
    goods_out: GoodsOutSettings
    hook_secret_in_path: bool
    events_not_subscribable: tuple[str, ...]
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
    kinds = list(resources)
    given = _Given(endpoint, declared(kinds))
    short = [kind.name.partition(".")[2] for kind in kinds]
    account, auth = given.text("account"), given.choice("auth")
    dev_ref = given.text("dev_ref", needed=auth == "oauth")
    return Account(
        name=endpoint.name,
        prefix=given.prefix(account),
        account=account,
        app_ref=given.text("app_ref"),
        dev_ref=dev_ref,
        auth=auth,
        token_url=given.text("token_url").replace("{account}", account),
        authorize_url=given.text("authorize_url").replace("{account}", account),
        redirect_uri=given.text("redirect_uri"),
        follow_api_domain=given.flag("follow_api_domain"),
        pool=_pool(given, account, dev_ref if auth == "oauth" else "private"),
        timeouts=Timeouts(given.number("connect_s"), given.number("read_s")),
        ca_file=given.text("ca_file") or None,
        patience_s=given.number("patience_s"),
        concurrency=given.whole_number("concurrency"),
        page_size=given.whole_number("page_size"),
        lag=timedelta(seconds=given.number("lag_s")),
        overlap=timedelta(seconds=given.number("overlap_s")),
        stock=_stock(given),
        goods_out=_goods_out(given),
        hook_secret_in_path=given.choice("webhook_auth") == "path",
        events_not_subscribable=given.names("events_not_subscribable"),
        most_per_read={kind: given.whole_number(f"{kind}_per_read") for kind in short},
        optional={kind: given.names(f"{kind}_optional") for kind in short},
    )


def account_of(endpoint: Endpoint) -> base.Account:
    """The account code, as the setting says it and as the URL carries it: both decide whose objects are read (section 1)."""
    code = str(endpoint.settings.get("account") or "").strip()
    host, _, path = base.address(str(endpoint.settings.get("url") or "")).partition("/")
    path = path or f"public-api/{code.casefold()}"
    return base.Account({"account": code, "account in url": path.rpartition("/")[2]}, f"{host}/{path}")


def _stock(given: _Given) -> StockSettings:
    return StockSettings(
        corrections_per_call=given.whole_number("corrections_per_call"),
        correction_reason=given.text("correction_reason", needed=True),
        refused_corrections=given.choice("refused_corrections"),
        correction_settle_s=given.number("correction_settle_s"),
        cost_currency=given.text("cost_currency"),
        stock_by_location=given.flag("stock_by_location"),
        location_section=given.text("location_section", needed=True),
        quarantine_in_stock=given.flag("quarantine_in_stock"),
        sku_searches=given.whole_number("sku_searches"),
        products_s=given.number("products_s"),
    )


def _goods_out(given: _Given) -> GoodsOutSettings:
    return GoodsOutSettings(
        goods_out_type_code=given.text("goods_out_type_code"),
        goods_movements_appear=given.choice("goods_movements_appear"),
        goods_out_owner_id=given.whole_number("goods_out_owner_id"),
        goods_out_settle_s=given.number("goods_out_settle_s"),
        goods_out_undone_days=given.number("goods_out_undone_days"),
    )


def _pool(given: _Given, account: str, app: str) -> Pool | None:
    """Private apps of an account share one pool, OAuth apps have one per account and developer (section 5)."""
    limit = given.whole_number("limit_per_minute")
    if limit == 0:
        return None
    guard_s, reserve = given.number("guard_s"), given.whole_number("reserve")
    return Pool(f"brightpearl:{account}:{app}", limit=limit, guard_s=guard_s, reserve=reserve)


class _Given:
    """The settings as they were given, taken out one by one with a check against their declaration."""

    def __init__(self, endpoint: Endpoint, known: Iterable[DeclaredSetting]) -> None:
        self._endpoint = endpoint
        self._settings = endpoint.settings
        self._known = by_name(known)
        self._refuse_unknown()

    def _get(self, name: str) -> Any:
        return self._settings.get(name, self._known[name].default)

    def text(self, name: str, *, needed: bool = False) -> str:
        """A text; one that is `needed`, or has no default, must not be blank."""
        value, setting = self._get(name), self._known[name]
        is_needed = needed or setting.default is None
        if value is None or (is_needed and not str(value).strip()):
            raise self._wrong(name, self._settings.get(name), f"set it to {setting.about}")
        return str(value).strip()

    def choice(self, name: str) -> str:
        value, choices = str(self._get(name)), self._known[name].choices
        if value not in choices:
            raise self._wrong(name, value, f"set it to one of {', '.join(choices)}")
        return value

    def number(self, name: str) -> float:
        value, least = self._get(name), self._known[name].least
        try:
            number = float(str(value))
        except ValueError:
            number = -1.0
        if isinstance(value, bool) or not least <= number < float("inf"):
            raise self._wrong(name, value, f"set it to a number of at least {least:g}")
        return number

    def whole_number(self, name: str) -> int:
        number = self.number(name)
        if not number.is_integer():
            raise self._wrong(
                name, self._settings.get(name), f"set it to a whole number of at least {self._known[name].least:g}"
            )
        return int(number)

    def flag(self, name: str) -> bool:
        value = self._get(name)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "set it to true or false")
        return value

    def names(self, name: str) -> tuple[str, ...]:
        value = self._get(name)
        if not isinstance(value, list | tuple) or not all(re.fullmatch(r"[\w.-]+", str(item)) for item in value):
            raise self._wrong(name, value, "set it to a list of names, for example [customFields]")
        return tuple(map(str, value))

    def prefix(self, account: str) -> str:
        """`url` is the whole prefix, or only scheme and host (brightpearl.md section 1)."""
        url = self.text("url").rstrip("/")
        parts = urlsplit(url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
        ):
            shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
            raise self._wrong("url", shown, f"set it to {self._known['url'].about}")
        return url if parts.path else f"{url}/public-api/{account}"

    def _refuse_unknown(self) -> None:
        """A misspelt setting would be ignored in silence."""
        for name, value in self._settings.items():
            if name not in self._known:
                raise self._wrong(name, value, f"there is no such setting; use one of {', '.join(sorted(self._known))}")

    def _wrong(self, name: str, value: Any, remedy: str) -> Misconfigured:
        says = f"endpoint {self._endpoint.name}: setting {name} = {redact(value, name)!r}"
        return Misconfigured(says, f"{remedy[0].upper()}{remedy[1:]}", setting=name)

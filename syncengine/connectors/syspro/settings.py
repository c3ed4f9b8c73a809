"""The settings of a SYSPRO endpoint, read once and checked. What one kind of object adds is declared by its resource.

Facts behind the defaults: syspro-transport.md sections 2.2 (size of a GET), 5 (logon) and 14.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from syncengine.connectors.base import Account, Endpoint, address
from syncengine.connectors.declared import DeclaredSetting, by_name, flag, table
from syncengine.connectors.syspro.declared_settings import DEFAULT_INSTANCE, OF_EVERY_ENDPOINT, PATTERNS
from syncengine.errors import Misconfigured
from syncengine.vault import Vault

GIVE_SECRET = "Give it under secrets: in syncengine.yml, then run `syncengine configure`"  # noqa: S105 - a remedy


class Parametrised(Protocol):
    """What settings need of a business object: its name, its own parameters, and the setting that changes these."""

    @property
    def name(self) -> str:
        """Its code."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """Its own parameters."""

    @property
    def setting(self) -> str:
        """The setting that changes its parameters."""


class Declares(Protocol):
    """What settings need of a resource class: the settings that it adds (`resources/source.py`)."""

    name: ClassVar[str]
    numeric_keys: ClassVar[Mapping[str, str]]
    settings: ClassVar[tuple[DeclaredSetting, ...]]

    @classmethod
    def options(cls, given: SettingsReader, /) -> Any:
        """Its own settings, read and checked. Raises Misconfigured."""

    @classmethod
    def business_objects(cls) -> tuple[Parametrised, ...]:
        """The business objects whose parameters an endpoint can set."""


def declared(kinds: Iterable[type[Declares]]) -> tuple[DeclaredSetting, ...]:
    """All settings of an endpoint: those of every endpoint, and what its kinds of objects add."""
    found = list(OF_EVERY_ENDPOINT)
    for kind in kinds:
        found += kind.settings
        found += [
            flag(name, False, f"the site stores {element} as 15 digits with leading zeros")
            for element, name in kind.numeric_keys.items()
        ]
        found += [
            table(used.setting, f"parameters of {used.name} that replace those of {kind.name}: `{{NAME: VALUE}}`")
            for used in kind.business_objects()
        ]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the endpoint's settings say. Times in seconds, sizes in bytes."""

    endpoint: Endpoint
    gateway: str
    url: str
    operator: str
    company: str
    language: str
    instance: str
    auth: str
    token_url: str
    client_id: str
    scope: str
    api_key_header: str
    session_header: str
    ca_file: str | None
    connect_timeout_s: float
    read_timeout_s: float
    settle_s: float
    read_settle_s: float
    prove_session_after_s: float
    seat_patience_s: float
    logons_per_minute: int
    get_limit_bytes: int
    most_per_read: int
    find_at_once: int
    upper_case_codes: bool
    characters: str
    syspro_version: str = ""
    numeric_keys: frozenset[str] = frozenset()  # elements whose keys the site stores as 15 digits
    parameters: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict
    )  # by business object, as the endpoint sets them
    options: Mapping[str, Any] = field(default_factory=dict)  # by resource, what its `options` read
    unread_columns: tuple[str, ...] = ()  # `Column` in every table, or `Table.Column`: what COMFND is not asked for
    widths: Mapping[str, int] = field(default_factory=dict)
    patterns: Mapping[str, re.Pattern[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, endpoint: Endpoint, resources: Iterable[type[Declares]]) -> Settings:
        """The checked settings; `resources` are the classes that the endpoint has, each with settings of its own.

        Raises Misconfigured: endpoint, setting, value and what to set instead.
        """
        kinds = list(resources)
        read = SettingsReader(endpoint, declared(kinds))
        gateway = read.choice("gateway")
        auth = read.choice("auth") if gateway == "harmony" else "session"
        with_session = auth == "session"
        settings = cls(
            endpoint=endpoint,
            gateway=gateway,
            url=read.url("url"),
            operator=read.text("operator", needed=with_session),
            company=read.text("company", needed=with_session),
            language=read.text("language"),
            instance=read.text("instance"),
            auth=auth,
            token_url=read.url("token_url") if auth == "oauth" else "",
            client_id=read.text("client_id", needed=auth == "oauth"),
            scope=read.text("scope"),
            api_key_header=read.text("api_key_header"),
            session_header=read.text("session_header"),
            ca_file=read.text("ca_file") or None,
            connect_timeout_s=read.number("connect_timeout_s"),
            read_timeout_s=read.number("read_timeout_s"),
            settle_s=read.number("settle_s"),
            read_settle_s=read.number("read_settle_s"),
            prove_session_after_s=read.number("prove_session_after_s"),
            seat_patience_s=read.number("seat_patience_s"),
            logons_per_minute=read.whole_number("logons_per_minute"),
            get_limit_bytes=read.whole_number("get_limit_bytes"),
            most_per_read=read.whole_number("most_per_read"),
            find_at_once=read.whole_number("find_at_once"),
            upper_case_codes=read.flag("upper_case_codes"),
            characters=read.choice("characters"),
            syspro_version=read.choice("syspro_version"),
            numeric_keys=_numeric_keys(read, kinds),
            parameters=_parameters(read, kinds),
            options={kind.name: kind.options(read) for kind in kinds},
            unread_columns=tuple(read.text("unread_columns").replace(",", " ").split()),
            widths=read.widths("widths"),
            patterns={setting.name: read.pattern(setting.name) for setting in PATTERNS},
        )
        read.nothing_misspelled()
        return settings

    def asks_for(self, table: str, column: str) -> bool:
        """Whether COMFND is asked for a column, as the setting `unread_columns` has it."""
        return column not in self.unread_columns and f"{table}.{column}" not in self.unread_columns

    def parameters_of(self, used: Parametrised, **more: str) -> dict[str, str]:
        """The XmlParameters of a call: the object's own, those that the endpoint sets, and `more`, the later before."""
        return {**used.parameters, **self.parameters.get(used.name, {}), **more}


def _numeric_keys(read: SettingsReader, kinds: Iterable[type[Declares]]) -> frozenset[str]:
    flags = [(element, name) for kind in kinds for element, name in kind.numeric_keys.items()]
    return frozenset(element for element, name in flags if read.flag(name))


def _parameters(read: SettingsReader, kinds: Iterable[type[Declares]]) -> dict[str, dict[str, str]]:
    return {used.name: read.texts(used.setting) for kind in kinds for used in kind.business_objects()}


def account_of(endpoint: Endpoint) -> Account:
    """Company and instance of SYSPRO (syspro-transport.md section 5.1); the address is that of the gateway."""
    given = endpoint.settings
    parts = {"company": given.get("company"), "instance": given.get("instance") or DEFAULT_INSTANCE}
    named = {name: str(value if value is not None else "").strip() for name, value in parts.items()}
    return Account(named, address(str(given.get("url") or "")))


class SettingsReader:
    """Reads one setting at a time by its declaration; each complaint is a Misconfigured that names endpoint, setting, value
    and remedy."""

    def __init__(self, endpoint: Endpoint, known: Iterable[DeclaredSetting]) -> None:
        self._endpoint = endpoint
        self._known = by_name(known)

    def _get(self, name: str) -> Any:
        value, default = self._endpoint.settings.get(name), self._known[name].default
        return ("" if default is None else default) if value is None else value

    def _wrong(self, name: str, value: Any, remedy: str) -> Misconfigured:
        return Misconfigured(f"endpoint {self._endpoint.name}: setting {name} = {value!r}", remedy, setting=name)

    def text(self, name: str, *, needed: bool = False) -> str:
        """A text without blanks at its ends; `needed`: it may not be empty."""
        value = self._get(name)
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise self._wrong(name, value, "Set it to a text")
        if needed and not str(value).strip():
            raise self._wrong(name, value, "It is missing; set it in the endpoint's settings")
        return str(value).strip()

    def url(self, name: str) -> str:
        """An address, without a slash at its end."""
        value = self.text(name, needed=True)
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise self._wrong(name, value, "Set it to an address like https://syspro.example.com:30661")
        return value.rstrip("/")

    def number(self, name: str) -> float:
        """A number, at least the declared one."""
        value, least = self._get(name), self._known[name].least
        try:
            shown = float(str(value))
        except ValueError:
            raise self._wrong(name, value, f"Set it to a number of at least {least:g}") from None
        if not least <= shown < 1e9:
            raise self._wrong(name, value, f"Set it to a number of at least {least:g}")
        return shown

    def whole_number(self, name: str) -> int:
        """A whole number, at least the declared one."""
        value = self.number(name)
        if value != int(value):
            raise self._wrong(name, value, f"Set it to a whole number of at least {self._known[name].least:g}")
        return int(value)

    def flag(self, name: str) -> bool:
        """True or false, also as yes or no."""
        value = self._get(name)
        shown = {"true": True, "yes": True, "y": True, "false": False, "no": False, "n": False}.get(str(value).lower())
        if shown is None:
            raise self._wrong(name, value, "Set it to true or false")
        return shown

    def choice(self, name: str) -> str:
        """One of the declared choices, in their spelling."""
        value, choices = self._get(name), self._known[name].choices
        for choice in choices:
            if str(value).lower() == choice.lower():
                return choice
        raise self._wrong(name, value, f"Set it to one of {', '.join(filter(None, choices))}")

    def texts(self, name: str) -> dict[str, str]:
        """A table of texts."""
        value = self._get(name)
        if not isinstance(value, Mapping) or not all(isinstance(item, str | int) for item in value.values()):
            raise self._wrong(name, value, "Set it to parameter names with texts, as in {AllocationAction: A}")
        return {str(key): str(item) for key, item in value.items()}

    def widths(self, name: str) -> dict[str, int]:
        """A table of widths in characters."""
        value = self._get(name)
        if not isinstance(value, Mapping) or not all(type(item) is int and item > 0 for item in value.values()):
            raise self._wrong(name, value, "Set it to element names with widths, as in {OrderHeader.SpecialInstrs: 50}")
        return {str(key): int(item) for key, item in value.items()}

    def pattern(self, name: str) -> re.Pattern[str]:
        """A regular expression that ignores case."""
        value = self.text(name)
        try:
            return re.compile(value, re.IGNORECASE | re.DOTALL)
        except re.error as error:
            raise self._wrong(name, value, f"It is not a regular expression: {error}") from None

    def nothing_misspelled(self) -> None:
        """A misspelled setting would silently leave its default in force; other parts' names are let through."""
        for name, value in self._endpoint.settings.items():
            close = get_close_matches(name, self._known, 1, cutoff=0.8)
            if name not in self._known and close:
                raise self._wrong(name, value, f"There is no such setting; did you mean {close[0]}?")


def secret(vault: Vault, settings: Settings, name: str) -> str:
    """A secret of the endpoint. Raises Misconfigured if the vault has none of that name."""
    value = vault.read(settings.endpoint.id, name)
    if value is None:
        raise Misconfigured(
            f"endpoint {settings.endpoint.name}: its secret {name} is not stored",
            GIVE_SECRET,
        )
    return value

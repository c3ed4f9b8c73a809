"""The settings of an installation, read once from the environment and `.env`. `.env.example` lists the variables.

Every setting has a default that works on a laptop: an embedded Redis, SQLite and a key file in the data folder. An invalid
value raises `Misconfigured` with the variable, the value and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from syncengine import addresses, environment, keys
from syncengine.errors import Misconfigured
from syncengine.redaction import redact_url

REDIS_PREFIX = "syncengine:"
"""The prefix of all queue keys: one Redis may serve several applications."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LEAST_EVENT_DAYS = 31
"""One day more than the database refuses to remove (migration 0004), because its clock may differ from ours."""

LEAST_SLACK_S = 2.0  # a renewed lease must leave time between the renewal and the call


def _setting(variable: str, default: Any, *, least: float | None = None, most: float | None = None) -> Any:
    """A number that an installation may set by `variable`, from `least` to `most`."""
    return field(default=default, metadata={"variable": variable, "least": least, "most": most})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process. Durations are seconds."""

    home: Path
    """Data folder: SQLite, embedded Redis, key file, logs, process control. Default: `./var`."""

    database_url: str = field(repr=False)
    """The store, as SQLAlchemy reads it: postgresql://USER:PASSWORD@HOST/NAME. Default: a SQLite file in the data folder."""

    redis_url: str | None = field(default=None, repr=False)
    """Broker and limiter: redis://, rediss://, redis+socket:// or sentinel://. Default: `syncengine up` runs its own."""

    redis_master: str = ""
    """Name of the Sentinel master, needed with a `sentinel://` address."""

    config_path: Path = Path("syncengine.yml")
    """Endpoints and connections of the installation. Default: `./syncengine.yml`, which need not exist."""

    flows_path: Path | None = None
    """Folder of the site's own flows. Default: `flows.d` beside the configuration file, else `./flows.d`.

    `syncengine configure` applies it; other processes use the folder that was applied last.
    """

    is_flows_path_given: bool = False
    """True if `SYNCENGINE_FLOWS` names the folder."""

    given_keys: tuple[str, ...] = field(default=(), repr=False)
    """Encryption keys, newest first, separated by commas; `syncengine keys new` makes one. Default: those of the key file.

    Code reads `keys`.
    """

    key_file: Path = Path("var/key")
    """The key file, used if `SYNCENGINE_KEYS` is empty. Default: `key` in the data folder."""

    may_make_key: bool = False
    """True only for the default store: another store may contain data encrypted with a key kept elsewhere."""

    call_s: float = _setting("SYNCENGINE_CALL_S", 36.0, least=1, most=300)
    """The longest HTTP call; above the time-outs of every endpoint (connect and read, by default 5 and 30)."""

    lease_s: float = _setting("SYNCENGINE_LEASE_S", 45.0, least=3, most=600)
    """How long a record stays with a worker that gives no sign of life; at least 2 s more than the longest HTTP call."""

    step_limit_s: float = _setting("SYNCENGINE_STEP_LIMIT_S", 60.0, least=1, most=200)
    """How long a step works before it gives its remaining records back; well below Celery's soft limit of 240 s."""

    fresh_s: float = _setting("SYNCENGINE_FRESH_S", 300.0, least=0, most=86_400)
    """Maximum age of a fetched document; an older one is fetched again."""

    picture_s: float = _setting("SYNCENGINE_PICTURE_S", 30.0, least=1, most=3600)
    """Maximum age of a target document before a change is written; an older one is compared with the target first."""

    retry_max_s: float = _setting("SYNCENGINE_RETRY_MAX_S", 15.0, least=1, most=300)
    """Longest wait as a Celery retry, at most a third of the visibility timeout (900 s); longer waits are kept in SQL."""

    backoff_max_s: float = _setting("SYNCENGINE_BACKOFF_MAX_S", 300.0, least=1, most=86_400)
    """Longest back-off of one record (its `not_before`)."""

    recheck_s: float = _setting("SYNCENGINE_RECHECK_S", 3600.0, least=1, most=604_800)
    """How often a held record is planned again automatically."""

    pump_every_s: float = _setting("SYNCENGINE_PUMP_EVERY_S", 3.0, least=0.1, most=60)
    """How often beat runs the pump. It also runs after every `want` and at the end of every chain."""

    max_crashes: int = _setting("SYNCENGINE_MAX_CRASHES", 3, least=1, most=100)
    """How many workers a record may crash, alone in its batch, before it becomes a dead letter."""

    max_tries: int = _setting("SYNCENGINE_MAX_TRIES", 8, least=1, most=1000)
    """How often a record may fail alone, while its endpoint accepts other calls, before it becomes a dead letter."""

    max_sends: int = _setting("SYNCENGINE_MAX_SENDS", 5, least=1, most=100)
    """How often a write with unknown outcome is sent before it is held for a person."""

    workers: int = _setting("SYNCENGINE_WORKERS", 2, least=1, most=256)
    """Processes of the worker for the lanes scheduled and backfill, over all hosts: the maximum number of chains per lane."""

    realtime_workers: int = _setting("SYNCENGINE_REALTIME_WORKERS", 1, least=1, most=256)
    """Processes of the worker for the realtime lane, over all hosts."""

    breaker_calls: int = _setting("SYNCENGINE_BREAKER_CALLS", 3, least=2, most=1000)
    """Minimum number of calls to an endpoint within the window before its breaker may open."""

    breaker_percent: int = _setting("SYNCENGINE_BREAKER_PERCENT", 50, least=1, most=100)
    """Share of these calls, in percent, that must have failed for the breaker to open."""

    breaker_window_s: float = _setting("SYNCENGINE_BREAKER_WINDOW_S", 30.0, least=5, most=600)
    """The rolling window in which a breaker counts."""

    breaker_first_s: float = _setting("SYNCENGINE_BREAKER_FIRST_S", 2.0, least=0.1, most=600)
    """How long an endpoint that is down rests before its first probe; twice as long after each probe that fails."""

    breaker_most_s: float = _setting("SYNCENGINE_BREAKER_MOST_S", 60.0, least=0.1, most=3600)
    """The longest rest of an endpoint."""

    canary_every_s: float = _setting("SYNCENGINE_CANARY_EVERY_S", 15.0, least=1, most=600)
    """How often beat sends a canary through each lane's queue."""

    stalled_s: float = _setting("SYNCENGINE_STALLED_S", 120.0, least=10, most=86_400)
    """How long work may make no progress before `syncengine health` fails; well above the canary's interval."""

    deaf_s: float = _setting("SYNCENGINE_DEAF_S", 25.0, least=8, most=600)
    """How long a worker may receive nothing although Redis answers; then it ends, and its supervisor restarts it.

    Longer than a worker needs to reconnect after an outage of the broker (6 s).
    """

    alert_urls: tuple[str, ...] = field(default=(), repr=False)
    """Apprise addresses that receive alerts. They contain secrets and are never shown. Default: none."""

    alert_every_s: float = _setting("SYNCENGINE_ALERT_EVERY_S", 15.0, least=1, most=600)
    """How often beat runs the watcher, which raises alerts."""

    alert_repeat_s: float = _setting("SYNCENGINE_ALERT_REPEAT_S", 14_400.0, least=60, most=2_592_000)
    """Interval at which an ongoing alert is sent again."""

    alert_window_s: float = _setting("SYNCENGINE_ALERT_WINDOW_S", 600.0, least=10, most=86_400)
    """The window in which absent linked objects are counted for `alert_gone`."""

    alert_dead_letters: int = _setting("SYNCENGINE_ALERT_DEAD_LETTERS", 10, least=1, most=100_000)
    """Number of open dead letters of one flow and cause that raises an alert."""

    alert_gone: int = _setting("SYNCENGINE_ALERT_GONE", 5, least=1, most=100_000)
    """Number of linked objects, absent within the window, that raises an alert: their system was wiped or restored."""

    alert_oldest_s: float = _setting("SYNCENGINE_ALERT_OLDEST_S", 1800.0, least=30, most=2_592_000)
    """A record that has been due for longer than this raises an alert."""

    keep_events_days: int = _setting("SYNCENGINE_KEEP_EVENTS_DAYS", 400, least=0, most=36_500)
    """How long the timeline is kept; 0 for ever, otherwise at least 31: the database refuses to delete the last month.

    400 days cover a year and the same month of the year before, as the year-end close and auditors need.
    """

    keep_writes_days: int = _setting("SYNCENGINE_KEEP_WRITES_DAYS", 400, least=0, most=36_500)
    """How long `syncengine trace` lists changes and refused writes; 0 for ever.

    As long as the timeline that shows them. Completed creates are kept for ever: they prevent a second create.
    """

    keep_letters_days: int = _setting("SYNCENGINE_KEEP_LETTERS_DAYS", 400, least=0, most=36_500)
    """How long closed dead letters, lapsed corrections and lapsed decisions are kept; 0 for ever."""

    keep_documents_days: int = _setting("SYNCENGINE_KEEP_DOCUMENTS_DAYS", 90, least=0, most=36_500)
    """How long documents of inactive records and of sent writes are kept; 0 for ever.

    They contain customers' names and addresses, so keep them only as long as needed: 90 days cover returns and the disputes
    of a quarter, and both systems have the documents. As long as a dead letter is kept, so is its record's document.
    """

    keep_runs_days: int = _setting("SYNCENGINE_KEEP_RUNS_DAYS", 90, least=0, most=36_500)
    """How long runs of syncs are kept, except the latest of each flow; 0 for ever."""

    keep_alerts_days: int = _setting("SYNCENGINE_KEEP_ALERTS_DAYS", 90, least=0, most=36_500)
    """How long resolved alerts are kept; 0 for ever. `syncengine alerts list --all` shows a month of them."""

    alert_waiting_s: float = _setting("SYNCENGINE_ALERT_WAITING_S", 86_400.0, least=60, most=31_536_000)
    """A record that has waited for another object, or has been held, for longer than this raises an alert."""

    flower_port: int = _setting("SYNCENGINE_FLOWER_PORT", 5555, least=1, most=65_535)
    """Port on 127.0.0.1 for Flower, started by `syncengine up`."""

    flower_auth: str = field(default="", repr=False)
    """Who may open Flower's pages, USER:PASSWORD. Without it `syncengine up` does not start Flower."""

    web_port: int = _setting("SYNCENGINE_WEB_PORT", 5560, least=0, most=65_535)
    """Port of the web process, which takes webhooks; 0: `syncengine up` does not start it."""

    web_address: str = "127.0.0.1"
    """Address on which the web process listens; behind a proxy that brings TLS. Default: 127.0.0.1."""

    web_workers: int = _setting("SYNCENGINE_WEB_WORKERS", 2, least=1, most=64)
    """Processes that take webhooks."""

    web_threads: int = _setting("SYNCENGINE_WEB_THREADS", 32, least=1, most=512)
    """Threads of each of them: requests at a time."""

    web_url: str = ""
    """The address of the web process as the systems reach it, https://HOST. Webhooks are subscribed to it. Default: none."""

    metrics_token: str = field(default="", repr=False)
    """Who may read `/metrics`: `Authorization: Bearer TOKEN`. Default: none, and only this host may."""

    hint_window_s: float = _setting("SYNCENGINE_HINT_WINDOW_S", 0.1, least=0, most=10)
    """What webhooks tell within this time is read together; the first one leaves at once."""

    log_level: str = "INFO"
    """What is logged: DEBUG, INFO, WARNING or ERROR. Default: INFO."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The Fernet keys, newest first: from the environment, otherwise from the key file.

        Raises Misconfigured if there are none, or the file cannot be read.
        """
        return self.given_keys or keys.from_file(self.key_file)

    @property
    def shown_database(self) -> str:
        """The store's address for display: without user, password and options."""
        return redact_url(self.database_url).replace("sqlite:/", "sqlite:///", 1)

    def folder(self, name: str = "") -> Path:
        """A folder in `home`, accessible only to its owner; created if necessary. Raises Misconfigured if that fails."""
        path = self.home / name
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise addresses.wrong(
                "SYNCENGINE_HOME", str(path), f"a folder to write to ({error.strerror})", "Name another"
            ) from None
        return path


def load(env: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises Misconfigured, naming variable, value and remedy.

    `env` replaces the environment and `.env`. Empty values count as not set. Reads and creates no other file.
    """
    env = {
        name: value.strip() for name, value in (environment.current() if env is None else env).items() if value.strip()
    }
    home = Path(env.get("SYNCENGINE_HOME", "var")).expanduser().absolute()
    if home.exists() and not home.is_dir():
        raise addresses.wrong("SYNCENGINE_HOME", str(home), "a folder", "Name a folder that syncengine may fill")
    settings = Settings(
        home=home,
        database_url=addresses.database_url(env, home),
        redis_url=addresses.redis_url(env),
        redis_master=env.get("SYNCENGINE_REDIS_MASTER", ""),
        config_path=_config_path(env),
        flows_path=_flows_path(env),
        is_flows_path_given="SYNCENGINE_FLOWS" in env,
        given_keys=_given_keys(env),
        key_file=Path(env["SYNCENGINE_KEY_FILE"]).expanduser().absolute()
        if "SYNCENGINE_KEY_FILE" in env
        else home / "key",
        may_make_key="DATABASE_URL" not in env,
        alert_urls=_alert_urls(env),
        flower_auth=_flower_auth(env),
        web_address=env.get("SYNCENGINE_WEB_ADDRESS", "127.0.0.1"),
        web_url=addresses.web_url(env),
        metrics_token=env.get("SYNCENGINE_METRICS_TOKEN", ""),
        log_level=_log_level(env),
        **_numbers(env),
    )
    if settings.redis_url and settings.redis_url.startswith("sentinel") and not settings.redis_master:
        raise Misconfigured("REDIS_URL names Sentinels. Set SYNCENGINE_REDIS_MASTER to the name of their master")
    if 0 < settings.keep_events_days < LEAST_EVENT_DAYS:
        allowed = f"0 (for ever) or at least {LEAST_EVENT_DAYS}"
        remedy = "Change it, or leave it out: the database always keeps a month of the timeline"
        raise addresses.wrong("SYNCENGINE_KEEP_EVENTS_DAYS", str(settings.keep_events_days), allowed, remedy)
    if settings.lease_s < settings.call_s + LEAST_SLACK_S:
        at_least = f"{LEAST_SLACK_S:g} s more than the longest call (SYNCENGINE_CALL_S = {settings.call_s:g})"
        raise addresses.wrong("SYNCENGINE_LEASE_S", f"{settings.lease_s:g}", at_least, "Raise it, or shorten the calls")
    return settings


def variables() -> tuple[str, ...]:
    """Names of all variables that `load` reads."""
    named = tuple(item.metadata["variable"] for item in fields(Settings) if item.metadata)
    return (*TEXT_VARIABLES, *named)


def misspelt(current: Settings) -> list[str]:
    """One line for each `SYNCENGINE_` variable of this process or of `.env` that is not a setting."""
    return environment.unknown(environment.current(), variables(), current.config_path)


TEXT_VARIABLES: Mapping[str, str] = {
    "REDIS_URL": "redis_url",
    "DATABASE_URL": "database_url",
    "SYNCENGINE_HOME": "home",
    "SYNCENGINE_REDIS_MASTER": "redis_master",
    "SYNCENGINE_CONFIG": "config_path",
    "SYNCENGINE_FLOWS": "flows_path",
    "SYNCENGINE_KEYS": "given_keys",
    "SYNCENGINE_KEY_FILE": "key_file",
    "SYNCENGINE_ALERT_URLS": "alert_urls",
    "SYNCENGINE_WEB_ADDRESS": "web_address",
    "SYNCENGINE_WEB_URL": "web_url",
    "SYNCENGINE_METRICS_TOKEN": "metrics_token",
    "SYNCENGINE_LOG_LEVEL": "log_level",
    "FLOWER_BASIC_AUTH": "flower_auth",
}
"""The variables that are not numbers, each with the setting that it sets."""


def _numbers(env: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in fields(Settings):
        variable = item.metadata.get("variable")
        if variable is not None and variable in env:
            found[item.name] = _number(variable, env[variable], type(item.default), item.metadata)
    return found


def _number(variable: str, text: str, kind: Callable[[str], Any], limits: Mapping[str, Any]) -> Any:
    what = "a whole number" if kind is int else "a number of seconds"
    span = f"from {limits['least']:g} to {limits['most']:g}"
    try:
        number = kind(text)
    except ValueError:
        raise addresses.wrong(variable, text, what, f"Write one {span}, or leave it out") from None
    if not limits["least"] <= number <= limits["most"]:  # also false for nan
        raise addresses.wrong(variable, text, f"{what} {span}", "Change it, or leave it out")
    return number


def _config_path(env: Mapping[str, str]) -> Path:
    path = Path(env.get("SYNCENGINE_CONFIG", "syncengine.yml")).expanduser().absolute()
    if "SYNCENGINE_CONFIG" in env and not path.is_file():
        raise addresses.wrong(
            "SYNCENGINE_CONFIG", str(path), "a file", "Name the file with your endpoints and connections"
        )
    return path


def _flows_path(env: Mapping[str, str]) -> Path | None:
    if "SYNCENGINE_FLOWS" in env:
        path = Path(env["SYNCENGINE_FLOWS"]).expanduser().absolute()
        if not path.is_dir():
            raise addresses.wrong(
                "SYNCENGINE_FLOWS", str(path), "a folder", "Name the folder with your flows, or leave it out"
            )
        return path
    places = [_config_path(env).parent / "flows.d", Path("flows.d").absolute()]
    return next((place for place in places if place.is_dir()), None)


def _log_level(env: Mapping[str, str]) -> str:
    level = env.get("SYNCENGINE_LOG_LEVEL", "INFO")
    if level.upper() not in LOG_LEVELS:
        raise addresses.wrong("SYNCENGINE_LOG_LEVEL", level, "a level", f"Write one of {', '.join(LOG_LEVELS)}")
    return level.upper()


def _flower_auth(env: Mapping[str, str]) -> str:
    """One or several USER:PASSWORD, separated by commas, as Flower reads them."""
    given = env.get("FLOWER_BASIC_AUTH", "")
    if given and not all(re.fullmatch(r"[^:]+:.+", login) for login in given.split(",")):
        raise Misconfigured("FLOWER_BASIC_AUTH (not shown) is not USER:PASSWORD. Write both, or leave it out")
    return given


def _given_keys(env: Mapping[str, str]) -> tuple[str, ...]:
    return keys.checked("SYNCENGINE_KEYS", env.get("SYNCENGINE_KEYS", "").replace(",", " ").split())


def _alert_urls(env: Mapping[str, str]) -> tuple[str, ...]:
    """The separate addresses; a comma inside an address belongs to it. Apprise validates them later."""
    urls = re.split(r"[,;]*\s+|[,;]+(?=\w+://)", env.get("SYNCENGINE_ALERT_URLS", ""))
    return tuple(url for url in urls if url)

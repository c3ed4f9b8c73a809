"""What an installation can set, read once from the environment and `.env`; the variables stand in `.env.example`.

Everything has a default that works on a laptop: an embedded Redis, SQLite and a key file in the data folder. A value
that cannot be used raises `Misconfigured` with the variable, the value and what to write instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values

from syncengine import keys
from syncengine.errors import Misconfigured
from syncengine.redaction import redact_url

REDIS_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel")
REDIS_PREFIX = "syncengine:"
"""Before every key of the queues: one Redis may serve several applications."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LEAST_EVENT_DAYS = 31
"""A day more than what the database refuses to remove (migration 0004), as its clock may differ from ours."""

LEAST_SLACK_S = 2.0  # a lease that is renewed must leave time for what happens between the renewal and the call


def _setting(variable: str, default: Any, *, least: float | None = None, most: float | None = None) -> Any:
    """A number that an installation may set by `variable`, from `least` to `most`."""
    return field(default=default, metadata={"variable": variable, "least": least, "most": most})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process. Durations are seconds."""

    home: Path
    """Data folder: SQLite, embedded Redis, key file, logs, process control. `SYNCENGINE_HOME`, default `./var`."""

    database_url: str = field(repr=False)
    """The store, as SQLAlchemy reads it. `DATABASE_URL`, default a SQLite file in `home`."""

    redis_url: str | None = field(default=None, repr=False)
    """Broker and limiter, as kombu reads it; None means the embedded one. `REDIS_URL`."""

    redis_master: str = ""
    """Name of the Sentinel master, needed with a `sentinel://` address. `SYNCENGINE_REDIS_MASTER`."""

    config_path: Path = Path("syncengine.yml")
    """Endpoints and connections of the installation. `SYNCENGINE_CONFIG`; need not exist."""

    flows_path: Path | None = None
    """Folder with flows of one's own. `SYNCENGINE_FLOWS`, default `flows.d` beside the configuration file, else `./flows.d`.

    It is what `configure` takes over; other processes use the folder that was taken over.
    """

    is_flows_path_given: bool = False
    """True if `SYNCENGINE_FLOWS` names the folder."""

    given_keys: tuple[str, ...] = field(default=(), repr=False)
    """Encryption keys from `SYNCENGINE_KEYS`, newest first; empty means the key file. Use `keys`."""

    key_file: Path = Path("var/key")
    """Where the key is kept if none is given. `SYNCENGINE_KEY_FILE`, default `key` in `home`."""

    may_make_key: bool = False
    """True with the default store only: another store may hold what was encrypted with a key that is elsewhere."""

    call_s: float = _setting("SYNCENGINE_CALL_S", 36.0, least=1, most=300)
    """The longest HTTP call; above the time-outs of every endpoint (connect and read, by default 5 and 30)."""

    lease_s: float = _setting("SYNCENGINE_LEASE_S", 45.0, least=3, most=600)
    """How long a claimed record belongs to its worker without a sign of life; above the longest HTTP call by 2 s or more."""

    step_limit_s: float = _setting("SYNCENGINE_STEP_LIMIT_S", 60.0, least=1, most=200)
    """How long a step works before it gives the rest back; well below Celery's soft limit of 240 s."""

    fresh_s: float = _setting("SYNCENGINE_FRESH_S", 300.0, least=0, most=86_400)
    """How old a fetch may be for a record to go on from it without reading again."""

    picture_s: float = _setting("SYNCENGINE_PICTURE_S", 30.0, least=1, most=3600)
    """How old the picture of a target may be from which a change is written; an older one is compared with the target first."""

    retry_max_s: float = _setting("SYNCENGINE_RETRY_MAX_S", 15.0, least=1, most=300)
    """Longest wait as a Celery retry, at most a third of the visibility timeout (900 s); the row keeps longer ones."""

    backoff_max_s: float = _setting("SYNCENGINE_BACKOFF_MAX_S", 300.0, least=1, most=86_400)
    """Longest back-off of one record (its `not_before`)."""

    recheck_s: float = _setting("SYNCENGINE_RECHECK_S", 3600.0, least=1, most=604_800)
    """How often a held record is looked at again by itself."""

    pump_every_s: float = _setting("SYNCENGINE_PUMP_EVERY_S", 3.0, least=0.1, most=60)
    """How often beat runs the pump, beside after every `want` and at the end of every chain."""

    max_crashes: int = _setting("SYNCENGINE_MAX_CRASHES", 3, least=1, most=100)
    """How many workers may die of one record, alone in its batch, before it is set aside as poison."""

    max_tries: int = _setting("SYNCENGINE_MAX_TRIES", 8, least=1, most=1000)
    """How often a record may fail alone, while its endpoint accepts other calls, before it is a dead letter."""

    max_sends: int = _setting("SYNCENGINE_MAX_SENDS", 5, least=1, most=100)
    """How often one write is sent while nobody learns whether it took effect; then it is held for a person."""

    workers: int = _setting("SYNCENGINE_WORKERS", 2, least=1, most=256)
    """Processes of the worker for the lanes scheduled and backfill, over all hosts: so many chains live per lane."""

    realtime_workers: int = _setting("SYNCENGINE_REALTIME_WORKERS", 1, least=1, most=256)
    """Processes of the realtime lane's own worker, over all hosts."""

    breaker_calls: int = _setting("SYNCENGINE_BREAKER_CALLS", 3, least=2, most=1000)
    """Fewest calls to an endpoint within the breaker's window that say anything about it."""

    breaker_percent: int = _setting("SYNCENGINE_BREAKER_PERCENT", 50, least=1, most=100)
    """Share of them, in percent, that must have failed for the breaker to open."""

    breaker_window_s: float = _setting("SYNCENGINE_BREAKER_WINDOW_S", 30.0, least=5, most=600)
    """The rolling window in which a breaker counts."""

    breaker_first_s: float = _setting("SYNCENGINE_BREAKER_FIRST_S", 2.0, least=0.1, most=600)
    """How long an endpoint that is down rests before its first probe; twice as long after each probe that fails."""

    breaker_most_s: float = _setting("SYNCENGINE_BREAKER_MOST_S", 60.0, least=0.1, most=3600)
    """The longest such rest."""

    canary_every_s: float = _setting("SYNCENGINE_CANARY_EVERY_S", 15.0, least=1, most=600)
    """How often beat sends a canary through each lane's queue."""

    stalled_s: float = _setting("SYNCENGINE_STALLED_S", 120.0, least=10, most=86_400)
    """How long there may be work and no progress before `syncengine health` says so; well above the canary's interval."""

    deaf_s: float = _setting("SYNCENGINE_DEAF_S", 25.0, least=8, most=600)
    """How long a worker may receive nothing although Redis answers; then it ends, and its supervisor starts it anew.

    Longer than it needs to find a broker again that was away (6 s).
    """

    alert_urls: tuple[str, ...] = field(default=(), repr=False)
    """Where alerts go, as apprise writes addresses: `SYNCENGINE_ALERT_URLS`. They hold secrets and are never shown."""

    alert_every_s: float = _setting("SYNCENGINE_ALERT_EVERY_S", 15.0, least=1, most=600)
    """How often beat looks for what people must be told."""

    alert_repeat_s: float = _setting("SYNCENGINE_ALERT_REPEAT_S", 14_400.0, least=60, most=2_592_000)
    """After which an alert that goes on is told again."""

    alert_window_s: float = _setting("SYNCENGINE_ALERT_WINDOW_S", 600.0, least=10, most=86_400)
    """What happens within this time is sudden: linked objects that are absent."""

    alert_dead_letters: int = _setting("SYNCENGINE_ALERT_DEAD_LETTERS", 10, least=1, most=100_000)
    """This number of open dead letters of one flow and cause raises an alert."""

    alert_gone: int = _setting("SYNCENGINE_ALERT_GONE", 5, least=1, most=100_000)
    """So many linked objects that are suddenly absent raise an alert: their system was wiped or set back."""

    alert_oldest_s: float = _setting("SYNCENGINE_ALERT_OLDEST_S", 1800.0, least=30, most=2_592_000)
    """A record that has been due for longer raises an alert."""

    keep_events_days: int = _setting("SYNCENGINE_KEEP_EVENTS_DAYS", 400, least=0, most=36_500)
    """How long the timeline keeps what happened; 0 for ever, else at least 31: the database refuses to lose a month of it.

    400 days: a year, as questions of the year-end close and of auditors reach back to the same month of the year before.
    """

    keep_writes_days: int = _setting("SYNCENGINE_KEEP_WRITES_DAYS", 400, least=0, most=36_500)
    """How long a change that was made, or a write that was refused, is listed by `trace`; 0 for ever.

    As long as the timeline that shows them. Creates that were done stay: they keep the object from being created twice.
    """

    keep_letters_days: int = _setting("SYNCENGINE_KEEP_LETTERS_DAYS", 400, least=0, most=36_500)
    """How long closed dead letters, lapsed corrections and lapsed decisions stay; 0 for ever. What people decided, and why."""

    keep_documents_days: int = _setting("SYNCENGINE_KEEP_DOCUMENTS_DAYS", 90, least=0, most=36_500)
    """How long the documents of records at rest, and those that writes have sent, are kept; 0 for ever.

    They hold customers' names and addresses, so not for longer than they are of use: 90 days cover returns and the disputes
    of a quarter, and both systems have the documents themselves. While a dead letter is kept, so is the record's document.
    """

    keep_runs_days: int = _setting("SYNCENGINE_KEEP_RUNS_DAYS", 90, least=0, most=36_500)
    """How long runs of syncs are kept, but for the latest of each flow; 0 for ever."""

    keep_alerts_days: int = _setting("SYNCENGINE_KEEP_ALERTS_DAYS", 90, least=0, most=36_500)
    """How long alerts that are over are kept; 0 for ever. `syncengine alerts list --all` shows a month of them."""

    alert_waiting_s: float = _setting("SYNCENGINE_ALERT_WAITING_S", 86_400.0, least=60, most=31_536_000)
    """A record that has waited for another object, or has been held, for longer raises an alert."""

    flower_port: int = _setting("SYNCENGINE_FLOWER_PORT", 5555, least=1, most=65_535)
    """Port of 127.0.0.1 on which `syncengine up` shows Flower."""

    log_level: str = "INFO"
    """`SYNCENGINE_LOG_LEVEL`: DEBUG, INFO, WARNING or ERROR."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The Fernet keys, newest first: those given, else the key file's.

        Raises Misconfigured if there are none, or the file cannot be read.
        """
        return self.given_keys or keys.from_file(self.key_file)

    @property
    def shown_database(self) -> str:
        """The store's address as it may be shown: without user, password and options."""
        return redact_url(self.database_url).replace("sqlite:/", "sqlite:///", 1)

    def folder(self, name: str = "") -> Path:
        """A folder in `home`, made if need be, for its owner only. Raises Misconfigured if that cannot be done."""
        path = self.home / name
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _wrong(
                "SYNCENGINE_HOME", str(path), f"a folder to write to ({error.strerror})", "Name another"
            ) from None
        return path


def environment() -> dict[str, str]:
    """The process's environment over what `.env` in the working folder says; `$` in a value has no meaning there."""
    from_file = {
        name: value for name, value in dotenv_values(Path(".env"), interpolate=False).items() if value is not None
    }
    return {**from_file, **os.environ}


def load(env: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises Misconfigured, naming variable, value and remedy.

    `env` takes the place of the environment and `.env`. Empty values count as not set. Reads no other file, makes none.
    """
    env = {name: value.strip() for name, value in (environment() if env is None else env).items() if value.strip()}
    home = Path(env.get("SYNCENGINE_HOME", "var")).expanduser().absolute()
    if home.exists() and not home.is_dir():
        raise _wrong("SYNCENGINE_HOME", str(home), "a folder", "Name a folder that syncengine may fill")
    settings = Settings(
        home=home,
        database_url=_database_url(env, home),
        redis_url=_redis_url(env),
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
        log_level=_log_level(env),
        **_numbers(env),
    )
    if settings.redis_url and settings.redis_url.startswith("sentinel") and not settings.redis_master:
        raise Misconfigured("REDIS_URL names Sentinels. Set SYNCENGINE_REDIS_MASTER to the name of their master")
    if 0 < settings.keep_events_days < LEAST_EVENT_DAYS:
        said = f"0 (for ever) or at least {LEAST_EVENT_DAYS}"
        remedy = "Change it, or leave it out: the database keeps a month of the timeline, whoever asks"
        raise _wrong("SYNCENGINE_KEEP_EVENTS_DAYS", str(settings.keep_events_days), said, remedy)
    if settings.lease_s < settings.call_s + LEAST_SLACK_S:
        at_least = f"{LEAST_SLACK_S:g} s more than the longest call (SYNCENGINE_CALL_S = {settings.call_s:g})"
        raise _wrong("SYNCENGINE_LEASE_S", f"{settings.lease_s:g}", at_least, "Raise it, or shorten the calls")
    return settings


def variables() -> tuple[str, ...]:
    """Names of all variables that `load` reads."""
    named = tuple(item.metadata["variable"] for item in fields(Settings) if item.metadata)
    return (*_TEXT_VARIABLES, *named)


_TEXT_VARIABLES = (
    "REDIS_URL",
    "DATABASE_URL",
    "SYNCENGINE_HOME",
    "SYNCENGINE_REDIS_MASTER",
    "SYNCENGINE_CONFIG",
    "SYNCENGINE_FLOWS",
    "SYNCENGINE_KEYS",
    "SYNCENGINE_KEY_FILE",
    "SYNCENGINE_ALERT_URLS",
    "SYNCENGINE_LOG_LEVEL",
)


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
        raise _wrong(variable, text, what, f"Write one {span}, or leave it out") from None
    if not limits["least"] <= number <= limits["most"]:  # also false for nan
        raise _wrong(variable, text, f"{what} {span}", "Change it, or leave it out")
    return number


def _redis_url(env: Mapping[str, str]) -> str | None:
    url = env.get("REDIS_URL")
    if url is None:
        return None
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in REDIS_SCHEMES or not rest.strip("/") or not _has_valid_port(url):
        raise _wrong(
            "REDIS_URL", _shown(url), "an address of a Redis", "Write redis://:PASSWORD@HOST:6379/0, or leave it out"
        )
    return url


def _has_valid_port(url: str) -> bool:
    try:
        _ = urlsplit(url.split(";", 1)[0]).port  # several Sentinels are joined by ";"
    except ValueError:
        return False
    return True


def _database_url(env: Mapping[str, str], home: Path) -> str:
    url = env.get("DATABASE_URL")
    if url is None:
        return f"sqlite:///{home / 'syncengine.db'}"
    if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://")):
        remedy = "Write postgresql://USER:PASSWORD@HOST/NAME or sqlite:////FOLDER/FILE, or leave it out"
        raise _wrong("DATABASE_URL", _shown(url), "an address of a PostgreSQL or SQLite", remedy)
    return url


def _config_path(env: Mapping[str, str]) -> Path:
    path = Path(env.get("SYNCENGINE_CONFIG", "syncengine.yml")).expanduser().absolute()
    if "SYNCENGINE_CONFIG" in env and not path.is_file():
        raise _wrong("SYNCENGINE_CONFIG", str(path), "a file", "Name the file with your endpoints and connections")
    return path


def _flows_path(env: Mapping[str, str]) -> Path | None:
    if "SYNCENGINE_FLOWS" in env:
        path = Path(env["SYNCENGINE_FLOWS"]).expanduser().absolute()
        if not path.is_dir():
            raise _wrong("SYNCENGINE_FLOWS", str(path), "a folder", "Name the folder with your flows, or leave it out")
        return path
    places = [_config_path(env).parent / "flows.d", Path("flows.d").absolute()]
    return next((place for place in places if place.is_dir()), None)


def _log_level(env: Mapping[str, str]) -> str:
    level = env.get("SYNCENGINE_LOG_LEVEL", "INFO")
    if level.upper() not in LOG_LEVELS:
        raise _wrong("SYNCENGINE_LOG_LEVEL", level, "a level", f"Write one of {', '.join(LOG_LEVELS)}")
    return level.upper()


def _given_keys(env: Mapping[str, str]) -> tuple[str, ...]:
    return keys.checked("SYNCENGINE_KEYS", env.get("SYNCENGINE_KEYS", "").replace(",", " ").split())


def _alert_urls(env: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses apart; a comma within one is a part of it. Apprise is the one to say whether it knows them."""
    parted = re.split(r"[,;]*\s+|[,;]+(?=\w+://)", env.get("SYNCENGINE_ALERT_URLS", ""))
    return tuple(url for url in parted if url)


def _shown(url: str) -> str:
    try:
        return redact_url(url)
    except ValueError:  # a port that is no number
        return url.rpartition("@")[2]


def _wrong(variable: str, value: str, what: str, remedy: str) -> Misconfigured:
    return Misconfigured(f"{variable} = {value!r} is not {what}. {remedy}")

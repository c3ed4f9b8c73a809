"""Addresses that the environment gives: of Redis, the database and the web process, each checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from syncengine.errors import Misconfigured
from syncengine.redaction import redact_url

REDIS_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel")


def redis_url(env: Mapping[str, str]) -> str | None:
    """REDIS_URL, None if it is not set. Raises Misconfigured."""
    url = env.get("REDIS_URL")
    if url is None:
        return None
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in REDIS_SCHEMES or not rest.strip("/") or not _has_valid_port(url):
        raise wrong(
            "REDIS_URL", shown(url), "an address of a Redis", "Write redis://:PASSWORD@HOST:6379/0, or leave it out"
        )
    return url


def _has_valid_port(url: str) -> bool:
    try:
        _ = urlsplit(url.split(";", 1)[0]).port  # ";" separates several Sentinels
    except ValueError:
        return False
    return True


def database_url(env: Mapping[str, str], home: Path) -> str:
    """DATABASE_URL; a SQLite in the data folder `home` if it is not set. Raises Misconfigured."""
    url = env.get("DATABASE_URL")
    if url is None:
        return f"sqlite:///{home / 'syncengine.db'}"
    if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://")):
        remedy = "Write postgresql://USER:PASSWORD@HOST/NAME or sqlite:////FOLDER/FILE, or leave it out"
        raise wrong("DATABASE_URL", shown(url), "an address of a PostgreSQL or SQLite", remedy)
    return url


def web_url(env: Mapping[str, str]) -> str:
    """SYNCENGINE_WEB_URL without a slash at its end, empty if it is not set. Raises Misconfigured."""
    url = env.get("SYNCENGINE_WEB_URL", "").rstrip("/")
    if url and not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", url):
        remedy = "Write https://HOST, or leave it out"
        raise wrong("SYNCENGINE_WEB_URL", shown(url), "an address of the web process", remedy)
    return url


def shown(url: str) -> str:
    """An address without its credentials, for an error text."""
    try:
        return redact_url(url)
    except ValueError:  # the port is not a number
        return url.rpartition("@")[2]


def wrong(variable: str, value: str, what: str, remedy: str) -> Misconfigured:
    """The error for a variable whose value is not what it must be."""
    return Misconfigured(f"{variable} = {value!r} is not {what}. {remedy}")

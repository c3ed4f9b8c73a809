"""Flower can stop workers, so it never runs without a password. It reads `.env`, like all processes."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

from syncengine.errors import Misconfigured
from syncengine.settings import Settings

PREFIX = "FLOWER_"
OWN_LOGIN = ("--auth", "--basic_auth", "--basic-auth")
"""Options of Flower that require a login."""

HOW = "Set FLOWER_BASIC_AUTH=USER:PASSWORD in .env"


def is_flower(arguments: Sequence[str]) -> bool:
    """Whether a command line (`sys.argv`) is that of `celery ... flower`."""
    program = Path(arguments[0])
    is_celery = program.name == "celery" or program.parts[-2:] == ("celery", "__main__.py")
    return is_celery and "flower" in arguments[1:]


def prepare(
    settings: Settings, arguments: Sequence[str], given: Mapping[str, str], environ: MutableMapping[str, str]
) -> None:
    """Give Flower its variables of `.env`, and refuse to start it without a login. Raises Misconfigured.

    Args:
        arguments: the command line, whose options may require a login too.
        given: the environment and `.env`.
        environ: the environment of this process, which Flower reads. Empty variables are removed: Flower would take an
            empty password for one.
    """
    for name, value in given.items():
        if name.startswith(PREFIX):
            environ[name] = value
            if not value.strip():
                del environ[name]
    if "--help" in arguments:
        return
    has_login = any(argument.partition("=")[0] in OWN_LOGIN for argument in arguments) or "FLOWER_AUTH" in environ
    if not settings.flower_auth and not has_login:
        raise Misconfigured("Flower does not start without a password, because its pages can stop workers", HOW)

"""The engine that a command works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from syncengine import settings
from syncengine.cli._output import show_disabled
from syncengine.engine.core.engine import Chain, Engine
from syncengine.engine.setup import bootstrap
from syncengine.errors import Misconfigured
from syncengine.local import redis_server
from syncengine.settings import Settings

REDIS_PATIENCE_S = 1.0
"""How long commands that can do without Redis wait for its answer, if something listens at its address."""


def redis_problem(current: Settings) -> Misconfigured | None:
    """Why Redis cannot be used now, with a remedy; None if it answers. Loads no client if the embedded one is stopped."""
    if redis_server.is_stopped(current):
        return Misconfigured("the embedded Redis is not running", "Run `syncengine up`")
    return redis_server.problem(current, read_s=REDIS_PATIENCE_S)


@contextmanager
def open_engine(*, sends: bool = False, calls: bool = False, is_redis_away: bool | None = None) -> Iterator[Engine]:
    """Open an engine for a command and close it afterwards. Names disabled flows on standard error.

    Args:
        sends: the command starts work in the workers.
        calls: the command calls the systems itself.
        is_redis_away: whether Redis cannot be used, for a command that has asked it (`redis_problem`).

    Both need Redis. Other commands work without it; if it answers, they use it to read the state of endpoints and quotas.

    Raises: Misconfigured, Transient.
    """
    current = settings.load()
    send = _celery_send if sends else _no_send
    if sends or calls:
        redis_server.answering_address(current)
    elif is_redis_away is None:
        is_redis_away = redis_problem(current) is not None
    client = None if is_redis_away else redis_server.connect(current, retries=0)
    engine = bootstrap.engine(current, send=send, redis_client=client)
    show_disabled(engine.broken, err=True)
    try:
        yield engine
    finally:
        engine.close()


def _celery_send(chain: Chain) -> None:
    from syncengine.tasks.base import send

    send(chain)


def _no_send(chain: Chain) -> None:
    raise Misconfigured(f"this command starts no work, yet {chain.flow} was claimed")

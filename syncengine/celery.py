"""The Celery app: `celery -A syncengine worker | beat | inspect | call | flower`. Its settings: `celeryconfig.py`.

The configuration is read at its first use. A wrong configuration ends the process with one line and a remedy: a hook shows
an uncaught `SyncError`, because these processes run outside our own error handling.
"""

from __future__ import annotations

import logging
import os
import sys
from types import TracebackType
from typing import Any

from celery import Celery
from celery.signals import after_setup_logger

from syncengine import environment, settings
from syncengine.errors import SyncError
from syncengine.local import flower
from syncengine.settings import Settings

app = Celery("syncengine")
app.config_from_object("celeryconfig")

_show_uncaught = sys.excepthook


def show_misspelt(current: Settings) -> None:
    """Name the variables that have no effect, when a process starts."""
    for line in settings.misspelt(current):
        print(f"syncengine: {line}", file=sys.__stderr__)


def _show_in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, SyncError):
        sys.stderr.write(f"syncengine: {error}\n")
    else:
        _show_uncaught(kind, error, trace)


sys.excepthook = _show_in_one_line


def _prepare_flower() -> None:
    """Flower reads its environment after this module, and has no signal of its own."""
    try:
        current = settings.load()
        flower.prepare(current, sys.argv, environment.current(), os.environ)
    except SyncError as error:
        print(f"syncengine: {error}", file=sys.__stderr__)
        raise SystemExit(2) from None
    show_misspelt(current)


if flower.is_flower(sys.argv):
    _prepare_flower()


@after_setup_logger.connect
def _set_log_level(logger: logging.Logger, loglevel: int | str | None = None, **_: Any) -> None:
    """Apply SYNCENGINE_LOG_LEVEL unless `celery --loglevel` differs from its default, WARNING."""
    if loglevel in (None, logging.WARNING, "WARNING"):
        logger.setLevel(settings.load().log_level)

"""The Celery app: `celery -A syncengine worker | beat | inspect | call | flower`. Its settings: `celeryconfig.py`.

The configuration is read at its first use. A wrong configuration ends the process with one line and a remedy: a hook shows
an uncaught `SyncError`, because these processes run outside our own error handling.
"""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import Any

from celery import Celery
from celery.signals import after_setup_logger

from syncengine import settings
from syncengine.errors import SyncError

app = Celery("syncengine")
app.config_from_object("celeryconfig")

_show_uncaught = sys.excepthook


def _show_in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, SyncError):
        sys.stderr.write(f"syncengine: {error}\n")
    else:
        _show_uncaught(kind, error, trace)


sys.excepthook = _show_in_one_line


@after_setup_logger.connect
def _set_log_level(logger: logging.Logger, loglevel: int | str | None = None, **_: Any) -> None:
    """Apply SYNCENGINE_LOG_LEVEL unless `celery --loglevel` differs from its default, WARNING."""
    if loglevel in (None, logging.WARNING, "WARNING"):
        logger.setLevel(settings.load().log_level)

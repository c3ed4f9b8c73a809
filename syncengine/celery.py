"""The Celery app: `celery -A syncengine worker | beat | inspect | call | flower`. Its settings: `celeryconfig.py`.

The configuration is read when it is first needed. What is wrong with it ends the process with one line that says what
to do: these processes have no error boundary of ours around them, so an uncaught `SyncError` is shown by a hook.
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
    """SYNCENGINE_LOG_LEVEL counts unless `celery --loglevel` says something else than its default, WARNING."""
    if loglevel in (None, logging.WARNING, "WARNING"):
        logger.setLevel(settings.load().log_level)

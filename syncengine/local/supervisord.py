"""Runs PyPI's supervisor so that it survives a full disk: `python -m syncengine.local.supervisord HOME ARGUMENTS...`.

Supervisor 4.3 ends with `uncaptured python exception ... [Errno 28]` if it can write neither its log nor its standard error,
and stops reading from a child whose log it cannot write.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from supervisor import loggers, supervisord

from syncengine.local import pids

NAME = "supervisor"
"""Its name among the recorded processes of its data folder."""


class LastingLog(loggers.RotatingFileHandler):  # type: ignore[misc]
    """A log file of supervisor that skips what it cannot write, and continues once there is space."""

    stream: BinaryIO

    def emit(self, record: loggers.LogRecord) -> None:
        """Write a record, and start a new file if this one is full. Raises nothing: the processes matter more."""
        try:
            if self.stream.closed:  # a new file could not be opened
                self.reopen()
            super().emit(record)
        except OSError:
            return

    def handleError(self) -> None:  # noqa: N802 - supervisor's name
        """Ignore the error: standard error is a file on the same disk, so it cannot be reported."""


def main(home: str, *arguments: str) -> None:
    """Run supervisor in the data folder, which contains its socket, and record it there."""
    os.chdir(home)
    pids.note(Path(home), NAME)
    loggers.RotatingFileHandler = LastingLog
    supervisord.main(list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])

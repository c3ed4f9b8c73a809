"""PyPI's supervisor as we run it: `python -m syncengine.local.supervisord HOME ARGUMENTS...`.

It must outlive a full disk. Supervisor 4.3 ends with `uncaptured python exception ... [Errno 28]` when neither its log nor
its standard error can be written, and stops to read from a child whose log cannot be.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from supervisor import loggers, supervisord

from syncengine.local import pids

NAME = "supervisor"
"""How it is noted among the processes of its data folder."""


class LastingLog(loggers.RotatingFileHandler):  # type: ignore[misc]
    """A log file of supervisor that leaves out what it cannot write, and is written again once there is room."""

    stream: BinaryIO

    def emit(self, record: loggers.LogRecord) -> None:
        """Write a record, and begin a new file where this one is full. Raises nothing: the processes matter more."""
        try:
            if self.stream.closed:  # a new file could not be begun
                self.reopen()
            super().emit(record)
        except OSError:
            return

    def handleError(self) -> None:  # noqa: N802 - supervisor's name
        """What could not be written cannot be reported either: standard error is a file on the same disk."""


def main(home: str, *arguments: str) -> None:
    """Run supervisor in the data folder, where its socket is, and note it there."""
    os.chdir(home)
    pids.note(Path(home), NAME)
    loggers.RotatingFileHandler = LastingLog
    supervisord.main(list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])

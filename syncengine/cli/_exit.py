"""Exit codes of all commands."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended, for scripts and monitoring (docs/operations.md)."""

    OK = 0
    """The command did what it was asked to do; a check found nothing wrong."""

    NO = 1
    """The command ran and the answer is no: nothing matched, nothing was changed, or a check found something wrong."""

    ERROR = 2
    """The command could not run: a wrong option, a configuration error, a system that does not answer."""

    INTERRUPTED = 130
    """Ctrl-C, as shells report it (128 + SIGINT)."""

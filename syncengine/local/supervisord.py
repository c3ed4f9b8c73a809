"""PyPI's supervisor as we run it: `python -m syncengine.local.supervisord HOME ARGUMENTS...`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from supervisor import supervisord

from syncengine.local import pids

NAME = "supervisor"
"""How it is noted among the processes of its data folder."""


def main(home: str, *arguments: str) -> None:
    """Run supervisor in the data folder, where its socket is, and note it there."""
    os.chdir(home)
    pids.note(Path(home), NAME)
    supervisord.main(list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])

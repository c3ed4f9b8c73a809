"""`python -m scripts.crashes.process worker|beat ...`: Celery's command line, with the places of `points.py` in it."""

from __future__ import annotations

import sys

from celery.__main__ import main

import syncengine.tasks  # noqa: F401 - what is wrapped must be there
from scripts.crashes import points

if __name__ == "__main__":
    points.install()
    sys.argv = ["celery", "-A", "syncengine", *sys.argv[1:]]
    main()

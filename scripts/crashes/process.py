"""`python -m scripts.crashes.process worker|beat ...`: Celery's command line, with the places of `points.py` in it."""

from __future__ import annotations

import sys

from celery.__main__ import main

from scripts.crashes import points
from syncengine.tasks import base

if __name__ == "__main__":
    points.install()
    base.send = points.sending(base.send)
    sys.argv = ["celery", "-A", "syncengine", *sys.argv[1:]]
    main()

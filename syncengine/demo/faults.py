"""What `--faults` does to the demo: it kills a worker, empties Redis, and delays one write beyond its time-out."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import requests

from syncengine.demo.installation import DemoInstallation

Fault = tuple[float, str, Callable[[], None]]
"""The share of the work after which it happens, its name, and what causes it."""


def planned(installation: DemoInstallation) -> list[Fault]:
    """The faults that happen in the course of the demo, in their order."""
    return [
        (0.25, "kill -9 of the worker", lambda: os.kill(installation.pid("worker"), signal.SIGKILL)),
        (0.5, "FLUSHALL", installation.flush_redis),
    ]


def delay_a_write(installation: DemoInstallation, url: str) -> None:
    """Lose the answer to the next write of the plan's operation, which takes effect some seconds after the client gave up."""
    system, operation = installation.plan.write_operation
    fault = {"system": system, "operation": operation, "kind": "late", "times": 1, "seconds": 4}
    requests.post(f"{url}/_sandbox/faults", json=fault, timeout=10).raise_for_status()

"""Telling people: what is wrong now stands in the book, one row from the first sign to its end, and goes to every sink.

What counts as a sign is the engine's to say (`engine/watch.py`). Nothing here is allowed to disturb a sync.
"""

from syncengine.alerts.book import Severity, Sign
from syncengine.alerts.sinks import Sinks

__all__ = ["Severity", "Sign", "Sinks"]

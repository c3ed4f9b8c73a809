"""Alerts: the book has one row per alert from its first sign to its end, and every sink receives it.

The engine decides what counts as a sign (`engine/watch/rules`). Nothing here may disturb a sync.
"""

from syncengine.alerts.book import Severity, Sign
from syncengine.alerts.sinks import Sinks

__all__ = ["Severity", "Sign", "Sinks"]

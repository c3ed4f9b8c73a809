"""The tables, by subject. This package exports all of them.

Database constraints enforce what must never be violated. Times are aware UTC. Payloads are in a table of their own, so that
they can be removed without the record.
"""

from syncengine.store.models.base import NAMING, Base, FreeText, UtcDateTime, is_text
from syncengine.store.models.people import Alert, Ceiling, Correction, Decision, Failure
from syncengine.store.models.records import Effect, Link, Payload, Record, RecordName
from syncengine.store.models.setup import ConnectionRow, Endpoint, Installed, Lookup, Secret
from syncengine.store.models.tallies import Movement
from syncengine.store.models.work import AcceptedOnce, Cursor, Event, Hook, Pulse, Run, Schedule, Sent, Slot, Turn

__all__ = [
    "NAMING",
    "AcceptedOnce",
    "Alert",
    "Base",
    "Ceiling",
    "ConnectionRow",
    "Correction",
    "Cursor",
    "Decision",
    "Effect",
    "Endpoint",
    "Event",
    "Failure",
    "FreeText",
    "Hook",
    "Installed",
    "Link",
    "Lookup",
    "Movement",
    "Payload",
    "Pulse",
    "Record",
    "RecordName",
    "Run",
    "Schedule",
    "Secret",
    "Sent",
    "Slot",
    "Turn",
    "UtcDateTime",
    "is_text",
]

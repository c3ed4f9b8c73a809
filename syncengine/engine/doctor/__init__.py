"""Examines every part of an installation and says what to do about each: `syncengine doctor`.

Parts come in order of dependency, so begin with the first that fails.
"""

from syncengine.engine.doctor.examine import Patient, examine
from syncengine.engine.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "Patient", "examine"]

"""Every part of an installation looked at, and what to do about each: `syncengine doctor`.

The parts come in the order in which they depend on one another, so the first that fails is the one to begin with.
"""

from syncengine.engine.doctor.examine import Patient, examine
from syncengine.engine.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "Patient", "examine"]

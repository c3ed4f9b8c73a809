"""Named switches: every behaviour of the sandbox that a test may change, or that the references leave open.

`brightpearl.py`, `syspro.py` and `shared.py` declare them as `SWITCHES`; `Switches` holds their values.
"""

from syncengine.sandbox.switches.values import Switches, UnknownSwitch

__all__ = ["Switches", "UnknownSwitch"]

"""Both systems, simulated over real HTTP: faithful to the references, with faults on demand.

`Sandbox(seed).start()` runs them on one port; `python -m syncengine.sandbox` does so in the foreground. It imports
nothing of the engine.
"""

from syncengine.sandbox.faults import Fault
from syncengine.sandbox.server import Running, Sandbox

__all__ = ["Fault", "Running", "Sandbox"]

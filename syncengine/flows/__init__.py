"""What moves between two systems: flows as YAML files, and the loader that makes `Flow` objects of them.

Knows resources by name and schema only; a new flow between existing resources is one file in a folder.
"""

from syncengine.flows.flow import Flow
from syncengine.flows.loader import SHIPPED, Catalogue, check_connection, load_flow, load_flows

__all__ = ["SHIPPED", "Catalogue", "Flow", "check_connection", "load_flow", "load_flows"]

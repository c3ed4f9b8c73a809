"""Flows: what moves between two systems, as YAML files, and the loader that makes `Flow` objects from them.

This package knows only names and schemas of resources. A new flow between existing resources is one file in a folder. What
reads the files is in `loader` and `reader`: most commands need none of it.
"""

from syncengine.flows.flow import Flow, FlowHead
from syncengine.flows.known import SHIPPED, BrokenFlow, Flows, ShippedFlows

__all__ = ["SHIPPED", "BrokenFlow", "Flow", "FlowHead", "Flows", "ShippedFlows"]

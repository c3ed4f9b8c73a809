"""Flows: what moves between two systems, as YAML files, and the loader that makes `Flow` objects from them.

This package knows only names and schemas of resources. A new flow between existing resources is one file in a folder.
"""

from syncengine.flows.flow import Flow
from syncengine.flows.loader import BrokenFlow, Flows, ShippedFlows, load_flow, load_flows, load_sound_flows
from syncengine.flows.reader import SHIPPED, Catalogue
from syncengine.flows.settings import check_connection

__all__ = [
    "SHIPPED",
    "BrokenFlow",
    "Catalogue",
    "Flow",
    "Flows",
    "ShippedFlows",
    "check_connection",
    "load_flow",
    "load_flows",
    "load_sound_flows",
]

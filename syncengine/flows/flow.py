"""A flow: the declaration of what moves between two resources. Made by `loader.py` from YAML; the engine reads nothing else."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from syncengine.mapping.contract import FieldGroup, Mapping
from syncengine.mapping.scope import Setting

CEILING = 2000
"""Writes an hour that a flow makes where neither its file nor its connection names a figure. One operator of SYSPRO takes
some thousands of calls an hour; a shop of 2,000 orders a day comes to a tenth of it."""

HIGHEST_CEILING = 10_000_000


@dataclass(frozen=True)
class Flow:
    """What moves, by which mapping, when.

    name: the flow's name, first part of its tasks' names. entity: whose links it makes (`link.entity`); the name by default.
    source, target: names of resources (`brightpearl.sales_order`); in a two-way flow the left and the right one.
    mapping: source to target. backward, groups: only in two-way flows, right to left and the masters of field groups.
    feeds: which feeds of the source are read (and of the target, in a two-way flow: `backward_feeds`).
    needs: entity -> flow that brings it. every_s: seconds between two syncs by the schedule; 0 for never.
    quiet_s: seconds for which an object must have stopped changing before it is pushed; 0 for none.
    ceiling: writes an hour beyond which the flow is shut until a person has looked; a connection may say otherwise.
    cut_over: True if objects created at the source before the connection's cut-over date are left alone.
    write_back: it changes objects that another flow has linked, in fields of its own, and never creates or cancels any.
    keeps_parts: a part that the mapping no longer yields stays in the target; else it is cancelled there.
    version: changes with the content of the file. settings: defaults by name; declared: the same with kind and purpose.
    is_own: its file is the site's own, not one of those that ship.
    """

    name: str
    entity: str
    source: str
    target: str
    mapping: Mapping
    version: str
    two_way: bool = False
    write_back: bool = False
    keeps_parts: bool = False
    backward: Mapping | None = None
    groups: Sequence[FieldGroup] = ()
    feeds: Sequence[str] = ()
    backward_feeds: Sequence[str] = ()
    needs: Map[str, str] = field(default_factory=dict)
    every_s: float = 300.0
    quiet_s: float = 0.0
    batch: int = 200
    ceiling: int = CEILING
    cut_over: bool = False
    lookups: Map[str, Map[str, str]] = field(default_factory=dict)
    settings: Map[str, Any] = field(default_factory=dict)
    file: str = ""
    is_own: bool = False
    declared: Map[str, Setting] = field(default_factory=dict)

    @property
    def keys_name_their_side(self) -> bool:
        """Whether records are called by side and key (`left:310`): one record stands for objects of both sides."""
        return self.two_way or self.write_back

    def settings_for(self, connection: Map[str, Any]) -> dict[str, Any]:
        """The connection's settings over the flow's defaults."""
        return {**self.settings, **connection}

"""A flow: what moves between two resources. `reader.py` makes it from YAML; the engine uses only this object."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncengine.mapping.contract import FieldGroup, Mapping
    from syncengine.mapping.scope import Setting

CEILING = 2000
"""Default limit of writes per hour, if neither the flow's file nor its connection sets one. One SYSPRO operator takes some
thousands of calls an hour; a shop with 2,000 orders a day needs a tenth of that."""

HIGHEST_CEILING = 10_000_000

EVERY_S = 300
"""Default seconds between two scheduled syncs."""

WRITE_BACKS = ("linked", "nothing")
"""What a flow may write that makes it one for objects that other flows have linked."""

RELAXED_S = 3600.0
"""Default seconds between two scheduled syncs while webhooks tell of every change."""

SWEEP_S = 3600
"""Default seconds between two sweeps, of a flow whose feeds may miss changes: 2,000 open orders cost ten calls an hour."""


@dataclass(frozen=True, slots=True)
class Levels:
    """How a flow sets levels: numbers in lines of objects that exist, whatever they were before (docs/levels.md).

    lines, level: the target's list and the number in its lines (`warehouses`, `inStock`). jump, vanish, within: names of
    settings: the largest rise that nobody approves, the share of all levels that may become 0 in an hour, and the minutes
    after which a movement of the target that the source does not tell of is surely in the source too. posted: the setting that
    says who posts the target's movements in the source; empty of a flow that has no such gate. places: the lookup table from
    the source's places to those of the target; empty if there is none.
    """

    lines: str
    level: str
    jump: str
    vanish: str
    within: str
    posted: str = ""
    places: str = ""


@dataclass(frozen=True, kw_only=True)
class FlowHead:
    """What a flow is, apart from its mapping: enough to find its records and links.

    name: the flow's name, the first part of its tasks' names. entity: the entity of its links (`link.entity`).
    source, target: names of resources (`brightpearl.sales_order`); in a two-way flow the left and the right resource.
    write_back: the flow changes its own fields of objects that another flow has linked; it never creates or cancels.
    compares: it writes nothing: its mapped fields and its checks are held against the linked object, and people are
        shown what differs. Its record is wanted whenever the link changes, and by the target's feeds. Implies write_back.
    is_driven: it compares, and reads no feed of its source: the writes of other flows, and the target's feeds, start it.
    every_s: seconds between two scheduled syncs; 0 for never.
    cut_over: True to skip objects that were created before the connection's cut-over date.
    """

    name: str
    entity: str
    source: str
    target: str
    two_way: bool = False
    write_back: bool = False
    compares: bool = False
    is_driven: bool = False
    every_s: float = EVERY_S
    cut_over: bool = False


@dataclass(frozen=True, kw_only=True)
class Flow(FlowHead):
    """What moves, by which mapping, and when.

    mapping: source to target. backward, groups: only in two-way flows: the mapping right to left, and the field groups.
    feeds: the feeds of the source that are read. backward_feeds: those of the target, in a flow that is two-way, compares
        or sets levels.
    needs: entity -> the flow that links it.
    relaxed_s: as every_s, while webhooks work that tell of its changes; a connection may override it.
    sweep_s: seconds between two sweeps for changes that the feeds miss; 0 for never. A connection may override it.
    quiet_s: seconds without a change before an object is pushed; 0 to push at once.
    batch: maximum number of records in one chain.
    ceiling: writes per hour beyond which the flow is shut until a person opens it; a connection may override it.
    levels: the flow sets levels of objects that it finds by their natural key and links, and never creates; None if it
        does not. A fall is written at once; a rise once the feeds have reported what moved in the target until it was read.
    keeps_parts: a part that the mapping no longer yields stays in the target; otherwise it is cancelled there.
    version: a fingerprint of the file. lookups: tables by name. settings: defaults by name. declared: with kind and purpose.
    file: its file as named in error texts. is_own: the file belongs to the site and does not ship with the product.
    """

    mapping: Mapping
    version: str
    levels: Levels | None = None
    keeps_parts: bool = False
    backward: Mapping | None = None
    groups: Sequence[FieldGroup] = ()
    feeds: Sequence[str] = ()
    backward_feeds: Sequence[str] = ()
    needs: Map[str, str] = field(default_factory=dict)
    relaxed_s: float = RELAXED_S
    sweep_s: float = 0.0
    quiet_s: float = 0.0
    batch: int = 200
    ceiling: int = CEILING
    lookups: Map[str, Map[str, str]] = field(default_factory=dict)
    settings: Map[str, Any] = field(default_factory=dict)
    file: str = ""
    is_own: bool = False
    declared: Map[str, Setting] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """The resources whose changes start a sync: both in a flow that is two-way or compares."""
        return (self.source, self.target) if self.two_way or self.compares else (self.source,)

    @property
    def listens(self) -> tuple[str, ...]:
        """The resources whose events start a sync: those whose feeds it reads."""
        return tuple(name for name, feeds in ((self.source, self.feeds), (self.target, self.backward_feeds)) if feeds)

    @property
    def targets(self) -> tuple[str, ...]:
        """The resources that the flow writes to: in a two-way flow both, none in one that compares."""
        if self.compares:
            return ()
        return (self.source, self.target) if self.two_way else (self.target,)

    def settings_for(self, connection: Map[str, Any]) -> dict[str, Any]:
        """All settings: those of the connection, and the flow's defaults for the rest."""
        return {**self.settings, **connection}

"""What every plan is made from. Pure."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from syncengine.connectors.base import Resource
from syncengine.document import Doc
from syncengine.engine.decide.plan import Linked
from syncengine.engine.decide.tallies import Range
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Context

LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LevelFacts:
    """What the plan of a flow that sets levels needs beside the documents. Times are by the target's clock.

    tallied: by place, what may be in the target's figures and not in the source's, less the reverse. key: the natural key by
    which the target was searched. read_by: when the target's level had surely been read; None if it does not say. moved_until:
    up to when all movements of the target are known; None if never. lag_s: how late its feeds tell of a movement. exact_at:
    when a reading of both systems leaves no doubt about what is in transit; None if that depends on what is posted.
    """

    tallied: Map[str, Range]
    key: str
    read_by: datetime | None
    moved_until: datetime | None
    lag_s: float
    exact_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """One record: its flow, both resources, the documents and the links.

    Attributes:
        source, target: in a two-way flow the left and the right resource.
        sources: the source's typed documents by key: one, or in a flow that writes to what others have linked those of all
            linked objects; empty if the source has none.
        links: by part. A flow that writes to what others have linked has one, under "".
        target_doc: in a two-way flow the right object's typed document; None if there is none.
        key: in a two-way flow the key of the left object; None if there is none.
        too_old: the object was created before the connection's cut-over date.
        in_doubt: a write has an unknown outcome and cannot be looked up.
        newer: whether the source changed after the target; None if unknown.
        approved: empty, or a person's decision, which waives the rule or the conflict that holds this plan: in a two-way flow
            the side that wins where both have changed.
        verifies: search the target before each create, since the store may have lost earlier creates.
        edited: whether the source was edited since its creation.
        synced: whether the source's state has been synced by the flows that write the object; of interest to comparisons.
        levels: of a flow that sets levels. now: when it is planned (UTC).
        whole: in such a flow, nothing is written before people have seen the plan, so nothing goes ahead of the rest.
        approved_rises: in such a flow, by the key of the line, rises beyond the limit that a person has approved.
    """

    flow: Flow
    source: Resource
    target: Resource
    sources: Map[str, Doc]
    links: Map[str, Linked]
    context: Context
    target_doc: Doc | None = None
    key: str | None = None
    too_old: bool = False
    in_doubt: bool = False
    newer: bool | None = None
    approved: str = ""
    verifies: bool = False
    edited: bool = True
    synced: bool = True
    levels: LevelFacts | None = None
    now: datetime = LATEST
    whole: bool = False
    approved_rises: Map[str, Decimal] = field(default_factory=dict)

    @property
    def source_doc(self) -> Doc | None:
        """The first source document; None if the source has none."""
        return next(iter(self.sources.values()), None)

    @property
    def link(self) -> Linked | None:
        """The only link, or the first."""
        return next(iter(self.links.values()), None)

"""What every plan is made from. Pure."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass

from syncengine.connectors.base import Resource
from syncengine.document import Doc
from syncengine.engine.decide.plan import Linked
from syncengine.flows.flow import Flow
from syncengine.mapping.contract import Context


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

    @property
    def source_doc(self) -> Doc | None:
        """The first source document; None if the source has none."""
        return next(iter(self.sources.values()), None)

    @property
    def link(self) -> Linked | None:
        """The only link, or the first."""
        return next(iter(self.links.values()), None)

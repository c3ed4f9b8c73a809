"""Reads what a shipped flow is, apart from its mapping: compiling that takes longer than most commands.

A shipped file is never wrong, so nothing is checked; `reader.py` reads a file whole, and refuses a wrong one.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from syncengine.flows import durations
from syncengine.flows.flow import EVERY_S, WRITE_BACKS, FlowHead

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_head(path: Path) -> FlowHead:
    """The head of the flow in a file that ships."""
    said = yaml.load(path.read_text("utf-8"), _LOADER)  # noqa: S506 - both loaders are safe
    return FlowHead(
        name=said["flow"],
        entity=said.get("entity", said["flow"]),
        source=said["source"],
        target=said["target"],
        two_way=said.get("direction") == "two-way",
        write_back=said.get("writes", "all") in WRITE_BACKS,
        compares=said.get("writes") == "nothing",
        is_driven=said.get("writes") == "nothing" and said.get("feeds") == [],
        every_s=durations.seconds(said.get("every", EVERY_S)) or 0.0,
        cut_over=said.get("cut_over", False),
    )

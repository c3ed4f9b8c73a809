"""The flows that ship, compiled once in each test process: compiling them takes longer than most tests."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from syncengine import connectors
from syncengine.flows import SHIPPED, Flows
from syncengine.flows.loader import load_flows, load_sound_flows


@functools.cache
def _compiled() -> Flows:
    return load_flows([SHIPPED], connectors.resources())


def flows() -> Flows:
    """The shipped flows by name; the caller may change the table, never a flow."""
    return Flows(_compiled(), {})


def load_once(folders: Sequence[Path]) -> Flows:
    """`bootstrap.compiled_flows` for tests: with a site's own folder, it compiles."""
    return flows() if list(folders) == [SHIPPED] else load_sound_flows(folders, connectors.resources())

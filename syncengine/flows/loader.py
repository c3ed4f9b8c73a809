"""Flows from YAML files: the ones that ship, and those in a site's own folder.

Every error is a Misconfigured of one line: file, line, what is wrong, the closest valid name.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from syncengine.errors import Misconfigured
from syncengine.flows.flow import Flow
from syncengine.flows.reader import Catalogue, LoadedFlow, read_flow
from syncengine.mapping import CompiledMapping
from syncengine.mapping.shapes import ValueKind, nearest

SUFFIXES = (".yml", ".yaml")  # compared in lower case: some systems write them in capitals


def load_flows(folders: Sequence[Path], catalogue: Catalogue) -> dict[str, Flow]:
    """All flows of the folders' YAML files by name, compiled and checked against one another.

    A file in a later folder replaces an earlier flow of the same name if it says `replaces: true`. Otherwise two flows of
    the same name are refused. So are two flows that write the same field of a target, and needs that no flow links.

    Raises:
        Misconfigured: one line with file, line and remedy.
    """
    loaded: dict[str, LoadedFlow] = {}
    for path in _files(folders):
        read = read_flow(path, catalogue)
        name, before = read.flow.name, loaded.get(read.flow.name)
        if before is not None and not read.replaces:
            problem = f"the flow {name!r} already exists in {before.flow.file}; rename this flow, or add replaces: true"
            raise Misconfigured(f"{read.flow.file}:{read.line}: {problem}")
        loaded[name] = read
    _check_needs(loaded)
    _check_write_backs(loaded)
    _check_targets(loaded)
    _check_settings(loaded)
    return {name: loaded[name].flow for name in sorted(loaded)}


def load_flow(path: Path, catalogue: Catalogue) -> Flow:
    """One flow from its file, not checked against others. Raises Misconfigured with one line."""
    return read_flow(path, catalogue).flow


def _files(folders: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise Misconfigured(f"the folder of flows {folder} does not exist; create it or correct the setting")
        found += sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    return found


def _check_needs(loaded: Mapping[str, LoadedFlow]) -> None:
    for item in loaded.values():
        for entity, name in item.flow.needs.items():
            if name not in loaded:
                hint = nearest(name, loaded)
                raise Misconfigured(f"{item.flow.file}:{item.line}: needs: there is no flow {name!r}{hint}")
            if loaded[name].flow.write_back:
                problem = f"needs: the flow {name!r} makes no links; name the flow that does"
                raise Misconfigured(f"{item.flow.file}:{item.line}: {problem}")
            linked = loaded[name].flow.entity
            if linked != entity:
                problem = f"needs: the flow {name!r} links {linked!r}, not {entity!r}"
                raise Misconfigured(f"{item.flow.file}:{item.line}: {problem}")


def _check_write_backs(loaded: Mapping[str, LoadedFlow]) -> None:
    """Refuse a write-back unless another flow makes the links that it uses, between the same resources."""
    flows = [item.flow for item in loaded.values()]
    for flow in [flow for flow in flows if flow.write_back]:
        makers = [maker for maker in flows if maker.entity == flow.entity and not maker.write_back]
        if _joined(flow) not in [_joined(maker, by_system=flow.compares) for maker in makers]:
            writes = "nothing" if flow.compares else "linked"
            problem = f"writes: {writes}: no flow links {flow.source} and {flow.target} as {flow.entity!r}"
            hint = nearest(flow.entity, {maker.entity for maker in flows if not maker.write_back})
            raise Misconfigured(f"{flow.file}:{loaded[flow.name].line}: {problem}{hint}")


def _joined(flow: Flow, *, by_system: bool | None = None) -> set[str]:
    """The two resources of a flow; of one that compares the systems alone, since it may read a view of the object."""
    by_system = flow.compares if by_system is None else by_system
    return {name.partition(".")[0] if by_system else name for name in (flow.source, flow.target)}


def _written(flow: Flow) -> Iterable[tuple[str, frozenset[str], str]]:
    """What a flow writes, for each target: the resource, its fields, and the field that is the natural key."""
    mappings = [(flow.target, flow.mapping), (flow.source, flow.backward)] if flow.targets else []
    for resource, mapping in mappings:
        if isinstance(mapping, CompiledMapping):
            yield resource, mapping.fields, mapping.natural_key_field


def _check_targets(loaded: Mapping[str, LoadedFlow]) -> None:
    """Refuse two flows that write the same field of a resource, except its key, by which both identify the object."""
    for first, second in itertools.combinations(loaded.values(), 2):
        for resource, fields, key in _written(first.flow):
            for other_resource, other_fields, other_key in _written(second.flow):
                both = sorted((fields & other_fields) - {key, other_key})
                if resource == other_resource and both:
                    problem = f"writes {both[0]} of {resource}, but so does {first.flow.file}; a field must belong to one flow"
                    raise Misconfigured(f"{second.flow.file}:{second.line}: the flow {second.flow.name!r} {problem}")


def _check_settings(loaded: Mapping[str, LoadedFlow]) -> None:
    """Refuse two kinds for one setting: the flows of a connection share its settings."""
    seen: dict[str, tuple[ValueKind, str]] = {}
    for item in loaded.values():
        for name, setting in item.flow.declared.items():
            kind, file = seen.setdefault(name, (setting.kind, item.flow.file))
            if kind != setting.kind:
                problem = f"the setting {name} is {setting.kind} here and {kind} in {file}"
                raise Misconfigured(f"{item.flow.file}:{item.line}: {problem}")

"""Flows from YAML files: the ones that ship, and those in a site's own folder.

Every error is a Misconfigured of one line: file, line, what is wrong, the closest valid name.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from syncengine.errors import Misconfigured
from syncengine.flows.flow import Flow
from syncengine.flows.known import BrokenFlow, Flows, flow_files
from syncengine.flows.reader import Catalogue, LoadedFlow, read_flow
from syncengine.mapping.compiled import CompiledMapping
from syncengine.mapping.shapes import ValueKind, nearest
from syncengine.mapping.yaml_lines import display_path

_NAMED = re.compile(r"""^flow:\s*["']?([a-z][a-z0-9_]{0,63})\b""", re.MULTILINE)


def load_flows(folders: Sequence[Path], catalogue: Catalogue) -> Flows:
    """As `load_sound_flows`, but none may be wrong. Raises Misconfigured: one line with file, line and remedy."""
    found = load_sound_flows(folders, catalogue)
    for broken in found.broken.values():
        raise broken.error
    return found


def load_sound_flows(folders: Sequence[Path], catalogue: Catalogue) -> Flows:
    """All flows of the folders' YAML files by name, compiled and checked against one another.

    A file in a later folder replaces an earlier flow of the same name if it says `replaces: true`. Otherwise two flows of
    the same name are wrong. So are two flows that write the same field of a target, and needs that no flow links. A wrong
    file disables its flow alone, and never lets the flow that it replaces run instead.

    Raises Misconfigured if a folder does not exist.
    """
    loaded: dict[str, LoadedFlow] = {}
    broken: dict[str, BrokenFlow] = {}
    for path in flow_files(folders):
        try:
            read = read_flow(path, catalogue)
            name = read.flow.name
            _check_double(loaded.get(name), read)
        except Misconfigured as error:
            flow = _broken(path, error)
            broken.setdefault(flow.name, flow)
        else:
            loaded[name] = read
    _drop(loaded, broken)
    for check in CHECKS:
        for item, problem in list(check(loaded, broken)):
            wrong = Misconfigured(f"{item.flow.file}:{item.line}: {problem}")
            broken.setdefault(item.flow.name, BrokenFlow(item.flow.name, item.flow.file, wrong))
        _drop(loaded, broken)
    return Flows({name: loaded[name].flow for name in sorted(loaded)}, broken)


def _check_double(before: LoadedFlow | None, read: LoadedFlow) -> None:
    if before is not None and not read.replaces:
        name, file = read.flow.name, before.flow.file
        problem = f"the flow {name!r} already exists in {file}; rename this flow, or add replaces: true"
        raise Misconfigured(f"{read.flow.file}:{read.line}: {problem}")


def _broken(path: Path, error: Misconfigured) -> BrokenFlow:
    """Its name is read from the text, since the file may not even be YAML."""
    try:
        named = _NAMED.search(path.read_text("utf-8", errors="replace"))
    except OSError:
        named = None
    return BrokenFlow(named[1] if named else path.stem, display_path(path), error, is_named=named is not None)


def _drop(loaded: dict[str, LoadedFlow], broken: Mapping[str, BrokenFlow]) -> None:
    for name in broken:
        loaded.pop(name, None)


def load_flow(path: Path, catalogue: Catalogue) -> Flow:
    """One flow from its file, not checked against others. Raises Misconfigured with one line."""
    return read_flow(path, catalogue).flow


# -- against one another -----------------------------------------------------------------------------------------------

Problems = Iterator[tuple[LoadedFlow, str]]
"""Wrong flows, each with what is wrong."""


def _check_needs(loaded: Mapping[str, LoadedFlow], broken: Mapping[str, BrokenFlow]) -> Problems:
    for item in loaded.values():
        for entity, name in item.flow.needs.items():
            if name in broken:
                continue  # what is linked already can be used; the rest waits
            if name not in loaded:
                yield item, f"needs: there is no flow {name!r}{nearest(name, loaded)}"
            elif loaded[name].flow.write_back:
                yield item, f"needs: the flow {name!r} makes no links; name the flow that does"
            elif loaded[name].flow.entity != entity:
                yield item, f"needs: the flow {name!r} links {loaded[name].flow.entity!r}, not {entity!r}"


def _check_write_backs(loaded: Mapping[str, LoadedFlow], broken: Mapping[str, BrokenFlow]) -> Problems:
    """A write-back needs another flow that makes the links that it uses, between the same resources."""
    flows = [item.flow for item in loaded.values()]
    for item in [item for item in loaded.values() if item.flow.write_back]:
        flow = item.flow
        makers = [maker for maker in flows if maker.entity == flow.entity and not maker.write_back]
        if _joined(flow) not in [_joined(maker, by_system=flow.compares) for maker in makers] and not broken:
            writes = "nothing" if flow.compares else "linked"
            hint = nearest(flow.entity, {maker.entity for maker in flows if not maker.write_back})
            yield item, f"writes: {writes}: no flow links {flow.source} and {flow.target} as {flow.entity!r}{hint}"


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


def _check_targets(loaded: Mapping[str, LoadedFlow], _: Mapping[str, BrokenFlow]) -> Problems:
    """Two flows must not write the same field of a resource, except its key, by which both identify the object."""
    for first, second in itertools.combinations(loaded.values(), 2):
        for resource, fields, key in _written(first.flow):
            for other_resource, other_fields, other_key in _written(second.flow):
                both = sorted((fields & other_fields) - {key, other_key})
                if resource == other_resource and both:
                    problem = f"writes {both[0]} of {resource}, but so does {first.flow.file}; a field must belong to one flow"
                    yield second, f"the flow {second.flow.name!r} {problem}"


def _check_settings(loaded: Mapping[str, LoadedFlow], _: Mapping[str, BrokenFlow]) -> Problems:
    """One setting must have one kind: the flows of a connection share its settings."""
    seen: dict[str, tuple[ValueKind, str]] = {}
    for item in loaded.values():
        for name, setting in item.flow.declared.items():
            kind, file = seen.setdefault(name, (setting.kind, item.flow.file))
            if kind != setting.kind:
                yield item, f"the setting {name} is {setting.kind} here and {kind} in {file}"


CHECKS: Sequence[Callable[[Mapping[str, LoadedFlow], Mapping[str, BrokenFlow]], Problems]] = (
    _check_needs, _check_write_backs, _check_targets, _check_settings,
)  # fmt: skip

"""docs/reference/flows.md: the flows that ship: settings, lookup tables, and what happens to each field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.reference.markdown import code, heading, shown, table
from syncengine import clock, connectors
from syncengine.flows import SHIPPED, Flow
from syncengine.flows.loader import load_flows
from syncengine.mapping.compiled import CompiledMapping
from syncengine.mapping.contract import Policy
from syncengine.mapping.field_sets import FieldSet
from syncengine.mapping.scope import Setting
from syncengine.mapping.yaml_lines import read

ABOUT = """What each shipped flow reads, writes and needs. [The flows that ship](../flows.md) explains them, [the mapping
language](../mapping.md) the expressions. All flows go one way: the source is the master of every field, and the policy of a
field says what happens after somebody has changed it in the target. In a flow of your own, `policies:` sets them; the default
is `source`. Levels have none: what the target shows is set by both systems' figures ([levels](../levels.md)). Two flows may
not write the same field of a target, except its natural key."""
POLICIES: Mapping[Policy, str] = {
    Policy.SOURCE: "the change stays until the source changes the field too; then the source's value is written",
    Policy.ENFORCE: "the source's value is restored whenever the object is planned",
    Policy.ON_CREATE: "written when the object is created, never afterwards",
    Policy.HOLD: "the change stays until the source changes the field too; then a person decides",
    Policy.NEWEST: "the side that was changed last has priority, if both sides have a time stamp",
    Policy.LEFT: "two-way flows: the left side is the master; in a one-way flow the same as `enforce`",
    Policy.RIGHT: "two-way flows: the right side is the master",
}
_NAME = re.compile(r"[A-Za-z_]\w*")
_TABLE = re.compile(r"(?:lookup|dated|by_value)\('(\w+)'")


def page() -> str:
    """The page."""
    flows = load_flows([SHIPPED], connectors.resources())
    return "\n".join(
        [heading("Flows", ABOUT), *_policies(), *(part for flow in flows.values() for part in _flow(flow))]
    )


def _policies() -> Iterator[str]:
    yield "## Policies\n"
    yield table(("policy", "after a change in the target"), [(code(name), POLICIES[name]) for name in Policy])


def _kind(setting: Setting) -> str:
    if setting.is_zone:
        return "time zone"
    return "list of ids" if setting.is_ids else str(setting.kind)


def _flow(flow: Flow) -> Iterator[str]:
    spec, _ = read(SHIPPED / f"{flow.name}.yml")
    yield f"## {flow.name}\n\n{spec['about']}\n"
    yield table(("", ""), _facts(flow))
    yield f"### Settings of {flow.name}\n"
    yield table(
        ("setting", "type", "default", "meaning"),
        [
            (code(name), _kind(setting), shown(setting.default), setting.about)
            for name, setting in flow.declared.items()
        ],
    )
    yield f"### Lookup tables of {flow.name}\n"
    users = _users(spec)
    yield table(
        ("table", "used for", "entries in the flow's file"),
        [
            (code(name), ", ".join(map(code, users.get(name, []))), f"{len(rows):,}" if rows else "")
            for name, rows in flow.lookups.items()
        ],
    )
    yield f"### Fields of {flow.name}\n"
    columns = ("field", "from", "lookup tables", "link", "policy")
    yield table(columns, _fields(flow, spec))


def _facts(flow: Flow) -> Iterator[tuple[str, str]]:
    yield "source", f"{code(flow.source)}, feeds {', '.join(flow.feeds)}"
    mapping = _mapping(flow)
    natural = mapping.natural_key_field or (mapping.found_by[1] if mapping.found_by else "")
    yield "target", code(flow.target) + (f", natural key {code(natural)}" if natural else "")
    yield "every", clock.spell(flow.every_s)
    yield "sweep", clock.spell(flow.sweep_s) if flow.sweep_s else "none"
    yield "quiet", clock.spell(flow.quiet_s) if flow.quiet_s else "none"
    yield "write ceiling", f"{flow.ceiling:,} an hour"
    yield "cut-over date", "applies" if flow.cut_over else "does not apply"
    yield "needs links of", ", ".join(flow.needs) or "none"


def _mapping(flow: Flow) -> CompiledMapping:
    if not isinstance(flow.mapping, CompiledMapping):
        raise TypeError(f"{flow.name}: {type(flow.mapping).__name__} is not compiled from YAML")
    return flow.mapping


def _fields(flow: Flow, spec: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    mapping, entries = _mapping(flow), _entries(spec)
    for path, source in _sources(mapping).items():
        entry, names = entries[path]
        link = str(entry.get("link", "")) if isinstance(entry, dict) else ""
        tables = ", ".join(code(name) for name in _tables(entry, names))
        yield (
            code(path),
            " or ".join(map(code, source)),
            tables,
            code(link),
            "" if flow.levels else code(mapping.policy(path.partition(",")[0])),
        )


def _sources(mapping: CompiledMapping) -> dict[str, list[str]]:
    """What each field is made of, by path; the fields of a spread in one path, as in the file."""
    found = _of_set(mapping.header, "")
    for name, blocks in mapping.blocks.items():
        for block in blocks:
            for path, sources in _of_set(block.field_set, f"{name}.").items():
                found[path] = [*found.get(path, []), *sources]
    return {path: list(dict.fromkeys(sources)) for path, sources in found.items()}


def _of_set(fields: FieldSet, prefix: str) -> dict[str, list[str]]:
    values = {f"{prefix}{name}": [value.text] for name, value in fields.values.items()}
    return {**values, **{f"{prefix}{', '.join(spread.fields)}": [spread.text] for spread in fields.spreads}}


def _entries(spec: Mapping[str, Any]) -> dict[str, tuple[Any, dict[str, Any]]]:
    """The entry of each field by path, with the named values that it may use; of several blocks all entries together."""
    values = dict(spec.get("values", {}))
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    for name, entry in spec["mapping"].items():
        blocks = entry if isinstance(entry, list) else [entry] if "key" in entry else []
        if not blocks:
            found[name] = entry, values
        for block in blocks:
            named = {**values, **block.get("let", {})}
            for inner, value in block.items():
                path = f"{name}.{inner}"
                found[path] = ([found[path][0], value] if path in found else value), named
    return found


def _tables(entry: Any, values: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> list[str]:
    """The lookup tables that an entry uses, by itself or by the named values in it."""
    found = dict.fromkeys(_own_tables(entry))
    for text in _texts(entry):
        for name in _NAME.findall(text):
            if name in values and name not in seen:
                found |= dict.fromkeys(_tables(values[name], values, seen | {name}))
    return list(found)


def _own_tables(entry: Any) -> list[str]:
    named = [str(entry["lookup"])] if isinstance(entry, dict) and "lookup" in entry else []
    return [*named, *(name for text in _texts(entry) for name in _TABLE.findall(text))]


def _texts(entry: Any) -> Iterator[str]:
    if isinstance(entry, dict):
        entry = list(entry.values())
    if isinstance(entry, list):
        for item in entry:
            yield from _texts(item)
    elif isinstance(entry, str):
        yield entry


def _users(spec: Mapping[str, Any]) -> dict[str, list[str]]:
    """The fields and rules that use each table."""
    found: dict[str, list[str]] = {}
    for path, (entry, names) in _entries(spec).items():
        for name in _tables(entry, names):
            found.setdefault(name, []).append(path)
    for part in ("parts", "rules", "references", "found_by"):
        for name in _tables(spec.get(part), spec.get("values", {})):
            found.setdefault(name, []).append(f"{part}:")
    return found

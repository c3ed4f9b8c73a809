"""The compiled mapping and the plain interpreter make the same of every mapping and document, or refuse the same field.

A short form here; `scripts/mappings 20000` draws that many pairs, different ones in each run.
"""

from __future__ import annotations

import decimal
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from syncengine.errors import Misconfigured, Rejected
from syncengine.mapping.compiled import CompiledMapping
from syncengine.mapping.contract import Context, MissingLookup, Need, RuleDecision
from tests.unit.mapping.mapping_fixtures import SETTINGS, made
from tests.unit.mapping.plain import DeadLetter, Field, Plain, Waits
from tests.unit.mapping.written import FIELDS, LINE, LOOKUPS, Written, written

ASKED = os.environ.get("SYNCENGINE_MAPPINGS")
PAIRS = int(ASKED or "100")

HOW = settings(
    max_examples=PAIRS, deadline=None, derandomize=not ASKED, database=None, report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
)  # fmt: skip

EXACT = decimal.Context(prec=1000)
LINES = {name: Field(kind) for name, kind in LINE.items()}
TARGET = {
    **{name: Field(kind) for name, kind in FIELDS.items()},
    **dict.fromkeys(["line1", "line2", "line3"], Field("text")),
    **dict.fromkeys(["goods", "notes"], Field("list", line=LINES)),
    "name": Field("text", 10),
}
"""`mapping_fixtures.Target`, as the interpreter sees it."""

DEFAULTS = {name: setting.default for name, setting in SETTINGS.items()}

Outcome = tuple[Any, ...]


@dataclass
class Tally:
    """What the pairs came to, and in how many of them each feature of the language was met."""

    outcomes: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)


def link_key(entity: str, key: str, part: str) -> str:
    """The other side's key of an object, as short as keys are."""
    return f"{entity[:1]}{key}{part}"[:9]


def alike(value: Any) -> Any:
    """A value with its kind: 1 is not true, a time is compared by the instant, numbers with their decimals."""
    if isinstance(value, dict):
        return {name: alike(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [alike(one) for one in value]
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int | Decimal):
        return "number", str(EXACT.add(Decimal(value), 0).normalize(EXACT))
    if isinstance(value, datetime):
        return "time", str(value.astimezone(UTC))
    return type(value).__name__, str(value)


def of_compiled(call: Callable[[], Any]) -> Outcome:
    try:
        return "done", alike(call())
    except Rejected as error:
        return "dead letter", error.field
    except MissingLookup as missing:
        return "waits", missing.need.entity.removeprefix("lookup:"), missing.need.key


def of_plain(call: Callable[[], Any]) -> Outcome:
    try:
        return "done", alike(call())
    except DeadLetter as error:
        return "dead letter", error.field
    except Waits as missing:
        return "waits", missing.table, missing.key


def answers(pair: Written, mapping: CompiledMapping) -> Iterator[tuple[str, Outcome, Outcome]]:
    """What is asked, what the compiled mapping says and what the interpreter says: as far as the engine would ask."""
    doc = pair.doc
    context = Context(references=pair.references, lookups=pair.lookups, settings=pair.settings, parts=pair.parts)

    def plain() -> Plain:
        return Plain(
            pair.spec, TARGET, LOOKUPS, DEFAULTS, doc, pair.settings, pair.lookups, pair.references, pair.parts,
            link_key if pair.is_linked else None,
        )  # fmt: skip

    yield (
        "references",
        of_compiled(lambda: [(one.resource, one.key) for one in mapping.references(doc, pair.settings)]),
        of_plain(lambda: plain().refers_to()),
    )
    decided = of_plain(lambda: plain().decide())
    yield "decide", of_compiled(lambda: verdict(mapping.decide(doc, context))), decided
    if decided[0] != "done" or plain().decide()[0] in ("skip", "cancel"):
        return

    needed = of_plain(lambda: plain().needs())
    yield (
        "needs",
        of_compiled(lambda: sorted((one.entity, one.key, one.part) for one in mapping.needs(doc, context))),
        needed,
    )
    if needed[0] != "done":
        return
    needs = plain().needs()
    if any(entity.startswith("lookup:") for entity, _, _ in needs):
        return

    links = {Need(entity, key, part, "customers"): link_key(entity, key, part) for entity, key, part in needs}
    linked = Context(pair.references, links if pair.is_linked else {}, pair.lookups, pair.settings, pair.parts)
    yield "apply", of_compiled(lambda: mapping.apply(doc, linked)), of_plain(lambda: plain().apply())


def verdict(decision: RuleDecision) -> tuple[str, str]:
    return decision.verdict.value, decision.reason


def loaded(yaml: str) -> tuple[CompiledMapping | None, str]:
    """The mapping, or why the loader refuses it."""
    try:
        return made(yaml, lookups=LOOKUPS), ""
    except Misconfigured as error:
        return None, str(error)


def compare(pair: Written, tally: Tally) -> None:
    """Fails where the two differ, or where a mapping is refused that has no mistake."""
    mapping, refusal = loaded(pair.yaml)
    assert (mapping is None) == bool(pair.spoiled), (
        f"{pair.spoiled or 'no mistake'}: {refusal or 'not refused'}\n{pair.yaml}"
    )
    if mapping is None:
        tally.refusals[pair.spoiled] += 1
        return
    tally.features.update(pair.features)
    for asked, compiled, plain in answers(pair, mapping):
        tally.outcomes[f"{asked}: {compiled[0]}"] += 1
        assert compiled == plain, (
            f"{asked}: compiled {compiled}, plain {plain}\n{pair.yaml}\ndocument = {pair.doc}\nsettings = {pair.settings}\n"
            f"lookups = {pair.lookups}\nreferences = {pair.references}\nparts = {pair.parts}"
        )


def test_compiled_and_plain_agree_on_random_mappings_and_documents() -> None:
    tally, pairs = Tally(), Counter[str]()

    @HOW
    @given(written())
    def agree(pair: Written) -> None:
        pairs["all"] += 1
        compare(pair, tally)

    agree()

    refused = sum(tally.refusals.values())
    logging.info("mappings: %s pairs, %s refused at load, each for a mistake made on purpose", pairs["all"], refused)
    for name, counter in (("refused", tally.refusals), ("came to", tally.outcomes), ("met", tally.features)):
        logging.info("mappings: %s: %s", name, ", ".join(f"{what} {count}" for what, count in counter.most_common()))
    assert refused <= pairs["all"] * 0.1
    assert tally.outcomes["apply: done"] >= pairs["all"] * 0.2

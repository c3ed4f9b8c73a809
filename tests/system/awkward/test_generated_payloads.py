"""Whatever Brightpearl may send: each order and contact is written, or ends with a cause that names the field; nothing crashes.

A short form by e.net here; `scripts/payloads 10000 --gateway harmony` runs as many of each kind as it is given, by the gateway
of its option.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from syncengine.sandbox.brightpearl import app
from syncengine.sandbox.shop.model import Contact, Order
from syncengine.store import models as m
from syncengine.store.states import Why
from tests.system.awkward.world import World

PAYLOADS = int(os.environ.get("SYNCENGINE_PAYLOADS", "80"))
"""Of each kind: orders, contacts."""

A_BATCH = 20
FIRST_ORDER, FIRST_CONTACT = 100_000, 200_000

Json = dict[str, Any]
Path = tuple[str, ...]


DEEP = re.compile(r'"@deep (\d+)"')


def _nested(found: re.Match[str]) -> str:
    """The text of a value that is this many levels deep; no object of it is ever made on this side."""
    levels = int(found[1]) // 2
    return '[{"a":' * levels + '"x"' + "}]" * levels


ODD: list[Any] = [
    None, True, False, "", " ", 0, -1, 1, 7.5, -0.01, 10**30, -(10**30), float("nan"), float("inf"), "NaN", "-Infinity",
    "sNaN", "1e400", "-1e-400", "1" * 400, "9" * 30, "0.123456789123456789", "-5.0000", "0.0000", "٣", "1_000", "0x10",
    [], {}, [None], {"value": None}, {"": ""}, [[1], [2]], "a\u0000b", "\ud800", "\udfff\ud800", "\u202eright to left",
    "\U0001f9e6 sock", "Ünïcode", "漢字", "x" * 31, "x" * 300, "x" * 70_000, "a\r\nb\tc", "]]><x/>&amp;", "'; DROP TABLE x; --",
    "2026-13-45T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-02-30", "2026-03-02T09:15:00",
    "-1", "99999999999999999999", 2**63, 2**31, 5, 6, 310, 3001, 2, 4040, "MUG", "BOOK", "USD", "EUR", "T99", "SC", "PO",
]  # fmt: skip

values = st.one_of(
    st.sampled_from(ODD),
    st.text(max_size=60),
    st.decimals(places=4, allow_nan=False, allow_infinity=False).map(str),
    st.integers(min_value=-(10**12), max_value=10**12),
    st.sampled_from([4, 40, 300, 600, 900, 3000, 100_000]).map("@deep {}".format),
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=8
    ),
)


@dataclass(frozen=True)
class Mutation:
    """One thing that is wrong with a payload. `place` chooses the path, as a share of all paths that there are."""

    kind: str
    place: float
    value: Any


mutations = st.builds(
    Mutation,
    kind=st.sampled_from(["set", "set", "set", "remove", "add", "twice"]),
    place=st.floats(min_value=0, max_value=1, exclude_max=True),
    value=values,
)
batches = st.lists(st.lists(mutations, max_size=4), min_size=A_BATCH, max_size=A_BATCH)


def _paths(doc: Any, before: Path = ()) -> Iterator[Path]:
    for name in doc:
        yield (*before, name)
        if isinstance(doc[name], dict):
            yield from _paths(doc[name], (*before, name))


def _mutated(doc: Json, wrong: list[Mutation]) -> Json:
    doc = copy.deepcopy(doc)
    for one in wrong:
        paths = list(_paths(doc))
        if not paths:
            break
        *way, last = paths[int(one.place * len(paths))]
        inside = doc
        for name in way:
            inside = inside[name]
        if one.kind == "remove":
            del inside[last]
        elif one.kind == "set":
            inside[last] = one.value
        elif one.kind == "add":
            inside["somethingNew"] = one.value
        elif isinstance(doc.get("orderRows"), dict):  # a row that is there twice, under another id
            for number, row in list(doc["orderRows"].items())[:1]:
                doc["orderRows"][f"{number}0"] = copy.deepcopy(row)
    return doc


@dataclass
class Generator:
    """Puts generated payloads into the account and looks at what became of them."""

    world: World
    order: Order
    contact: Contact
    texts: dict[tuple[str, int], str] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    used: int = 0

    def __post_init__(self) -> None:
        account = self.world.shop.account
        real_order, real_contact = account.order_text, account.contact_json
        self.orders: Json = json.loads(real_order(self.order))
        self.contacts: Json = real_contact(self.contact)
        account.order_text = lambda one: self._order(one.id) or real_order(one)  # type: ignore[method-assign]
        account.contact_json = self._contact(real_contact)  # type: ignore[method-assign]

    def _order(self, number: int) -> str:
        return DEEP.sub(_nested, self.texts.get(("order", number), ""))

    def _contact(self, real: Any) -> Any:
        def shown(one: Contact) -> Any:
            text = self.texts.get(("contact", one.id))
            return json.loads(text) if text is not None else real(one)

        return shown

    def put(self, kind: str, payloads: list[list[Mutation]]) -> list[str]:
        """Have the account give these payloads, each under an id of its own; returns the ids."""
        account, keys = self.world.shop.account, []
        self.texts.clear()
        for wrong in payloads:
            self.used += 1
            if kind == "order":
                number = FIRST_ORDER + self.used
                account.orders = {**account.orders, number: replace(self.order, id=number)}
                doc = {**self.orders, "id": number}
            else:
                number = FIRST_CONTACT + self.used
                account.contacts = {**account.contacts, number: replace(self.contact, id=number)}
                doc = {**self.contacts, "contactId": number}
            self.texts[kind, number] = json.dumps(_mutated(doc, wrong), default=float)
            keys.append(str(number))
        return keys

    def complaints(self, flow: str, keys: list[str]) -> dict[str, str]:
        """What is wrong with the ends of these records, by key: each is to be written, left alone by a rule, or to be where
        a person finds it, with a cause."""
        with self.world.store.read() as session:
            query = select(m.Record).where(m.Record.flow == flow, m.Record.key.in_(keys))
            records = {record.key: record for record in session.scalars(query)}
            open_ones = select(m.Failure).where(m.Failure.flow == flow, m.Failure.key.in_(keys))
            letters = {letter.key: letter for letter in session.scalars(open_ones)}
            died = select(m.Event.key, m.Event.detail).where(m.Event.what == "step died", m.Event.key.in_(keys))
            found = {key: f"its step died: {detail['because']}" for key, detail in session.execute(died)}
        for key in keys:
            self.ends[f"{flow} {records[key].status}"] += 1
            if complaint := self._complaint(flow, records[key], letters.get(key)):
                found.setdefault(key, complaint)
        return found

    def _complaint(self, flow: str, record: m.Record, letter: m.Failure | None) -> str:
        if record.wanted != record.done:
            return f"not dealt with: {record.reason}"
        match record.status:
            case "done":
                return "" if flow != "orders" or self.world.erp.made(record.key) == 1 else "not there exactly once"
            case "dead":
                return "" if letter and letter.field and letter.cause else "no letter that names the field"
            case "waiting":
                is_seen = record.need_entity.startswith("lookup:") or self._is_dead(record.need_key)
                return "" if is_seen else f"waits for what nobody will bring: {record.reason}"
            case "skipped":
                return "" if record.reason else "left alone without a reason"
            case "held" if record.why == Why.RULE:  # SYSPRO's character set cannot hold one of its texts
                return "" if record.reason else "held without a reason"
        return f"{record.status}: {record.reason}"

    def _is_dead(self, key: str) -> bool:
        return self.world.record(key, "customers").status == "dead"


@pytest.fixture
def generator(world: World, monkeypatch: pytest.MonkeyPatch) -> Generator:
    monkeypatch.setattr(app, "dumps", lambda body: DEEP.sub(_nested, json.dumps(body, default=float)))
    contact = world.shop.contact()
    order = world.shop.order(
        contact,
        world.shop.row("MUG", 2, "16.00"),
        world.shop.row("BOOK", 1, "12.50"),
        world.shop.text("Gift wrap", "2.00"),
        world.shop.shipping("Post", "4.95"),
    )
    world.configure(ceilings={"customers": 1_000_000, "orders": 1_000_000})
    world.sync("orders", order.id)
    assert world.status(order.id)[0] == "done"
    return Generator(world, order, contact)


@pytest.mark.parametrize(("kind", "flow"), [("order", "orders"), ("contact", "customers")])
def test_every_payload_is_written_or_ends_with_a_cause_that_names_the_field(
    generator: Generator, kind: str, flow: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=__name__)

    @settings(
        max_examples=max(1, PAYLOADS // A_BATCH),
        deadline=None,
        database=None,
        derandomize="SYNCENGINE_PAYLOADS" not in os.environ,
        phases=[Phase.generate],  # a batch of few mutations is small enough to read
        suppress_health_check=list(HealthCheck),
    )
    @given(batches)
    def run(payloads: list[list[Mutation]]) -> None:
        wrong = dict(zip(generator.put(kind, payloads), payloads, strict=True))
        generator.world.sync(flow, *wrong)
        assert [(complaint, wrong[key]) for key, complaint in generator.complaints(flow, list(wrong)).items()] == []

    run()
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    assert generator.used >= PAYLOADS
    logging.getLogger(__name__).info("%s payloads: %s", f"{generator.used:,}", dict(sorted(generator.ends.items())))

"""A warehouse system on the left and a shop on the right, whose levels follow it: what the tests of levels need.

The shop keeps a journal of movements. Its feed tells of each `LAG_S` later, as searches do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from syncengine.connectors.base import Moved, Operation, Outcome, Page, Position, Ref, Safety, SentWrite, Verb
from syncengine.document import LINE_KEY, Doc, fingerprint
from syncengine.engine.core.engine import Limits
from syncengine.engine.steps import sync
from syncengine.errors import Transient
from syncengine.flows.flow import Flow, Levels
from syncengine.mapping.contract import Context
from syncengine.store import models as m
from tests.contract.kernel.world import Plain, System, Thing, World, flow

LAG_S = 30.0
SETTLE_S = 120.0
EVERY_S = 120.0
SWEEP_S = 21_600.0
SETTINGS = {"jump_limit": 100, "vanish_share": 0, "within": 10}


class Warehouse(Thing):
    """The source: a code with its quantity by place. Its feed says how urgent a code is: one with nothing left is."""

    has_pages = True
    search_lag_s = 0.0
    per_page = 4

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        if not position and since is not None:
            touched = [int(doc["version"]) for doc in self.objects.values() if doc["touched"] < since]
            position = {"edit": max(touched, default=0)}
        for page in super().changes(feed, position, since=since):
            yield replace(page, refs=[replace(ref, urgency=self._urgency(ref.key)) for ref in page.refs])

    def _urgency(self, key: str) -> int:
        rows = self.objects[key]["rows"]
        return int(isinstance(rows, dict) and not any(rows.values()))

    def pages(self, position: Position) -> Iterator[Page]:
        after = str(position.get("after", ""))
        while True:
            self._reachable()
            keys = sorted(key for key in self.objects if key > after)[: self.per_page]
            self.system.reads.append(("page", keys))
            if not keys:
                return
            docs = {key: copy.deepcopy(self.objects[key]) for key in keys}
            after = keys[-1]
            refs = [Ref(key, fingerprint(doc)) for key, doc in docs.items()]
            yield Page(refs, {"after": after}, self.system.time.at, docs)


@dataclass
class Journal:
    """What moved in the shop, in the order of time. reasons: of corrections, by note."""

    moved: list[Moved] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)  # notes that searches do not show


class Shop(Thing):
    """The target: products with levels by place, changed by corrections that add and that nothing but their reason names."""

    feeds = ("moved",)
    search_lag_s = LAG_S
    resolution_s = 1.0
    most_per_write = 50
    settle_s = SETTLE_S
    line_fields = {"places": ("id",)}
    is_silent = False  # whether the feed gives no page where nothing has moved

    def __init__(self, system: System, name: str) -> None:
        super().__init__(system, name)
        self.safety = {Verb.CREATE: Safety.ASK, Verb.CHANGE: Safety.SEARCH}  # type: ignore[misc]
        self.journal = Journal()
        self.held_cost: set[str] = set()

    # -- what its people do

    def stock(self, key: str, **levels: int) -> None:
        """A product whose SKU is its key without the P, and its levels by place, set long ago."""
        self.system.put(self.kind, key, name=key, ref=key.removeprefix("P"))
        self.objects[key]["places"] = [{"id": place, "level": level} for place, level in sorted(levels.items())]

    def level(self, key: str, place: str = "main") -> int:
        rows = {row["id"]: int(row["level"]) for row in self.objects[key]["places"]}
        return rows.get(place, 0)

    def move(self, key: str, quantity: int, *, place: str = "main", kind: str = "GO", reason: str = "") -> str:
        """Something leaves or comes; returns its note. kind: SC for a correction."""
        rows = self.objects[key].setdefault("places", [])
        row = next((row for row in rows if row["id"] == place), None)
        if row is None:
            rows.append(row := {"id": place, "level": 0})
        row["level"] += quantity
        note = f"{kind}{len(self.journal.moved) + 1}"
        self.journal.reasons[note] = reason
        self.journal.moved.append(
            Moved(note, note, kind, key, place, Decimal(quantity), self.system.time.at, correction=kind == "SC")
        )
        return note

    # -- what the engine asks

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        at = self.system.time.at.isoformat()
        found = {key: doc for key, doc in super().read(keys).items() if "places" in doc}
        return {key: {**doc, "from": at, "by": at} for key, doc in found.items()}

    def load(self, doc: Doc) -> Doc:
        return {**super().load(doc), **{name: datetime.fromisoformat(doc[name]) for name in ("from", "by")}}

    def read_between(self, doc: Doc) -> tuple[datetime, datetime] | None:
        if "from" not in doc:
            return None
        began, ended = doc["from"], doc["by"]
        if isinstance(began, datetime):
            return began, ended
        return datetime.fromisoformat(began), datetime.fromisoformat(ended)

    def keys_of(self, natural_keys: Sequence[str]) -> dict[str, list[str]]:
        found = self.find(natural_keys)
        return {natural: sorted(doc["id"] for doc in docs) for natural, docs in found.items()}

    def changes(self, feed: str, position: Position, *, since: datetime | None = None) -> Iterator[Page]:
        self._reachable()
        self.system.reads.append(("moved", []))
        now, begin = self.system.time.at, int(position.get("count", 0))
        shown = [each for each in self.journal.moved if each.at + timedelta(seconds=self.search_lag_s) <= now]
        some = [each for each in shown[begin:] if position or since is None or each.at >= since]
        if self.is_silent and not some:
            return
        refs = {each.item: Ref(each.item, each.ref, each.at) for each in some if each.note not in self.journal.hidden}
        moved = [each for each in some if each.note not in self.journal.hidden]
        yield Page(list(refs.values()), {"count": len(shown)}, now, movements=moved)

    def took_effect(self, writes: Sequence[SentWrite]) -> dict[str, bool | None]:
        self._reachable()
        self.system.reads.append(("took effect", [write.operation.token for write in writes]))
        found: dict[str, bool | None] = {}
        for write in writes:
            operation, line = write.operation, write.operation.lines[0]
            began, _ = self.read_between(operation.current or {}) or (write.sent_at, write.sent_at)
            since = [
                each
                for each in self.journal.moved
                if each.item == operation.key and each.place == line.key and each.at >= began
                and each.note not in self.journal.hidden
            ]  # fmt: skip
            mine = [each for each in since if operation.token in self.journal.reasons[each.note]]
            expected = line.changes["level"].old + sum(each.quantity for each in since)
            is_clear = self.level(str(operation.key), line.key) == expected
            found[operation.token] = bool(mine) if is_clear else None
        return found

    def calls(self, operation: Operation) -> Sequence[Operation]:
        return [replace(operation, lines=(line,)) for line in operation.lines]

    def objection(self, operation: Operation) -> str | None:
        return "it has no cost" if operation.key in self.held_cost else None

    def after(self, doc: Doc, operation: Operation) -> Doc:
        changed = copy.deepcopy(doc)
        for line in operation.lines:
            rows = {row["id"]: row for row in changed["places"]}
            row = rows.setdefault(line.key, {"id": line.key, "level": 0})
            change = line.changes["level"]
            row["level"] = int(row["level"] + change.new - change.old)
            changed["places"] = list(rows.values())
        return changed

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        if self.system.faults and self.system.faults[0] == "throttled":
            self.system.faults.pop(0)
            raise Transient("try again later")
        return super().write(operations)

    def _apply(self, operation: Operation) -> Outcome:
        (line,) = operation.lines
        change, key = line.changes["level"], str(operation.key)
        note = self.move(key, int(change.new - change.old), place=line.key, kind="SC", reason=operation.token)
        self.system.writes.append(("change", f"{key} {line.key}", f"{change.old}>{change.new}"))
        return Outcome.done(key, note=note)


def wanted(doc: Doc, context: Context) -> Doc:
    return {
        "places": [
            {LINE_KEY: place, "level": Decimal(quantity) + context.tallied.get(place, Decimal(0))}
            for place, quantity in doc["rows"].items()
        ]
    }


class Levelled(World):
    """The world with the flow `stock`."""

    warehouse: Warehouse
    shop: Shop

    def put(self, code: str, **rows: int) -> None:
        """What the warehouse has of a code, by place."""
        self.left.put("stock", code, name=code, rows=rows)

    def pair(self, code: str, here: int, there: int) -> None:
        """A code and its product, with one place."""
        self.put(code, main=here)
        self.shop.stock(f"P{code}", main=there)

    def tick(self, patience_s: float = 0.0) -> str:
        """The flow's next turn by beat, and all that it causes within some seconds."""
        self.time.pass_(EVERY_S)
        said = sync.run(self.engine, sync.Request("stock", trigger="schedule"))
        self.settle(patience_s=patience_s)
        return said

    def load(self) -> None:
        """The first sweep, with all that waits; then the journals of calls and writes are emptied."""
        self.tick(300)
        self.tick(300)
        self.forget_calls()

    def forget_calls(self) -> None:
        """Empty the journals of reads and writes."""
        for system in (self.left, self.right):
            system.reads.clear()
            system.writes.clear()

    def changes(self) -> list[str]:
        """What was written, in order: product, place, old and new level."""
        return [f"{where} {change}" for _, where, change in self.right.writes]

    def state(self, code: str) -> tuple[str, str]:
        """Status and why of a record."""
        record = self.record("stock", code)
        return str(record.status), str(record.why)

    def set(self, **settings: Any) -> None:
        """Change settings of the flow."""
        self.configure(settings={**SETTINGS, **settings})


def levels_flow(**more: Any) -> Flow:
    """The flow `stock`; its mapping keeps the places of the warehouse."""
    settings: Mapping[str, Any] = {
        "entity": "products", "levels": Levels("places", "level", "jump_limit", "vanish_share", "within"),
        "backward_feeds": ("moved",), "every_s": EVERY_S, "sweep_s": SWEEP_S, "settings": SETTINGS,
    }  # fmt: skip
    mapping = more.pop("mapping", Plain(wanted))
    return flow("stock", mapping, **{**settings, **more})


def levelled(make: Callable[..., World], limits: Limits | None = None, **more: Any) -> Levelled:
    """A world with the flow `stock`. make: the fixture `make_world`."""
    made = make(levels_flow(**more), limits=limits)
    made.__class__ = Levelled
    assert isinstance(made, Levelled)
    made.resources["left.stock"] = made.warehouse = Warehouse(made.left, "left.stock")
    made.resources["right.stock"] = made.shop = Shop(made.right, "right.stock")
    return made


def row_of(world: World, model: Any) -> list[Any]:
    """All rows of a table, by id."""
    with world.store.read() as session:
        return list(session.query(model).order_by(model.id))


def links_of(world: World) -> list[tuple[str, str | None]]:
    """The keys of all links."""
    return [(link.left_key, link.right_key) for link in row_of(world, m.Link)]

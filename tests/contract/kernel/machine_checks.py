"""What must be true when the state machine has come to rest: nothing is lost, there twice, overwritten or stuck.

Judged from both systems and their journals; of the engine's tables, only what a person sees of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from syncengine.document import Doc
from syncengine.mapping.contract import Context
from syncengine.store import models as m
from tests.contract.kernel.machine_world import Trouble, Watched, bundle, named, parts, value
from tests.contract.kernel.texts import original
from tests.contract.kernel.world import World, by_name

OPEN = ("intended", "done", "rejected", "superseded")
IN_DOUBT = ("nobody knows whether", "sent 5 times")


@dataclass(frozen=True)
class Meant:
    """What a record is to make of one object of the side that it writes, and where it is found."""

    system: Watched
    kind: str
    key: str
    doc: Doc


@dataclass
class Rest:
    """Both systems and the store, at rest."""

    world: World
    left: Watched
    right: Watched
    trouble: Trouble

    def __post_init__(self) -> None:
        with self.world.store.read() as session:
            self.records = session.scalars(select(m.Record)).all()
            self.effects = session.scalars(select(m.Effect)).all()
            self.links = session.scalars(select(m.Link)).all()
        self.by_key = {(one.flow, one.key): one for one in self.records}

    def check(self) -> None:
        """Raises AssertionError that names the first thing that is wrong."""
        self._nothing_is_stuck()
        self._nothing_is_there_twice()
        for key, doc in self._objects("left", "customers"):
            self._arrived("customers", key, [("customers", by_name(doc, Context()))])
        for key, doc in self._objects("left", "orders"):
            self._arrived("orders", key, [("orders", by_name(doc, Context()))])
        for key, doc in self._objects("left", "bundles"):
            self._arrived("bundles", key, [("bundles", bundle(doc, Context()))])
        for key, doc in self._objects("left", "payments"):
            self._arrived("payments", key, [("payments", by_name(doc, Context()))])
        for key, doc in self._objects("left", "pieces"):
            self._arrived("pieces", key, [("pieces", one) for one in parts(doc, Context()).values()])
        for key, doc in self._objects("right", "loads"):
            self._arrived("loads", key, [("loads", one) for one in parts(doc, Context()).values()], to=self.left)
        self._notes_and_statuses()

    def _objects(self, side: str, kind: str) -> Sequence[tuple[str, Doc]]:
        return list((self.left if side == "left" else self.right).objects.get(kind, {}).items())

    # -- the whole -----------------------------------------------------------------------------------------------------

    def _nothing_is_stuck(self) -> None:
        assert [one.key for one in self.records if one.token or one.runner] == [], "a lease is left"
        for one in self.records:
            locked = original(one.reason) == "record locked" and "answer locked" in self.trouble.writes.values()
            assert one.wanted == one.done or locked, f"{one.flow} {one.key} stays due: {one.reason}"
        of_record = {one.id: one for one in self.records}
        for effect in self.effects:
            record = of_record[effect.record_id]
            if effect.state not in OPEN:
                assert effect.state == "unknown", (effect.state, record.flow, record.key)
                assert record.status in ("held", "dead"), (record.flow, record.key, record.status)

    def _nothing_is_there_twice(self) -> None:
        for kind in ("customers", "orders", "pieces", "bundles", "payments", "loads"):
            system = self.left if kind == "loads" else self.right
            there = {key: doc for key, doc in system.objects.get(kind, {}).items() if "ref" in doc}
            refs = [doc["ref"] for doc in there.values()]
            assert len(refs) == len(set(refs)), f"twice: {refs}"
            linked = [
                link.left_key if kind == "loads" else link.right_key for link in self.links if link.entity == kind
            ]
            if kind != "payments":
                assert len(linked) == len(set(linked)), f"linked twice: {linked}"
                cursed = {key for key, doc in there.items() if self._is_cursed(system, kind, [named(doc)])}
                assert set(linked) - cursed == set(there) - cursed, (kind, linked, sorted(there))

    def _is_cursed(self, system: Watched, kind: str, names: Iterable[str]) -> bool:
        return self.trouble.concerns(system.name, kind, list(names))

    # -- the records ---------------------------------------------------------------------------------------------------

    def _arrived(self, flow: str, key: str, wanted: Sequence[tuple[str, Doc]], *, to: Watched | None = None) -> None:
        """A record of a flow that creates: each of its objects is there and as it is wanted, or the record says why not."""
        system = to or self.right
        source = self.right if system is self.left else self.left
        record = self.by_key[flow, key]
        meant, lacking = [], []
        for kind, doc in wanted:
            found = [at for at, one in system.objects.get(kind, {}).items() if one.get("ref") == doc["ref"]]
            meant += [Meant(system, kind, at, doc) for at in found]
            lacking += [doc["ref"]] if not found else []
        own = [
            at for at, one in system.objects.get(flow, {}).items() if str(one.get("ref", "")).partition("-")[0] == key
        ]
        refs = [doc["ref"] for _, doc in wanted]
        if self._is_cursed(source, flow, [key]) or self._is_cursed(
            system, flow, [*refs, *(f"{key}-{part}" for part in "abc")]
        ):
            assert record.status in ("done", "dead", "held", "open", "waiting"), (record.status, record.reason)
        elif record.status == "done":
            assert lacking == [], f"{flow} {key} is done, and lacks {lacking}"
            self._agree(record, meant)
            unwanted = set(own) - {one.key for one in meant}
            still = [at for at in unwanted if not system.objects[flow][at].get("cancelled")]
            assert still == [], f"{flow} {key} is done, and {still} is not wanted any more"
        elif record.status == "waiting":
            self._waits_rightly(source.objects["orders"][key])
        elif record.status == "dead":
            invalid = flow == "customers" and source.objects[flow][key]["name"] is None
            assert invalid, (flow, key, record.reason)
        else:
            self._is_held_rightly(record, [(system, flow, at) for at in own])

    def _agree(self, record: m.Record, meant: Iterable[Meant]) -> None:
        for one in meant:
            there = one.system.objects[one.kind][one.key]
            for name, wanted in one.doc.items():
                edits = one.system.history(one.kind, one.key, name)
                by_people = bool(edits) and edits[-1].is_peoples
                same = value(there, name) == ("" if wanted is None else wanted)
                what = (
                    f"{record.flow} {record.key} is done, and {one.key} has {name} {there.get(name)!r}, not {wanted!r}"
                )
                assert same or by_people, what
            assert not there.get("cancelled"), f"{record.flow} {record.key} is done, and {one.key} is cancelled"

    def _waits_rightly(self, doc: Doc) -> None:
        customer = self.left.objects.get("customers", {}).get(doc["customer"])
        record = self.by_key.get(("customers", doc["customer"]))
        cursed = any(self._is_cursed(side, "customers", [doc["customer"]]) for side in (self.left, self.right))
        assert (
            customer is None
            or customer["name"] is None
            or (cursed and record and record.status in ("dead", "held", "open"))
        )

    def _is_held_rightly(self, record: m.Record, targets: Sequence[tuple[Watched, str, str]]) -> None:
        assert record.status == "held", (record.flow, record.key, record.status, record.reason)
        docs = [system.objects[kind][key] for system, kind, key in targets]
        edited = any(
            one.is_peoples
            for system, kind, key in targets
            for (at_kind, at_key, _), edits in system.edits_of.items()
            if (at_kind, at_key) == (kind, key)
            for one in edits
        )
        causes = {
            "changed on both sides": edited,
            "was cancelled in the target": any(doc.get("cancelled") for doc in docs),
            "it is invoiced": any(doc.get("invoiced") for doc in docs),
            "it was written without a key": record.flow == "payments",
        }
        causes |= dict.fromkeys(IN_DOUBT, self._has_doubt(record))
        true = [cause for cause, is_so in causes.items() if cause in original(record.reason) and is_so]
        assert true, f"{record.flow} {record.key} is held without a cause: {record.reason}"

    def _has_doubt(self, record: m.Record) -> bool:
        return any(one.record_id == record.id and one.state == "unknown" for one in self.effects)

    # -- write-backs ---------------------------------------------------------------------------------------------------

    def _notes_and_statuses(self) -> None:
        for link in self.links:
            if link.entity == "orders" and link.right_key is not None:
                source = {link.left_key: self.left.objects["orders"][link.left_key]}
                self._written_back("notes", f"right:{link.right_key}", "remark", "note", source, self.left, self.right)
                source = {link.right_key: self.right.objects["orders"][link.right_key]}
                self._written_back(
                    "statuses", f"left:{link.left_key}", "status", "status", source, self.right, self.left
                )
        pieces: dict[str, dict[str, Doc]] = {}
        for link in self.links:
            if link.entity == "pieces" and link.right_key is not None:
                doc = self.right.objects["pieces"][link.right_key]
                pieces.setdefault(link.left_key, {})[link.right_key] = doc
        for key, some in pieces.items():
            self._written_back("piece_statuses", f"left:{key}", "status", "status", some, self.right, self.left)

    def _written_back(
        self,
        flow: str,
        record_key: str,
        of: str,
        name: str,
        sources: Mapping[str, Doc],
        source: Watched,
        target: Watched,
    ) -> None:
        kind, key = "pieces" if flow == "piece_statuses" else "orders", record_key.partition(":")[2]
        assert (flow, record_key) in self.by_key, f"{flow} {record_key} is lost"
        record = self.by_key[flow, record_key]
        if self._is_cursed(source, kind, map(named, sources.values())) or self._is_cursed(
            target, kind, [named(target.objects[kind][key])]
        ):
            assert record.status in ("done", "dead", "held", "open", "skipped"), (record.status, record.reason)
            return
        said = {value(doc, of) for doc in sources.values() if not doc.get("cancelled")}
        if record.status == "skipped":
            assert not said, f"{flow} {record_key} is skipped: {record.reason}"
        elif record.status == "done":
            assert len(said) == 1, f"{flow} {record_key} is done, and {said} do not agree"
            edits = target.history(kind, key, name)
            there = value(target.objects[kind][key], name)
            by_people = bool(edits) and edits[-1].is_peoples
            assert there in said or by_people, f"{flow} {record_key} is done, and {name} is {there!r}, not {said}"
        elif "do not agree" in original(record.reason):
            assert len(said) > 1, f"{flow} {record_key}: they all say {said}"
        else:
            self._is_held_rightly(record, [(target, kind, key)])

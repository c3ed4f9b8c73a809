"""What two people do: each looks first, keeps the prompt open for a while, then answers.

Each answer is judged by the rows before it: what was taken must be as it was shown; what was not must be reported, and leave
no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from syncengine.connectors.base import Verb
from syncengine.engine.core import observe_mode
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.failures import ATTENTION, DEAD
from syncengine.engine.decide import patches
from syncengine.engine.decide.plan import Plan
from syncengine.engine.people import (
    dead_letter_bulk,
    dead_letter_detail,
    dead_letters,
    held,
    manual,
    manual_links,
    manual_settlement,
)
from syncengine.engine.people.dead_letters import LetterFilter
from syncengine.engine.people.held import Held
from syncengine.engine.people.seen import ActionResult
from syncengine.engine.traffic import endpoints
from syncengine.engine.upkeep import retention
from syncengine.engine.writes import ceiling
from syncengine.errors import Misconfigured, SyncError
from syncengine.store import models as m
from syncengine.store.states import Why
from tests.contract.kernel.machine_world import Watched
from tests.contract.kernel.people_checks import State, rows, state_of, touched
from tests.contract.kernel.people_world import Book, Shown, shown_steps
from tests.contract.kernel.world import World

KEPT = retention.Kept(events=0, writes=40, letters=40, documents=20, runs=5, alerts=5)
Rows = Mapping[str, Mapping[Any, tuple[Any, ...]]]
Answer = Callable[[], None]


@dataclass
class Desk:
    """Where both people sit. taken, left: how many answers were carried out, and how many were refused, by name."""

    world: World
    book: Book
    left: Watched
    right: Watched
    taken: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def engine(self) -> Engine:
        return self.world.engine

    def states(self, ids: Iterable[int]) -> dict[int, State | None]:
        with self.world.store.read() as session:
            return {id_: state_of(session, self.world, id_) for id_ in ids}

    def rows(self) -> Rows:
        with self.world.store.read() as session:
            return rows(session)

    def attempt(self, name: str, action: Callable[[], Any]) -> tuple[Any, Rows, Rows] | None:
        """What an action gives, with the rows before and after it; None if it has raised, which must leave no trace."""
        before = self.rows()
        done, error = None, ""
        try:
            done = action()
        except SyncError as refused:
            error = str(refused) or "refused"
        if error:
            assert self.rows() == before, f"{name} was refused ({error}), and something was changed"
            self.refused[name] = self.refused.get(name, 0) + 1
            return None
        self.taken[name] = self.taken.get(name, 0) + 1
        return done, before, self.rows()

    def records(self, *conditions: Any) -> Sequence[m.Record]:
        with self.world.store.read() as session:
            return session.scalars(select(m.Record).where(*conditions).order_by(m.Record.id)).all()

    # -- held ----------------------------------------------------------------------------------------------------------

    def decide(self, by: str, number: int, *, approves: bool, many: bool) -> Answer | None:
        """Look at what is held, one or all, to approve or refuse it."""
        with self.world.store.read() as session:
            found = held.listed(session, self.engine)
            able = [one for one in found if (one.may_be_approved if approves else one.may_be_refused)]
            if not able:
                return None
            chosen = able if many else [able[number % len(able)]]
            is_pair = self.engine.flow(chosen[0].record.flow).two_way and chosen[0].hold == Why.CONFLICT
            side = "right" if is_pair and not many and number % 2 else "left"
            made = held.if_approved(session, self.engine, chosen, side=side) if approves else {}
        seen = self.states(one.record.id for one in chosen)
        writes = {one.record.id: _writes(made.get(one.record.id), one) for one in chosen}
        said = side if approves else ""
        same = {one.record.id for one in chosen if one.decision is not None and one.decision.side == said}

        def answer() -> None:
            now = self.states(seen)
            action = (
                (lambda: held.approve(self.engine, chosen, by=by, because="it is right", side=side))
                if approves
                else (lambda: held.refuse(self.engine, chosen, by=by, because="it is wrong"))
            )
            result = self.attempt("approve" if approves else "refuse", action)
            ids = _taken(result, {(one.record.flow, one.record.key): one.record.id for one in chosen})
            for id_ in seen:
                self._judge(
                    id_ in ids, id_ not in same and _as_decided(seen[id_], now[id_]), f"{seen[id_]} and {now[id_]}"
                )
            if result is not None:
                _, before, after = result
                fresh = {row[2]: id_ for id_, row in after["decision"].items() if id_ not in before["decision"]}
                assert set(fresh) == ids, f"decisions on {set(fresh)}, and not on {ids}"
                assert touched(before, after) <= ids
                self.book.approved |= {decision: writes[record_id] for record_id, decision in fresh.items()}

        return answer

    def _judge(self, is_taken: bool, fits: bool, what: str) -> None:
        assert not (is_taken and not fits), f"it was taken although it is not as it was shown: {what}"
        assert is_taken or not fits, f"it was not taken although it is as it was shown: {what}"

    # -- dead letters --------------------------------------------------------------------------------------------------

    def put_away(self, by: str, number: int, *, kind: str, many: bool) -> Answer | None:
        """Look at letters to discard the dead, or to close those that need attention."""
        with self.world.store.read() as session:
            letters = list(dead_letter_bulk.choose_of_kind(session, LetterFilter(), kind, most=500).letters)
        if not letters:
            return None
        chosen = letters if many else [letters[number % len(letters)]]
        seen = self.states(one.record_id for one in chosen)

        def answer() -> None:
            now = self.states(seen)
            act = dead_letter_bulk.discard if kind == DEAD else dead_letter_bulk.close
            result = self.attempt(act.__name__, lambda: act(self.engine, chosen, because="a test", by=by))
            ids = _taken(result, {(one.flow, one.key): one.record_id for one in chosen})
            for one in chosen:
                is_open = now[one.record_id] is not None and one.id in now[one.record_id].letters  # type: ignore[union-attr]
                fits = is_open and (kind == ATTENTION or _as_dead(now[one.record_id]))
                if len([other for other in chosen if other.record_id == one.record_id]) == 1:
                    self._judge(one.record_id in ids, fits, f"{one.id} {seen[one.record_id]} and {now[one.record_id]}")
            if result is not None:
                assert touched(result[1], result[2]) <= ids
            for id_ in ids if kind == DEAD else ():
                [record] = self.records(m.Record.id == id_)
                self.book.rests[id_] = record.fetched_at or self.world.time.at

        return answer

    def retry(self, by: str, number: int, *, many: bool) -> Answer | None:
        """Look at dead letters, those that were discarded too, to have them tried again."""
        with self.world.store.read() as session:
            every = session.scalars(select(m.Failure.id).where(m.Failure.kind == DEAD).order_by(m.Failure.id)).all()
            if not every:
                return None
            ids = () if many else (every[number % len(every)],)
            try:
                letters = dead_letter_bulk.choose(session, LetterFilter(ids=ids), most=500).letters
            except Misconfigured:
                return None
        discarded = [one.id for one in letters if one.closed_at is not None]
        some = {one.id: one.record_id for one in letters}
        if not some:
            return None

        def answer() -> None:
            result = self.attempt("retry", lambda: dead_letters.retry(
                self.engine, list(some), by=by, because="again", closed_too=not ids, reopens=discarded
            ))  # fmt: skip
            if result is None:
                return
            _, before, after = result
            place = list(m.Failure.__table__.c.keys()).index("closed_at") + 1
            opened = {id_ for id_, row in before["failure"].items() if row[place] and not after["failure"][id_][place]}
            assert opened <= set(discarded), f"{opened - set(discarded)} were discarded meanwhile, and are open again"
            assert touched(before, after) <= set(some.values())
            for id_ in touched(before, after):
                self.book.rests.pop(id_, None)

        return answer

    def correct(self, by: str, number: int, name: str) -> Answer | None:
        """Look at the source of a dead letter and edit it, on top of what is corrected already."""
        found = self._letter(number)
        if found is None:
            return None
        try:
            source = dead_letter_detail.source_of(self.engine, found.id)
            more = patches.of_values(source.present, [f"name={name}"])
            patch = [*(source.active.patch if source.active else ()), *more]
            dead_letter_detail.preview_patch(self.engine, source, patch)
        except Misconfigured:  # the document is not kept, or what was asked for is there already
            return None
        seen = self.states([found.record_id])[found.record_id]
        mine = source.active.id if source.active else 0

        def answer() -> None:
            now = self.states([found.record_id])[found.record_id]
            assert seen is not None
            action = lambda: dead_letter_detail.correct(self.engine, source, patch, because="a slip", by=by)  # noqa: E731
            result = self.attempt("correct", action)
            fits = now is not None and found.id in now.letters and now.correction == mine
            self._judge(result is not None, fits, f"{found.id} {seen} and {now}")
            if result is not None:
                assert touched(result[1], result[2]) <= {found.record_id}

        return answer

    def withdraw(self, by: str, number: int) -> None:
        found = self._letter(number)
        if found is not None:
            self.attempt("withdraw", lambda: dead_letter_detail.withdraw(self.engine, found.id, by=by))
            now = self.states([found.record_id])[found.record_id]
            assert now is None or now.correction == 0

    def _letter(self, number: int) -> m.Failure | None:
        with self.world.store.read() as session:
            found = [one for one, _ in dead_letters.listed(session, LetterFilter(kind=DEAD))]
        return found[number % len(found)] if found else None

    # -- links ---------------------------------------------------------------------------------------------------------

    def link(self, by: str, flow: str, number: int, other: int, part: str) -> Answer | None:
        """Look at two objects that exist, to link them."""
        lefts, rights = (sorted(one.objects.get(flow, {})) for one in (self.left, self.right))
        if not lefts or not rights:
            return None
        part = part if flow == "lamps" else ""
        try:
            pairing = manual_links.inspect(
                self.engine, self.world.connection_id, flow, lefts[number % len(lefts)], rights[other % len(rights)], part=part
            )  # fmt: skip
        except SyncError:
            return None
        left, right = pairing.left[0], pairing.right[0]
        key = f"left:{left}" if flow == "pairs" else left
        seen = self._ignored(flow, key)

        def answer() -> None:
            now, there = self._ignored(flow, key), self._links(flow, left, right, part)
            result = self.attempt("link", lambda: manual_links.join(self.engine, pairing, by=by, because="the same"))
            if result is None:
                return
            assert not there, f"linked although {there} are there"
            assert not now or now == seen, f"it was ignored meanwhile, and is linked: {now}"
            self.book.join(left, right, flow, part)
            for one in self.records(m.Record.flow == flow, m.Record.key.in_((key, f"right:{right}"))):
                self.book.rests.pop(one.id, None)
                state = self.states([one.id])[one.id]
                assert state is None or not state.decision, f"a decision is left for {key}, which is linked by hand"

        return answer

    def _ignored(self, flow: str, key: str) -> str:
        return next((one.ignored for one in self.records(m.Record.flow == flow, m.Record.key == key)), "")

    def _links(self, flow: str, left: str, right: str, part: str) -> list[str]:
        taken = or_((m.Link.left_key == left) & (m.Link.part == part), m.Link.right_key == right)
        query = select(m.Link).where(m.Link.entity == flow, m.Link.provisional.is_(False), taken)
        with self.world.store.read() as session:
            return [f"{one.left_key}={one.right_key} {one.part}" for one in session.scalars(query)]

    def unlink(self, by: str, number: int, *, recreate: bool) -> Answer | None:
        """Look at a link, to take it away, or to have what is gone made once more."""
        with self.world.store.read() as session:
            every = session.scalars(select(m.Link).order_by(m.Link.id)).all()
            gone = [one for one in every if self._is_gone(one)]
            known = [one for one in gone if self._is_held(session, one)]
            chosen = (known or gone) if recreate else every
            if not chosen:
                return None
            one = chosen[number % len(chosen)]
            record = self._record_of(session, one)
            if record is None:
                return None
            try:
                link = manual.link_of(session, self.engine, record, one.part if one.entity == "lamps" else None)
            except Misconfigured:
                return None

        def answer() -> None:
            action = lambda: manual.unlink(self.engine, record, link, by=by, because="not the same", recreate=recreate)  # noqa: E731
            result = self.attempt("recreate" if recreate else "unlink", action)
            if result is None:
                return
            columns = list(m.Link.__table__.c.keys())
            row = dict(zip(columns, result[1]["link"].get(link.id, ("",))[1:], strict=False))
            same = (row.get("left_key"), row.get("right_key"), row.get("part")) == (
                link.left_key,
                link.right_key,
                link.part,
            )
            assert same, f"unlinked was {row}, and not what was shown"
            assert link.id not in result[2]["link"]
            gone = {id_ for id_ in result[1]["link"] if id_ not in result[2]["link"]}
            assert gone == {link.id}, f"{gone} were unlinked, and not {link.id} alone"
            if not recreate and link.right_key is not None:
                self.book.part(link.left_key, link.right_key, link.entity, link.part)

        return answer

    def _record_of(self, session: Session, link: m.Link) -> m.Record | None:
        keys = (f"left:{link.left_key}", f"right:{link.right_key}") if link.entity == "pairs" else (link.left_key,)
        query = select(m.Record).where(m.Record.flow == link.entity, m.Record.key.in_(keys))
        return session.scalars(query.order_by(m.Record.key)).first()

    def _is_held(self, session: Session, link: m.Link) -> bool:
        record = self._record_of(session, link)
        return record is not None and record.status == "held"

    def _is_gone(self, link: m.Link) -> bool:
        return link.right_key not in self.right.objects.get(link.entity, {}) or (
            link.left_key not in self.left.objects.get(link.entity, {})
        )

    # -- one object ----------------------------------------------------------------------------------------------------

    def by_hand(self, by: str, what: str, number: int) -> None:
        """Ignore, heed or push an object; these commands do not ask."""
        found = self.records(m.Record.ignored != "" if what == "heed" else m.Record.id > 0)
        if not found:
            return
        record = found[number % len(found)]
        actions: Mapping[str, Callable[[], Any]] = {
            "ignore": lambda: manual.ignore(self.engine, record, by=by, because="a test"),
            "heed": lambda: manual.unignore(self.engine, record, by=by, because="it is needed"),
            "push": lambda: manual.push(self.engine, record, now=True, by=by),
        }
        if self.attempt(what, actions[what]) is None:
            return
        if what == "ignore":
            self.book.rests[record.id] = None
            state = self.states([record.id])[record.id]
            assert state is not None
            assert (state.decision, state.status) == (0, "skipped")
        else:
            self.book.rests.pop(record.id, None)

    def look_at_all(self, by: str) -> None:
        """Have all that is done read whole, so that it is seen what is gone."""
        for record in self.records(m.Record.status == "done"):
            manual.push(self.engine, record, now=True, by=by)

    def settle(self, by: str, number: int) -> Answer | None:
        """Look in the target what became of a write that is in doubt."""
        found = self.records(m.Record.status == "held", m.Record.token.is_(None))
        for record in found[number % len(found) :] if found else ():
            with suppress(SyncError), self.world.store.read() as session:
                return self._settled(by, record, manual_settlement.unknown_write_of(session, self.engine, record))
        return None

    def _settled(self, by: str, record: m.Record, doubt: Any) -> Answer | None:
        effect = doubt.effect
        system: Watched = getattr(self, effect.resource.partition(".")[0])
        there = system.objects.get(effect.resource.partition(".")[2], {})
        key = self.book.made_by.get(effect.token, "") if effect.token in system.applied else ""
        happened = effect.token in system.applied and key in there and not self._is_anothers(record, effect, key)
        origin = (effect.resource, str(doubt.doc.get("origin", "")))
        if happened and effect.verb == Verb.CREATE:
            manual_settlement.find_object(self.engine, record, doubt, key)
        seen = (effect.state, effect.sends, effect.sent_at)

        def answer() -> None:
            with self.world.store.read() as session:
                row = session.get(m.Effect, effect.id)
                now = (row.state, row.sends, row.sent_at) if row is not None else None
            knows = bool(effect.accepted)
            actions: dict[str, Callable[[], None]] = {
                "happened": lambda: manual_settlement.happened(self.engine, record, doubt, key, by=by),
                "did not": lambda: manual_settlement.did_not(self.engine, record, doubt, by=by, although_done=knows),
            }
            said = "happened" if happened else "did not"
            if self.attempt(said, actions[said]) is not None:
                assert now == seen, f"settled was {seen}, and it is {now} by now"
                if not happened:  # somebody has looked: what comes back is not ours
                    self.book.twins.get(origin, set()).discard(key)

        return answer

    def _is_anothers(self, record: m.Record, effect: m.Effect, key: str) -> bool:
        """What a create has made was linked with another object since: it is not what this one needs."""
        if effect.verb != Verb.CREATE:
            return False
        near, far = (
            (m.Link.right_key, m.Link.left_key)
            if effect.resource.startswith("right")
            else (m.Link.left_key, m.Link.right_key)
        )
        with self.world.store.read() as session:
            query = select(far).where(m.Link.entity == record.flow, near == key, m.Link.provisional.is_(False))
            return any(other != record.key.rpartition(":")[2] for other in session.scalars(query))

    # -- traffic -------------------------------------------------------------------------------------------------------

    def pause(self, by: str, side: str, hours: int) -> Answer:
        until = self.world.time.at + timedelta(hours=hours)

        def answer() -> None:
            now = self.world.time.at
            with self.world.store.read() as session:
                row = session.scalars(select(m.Endpoint).where(m.Endpoint.name == f"{side}-1")).one()
            before = (row.paused_until, row.paused_by)
            action = lambda: endpoints.pause(self.engine, f"{side}-1", until=until, because="closing", by=by)  # noqa: E731
            if self.attempt("pause", action) is not None and before[0] is not None and before[0] > now:
                assert before[1] == by or until >= before[0], f"the pause of {before} is shortened by {by}"

        return answer

    def resume(self, by: str, side: str) -> None:
        self.attempt("resume", lambda: endpoints.resume(self.engine, f"{side}-1", by=by))

    def open_ceiling(self, by: str, flow: str, hours: int) -> None:
        uncounted = timedelta(hours=hours) if hours else None
        action = lambda: ceiling.open_(self.engine, "main", flow, by=by, because="it is right", uncounted=uncounted)  # noqa: E731
        if self.attempt("open", action) is not None:
            until = self.world.time.at + (uncounted or timedelta())
            self.book.counted_from[flow] = max(until, self.book.counted_from.get(flow, until))

    def mode(self, mode: str) -> None:
        if mode == observe_mode.MODE:
            self.world.configure(mode=mode)
        else:
            with self.world.store.read() as session:
                was = session.scalars(select(m.ConnectionRow.mode)).one()
            if was != observe_mode.LIVE:
                self.world.configure(mode=observe_mode.GOING_LIVE)
                observe_mode.go_live(self.world.store, self.world.connection_id)
                self.engine._connections.clear()

    def remove_old(self) -> None:
        retention.remove(self.engine, KEPT)


def _writes(made: Plan | str | None, one: Held) -> set[Shown]:
    """What a person was shown of what an approval lets be written."""
    plan = made if isinstance(made, Plan) else one.plan
    return shown_steps(plan.steps) if plan is not None else set()


def _taken(result: tuple[ActionResult, Rows, Rows] | None, ids: Mapping[tuple[str, str], int]) -> set[int]:
    """The records that an action has taken of those that it was given."""
    left = {(one.flow, one.key) for one in result[0].left} if result is not None else set(ids)
    assert left <= set(ids), f"{left - set(ids)} are named, and were not shown"
    return {id_ for place, id_ in ids.items() if place not in left}


def _as_decided(seen: State | None, now: State | None) -> bool:
    """Whether a held record is as it was when a person looked, as far as a decision on its plan goes."""
    return (
        seen is not None
        and now is not None
        and now.is_free
        and (now.status, now.plan, now.decision) == ("held", seen.plan, seen.decision)
    )


def _as_dead(now: State | None) -> bool:
    """Whether a letter's record may be discarded: it is dead, and no correction of it is still to be tried."""
    return now is not None and now.is_free and now.status == "dead" and not (now.correction and now.is_due)

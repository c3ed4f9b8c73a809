"""Third step: write. The intention is committed first, then the bytes leave, then each outcome is settled by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Outcome, Resource, Result, Safety, Verb
from syncengine.document import Doc
from syncengine.engine.core import decisions, failures, observe_mode, payloads, records, timeline
from syncengine.engine.core.backoff import backoff
from syncengine.engine.core.engine import Connection, Engine, calling, chunks
from syncengine.engine.core.lease import Lease
from syncengine.engine.core.records import Completion
from syncengine.engine.decide import adoption, plan_codec
from syncengine.engine.decide.adoption import Candidate
from syncengine.engine.decide.plan import PlanKind, Step
from syncengine.engine.decide.split_writes import calls_of
from syncengine.engine.traffic import endpoints, probe
from syncengine.engine.writes import ceiling, effects, links, unknown_writes
from syncengine.engine.writes.effects import Intent
from syncengine.errors import Rejected, SyncError
from syncengine.flows.flow import Flow
from syncengine.store.models import ConnectionRow, Endpoint, Link, Record
from syncengine.store.states import Lane, Pause, Stage, Status, Why

NUMBERED_AT_ONCE = 40  # what one search can tell, and at most what a crash leaves to be searched
EDITED = "the target was edited after it was read"


def push(engine: Engine, lease: Lease) -> None:
    """Bring the planned records of the lease to their targets; no record stops another.

    A second run finds nothing planned under the token and makes no call. Works for `step_s` seconds at most, and until this
    process is told to end; what is left then goes back to the pump. Raises what makes the endpoint unusable as a whole; then
    nothing of that call was done.
    """
    flow, connection = engine.flow(lease.records[0].flow), engine.connection(lease.records[0].connection_id)
    until = clock.monotonic() + engine.limits.step_s
    run = _Push(engine, lease, flow, connection)
    run.prepare()
    try:
        for batch in run.batches():
            if clock.monotonic() > until or engine.is_ending():
                break
            run.write(batch)
            run.number(at_least=NUMBERED_AT_ONCE)
    except SyncError:
        run.leave_unnumbered()
        raise
    run.number()
    run.end()


@dataclass
class _Work:
    """A record in this step: the writes that are left of its plan."""

    record: Record
    left: int = 0
    ended: bool = False
    seeks: bool = False  # its creates are only looked for
    found: list[str] = field(default_factory=list)  # what was looked for and is there, cancelled
    has_more: bool = False  # what it creates is completed by a further call, planned once it is there
    summaries: list[str] = field(default_factory=list)
    decision: int = 0  # the person's decision that its plan goes by


@dataclass
class _Books:
    """What the writes of one transaction come to, kept together until its end: a statement for all, not one for each."""

    written: dict[int, dict[str, Any]] = field(default_factory=dict)  # effect id: details for the timeline
    of_record: dict[int, Record] = field(default_factory=dict)  # effect id: its record
    linked: list[tuple[str, str, str]] = field(default_factory=list)  # side, key and part of new links
    ends: dict[int, Completion] = field(default_factory=dict)


class _Push:
    def __init__(self, engine: Engine, lease: Lease, flow: Flow, connection: Connection) -> None:
        self.engine, self.lease, self.flow, self.connection = engine, lease, flow, connection
        self.work = {record.id: _Work(record) for record in lease.records}
        self.intents: list[Intent] = []
        self.unnumbered: list[tuple[Intent, Outcome]] = []
        self.books = _Books()
        self.seen_at: dict[int, datetime] = {}  # effect id: when its target was seen as its plan has it
        self.revision: dict[int, int] = {}  # link id: as the plans have it, or as our own writes have left it

    # -- before the writes ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Commit all intentions of the lease in one transaction.

        A plan whose links have been agreed on since is made again, from a fresh fetch: one of its writes has been made
        already, or a worker that woke late has made another one. Raises LeaseLost.
        """
        now = clock.now()
        with self.engine.store.write() as session:
            mine = records.owned(session, self.lease)
            made = payloads.load(session, self.engine.vault, "plan", list(self.work))
            linked = links.of_records(session, self.flow, self.connection, self.lease.records)
            is_observed = observe_mode.is_observed(session, self.connection.row.id, stays=True)
            planned: list[tuple[Record, Step, Link | None]] = []
            for record in self.lease.records:
                if record.id not in mine:
                    self.work[record.id].ended = True
                    continue
                plan = plan_codec.from_doc(made[record.id])
                if plan.provisional and not is_observed:
                    self._plan_again(session, record, now, "planned while the connection was observed")
                    continue
                if plan.links != links.revisions(linked[record.id]):
                    self._plan_again(session, record, now, "written since it was planned")
                    continue
                self.work[record.id].seeks = plan.seeks
                self.work[record.id].decision = plan.decision
                named = links.by_part(self.flow, self.connection, linked[record.id])
                for step in plan.steps if plan.kind is PlanKind.WRITE else ():
                    link = named.get(step.part)
                    if link is not None and step.first is not None and not is_observed:
                        links.begin(session, self.engine, self.flow, link, step.first, step.numbers, now)
                    planned.append((record, step, link))
            if is_observed:
                self._observe(session, planned, now)
                planned = []
            self.intents = effects.intend(session, self.engine, self.flow, self.connection, self._calls(planned), now)
            for intent in self.intents:
                self.work[intent.record.id].left += 1
                self.seen_at[intent.effect_id] = intent.record.fetched_at or now
            self.revision = {link.id: link.revision for _, _, link in planned if link is not None}
            self._hold_taken(session, now)
            self._hold_often_sent(session, now)

    def _calls(self, planned: Sequence[tuple[Record, Step, Link | None]]) -> list[tuple[Record, Step, Link | None]]:
        """Each write as the calls that its resource makes of it. A create is made first; the rest is planned after it."""
        calls: list[tuple[Record, Step, Link | None]] = []
        for record, step, link in planned:
            base = links.base_of(self.engine, self.flow, link) if link is not None else {}
            several = calls_of(self.connection.resource(step.resource), step, base)
            if step.operation.verb is Verb.CREATE and len(several) > 1:
                self.work[record.id].has_more = True
                several = several[:1]
            calls += [(record, one, link) for one in several]
        return calls

    def _plan_again(self, session: Session, record: Record, now: datetime, why: str) -> None:
        """What the plan goes by is not so any more: keys that were only planned themselves, or an earlier agreement."""
        self.work[record.id].ended = True
        records.put_off(session, self.lease, [record.id], now, pause=Pause.NONE, stage=Stage.FETCH, reason=why)

    def _plan_edited(self, session: Session, record: Record, now: datetime) -> None:
        """Its target was edited after it was read: planned again soon, and alone the second time, from a younger picture."""
        self.work[record.id].ended = True
        until = now + timedelta(seconds=backoff(record.attempts, most_s=self.engine.limits.backoff_s))
        records.put_off(
            session, self.lease, [record.id], until,
            pause=Pause.BACKOFF, stage=Stage.FETCH, counts=True, alone=record.attempts > 0, reason=EDITED,
        )  # fmt: skip

    def _observe(self, session: Session, planned: Sequence[tuple[Record, Step, Link | None]], now: datetime) -> None:
        """Write nothing: a planned create leaves a provisional link, so that what needs it can be planned too."""
        for record, step, _link in planned:
            if step.operation.verb is Verb.CREATE:
                links.provide(session, self.engine, self.flow, self.connection, record, step, now)
        for record in self.lease.records:
            summaries = [plan_codec.summary(step) for other, step, _ in planned if other.id == record.id]
            self.work[record.id].ended = True
            timeline.note_one(session, record, "observed", now, writes=summaries)
        ends = {
            record.id: Completion(Status.SKIPPED, "observed, not written", Why.OBSERVED)
            for record in self.lease.records
        }
        records.complete(session, self.lease, ends, now)

    def _hold_taken(self, session: Session, now: datetime) -> None:
        for intent in [one for one in self.intents if one.taken_by is not None]:
            natural = intent.step.operation.natural_key
            self._end(
                session,
                intent,
                Completion(Status.HELD, f"another record creates {natural} already", Why.WRITE),
                "held",
                now,
            )

    def _hold_often_sent(self, session: Session, now: datetime) -> None:
        """What was sent again and again without an answer that anybody understands is not sent any more."""
        for intent in self.intents:
            if intent.sends >= self.engine.limits.sends and not self.work[intent.record.id].ended:
                reason = (
                    f"sent {intent.sends} times, and nobody knows whether it took effect: "
                    "look in the target, then say it by `syncengine held settle`"
                )
                effects.withhold(session, [intent.effect_id], now, why=reason)
                self._end(session, intent, Completion(Status.HELD, reason, Why.WRITE), "held", now)

    def batches(self) -> Iterator[Sequence[Intent]]:
        """The intents in the order of their records, as many together as the resource writes at once, one verb each.

        Of a write that takes several calls one is made at a time: the next one is not sent while the last is in doubt.
        """
        groups: dict[tuple[str, Verb, int], list[Intent]] = {}
        calls: Counter[tuple[int, str, Verb]] = Counter()
        for intent in self.intents:
            verb, whole = intent.operation.verb, (intent.record.id, intent.step.part, intent.operation.verb)
            groups.setdefault((intent.step.resource, verb, calls[whole]), []).append(intent)
            calls[whole] += 1
        for (resource, *_), intents in groups.items():
            for some in chunks(intents, self.connection.resource(resource).most_per_write):
                alive = [intent for intent in some if not self.work[intent.record.id].ended]
                if alive:
                    yield alive

    # -- the writes ----------------------------------------------------------------------------------------------------

    def write(self, batch: Sequence[Intent]) -> None:
        """Send one batch and settle its outcomes."""
        resource = self.connection.resource(batch[0].step.resource)
        batch = self._as_seen(resource, self._verified(resource, batch))
        if not batch:
            return
        self.lease.renew()
        now = clock.now()
        with self.engine.store.write() as session:
            batch = self._admitted(session, self._alone_there(session, resource, batch, now), now)
            mine = effects.send(session, batch, self.lease.runner, resource.settle_s, now)
            now = ceiling.note_sent(session, self.connection.row.id, self.flow, len(mine), now)
            others = [intent for intent in batch if intent.effect_id not in mine]
            self._fetch_later(
                session, others, now + timedelta(seconds=resource.settle_s), "an earlier write is in doubt"
            )
        batch = [intent for intent in batch if intent.effect_id in mine]
        if not batch:
            return
        begun = clock.monotonic()
        try:
            with calling(self.connection.endpoint(resource.name)):
                outcomes = resource.write([intent.operation for intent in batch])
        except SyncError as error:
            self._nothing_sent(batch, now)
            if not isinstance(error, probe.OF_ONE_CALL):
                raise
            self._refused(batch, error)
            return
        self.engine.note_pace(resource.name, (clock.monotonic() - begun) / len(batch))
        with self.engine.store.write() as session:
            for intent, outcome in zip(batch, outcomes, strict=True):
                self._note_outcome(session, resource, intent, outcome, clock.now())
            busy = sum(outcome.result is Result.RETRY for outcome in outcomes)
            ceiling.note_sent(session, self.connection.row.id, self.flow, -busy, now)
            self._close_books(session)

    def _refused(self, batch: Sequence[Intent], error: SyncError) -> None:
        """A call was refused as a whole, and nothing of it was done: each write is tried alone, alone it is a dead letter.

        Raises what makes the endpoint unusable.
        """
        now = clock.now()
        if len({intent.record.id for intent in batch}) > 1:
            with self.engine.store.write() as session:
                for intent in batch:
                    self.work[intent.record.id].ended = True
                    records.put_off(
                        session, self.lease, [intent.record.id], now,
                        pause=Pause.NONE, stage=Stage.FETCH, alone=True, reason=str(error),
                    )  # fmt: skip
            return
        refused = probe.refusal(self.engine, self.connection, error, batch[0].operation.key or batch[0].record.key)
        with self.engine.store.write() as session:
            if effects.refused_unsent(session, [one.effect_id for one in batch], now, error=str(refused)):
                failures.open_rejected(session, batch[0].record, refused, Stage.PUSH, now)
                self._end(session, batch[0], Completion(Status.DEAD, str(refused), Why.REJECTED), "dead", now)

    def _as_seen(self, resource: Resource, batch: Sequence[Intent]) -> Sequence[Intent]:
        """Of these writes those whose targets still show what their plans were made from; the others are planned again.

        A target that was read a while ago is looked at first, many at once and as many as can be written before that is old
        again. What somebody edits between that and our write is the gap that remains (docs/reliability.md).
        """
        if any(self._is_old(intent) for intent in batch):
            self._read_again(resource, batch)
        return [intent for intent in batch if not self.work[intent.record.id].ended]

    def _is_old(self, intent: Intent) -> bool:
        age = clock.now() - self.seen_at[intent.effect_id]
        return intent.operation.current is not None and age.total_seconds() > self.engine.limits.picture_s

    def _read_again(self, resource: Resource, batch: Sequence[Intent]) -> None:
        look = f"look at {resource.name}"
        in_time = int(self.engine.limits.picture_s / (self.engine.pace_s(resource.name) + self.engine.pace_s(look)))
        most = max(len(batch), min(resource.most_per_look, in_time))
        rest = self.intents[self.intents.index(batch[0]) :]
        old = [one for one in rest if one.step.resource == resource.name and self._is_old(one)]
        asked = {one.operation.key: one for one in reversed(old) if not self.work[one.record.id].ended}
        chosen = [one for one in old if asked.get(one.operation.key) is one][:most]
        now, begun, same = clock.now(), clock.monotonic(), set[str]()
        for some in chunks(chosen, resource.most_per_look):
            with calling(self.connection.endpoint(resource.name)):
                same |= resource.unchanged({str(one.operation.key): one.operation.current or {} for one in some})
        self.engine.note_pace(look, (clock.monotonic() - begun) / max(1, len(chosen)))
        with self.engine.store.write() as session:
            for intent in chosen:
                if intent.operation.key in same:
                    self.seen_at[intent.effect_id] = now
                else:
                    self._plan_edited(session, intent.record, clock.now())

    def _alone_there(
        self, session: Session, resource: Resource, batch: Sequence[Intent], now: datetime
    ) -> Sequence[Intent]:
        """Of these writes those whose objects no other record writes now, and that nobody has agreed on since the plan."""
        connector = self.connection.connectors[self.connection.side(resource.name)]
        kin = [one.name for one in connector.resources.values() if one.object_kind == resource.object_kind]
        busy = effects.in_the_way(session, self.connection.endpoint(resource.name).id, kin, batch, now)
        free = []
        for intent in batch:
            if intent.effect_id in busy:
                why = f"another record is writing {resource.name} {intent.operation.key}"
                self._wait_for_other(session, intent, busy[intent.effect_id], why)
            elif (
                intent.link_id is not None and links.revision(session, intent.link_id) != self.revision[intent.link_id]
            ):
                self._plan_again(session, intent.record, now, "written since it was planned")
            else:
                free.append(intent)
        return free

    def _wait_for_other(self, session: Session, intent: Intent, until: datetime, why: str) -> None:
        self.work[intent.record.id].ended = True
        records.put_off(
            session, self.lease, [intent.record.id], until, pause=Pause.BACKOFF, stage=Stage.FETCH, reason=why
        )

    def _admitted(self, session: Session, batch: Sequence[Intent], now: datetime) -> Sequence[Intent]:
        """What may be written now, by the connection's row as it is now.

        What goes beyond the flow's write ceiling is held, with all writes of its record in this batch.
        """
        if not batch:
            return []
        connection = session.get_one(ConnectionRow, self.connection.row.id, with_for_update={"read": True})
        if why := self._forbidden(session, connection, batch[0], now):
            for intent in batch:
                self._plan_again(session, intent.record, now, why)
            return []
        admitted = ceiling.admit(session, connection, self.flow, len(batch), now)
        beyond = {intent.record.id for intent in batch[admitted.most :]}
        for record_id in beyond:
            intent = next(one for one in batch if one.record.id == record_id)
            self._end(session, intent, Completion(Status.HELD, admitted.reason, Why.CEILING), "held", now)
        return [intent for intent in batch if intent.record.id not in beyond]

    def _forbidden(self, session: Session, connection: ConnectionRow, intent: Intent, now: datetime) -> str:
        """Why nothing may be written any more, by what a person has changed since the step began; empty if it may."""
        if connection.mode == observe_mode.MODE:
            return f"{connection.name} is observed since it was planned"
        if self.flow.name not in connection.flows:
            return f"{connection.name} does not have {self.flow.name} any more"
        endpoint = session.get_one(Endpoint, self.connection.endpoint(intent.step.resource).id)
        return endpoints.why_paused(endpoint, now)

    def _nothing_sent(self, batch: Sequence[Intent], sent_at: datetime) -> None:
        """The call as a whole could not be made: nothing was done, the effects are intentions again."""
        with self.engine.store.write() as session:
            effects.not_sent(session, [intent.effect_id for intent in batch], self.lease.runner, clock.now())
            ceiling.note_sent(session, self.connection.row.id, self.flow, -len(batch), sent_at)

    def _verified(self, resource: Resource, batch: Sequence[Intent]) -> Sequence[Intent]:
        """While creates are to be verified, look for each before its first send; what is there is adopted."""
        creates = [one for one in batch if one.operation.verb is Verb.CREATE]
        sought = [one for one in creates if self.work[one.record.id].seeks]
        again = [
            one for one in creates if one.step.part in one.record.must_find and unknown_writes.can_search(resource)
        ]
        verifies = self.connection.verifies_creates(clock.now()) and resource.safety[Verb.CREATE] is not Safety.ASK
        asked = creates if verifies else [one for one in creates if one in sought or one in again]
        if not asked:
            return batch
        references = {one.operation.natural_key for one in asked} | {_former(one) for one in again}
        with calling(self.connection.endpoint(resource.name)):
            found = resource.find(sorted(references - {""}))
        there = {
            one.effect_id: unknown_writes.candidates(resource, found.get(one.operation.natural_key, ()))
            for one in asked
        }
        present = [one for one in asked if any(not resource.is_cancelled(it.doc) for it in there[one.effect_id])]
        self._in_doubt(present, "it is there already, and looked at before anything is created")
        absent = [one for one in asked if one not in present and (one in sought or there[one.effect_id])]
        self._leave(absent, there)
        before = [one for one in again if one not in present and one not in absent]
        absent += self._linked_before(resource, before, found)
        return [one for one in batch if one not in present and one not in absent]

    def _leave(self, absent: Sequence[Intent], there: Mapping[int, Sequence[Candidate]]) -> None:
        """Create nothing: it was only looked for, or what is there was cancelled by the target's people."""
        now = clock.now()
        with self.engine.store.write() as session:
            for intent in absent:
                found = there[intent.effect_id]
                work = self.work[intent.record.id]
                if work.seeks:
                    work.left -= 1
                    work.found += [one.key for one in found]
                    if work.left:
                        continue  # the other parts are looked for too
                    keys = ", ".join(work.found) or "nothing"
                    end = Completion(Status.SKIPPED, f"cancelled at the source; {keys} is in the target", Why.RULE)
                else:  # in doubt from here on, so that it is looked for whenever it is looked at again
                    end = Completion(Status.HELD, adoption.cancelled(found), Why.WRITE)
                    effects.suspect(session, [intent.effect_id], now, why=end.reason)
                self._end(session, intent, end, str(end.status), now)

    def _linked_before(
        self, resource: Resource, intents: Sequence[Intent], found: Mapping[str, Sequence[Doc]]
    ) -> list[Intent]:
        """Those that are in the target under the reference by which they were linked before: a person looks at these."""
        there = {one.effect_id: unknown_writes.candidates(resource, found.get(_former(one), ())) for one in intents}
        held = [one for one in intents if there[one.effect_id]]
        if not held:
            return []
        with self.engine.store.write() as session:
            for intent in held:
                keys = ", ".join(one.key for one in there[intent.effect_id])
                reason = f"{keys} carries {_former(intent)}, the reference by which it was linked before"
                self._end(session, intent, Completion(Status.HELD, reason, Why.WRITE), "held", clock.now())
        return held

    def _in_doubt(self, intents: Sequence[Intent], why: str) -> None:
        """Have the next fetch find out about these, at once."""
        if not intents:
            return
        now = clock.now()
        with self.engine.store.write() as session:
            effects.suspect(session, [intent.effect_id for intent in intents], now, why=why)
            self._fetch_later(session, intents, now, why)

    def _fetch_later(
        self, session: Session, intents: Sequence[Intent], until: datetime, why: str, *, counts: bool = False
    ) -> None:
        for intent in intents:
            self.work[intent.record.id].ended = True
            records.put_off(
                session, self.lease, [intent.record.id], until,
                pause=Pause.SETTLE, stage=Stage.FETCH, counts=counts, reason=why,
            )  # fmt: skip

    # -- the outcomes --------------------------------------------------------------------------------------------------

    def _note_outcome(
        self, session: Session, resource: Resource, intent: Intent, outcome: Outcome, now: datetime
    ) -> None:
        if outcome.result is Result.DONE:
            self._done(session, intent, outcome, now)
        elif outcome.result is Result.UNKNOWN:
            self._unknown(session, resource, intent, outcome, now)
        elif outcome.result is Result.RETRY:
            self._again(session, intent, outcome, now)
        elif outcome.result is Result.EXISTS or intent.sends > 0:
            self._exists(session, intent, outcome, now)
        else:
            self._rejected(session, intent, outcome, now)

    def _done(self, session: Session, intent: Intent, outcome: Outcome, now: datetime) -> None:
        key = outcome.key or intent.operation.key
        resource = self.connection.resource(intent.step.resource)
        if key is None and resource.safety[intent.operation.verb] is not Safety.ASK:  # else the answer is all there is
            why = "written; its number is looked up"
            effects.unknown(session, [intent.effect_id], self.lease.runner, now, error=why, settled=True, accepted=True)
            self.unnumbered.append((intent, outcome))
            return
        if not effects.done(
            session, intent.effect_id, self.lease.runner, now,
            target_key=key, warnings=outcome.warnings, attention=outcome.attention,
        ):  # fmt: skip
            return
        if problem := self._remember(session, intent, outcome, key, now):
            self._end(
                session, intent, Completion(Status.HELD, f"written as {key}, but {problem}", Why.WRITE), "held", now
            )
            return
        if intent.operation.verb is not Verb.CREATE:
            effects.supersede(session, intent.record.id, intent.step.part, now, but=intent.effect_id)
        summary = plan_codec.summary(intent.step)
        detail = {"write": summary, "key": key, "warnings": list(outcome.warnings)}
        self.books.written[intent.effect_id] = {name: value for name, value in detail.items() if value}
        self.books.of_record[intent.effect_id] = intent.record
        if outcome.attention:
            failures.open_attention(session, intent.record, outcome.attention, now)
        work = self.work[intent.record.id]
        work.left -= 1
        work.summaries.append(summary)
        if work.left == 0 and work.has_more and not work.ended:
            self._plan_again(session, intent.record, now, "created; the rest of it is written next")
        elif work.left == 0 and not work.ended:
            work.ended = True
            self.books.ends[intent.record.id] = Completion(Status.DONE, "; ".join(work.summaries))

    def _close_books(self, session: Session) -> None:
        """Store what `_done` has kept, before the transaction ends."""
        books, self.books, now = self.books, _Books(), clock.now()
        timeline.note_each(
            session,
            [(books.of_record[effect_id], detail) for effect_id, detail in books.written.items()],
            "written",
            now,
        )
        if books.linked:
            connection_id = self.connection.row.id
            links.wake_dependants(session, self.engine, connection_id, self.flow.entity, books.linked, now)
        self._written(session, books.ends, now)

    def _written(self, session: Session, ends: Mapping[int, Completion], now: datetime) -> None:
        """All writes of these records have been made."""
        records.complete(session, self.lease, ends, now)
        work = [self.work[record_id] for record_id in ends]
        over = {one.decision: decisions.CARRIED_OUT for one in work if one.decision}
        decisions.end(session, [one.record for one in work], now, over)

    def _remember(self, session: Session, intent: Intent, outcome: Outcome, key: str | None, now: datetime) -> str:
        """Save link and base; returns why that cannot be, empty if it is saved."""
        agreed = links.Agreed(intent.step.agreed, {**intent.step.numbers, **outcome.lines})
        if intent.operation.verb is Verb.CREATE:
            part = intent.step.part
            left, right = unknown_writes.pair_keys(self.flow, self.connection, intent.record, intent.step, key)
            side = links.ends_of(self.flow, self.connection, intent.record.key).side
            connection_id = intent.record.connection_id
            if problem := links.taken(session, connection_id, self.flow.entity, left, right, part, side=side):
                return problem
            link = links.join(
                session, self.engine, self.flow, intent.record, left=left, right=right, part=part,
                natural_key=intent.operation.natural_key, agreed=agreed, now=now, wakes=False,
            )  # fmt: skip
            self.books.linked += links.ends_for_needs(link)
        elif intent.link_id is not None:
            revision = links.agree(session, self.engine, self.flow, intent.link_id, agreed, now)
            self.revision[intent.link_id] = revision
        return ""

    def _unknown(self, session: Session, resource: Resource, intent: Intent, outcome: Outcome, now: datetime) -> None:
        why = str(outcome.error or "the outcome is unknown")
        effects.unknown(session, [intent.effect_id], self.lease.runner, now, error=why)
        timeline.note_one(session, intent.record, "unknown", now, write=plan_codec.summary(intent.step), error=why)
        wait_s = max(resource.settle_s, backoff(intent.sends, most_s=self.engine.limits.backoff_s))
        self._fetch_later(session, [intent], now + timedelta(seconds=wait_s), why, counts=True)

    def _again(self, session: Session, intent: Intent, outcome: Outcome, now: datetime) -> None:
        effects.not_sent(session, [intent.effect_id], self.lease.runner, now)
        told = getattr(outcome.error, "retry_in_s", None)
        wait_s = backoff(intent.record.attempts, most_s=self.engine.limits.backoff_s) if told is None else told
        self.work[intent.record.id].ended = True
        until = now + timedelta(seconds=wait_s)
        why = str(outcome.error or "it failed for the moment")
        records.put_off(
            session, self.lease, [intent.record.id], until,
            pause=Pause.BACKOFF, counts=told is None, alone=isinstance(outcome.error, probe.OF_ONE_CALL), reason=why,
        )  # fmt: skip
        timeline.note_one(session, intent.record, "put off", now, error=why, wait_s=round(wait_s, 1))

    def _exists(self, session: Session, intent: Intent, outcome: Outcome, now: datetime) -> None:
        """Refused because it is there. Ours, if we may have sent it before: look it up. Else nobody else's is adopted."""
        create = intent.operation.verb is Verb.CREATE
        why = str(outcome.error or "it exists in the target already")
        if create and (intent.sends > 0 or self.connection.verifies_creates(now)):
            effects.unknown(session, [intent.effect_id], self.lease.runner, now, error=why, settled=True)
            timeline.note_one(session, intent.record, "refused, looked up", now, error=why)
            self._fetch_later(session, [intent], now, why)
        elif outcome.result is Result.REJECTED:
            self._rejected(session, intent, outcome, now)
        else:
            effects.rejected(session, intent.effect_id, self.lease.runner, now, error=why)
            natural = intent.operation.natural_key
            self._end(
                session,
                intent,
                Completion(Status.HELD, f"{natural} exists in the target and is not ours: {why}", Why.WRITE),
                "held",
                now,
            )

    def _rejected(self, session: Session, intent: Intent, outcome: Outcome, now: datetime) -> None:
        error = outcome.error
        if not isinstance(error, Rejected):
            error = Rejected(
                field=intent.step.resource,
                value=intent.operation.natural_key,
                reason=str(error),
                remedy="Look at the target",
            )
        if not effects.rejected(session, intent.effect_id, self.lease.runner, now, error=str(error)):
            return  # told too late: others go on with it
        failures.open_rejected(session, intent.record, error, Stage.PUSH, now)
        self._end(session, intent, Completion(Status.DEAD, str(error), Why.REJECTED), "dead", now)

    def _end(self, session: Session, intent: Intent, end: Completion, what: str, now: datetime) -> None:
        record = intent.record
        self.work[record.id].ended = True
        records.complete(session, self.lease, {record.id: end}, now)
        if record.lane == Lane.BACKFILL and (record.status, record.reason) == (end.status, end.reason):
            return  # the hourly look has found it as it was: history tells that once
        timeline.note_one(session, record, what, now, reason=end.reason, write=plan_codec.summary(intent.step))

    # -- after the writes ----------------------------------------------------------------------------------------------

    def number(self, *, at_least: int = 1) -> None:
        """Look up the keys of what was written without an answer that tells them, for many at once."""
        if len(self.unnumbered) < at_least:
            return
        waiting, self.unnumbered = self.unnumbered, []
        for resource_name in dict.fromkeys(intent.step.resource for intent, _ in waiting):
            resource = self.connection.resource(resource_name)
            mine = [(intent, outcome) for intent, outcome in waiting if intent.step.resource == resource_name]
            with calling(self.connection.endpoint(resource_name)):
                found = resource.keys_of([intent.operation.natural_key for intent, _ in mine])
            with self.engine.store.write() as session:
                for intent, outcome in mine:
                    keys = found.get(intent.operation.natural_key, [])
                    self._numbered(session, intent, outcome, keys, clock.now())
                self._close_books(session)

    def _numbered(self, session: Session, intent: Intent, outcome: Outcome, keys: Sequence[str], now: datetime) -> None:
        if len(keys) == 1:
            told = Outcome.done(
                keys[0], lines=outcome.lines, warnings=outcome.warnings, attention=outcome.attention
            )  # fmt: skip
            self._done(session, intent, told, now)
        else:  # none, or several: the next fetch finds out, after the settle time
            settle_s = self.connection.resource(intent.step.resource).settle_s if not keys else 0.0
            why = (
                "written, but not found yet" if not keys else f"several objects carry this reference: {', '.join(keys)}"
            )
            self._fetch_later(session, [intent], now + timedelta(seconds=settle_s), why)

    def leave_unnumbered(self) -> None:
        """The step ends early: what was written without a number is found by the next fetch."""
        intents = [intent for intent, _ in self.unnumbered]
        with self.engine.store.write() as session:
            self._fetch_later(session, intents, clock.now(), "written; its number is looked up")

    def end(self) -> None:
        """Records without any write left are done; what the time did not suffice for goes back to the pump."""
        idle = [work.record.id for work in self.work.values() if not work.ended and work.left == 0]
        rest = [work.record.id for work in self.work.values() if not work.ended and work.left > 0]
        if not idle and not rest:
            return
        now = clock.now()
        with self.engine.store.write() as session:
            self._written(session, {i: Completion(Status.DONE, "written by an earlier run") for i in idle}, now)
            records.give_back(session, self.lease, rest, now)


def _former(intent: Intent) -> str:
    """The reference by which what is to be created was linked before; empty if it was not."""
    return str(intent.record.must_find.get(intent.step.part, ""))

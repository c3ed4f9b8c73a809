"""Before the writes: every write of a lease is committed as an intention, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Verb
from syncengine.engine.core import observe_mode, payloads, records, timeline
from syncengine.engine.core.records import Completion
from syncengine.engine.decide import plan_codec
from syncengine.engine.decide.plan import PlanKind, Step
from syncengine.engine.decide.split_writes import calls_of
from syncengine.engine.writes import effects, link_keys, links
from syncengine.engine.writes.write_run import WriteRun
from syncengine.store.models import Link, Record
from syncengine.store.states import Status, Why


def commit(run: WriteRun) -> None:
    """Commit all intentions of the lease in one transaction.

    If a link of a plan has been agreed on since the plan was made, the record is planned again from a fresh fetch: one of its
    writes has been made already, or a worker that had been frozen has made another one. Raises LeaseLost.
    """
    now = clock.now()
    with run.route.engine.store.write() as session:
        mine = records.owned(session, run.lease)
        made = payloads.load(session, run.route.engine.vault, "plan", list(run.work))
        linked = links.of_records(session, run.route, run.lease.records)
        is_observed = observe_mode.is_observed(session, run.route.connection_id, stays=True)
        planned: list[tuple[Record, Step, Link | None]] = []
        for record in run.lease.records:
            if record.id not in mine:
                run.work[record.id].ended = True
                continue
            plan = plan_codec.from_doc(made[record.id])
            if plan.provisional and not is_observed:
                run.plan_again(session, record, now, "planned while the connection was observed")
                continue
            if plan.links != links.revisions(linked[record.id]):
                run.plan_again(session, record, now, "written since it was planned")
                continue
            run.work[record.id].seeks = plan.seeks
            run.work[record.id].later = plan.later
            run.work[record.id].decision = plan.decision
            named = link_keys.by_part(run.route, linked[record.id])
            for step in plan.steps if plan.kind is PlanKind.WRITE else ():
                link = named.get(step.part)
                if link is not None and step.first is not None and not is_observed:
                    links.begin(session, run.route, link, step.first, step.numbers, now)
                planned.append((record, step, link))
        if is_observed:
            _observe(run, session, planned, now)
            planned = []
        run.intents = effects.intend(session, run.route, _calls(run, planned), now)
        for intent in run.intents:
            run.work[intent.record.id].left += 1
            run.seen_at[intent.effect_id] = intent.record.fetched_at or now
        run.revision = {link.id: link.revision for _, _, link in planned if link is not None}
        _hold_taken(run, session, now)
        _hold_often_sent(run, session, now)


def _calls(
    run: WriteRun, planned: Sequence[tuple[Record, Step, Link | None]]
) -> list[tuple[Record, Step, Link | None]]:
    """Each write as the calls its resource needs for it. Of a create only the first call; the others are planned after it."""
    calls: list[tuple[Record, Step, Link | None]] = []
    for record, step, link in planned:
        base = links.base_of(run.route, link) if link is not None else {}
        several = calls_of(run.route.connection.resource(step.resource), step, base)
        if step.operation.verb is Verb.CREATE and len(several) > 1:
            run.work[record.id].has_more = True
            several = several[:1]
        calls += [(record, call, link) for call in several]
    return calls


def _observe(
    run: WriteRun, session: Session, planned: Sequence[tuple[Record, Step, Link | None]], now: datetime
) -> None:
    """Write nothing. A planned create leaves a provisional link, so that records that need it can be planned too."""
    for record, step, _link in planned:
        if step.operation.verb is Verb.CREATE:
            links.provide(session, run.route, record, step, now)
    for record in run.lease.records:
        summaries = [plan_codec.summary(step) for other, step, _ in planned if other.id == record.id]
        run.work[record.id].ended = True
        timeline.note_one(session, record, "observed", now, writes=summaries)
    ends = {
        record.id: Completion(Status.SKIPPED, "observed, not written", Why.OBSERVED) for record in run.lease.records
    }
    records.complete(session, run.lease, ends, now)


def _hold_taken(run: WriteRun, session: Session, now: datetime) -> None:
    for intent in [intent for intent in run.intents if intent.taken_by is not None]:
        natural = intent.step.operation.natural_key
        run.end(
            session,
            intent,
            Completion(Status.HELD, f"another record is already creating {natural}", Why.WRITE),
            "held",
            now,
        )


def _hold_often_sent(run: WriteRun, session: Session, now: datetime) -> None:
    """Stop sending writes that were sent many times without an answer that says what became of them."""
    for intent in run.intents:
        if intent.sends >= run.route.engine.limits.sends and not run.work[intent.record.id].ended:
            reason = (
                f"sent {intent.sends} times, and nobody knows whether it took effect: "
                "check the target, then record the outcome with `syncengine held settle`"
            )
            effects.withhold(session, [intent.effect_id], now, why=reason)
            run.end(session, intent, Completion(Status.HELD, reason, Why.UNKNOWN_WRITE), "held", now)

"""What became of a write: done, refused, unknown, or to be retried. Each outcome is recorded separately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from syncengine import clock
from syncengine.connectors.base import Outcome, Resource, Result, Safety, Verb
from syncengine.engine.core import decisions, failures, movements, records, timeline
from syncengine.engine.core.backoff import backoff
from syncengine.engine.core.records import Completion
from syncengine.engine.decide import plan_codec
from syncengine.engine.traffic import probe
from syncengine.engine.writes import dependants, effects, levels, links, unknown_writes, unsettled
from syncengine.engine.writes.effects import Intent
from syncengine.engine.writes.write_run import Books, WriteRun
from syncengine.errors import Rejected, SyncError
from syncengine.store.states import Pause, Stage, Status, Why


def note(run: WriteRun, session: Session, resource: Resource, intent: Intent, outcome: Outcome, now: datetime) -> None:
    """Record the outcome of one write, answered or not, in the transaction of its batch."""
    if outcome.result is Result.DONE:
        _done(run, session, intent, outcome, now)
    elif outcome.result is Result.UNKNOWN:
        _unknown(run, session, resource, intent, outcome, now)
    elif outcome.result is Result.RETRY:
        _again(run, session, intent, outcome, now)
    elif outcome.result is Result.EXISTS or intent.sends > 0:
        _exists(run, session, intent, outcome, now)
    else:
        _rejected(run, session, intent, outcome, now)


def _done(run: WriteRun, session: Session, intent: Intent, outcome: Outcome, now: datetime) -> None:
    key = outcome.key or intent.operation.key
    resource = run.route.connection.resource(intent.step.resource)
    if key is None and resource.safety[intent.operation.verb] is not Safety.ASK:  # else nothing but the answer can tell
        why = "written; its key is being looked up"
        effects.unknown(session, [intent.effect_id], run.lease.runner, now, error=why, settled=True, accepted=True)
        run.unnumbered.append((intent, outcome))
        return
    if not effects.done(
        session, intent.effect_id, run.lease.runner, now,
        target_key=key, warnings=outcome.warnings, attention=outcome.attention,
    ):  # fmt: skip
        return
    if run.route.flow.levels:  # nothing is agreed: a level does not depend on what was agreed
        levels.note_written(run, session, resource, intent, outcome, now)
    elif problem := _save_agreement(run, session, intent, outcome, key, now):
        run.end(session, intent, Completion(Status.HELD, f"written as {key}, but {problem}", Why.WRITE), "held", now)
        return
    elif intent.operation.verb is not Verb.CREATE:
        unsettled.supersede(session, intent.record.id, intent.step.part, now, but=intent.effect_id)
    summary = plan_codec.summary(intent.step)
    detail = {"write": summary, "key": key, "warnings": list(outcome.warnings)}
    run.books.written[intent.effect_id] = {name: value for name, value in detail.items() if value}
    run.books.of_record[intent.effect_id] = intent.record
    if outcome.attention:
        failures.open_attention(session, intent.record, outcome.attention, now)
    work = run.work[intent.record.id]
    work.left -= 1
    work.summaries.append(summary)
    if work.left == 0 and work.has_more and not work.ended:
        run.plan_again(session, intent.record, now, "created; the rest will be written next")
    elif work.left == 0 and work.later is not None and not work.ended:
        run.plan_rest(session, intent.record, max(work.later, now), levels.KEEP_FOR_RISE_S)
    elif work.left == 0 and not work.ended:
        work.ended = True
        run.books.ends[intent.record.id] = Completion(Status.DONE, "; ".join(work.summaries))


def numbered(
    run: WriteRun, session: Session, intent: Intent, outcome: Outcome, keys: Sequence[str], now: datetime
) -> None:
    """Record a write whose answer gave no key, by the keys that a search for its reference has found."""
    if len(keys) == 1:
        found = Outcome.done(
            keys[0], lines=outcome.lines, warnings=outcome.warnings, attention=outcome.attention
        )  # fmt: skip
        _done(run, session, intent, found, now)
    else:  # none, or several: the next fetch after the settle time finds out
        settle_s = run.route.connection.resource(intent.step.resource).settle_s if not keys else 0.0
        why = "written, but not found yet" if not keys else f"several objects have this reference: {', '.join(keys)}"
        run.fetch_later(session, [intent], now + timedelta(seconds=settle_s), why)


def close_books(run: WriteRun, session: Session) -> None:
    """Store what `_done` has collected, before the transaction ends."""
    books, run.books, now = run.books, Books(), clock.now()
    timeline.note_each(
        session,
        [(books.of_record[effect_id], detail) for effect_id, detail in books.written.items()],
        "written",
        now,
    )
    if books.linked:
        connection_id = run.route.connection_id
        dependants.wake_dependants(session, run.route.engine, connection_id, run.route.flow.entity, books.linked, now)
    dependants.want_comparisons(session, run.route.engine, books.changed, now)
    movements.note_ours(session, run.route.connection_id, run.route.target_side, books.ours, now)
    written(run, session, books.ends, now)


def written(run: WriteRun, session: Session, ends: Mapping[int, Completion], now: datetime) -> None:
    """Complete records whose writes have all been made, and end the decisions that their plans carried out."""
    records.complete(session, run.lease, ends, now)
    work = [run.work[record_id] for record_id in ends]
    over = {item.decision: decisions.CARRIED_OUT for item in work if item.decision}
    decisions.end(session, [item.record for item in work], now, over)


def _save_agreement(
    run: WriteRun, session: Session, intent: Intent, outcome: Outcome, key: str | None, now: datetime
) -> str:
    """Save the link of a create, or what a change has agreed. Returns why that is impossible; empty if it is saved."""
    agreed = links.Agreed(intent.step.agreed, {**intent.step.numbers, **outcome.lines})
    if intent.operation.verb is Verb.CREATE:
        part = intent.step.part
        left, right = unknown_writes.pair_keys(run.route, intent.record, intent.step, key)
        side = run.route.keys.ends(intent.record.key).side
        connection_id = intent.record.connection_id
        if problem := links.taken(session, connection_id, run.route.flow.entity, left, right, part, side=side):
            return problem
        link = links.join(
            session, run.route, intent.record, left=left, right=right, part=part,
            natural_key=intent.operation.natural_key, agreed=agreed, now=now, wakes=False,
        )  # fmt: skip
        run.books.linked += dependants.ends_for_needs(link)
        run.books.changed.append(link)
    elif intent.link_id is not None:
        link = links.agree(session, run.route, intent.link_id, agreed, now)
        run.revision[intent.link_id] = link.revision
        run.books.changed.append(link)
    return ""


def _unknown(
    run: WriteRun, session: Session, resource: Resource, intent: Intent, outcome: Outcome, now: datetime
) -> None:
    why = str(outcome.error or "the outcome is unknown")
    effects.unknown(session, [intent.effect_id], run.lease.runner, now, error=why)
    timeline.note_one(session, intent.record, "unknown", now, write=plan_codec.summary(intent.step), error=why)
    wait_s = max(resource.settle_s, backoff(intent.sends, most_s=run.route.engine.limits.backoff_s))
    run.fetch_later(session, [intent], now + timedelta(seconds=wait_s), why, counts=True)


def _again(run: WriteRun, session: Session, intent: Intent, outcome: Outcome, now: datetime) -> None:
    effects.not_sent(session, [intent.effect_id], run.lease.runner, now)
    retry_in_s = getattr(outcome.error, "retry_in_s", None)
    wait_s = retry_in_s
    if wait_s is None:
        wait_s = backoff(intent.record.attempts, most_s=run.route.engine.limits.backoff_s)
    run.work[intent.record.id].ended = True
    until = now + timedelta(seconds=wait_s)
    why = str(outcome.error or "a temporary failure")
    records.put_off(
        session, run.lease, [intent.record.id], until,
        pause=Pause.BACKOFF, counts=retry_in_s is None, alone=isinstance(outcome.error, probe.OF_ONE_CALL), reason=why,
    )  # fmt: skip
    timeline.note_one(session, intent.record, "put off", now, error=why, wait_s=round(wait_s, 1))


def _exists(run: WriteRun, session: Session, intent: Intent, outcome: Outcome, now: datetime) -> None:
    """Handle a write that was refused because its object exists, or after an earlier send of it.

    If an earlier send may have made it, it is looked up. An object that is not ours is never adopted.
    """
    create = intent.operation.verb is Verb.CREATE
    why = str(outcome.error or "it already exists in the target")
    if create and (intent.sends > 0 or run.route.connection.verifies_creates(now)):
        effects.unknown(session, [intent.effect_id], run.lease.runner, now, error=why, settled=True)
        timeline.note_one(session, intent.record, "refused, looked up", now, error=why)
        run.fetch_later(session, [intent], now, why)
    elif outcome.result is Result.REJECTED:
        _rejected(run, session, intent, outcome, now)
    else:
        effects.rejected(session, intent.effect_id, run.lease.runner, now, error=why)
        refused = (
            outcome.error.reason if isinstance(outcome.error, Rejected) else why
        )  # its remedy is for a dead letter
        held = f"{intent.operation.natural_key} exists in the target, and we did not create it: {refused}"
        run.end(session, intent, Completion(Status.HELD, held, Why.EXISTS), "held", now)


def _rejected(run: WriteRun, session: Session, intent: Intent, outcome: Outcome, now: datetime) -> None:
    error = outcome.error
    if not isinstance(error, Rejected):
        error = Rejected(
            field=intent.step.resource,
            value=intent.operation.natural_key,
            reason=str(error),
            remedy="Check the target",
        )
    if not effects.rejected(session, intent.effect_id, run.lease.runner, now, error=str(error)):
        return  # too late: others have taken it over
    failures.open_rejected(session, intent.record, error, Stage.PUSH, now)
    run.end(session, intent, Completion(Status.DEAD, str(error), Why.REJECTED), "dead", now)


def refused(run: WriteRun, batch: Sequence[Intent], error: SyncError) -> None:
    """Handle a call that was refused as a whole, so that nothing was done: retry each record alone.

    A record that was alone becomes a dead letter. Raises what makes the endpoint unusable.
    """
    now = clock.now()
    if len({intent.record.id for intent in batch}) > 1:
        with run.route.engine.store.write() as session:
            for intent in batch:
                run.work[intent.record.id].ended = True
                records.put_off(
                    session, run.lease, [intent.record.id], now,
                    pause=Pause.NONE, stage=Stage.FETCH, alone=True, reason=str(error),
                )  # fmt: skip
        return
    refused = probe.refusal(
        run.route.engine, run.route.connection, error, batch[0].operation.key or batch[0].record.key
    )
    with run.route.engine.store.write() as session:
        if effects.refused_unsent(session, [intent.effect_id for intent in batch], now, error=str(refused)):
            failures.open_rejected(session, batch[0].record, refused, Stage.PUSH, now)
            run.end(session, batch[0], Completion(Status.DEAD, str(refused), Why.REJECTED), "dead", now)


def nothing_sent(run: WriteRun, batch: Sequence[Intent], sent_at: datetime) -> None:
    """Make the effects of a call intentions again, since the call could not be made and nothing was done."""
    with run.route.engine.store.write() as session:
        effects.not_sent(session, [intent.effect_id for intent in batch], run.lease.runner, clock.now())
        levels.count_back(run, session, batch, sent_at)

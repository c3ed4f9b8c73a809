"""Third step: write. The intention is committed first, then the call is made, then each outcome is recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from syncengine import clock
from syncengine.connectors.base import Result, Verb
from syncengine.engine.core import records
from syncengine.engine.core.engine import Engine, calling, chunks
from syncengine.engine.core.lease import Lease
from syncengine.engine.core.records import Completion
from syncengine.engine.steps.discover import catch_up
from syncengine.engine.traffic import probe
from syncengine.engine.writes import effects, intentions, last_checks, levels, outcomes
from syncengine.engine.writes.effects import Intent
from syncengine.engine.writes.write_run import WriteRun
from syncengine.errors import SyncError
from syncengine.store.states import Lane, Status

NUMBERED_AT_ONCE = 40  # as many as one search can find, and the most that a crash leaves to be found


def push(engine: Engine, lease: Lease) -> None:
    """Write the planned records of the lease to their targets; no record stops another.

    A second run finds nothing planned under the token and makes no call. Runs for `step_s` seconds at most, and stops when
    this process is shutting down; what is left then goes back to the pump. Raises what makes the whole endpoint unusable; then
    nothing of that call was done.
    """
    until = clock.monotonic() + engine.limits.step_s
    run = WriteRun(engine.route_of(lease.records[0]), lease)
    intentions.commit(run)
    try:
        for batch in _batches(run):
            if clock.monotonic() > until or engine.is_ending():
                break
            _write(run, batch)
            _number(run, at_least=NUMBERED_AT_ONCE)
    except SyncError:
        _leave_unnumbered(run)
        raise
    _number(run)
    _end(run)


def _batches(run: WriteRun) -> Iterator[Sequence[Intent]]:
    """Batches of intents in the order of their records, each with one verb and as many as the resource writes at once.

    The calls of one write are in different batches: the next one is not sent while the outcome of the last is unknown.
    """
    groups: dict[tuple[str, Verb, int], list[Intent]] = {}
    calls: Counter[tuple[int, str, Verb]] = Counter()
    for intent in run.intents:
        verb = intent.operation.verb
        write = (intent.record.id, intent.step.part, verb)
        groups.setdefault((intent.step.resource, verb, calls[write]), []).append(intent)
        calls[write] += 1
    for (resource, *_), intents in groups.items():
        for some in chunks(intents, run.route.connection.resource(resource).most_per_write):
            alive = [intent for intent in some if not run.work[intent.record.id].ended]
            if alive:
                yield alive


def _write(run: WriteRun, batch: Sequence[Intent]) -> None:
    """Send one batch and record its outcomes."""
    resource = run.route.connection.resource(batch[0].step.resource)
    if run.route.flow.levels:
        _catch_up(run, batch)
    batch = last_checks.as_seen(run, resource, last_checks.verified(run, resource, batch))
    if not batch:
        return
    run.lease.renew()
    now = clock.now()
    with run.route.engine.store.write() as session:
        batch = last_checks.admitted(run, session, last_checks.alone_there(run, session, resource, batch, now), now)
        mine = effects.send(session, batch, run.lease.runner, resource.settle_s, now)
        now = levels.count_sent(run, session, [intent for intent in batch if intent.effect_id in mine], now)
        others = [intent for intent in batch if intent.effect_id not in mine]
        run.fetch_later(
            session, others, now + timedelta(seconds=resource.settle_s), "the outcome of an earlier write is unknown"
        )
    batch = [intent for intent in batch if intent.effect_id in mine]
    if not batch:
        return
    begun = clock.monotonic()
    try:
        with calling(run.route.connection.endpoint(resource.name)):
            answers = resource.write([intent.operation for intent in batch])
    except SyncError as error:
        outcomes.nothing_sent(run, batch, now)
        if not isinstance(error, probe.OF_ONE_CALL):
            raise
        outcomes.refused(run, batch, error)
        return
    run.route.engine.note_pace(resource.name, (clock.monotonic() - begun) / len(batch))
    with run.route.engine.store.write() as session:
        for intent, outcome in zip(batch, answers, strict=True):
            outcomes.note(run, session, resource, intent, outcome, clock.now())
        asked_again = [it for it, outcome in zip(batch, answers, strict=True) if outcome.result is Result.RETRY]
        levels.count_back(run, session, asked_again, now)
        outcomes.close_books(run, session)


def _catch_up(run: WriteRun, batch: Sequence[Intent]) -> None:
    """Before levels rise: read what the target reports of others who moved goods, or put the rises off if that is unknown."""
    rises, lane = levels.rises(run, batch), Lane(batch[0].record.lane)
    fresh_s = levels.FEEDS_FRESH_IN_BACKFILL_S if lane is Lane.BACKFILL else levels.FEEDS_FRESH_S
    if rises and not catch_up(run.route, lane, newer_than_s=fresh_s):
        levels.put_off(run, rises, clock.now() + timedelta(seconds=1))


def _number(run: WriteRun, *, at_least: int = 1) -> None:
    """Look up the keys of writes whose answers gave none, many at once."""
    if len(run.unnumbered) < at_least:
        return
    waiting, run.unnumbered = run.unnumbered, []
    for resource_name in dict.fromkeys(intent.step.resource for intent, _ in waiting):
        resource = run.route.connection.resource(resource_name)
        mine = [(intent, outcome) for intent, outcome in waiting if intent.step.resource == resource_name]
        with calling(run.route.connection.endpoint(resource_name)):
            found = resource.keys_of([intent.operation.natural_key for intent, _ in mine])
        with run.route.engine.store.write() as session:
            for intent, outcome in mine:
                keys = found.get(intent.operation.natural_key, [])
                outcomes.numbered(run, session, intent, outcome, keys, clock.now())
            outcomes.close_books(run, session)


def _leave_unnumbered(run: WriteRun) -> None:
    """Leave writes without a key to the next fetch, since the step ends early."""
    intents = [intent for intent, _ in run.unnumbered]
    with run.route.engine.store.write() as session:
        run.fetch_later(session, intents, clock.now(), "written; its key is being looked up")


def _end(run: WriteRun) -> None:
    """Complete the records that have no writes left, and give those for which the time ran out back to the pump."""
    idle = [work.record.id for work in run.work.values() if not work.ended and work.left == 0]
    rest = [work.record.id for work in run.work.values() if not work.ended and work.left > 0]
    if not idle and not rest:
        return
    now = clock.now()
    with run.route.engine.store.write() as session:
        outcomes.written(
            run, session, {record_id: Completion(Status.DONE, "written by an earlier run") for record_id in idle}, now
        )
        records.give_back(session, run.lease, rest, now)

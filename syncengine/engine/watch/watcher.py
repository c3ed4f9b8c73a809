"""What people must be told: every rule looks at the present, and what it sees stands in the book of alerts.

Beat runs it every few seconds, and a breaker that opens or closes at once. One process at a time watches. A rule that
cannot look now (Redis is away) ends no alert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from sqlalchemy import ColumnElement, Select, func, not_, or_, select
from sqlalchemy.orm import Session, aliased

from syncengine import clock
from syncengine.alerts import Severity, Sign, Sinks, book, notifier
from syncengine.alerts.without_store import StoreAway
from syncengine.engine.core import observe_mode
from syncengine.engine.core.engine import Engine
from syncengine.engine.core.failures import DEAD, alike
from syncengine.engine.traffic import endpoints
from syncengine.engine.watch import health
from syncengine.engine.writes import ceiling
from syncengine.engine.writes.effects import UNSETTLED
from syncengine.errors import Transient
from syncengine.flows import Flow
from syncengine.http.breaker import BreakerState
from syncengine.store.lock import Lock
from syncengine.store.models import Ceiling, ConnectionRow, Effect, Endpoint, Event, Failure, Record
from syncengine.store.states import EffectState, Lane, Pause, Status, Why

PULSE = "watch"
LEASE_S = 120.0
"""How long a watcher may be waiting for slow sinks before another one takes over; some are told twice then."""

FLAPS_WITHIN = timedelta(hours=1)
LONG_RETRIED = 3
MOST_LOOKED_AT = 20
MOST_COUNTED = 200
"""How many records of a flow are asked when they began to wait, or how long they have been in doubt: those created first."""

ENDS = (*Status, "written", "unchanged", "observed")
"""Events by which a record comes to rest; in the loop of one that is tried again and again there is none of them."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a rule speaks. Seconds, unless the name says otherwise.

    dead_letters: open ones of one cause. in_a_row: dead letters of a flow since a write of it went through. gone: linked
    objects that have gone absent within `window_s`. oldest_s: age of the oldest record that is due, or of a
    write in doubt. waiting_s: for how long a record may wait for another object, or be held. clock_s: by how much a source's
    clock may differ from ours. stalled_s: without progress. repeat_s: an alert that lasts is repeated after it.
    """

    dead_letters: int = 10
    in_a_row: int = 5
    gone: int = 5
    window_s: float = 600.0
    oldest_s: float = 1800.0
    waiting_s: float = 86_400.0
    clock_s: float = 30.0
    stalled_s: float = 120.0
    repeat_s: float = 14_400.0


@dataclass(frozen=True, slots=True)
class View:
    """What the rules look at. already: open alerts.

    states: breakers by endpoint, None if Redis does not answer. vitals: what moves, None if that cannot be told now.
    """

    engine: Engine
    session: Session
    now: datetime
    thresholds: Thresholds
    states: Mapping[str, BreakerState] | None
    vitals: Sequence[health.Vital] | None
    resting: Mapping[int, str]
    already: frozenset[tuple[str, str]]

    @property
    def since(self) -> datetime:
        """From when on something is sudden."""
        return self.now - timedelta(seconds=self.thresholds.window_s)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to look for. calm_s: for how long it must be quiet to be over; `find` gives None if it cannot tell."""

    name: str
    calm_s: float
    find: Callable[[View], list[Sign] | None]


class Watcher:
    """Looks for signs, writes them down, and tells people."""

    def __init__(
        self, engine: Engine, sinks: Sinks, thresholds: Thresholds | None = None, *, client: redis.Redis | None = None
    ) -> None:
        """`client`: keeps which sink has taken what, until all have; None where nothing else keeps it (tests)."""
        self.engine = engine
        self.sinks = sinks
        self.thresholds = thresholds or Thresholds()
        self._client = client
        self._store_away = StoreAway(sinks, client)
        self._since = clock.monotonic()

    def watch(self, *, unless_within_s: float = 0.0) -> str:
        """One look; returns a line for people. Nothing is done if another one watches, or did within so many seconds.

        Raises Transient if the store is away; people have been told then.
        """
        try:
            said = self._watch(unless_within_s)
        except Transient as error:
            self._store_away.is_away(str(error), repeat_s=self.thresholds.repeat_s, now=clock.now())
            raise
        self._store_away.is_there()
        return said

    def _watch(self, unless_within_s: float) -> str:
        with Lock(self.engine.store, PULSE, LEASE_S).tried() as is_ours:
            now = clock.now()
            if not is_ours or health.was_within(self.engine, PULSE, unless_within_s):
                return "another one watches"
            signs, calm_s = evaluate(self.engine, self.thresholds, now, up_s=clock.monotonic() - self._since)
            with self.engine.store.write() as session:
                book.write(session, signs, calm_s, now)
                health.note(session, PULSE, now)
            told = notifier.notify(
                self.engine.store, self.sinks, self._client, repeat_s=self.thresholds.repeat_s, now=now
            )
        return f"{len(signs)} signs, {told} of {len(self.sinks)} sinks told"


def last(engine: Engine) -> datetime | None:
    """When it was watched last (UTC); None if never. Raises Transient."""
    return health.last(engine, PULSE)


def evaluate(
    engine: Engine, thresholds: Thresholds, now: datetime, *, up_s: float
) -> tuple[list[Sign], dict[str, float]]:
    """All signs of this moment, and the rules that could look with their calm times (seconds). Raises Transient.

    up_s: for how long this process has watched. In an installation that has just been started nothing has moved yet.
    """
    states = _states(engine)
    can_tell = states is not None and up_s > thresholds.stalled_s
    vitals = health.vitals(engine, stalled_s=thresholds.stalled_s) if can_tell else None
    resting = endpoints.at_rest(engine)
    signs: list[Sign] = []
    calm_s: dict[str, float] = {}
    with engine.store.read() as session:
        already = frozenset((alert.rule, alert.subject) for alert in book.open_alerts(session))
        view = View(engine, session, now, thresholds, states, vitals, resting, already)
        for rule in RULES:
            found = rule.find(view)
            if found is not None:
                signs += found
                calm_s[rule.name] = rule.calm_s
    return signs, calm_s


def _states(engine: Engine) -> dict[str, BreakerState] | None:
    """All breakers; None if Redis does not answer, so that nobody is told that an endpoint is back."""
    if engine.breakers is None:
        return None
    with engine.store.read() as session:
        names = session.scalars(select(Endpoint.name)).all()
    states = {name: engine.breakers.state(name) for name in names}
    known = {name: state for name, state in states.items() if state is not None}
    return known if len(known) == len(states) else None


# -- the rules ---------------------------------------------------------------------------------------------------------


def _down(view: View) -> list[Sign] | None:
    """A breaker is open."""
    if view.states is None:
        return None
    signs = []
    for name, state in view.states.items():
        if state.is_open:
            times = _times_down(view, name)
            often = f", for the {times}th time within an hour" if times > 2 else ""
            text = f"{name} is down{often}: {state.why}"
            remedy = (
                f"See whether {name} runs and can be reached from here; nothing is lost, and its records go on by "
                f"themselves once it is back. If this is planned: `syncengine endpoints pause {name}`"
            )
            signs.append(Sign("breaker", name, Severity.CRITICAL, text, remedy, max(1, times)))
    return signs


def _times_down(view: View, name: str) -> int:
    down = select(func.count()).where(Event.key == name, Event.what == "down", Event.at > view.now - FLAPS_WITHIN)
    return view.session.scalar(down.where(Event.record_id.is_(None))) or 0


def _refused(view: View) -> list[Sign]:
    """An endpoint rests by itself: its credentials were refused."""
    resting = view.session.scalars(
        select(Endpoint).where(Endpoint.paused_until > view.now, Endpoint.is_paused_by_person.is_(False))
    )
    return [
        Sign(
            "authentication",
            one.name,
            Severity.CRITICAL,
            f"{one.name} refuses its credentials: {one.paused_because}",
            "Correct them in syncengine.yml or the environment, run `syncengine configure` and `syncengine check`, then "
            f"`syncengine endpoints resume {one.name}`",
        )
        for one in resting
    ]


_BY_CAUSE = "`syncengine deadletters list --flow {flow}` shows them by cause, with what to do"


def _dead_letters(view: View) -> list[Sign]:
    """Many open dead letters of one cause, however slowly they came."""
    rows = view.session.execute(
        select(ConnectionRow.name, Failure.flow, Failure.cause, func.count())
        .join(ConnectionRow, ConnectionRow.id == Failure.connection_id)
        .where(Failure.kind == DEAD, Failure.closed_at.is_(None))
        .group_by(ConnectionRow.name, Failure.flow, Failure.cause)
    )
    opened: Counter[tuple[str, str, str]] = Counter()
    for connection, flow, cause, count in rows:
        opened[connection, flow, alike(cause)] += count
    signs = []
    for (connection, flow, cause), count in opened.items():
        if count >= view.thresholds.dead_letters:
            subject = f"{connection}: {flow}: {cause}"
            text = f"{count} dead letters of {flow} in {connection}: {cause}"
            signs.append(Sign("dead letters", subject, Severity.WARNING, text, _BY_CAUSE.format(flow=flow), count))
    return signs


def _none_through(view: View) -> list[Sign]:
    """The last records of a flow have all become dead letters, perhaps few and for as many causes."""
    signs = []
    for connection in view.session.scalars(select(ConnectionRow).where(ConnectionRow.mode == observe_mode.LIVE)):
        for flow in (view.engine.flows[name] for name in connection.flows if name in view.engine.flows):
            latest = view.session.scalars(
                select(Failure)
                .where(Failure.connection_id == connection.id, Failure.flow == flow.name)
                .where(Failure.kind == DEAD, Failure.closed_at.is_(None))
                .order_by(Failure.opened_at.desc(), Failure.id.desc())
                .limit(view.thresholds.in_a_row)
            ).all()
            if len(latest) < view.thresholds.in_a_row or _went_through(view, connection.id, flow, latest[-1].opened_at):
                continue
            text = (
                f"nothing of {flow.name} in {connection.name} goes through: the last {len(latest)} records became dead "
                f"letters, the newest: {alike(latest[0].cause)}"
            )
            place = f"{connection.name}: {flow.name}"
            remedy = _BY_CAUSE.format(flow=flow.name)
            signs.append(Sign("none through", place, Severity.CRITICAL, text, remedy, len(latest)))
    return signs


def _went_through(view: View, connection_id: int, flow: Flow, since: datetime) -> bool:
    """Whether a write of the flow was done since then, or shortly before: those of one batch end one after the other."""
    after = since - timedelta(seconds=view.thresholds.window_s)
    done = (
        select(Effect.id)
        .join(Record, Record.id == Effect.record_id)
        .where(Effect.connection_id == connection_id, Effect.entity == flow.entity, Effect.sent_at > after)
        .where(Effect.state == EffectState.DONE, Record.flow == flow.name)
    )
    return view.session.scalar(done.limit(1)) is not None


def _ceilings(view: View) -> list[Sign]:
    """A flow writes no more because it wrote too much."""
    shut = view.session.execute(
        select(ConnectionRow.name, ConnectionRow.flows, Ceiling.flow, Ceiling.shut_because)
        .join(ConnectionRow, ConnectionRow.id == Ceiling.connection_id)
        .where(Ceiling.shut_at.is_not(None))
    )
    return [
        Sign(
            "ceiling",
            f"{connection}: {flow}",
            Severity.CRITICAL,
            f"{flow} of {connection} writes no more: {because}",
            ceiling.remedy(connection, flow),
        )
        for connection, flows, flow, because in shut
        if flow in flows
    ]


def _gone(view: View) -> list[Sign]:
    """Many linked objects are absent all at once: a system was wiped or set back. Until fewer than that are absent."""
    least = view.thresholds.gone
    signs = []
    for connection, flow, many in view.session.execute(_absent()):
        subject = f"{connection}: {flow}"
        sudden = _absent().where(ConnectionRow.name == connection, Record.flow == flow, *_newly_held(view))
        row = view.session.execute(sudden).first()
        is_sudden = row is not None and row[2] >= least
        if is_sudden or (("gone", subject) in view.already and many >= least):
            text = f"{many} objects of {flow} in {connection} are linked and are suddenly not there any more"
            remedy = (
                "See whether the system was wiped, restored from a backup, or is another one than before. Nothing of it is "
                f"created again: the records are held, see `syncengine status` and `syncengine trace KEY --flow {flow}`"
            )
            signs.append(Sign("gone", subject, Severity.CRITICAL, text, remedy, many))
    return signs


def _absent() -> Select[str, str, int]:
    """Records that are held for an absent object, by connection and flow."""
    return (
        select(ConnectionRow.name, Record.flow, func.count())
        .join(ConnectionRow, ConnectionRow.id == Record.connection_id)
        .where(Record.status == Status.HELD, Record.why.in_((Why.GONE, Why.GONE_LEFT, Why.GONE_RIGHT)))
        .group_by(ConnectionRow.name, Record.flow)
    )


def _newly_held(view: View) -> tuple[ColumnElement[bool], ...]:
    """Held since a short time. The hourly look at what is held tells of nothing new."""
    lately = select(Event.id).where(Event.record_id == Record.id, Event.what == "held", Event.at >= view.since)
    return Record.updated_at >= view.since, lately.exists()


def _overdue(view: View) -> list[Sign]:
    """The oldest record that is due has been so for long. Not where an endpoint rests, and not in a first load."""
    signs = []
    for connection in view.session.scalars(select(ConnectionRow)):
        for flow in connection.flows if connection.id not in view.resting else ():
            since = _due_since(view, connection.id, flow)
            age_s = (view.now - since).total_seconds() if since else 0.0
            if age_s > view.thresholds.oldest_s:
                text = f"{flow} of {connection.name} is late: its oldest record has been due for {_long(age_s)}"
                remedy = "`syncengine doctor` says what does not move; `syncengine status` how much is due"
                signs.append(Sign("oldest due", f"{connection.name}: {flow}", Severity.WARNING, text, remedy))
    return signs


def _due_since(view: View, connection_id: int, flow: str) -> datetime | None:
    """Since when the oldest record has been due: one that nobody has taken up, or one that is tried again and again."""
    due = (
        Record.connection_id == connection_id,
        Record.flow == flow,
        Record.wanted > Record.done,
        Record.pause.not_in((Pause.PACED, Pause.QUIET)),
    )
    waiting = view.session.scalar(select(func.min(Record.updated_at)).where(*due, Record.lane != Lane.BACKFILL))
    tried = view.session.execute(
        select(Record.id, Record.created_at)
        .where(*due, Record.attempts >= LONG_RETRIED)
        .order_by(Record.attempts.desc())
        .limit(MOST_LOOKED_AT)
    ).all()
    begun = _begun(view, [record_id for record_id, _ in tried])
    times = [begun.get(record_id, created_at) for record_id, created_at in tried]
    return min([*times, *([waiting] if waiting else [])], default=None)


def _begun(view: View, record_ids: Sequence[int]) -> dict[int, datetime]:
    """When the present try of these records began, by id: the first event since they were at rest.

    Those that never were are absent. Of one that was so long ago that its timeline is gone (retention.py) it is the first
    event that is left.
    """
    earlier = aliased(Event)
    rested = (
        select(func.max(earlier.id)).where(earlier.record_id == Record.id, earlier.what.in_(ENDS)).scalar_subquery()
    )
    since = select(Record.id, func.min(Event.at)).join(Event, Event.record_id == Record.id)
    since = since.where(Record.id.in_(record_ids), Record.done > 0, Event.id > func.coalesce(rested, 0))
    return {one[0]: one[1] for one in view.session.execute(since.group_by(Record.id))}


def _in_doubt(view: View) -> list[Sign]:
    """Writes of which nobody knows for long whether they took effect, whether they are sent again and again or are held."""
    signs = []
    for connection in view.session.scalars(select(ConnectionRow)):
        for flow in connection.flows if connection.id not in view.resting else ():
            doubts = _old_doubts(view, connection.id, flow)
            if doubts:
                since, key = doubts[0]
                count = "1 write" if len(doubts) == 1 else f"{len(doubts)} writes"
                text = (
                    f"nobody knows whether {count} of {flow} in {connection.name} took effect; in doubt for longest, "
                    f"{_long((view.now - since).total_seconds())}, is {key}"
                )
                remedy = (
                    f"`syncengine trace {key} --flow {flow}` shows what was sent and answered. Look in the target; if it is "
                    f"held, say what you found by `syncengine held settle {key} --flow {flow}`, with --happened or --did-not"
                )
                place = f"{connection.name}: {flow}"
                signs.append(Sign("in doubt", place, Severity.WARNING, text, remedy, len(doubts)))
    return signs


def _old_doubts(view: View, connection_id: int, flow: str) -> list[tuple[datetime, str]]:
    """Since when (the first send of it, or of this try), and the key of its record; longest first.

    The time of the last send says nothing where a write is sent again every few minutes, nor do the record's own times.
    """
    before = view.now - timedelta(seconds=view.thresholds.oldest_s)
    rows = view.session.execute(
        select(
            Effect.record_id, Effect.sends, Effect.sent_at, Effect.created_at, Record.key, Record.wanted > Record.done
        )
        .join(Record, Record.id == Effect.record_id)
        .where(Record.connection_id == connection_id, Record.flow == flow)
        .where(or_(Record.wanted > Record.done, Record.status == Status.HELD))
        .where(Effect.state.in_(UNSETTLED), Effect.sends > 0, Effect.created_at < before)
        .order_by(Effect.created_at)
        .limit(MOST_COUNTED)
    ).all()
    begun = _begun(view, [row.record_id for row in rows])
    found = []
    for record_id, sends, sent_at, created_at, key, is_due in rows:
        is_sent_once = sends == 1 or not is_due
        since = sent_at if is_sent_once else max(created_at, begun.get(record_id, created_at))
        if since is not None and since < before:
            found.append((since, key))
    return sorted(found)


def _waiting(view: View) -> list[Sign]:
    """Records that have waited for another object for long: it does not come by itself."""
    signs = []
    groups = select(Record.connection_id, Record.flow, ConnectionRow.name, func.count()).where(
        Record.status == Status.WAITING
    )
    groups = groups.join(ConnectionRow, ConnectionRow.id == Record.connection_id)
    for connection_id, flow, name, total in view.session.execute(
        groups.group_by(Record.connection_id, Record.flow, ConnectionRow.name)
    ):
        long = _resting_long(view, connection_id, flow, Status.WAITING)
        if long:
            need = _most([one[2:] for one in long])
            many = _many(long)
            age_s = (view.now - min(one[0] for one in long)).total_seconds()
            text = (
                f"{many} of {total} waiting records of {flow} in {name} have waited for more than "
                f"{_long(view.thresholds.waiting_s)}, the longest for {_long(age_s)}; {need}"
            )
            remedy = need.remedy
            signs.append(Sign("waiting", f"{name}: {flow}", Severity.WARNING, text, remedy, len(long)))
    return signs


def _held(view: View) -> list[Sign]:
    """Records of live flows that have been held for long: a person must decide. A flow that is shut has its own rule."""
    signs = []
    is_for_people = not_(ceiling.holds())
    place = (Record.connection_id, Record.flow)
    groups = select(*place, func.count()).where(Record.status == Status.HELD, is_for_people).group_by(*place)
    totals = {(connection_id, flow): count for connection_id, flow, count in view.session.execute(groups)}
    for connection in view.session.scalars(select(ConnectionRow).where(ConnectionRow.mode == observe_mode.LIVE)):
        for flow in (name for name in connection.flows if (connection.id, name) in totals):
            long = _resting_long(view, connection.id, flow, Status.HELD, is_for_people)
            if long:
                reason, times = Counter(alike(one[1]) for one in long).most_common(1)[0]
                age_s = (view.now - min(one[0] for one in long)).total_seconds()
                text = (
                    f"{_many(long)} of {totals[connection.id, flow]} held records of {flow} in {connection.name} have been "
                    f"held for more than {_long(view.thresholds.waiting_s)}, the longest for {_long(age_s)}; {times} of them: "
                    f"{reason}"
                )
                remedy = f"`syncengine held list --flow {flow}` shows them by reason: approve or refuse them"
                signs.append(Sign("held", f"{connection.name}: {flow}", Severity.WARNING, text, remedy, len(long)))
    return signs


def _many(long: Sequence[object]) -> str:
    return f"{len(long)} or more" if len(long) == MOST_COUNTED else f"{len(long)}"


def _resting_long(
    view: View, connection_id: int, flow: str, status: Status, *which: ColumnElement[bool]
) -> list[tuple[datetime, str, str, str]]:
    """Since when, why, and for what (entity, key) records have been waiting or held; of those that were created first.

    They are planned again every hour, and rest again: the first time since they were something else counts.
    """
    before = view.now - timedelta(seconds=view.thresholds.waiting_s)
    oldest = (
        select(Record.id, Record.reason, Record.need_entity, Record.need_key)
        .where(Record.connection_id == connection_id, Record.flow == flow, Record.status == status, *which)
        .where(Record.created_at < before)
        .order_by(Record.created_at, Record.id)
        .limit(MOST_COUNTED)
        .subquery()
    )
    earlier = aliased(Event)
    other = select(func.max(earlier.id)).where(earlier.record_id == oldest.c.id)
    other = other.where(earlier.what.in_([what for what in ENDS if what != status]))
    since = (
        select(func.min(Event.at))
        .where(Event.record_id == oldest.c.id, Event.what == status)
        .where(Event.id > func.coalesce(other.scalar_subquery(), 0))
        .scalar_subquery()
    )
    rows = view.session.execute(select(since, oldest.c.reason, oldest.c.need_entity, oldest.c.need_key))
    return [(at, *rest) for at, *rest in rows if at is not None and at < before]


@dataclass(frozen=True, slots=True)
class _Need:
    """What is waited for most: one object, or one of a kind. times: by how many of the records that were looked at."""

    entity: str
    key: str
    times: int
    is_one: bool

    def __str__(self) -> str:
        return f"{self.times} of them for {self.entity}{'' if self.is_one else ' such as'} {self.key}"

    @property
    def remedy(self) -> str:
        table = self.entity.removeprefix("lookup:")
        if table != self.entity:
            return (
                f"Put what is missing into the lookup table {table} of the connection in syncengine.yml, then run "
                "`syncengine configure`"
            )
        return (
            f"`syncengine trace {self.key} --flow {self.entity}` says what has become of it, `syncengine deadletters list` "
            "whether it needs a correction"
        )


def _most(needs: Sequence[tuple[str, str]]) -> _Need:
    """One object if several records wait for it, else the first of the commonest kind."""
    (entity, key), times = Counter(needs).most_common(1)[0]
    if times > 1 or len(needs) == 1:
        return _Need(entity, key, times, is_one=True)
    entity, times = Counter(entity for entity, _ in needs).most_common(1)[0]
    return _Need(entity, next(key for kind, key in needs if kind == entity), times, is_one=times == 1)


def _clocks(view: View) -> list[Sign]:
    """The source's clock, as its answers have it, differs from this host's: feeds are read by it, leases by ours."""
    fetched = select(Event.record_id).where(Event.at >= view.since, Event.what.in_(("fetched", "unchanged")))
    latest = fetched.order_by(Event.at.desc()).limit(MOST_COUNTED)
    rows = view.session.execute(
        select(ConnectionRow.name, Record.flow, Record.source_time, Record.fetched_at)
        .join(ConnectionRow, ConnectionRow.id == Record.connection_id)
        .where(Record.id.in_(latest))
        .order_by(Record.fetched_at)
    )
    skews = {  # the latest of each source
        (name, view.engine.flows[flow].source.partition(".")[0]): (source_time - fetched_at).total_seconds()
        for name, flow, source_time, fetched_at in rows
        if flow in view.engine.flows and source_time is not None and fetched_at is not None
    }
    return [
        Sign(
            "clock",
            f"{name}: {system}",
            Severity.WARNING,
            f"the clock of {system} in {name} is {_long(abs(skew))} {'ahead of' if skew > 0 else 'behind'} this host's",
            "`syncengine doctor` compares all clocks. Run NTP on every host",
        )
        for (name, system), skew in skews.items()
        if abs(skew) > view.thresholds.clock_s
    ]


def _stalled(view: View) -> list[Sign] | None:
    """A lane, the pump or a flow does not move, as `syncengine health` sees it."""
    if view.vitals is None:
        return None
    return [
        Sign("stalled", vital.name, Severity.CRITICAL, f"{vital.name} does not move: {vital.says}", vital.remedy)
        for vital in view.vitals
        if vital.pace is health.Pace.STALLED
    ]


def _long(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


RULES: Sequence[Rule] = (
    Rule("breaker", 60.0, _down),
    Rule("authentication", 600.0, _refused),  # after its rest an endpoint is tried, and rests again
    Rule("dead letters", 0.0, _dead_letters),
    Rule("none through", 0.0, _none_through),
    Rule("ceiling", 0.0, _ceilings),
    Rule("gone", 0.0, _gone),
    Rule("oldest due", 60.0, _overdue),
    Rule("in doubt", 600.0, _in_doubt),  # what is sent again is open for a moment, between two doubts
    Rule("waiting", 0.0, _waiting),
    Rule("held", 0.0, _held),
    Rule("clock", 600.0, _clocks),
    Rule("stalled", 60.0, _stalled),
)

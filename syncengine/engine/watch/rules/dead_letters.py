"""Rules about dead letters: many of one cause, or nothing else for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select

from syncengine.alerts import Severity, Sign
from syncengine.engine.core import observe_mode
from syncengine.engine.core.failures import ATTENTION, DEAD, alike
from syncengine.engine.watch.rule import View
from syncengine.flows import Flow
from syncengine.store.models import ConnectionRow, Effect, Failure, Record
from syncengine.store.states import EffectState

LATEST, OFTEN = 100, 0.05


def same_cause(view: View) -> list[Sign]:
    """Many open dead letters have one cause, however slowly they came."""
    rows = view.session.execute(
        select(ConnectionRow.name, Failure.flow, Failure.cause_key, func.min(Failure.cause), func.count())
        .join(ConnectionRow, ConnectionRow.id == Failure.connection_id)
        .where(Failure.kind == DEAD, Failure.closed_at.is_(None))
        .group_by(ConnectionRow.name, Failure.flow, Failure.cause_key)
        .having(func.count() >= view.thresholds.dead_letters)
    )
    signs = []
    for connection, flow, _, example, count in rows:
        cause = alike(example)
        text = f"{count} dead letters of {flow} in {connection}: {cause}"
        subject = f"{connection}: {flow}: {cause}"
        signs.append(Sign("dead letters", subject, Severity.WARNING, text, _remedy(flow), count))
    return signs


def often_found(view: View) -> list[Sign]:
    """A check or a comparison has found the same of more than 5 % of a flow's last 100 objects."""
    open_ = (Failure.kind == ATTENTION, Failure.remark != "", Failure.closed_at.is_(None))
    places = select(Failure.connection_id, Failure.flow).where(*open_).group_by(Failure.connection_id, Failure.flow)
    signs = []
    for connection_id, flow in view.session.execute(places.having(func.count() > 1)).all():
        mine = (Record.connection_id == connection_id, Record.flow == flow)
        latest = view.session.scalars(select(Record.id).where(*mine).order_by(Record.id.desc()).limit(LATEST)).all()
        count = func.count(Failure.record_id.distinct())
        causes = select(func.min(Failure.cause), func.min(Failure.remedy), count).where(
            *open_, Failure.record_id.in_(latest)
        )
        name = view.session.get_one(ConnectionRow, connection_id).name
        for cause, remedy, found in view.session.execute(
            causes.group_by(Failure.cause_key).having(count > max(1, OFTEN * len(latest))).order_by(Failure.cause_key)
        ):
            text = f"{found} of the last {len(latest)} objects of {flow} in {name}: {cause}"
            signs.append(Sign("attention", f"{name}: {flow}: {cause}", Severity.WARNING, text, remedy, found))
    return signs


def none_through(view: View) -> list[Sign]:
    """The last records of a live flow have all become dead letters, perhaps each for another cause."""
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
                f"no record of {flow.name} in {connection.name} gets through: the last {len(latest)} became dead letters, "
                f"the latest: {alike(latest[0].cause)}"
            )
            place = f"{connection.name}: {flow.name}"
            signs.append(Sign("none through", place, Severity.CRITICAL, text, _remedy(flow.name), len(latest)))
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


def _remedy(flow: str) -> str:
    return f"Run `syncengine deadletters list --flow {flow}`: it groups them by cause and says how to fix each"

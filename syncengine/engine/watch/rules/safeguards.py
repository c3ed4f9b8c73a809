"""Rules about what protects the target: disabled flows, the write ceiling, and objects that disappeared."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, func, select

from syncengine.alerts import Severity, Sign
from syncengine.engine.watch.rule import View
from syncengine.engine.writes import ceiling
from syncengine.store.models import Ceiling, ConnectionRow, Event, Record
from syncengine.store.states import Status, Why


def flow_disabled(view: View) -> list[Sign]:
    """The file of a flow is wrong, so the flow is disabled: critical if a connection has the flow."""
    used = {name for names in view.session.scalars(select(ConnectionRow.flows)) for name in names}
    return [
        Sign(
            "flow disabled",
            name,
            Severity.CRITICAL if name in used else Severity.WARNING,
            str(broken),
            broken.remedy,
        )
        for name, broken in view.engine.broken.items()
    ]


def ceiling_reached(view: View) -> list[Sign]:
    """A flow has reached its write ceiling and is shut."""
    shut = view.session.execute(
        select(ConnectionRow.name, ConnectionRow.flows, Ceiling.flow, Ceiling.shut_because, Ceiling.stops_all)
        .join(ConnectionRow, ConnectionRow.id == Ceiling.connection_id)
        .where(Ceiling.shut_at.is_not(None))
    )
    return [
        Sign(
            "ceiling",
            f"{connection}: {flow}",
            Severity.CRITICAL,
            f"{flow} of {connection} has stopped writing{' all levels' if stops_all else ''}: {because}",
            ceiling.remedy(connection, flow, stops_all=stops_all),
        )
        for connection, flows, flow, because, stops_all in shut
        if flow in flows
    ]


def objects_gone(view: View) -> list[Sign]:
    """Many linked objects disappeared at once: a system was wiped or restored. Until fewer than that are absent."""
    least = view.thresholds.gone
    signs = []
    for connection, flow, count in view.session.execute(_absent()):
        subject = f"{connection}: {flow}"
        sudden = _absent().where(ConnectionRow.name == connection, Record.flow == flow, *_newly_held(view))
        row = view.session.execute(sudden).first()
        is_sudden = row is not None and row[2] >= least
        if is_sudden or (("gone", subject) in view.open_alerts and count >= least):
            text = f"{count} linked objects of {flow} in {connection} have suddenly disappeared"
            remedy = (
                "Check whether the system was wiped, restored from a backup, or replaced by another. Nothing is created "
                f"again: the records are held. Run `syncengine status` and `syncengine trace KEY --flow {flow}`"
            )
            signs.append(Sign("gone", subject, Severity.CRITICAL, text, remedy, count))
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
    """Held within the window. The hourly check of what is held does not count: it adds no event."""
    lately = select(Event.id).where(Event.record_id == Record.id, Event.what == "held", Event.at >= view.window_start)
    return Record.updated_at >= view.window_start, lately.exists()

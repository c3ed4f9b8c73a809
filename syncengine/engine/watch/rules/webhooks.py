"""Rules about webhooks: their subscriptions are not as they should be, or changes come that none has reported."""

from __future__ import annotations

from sqlalchemy import or_, select

from syncengine.alerts import Severity, Sign
from syncengine.engine.watch.rule import View
from syncengine.store.models import ConnectionRow, Hook, Schedule

RULE = "webhooks"


def unheard(view: View) -> list[Sign]:
    """Feeds show changes that no webhook has reported, or the subscriptions cannot be checked or repaired."""
    return [*_silent(view), *_unsubscribed(view)]


def _silent(view: View) -> list[Sign]:
    query = (
        select(ConnectionRow.name, ConnectionRow.flows, Schedule.flow, Schedule.heard_at, Schedule.missed_at)
        .join(ConnectionRow, ConnectionRow.id == Schedule.connection_id)
        .where(Schedule.missed_at.is_not(None), Schedule.heard_at.is_not(None))
        .where(or_(Schedule.heard_at <= Schedule.missed_at, Schedule.missed_at >= view.window_start))
        .order_by(ConnectionRow.name, Schedule.flow)
    )
    signs = []
    for name, flows, flow, heard_at, missed_at in view.session.execute(query):
        if flow in flows:
            text = (
                f"{flow} in {name} has found a change at {missed_at:%Y-%m-%d %H:%M} UTC that no webhook reported; the last one "
                f"was heard at {heard_at:%Y-%m-%d %H:%M} UTC. Its feeds are read at their usual interval again"
            )
            remedy = f"Run `syncengine webhooks test {name}`; if nothing arrives, check the proxy in front of the web process"
            signs.append(Sign(RULE, f"{name}: {flow}", Severity.WARNING, text, remedy))
    return signs


def _unsubscribed(view: View) -> list[Sign]:
    query = (
        select(ConnectionRow.name, ConnectionRow.flows, Hook.problem)
        .join(ConnectionRow, ConnectionRow.id == Hook.connection_id)
        .where(Hook.problem != "")
        .order_by(ConnectionRow.name)
    )
    return [
        Sign(
            RULE,
            name,
            Severity.WARNING,
            f"the webhooks of {name} could not be checked: {problem}",
            f"Run `syncengine webhooks sync {name}`",
        )
        for name, flows, problem in view.session.execute(query)
        if flows
    ]

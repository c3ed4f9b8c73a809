"""What Prometheus is reported. Figures of records come from the store; those of webhooks are counted by the web process."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from sqlalchemy import func, select

from syncengine import clock
from syncengine.engine.core.engine import Engine
from syncengine.engine.people import status
from syncengine.engine.people.status import FlowStatus
from syncengine.engine.traffic import budget, endpoints
from syncengine.store.models import ConnectionRow, Event, Failure, Record
from syncengine.store.states import Status

log = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
OUTCOMES = ("due", "done", "skipped", "waiting", "held", "dead")
QUANTILES = (0.5, 0.99)
LATENCY_WINDOW = timedelta(minutes=10)
WRITTEN = "written"

HOOKS = Counter("syncengine_hooks", "Webhooks by system and outcome", ("system", "outcome"))
HOOK_COMMITS = Counter("syncengine_hook_commits", "Transactions that stored webhooks")
HOOK_SECONDS = Histogram(
    "syncengine_hook_seconds",
    "Seconds from a webhook's headers to its answer",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def text(engine: Engine) -> bytes:
    """All metrics in Prometheus's text format. Raises Transient."""
    registry = CollectorRegistry()
    registry.register(_StoreCollector(list(_of_store(engine))))
    if os.environ.get(FOLDER):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(registry) + generate_latest(REGISTRY)


class _StoreCollector(Collector):
    """Metrics that were read before, so that an error of the store reaches the caller."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        """See Collector."""
        return self._found


def _of_store(engine: Engine) -> Iterator[Metric]:
    flows = status.flows(engine)
    yield _records(flows)
    yield _ages(engine, flows)
    yield _latency(engine)
    yield _dead_letters(engine)
    yield _calls(engine)
    yield from _endpoints(engine)


def _gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"syncengine_{name}", about, labels=labels)


def _records(flows: Iterable[FlowStatus]) -> Metric:
    found = _gauge("records", "Records by flow and outcome", "connection", "flow", "outcome")
    for flow in flows:
        for outcome in OUTCOMES:
            found.add_metric([flow.connection, flow.flow, outcome], getattr(flow, outcome))
    return found


def _ages(engine: Engine, flows: Iterable[FlowStatus]) -> Metric:
    found = _gauge("oldest_seconds", "Age of the oldest record that is due or waits", "connection", "flow", "state")
    for flow in flows:
        found.add_metric([flow.connection, flow.flow, "due"], flow.lag_s)
    now = clock.now()
    waiting = (
        select(ConnectionRow.name, Record.flow, func.min(Record.updated_at))
        .join(ConnectionRow, ConnectionRow.id == Record.connection_id)
        .where(Record.status == Status.WAITING)
        .group_by(ConnectionRow.name, Record.flow)
    )
    with engine.store.read() as session:
        for connection, flow_name, since in session.execute(waiting):
            found.add_metric([connection, flow_name, "waiting"], (now - since).total_seconds())
    return found


def _latency(engine: Engine) -> Metric:
    """Of the writes of the last minutes that a webhook has caused."""
    found = _gauge(
        "change_to_target_seconds",
        "Seconds from a change that a webhook reported to its write, of the last ten minutes",
        "flow",
        "quantile",
    )
    query = (
        select(Record.flow, Event.at, Record.hinted_at)
        .join(Record, Record.id == Event.record_id)
        .where(Event.at > clock.now() - LATENCY_WINDOW, Event.what == WRITTEN, Record.hinted_at <= Event.at)
    )
    by_flow: dict[str, list[float]] = {}
    with engine.store.read() as session:
        for flow, at, hinted_at in session.execute(query):
            if hinted_at is not None:
                by_flow.setdefault(flow, []).append((at - hinted_at).total_seconds())
    for flow, seconds in sorted(by_flow.items()):
        seconds.sort()
        for quantile in QUANTILES:
            found.add_metric([flow, str(quantile)], seconds[min(len(seconds) - 1, int(quantile * len(seconds)))])
    return found


def _dead_letters(engine: Engine) -> Metric:
    found = _gauge("dead_letters", "Open dead letters by flow and cause", "connection", "flow", "cause")
    query = (
        select(ConnectionRow.name, Failure.flow, Failure.cause, func.count())
        .join(ConnectionRow, ConnectionRow.id == Failure.connection_id)
        .where(Failure.kind == "dead", Failure.closed_at.is_(None))
        .group_by(ConnectionRow.name, Failure.flow, Failure.cause)
    )
    with engine.store.read() as session:
        for connection, flow, cause, count in session.execute(query):
            found.add_metric([connection, flow, cause], count)
    return found


def _calls(engine: Engine) -> Metric:
    """Nothing while Redis does not answer: what depends on it is missing, not zero."""
    found = _gauge("calls", "Calls of the last hour", "endpoint", "flow")
    calls: dict[tuple[str, str], int] = {}
    try:
        for each in budget.spent(engine):
            calls[each.endpoint, each.flow] = calls.get((each.endpoint, each.flow), 0) + each.calls
    except RedisError as error:
        log.warning("metrics of calls are missing: %s", error)
    for (endpoint, flow), count in sorted(calls.items()):
        found.add_metric([endpoint, flow], count)
    return found


def _endpoints(engine: Engine) -> Iterator[Metric]:
    is_open = _gauge("endpoint_down", "1 while the breaker of an endpoint is open", "endpoint")
    paused = _gauge("endpoint_paused", "1 while an endpoint is paused", "endpoint")
    wait = _gauge("quota_wait_seconds", "Seconds that one more call of the low lanes would wait", "endpoint")
    for endpoint in endpoints.listed(engine):
        if endpoint.breaker is not None:
            is_open.add_metric([endpoint.name], float(endpoint.breaker.is_open))
        paused.add_metric([endpoint.name], float(endpoint.paused_until is not None))
    for row in engine.connections():
        connection = engine.connection(row.id)
        for side, its_endpoint in connection.endpoints.items():
            wait.add_metric([its_endpoint.name], connection.connectors[side].wait_s())
    yield from (is_open, paused, wait)

"""`/healthz`: the process answers. `/readyz`: it can store a webhook. `/metrics`: for Prometheus."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from flask import Blueprint, Response, abort, request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import select

from syncengine.engine.core.engine import Engine
from syncengine.settings import Settings
from syncengine.store.models import Pulse
from syncengine.web import metrics

LOOPBACK = ("127.0.0.1", "::1")
OF_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


def blueprint(settings: Settings, engine: Callable[[], Engine]) -> Blueprint:
    """The routes of health and metrics."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", content_type="text/plain")

    @routes.get("/readyz")
    def readyz() -> Response:
        with engine().store.read() as session:  # the store is away: 503
            session.execute(select(Pulse.name).limit(1))
        return Response("ok\n", content_type="text/plain")

    @routes.get("/metrics")
    def show_metrics() -> Response:
        if not _may_see(settings.metrics_token):
            abort(403)
        return Response(metrics.text(engine()), content_type=CONTENT_TYPE_LATEST)

    return routes


def _may_see(token: str) -> bool:
    """Whoever has the token; without one, whoever calls from this host and not through a proxy."""
    if token:
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(given, f"Bearer {token}".encode())
    return request.remote_addr in LOOPBACK and not any(name in request.headers for name in OF_PROXIES)

"""Gunicorn's settings (`gunicorn --config=python:syncengine.web.server`), and the app of its workers."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Any

from flask import Flask

from syncengine import settings
from syncengine.engine.core.engine import Engine
from syncengine.errors import SyncError

log = logging.getLogger(__name__)

_settings = settings.load()

wsgi_app = "syncengine.web.server:app()"
bind = f"{_settings.web_address}:{_settings.web_port}"
workers = _settings.web_workers
worker_class = "syncengine.web.worker.Worker"
threads = _settings.web_threads
keepalive = 15
timeout = 60
graceful_timeout = 10
backlog = 512
limit_request_line = 2048
limit_request_fields = 50
limit_request_field_size = 4096
loglevel = "error"  # its warnings quote request lines, and a path may contain a secret
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - heartbeats, which must not wait for a disk

METRICS_FOLDER = "metrics"
_lock = threading.Lock()


def on_starting(_: Any) -> None:
    """Before the first worker: figures of an earlier run are dropped."""
    folder = _settings.folder(METRICS_FOLDER)
    shutil.rmtree(folder, ignore_errors=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_settings.folder(METRICS_FOLDER))


def child_exit(_: Any, worker: Any) -> None:
    """After a worker has ended."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def app() -> Flask:
    """The app of this worker. Its engine is made now if the store is there, else by a later request; the others get a 503."""
    from syncengine.tasks import base
    from syncengine.web.app import Parts, create_app

    logging.basicConfig(level=_settings.log_level, format="[%(asctime)s: %(levelname)s/web] %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        _engine()
    except SyncError as error:
        log.warning("webhooks are answered with 503 for now: %s", error)
    return create_app(Parts(_settings, _engine, start_work, base.sync_flow))


def _engine() -> Engine:
    from syncengine.tasks import base

    with _lock:
        return base.engine()


def start_work() -> None:
    """Have the pump claim what is due. Raises SyncError, also while there has been no broker yet: then nothing is claimed."""
    from syncengine.celery import app as celery_app
    from syncengine.engine.steps.pump import pump

    if not celery_app.conf.broker_url:
        raise SyncError("there is no broker")
    pump(_engine())

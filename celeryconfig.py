"""Celery's settings, read by `syncengine.celery`. Comments give the reasons; Celery's behaviour on Redis was measured.

Most of them follow from one rule: SQL holds the backlog, a message is only a nudge. Messages may arrive twice or get lost in
a crash; an expired lease then brings the record back (`engine/steps/pump.py`).
"""

import socket

from kombu import Queue

from syncengine import settings
from syncengine.local import redis_server

_settings = settings.load()
# Seconds, a count, milliseconds; only those that the operating system knows.
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (
        ("TCP_KEEPIDLE", 10),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 20_000),
    )
    if hasattr(socket, name)
}

# -- the broker ------------------------------------------------------------------------------------------------------

# REDIS_URL or the embedded Redis. It must answer once, so that a wrong address stops a process with one clear line.
broker_url = redis_server.answering_address(_settings)
# Wait for Redis in later outages. By default a worker gives up for good after 100 attempts.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# By default this blocks for ever when all connections of the pool are in use.
broker_pool_acquire_timeout = 30
broker_transport_options = {
    # Seconds after which an unacknowledged message is delivered again. Above the hard time limit and three times the
    # longest countdown, otherwise work runs twice at once. The shortest value of all clients of one Redis counts.
    "visibility_timeout": 900,
    # Look for such messages every 5 s. The defaults (10, and every tenth time) look only every 100 s.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # A process that dies during that check blocks it for this many seconds; the default is 300.
    "unacked_mutex_expire": 30,
    # A worker serves its queues strictly in the order of -Q: scheduled work goes before backfill.
    "queue_order_strategy": "priority",
    # Redis answers at once, or the connection is dead. With 30 s a user of a half-open connection waits that long, also the
    # worker's main loop. Must exceed the second for which a worker waits for a message.
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    # The kernel finds a peer that is gone: an idle connection within 25 s, one with bytes on their way within 20 s. Its
    # own defaults are two hours, and a quarter of an hour.
    "socket_keepalive": True,
    "socket_keepalive_options": _KEEPALIVE,
    # Detects a half-open connection that waits for a message (kombu 5.7), within a second plus twice this.
    "health_check_interval": 5,
    # One Redis may serve several applications.
    "global_keyprefix": settings.REDIS_PREFIX,
    "client_name": "syncengine",
}
if _settings.redis_master:
    broker_transport_options["master_name"] = _settings.redis_master

# -- results ---------------------------------------------------------------------------------------------------------

# Our tables hold the outcome of every record. Without results a task costs 9 Redis commands instead of 14.
result_backend = None
task_ignore_result = True

# -- tasks -----------------------------------------------------------------------------------------------------------

imports = ("syncengine.tasks",)
# Acknowledge after the work, and give back what a killed child had: with both no crash of a child lost a message.
# Records count the children that died of them, and become dead letters after too many.
task_acks_late = True
task_reject_on_worker_lost = True
# Seconds; both below the visibility timeout. Steps return by themselves after a minute (SYNCENGINE_STEP_LIMIT_S).
task_soft_time_limit = 240
task_time_limit = 300
# Only what Celery itself can read back, never pickles.
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]
task_protocol = 2
# Flows convert local times themselves, so that a change of the clock neither skips nor repeats a tick.
enable_utc = True
timezone = "UTC"
# One queue per lane. A typo in a name is an error, not a queue that nobody reads.
task_create_missing_queues = False
task_queues = [Queue("realtime"), Queue("scheduled"), Queue("backfill")]
task_default_queue = "scheduled"
# Publishing fails after about 3 s: the row is committed already, and the pump sends what was not sent.
task_publish_retry_policy = {"max_retries": 5, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 2}

# -- workers ---------------------------------------------------------------------------------------------------------

# Celery's own, with faster reconnection to the broker.
worker_consumer = "syncengine.tasks.consumer:Consumer"
# A process takes only messages that it can start now. Measured: costs nothing.
worker_prefetch_multiplier = 1
# Retries wait in memory and escape the prefetch limit; this bounds them.
worker_eta_task_limit = 1000
# On SIGQUIT (or SIGTERM with REMAP_SIGTERM=SIGQUIT): seconds to end what runs, then messages go back at once.
worker_soft_shutdown_timeout = 60.0
# Otherwise messages with a countdown would be unavailable until the visibility timeout.
worker_enable_soft_shutdown_on_idle = True
# Killing running work when Redis blinks would turn finished writes into unknown outcomes.
worker_cancel_long_running_tasks_on_connection_loss = False
# Memory hygiene; a child that is replaced loses nothing.
worker_max_tasks_per_child = 500
# For Flower. Costs 41 % of the throughput of empty tasks, nothing that shows at the speed of the two systems.
worker_send_task_events = True

# -- beat ------------------------------------------------------------------------------------------------------------

# Ticks are claimed in SQL, so a lost schedule file or a second beat does no harm.
beat_schedule_filename = str(_settings.folder() / "celerybeat-schedule")
# `celery inspect ping -d celerybeat@HOST` fails when beat has not ticked for this many seconds.
beat_enable_remote_control = True
beat_remote_control_max_tick_age = 120.0

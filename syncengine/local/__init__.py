"""Runs an installation on one machine: an embedded Redis, and a supervisor for all processes (`syncengine up`).

Elsewhere the same processes run under systemd, in containers or a Procfile runner, with REDIS_URL and DATABASE_URL set.
"""

"""What makes one machine enough: an embedded Redis, and a supervisor for all processes (`syncengine up`).

Elsewhere the same processes run under systemd, containers or a Procfile runner, with REDIS_URL and DATABASE_URL set.
"""

"""The traffic floor: one session for all calls, the limiter that admits them, waits that keep the lease.

Others use `session.Session` and `session.wait`, `limiter.Limiter` and `limiter.Pool`, and `guard.guarded`.
"""

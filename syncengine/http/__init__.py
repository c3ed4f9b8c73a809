"""Outgoing traffic: one session for all calls, the limiter that admits them, waits that renew the lease.

Other packages use `session.Session` and `session.wait`, `limiter.Limiter` and `limiter.Pool`, and `guard.guarded`.
"""

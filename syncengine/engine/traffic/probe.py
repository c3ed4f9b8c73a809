"""The endpoint's probe decides whether an error concerns one object or the whole endpoint.

A 403 may be a missing right on one warehouse or a revoked key, a 404 a bad id or a wrong address. The first makes a dead
letter and must stop no other record; the second pauses the endpoint and must make no dead letters at all.
"""

from __future__ import annotations

from syncengine.engine.core.engine import Connection, Engine, calling
from syncengine.engine.core.lease import Lease
from syncengine.errors import AuthenticationFailed, Forbidden, Misconfigured, Rejected, SyncError

LASTS_S = 30.0
"""How long an accepted probe counts (seconds); for a call without an answer, from before that call."""

OF_ONE_CALL = (Rejected, Forbidden, Misconfigured)
"""Errors with which a system refuses a call: sent again unchanged, it would be refused again."""


def ahead(engine: Engine, lease: Lease) -> None:
    """Probe endpoints that are down, or on which a record has failed alone too often, before the record's own calls.

    Those calls may open the breaker, or close an operator's seat by timing out: after them no probe could be made, and the
    record would be retried forever. Raises what makes an endpoint unusable, for which no record is to blame.
    """
    connection = engine.connection(lease.records[0].connection_id)
    for side, endpoint in connection.endpoints.items():
        if has_failed_often(engine, lease) or engine.is_down(endpoint.name):
            _probe(engine, connection, side)


def has_failed_often(engine: Engine, lease: Lease) -> bool:
    """Whether every record of the lease has run alone and used up its tries."""
    return all(record.run_alone and record.attempts >= engine.limits.tries for record in lease.records)


def has_accepted(engine: Engine, error: SyncError) -> bool:
    """Whether the endpoint of an error has just accepted a probe, so that the endpoint is not to blame."""
    lasts_s = LASTS_S if isinstance(error, OF_ONE_CALL) else LASTS_S + engine.limits.call_s
    return error.endpoint_id is not None and engine.was_probed(error.endpoint_id, within_s=lasts_s)


def _probe(engine: Engine, connection: Connection, side: str) -> None:
    """Raises AuthenticationFailed if the endpoint refuses the probe, and whatever else prevents it."""
    endpoint = connection.endpoints[side]
    with calling(endpoint):
        try:
            connection.connectors[side].check()
        except (AuthenticationFailed, *OF_ONE_CALL) as refused:
            raise AuthenticationFailed(f"{endpoint.name} refuses other calls too: {refused}") from refused
    engine.note_probe(endpoint.id)


def refusal(engine: Engine, connection: Connection, error: SyncError, key: str) -> Rejected:
    """The dead letter of a record that failed alone. A record that the system itself rejected needs no probe.

    key: of the record. Raises AuthenticationFailed if the endpoint refuses the probe too, and whatever else prevents it.
    """
    if isinstance(error, Rejected):
        return error
    if error.endpoint_id is None:  # no call was made
        return Rejected(field="record", value=key, reason=str(error), remedy="Correct the configuration, then retry")
    side = next(side for side, endpoint in connection.endpoints.items() if endpoint.id == error.endpoint_id)
    endpoint = connection.endpoints[side]
    if not has_accepted(engine, error):
        _probe(engine, connection, side)
    return Rejected(
        field=endpoint.name,
        value=key,
        reason=f"{error}; other calls are accepted",
        remedy="Check the object there and the account's permission to use it, then retry",
    )

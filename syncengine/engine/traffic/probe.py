"""Whether an error that one call was answered with concerns its object alone, or the endpoint: the endpoint's probe tells.

A 403 may be a right on one warehouse or a revoked key, a 404 a bad id or a wrong address. The one makes a dead letter and
must stop nobody else, the other pauses the endpoint and must make no dead letters at all.
"""

from __future__ import annotations

from syncengine.engine.core.engine import Connection, Engine, calling
from syncengine.engine.core.lease import Lease
from syncengine.errors import AuthenticationFailed, Forbidden, Misconfigured, Rejected, SyncError

LASTS_S = 30.0
"""How long an accepted probe counts; where a call got no answer, from before that call."""

OF_ONE_CALL = (Rejected, Forbidden, Misconfigured)
"""Errors by which a system refuses a call as it is: sent again, it would be refused again."""


def ahead(engine: Engine, lease: Lease) -> None:
    """Probe what is down, and what a record has failed at alone as often as it may, before its own calls are made.

    These may be what opens the breaker, or close an operator's seat by timing out: after them no probe could be made, and
    the record would be tried for ever. Raises what keeps an endpoint from being used; no record is to blame for that.
    """
    connection = engine.connection(lease.records[0].connection_id)
    for side, endpoint in connection.endpoints.items():
        if has_failed_often(engine, lease) or engine.is_down(endpoint.name):
            _probe(engine, connection, side)


def has_failed_often(engine: Engine, lease: Lease) -> bool:
    """Whether this is a record that has failed alone as often as it may."""
    return all(record.run_alone and record.attempts >= engine.limits.tries for record in lease.records)


def has_accepted(engine: Engine, error: SyncError) -> bool:
    """Whether the endpoint of an error has accepted a probe just before, so that the error is not its trouble."""
    lasts_s = LASTS_S if isinstance(error, OF_ONE_CALL) else LASTS_S + engine.limits.call_s
    return error.endpoint_id is not None and engine.was_probed(error.endpoint_id, within_s=lasts_s)


def _probe(engine: Engine, connection: Connection, side: str) -> None:
    """Raises AuthenticationFailed if the endpoint refuses the probe, and whatever else keeps it from being made."""
    endpoint = connection.endpoints[side]
    with calling(endpoint):
        try:
            connection.connectors[side].check()
        except (AuthenticationFailed, *OF_ONE_CALL) as refused:
            raise AuthenticationFailed(f"{endpoint.name} refuses other calls too: {refused}") from refused
    engine.note_probe(endpoint.id)


def refusal(engine: Engine, connection: Connection, error: SyncError, key: str) -> Rejected:
    """The dead letter of the record that an error concerns alone. One that the system refused by itself is not probed.

    Raises AuthenticationFailed if the endpoint refuses the probe too, and whatever else keeps it from being probed.
    """
    if isinstance(error, Rejected):
        return error
    if error.endpoint_id is None:  # no call was made
        return Rejected(field="record", value=key, reason=str(error), remedy="Correct the installation, then retry")
    side = next(side for side, endpoint in connection.endpoints.items() if endpoint.id == error.endpoint_id)
    endpoint = connection.endpoints[side]
    if not has_accepted(engine, error):
        _probe(engine, connection, side)
    return Rejected(
        field=endpoint.name,
        value=key,
        reason=f"{error}; other calls are accepted",
        remedy="Check the object there, and whether the account may use it; then retry",
    )

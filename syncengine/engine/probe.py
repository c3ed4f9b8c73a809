"""Whether an error that one call was answered with concerns its object alone, or the endpoint: the endpoint's probe tells.

A 403 may be a right on one warehouse or a revoked key, a 404 a bad id or a wrong address. The one makes a dead letter and
must stop nobody else, the other pauses the endpoint and must make no dead letters at all.
"""

from __future__ import annotations

from syncengine.engine.engine import Engine, Site, calling
from syncengine.errors import AuthenticationFailed, Forbidden, Misconfigured, Rejected, SyncError

LASTS_S = 30.0
"""How long an accepted probe counts."""

OF_ONE_CALL = (Rejected, Forbidden, Misconfigured)
"""Errors by which a system refuses a call as it is: sent again, it would be refused again."""


def refusal(engine: Engine, site: Site, error: SyncError, key: str) -> Rejected:
    """The dead letter of the record that an error concerns alone. One that the system refused by itself is not probed.

    Raises AuthenticationFailed if the endpoint refuses the probe too, and whatever else keeps it from being probed.
    """
    if isinstance(error, Rejected):
        return error
    if error.endpoint_id is None:  # no call was made
        return Rejected(field="record", value=key, reason=str(error), remedy="Correct the installation, then retry")
    side = next(side for side, endpoint in site.endpoints.items() if endpoint.id == error.endpoint_id)
    endpoint = site.endpoints[side]
    if not engine.was_probed(endpoint.id, within_s=LASTS_S):
        with calling(endpoint):
            try:
                site.connectors[side].check()
            except (AuthenticationFailed, *OF_ONE_CALL) as refused:
                raise AuthenticationFailed(f"{endpoint.name} refuses other calls too: {refused}") from error
        engine.note_probe(endpoint.id)
    return Rejected(
        field=endpoint.name,
        value=key,
        reason=f"{error}; other calls are accepted",
        remedy="Check the object there, and whether the account may use it; then retry",
    )

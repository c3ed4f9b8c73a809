"""How SYSPRO is reached. One seam, `call`, takes a `BusinessCall` and gives the reply as nested dicts (`xml.py`).

`enet` speaks to the e.net services that sites really run, `harmony` to the REST interface of the customer's documents.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from syncengine.connectors.services import Services
from syncengine.connectors.syspro.business import BusinessCall
from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.versions import Reached
from syncengine.document import Doc

__all__ = ["Gateway", "open_gateway"]


class Gateway(Protocol):
    """A way to SYSPRO's business objects."""

    def call(self, call: BusinessCall) -> Doc:
        """Call a business object.

        Returns:
            The reply, business errors inside it included: `errors.item_errors` finds them.

        Raises:
            Absent: a read of a key that SYSPRO does not have.
            Rejected: the call was refused as a whole; nothing was done.
            OutcomeUnknown: a write without an answer, or with an unknown one.
            Forbidden: this call was answered with 403; nothing was done.
            Transient, EndpointDown, Throttled, SessionLost, AuthenticationFailed, Misconfigured: nothing was done.
        """
        ...

    def fits(self, call: BusinessCall) -> bool:
        """True if the call is small enough to be made; finds for many keys are split until they are."""
        ...

    def check(self, *, fresh: bool = False) -> Reached:
        """Prove that address and credentials work.

        fresh: log on again with the stored credentials instead of using the session that the workers share.
        """
        ...

    def quota(self) -> str:
        """How the operator's seat is used; empty where the gateway has no session."""

    def as_found(self) -> AbstractContextManager[None]:
        """Calls within it leave no session behind if there was none before."""
        ...

    def log_off(self) -> None:
        """End the session that all workers share, if there is one."""
        ...

    def close(self) -> None:
        """Close connections; the session stays, since other workers use it."""
        ...


def open_gateway(settings: Settings, services: Services) -> Gateway:
    """The gateway that the endpoint's settings name."""
    if settings.gateway == "harmony":
        from syncengine.connectors.syspro.gateways.harmony import Harmony

        return Harmony(settings, services)
    from syncengine.connectors.syspro.gateways.enet import Enet

    return Enet(settings, services)

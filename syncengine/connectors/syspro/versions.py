"""Which SYSPRO the connector speaks to: 7 and 8.

Facts: syspro-transport.md section 5.3, syspro-objects.md section 14 item 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from syncengine.connectors.syspro.settings import Settings
from syncengine.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Reached:
    """What a gateway's check has reached, in a line; `version` is SYSPRO's own, empty where the gateway does not say."""

    says: str
    version: str = ""


OLDEST = 7
_MAJOR = re.compile(r"\D*(\d+)")


def described(reached: Reached, settings: Settings) -> str:
    """What `check` says of the version: by the logon profile, else by the setting, else what is assumed.

    Raises Misconfigured for a version before 7.
    """
    found = _MAJOR.match(reached.version)
    if found is None:
        if settings.syspro_version:
            return f"SYSPRO {settings.syspro_version} by the setting syspro_version"
        return f"version not known, assumed to be {OLDEST} or later: set syspro_version"
    if int(found[1]) < OLDEST:
        raise Misconfigured(
            f"SYSPRO {reached.version} is not supported: its documents do not have ShipAddress3Locality, ShippingInstrsCode "
            "and other elements, so that address lines would be lost, and its codes and texts are shorter",
            "Connect a company of SYSPRO 7 or 8",
            of=settings.endpoint.name,
        )
    return f"SYSPRO {reached.version}"

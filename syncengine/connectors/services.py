"""What the process lends to a connector: built once per process, passed to every `connect(endpoint, services)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis

    from syncengine.http.breaker import Breaker, Breakers
    from syncengine.http.limiter import Limiter
    from syncengine.store import Store
    from syncengine.vault import Vault


@dataclass(frozen=True, slots=True)
class Services:
    """Store and vault are always there; the rest may be None where no endpoint needs it (a SYSPRO without a breaker)."""

    store: Store
    vault: Vault
    limiter: Limiter | None = None
    redis: redis.Redis | None = None
    breakers: Breakers | None = None

    def breaker(self, endpoint: str) -> Breaker | None:
        """The breaker of the endpoint of this name, where there are breakers."""
        return None if self.breakers is None else self.breakers.of(endpoint)

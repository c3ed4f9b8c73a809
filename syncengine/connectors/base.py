"""The narrow face between the engine and a system: resources, the operations they are given, the outcomes they give back.

A connector is a package beside this file. It exports `connect(endpoint, services) -> Connector`,
`account_of(endpoint) -> Account`, and what an endpoint can set (`SETTINGS`, `SECRETS`), registers its resources in
`resources/__init__.py` (`RESOURCES`), and is found by its folder's name, which is the name of the system. Nothing here knows a
system.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar
from urllib.parse import urlsplit

from syncengine.connectors.hooks import Subscriptions
from syncengine.connectors.operations import Change, LineChange, Operation, Outcome, Result, Safety, SentWrite, Verb
from syncengine.connectors.resource import (
    MAKE_IT_A_TARGET,
    Moved,
    Page,
    Position,
    Ref,
    Resource,
    Source,
    Target,
    bound,
    registered,
)
from syncengine.connectors.searchable import NameKind
from syncengine.connectors.site import SiteFinding, TableComparison
from syncengine.errors import Misconfigured

__all__ = [
    "MAKE_IT_A_TARGET",
    "Account",
    "Change",
    "Connector",
    "Endpoint",
    "LineChange",
    "Moved",
    "NameKind",
    "Operation",
    "Outcome",
    "Page",
    "Position",
    "Ref",
    "Resource",
    "Result",
    "Safety",
    "SentWrite",
    "SiteFinding",
    "Source",
    "TableComparison",
    "Target",
    "Verb",
    "address",
    "bound",
    "registered",
]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One account of a system, as a connector needs it: settings are plain values, secrets come from the vault by name."""

    id: int
    name: str
    system: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """Which account an endpoint's settings name. Keys of objects are unique within one account, and mean nothing in another.

    parts: what identifies it, by setting name; upper and lower case are the same. address: where it is called, see `address`;
    an account may move to another address, but never changes its parts.
    """

    parts: Mapping[str, str]
    address: str


def address(url: str) -> str:
    """HOST:PORT/PATH in one spelling: lower case, port explicit, without scheme, user and trailing slash. Never raises."""
    try:
        parts = urlsplit(url.strip().casefold())
        port = parts.port or (80 if parts.scheme == "http" else 443)
        return f"{parts.hostname or ''}:{port}{parts.path.rstrip('/')}"
    except ValueError:  # no URL at all; the connector refuses it
        return url


class Connector(ABC):
    """All that speaks to one endpoint, in one process."""

    system: ClassVar[str]
    resources: Mapping[str, Resource]
    concurrency: int = 1  # calls that the endpoint takes at a time
    compared_tables: ClassVar[Collection[str]] = ()  # names of lookup tables that `compare_table` takes, once a day
    longest_call_s: float = 0.0  # its connect and read time-outs together; a lease must outlast them

    @abstractmethod
    def check(self) -> str:
        """Prove that address and credentials work; one line that says what was reached. Raises Misconfigured or a SyncError."""

    def site(self, settings: Mapping[str, Any]) -> Sequence[SiteFinding]:
        """What the system's own setup says about a connection's settings, by few calls; raises as `check` does.

        settings: all of them by name, defaults included. For people who check an installation; `check` alone proves an
        endpoint. Default: nothing, it is not read.
        """
        return ()

    def compare_table(
        self, table: str, entries: Mapping[str, str], on: date, settings: Mapping[str, Any]
    ) -> TableComparison:
        """Hold a lookup table of `compared_tables` against the system; raises as `check` does.

        entries: those that hold on the day `on`. settings: as for `site`. Default: LookupError, the table is not known.
        """
        raise LookupError(f"{self.system} has nothing to compare the table {table} with")

    def try_credentials(self) -> str:
        """As `check`, but with the credentials that are stored now, even if an older session or token would do."""
        return self.check()

    def needed_secrets(self) -> Mapping[str, str]:
        """Names of the secrets without which no call can be made, each with a remedy if it is not stored. Makes no call."""
        return {}

    def consent_url(self, state: str) -> str:
        """Where a person agrees that this app may use the account; `state` comes back with the code. Makes no call.

        Raises Misconfigured where there is nothing to agree to, or a setting for it is missing.
        """
        raise self._no_consent()

    def trade(self, code: str) -> None:
        """Trade the code that came of a person's consent for credentials, and store them.

        Raises AuthenticationFailed if it is refused, Misconfigured, Transient, EndpointDown.
        """
        raise self._no_consent()

    def _no_consent(self) -> Misconfigured:
        return Misconfigured(
            f"{self.system} has nothing to authorise: its credentials are the secrets in syncengine.yml,"
            " which `syncengine configure` takes over"
        )

    def listed(self, what: str) -> Mapping[str, str]:
        """Names by id of what settings of flows refer to by id, such as `order statuses`; empty where it cannot be listed.

        Raises as `check` does.
        """
        return {}

    @property
    def subscriptions(self) -> Subscriptions | None:
        """The webhooks of the account; None where the system's own people set them up. Default: None."""
        return None

    def is_subscribable(self, event: str) -> bool:
        """Whether the system tells of an event that a resource declares. Makes no call. Default: it does."""
        return bool(event)

    def quota(self) -> str:
        """One line on what is left of the quota, without a call; empty where nothing is counted."""
        return ""

    def wait_s(self) -> float:
        """Seconds that one more call of the low lanes would wait for the quota; 0.0 where nothing is counted or known."""
        return 0.0

    def calls_a_minute(self) -> float | None:
        """How many calls the system admits in a minute; None where only its own speed bounds them."""
        return None

    def close(self) -> None:
        """Give back what the other side counts (sessions, licences)."""

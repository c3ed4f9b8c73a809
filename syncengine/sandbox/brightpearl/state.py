"""The state of the simulated Brightpearl account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug import Request, Response

if TYPE_CHECKING:
    from syncengine.sandbox.server import Sandbox


class Webhooks:
    """Subscriptions."""

    def stop(self) -> None:
        """Send no more."""


class Account:
    """One account."""

    code = "sandbox"

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.webhooks = Webhooks()

    def counts(self) -> dict[str, int]:
        """Number of objects by kind."""
        return {}

    def control(self, request: Request, parts: list[str]) -> Response | None:  # noqa: ARG002
        """Answer `/_sandbox/brightpearl/...`."""
        return None

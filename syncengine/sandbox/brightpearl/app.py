"""Brightpearl's front door."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug import Request, Response

if TYPE_CHECKING:
    from syncengine.sandbox.server import Sandbox


class Brightpearl:
    """Answers Brightpearl's paths."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        return self.sandbox.run("brightpearl", "unknown", request, lambda: Response("{}", 404))

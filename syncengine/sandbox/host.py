"""What a simulated system needs from the server that hosts it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from werkzeug import Request, Response

from syncengine.sandbox.calls import Calls
from syncengine.sandbox.faults import Faults
from syncengine.sandbox.switches import Switches


class Host(Protocol):
    """Clock, switches, faults and the journal of calls, shared by all systems."""

    switches: Switches
    faults: Faults
    calls: Calls

    def now(self) -> datetime:
        """The sandbox's clock, aware UTC."""

    def run(
        self, system: str, operation: str, request: Request, work: Callable[[], Response], is_write: bool = False
    ) -> Response:
        """Run and count one operation: latency, then fault, then work.

        Args:
            operation: such as `order.read` or `SORTOI.add`; faults and counters use it.
            work: performs it and answers; a late write runs it later and in another thread.

        Raises:
            Dropped: a fault closed the connection.
        """

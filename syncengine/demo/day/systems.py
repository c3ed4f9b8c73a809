"""Both simulated systems as their people use them: through the sandbox's control API, with the time of each act."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import requests

from syncengine.demo.comparison.stock import Span

TIMEOUT_S = 30


class Refused(Exception):
    """A system does not do what it is asked for; nothing was changed."""


class Systems:
    """Acts and reads. now: the sandbox's time."""

    def __init__(self, url: str, now: Callable[[], datetime]) -> None:
        self._url, self.now = f"{url.rstrip('/')}/_sandbox", now

    def shop(self, path: str, **body: Any) -> tuple[Any, Span]:
        """Brightpearl's people do something; the answer, and when. Raises Refused."""
        return self._act("brightpearl", path, body)

    def erp(self, path: str, **body: Any) -> tuple[Any, Span]:
        """SYSPRO's people do something; the answer, and when. Raises Refused."""
        return self._act("syspro", path, body)

    def get(self, path: str) -> Any:
        """What the control API shows, by its path below `/_sandbox`."""
        answer = requests.get(f"{self._url}/{path}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        return answer.json()

    def _act(self, system: str, path: str, body: dict[str, Any]) -> tuple[Any, Span]:
        began = self.now()
        answer = requests.post(f"{self._url}/{system}/{path}", json=body, timeout=TIMEOUT_S)
        if answer.status_code == requests.codes.bad_request:
            raise Refused(f"{path} {body}: {answer.json()['error']}")
        answer.raise_for_status()
        return answer.json(), Span(began, self.now())

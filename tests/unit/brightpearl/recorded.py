"""The example payloads of the references, copied from reference/brightpearl/; invented values, recorded shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import responses

FOLDER = Path(__file__).parents[2] / "payloads" / "brightpearl"


def payload(name: str) -> Any:
    """The content of one file."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def element(name: str) -> dict[str, Any]:
    """The first object of a GET's answer."""
    found: dict[str, Any] = payload(name)["response"][0]
    return found


def answer_with(method: str, url: str, name: str) -> None:
    """Have `responses` answer one call with a recorded error (status, headers, body)."""
    recorded = payload(name)
    responses.add(method, url, status=recorded["status"], json=recorded["body"], headers=_headers(recorded))


def _headers(recorded: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in recorded.get("headers", {}).items() if name != "Content-Type"}

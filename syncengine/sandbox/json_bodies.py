"""JSON in and out of the control API."""

from __future__ import annotations

import json
from typing import Any

from werkzeug import Request, Response


def answer(body: object, status: int = 200) -> Response:
    """A JSON response."""
    text = json.dumps(body, default=str, ensure_ascii=False, indent=1)
    return Response(text, status, mimetype="application/json")


def body_of(request: Request) -> dict[str, Any]:
    """The request's JSON object; empty without a body.

    Raises:
        ValueError: it is not a JSON object.
    """
    body = json.loads(request.get_data() or b"{}")
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return body

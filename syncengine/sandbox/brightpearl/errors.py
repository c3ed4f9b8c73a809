"""Brightpearl's error answers (brightpearl.md sections 3 and 4). Codes marked "invented" are not recorded."""

from __future__ import annotations

#: For an id set that cannot be parsed, and for one that is too long; no recording shows what Brightpearl answers.
BAD_ID_SET = "CMNC-011"  # invented
TOO_MANY_IDS = "CMNC-012"  # invented


class ApiError(Exception):
    """An answer other than success; the body is `{"errors": [...]}`."""

    def __init__(self, status: int, *errors: tuple[str, str]) -> None:
        super().__init__(errors)
        self.status = status
        self.errors = errors

    def body(self) -> dict[str, object]:
        """The body as Brightpearl sends it."""
        return {"errors": [{"code": code, "message": message} for code, message in self.errors]}


class Unauthenticated(Exception):
    """HTTP 401: the body is a bare string under `response`, not an array of errors (section 2.2)."""

    status = 401

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def invalid(code: str, message: str) -> ApiError:
    """400, one error."""
    return ApiError(400, (code, message))


def missing(message: str) -> ApiError:
    """404 `CMNC-404`."""
    return ApiError(404, ("CMNC-404", message))


def bad_filter(column: str, value: str, data_type: str) -> ApiError:
    """500 `CMNC-018`: Brightpearl blames itself for a filter that it cannot parse (section 7)."""
    return ApiError(500, ("CMNC-018", f"The filter {column}={value} cannot be parsed as: {data_type}"))


def bad_patch(operation: str, path: str) -> ApiError:
    """500 `CMNC-044`: an operation that the path does not allow (section 9)."""
    return ApiError(500, ("CMNC-044", f"Invalid patch operation ({operation}) for given path ({path})"))

"""Brightpearl's front door: throttle, authentication, routing, and the headers on every answer (sections 2, 3, 5)."""

from __future__ import annotations

import uuid

from werkzeug import Request, Response

from syncengine.sandbox.brightpearl import routes, throttle
from syncengine.sandbox.brightpearl.authentication import EXPIRED, NOT_AUTHENTICATED, Caller
from syncengine.sandbox.brightpearl.calls import Call
from syncengine.sandbox.brightpearl.errors import ApiError, Unauthenticated, missing
from syncengine.sandbox.brightpearl.responses import CONTENT_TYPE, dumps
from syncengine.sandbox.brightpearl.state import SYSTEM, Account
from syncengine.sandbox.host import Host

_PROXY = "api-proxy"  # the Message-Type of a call that never reached a service
#: Recorded for 404s of webhooks only: their Message-Type has its words swapped (section 3).
_SWAPPED = {"webhook-get": "get-webhook", "webhook-delete": "delete-webhook"}


class Brightpearl:
    """Answers Brightpearl's paths on the state of an account."""

    def __init__(self, host: Host, account: Account) -> None:
        self._host = host
        self._account = account
        host.faults.answers[SYSTEM] = self.fault_answer

    def __call__(self, request: Request) -> Response:
        """Answer one request; doubled and trailing slashes do not matter (section 1)."""
        request.get_data()
        parts = [part for part in request.path.split("/") if part]
        if len(request.path) + len(request.query_string) > self._account.switches.integer("brightpearl_longest_uri"):
            return Response("<html><body>414 Request-URI Too Large</body></html>", 414, content_type="text/html")
        if parts[0] in ("public-api", "2.0.0") and len(parts) > 1:
            return self._api(request, parts[1], "/".join(parts[2:]))
        return self._other(request, parts)

    def fault_answer(self, kind: str, request: Request) -> Response:
        """A fault as Brightpearl would answer it; `expired` does expire the caller's token."""
        if kind == "throttle":
            response = _json(throttle.BODY, 503)
            response.headers["Brightpearl-Requests-Remaining"] = "0"
        elif kind == "expired":
            bearer = request.headers.get("Authorization", "").partition(" ")[2]
            if bearer:
                self._account.authentication.expire(bearer)
            response = _json(dumps({"response": EXPIRED if bearer else NOT_AUTHENTICATED}), 401)
        else:
            body = {"errors": [{"code": "CMNU-003", "message": "Internal Server Error"}]}
            return _json(dumps(body), 500)
        response.headers["Message-Type"] = _PROXY
        return response

    def _other(self, request: Request, parts: list[str]) -> Response:
        """The OAuth endpoints, in their newer and older forms, and the account lookup."""
        code, authentication = self._account.code, self._account.authentication
        if request.method == "GET" and parts == ["authorize", code]:
            return self._host.run(SYSTEM, "authorize", request, lambda: authentication.authorize(request))
        is_older = parts == ["oauth", "token"] and request.form.get("account_code") == code
        if request.method == "POST" and (parts in (["token", code], [code, "oauth", "token"]) or is_older):
            return self._host.run(SYSTEM, "token", request, lambda: authentication.token(request), is_write=True)
        if request.method == "GET" and parts[0] == "developer-tools" and parts[2:] == ["account-location", code]:
            return self._host.run(SYSTEM, "account_location", request, lambda: self._location(request))
        return self._host.run(SYSTEM, "unknown", request, lambda: _unknown(request))

    def _api(self, request: Request, account_code: str, path: str) -> Response:
        found = routes.find(request.method, path)
        operation = found[0].operation if found else "unknown"
        grant = self._account.throttle.take(self._account.authentication.pool(request))
        caller: Caller | None = None
        if not grant.is_allowed:
            response, message_type = _json(throttle.BODY, 503), _PROXY
            self._count(request, operation, 503)
        else:
            try:
                caller = self._account.authentication.caller(request)
            except Unauthenticated as problem:
                response, message_type = _json(dumps({"response": problem.text}), problem.status), _PROXY
                self._count(request, operation, problem.status)
            else:
                response, message_type = self._serve(request, account_code, found)
        _put_headers(response, grant, message_type, caller)
        return response

    def _serve(
        self, request: Request, account_code: str, found: tuple[routes.Route, dict[str, str]] | None
    ) -> tuple[Response, str]:
        if found is None or account_code != self._account.code:
            return self._host.run(SYSTEM, "unknown", request, lambda: _unknown(request)), _PROXY
        route, path = found
        call = Call(self._account, request, path)
        response = self._host.run(SYSTEM, route.operation, request, lambda: _work(route, call), route.is_write)
        swapped = _SWAPPED.get(route.message_type) if response.status_code == 404 else None
        return response, swapped or route.message_type

    def _location(self, request: Request) -> Response:
        base = f"{request.scheme}://{request.host}"
        urls = {"login": base, "authorizeServer": f"{base}/authorize", "authorizeInstance": f"{base}/authorize"}
        return _json(dumps({"response": {"datacentreCode": "euw1", "apiDomain": request.host, "urls": urls}}), 200)

    def _count(self, request: Request, operation: str, status: int) -> None:
        self._host.calls.count(SYSTEM, operation, status, request.method, request.path)


def _work(route: routes.Route, call: Call) -> Response:
    with call.account.lock:
        call.account.close_due_orders()
    try:
        body = route.handler(call)
    except ApiError as problem:
        return _json(dumps(problem.body()), problem.status)
    return _json(body if isinstance(body, str) else dumps(body), 200)


def _unknown(request: Request) -> Response:
    problem = missing(f"Cannot find the resource {request.path}")
    return _json(dumps(problem.body()), problem.status)


def _json(text: str, status: int) -> Response:
    return Response(text, status, content_type=CONTENT_TYPE)


def _put_headers(response: Response, grant: throttle.Grant, message_type: str, caller: Caller | None) -> None:
    headers = response.headers
    headers.setdefault("Message-Type", message_type)
    headers.setdefault("Brightpearl-Requests-Remaining", str(grant.remaining))
    headers.setdefault("Brightpearl-Next-Throttle-Period", str(grant.next_period_ms))
    headers.setdefault("Ruid", str(uuid.uuid4()))
    headers.setdefault("Cache-Control", "no-cache, must-revalidate")
    if caller and caller.instance_id:
        headers.setdefault("Brightpearl-Installed-Integration-Instance-Id", caller.instance_id)

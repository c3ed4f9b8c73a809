"""The REST interface that the customer's documents name: `POST /api/harmony/2.0/SalesOrder` and siblings.

CONJECTURE: no public document, repository or forum thread shows this interface (syspro-transport.md section 4.3). Its
addresses, names and errors are the proposal made there, kept in this one thin gateway over the same documents as `enet`, so
that a specification can replace it without touching a resource. Errors of this gateway say so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import requests

from syncengine import clock
from syncengine.connectors.services import Services
from syncengine.connectors.syspro import errors
from syncengine.connectors.syspro.business import BusinessCall, Route, find_in
from syncengine.connectors.syspro.errors import Call
from syncengine.connectors.syspro.json_documents import document as document_of
from syncengine.connectors.syspro.json_documents import from_json, to_json
from syncengine.connectors.syspro.operator import seat_of
from syncengine.connectors.syspro.settings import Settings, secret
from syncengine.connectors.syspro.versions import Reached
from syncengine.connectors.syspro.xml import get, text_of
from syncengine.document import Doc
from syncengine.errors import (
    AuthenticationFailed,
    EndpointDown,
    Forbidden,
    Misconfigured,
    OutcomeUnknown,
    SessionLost,
    SyncError,
    Throttled,
    Transient,
)
from syncengine.http.session import Session
from syncengine.http.timeouts import Timeouts

BASE = "/api/harmony/2.0"
CONJECTURE = "the shape of the Harmony interface is conjecture, no public specification was found"
_NOTHING = BusinessCall(
    find_in("SorMaster"),
    "Query",
    {
        "TableName": "SorMaster",
        "ReturnRows": "1",
        "Columns": {"Column": ["SalesOrder"]},
        "Where": {"Expression": [{"Column": "SalesOrder", "Condition": "EQ", "Value": "-"}]},
    },
)
"""A find without hits, which proves address and credentials."""

_READ_BY_KEY = {"SORQRY": "SalesOrder", "SORQDN": "DispatchNote"}
"""Business objects that read one object, each with the field of its key: a 404 says that there is none."""
_STEP = re.compile(r"([A-Za-z_][\w.:-]*?)(?:\[(\d+)\])?\Z")
_OF_A_PROXY = (408, 409, 423, 425, 499)  # without a reason: it gave up waiting, or did not pass the call on
_EARLY_S = 30.0  # a token is renewed this long before it ends


class Harmony:
    """The gateway `harmony`, by API key, OAuth 2.0 client credentials, or a SYSPRO session (setting `auth`)."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self._settings, self._vault = settings, services.vault
        url = settings.url
        self._base = url if url.lower().endswith(BASE) else url + BASE
        timeouts = Timeouts(settings.connect_timeout_s, settings.read_timeout_s)
        self._session = Session(
            settings.endpoint.name,
            self._base,
            authenticate=self._authenticate,
            timeouts=timeouts,
            ca_file=settings.ca_file,
            breaker=services.breaker(settings.endpoint.name),
            outage=lambda response: errors.outage(response.status_code, response.text[:200], settings),
        )
        self._tokens = (
            Session(settings.endpoint.name, settings.token_url, timeouts=timeouts, ca_file=settings.ca_file)
            if settings.auth == "oauth"
            else None
        )
        self._token, self._token_until = "", 0.0
        self._seat = (
            seat_of(settings, services, base=self._base, log_on=self._log_on, prove=self._prove)
            if settings.auth == "session"
            else None
        )

    def call(self, call: BusinessCall) -> Doc:
        """See `Gateway.call`."""
        if self._seat is None:
            return self._called(call, "")
        return self._seat.call(lambda session_id: self._called(call, session_id), is_write=call.is_write)

    def fits(self, call: BusinessCall) -> bool:  # noqa: ARG002
        """Documents travel in bodies, whose size no source limits."""
        return True

    def check(self, *, fresh: bool = False) -> Reached:
        """Make a call that reads nothing: proves the address, and the key, the token or the session."""
        if self._seat is not None and fresh:
            self._seat.try_logon(self._prove, self._end)
        elif self._seat is not None:
            self._seat.call(self._prove, is_write=False)
        else:
            self._prove("")
        return Reached(f"SYSPRO Harmony at {urlsplit(self._base).netloc} ({CONJECTURE})")

    def quota(self) -> str:
        """See `Gateway.quota`."""
        return self._seat.usage() if self._seat is not None else ""

    def as_found(self) -> AbstractContextManager[None]:
        """See `Gateway.as_found`."""
        return self._seat.as_found(self._end) if self._seat is not None else nullcontext()

    def log_off(self) -> None:
        """End the shared session, where there is one."""
        if self._seat is not None:
            self._seat.log_off(self._end)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()
        if self._tokens is not None:
            self._tokens.close()

    # -- credentials ---------------------------------------------------------------------------------------------------

    def _authenticate(self, request: requests.PreparedRequest) -> None:
        if self._settings.auth == "api_key":
            request.headers[self._settings.api_key_header] = secret(self._vault, self._settings, "api_key")
        elif self._settings.auth == "oauth":
            request.headers["Authorization"] = f"Bearer {self._current_token()}"

    def _current_token(self) -> str:
        """A token of the client credentials grant; each process has its own, since none of them ends another."""
        if self._tokens is not None and clock.monotonic() >= self._token_until - _EARLY_S:
            form = {
                "grant_type": "client_credentials",
                "client_id": self._settings.client_id,
                "client_secret": secret(self._vault, self._settings, "client_secret"),
            }
            if self._settings.scope:
                form["scope"] = self._settings.scope
            response = self._tokens.send("POST", "", data=form, is_write=False)
            self._keep_token(response)
        return self._token

    def _keep_token(self, response: requests.Response) -> None:
        body = _json(response)
        if response.status_code >= 500:
            raise EndpointDown(
                f"the token address answers HTTP {response.status_code}", of=self._settings.endpoint.name
            )
        token = text_of(body, "access_token")
        if response.status_code != 200 or not token:
            raise AuthenticationFailed(
                f"no token for client {self._settings.client_id!r} "
                f"(HTTP {response.status_code}). Check client_id, token_url and the client_secret in the vault",
                of=self._settings.endpoint.name,
            )
        life_s = text_of(body, "expires_in")
        self._token = token
        self._token_until = clock.monotonic() + (float(life_s) if life_s.isdecimal() else 300.0)

    def _log_on(self) -> str:
        settings = self._settings
        body = {
            "Operator": settings.operator,
            "OperatorPassword": secret(self._vault, settings, "operator_password"),
            "CompanyId": settings.company,
            "CompanyPassword": self._vault.read(settings.endpoint.id, "company_password") or "",
        }
        response = self._session.send("POST", "/Logon", json=body, is_write=False)
        body = _json(response)
        session_id = text_of(body, "UserId")
        if response.status_code == 200 and session_id:
            return session_id
        if response.status_code >= 500 or response.status_code in (404, 405):
            raise self._of_status(response, Call("", errors.LOGON, is_write=False))
        raise errors.from_logon(text_of(body, "ErrorDescription") or f"HTTP {response.status_code}", settings)

    def _prove(self, session_id: str) -> None:
        """A find without hits. Raises SessionLost, AuthenticationFailed, or whatever else prevents it."""
        self._called(_NOTHING, session_id)

    def _end(self, session_id: str) -> requests.Response:
        return self._send("POST", "/Logoff", {}, session_id, Call("", "Logoff", is_write=False))

    # -- exchanges -----------------------------------------------------------------------------------------------------

    def _called(self, call: BusinessCall, session_id: str) -> Doc:
        route, shown = call.object.route(call) or _generic(call), call.shown
        response = self._send(route.verb, route.path, route.body, session_id, shown)
        return self._document(response, call.reply_root, shown)

    def _send(self, verb: str, path: str, body: Any, session_id: str, call: Call) -> requests.Response:
        """One exchange; a token that was refused is renewed once, since nothing runs without one."""
        headers = {self._settings.session_header: session_id} if session_id else None
        response = self._session.send(
            verb, path, json=body, headers=headers, is_write=call.is_write, operation=call.name
        )
        if response.status_code == 401 and self._tokens is not None:
            self._token_until = 0.0
            response = self._session.send(
                verb, path, json=body, headers=headers, is_write=call.is_write, operation=call.name
            )
        if response.status_code == 401 and self._seat is not None:
            raise SessionLost(f"{call}: the session is gone (HTTP 401)")
        return response

    def _document(self, response: requests.Response, root: str, call: Call) -> Doc:
        body = _json(response)
        refusals = (400, 404, 409, 422) if call.business_object == "SORTOX" else (400, 409, 422)
        if response.status_code in refusals and _complaints(body):
            return refused(root, _complaints(body))
        if response.status_code == 404 and call.business_object in _READ_BY_KEY:
            field = _READ_BY_KEY[call.business_object]
            raise errors.Absent(field=field, value="", reason="not found", remedy="Check the key in SYSPRO")
        if not 200 <= response.status_code < 300:
            raise self._of_status(response, call)
        if not isinstance(body, Mapping):
            raise _unknown(call, f"a body that is not a JSON object ({CONJECTURE})")
        names = list(body)
        if len(names) == 1 and names[0].lower() == root.lower():
            return {names[0]: from_json(body[names[0]])}
        return document_of(root, body)

    def _of_status(self, response: requests.Response, call: Call) -> SyncError:
        status = response.status_code
        shown = f"{call}: HTTP {status} from the Harmony interface"
        if status in (401, 407):
            return AuthenticationFailed(
                f"{shown}: the credentials are refused. Check auth and the secrets in the vault"
            )
        if status == 403:
            said = "; ".join(text_of(complaint, "ErrorDescription") for complaint in _complaints(_json(response)))
            return Forbidden(
                f"{shown}: {said[:80] or 'no reason given'}. Check what the key or the operator may do, and any firewall in"
                " between"
            )
        if status == 429:
            after = response.headers.get("Retry-After", "")
            return Throttled(shown, retry_in_s=float(after) if after.isdecimal() else 15.0)
        if status in (404, 405, 410):
            return Misconfigured(
                f"{shown}: there is nothing at this address; {CONJECTURE}. Check url, or use gateway enet"
            )
        if status in _OF_A_PROXY:
            return OutcomeUnknown(f"{shown} in answer to a write") if call.is_write else Transient(shown)
        if 400 <= status < 500:
            return errors.rejected_text(f"HTTP {status} without a reason; {CONJECTURE}", call)
        if call.is_write:
            return OutcomeUnknown(f"{shown} in answer to a write")
        return EndpointDown(shown) if status in (502, 503, 504) else Transient(shown)


def _generic(call: BusinessCall) -> Route:
    """The address of a business object that has none of its own (section 4.3)."""
    body = {"XmlParameters": to_json(_parameters(call)), "XmlIn": to_json(call.content)}
    return Route("POST", f"{call.path}/{call.object.name}", body)


def _parameters(call: BusinessCall) -> Doc:
    return {"Parameters": dict(call.parameters)} if call.parameters else {}


def _json(response: requests.Response) -> Any:
    """The JSON of a body, None if it is not JSON; numbers exact."""
    try:
        return json.loads(response.content, parse_float=Decimal) if response.content.strip() else {}
    except ValueError:
        return None


def _complaints(body: Any) -> list[Mapping[str, Any]]:
    """The errors of a refusal: one at the top, or a list under `Errors`."""
    if not isinstance(body, Mapping):
        return []
    many = get(body, "Errors")
    listed = many if isinstance(many, list) else [body]
    return [entry for entry in listed if isinstance(entry, Mapping) and text_of(entry, "ErrorDescription")]


def refused(root: str, complaints: list[Mapping[str, Any]]) -> Doc:
    """A refusal in the shape in which e.net gives it: groups named like the faulty field, and nothing processed.

    `Orders[0].OrderDetails.StockLine[1].StockCode` becomes a group `StockCode` in line 2.
    """
    content: Doc = {"StatusOfItems": {"ItemsProcessed": "0", "RecordsRead": "0"}}
    groups: list[Doc] = []
    for complaint in complaints:
        steps = [_STEP.match(step) for step in text_of(complaint, "Path").split(".")]
        names = [(step[1], step[2]) for step in steps if step]
        field = names[-1][0] if names else root
        group: Doc = {
            field: {
                "Value": text_of(complaint, "Value"),
                "ErrorNumber": _plain(complaint, "ErrorNumber"),
                "ErrorDescription": text_of(complaint, "ErrorDescription"),
            }
        }
        lines = [number for name, number in names if name.endswith("Line") and number]
        if lines:
            group["CustomerPoLine"] = str(int(lines[-1]) + 1)
        groups.append(group)
    return {root: {**content, "Refused": groups}}


def _plain(complaint: Mapping[str, Any], name: str) -> str:
    value = get(complaint, name)
    return "" if value is None else str(value)


def _unknown(call: Call, reason: str) -> SyncError:
    if call.is_write:
        return errors.UnknownAnswer(f"{call}: {reason}")
    return errors.OddAnswer(f"{call}: {reason}")

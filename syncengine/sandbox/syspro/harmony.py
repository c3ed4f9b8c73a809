"""The proposed Harmony interface under `/api/harmony/2.0/`, over the same company and rules as e.net.

No public specification was found: shape and errors are conjecture (syspro-transport.md section 4.3).
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from werkzeug import Request, Response

from syncengine.sandbox.faults import cut
from syncengine.sandbox.host import Host
from syncengine.sandbox.syspro import business_objects, warehouse
from syncengine.sandbox.syspro.harmony_json import BadRequest, body_of, error, from_xml, imported, reply, to_xml
from syncengine.sandbox.syspro.sessions import ID_TAIL, Logon, Session
from syncengine.sandbox.syspro.simulation import Syspro
from syncengine.sandbox.syspro.sortoi import post as sortoi
from syncengine.sandbox.syspro.texts import EnetError, LicenceFull, SessionGone
from syncengine.sandbox.syspro.xmlin import parse

#: Roots of XmlParameters and XmlIn by object, for the generic form.
_ROOTS = {
    "SORTOI": "SalesOrders",
    "SORTOX": "PostSalesOrderCancel",
    "SORTOS": "PostSorOrderStatus",
    "SORTBO": "PostSorBackOrderRelease",
    "SORTIC": "PostSalesOrderInvoice",
    "SORTDN": "PostDispatchNotes",
    "SORTDS": "PostDispStatus",
    "SORTDC": "PostDispCancel",
    "SORTNC": "PostDispatchInvoice",
    "INVTMA": "PostInvAdjustments",
    "INVTMR": "PostInvReceipts",
    "INVTME": "PostInvExpenseIssues",
    "INVTMO": "PostInvWhTransferOut",
    "INVTMI": "PostInvWhTransferIn",
    "ARSSCS": "SetupArCustomer",
    "COMFCH": "Fetch",
    "SORRSL": "Build",
}
_POST_PARAMETERS = {"Parameters": {"IgnoreWarnings": "N", "ApplyIfEntireDocumentValid": "Y", "ValidateOnly": "N"}}
_ALL_LINES = "".join(
    f"<Include{kind}Lines>Y</Include{kind}Lines>" for kind in ("Stocked", "NonStocked", "Freight", "Misc", "Comment")
)


class Harmony:
    """The REST gateway."""

    def __init__(self, host: Host, company: Syspro) -> None:
        self._host = host
        self._company = company
        self._tokens: dict[str, datetime] = {}

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        company = self._company
        if company.refuses_connections:
            cut(request)
        if company.is_starting:
            return error(503, "The service is unavailable")
        parts = [part for part in request.path.split("/") if part][2:]
        if not company.switches.on("syspro_harmony") or parts[:1] != ["2.0"]:
            return error(404, "No such endpoint")
        try:
            return self._route(request, parts[1:])
        except BadRequest as problem:
            return error(400, str(problem))

    def _route(self, request: Request, parts: list[str]) -> Response:
        match request.method, parts:
            case "POST", ["token"]:
                return self._run(request, "token", lambda: self._token(request))
            case "POST", ["Logon"]:
                body = body_of(request.get_data())
                return self._run(request, "Logon", lambda: self._log_on(body))
            case "POST", ["Logoff"]:
                return self._in_session(request, "Logoff", self._log_off)
            case _, ["SalesOrder", *rest]:
                return self._sales_order(request, rest)
            case _, ["Customer", *rest]:
                return self._customer(request, rest)
            case "POST", ["Query" | "Setup" | "Transaction" as klass, method, code]:
                return self._generic(request, klass, method, code)
        return error(404, "No such endpoint")

    # -- authentication ----------------------------------------------------------------------------------------------

    def _token(self, request: Request) -> Response:
        """OAuth 2.0 client credentials (RFC 6749 section 4.4)."""
        form = request.form
        client_id, _, secret = self._company.switches.text("syspro_harmony_client").partition(":")
        given = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
        if form.get("grant_type") != "client_credentials":
            return reply({"error": "unsupported_grant_type"}, 400)
        if given != (client_id, secret) or not self._allows("oauth2"):
            return reply({"error": "invalid_client"}, 401)
        life = self._company.switches.integer("syspro_harmony_token_s")
        token = secrets.token_urlsafe(32)
        self._tokens[token] = self._company.now() + timedelta(seconds=life)
        return reply({"access_token": token, "token_type": "Bearer", "expires_in": life})

    def _log_on(self, body: dict[str, Any]) -> Response:
        names = ("Operator", "OperatorPassword", "CompanyId", "CompanyPassword")
        operator, password, company, company_password = (str(body.get(name, "")) for name in names)
        if not self._allows("session"):
            return error(401, "Sessions are not accepted")
        try:
            session = self._company.sessions.log_on(Logon(operator, password, company, company_password))
        except EnetError as refused:
            return error(429 if isinstance(refused, LicenceFull) else 401, str(refused))
        return reply({"UserId": session.id + ID_TAIL})

    def _log_off(self, session: Session) -> Response:
        if session.id:
            self._company.sessions.log_off(session.id)
        return reply({"Result": "0"})

    def _allows(self, way: str) -> bool:
        return self._company.switches.text("syspro_harmony_auth") in (way, "any")

    def _session(self, request: Request) -> Session:
        """Who is calling, by key, token or session.

        Raises:
            SessionGone: not authorised.
        """
        switches, sessions = self._company.switches, self._company.sessions
        key = request.headers.get("X-Api-Key", "")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user_id = request.headers.get(switches.text("syspro_harmony_session_header"), "")
        if user_id and self._allows("session"):
            return sessions.require(user_id)
        is_known = (
            key and self._allows("api_key") and secrets.compare_digest(key, switches.text("syspro_harmony_api_key"))
        )
        if not is_known and scheme.lower() == "bearer" and self._allows("oauth2"):
            ends = self._tokens.get(token)
            is_known = ends is not None and ends > self._company.now()
        if not is_known:
            raise SessionGone("Not authorised")
        return sessions.serving(switches.text("syspro_harmony_operator"), switches.text("syspro_company"))

    # -- running -----------------------------------------------------------------------------------------------------

    def _run(self, request: Request, operation: str, work: Callable[[], Response], is_write: bool = False) -> Response:
        return self._host.run("syspro", operation, request, work, is_write)

    def _in_session(
        self, request: Request, operation: str, work: Callable[[Session], Response], is_write: bool = False
    ) -> Response:
        try:
            session = self._session(request)
        except SessionGone as gone:
            answer = error(401, str(gone))
            return self._run(request, operation, lambda: answer)

        def run() -> Response:
            try:
                return work(session)
            except BadRequest as problem:
                return error(400, str(problem))
            except EnetError as refused:
                return error(404 if str(refused).endswith("not found") else 400, str(refused))

        with session.gate:
            return self._run(request, operation, run, is_write)

    def _call(self, session: Session, klass: str, method: str, code: str, params: str, data: str) -> Element:
        return parse(self._company.call(session, klass, method, code, params, data), "reply")

    # -- sales orders ------------------------------------------------------------------------------------------------

    def _sales_order(self, request: Request, rest: list[str]) -> Response:
        match request.method, rest:
            case "POST", []:
                body = body_of(request.get_data())
                return self._import(request, body)
            case "GET", []:
                return self._in_session(request, "COMFND", lambda session: self._find_orders(session, request))
            case "GET", [number]:
                return self._in_session(request, "SORQRY", lambda session: self._read_order(session, number))
            case "DELETE", [number]:
                reason = request.args.get("CancelReasonCode", "")
                return self._in_session(request, "SORTOX", lambda session: self._cancel(session, number, reason), True)
        return error(405, "Method not allowed")

    def _import(self, request: Request, body: dict[str, Any]) -> Response:
        params = to_xml("SalesOrders", {"Parameters": body.get("Parameters", {})})
        data = to_xml("SalesOrders", {"Orders": body.get("Orders", [])})

        def work(session: Session) -> Response:
            if "SORTOI" in self._company.listed("syspro_unlicensed"):
                raise EnetError("e.net exception 100000: business object SORTOI is not licensed")
            with self._company.lock:
                warehouse.move_due_orders(self._company)
                options, drafts = sortoi.import_orders(
                    self._company, session, parse(params, "Parameters"), parse(data, "Orders")
                )
            return imported(drafts, options)

        return self._in_session(request, f"SORTOI.{sortoi.action_of(data)}", work, True)

    def _read_order(self, session: Session, number: str) -> Response:
        query = to_xml("Query", {"Key": {"SalesOrder": number}})
        return reply(from_xml(self._call(session, "Query", "Query", "SORQRY", "", query)))

    def _find_orders(self, session: Session, request: Request) -> Response:
        filters = {
            {"CustomerPoNumber": "CustomerPo"}.get(name, name): {"@FilterType": "S", "@FilterValue": value}
            for name, value in request.args.items()
            if name in ("CustomerPoNumber", "Customer", "OrderStatus")
        }
        options = {f"Include{kind}Orders": "Y" for kind in ("Completed", "Cancelled", "Forward")}
        query = to_xml("Query", {"Option": options, "Filter": filters})
        found = self._call(session, "Query", "Query", "SORQSO", "", query)
        return reply({"SalesOrder": [from_xml(item) for item in found.findall("SalesOrderItem")]})

    def _cancel(self, session: Session, number: str, reason: str) -> Response:
        item = {"SalesOrder": number, "SalesOrderLine": "", "CancelReasonCode": reason}
        data = to_xml("PostSalesOrderCancel", {"Item": item})
        params = to_xml("PostSalesOrderCancel", _POST_PARAMETERS)
        return self._posted(self._call(session, "Transaction", "Post", "SORTOX", params, data))

    # -- customers ---------------------------------------------------------------------------------------------------

    def _customer(self, request: Request, rest: list[str]) -> Response:
        match request.method, rest:
            case "POST", []:
                body = body_of(request.get_data())
                return self._in_session(request, "ARSSCS", lambda session: self._setup(session, "Add", body), True)
            case "PUT", [code]:
                body = body_of(request.get_data())
                body.setdefault("Key", {"Customer": code})
                return self._in_session(request, "ARSSCS", lambda session: self._setup(session, "Update", body), True)
            case "GET", [code]:
                return self._in_session(request, "ARSQRY", lambda session: self._read_customer(session, code))
            case "DELETE", [code]:
                body = {"Key": {"Customer": code}}
                return self._in_session(request, "ARSSCS", lambda session: self._setup(session, "Delete", body), True)
        return error(405, "Method not allowed")

    def _setup(self, session: Session, method: str, body: dict[str, Any]) -> Response:
        """One customer, or `{"Item": [...]}`."""
        content = {"Item": body["Item"]} if "Item" in body else {"Item": body}
        params = to_xml("SetupArCustomer", _POST_PARAMETERS)
        data = to_xml("SetupArCustomer", content)
        return self._posted(self._call(session, "Setup", method, "ARSSCS", params, data))

    def _read_customer(self, session: Session, code: str) -> Response:
        query = to_xml("Query", {"Key": {"Customer": code}})
        return reply(from_xml(self._call(session, "Query", "Query", "ARSQRY", "", query)))

    # -- the generic form --------------------------------------------------------------------------------------------

    def _generic(self, request: Request, klass: str, method: str, code: str) -> Response:
        body = body_of(request.get_data())
        root = _ROOTS.get(code.upper(), "Query")
        params = to_xml(root, body["XmlParameters"]) if body.get("XmlParameters") else ""
        data = to_xml(root, body.get("XmlIn", {}))
        operation = f"SORTOI.{sortoi.action_of(data)}" if code.upper() == "SORTOI" else code.upper()

        def work(session: Session) -> Response:
            return reply(from_xml(self._call(session, klass, method, code.upper(), params, data)))

        return self._in_session(request, operation, work, business_objects.is_write(klass, method))

    def _posted(self, root: Element) -> Response:
        """200 with the reply, or 400 with its first error."""
        for parent in root.iter():
            text = parent.findtext("ErrorDescription")
            if text is not None:
                number, value = parent.findtext("ErrorNumber") or "", parent.findtext("Value") or ""
                return error(400, text, number, f"Item.{parent.tag}", value)
        return reply(from_xml(root))


def _basic(request: Request) -> tuple[str, str] | None:
    """Client id and secret of HTTP basic authentication."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return client_id, secret

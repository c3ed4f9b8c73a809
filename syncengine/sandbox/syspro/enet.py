"""The REST form of the WCF service: `/SYSPROWCFService/Rest/...` (syspro-transport.md section 2).

Every plain verb is a GET, writes included; the path is case-insensitive and parameters come in any order. What
reaches SYSPRO is answered with 200 and application/octet-stream, everything else with HTTP.sys's own HTML.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from werkzeug import Request, Response

from syncengine.sandbox.faults import cut
from syncengine.sandbox.host import Host
from syncengine.sandbox.syspro import business_objects
from syncengine.sandbox.syspro.harmony_json import error as harmony_error
from syncengine.sandbox.syspro.sessions import ID_TAIL, Logon, Session
from syncengine.sandbox.syspro.simulation import Syspro
from syncengine.sandbox.syspro.sortoi import post as sortoi
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.texts import EnetError, SessionGone
from syncengine.sandbox.syspro.xmlin import parse
from syncengine.sandbox.syspro.xmlout import Node

SERVICE_NAME = "SYSPROWCFService"
_POSTLD = "transaction/postld"
#: Path below Rest, lower case, to class and method of a business object call.
_VERBS = {
    "query/query": ("Query", "Query"),
    "query/fetch": ("Query", "Fetch"),
    "setup/add": ("Setup", "Add"),
    "setup/update": ("Setup", "Update"),
    "setup/delete": ("Setup", "Delete"),
    "transaction/build": ("Transaction", "Build"),
    "transaction/post": ("Transaction", "Post"),
}
_PLAIN = ("getversion", "getservicename", "logon", "logoff", "getlogonprofile")
#: Known to the service, but not simulated.
_UNSERVED = ("query/browse", "query/nextkey", "query/previouskey", "nextkey", "previouskey")


class Enet:
    """The WCF service's REST endpoint."""

    def __init__(self, host: Host, company: Syspro) -> None:
        self._host = host
        self._company = company
        host.faults.answers["syspro"] = self._fault_answer

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if self._company.refuses_connections:
            cut(request)
        if self._company.is_starting:
            return unavailable()
        if _size(request) > self._company.switches.integer("syspro_get_limit_bytes") and request.method == "GET":
            return _http_sys(
                400, "Bad Request - Request Too Long", "HTTP Error 400. The size of the request is too long."
            )
        path = _path(request)
        if path == _POSTLD and self._company.switches.on("syspro_postld"):
            return (
                self._post_large(request)
                if request.method == "POST"
                else _http_sys(405, "Service", "Method not allowed.")
            )
        if path not in _VERBS and path not in _PLAIN and path not in _UNSERVED:
            return _http_sys(404, "Service", "Endpoint not found.")
        if request.method != "GET":
            return _http_sys(405, "Service", "Method not allowed.")
        parameters = _query(request)
        if path in _VERBS:
            return self._call(request, *_VERBS[path], parameters)
        return self._plain(request, path, parameters)

    # -- business objects --------------------------------------------------------------------------------------------

    def _post_large(self, request: Request) -> Response:
        try:
            root = parse(_decoded(request.get_data()), "TransactionPostLD")
        except EnetError:
            return _http_sys(400, "Request Error", "The server encountered an error processing the request.")
        parameters = {_local(child).lower(): child.text or "" for child in root}
        return self._call(request, "Transaction", "Post", parameters)

    def _call(self, request: Request, klass: str, method: str, parameters: dict[str, str]) -> Response:
        given = parameters.get("businessobject", "").strip().upper()
        code = given or {"Fetch": "COMFCH"}.get(method, "")
        data = parameters.get("xmlin", "")
        operation = f"SORTOI.{sortoi.action_of(data)}" if code == "SORTOI" else code or f"{klass}.{method}"
        is_write = business_objects.is_write(klass, method)

        def work(session: Session) -> str:
            return self._company.call(session, klass, method, code, parameters.get("xmlparameters", ""), data)

        return self._in_session(request, operation, parameters.get("userid", ""), work, is_write=is_write)

    def _in_session(
        self, request: Request, operation: str, user_id: str, work: Callable[[Session], str], *, is_write: bool = False
    ) -> Response:
        """Run work in its session: one call at a time; a second call waits."""
        try:
            session = self._company.sessions.require(user_id)
        except SessionGone as gone:
            answer = self._answer(f"ERROR: {gone}")
            return self._host.run("syspro", operation, request, lambda: answer)

        with session.gate:
            if not self._company.sessions.is_open(session):  # ended while this call was waiting
                answer = self._answer(f"ERROR: {self._company.switches.text('syspro_expired_text')}")
                return self._host.run("syspro", operation, request, lambda: answer)
            # From here on the call completes even if the session ends meanwhile.
            return self._host.run("syspro", operation, request, lambda: self._worked(lambda: work(session)), is_write)

    # -- service and session -----------------------------------------------------------------------------------------

    def _plain(self, request: Request, path: str, parameters: dict[str, str]) -> Response:
        user_id = parameters.get("userid", "")
        if path == "getlogonprofile":
            return self._in_session(
                request, "GetLogonProfile", user_id, lambda session: _profile(self._company, session)
            )
        works: dict[str, tuple[str, Callable[[], str]]] = {
            "getversion": ("GetVersion", lambda: self._company.switches.text("syspro_service_version")),
            "getservicename": ("GetServiceName", lambda: SERVICE_NAME),
            "logon": ("Logon", lambda: self._log_on(parameters)),
            "logoff": ("Logoff", lambda: self._log_off(user_id)),
        }
        if path in _UNSERVED:
            return self._in_session(request, "Browse", user_id, lambda _: _unserved())
        operation, work = works[path]
        return self._host.run("syspro", operation, request, lambda: self._worked(work))

    def _log_on(self, parameters: dict[str, str]) -> str:
        names = ("operator", "operatorpassword", "companyid", "companypassword")
        operator, password, company, company_password = (parameters.get(name, "") for name in names)
        instance = parameters.get("encoreinstance", "").strip() or "0"
        logon = Logon(operator, password, company, company_password, instance, parameters.get("xmlin", ""))
        return self._company.sessions.log_on(logon).id + ID_TAIL

    def _log_off(self, user_id: str) -> str:
        self._company.sessions.log_off(user_id)
        return "0"

    # -- answers -----------------------------------------------------------------------------------------------------

    def _worked(self, work: Callable[[], str]) -> Response:
        try:
            return self._answer(work())
        except EnetError as refused:
            return self._answer(f"ERROR: {refused}")

    def _answer(self, text: str) -> Response:
        if self._company.switches.on("syspro_json_bodies"):
            text = json.dumps(text, ensure_ascii=False)
        response = Response(text.encode("cp1252", "xmlcharrefreplace"), 200)
        response.headers["Content-Type"] = "application/octet-stream"
        response.headers["Server"] = "Microsoft-HTTPAPI/2.0"
        return response

    def _fault_answer(self, kind: str, request: Request) -> Response:
        """A fault as SYSPRO would answer it: `expired` does end the session, `throttle` is a busy service."""
        expired = self._company.switches.text("syspro_expired_text")
        if kind == "expired":
            query = request.query_string.decode("latin-1")
            self._company.sessions.end_named_in(f"{query} {request.headers} {request.get_data(as_text=True)}")
        if "/harmony/" in request.path.lower():
            status, text = {
                "expired": (401, expired),
                "throttle": (503, "The service is unavailable"),
            }.get(kind, (500, "The server encountered an error processing the request"))
            return harmony_error(status, text)
        if kind == "expired":
            return self._answer(f"ERROR: {expired}")
        if kind == "throttle":
            return unavailable()
        return _http_sys(500, "Request Error", "The server encountered an error processing the request.")


def unavailable() -> Response:
    """What HTTP.sys answers while the service restarts."""
    return _http_sys(503, "Service Unavailable", "HTTP Error 503. The service is unavailable.")


def _http_sys(status: int, title: str, text: str) -> Response:
    body = (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">\r\n'
        f"<HTML><HEAD><TITLE>{title}</TITLE></HEAD>\r\n<BODY><h2>{title}</h2>\r\n<hr><p>{text}</p>\r\n</BODY></HTML>\r\n"
    )
    response = Response(body, status, content_type="text/html; charset=us-ascii")
    response.headers["Server"] = "Microsoft-HTTPAPI/2.0"
    return response


def _path(request: Request) -> str:
    parts = [part for part in request.path.lower().split("/") if part]
    return "/".join(parts[2:]) if parts[1:2] == ["rest"] else "-"


def _query(request: Request) -> dict[str, str]:
    """Parameters by lower-case name; values are percent-encoded UTF-8, with blanks as %20 or +."""
    text = request.query_string.decode("latin-1")
    return {name.lower(): value for name, value in parse_qsl(text, keep_blank_values=True)}


def _size(request: Request) -> int:
    """Bytes of request line and headers, as HTTP.sys counts them."""
    line = len(request.method) + len(request.environ.get("REQUEST_URI", request.full_path)) + len(" HTTP/1.1\r\n") + 1
    return line + sum(len(name) + len(value) + 4 for name, value in request.headers.items())


def _decoded(body: bytes) -> str:
    """A posted body: UTF-8, else Windows-1252."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _unserved() -> str:
    raise EnetError("Browse not found")


def _profile(company: Company, session: Session) -> str:
    """GetLogonProfile; the names are known (section 5.3), the document's form is the sandbox's own."""
    values = {
        "CompanyName": "Sandbox Company",
        "CompanyId": session.company,
        "OperatorCode": session.operator,
        "CompanyDate": company.today().isoformat(),
        "DefaultWarehouse": "",
        "DefaultCustomer": "",
        "LocalCurrencyCode": company.switches.text("syspro_local_currency"),
        "DecimalFormat": "1",
        "DateFormat": "01",
        "SysproVersion": company.style(session).version,
        "EnetVersion": company.switches.text("syspro_service_version"),
    }
    return company.style(session).document("LogonProfile", [Node(name, value) for name, value in values.items()])

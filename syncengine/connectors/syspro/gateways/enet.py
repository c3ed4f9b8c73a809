"""SYSPRO e.net over the REST form of its WCF service. Facts: syspro-transport.md sections 2, 5 and 7.

Every plain verb is a GET, writes included, and password, session id and order data are in its query: no full address may
be logged, and nothing between here and SYSPRO may repeat a GET.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from urllib.parse import quote, urlencode, urlsplit

import requests

from syncengine.connectors.services import Services
from syncengine.connectors.syspro import errors, xml
from syncengine.connectors.syspro.business import BusinessCall
from syncengine.connectors.syspro.errors import Call
from syncengine.connectors.syspro.operator import seat_of
from syncengine.connectors.syspro.settings import Settings, secret
from syncengine.connectors.syspro.versions import Reached
from syncengine.document import Doc
from syncengine.errors import AuthenticationFailed, Rejected
from syncengine.http.session import Session
from syncengine.http.timeouts import Timeouts

REST = "/SYSPROWCFService/Rest"
LARGE = "/Transaction/PostLD"
_XMLNS = "http://SYSPROWcfService"
_SESSION_ID = re.compile(r"[0-9A-Za-z-]{1,64}")  # recorded are 34 hex digits; a GUID has hyphens
_LONGEST_TEXT = 4096  # of an error, or of a page by which HTML is recognised


class Enet:
    """The gateway `enet`: one operator, one session, one call at a time."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self._settings = settings
        self._vault = services.vault
        self._base = settings.url if settings.url.lower().endswith("/rest") else settings.url + REST
        self._session = Session(
            settings.endpoint.name,
            self._base,
            timeouts=Timeouts(settings.connect_timeout_s, settings.read_timeout_s),
            ca_file=settings.ca_file,
            breaker=services.breaker(settings.endpoint.name),
            outage=self._outage,
        )
        self._seat = seat_of(settings, services, base=self._base, log_on=self._log_on, prove=self._profile)

    def call(self, call: BusinessCall) -> Doc:
        """See `Gateway.call`."""
        texts, shown = _texts(call), call.shown
        is_large = not self.fits(call)
        if is_large and call.path != "/Transaction/Post":
            raise Rejected(
                field=shown.business_object,
                value="",
                reason=f"the document is larger than the {self._settings.get_limit_bytes} bytes of a GET",
                remedy="Shorten its texts, or raise get_limit_bytes if the site's limit allows",
            )

        def work(session_id: str) -> Doc:
            if is_large:
                return self._document(self._send_large(texts, session_id, shown), shown)
            return self._document(self._send(call.path, texts, session_id, shown), shown)

        return self._seat.call(work, is_write=call.is_write)

    def fits(self, call: BusinessCall) -> bool:
        """See `Gateway.fits`: only posts have a form for large documents."""
        return self._length(call.path, _texts(call)) <= self._settings.get_limit_bytes

    def check(self, *, fresh: bool = False) -> Reached:
        """Log on, if need be or `fresh`, and read the profile of the session: proves address, credentials and company."""
        version = self._ask("/GetVersion", {}, Call("", "GetVersion", is_write=False))
        if fresh:
            profile = self._seat.try_logon(self._profile, self._end)
        else:
            profile = self._seat.call(self._profile, is_write=False)
        company = xml.text_of(profile, "CompanyName") or self._settings.company
        says = f"SYSPRO e.net {version[:20]} at {urlsplit(self._base).netloc}, company {company}"
        return Reached(says, xml.text_of(profile, "SysproVersion"))

    def quota(self) -> str:
        """See `Gateway.quota`."""
        return self._seat.usage()

    def as_found(self) -> AbstractContextManager[None]:
        """See `Gateway.as_found`."""
        return self._seat.as_found(self._end)

    def log_off(self) -> None:
        """End the shared session."""
        self._seat.log_off(self._end)

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _log_on(self) -> str:
        settings = self._settings
        query = {
            "Operator": settings.operator,
            "OperatorPassword": secret(self._vault, settings, "operator_password"),
            "CompanyId": settings.company,
            "CompanyPassword": self._vault.read(settings.endpoint.id, "company_password") or "",
            "LanguageCode": settings.language,
            "LogLevel": "0",
            "EncoreInstance": settings.instance,
            "XmlIn": "",
        }
        call = Call("", errors.LOGON, is_write=False)
        text = self._body("/Logon?" + _query(query), call)
        if errors.is_error_text(text):
            raise errors.from_logon(text, settings)
        if not _SESSION_ID.fullmatch(text):
            raise AuthenticationFailed(
                f"Logon answered with {len(text)} characters that are not a session id. "
                "Check that the setting url is the REST address of the SYSPRO service",
                of=settings.endpoint.name,
            )
        return text

    def _profile(self, session_id: str) -> object:
        """The session's profile, under whatever root the site's version gives it."""
        call = Call("", "GetLogonProfile", is_write=False)
        text = self._send("/GetLogonProfile", {}, session_id, call)
        return xml.content_of(xml.parse(text)) if text.startswith("<") else text

    def _end(self, session_id: str) -> str:
        """Log off; `0` is the answer of a good logoff (section 5.2)."""
        return self._send("/Logoff", {}, session_id, Call("", "Logoff", is_write=False))

    def _send(self, path: str, texts: Mapping[str, str], session_id: str, call: Call) -> str:
        return self._ask(path, {"UserId": session_id, **texts}, call)

    def _ask(self, path: str, query: Mapping[str, str], call: Call) -> str:
        text = self._body(f"{path}?{_query(query)}" if query else path, call)
        if errors.is_error_text(text):
            raise errors.from_text(text, call, self._settings)
        return text

    def _send_large(self, texts: Mapping[str, str], session_id: str, call: Call) -> str:
        """The body of PostLD holds both documents as texts (wcf_rest_postld_body.xml)."""
        head = f"<UserId>{session_id}</UserId><BusinessObject>{texts['BusinessObject']}</BusinessObject>"
        both = "".join(f"<{name}>{_cdata(texts[name])}</{name}>" for name in ("XmlParameters", "XmlIn"))
        body = f'<TransactionPostLD xmlns="{_XMLNS}">{head}{both}</TransactionPostLD>'
        text = self._body(LARGE, call, body=body.encode())
        if errors.is_error_text(text):
            raise errors.from_text(text, call, self._settings)
        return text

    def _body(self, path: str, call: Call, body: bytes | None = None) -> str:
        """One exchange; the decoded body of an answer that came from SYSPRO."""
        is_large = body is not None
        response = self._session.send(
            "POST" if is_large else "GET",
            path,
            data=body,
            headers={"Content-Type": "application/xml"} if is_large else None,
            is_write=call.is_write,
            operation=call.name,
        )
        text = xml.decode(response.content)
        trouble = errors.from_http(response.status_code, text, call, is_large=is_large)
        if trouble is not None:
            raise trouble
        return text

    def _outage(self, response: requests.Response) -> str | None:
        return errors.outage(response.status_code, xml.decode(response.content[:_LONGEST_TEXT]), self._settings)

    def _document(self, text: str, call: Call) -> Doc:
        """The reply as a document; anything else is an unknown answer."""
        if text.startswith("<"):
            try:
                return _unwrapped(xml.parse(text))
            except xml.MalformedXml as error:
                reason = str(error)
        else:
            reason = "an empty body" if not text else f"a text that is not a document: {text[:80]!r}"
        if call.is_write:
            raise errors.UnknownAnswer(f"{call}: {reason}")
        raise errors.OddAnswer(f"{call}: {reason}")

    def _length(self, path: str, texts: Mapping[str, str]) -> int:
        """Bytes of the whole address of a GET, as the server counts it (section 2.2)."""
        return len(self._base) + len(path) + len(_query({"UserId": "0" * 36, **texts})) + 1


def _texts(call: BusinessCall) -> dict[str, str]:
    """The query of a call without its session: names as section 2.1 spells them."""
    texts = {"BusinessObject": call.object.name}
    if call.parameters or call.object.category in ("Setup", "Transaction"):
        texts["XmlParameters"] = xml.build(call.parameters_document) if call.parameters else ""
    return {**texts, "XmlIn": xml.build(call.document)}


def _query(texts: Mapping[str, str]) -> str:
    """Percent-encoded UTF-8, blanks as %20, everything encoded that is not unreserved (section 2.1)."""
    return urlencode(texts, quote_via=quote, safe="")


def _cdata(text: str) -> str:
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


def _unwrapped(document: Doc) -> Doc:
    """WCF may put the reply of a POST as a text into an element of its own."""
    content = xml.content_of(document)
    text = xml.text_of(document, next(iter(document)))
    is_wrapped = isinstance(content, str | dict) and text.startswith("<")
    return xml.parse(text) if is_wrapped else document

"""The one session through which every call to an outside system goes.

In this order: the lease is renewed, the breaker asked, the request authenticated, a slot of the quota awaited, the
connection opened, the lease checked, and only then the bytes leave. No call is repeated here and no redirect followed.
Network trouble is translated into `errors.py` by one question, whether the bytes can have left; HTTP answers are the
connector's to judge. How the call ended is told to the breaker.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import requests
import urllib3

from syncengine import clock
from syncengine.errors import EndpointDown, Misconfigured, OutcomeUnknown, SyncError, Transient
from syncengine.http import dates, guard
from syncengine.http.breaker import Breaker, Passage
from syncengine.http.connections import Adapter, Flight, causes, departing
from syncengine.http.limiter import Booking, Limiter, Pool
from syncengine.http.waiting import wait

__all__ = ["Session", "Timeouts", "wait"]

log = logging.getLogger(__name__)

Authenticate = Callable[[requests.PreparedRequest], None]
Outage = Callable[[requests.Response], str | None]
"""Whether an answer says that the whole system is down: in a few words, or None. Throttles and refusals do not."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Together they stay below the 45 s of a lease (design.md section 9)."""

    connect_s: float = 5.0
    read_s: float = 30.0


class Session:
    """Calls to one endpoint, over pooled connections; may be shared by threads, not by forked processes.

    Args:
        endpoint: the endpoint's name, for logs and error texts.
        base_url: scheme, host and common prefix; `path` is put behind it as it stands.
        limiter, pool: the quota that every call needs a slot of; both None where there is none.
        authenticate: puts credentials on the request before it waits for its slot; may itself make calls.
        timeouts: connect and read, seconds.
        ca_file: a PEM file to verify TLS with instead of the usual authorities. TLS is always verified.
        patience_s: the longest wait for a slot that is slept here; a longer one is raised as Throttled.
        breaker: stops calls while the endpoint is down; None where nothing watches it.
        outage: which answers count as failures for the breaker, beside network trouble.
    """

    def __init__(
        self,
        endpoint: str,
        base_url: str,
        *,
        limiter: Limiter | None = None,
        pool: Pool | None = None,
        authenticate: Authenticate | None = None,
        timeouts: Timeouts = Timeouts(),
        ca_file: str | None = None,
        patience_s: float = 5.0,
        breaker: Breaker | None = None,
        outage: Outage = lambda response: None,  # noqa: ARG005
    ) -> None:
        self.endpoint = endpoint
        self.base_url = _checked_url(endpoint, base_url)
        self._limiter, self._pool = limiter, pool
        self._authenticate = authenticate
        self._timeouts = timeouts
        self._verify = _checked_ca_file(endpoint, ca_file)
        self._patience_s = patience_s
        self._breaker, self._outage = breaker, outage
        self._http = requests.Session()
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # a CDN's cookies are not ours to keep
        self._http.mount("http://", Adapter())
        self._http.mount("https://", Adapter())

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | str | Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        is_write: bool,
        show_path: str | None = None,
        operation: str = "",
    ) -> requests.Response:
        """Make one call and give back its answer, whatever its status.

        Args:
            path: appended to the base URL and sent exactly as it is, with its own query if it has one; the caller has
                encoded it. `params` are encoded and appended, `/ , :` raw.
            is_write: whether the call may change something over there, whatever its verb.
            show_path: what logs and errors show in place of the path; a query is never shown.
            operation: what the call is counted as (`syncengine budget`); by default method and first two parts of the path.

        Raises:
            EndpointDown: the breaker is open; or the bytes never left (name, refused, connect time-out, TLS) and the
                slot was given back.
            Transient: a read got no whole answer.
            OutcomeUnknown: a write got no whole answer.
            Throttled: the slot is further away than `patience_s`, or the limiter's Redis is away; nothing was sent.
        """
        guard.current().renew()
        shown = show_path or urlsplit(path).path
        request = self._prepare(method, path, params, json, data, headers)
        with self._breaker.admit() if self._breaker is not None else nullcontext() as passage:
            if self._authenticate is not None:
                self._authenticate(request)
            booking = self._slot()
            flight = Flight(lambda: self._before_departure(booking))
            try:
                with departing(flight):
                    return self._exchange(request, flight, passage, shown, is_write, operation)
            finally:
                if booking is not None and flight.never_left:
                    booking.give_back()

    def move(self, base_url: str) -> None:
        """Call another host from now on: an account can move. Raises Misconfigured if the address cannot be used."""
        if base_url != self.base_url:
            self.base_url = _checked_url(self.endpoint, base_url)

    def close(self) -> None:
        """Close the pooled connections."""
        self._http.close()

    def _prepare(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        json: Any,
        data: bytes | str | Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> requests.PreparedRequest:
        """The request with its URL untouched: requests' own way would decode and encode it once more."""
        url = self.base_url + path
        if params:
            url += ("&" if "?" in path else "?") + urlencode(params, quote_via=quote, safe="/,:")
        try:
            request = requests.Request(method, self.base_url, json=json, data=data, headers=headers).prepare()
        except (requests.RequestException, ValueError):  # the text may show a header, thus a credential
            request = None
        if request is None:
            raise Misconfigured("no request can be made; a header or the address has a bad character", of=self.endpoint)
        request.url = url
        return request

    def _slot(self) -> Booking | None:
        """A slot whose time has come."""
        if self._limiter is None or self._pool is None:
            return None
        return self._limiter.take(self._pool, guard.current().lane, patience=self._patience_s)

    def _before_departure(self, booking: Booking | None) -> None:
        """The last look, with the connection open: opening it may have taken seconds."""
        if booking is not None:
            booking.renew_if_late(patience=self._patience_s)
        guard.current().check()

    def _exchange(
        self,
        request: requests.PreparedRequest,
        flight: Flight,
        passage: Passage | None,
        shown: str,
        is_write: bool,
        operation: str,
    ) -> requests.Response:
        started = clock.monotonic()
        trouble: SyncError | None = None
        guard.current().check()
        flight.start()
        try:
            response = self._http.send(
                request,
                timeout=(self._timeouts.connect_s, self._timeouts.read_s),
                verify=self._verify,
                allow_redirects=False,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            flight.failed(error)
            trouble = self._trouble(error, flight, f"{request.method} {shown}", is_write)
        took_s = clock.monotonic() - started
        if not flight.never_left:
            counted_as = operation or f"{request.method} {'/'.join(shown.split('/')[1:3])}"
            guard.current().called(self.endpoint, counted_as, took_s)
        if trouble is not None:  # raised out here so that no traceback carries the library's text, which has the URL
            log.warning("%s, %.0f ms", trouble, took_s * 1000)
            if passage is not None:
                passage.failed(trouble.says)  # a breaker says whose it is
            raise trouble
        if passage is not None:
            self._report(passage, response)
        dates.note(self.endpoint, response.headers.get("Date"), took_s)
        level = logging.DEBUG if response.status_code < 400 or response.status_code == 404 else logging.WARNING
        log.log(
            level, "%s %s %s %d, %.0f ms", self.endpoint, request.method, shown, response.status_code, took_s * 1000
        )
        return response

    def _report(self, passage: Passage, response: requests.Response) -> None:
        why = self._outage(response)
        if why is None:
            passage.answered()
        else:
            passage.failed(why)

    def _trouble(self, error: Exception, flight: Flight, call: str, is_write: bool) -> SyncError:
        what = f"{call}: {_reason(error)}"
        if flight.never_left:
            return EndpointDown(f"{what}; nothing was sent", of=self.endpoint)
        if is_write:
            return OutcomeUnknown(f"{what}; it was sent and may have taken effect", of=self.endpoint)
        return Transient(what, of=self.endpoint)


def _checked_url(endpoint: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        raise Misconfigured(
            f"the address {shown!r} cannot be used", "Set https://HOST/PREFIX, no credentials, no query", of=endpoint
        )
    return url.rstrip("/")


def _checked_ca_file(endpoint: str, ca_file: str | None) -> bool | str:
    if not ca_file:
        return True
    if not Path(ca_file).is_file():
        raise Misconfigured(f"ca_file {ca_file!r} is not a file", "Name a PEM file, or remove the setting", of=endpoint)
    return ca_file


def _reason(error: Exception) -> str:
    """Why a call failed, in words of ours: the libraries' own texts contain the whole URL."""
    found = list(causes(error))
    for cause in found:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted ({cause.verify_message}); set ca_file to the authority's PEM file"
    for kind, words in _WORDS:
        if any(isinstance(cause, kind) for cause in found):
            return words
    return type(found[-1]).__name__


_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (urllib3.exceptions.NameResolutionError, "the host name is not known"),
    (requests.ConnectTimeout, "no connection in time"),
    (ConnectionRefusedError, "the connection was refused"),
    (requests.ReadTimeout, "no answer in time"),
    (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
    (ConnectionResetError, "the connection was reset"),
    (urllib3.exceptions.ProtocolError, "the connection was closed before the answer was whole"),
)

"""The session through which every call to an outside system goes.

It renews the lease, asks the breaker, authenticates the request, waits for a slot of the quota, opens the connection, checks
the lease, and only then sends the bytes. It repeats no call and follows no redirect. It translates network errors into those
of `errors.py`, depending on whether the bytes may have left. The connector interprets HTTP answers. The breaker learns how
the call ended.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from contextlib import nullcontext
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
from syncengine.http.timeouts import Timeouts
from syncengine.http.waiting import wait

__all__ = ["Session", "wait"]

log = logging.getLogger(__name__)

Authenticate = Callable[[requests.PreparedRequest], None]
Outage = Callable[[requests.Response], str | None]
"""Returns a short reason if an answer says that the whole system is down; None otherwise, also for throttles and refusals."""


class Session:
    """Calls to one endpoint, over pooled connections; may be shared by threads, not by forked processes.

    Args:
        endpoint: the endpoint's name, for logs and error texts.
        base_url: scheme, host and common prefix; `path` is appended to it unchanged.
        limiter, pool: the quota from which every call needs a slot; both None if there is no quota.
        authenticate: adds credentials to the request before it waits for its slot; may itself make calls.
        timeouts: connect and read, seconds.
        ca_file: a PEM file to verify TLS with instead of the usual authorities. TLS is always verified.
        patience_s: the longest wait for a slot; a longer wait raises Throttled.
        breaker: stops calls while the endpoint is down; None for no breaker.
        outage: which answers count as failures for the breaker, in addition to network errors.
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
        self._http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # do not keep cookies of a CDN
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
        """Make one call and return its answer, whatever its status.

        Args:
            path: appended to the base URL unchanged, with its own query if it has one; the caller has encoded it.
            params: encoded and appended to the query; `/ , :` stay raw.
            is_write: whether the call may change something in the system, whatever its verb.
            show_path: what logs and errors show instead of the path; they never show a query.
            operation: how `syncengine budget` counts the call; by default method and first two parts of the path.

        Raises:
            EndpointDown: the breaker is open, or the bytes never left (name, refused, connect time-out, TLS) and the
                slot was given back.
            Transient: a read got no complete answer.
            OutcomeUnknown: a write got no complete answer.
            Throttled: the slot is further away than `patience_s`, or the limiter's Redis is away; nothing was sent.
        """
        guard.current().renew()
        visible_path = show_path or urlsplit(path).path
        request = self._prepare(method, path, params, json, data, headers)
        with self._breaker.admit() if self._breaker is not None else nullcontext() as passage:
            if self._authenticate is not None:
                self._authenticate(request)
            booking = self._slot()
            flight = Flight(lambda: self._before_departure(booking))
            try:
                with departing(flight):
                    return self._exchange(request, flight, passage, visible_path, is_write, operation)
            finally:
                if booking is not None and flight.never_left:
                    booking.give_back()

    def move(self, base_url: str) -> None:
        """Use another base URL from now on, because an account can move. Raises Misconfigured if it cannot be used."""
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
        """The request with its URL unchanged: requests itself would decode and encode it again."""
        url = self.base_url + path
        if params:
            url += ("&" if "?" in path else "?") + urlencode(params, quote_via=quote, safe="/,:")
        try:
            request = requests.Request(method, self.base_url, json=json, data=data, headers=headers).prepare()
        except (requests.RequestException, ValueError):  # the text may contain a header, thus a credential
            request = None
        if request is None:
            raise Misconfigured("no request can be made; a header or the address has a bad character", of=self.endpoint)
        request.url = url
        return request

    def _slot(self) -> Booking | None:
        """A slot that may be used now."""
        if self._limiter is None or self._pool is None:
            return None
        return self._limiter.take(self._pool, guard.current().lane, patience=self._patience_s)

    def _before_departure(self, booking: Booking | None) -> None:
        """The last checks, with the connection open: opening it may have taken seconds."""
        if booking is not None:
            booking.renew_if_late(patience=self._patience_s)
        guard.current().check()

    def _exchange(
        self,
        request: requests.PreparedRequest,
        flight: Flight,
        passage: Passage | None,
        visible_path: str,
        is_write: bool,
        operation: str,
    ) -> requests.Response:
        started = clock.monotonic()
        guard.current().check()
        flight.start()
        answer = self._transmit(request, flight, f"{request.method} {visible_path}", is_write)
        took_s = clock.monotonic() - started
        if not flight.never_left:
            counted_as = operation or f"{request.method} {'/'.join(visible_path.split('/')[1:3])}"
            guard.current().called(self.endpoint, counted_as, took_s)
        if isinstance(answer, SyncError):
            log.warning("%s, %.0f ms", answer, took_s * 1000)
            if passage is not None:
                passage.failed(answer.says)  # the breaker adds the name itself
            raise answer  # here, so that no traceback contains the library's text with the URL
        if passage is not None:
            self._report(passage, answer)
        dates.note(self.endpoint, answer.headers.get("Date"), took_s)
        status, call = answer.status_code, f"{self.endpoint} {request.method} {visible_path}"
        level = logging.DEBUG if status < 400 or status == 404 else logging.WARNING
        log.log(level, "%s %d, %.0f ms", call, status, took_s * 1000)
        return answer

    def _transmit(
        self, request: requests.PreparedRequest, flight: Flight, call: str, is_write: bool
    ) -> requests.Response | SyncError:
        """Send the request. Returns its answer, or the error to raise."""
        try:
            return self._http.send(
                request,
                timeout=(self._timeouts.connect_s, self._timeouts.read_s),
                verify=self._verify,
                allow_redirects=False,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            flight.failed(error)
            return self._trouble(error, flight, call, is_write)

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
        address = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        raise Misconfigured(
            f"the address {address!r} cannot be used", "Set https://HOST/PREFIX, no credentials, no query", of=endpoint
        )
    return url.rstrip("/")


def _checked_ca_file(endpoint: str, ca_file: str | None) -> bool | str:
    if not ca_file:
        return True
    if not Path(ca_file).is_file():
        raise Misconfigured(f"ca_file {ca_file!r} is not a file", "Name a PEM file, or remove the setting", of=endpoint)
    return ca_file


def _reason(error: Exception) -> str:
    """Why a call failed, in our own text: the libraries' texts contain the whole URL."""
    found = list(causes(error))
    for cause in found:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted ({cause.verify_message}); set ca_file to the authority's PEM file"
    for kind, reason in _REASONS:
        if any(isinstance(cause, kind) for cause in found):
            return reason
    return type(found[-1]).__name__


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (urllib3.exceptions.NameResolutionError, "the host name is not known"),
    (requests.ConnectTimeout, "no connection in time"),
    (ConnectionRefusedError, "the connection was refused"),
    (requests.ReadTimeout, "no answer in time"),
    (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
    (ConnectionResetError, "the connection was reset"),
    (urllib3.exceptions.ProtocolError, "the connection was closed before the answer was complete"),
)

"""Credentials of an app: an OAuth token that is refreshed once for all workers, or a token that stays.

Facts: reference/brightpearl.md section 2.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

import requests

from syncengine import clock
from syncengine.connectors.base import Endpoint
from syncengine.connectors.brightpearl.settings import Account
from syncengine.connectors.services import Services
from syncengine.errors import AuthenticationFailed, Misconfigured, Transient
from syncengine.http.session import Session, wait
from syncengine.store.lock import Lock
from syncengine.vault import Vault

REFRESH_PATIENCE_S = 60.0
"""How long to wait for another process's refresh."""

REFRESH_LEASE_S = 120.0
"""Longer than a call to the token endpoint may take (connect and read time-out) and the tokens are stored."""

_LOOK_AGAIN_S = 0.2


class Credentials(Protocol):
    """What the gateway asks of either kind."""

    def api_domain(self) -> str | None:
        """The host that the account is at, if the token endpoint named one. Makes sure that there is a token."""

    def put_on(self, request: requests.PreparedRequest) -> None:
        """Add the headers of the app."""

    def renew(self, refused: requests.PreparedRequest) -> None:
        """The request was answered with 401: get another token. Raises AuthenticationFailed if there is none."""

    def needed_secrets(self) -> Mapping[str, str]:
        """See `Connector.needed_secrets`."""


def credentials(endpoint: Endpoint, account: Account, services: Services) -> Credentials:
    """The credentials that the endpoint's setting `auth` names."""
    if account.auth == "oauth":
        return InstanceToken(endpoint, account, services)
    return FixedToken(endpoint, account, services.vault)


class FixedToken:
    """A private app: its account token or staff token is valid until a person changes it."""

    def __init__(self, endpoint: Endpoint, account: Account, vault: Vault) -> None:
        self._endpoint, self._account, self._vault = endpoint, account, vault
        self._secret = f"{'staff' if account.auth == 'staff' else 'account'}_token"
        self._token: str | None = None

    def api_domain(self) -> str | None:
        """A private app stays where its `url` says."""
        return None

    def needed_secrets(self) -> Mapping[str, str]:
        """The token of the app."""
        return {self._secret: _remedy(self._endpoint, self._secret)}

    def put_on(self, request: requests.PreparedRequest) -> None:
        """`brightpearl-app-ref` and the token (section 2.1)."""
        self._token = self._token or _secret(self._vault, self._endpoint, self._secret)
        request.headers["brightpearl-app-ref"] = self._account.app_ref
        request.headers[f"brightpearl-{self._secret.replace('_', '-')}"] = self._token

    def renew(self, refused: requests.PreparedRequest) -> None:
        """Check whether a person has stored another token meanwhile."""
        used = refused.headers.get(f"brightpearl-{self._secret.replace('_', '-')}")
        self._token = _secret(self._vault, self._endpoint, self._secret)
        if self._token == used:
            raise AuthenticationFailed(
                f"Brightpearl rejected the {self._secret}. Correct it in .env, or where syncengine.yml takes it from, then "
                "run `syncengine configure`",
                of=self._endpoint.name,
            )


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    version: int
    api_domain: str | None


class InstanceToken:
    """An OAuth instance app: an access token of 7 days, and a refresh token for the next one.

    Whoever meets a 401 first checks whether another worker has refreshed meanwhile (the secret's version has risen);
    else it refreshes under a lock that all hosts share, so that one expired token costs one refresh.
    """

    def __init__(self, endpoint: Endpoint, account: Account, services: Services) -> None:
        self._endpoint, self._account, self._vault = endpoint, account, services.vault
        self._lock = Lock(services.store, f"brightpearl:refresh:{endpoint.id}", REFRESH_LEASE_S)
        self._threads = threading.Lock()
        self._token: _Token | None = None
        self._session = Session(
            f"{endpoint.name} (token endpoint)", account.token_url, timeouts=account.timeouts, ca_file=account.ca_file
        )

    def api_domain(self) -> str | None:
        """The host that came with the token in use."""
        return self._current().api_domain

    def needed_secrets(self) -> Mapping[str, str]:
        """What a person's consent grants."""
        return {"refresh_token": _remedy(self._endpoint, "refresh_token")}

    def put_on(self, request: requests.PreparedRequest) -> None:
        """Bearer token, app and developer reference (section 2.1)."""
        request.headers["Authorization"] = f"Bearer {self._current().value}"
        request.headers["brightpearl-app-ref"] = self._account.app_ref
        request.headers["brightpearl-dev-ref"] = self._account.dev_ref

    def renew(self, refused: requests.PreparedRequest) -> None:
        """Have another token than the one refused. Raises AuthenticationFailed, Misconfigured, Transient, EndpointDown."""
        with self._threads:
            token = self._token
            if token is not None and refused.headers.get("Authorization") == f"Bearer {token.value}":
                self._token = self._newer_than(token.version)

    def _current(self) -> _Token:
        with self._threads:
            if self._token is None:
                self._token = self._stored() or self._newer_than(0)
            return self._token

    def _stored(self) -> _Token | None:
        # The version is read first: a token that is newer than its version costs one more check, never a missed refresh.
        version = self._vault.version(self._endpoint.id, "access_token")
        value = self._vault.read(self._endpoint.id, "access_token")
        return _Token(value, version, self._vault.read(self._endpoint.id, "api_domain")) if value else None

    def _newer_than(self, version: int) -> _Token:
        """The first token that is newer, by another worker's refresh or by ours."""
        until = clock.monotonic() + REFRESH_PATIENCE_S
        while True:
            token = self._stored()
            if token is not None and token.version > version:
                return token
            with self._lock.tried() as is_ours:
                if is_ours and self._vault.version(self._endpoint.id, "access_token") <= version:
                    self._refresh()
            if not is_ours:
                if clock.monotonic() > until:
                    raise Transient(
                        "another process has been refreshing the token for too long", of=self._endpoint.name
                    )
                wait(_LOOK_AGAIN_S)

    def _refresh(self) -> None:
        """Trade the refresh token for new tokens and store them (section 2.2)."""
        self._grant(grant_type="refresh_token", refresh_token=_secret(self._vault, self._endpoint, "refresh_token"))

    def consent_url(self, state: str) -> str:
        """Where the shop's owner agrees (section 2.2, step 1). Raises Misconfigured without a `redirect_uri`."""
        query = {"response_type": "code", "client_id": self._account.app_ref, "redirect_uri": self._redirect_uri()}
        return f"{self._account.authorize_url}?{urlencode({**query, 'state': state})}"

    def trade(self, code: str) -> None:
        """Trade the code for tokens and store them (section 2.2, step 3); see `Connector.trade`."""
        with self._threads, self._lock.tried() as is_ours:
            if not is_ours:
                raise Transient(
                    "another process is refreshing the token. Try again in a minute", of=self._endpoint.name
                )
            self._grant(grant_type="authorization_code", code=code, redirect_uri=self._redirect_uri())
            self._token = None

    def _redirect_uri(self) -> str:
        if not self._account.redirect_uri:
            raise Misconfigured(
                f"endpoint {self._endpoint.name}: setting redirect_uri is missing",
                "Set it to the address that is registered for the app, in syncengine.yml, and run `syncengine configure`",
                setting="redirect_uri",
            )
        return self._account.redirect_uri

    def _grant(self, **form: str) -> None:
        """Ask the token endpoint, and store what it grants."""
        form["client_id"] = self._account.app_ref
        if secret := self._vault.read(self._endpoint.id, "client_secret"):
            form["client_secret"] = secret  # only apps with confidential OAuth have one
        # No write to the business: if the answer is lost, the same refresh token is tried again.
        granted = self._granted(self._session.send("POST", "", data=form, is_write=False))
        # The access token last: its version shows the others that both are stored. The refresh token first: if we die in
        # between and the old one is void, the next refresh still works.
        for name in ("refresh_token", "api_domain", "access_token"):
            if isinstance(granted.get(name), str) and granted[name]:
                self._vault.write(self._endpoint.id, name, granted[name])

    def _granted(self, response: requests.Response) -> dict[str, Any]:
        try:
            body = json.loads(response.content)
        except ValueError:
            body = None
        body = body if isinstance(body, dict) else {}
        if response.status_code in (400, 401, 403):
            raise AuthenticationFailed(
                f"the token endpoint refuses: {body.get('error', response.status_code)}"
                f" {body.get('error_description', '')}. Authorise the app again: `syncengine authorise"
                f" {self._endpoint.name}`",
                of=self._endpoint.name,
            )
        if response.status_code != 200 or not isinstance(body.get("access_token"), str):
            raise Transient(
                f"the token endpoint answered {response.status_code} without a token", of=self._endpoint.name
            )
        return body


def _secret(vault: Vault, endpoint: Endpoint, name: str) -> str:
    if value := vault.read(endpoint.id, name):
        return value
    is_granted = name == "refresh_token"
    says = " is not authorised yet" if is_granted else f": its secret {name} is not stored"
    raise Misconfigured(f"endpoint {endpoint.name}{says}", _remedy(endpoint, name))


def _remedy(endpoint: Endpoint, name: str) -> str:
    """What to do if a secret is not stored."""
    if name == "refresh_token":
        return f"Run `syncengine authorise {endpoint.name}`"
    return "Give it under secrets: in syncengine.yml, then run `syncengine configure`"

"""Who is calling: OAuth instance apps, private apps, legacy signed tokens; and the token endpoint (section 2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from werkzeug import Request, Response

from syncengine.sandbox.brightpearl.errors import Unauthenticated
from syncengine.sandbox.brightpearl.responses import dumps
from syncengine.sandbox.host import Host

NOT_AUTHENTICATED = "Not authenticated. You must provide a valid authentication token."
EXPIRED = "Authorization token expired"
#: Tokens that are valid from the start, for a client that is already authorised.
FIRST_ACCESS_TOKEN = "sandbox-access-token="  # noqa: S105
FIRST_REFRESH_TOKEN = "sandbox-refresh-token="  # noqa: S105
INSTALLATION_INSTANCE_ID = "11"
_CODE_LIFETIME_S = 600.0
_NO_SUCH_GRANT = "The auth token has either expired or does not exist"
_OTHER_REDIRECT = "Redirect uri does not match that used to request auth token"


class Caller(NamedTuple):
    """An authenticated caller; `instance_id` only for OAuth apps."""

    kind: str
    instance_id: str | None


@dataclass(slots=True)
class _Token:
    app_ref: str
    expires_at: float  # seconds of the sandbox's clock; inf: never


@dataclass(slots=True)
class _Code:
    app_ref: str
    redirect_uri: str
    expires_at: float


class Authentication:
    """Tokens, codes, and how calls are recognised; safe from any thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._switches = host.switches
        self._lock = threading.Lock()
        app_ref = self._switches.text("brightpearl_app_ref")
        self._access: dict[str, _Token] = {FIRST_ACCESS_TOKEN: _Token(app_ref, self._after("token"))}
        self._refresh: dict[str, _Token] = {FIRST_REFRESH_TOKEN: _Token(app_ref, self._after("refresh"))}
        self._codes: dict[str, _Code] = {}

    # --- calls -------------------------------------------------------------------------------------------------

    def pool(self, request: Request) -> str:
        """The throttle pool: private apps share the account's, OAuth and public apps have one by developer."""
        developer = request.headers.get("brightpearl-dev-ref")
        return f"developer:{developer}" if developer else "account"

    def caller(self, request: Request) -> Caller:
        """Recognise the caller by its headers (section 2.1).

        Raises:
            Unauthenticated: it is not recognised; the text is Brightpearl's.
        """
        headers = request.headers
        authorization = headers.get("Authorization", "")
        if authorization.lower().startswith("bearer "):
            return self._bearer(request, authorization[7:].strip())
        app_ref = headers.get("brightpearl-app-ref")
        account_token, staff_token = headers.get("brightpearl-account-token"), headers.get("brightpearl-staff-token")
        if app_ref and staff_token:
            if hmac.compare_digest(staff_token.encode(), self._secret("staff_token")):
                return Caller("staff", None)
        elif app_ref and account_token and headers.get("brightpearl-dev-ref"):
            if hmac.compare_digest(account_token.encode(), self.signed_token().encode()):
                return Caller("legacy", None)
        elif app_ref and account_token and hmac.compare_digest(account_token.encode(), self._secret("account_token")):
            return Caller("private", None)
        raise Unauthenticated(NOT_AUTHENTICATED)

    def signed_token(self) -> str:
        """The account token as a legacy public app has to send it: base64(HMAC-SHA256(secret, token))."""
        digest = hmac.new(self._secret("client_secret"), self._secret("account_token"), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()

    def expire(self, token: str | None = None) -> None:
        """Expire one access token, or all of them."""
        with self._lock:
            for name, entry in self._access.items():
                if token in (None, name):
                    entry.expires_at = 0.0

    def _bearer(self, request: Request, token: str) -> Caller:
        app_ref, dev_ref = request.headers.get("brightpearl-app-ref"), request.headers.get("brightpearl-dev-ref")
        if not app_ref or not dev_ref:
            raise Unauthenticated(NOT_AUTHENTICATED)
        with self._lock:
            entry = self._access.get(token)
        if entry is None or entry.app_ref != app_ref or dev_ref != self._switches.text("brightpearl_dev_ref"):
            raise Unauthenticated(f"Invalid instance token: {token}")
        if entry.expires_at <= self._now():
            raise Unauthenticated(EXPIRED)
        return Caller("oauth", INSTALLATION_INSTANCE_ID)

    # --- OAuth -------------------------------------------------------------------------------------------------

    def authorize(self, request: Request) -> Response:
        """Send the browser back with a code, as if the shop's owner had agreed (section 2.2 steps 1 and 2)."""
        given = request.args
        registered = self._switches.text("brightpearl_redirect_uri")
        redirect_uri = given.get("redirect_uri", "")
        if given.get("response_type") != "code" or given.get("client_id") != self._switches.text("brightpearl_app_ref"):
            return _json({"error": "invalid_client"}, 400)
        if not redirect_uri or (registered and redirect_uri != registered):
            return _json({"error": "invalid_request", "error_description": "Redirect uri is not registered"}, 400)
        query = {"code": self.grant_code(redirect_uri)} | ({"state": given["state"]} if "state" in given else {})
        joint = "&" if "?" in redirect_uri else "?"
        return Response(status=302, headers={"Location": f"{redirect_uri}{joint}{urlencode(query)}"})

    def grant_code(self, redirect_uri: str) -> str:
        """A new authorization code, good once and for ten minutes."""
        code = secrets.token_urlsafe(24)
        app_ref = self._switches.text("brightpearl_app_ref")
        with self._lock:
            self._codes[code] = _Code(app_ref, redirect_uri, self._now() + _CODE_LIFETIME_S)
        return code

    def token(self, request: Request) -> Response:
        """The token endpoint: authorization_code and refresh_token grants (section 2.2 step 3)."""
        form = request.form
        if form.get("client_id") != self._switches.text("brightpearl_app_ref") or not self._secret_fits(form):
            return _json({"error": "invalid_client"}, 400)
        with self._lock:
            match form.get("grant_type"):
                case "authorization_code":
                    return self._exchange(form, request.host)
                case "refresh_token":
                    return self._refreshed(form, request.host)
        return _json({"error": "unsupported_grant_type"}, 400)

    def _exchange(self, form: dict[str, str], host: str) -> Response:
        code = self._codes.get(form.get("code", ""))
        if code is None or code.expires_at <= self._now():
            return _refused(_NO_SUCH_GRANT)
        if form.get("redirect_uri") != code.redirect_uri:
            return _refused(_OTHER_REDIRECT)
        del self._codes[form["code"]]
        body = self._issue(code.app_ref, host)
        return _json({**body, "installation_instance_id": INSTALLATION_INSTANCE_ID}, 200)

    def _refreshed(self, form: dict[str, str], host: str) -> Response:
        given = form.get("refresh_token", "")
        entry = self._refresh.get(given)
        if entry is None or entry.expires_at <= self._now():
            return _refused(_NO_SUCH_GRANT)
        keep = None if self._switches.on("brightpearl_refresh_rotates") else given
        if keep is None:
            del self._refresh[given]
        return _json(self._issue(entry.app_ref, host, keep), 200)

    def _issue(self, app_ref: str, host: str, refresh_token: str | None = None) -> dict[str, object]:
        access_token = base64.b64encode(secrets.token_bytes(32)).decode()
        refresh_token = refresh_token or base64.b64encode(secrets.token_bytes(32)).decode()
        self._access[access_token] = _Token(app_ref, self._after("token"))
        self._refresh.setdefault(refresh_token, _Token(app_ref, self._after("refresh")))
        return {
            "access_token": access_token,
            "refresh_token": refresh_token,
            "api_domain": self._switches.text("brightpearl_api_domain") or host,
            "token_type": "Bearer",
            "expires_in": self._switches.integer("brightpearl_token_lifetime_s"),
        }

    def _secret_fits(self, form: dict[str, str]) -> bool:
        if not self._switches.on("brightpearl_confidential"):
            return True
        return hmac.compare_digest(form.get("client_secret", "").encode(), self._secret("client_secret"))

    def _secret(self, name: str) -> bytes:
        return self._switches.text(f"brightpearl_{name}").encode()

    def _after(self, kind: str) -> float:
        lifetime = self._switches.number(f"brightpearl_{kind}_lifetime_s")
        return self._now() + lifetime if lifetime > 0 else float("inf")

    def _now(self) -> float:
        return self._host.now().timestamp()


def _refused(description: str) -> Response:
    return _json({"error": "invalid_grant", "error_description": description}, 400)


def _json(body: dict[str, object], status: int) -> Response:
    headers = {"Cache-Control": "no-cache, private"}
    return Response(dumps(body), status, headers, content_type="application/json;charset=UTF-8")

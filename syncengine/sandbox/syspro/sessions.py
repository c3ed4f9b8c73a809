"""Logon, sessions and licences (syspro-transport.md section 5).

One session per operator; a second logon ends the first. When all licences are taken, the session that is idle longest,
beyond the time-out, is logged out in favour of the new one.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from syncengine.sandbox.switches import Switches
from syncengine.sandbox.syspro.texts import EnetError, LicenceFull, SessionGone
from syncengine.sandbox.syspro.xmlin import parse

#: Two blanks end every session id.
ID_TAIL = "  "
_ID_LENGTH = 34  # 32 hex digits and two that name the instance


@dataclass(slots=True)
class Logon:
    """The parameters of one logon, as received."""

    operator: str = ""
    operator_password: str = ""
    company: str = ""
    company_password: str = ""
    instance: str = "0"
    xml_in: str = ""


@dataclass(slots=True)
class Session:
    """One logged-on operator. `gate` admits one call at a time; a second call waits."""

    id: str  # 34 characters, without the trailing blanks
    operator: str
    company: str
    used_at: datetime
    source: str = ""
    system_information: bool = False
    gate: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """Who is logged on; safe from any thread."""

    def __init__(self, switches: Switches, now: Callable[[], datetime]) -> None:
        self._switches = switches
        self._now = now
        self._lock = threading.Lock()
        self._by_id: dict[str, Session] = {}

    def log_on(self, logon: Logon) -> Session:
        """Open a session; the operator's earlier session ends.

        Raises:
            EnetError: wrong operator, password, company or instance, no licence, or already logged in where the logon
                document asks to fail then. Only the text of a wrong password is known.
        """
        self._authenticate(logon)
        wishes = _wishes(logon.xml_in)
        with self._lock:
            mine = [s for s in self._by_id.values() if s.operator == logon.operator]
            if mine and wishes.get("FailWhenAlreadyLoggedIn") == "Y":
                raise EnetError(f"Operator '{logon.operator}' is already logged in")
            for session in mine:
                del self._by_id[session.id]
            self._free_a_licence()
            session = Session(
                self._new_id(logon.instance or "0"),
                logon.operator,
                logon.company,
                self._now(),
                wishes.get("SourceApp", "")[:30],
                wishes.get("SystemInformationReqd") == "Y",
            )
            self._by_id[session.id] = session
            return session

    def _new_id(self, instance: str) -> str:
        """32 hex digits and two that name the instance, as recorded; by switch a GUID, as one client has it."""
        if self._switches.on("syspro_guid_sessions"):
            return str(uuid.uuid4())
        return secrets.token_hex(16).upper() + f"{instance}0"

    def require(self, user_id: str) -> Session:
        """The session of an id, trimmed or not, with its time stamp renewed.

        Raises:
            SessionGone: it does not exist (any more). The last two digits name the instance: an id whose instance the
                server does not have fails with the text about BaseDir, as recorded.
        """
        trimmed = user_id.strip()
        if len(trimmed) == _ID_LENGTH and trimmed[32] not in self._instances():
            raise SessionGone(f"Unable to read the SYSPRO base directory registry string BaseDir{trimmed[32]}")
        with self._lock:
            session = self._by_id.get(trimmed)
            if session is None or (self._switches.on("syspro_idle_ends_session") and self._is_idle(session)):
                self._by_id.pop(trimmed, None)
                raise SessionGone(self._switches.text("syspro_expired_text"))
            session.used_at = self._now()
            return session

    def log_off(self, user_id: str) -> None:
        """End a session.

        Raises:
            SessionGone: the id is unknown.
        """
        session = self.require(user_id)
        with self._lock:
            self._by_id.pop(session.id, None)

    def end(self, operator: str | None = None) -> int:
        """End an operator's session, or all of them; returns how many."""
        with self._lock:
            ended = [s.id for s in self._by_id.values() if operator in (None, s.operator)]
            for session_id in ended:
                del self._by_id[session_id]
        return len(ended)

    def end_named_in(self, text: str) -> None:
        """End every session whose id occurs in a text (a request)."""
        with self._lock:
            for session_id in [known for known in self._by_id if known in text]:
                del self._by_id[session_id]

    def serving(self, operator: str, company: str) -> Session:
        """An operator's open session, or a new one without a logon: the gateway's own, for Harmony's keys and tokens."""
        with self._lock:
            mine = next((s for s in self._by_id.values() if s.operator == operator), None)
            return mine or Session("", operator, company, self._now())

    def open(self) -> list[Session]:
        """The sessions that are open."""
        with self._lock:
            return list(self._by_id.values())

    def is_open(self, session: Session) -> bool:
        """Whether this session is still open."""
        with self._lock:
            return self._by_id.get(session.id) is session

    def operators(self) -> dict[str, str]:
        """Password by operator code."""
        pairs = self._switches.text("syspro_operators").split(",")
        return dict(pair.strip().split(":", 1) for pair in pairs if ":" in pair)

    def _authenticate(self, logon: Logon) -> None:
        if logon.instance and logon.instance not in self._instances():
            raise EnetError(f"Unable to read the SYSPRO base directory registry string BaseDir{logon.instance}")
        if logon.company != self._switches.text("syspro_company"):
            raise EnetError("Invalid company")
        if logon.company_password != self._switches.text("syspro_company_password"):
            raise EnetError("Invalid company password")
        password = self.operators().get(logon.operator)
        if password is None:
            raise EnetError("Invalid operator")
        if password != logon.operator_password:
            raise EnetError("Invalid operator password")

    def _instances(self) -> set[str]:
        return {number.strip() for number in self._switches.text("syspro_instances").split(",")}

    def _free_a_licence(self) -> None:
        if len(self._by_id) < self._switches.integer("syspro_licences"):
            return
        idle = sorted((s for s in self._by_id.values() if self._is_idle(s)), key=lambda s: s.used_at)
        if not idle:
            raise LicenceFull("Maximum number of e.net users exceeded")
        del self._by_id[idle[0].id]

    def _is_idle(self, session: Session) -> bool:
        return self._now() - session.used_at > timedelta(minutes=self._switches.number("syspro_idle_minutes"))


def _wishes(xml_in: str) -> dict[str, str]:
    """The options of the optional logon document."""
    if not xml_in.strip():
        return {}
    root = parse(xml_in, "COMLGN")
    return {str(child.tag): (child.text or "").strip() for child in root}

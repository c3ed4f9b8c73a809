"""The settings and secrets of a SYSPRO endpoint; its kinds of objects declare more of their own.

Facts behind the defaults: syspro-transport.md sections 2.2 (size of a GET), 5 (logon), 7 (error texts) and 14.
"""

from __future__ import annotations

from syncengine.connectors.declared import (
    DeclaredSecret,
    address,
    choice,
    file,
    flag,
    number,
    pattern,
    table,
    text,
    whole_number,
)

DEFAULT_INSTANCE = "0"
WITH_SESSION = "gateway: enet, or auth: session"

PATTERNS = (
    pattern(
        "session_lost_pattern",
        r"user ?id|logged (in|on|out|off)|not logged|session|log(on|in) (is )?required|profile|BaseDir",
        "the session has ended: log on again",
    ),
    pattern(
        "licence_pattern",
        r"licen[cs]e|maximum number|users exceeded|no free|already logged (in|on)",
        "there is no licence for a logon",
    ),
    pattern(
        "down_pattern",
        r"service (is )?(unavailable|not available|stopp|start)|temporarily unavailable|shutting down",
        "SYSPRO is down",
    ),
    pattern(
        "locked_pattern", r"\block(ed)?\b|in use by|deadlock|being maintained", "the object is locked: try again later"
    ),
    pattern("not_found_pattern", r"not found|does not exist|not on file|no such", "the object does not exist"),
    pattern(
        "rejected_pattern",
        r"\b(1000(28|29|30|31|00)|100156|24\d{4})\b|cannot be spaces|must be numeric|not licensed|access .*denied"
        r"|business object .*(invalid|not (found|registered))"
        r"|(invalid|malformed|not well.formed) xml|xml .*(invalid|malformed)",
        "the object is refused and would be refused again",
    ),
    pattern(
        "duplicate_pattern",
        r"duplicate|already (exists|been used|used|on file|entered)"
        r"|(purchase order|order|p/?o) (number|no\.?) .*(used|exists)",
        "the object exists already",
    ),
)
"""How error texts are recognised where no number says it (section 7): many are unknown and depend on the language."""

OF_EVERY_ENDPOINT = (
    choice(
        "gateway",
        ("enet", "harmony"),
        "enet",
        "the interface: e.net's REST service, or Harmony, whose shape is conjecture",
    ),
    address("url", "http://HOST:PORT/SYSPROWCFService/Rest for e.net, https://HOST:PORT for Harmony"),
    text("operator", "the operator of this engine alone: SYSPRO gives an operator one session", needed_if=WITH_SESSION),
    text("company", "the company's id", needed_if=WITH_SESSION),
    text("language", "the language of its texts, 05 for English", "05"),
    text("instance", "the SYSPRO instance", DEFAULT_INSTANCE),
    choice("auth", ("api_key", "oauth", "session"), "api_key", "Harmony: how to sign in; e.net always has a session"),
    address("token_url", "Harmony: where OAuth tokens are granted", "", needed_if="auth: oauth"),
    text("client_id", "Harmony: the OAuth client", needed_if="auth: oauth"),
    text("scope", "Harmony: the OAuth scope, if one is needed"),
    text("api_key_header", "Harmony: the header of the API key", "X-API-Key"),
    text("session_header", "Harmony: the header of the session", "X-Syspro-Session"),
    file("ca_file", "certificates to trust instead of the public ones"),
    number("connect_timeout_s", 5.0, "time-out of a connection", least=0.1),
    number("read_timeout_s", 30.0, "time-out of an answer", least=0.1),
    number("settle_s", 120.0, "how long SYSPRO may still work on a write that got no answer"),
    number("read_settle_s", 30.0, "the same for a read"),
    number("prove_session_after_s", 60.0, "a session that was idle for longer is tested before a write"),
    number("seat_patience_s", 20.0, "the longest wait for the operator's session before the step tries again later"),
    whole_number("logons_per_minute", 4, "more logons than this mean that somebody else uses the operator", least=1),
    whole_number(
        "get_limit_bytes", 8192, "e.net: the longest address of a GET that the site's web server takes", least=512
    ),
    whole_number("most_per_read", 40, "objects of one read, where a call reads several", least=1),
    whole_number("find_at_once", 40, "keys of one COMFND", least=1),
    flag("upper_case_codes", True, "write keys and codes in upper case, as SYSPRO does"),
    choice(
        "characters",
        ("transliterate", "reject", "send"),
        "transliterate",
        "characters that Windows-1252 lacks: replace them, refuse the object, or send them as they are",
    ),
    choice(
        "syspro_version",
        ("", "7", "8"),
        "",
        "SYSPRO's major version, if its profile does not give it; 6.1 is not supported",
    ),
    text(
        "unread_columns",
        "columns that COMFND is not asked for, because the site does not have them: `Column` or `Table.Column`",
    ),
    table("widths", "widths that differ at this site: `{OrderHeader.SpecialInstrs: 50}`"),
    *PATTERNS,
)

SECRETS = (
    DeclaredSecret("operator_password", "the operator's password", WITH_SESSION),
    DeclaredSecret("company_password", "the company's password, if it has one"),
    DeclaredSecret("api_key", "Harmony: the API key", "gateway: harmony, auth: api_key"),
    DeclaredSecret("client_secret", "Harmony: the secret of the OAuth client", "gateway: harmony, auth: oauth"),
    DeclaredSecret("hook_secret", "with which a service of the site signs its messages (webhooks.md)"),
    DeclaredSecret("hook_secret_old", "the one before, accepted as long as it is set"),
)

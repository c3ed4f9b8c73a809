"""Reads by business objects that a site may lack, or may not let the operator call: what is refused is an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from syncengine.connectors.syspro.business import BusinessCall
from syncengine.connectors.syspro.errors import OddAnswer, item_errors
from syncengine.connectors.syspro.gateways import Gateway
from syncengine.connectors.syspro.xml import content_of
from syncengine.document import Doc
from syncengine.errors import Forbidden, Misconfigured, Rejected

_NOT_THERE = re.compile(r"\b100000\b")
"""The exception for a business object that is not licensed or not registered (syspro-transport.md section 7)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call gave nothing. is_absent: the site lacks the object or the right to it, so every such call is refused."""

    says: str
    is_absent: bool


def ask(gateway: Gateway, call: BusinessCall) -> Doc | Refusal:
    """What is under the root of the reply. Raises what makes the endpoint unusable."""
    try:
        reply = gateway.call(call)
    except Rejected as error:
        return _refusal(call, error.reason, error.says)
    except (OddAnswer, Forbidden, Misconfigured) as error:
        return Refusal(_shown(call, error.says), is_absent=True)
    errors = item_errors(reply)
    return _refusal(call, errors[0].text, errors[0].number) if errors else dict(content_of(reply))


def _refusal(call: BusinessCall, text: str, more: str) -> Refusal:
    return Refusal(_shown(call, text), is_absent=_NOT_THERE.search(f"{more} {text}") is not None)


def _shown(call: BusinessCall, text: str) -> str:
    return f"{call.object.name} cannot be read ({text.rstrip('. ')})"

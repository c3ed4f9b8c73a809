"""The control API under `/_sandbox/`, for tests and people; JSON in both directions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from werkzeug import Request, Response

from syncengine.sandbox.brightpearl import control as brightpearl
from syncengine.sandbox.brightpearl.state import Account
from syncengine.sandbox.calls import as_json
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.host import Host
from syncengine.sandbox.json_bodies import answer, body_of
from syncengine.sandbox.page import PAGE
from syncengine.sandbox.shop.model import Shop
from syncengine.sandbox.switches import UnknownSwitch
from syncengine.sandbox.syspro import control as syspro
from syncengine.sandbox.syspro.simulation import Syspro


class Controlled(Host, Protocol):
    """What can be seen and changed: a host with its shop and both systems."""

    seed: int
    base_url: str
    shop: Shop
    brightpearl: Account
    syspro: Syspro

    def reset(self, seed: int | None = None, **sizes: int | bool) -> None:
        """Start over with this seed and these sizes of the shop."""


_FAULT_FIELDS = {field.name for field in dataclasses.fields(Fault)} - {"id", "hits", "added_at"}
_SIZES = ("contacts", "products", "orders", "awkward", "tax_mix")


def respond(sandbox: Controlled, request: Request, parts: list[str]) -> Response:
    """Answer one control request; `parts` is the path below `/_sandbox`. Bad input: 400, unknown path: 404."""
    if not parts and request.path.strip("/") == "":
        return Response(PAGE, mimetype="text/html")
    try:
        return _route(sandbox, request, parts) or answer({"error": "no such control path"}, 404)
    except (UnknownSwitch, ValueError, KeyError, TypeError) as problem:
        return answer({"error": str(problem)}, 400)


def _route(sandbox: Controlled, request: Request, parts: list[str]) -> Response | None:
    own: dict[str, Callable[[Controlled, Request, list[str]], Response | None]] = {
        "state": _state,
        "reset": _reset,
        "switches": _switches,
        "faults": _faults,
        "calls": _calls,
        "effects": _effects,
        "shop": _shop,
    }
    first = parts[0] if parts else "state"
    if first in own:
        return own[first](sandbox, request, parts[1:])
    if first == "brightpearl":
        return brightpearl.respond(sandbox.brightpearl, request, parts[1:])
    if first == "syspro":
        return syspro.respond(sandbox.syspro, request, parts[1:])
    return None


def _state(sandbox: Controlled, request: Request, parts: list[str]) -> Response:  # noqa: ARG001
    return answer(
        {
            "now": sandbox.now().isoformat(),
            "seed": sandbox.seed,
            "url": sandbox.base_url,
            "brightpearl": sandbox.brightpearl.counts(),
            "syspro": sandbox.syspro.counts(),
            "calls": sandbox.calls.summary(),
            "effects": len(sandbox.calls.effects()),
            "faults": sandbox.faults.in_force(),
        }
    )


def _reset(sandbox: Controlled, request: Request, parts: list[str]) -> Response | None:
    if request.method != "POST":
        return None
    body = body_of(request)
    seed = int(body["seed"]) if body.get("seed") is not None else None
    sandbox.reset(seed, **{name: body[name] for name in _SIZES if name in body})
    return _state(sandbox, request, parts)


def _switches(sandbox: Controlled, request: Request, parts: list[str]) -> Response:  # noqa: ARG001
    if request.method in ("PATCH", "POST", "PUT"):
        sandbox.switches.turn(body_of(request))
    return answer(sandbox.switches.described())


def _faults(sandbox: Controlled, request: Request, parts: list[str]) -> Response:
    if request.method == "POST":
        fields = body_of(request)
        if unknown := set(fields) - _FAULT_FIELDS:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(_FAULT_FIELDS))}")
        return answer(dataclasses.asdict(sandbox.faults.add(Fault(**fields))))
    if request.method == "DELETE" and parts:
        sandbox.faults.remove(int(parts[0]))
    elif request.method == "DELETE":
        sandbox.faults.clear()
    return answer(sandbox.faults.in_force())


def _calls(sandbox: Controlled, request: Request, parts: list[str]) -> Response:
    if parts == ["latest"]:
        return answer([as_json(call) for call in sandbox.calls.latest()])
    summary = sandbox.calls.summary()
    if request.args.get("reset") == "1" or request.method == "DELETE":
        sandbox.calls.reset()
    return answer(summary)


def _effects(sandbox: Controlled, request: Request, parts: list[str]) -> Response:  # noqa: ARG001
    names = ("system", "object", "reference", "action", "key")
    found = sandbox.calls.effects(**{name: request.args.get(name) for name in names})
    return answer([as_json(effect) for effect in found])


def _shop(sandbox: Controlled, request: Request, parts: list[str]) -> Response:  # noqa: ARG001
    shop = sandbox.shop
    kinds = {"awkward": shop.awkward, "tax_mix": shop.tax_mix}
    return answer({**kinds, "invalid": shop.invalid, "expected": shop.expected})

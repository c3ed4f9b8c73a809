"""JSON <-> documents of the proposed Harmony interface: names identical, lists for repeated elements, values as strings.

Source: syspro-transport.md section 4.3 and the `harmony_*.json` examples; all of it is conjecture.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring  # output only

from werkzeug import Response

from syncengine.sandbox.syspro.sortoi.draft import Draft, Options
from syncengine.sandbox.syspro.xmlin import Section

#: Elements that may repeat: always lists in answers.
LISTS = frozenset(
    {"Order", "Orders", "Item", "Row", "SalesOrderLine", "SalesOrderItem", "WarehouseItem", "InvoiceDetail"}
)
_SESSION_ATTRIBUTES = ("Filter",)


class BadRequest(Exception):
    """The body does not have the proposed shape."""


def reply(body: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(json.dumps(body, ensure_ascii=False), status, mimetype="application/json")


def error(status: int, text: str, number: str = "", path: str = "", value: str = "") -> Response:
    """An error as in `harmony_error.json`: 400 document, 401 session, 404 unknown key, 429 and 503 licence and service."""
    return reply({"ErrorNumber": number, "ErrorDescription": text, "Path": path, "Value": value}, status)


def body_of(data: bytes) -> dict[str, Any]:
    """A request's JSON object.

    Raises:
        BadRequest: it is not a JSON object.
    """
    try:
        body = json.loads(data or b"{}")
    except ValueError:
        raise BadRequest("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def to_xml(root: str, content: Mapping[str, Any]) -> str:
    """A document with this root; names that begin with an underscore are comments and are left out.

    Raises:
        BadRequest: a value is neither text, object nor list, or a name cannot be an element's.
    """
    element = Element(root)
    _fill(element, content)
    return tostring(element, encoding="unicode")


def _fill(parent: Element, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if name.startswith("_"):
            continue
        if name.startswith("@"):
            parent.set(name[1:], _text(name, value))
            continue
        if not name.replace("_", "").isalnum():
            raise BadRequest(f"{name!r} is no element")  # phrases: allow, as SYSPRO might say it
        for one in value if isinstance(value, list) else [value]:
            child = SubElement(parent, name)
            if isinstance(one, Mapping):
                _fill(child, one)
            else:
                child.text = _text(name, one)


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"{name}: all values are strings")
    return value


def from_xml(element: Element) -> Any:
    """A reply's element as JSON: text, or an object; repeated and list-like elements as lists."""
    if len(element) == 0:
        return (element.text or "").strip()
    content: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for child in element:
        name = str(child.tag)
        counts[name] = counts.get(name, 0) + 1
        value = from_xml(child)
        if name in LISTS or counts[name] > 1:
            known = content.setdefault(name, [])
            if not isinstance(known, list):
                known = content[name] = [known]
            known.append(value)
        else:
            content[name] = value
    return content


def imported(drafts: list[Draft], options: Options) -> Response:
    """The answer to an import: 400 with the first error if nothing was accepted, otherwise the orders as in the example."""
    accepted = [draft for draft in drafts if draft.accepted]
    errors = list(_errors(drafts))
    if not accepted and errors:
        return reply(errors[0], 400)
    warned = [draft for draft in accepted if draft.warnings]
    body: dict[str, Any] = {
        "Order": [_order(draft, options) for draft in accepted],
        "StatusOfItems": {
            "ItemsProcessed": f"{len(accepted):06d}",
            "ItemsRejectedWithWarnings": f"{len(drafts) - len(accepted):06d}",
            "ItemsProcessedWithWarnings": f"{len(warned):06d}",
        },
    }
    if errors:
        body["Errors"] = errors
    return reply(body)


def _order(draft: Draft, options: Options) -> dict[str, Any]:
    order: dict[str, Any] = {
        "CustomerPoNumber": draft.po_number,
        "SalesOrder": draft.number,
        "OrderActionType": draft.action,
    }
    if draft.warnings and options["IgnoreWarnings"] == "W":
        order["WarningMessages"] = {"WarningDescription": [text for _, text in draft.warnings]}
    return order


def _errors(drafts: list[Draft]) -> Iterable[dict[str, str]]:
    for number, draft in enumerate(drafts):
        for section, path in _paths(draft, f"Orders[{number}]"):
            for problem in section.problems:
                yield {
                    "ErrorNumber": problem.number,
                    "ErrorDescription": problem.text,
                    "Path": f"{path}.{problem.field}",
                    "Value": problem.value,
                }
        for _, text in draft.warnings if draft.refused_by_warnings else ():
            yield {"ErrorNumber": "", "ErrorDescription": text, "Path": f"Orders[{number}]", "Value": ""}


def _paths(draft: Draft, path: str) -> Iterable[tuple[Section, str]]:
    yield draft.header, f"{path}.OrderHeader"
    counts: dict[str, int] = {}
    for line in draft.lines:
        place = counts.get(line.kind, 0)
        counts[line.kind] = place + 1
        yield line.section, f"{path}.OrderDetails.{line.kind}[{place}]"

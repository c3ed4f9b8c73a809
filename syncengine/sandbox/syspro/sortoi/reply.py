"""SORTOI's replies: the five shapes of syspro-transport.md section 9.4, chosen by switches where sites differ."""

from __future__ import annotations

from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro.sortoi import fields
from syncengine.sandbox.syspro.sortoi.draft import Draft, Options
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.texts import Problem
from syncengine.sandbox.syspro.xmlin import stored
from syncengine.sandbox.syspro.xmlout import Node, Style, counters


def render(company: Company, style: Style, options: Options, drafts: list[Draft]) -> str:
    """The reply to one call."""
    if options["Process"] == "VALIDATE":
        nodes = [_echo(company, draft) for draft in drafts]
        nodes.append(_validation(all(draft.accepted for draft in drafts)))
        return style.document("SalesOrders", nodes)
    nodes = [node for draft in drafts if (node := _order(company, options, draft)) is not None]
    return style.document("SalesOrders", nodes + _status(company, style, options, drafts, nodes))


def _order(company: Company, options: Options, draft: Draft) -> Node | None:
    if draft.accepted:
        return _accepted(company, options, draft)
    if company.switches.text("syspro_rejection") == "empty":
        return _head(draft, Node("SalesOrder", open_when_empty=True))
    return _echo(company, draft)


def _accepted(company: Company, options: Options, draft: Draft) -> Node | None:
    """Shape 1, or nothing if a clean import does not report its number (shape 2)."""
    reported = draft.warnings if options["IgnoreWarnings"] == "W" else []
    reports_number = company.switches.text("syspro_clean_reply")
    if not reported and (reports_number == "never" or (reports_number == "auto" and options["IgnoreWarnings"] == "W")):
        return None
    node = _head(draft, Node("SalesOrder", draft.number))
    content = node.content if isinstance(node.content, list) else []
    if reported and draft.has_back_orders:
        text = f"One or more lines have been placed on back order for sales order '{draft.number}'"
        content.append(Node("BackOrderComment", text))
    if reported:
        content.append(Node("WarningMessages", [Node("WarningDescription", text) for _, text in reported]))
    return node


def _head(draft: Draft, number: Node) -> Node:
    return Node("Order", [Node("CustomerPoNumber", draft.po_number), number, Node("OrderActionType", draft.action)])


def _status(company: Company, style: Style, options: Options, drafts: list[Draft], nodes: list[Node]) -> list[Node]:
    """ValidationStatus of shape 4, and the counters: beside the orders, or inside the last one by switch."""
    accepted = [draft for draft in drafts if draft.accepted]
    refused = len(drafts) - len(accepted)
    if refused and company.switches.text("syspro_rejection") != "empty":
        return [_validation(False), counters(style, ItemsProcessed=len(accepted), ItemsInvalid=refused)]
    warned = [draft for draft in accepted if draft.warnings and options["IgnoreWarnings"] == "W"]
    status = counters(
        style,
        ItemsProcessed=len(accepted),
        ItemsRejectedWithWarnings=refused,
        ItemsProcessedWithWarnings=len(warned),
    )
    if company.switches.on("syspro_nested_status") and nodes and isinstance(nodes[-1].content, list):
        nodes[-1].content.append(status)
        return []
    return [status]


def _validation(succeeded: bool) -> Node:
    return Node("ValidationStatus", [Node("Status", "Successful" if succeeded else "Failed")])


def _echo(company: Company, draft: Draft) -> Node:
    """The order as it was understood, with ErrorMessages at the end of each section that has an error."""
    messages: dict[Element, list[Problem]] = {section.element: list(section.problems) for section in draft.sections()}
    if draft.refused_by_warnings:
        for section, text in draft.warnings:
            messages[section.element].append(Problem("", "", "", text))
    parts = [_section(company, draft.header.element, fields.HEADER, messages)]
    if (details := draft.element.find("OrderDetails")) is not None:
        lines = [
            _section(company, line, fields.LINES[str(line.tag)], messages)
            for line in details
            if line.tag in fields.LINES
        ]
        parts.append(Node("OrderDetails", lines))
    return Node("Orders", parts)


def _section(company: Company, element: Element, known: object, messages: dict[Element, list[Problem]]) -> Node:
    reading = company.reading()
    content = [
        Node(str(child.tag), stored((child.text or "").strip(), reading) or "")
        for child in element
        if isinstance(known, dict) and child.tag in known
    ]
    for problem in messages.get(element, ()):
        has_number = problem.number and company.switches.on("syspro_error_numbers")
        number = [Node("ErrorNumber", problem.number)] if has_number else []
        content.append(Node("ErrorMessages", [*number, Node("ErrorDescription", problem.text)]))
    return Node(str(element.tag), content)

"""Setups and posts of many items: checked and applied one by one, or all or none (syspro-transport.md section 7.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro.texts import EnetError, Problem
from syncengine.sandbox.syspro.xmlin import children, parameters
from syncengine.sandbox.syspro.xmlout import Node

#: Checks one item: how to apply it, or its problems.
Check = Callable[[Element], "Checked"]


@dataclass(slots=True)
class Checked:
    """One item after its checks. `apply` applies it and returns the reply's nodes; `key` precedes the errors."""

    problems: list[Problem] = field(default_factory=list)
    apply: Callable[[], list[Node]] = list
    key: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ItemOptions:
    """The three parameters that setups and posts have."""

    all_or_none: bool
    validate_only: bool
    ignore_warnings: str

    @classmethod
    def of(cls, params: Element | None, *, apply: str, validate: str, warnings: str = "N") -> ItemOptions:
        """Read them; the defaults differ by object."""
        defaults = {"ApplyIfEntireDocumentValid": apply, "ValidateOnly": validate, "IgnoreWarnings": warnings}
        values = parameters(params, defaults)
        return cls(values["ApplyIfEntireDocumentValid"] == "Y", values["ValidateOnly"] == "Y", values["IgnoreWarnings"])


@dataclass(slots=True)
class Processed:
    """The items' reply nodes in their order, and how many were refused."""

    items: list[list[Node]] = field(default_factory=list)
    invalid: int = 0


def process(document: Element, options: ItemOptions, check: Check, *, lower_case: bool = False) -> Processed:
    """Check and apply the items of a document.

    Args:
        lower_case: error groups are named in lower case, as setups do.

    Raises:
        EnetError: the document has no item.
    """
    items = list(children(document, "Item"))
    if not items:
        raise EnetError("XML element 'Item' not found")
    result = Processed()
    may_apply = not options.validate_only
    if options.all_or_none and any(check(item).problems for item in items):
        may_apply = False
    for item in items:
        checked = check(item)  # again: an earlier item may have changed the state
        if checked.problems:
            result.invalid += 1
            result.items.append([*checked.key, *(group(problem, lower_case) for problem in checked.problems)])
        else:
            result.items.append(checked.apply() if may_apply else checked.key)
    return result


def group(problem: Problem, lower_case: bool = False) -> Node:
    """The error group of a faulty field (section 7.2)."""
    content = [Node("Value", problem.value)]
    if problem.number:
        content.append(Node("ErrorNumber", problem.number))
    content.append(Node("ErrorDescription", problem.text))
    return Node(problem.field.lower() if lower_case else problem.field, content)

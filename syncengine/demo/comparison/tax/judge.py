"""Decides which documents differ, and which of these differences nobody is shown. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from syncengine.demo.comparison.tax.figures import (
    Booked,
    Charged,
    Difference,
    Explanation,
    Figures,
    Part,
    Tolerance,
)

FIELDS = ("net", "codes", "tax", "total")
_ZERO = Decimal(0)
_TOKEN = re.compile(r"-?\d[\d,]*\.\d+|[A-Za-z0-9]+")
Pair = tuple[Part, Part | None]
"""A booked line and the charged row that it is, if there is one."""


@dataclass(slots=True)
class Verdict:
    """The result. `silent`: nobody is shown the difference; `without_figures`: what is shown does not name both figures.

    A held order explains that it is missing in SYSPRO, and a difference only if its reason names both figures.
    """

    orders: int = 0
    invoices: int = 0
    explained: list[tuple[Difference, Explanation]] = field(default_factory=list)
    without_figures: list[tuple[Difference, Explanation]] = field(default_factory=list)
    silent: list[Difference] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every difference is a held order, or an attention with both figures."""
        return not self.silent and not self.without_figures

    @property
    def differences(self) -> list[Difference]:
        """All of them."""
        return [*self.silent, *(difference for difference, _ in [*self.explained, *self.without_figures])]


def judge(
    charged: Iterable[Charged],
    booked: Iterable[Booked],
    explanations: Iterable[Explanation] = (),
    *,
    tolerance: Tolerance | None = None,
    fields: Collection[str] = FIELDS,
) -> Verdict:
    """Compare all documents.

    Args:
        charged: the orders that SYSPRO should have.
        booked: all orders of SYSPRO that are not cancelled, and all invoices.
        explanations: what people are shown: held orders and attentions.
        tolerance: what rounding may move.
        fields: what to compare; `codes` alone where SYSPRO's amounts cannot be predicted.
    """
    allowed, by_po = tolerance or Tolerance(), {order.po: order for order in charged}
    documents: dict[str, list[Booked]] = defaultdict(list)
    for document in booked:
        documents[document.po].append(document)
    shown: dict[str, list[Explanation]] = defaultdict(list)
    for explanation in explanations:
        shown[explanation.po].append(explanation)
    verdict = Verdict()
    for po in sorted({*by_po, *documents}):
        verdict.orders += sum(document.document == "order" for document in documents[po])
        verdict.invoices += sum(document.document == "invoice" for document in documents[po])
        for difference in _differences(po, by_po.get(po), documents[po], allowed, fields):
            _classify(verdict, difference, shown[po])
    return verdict


def _differences(
    po: str, order: Charged | None, documents: Sequence[Booked], tolerance: Tolerance, fields: Collection[str]
) -> Iterable[Difference]:
    if order is None:
        for document in documents:
            yield Difference(document.document, po, document.number, ("unexpected",), None, _booked_figures(document))
        return
    if not any(document.document == "order" for document in documents):
        yield Difference("order", po, "", ("missing",), _charged_figures(order.parts, order.net, order.tax), None)
    for document in documents:
        yield from _compare(order, document, tolerance, fields)
    invoices = [document for document in documents if document.document == "invoice"]
    if len(invoices) > 1 and any(document.complete for document in documents):
        yield from _compare_sum(order, invoices, tolerance, fields)


def _compare(order: Charged, document: Booked, tolerance: Tolerance, fields: Collection[str]) -> Iterable[Difference]:
    pairs = _pairs(order.parts, document.parts)
    limit = tolerance.of(document.parts)
    if document.document == "order":
        expected = _charged_figures(order.parts, order.net, order.tax)
    else:
        shares = [_share(row, line) for line, row in pairs if row is not None]
        expected = _charged_figures(
            shares, sum((part.net for part in shares), _ZERO), sum((part.tax for part in shares), _ZERO)
        )
    found = _booked_figures(document)
    differing = _amounts_that_differ(expected, found, limit, tolerance.of_total(document.parts))
    if any(not _right_code(line, row, limit) for line, row in pairs):
        differing.add("codes")
    if named := tuple(name for name in FIELDS if name in differing and name in fields):
        yield Difference(document.document, order.po, document.number, named, expected, found)


def _compare_sum(
    order: Charged, invoices: Sequence[Booked], tolerance: Tolerance, fields: Collection[str]
) -> Iterable[Difference]:
    """All invoices of an order against the whole order; each invoice may have been rounded by itself."""
    expected = _charged_figures(order.parts, order.net, order.tax)
    codes: dict[str, Decimal] = defaultdict(Decimal)
    for invoice in invoices:
        for code, net in _booked_figures(invoice).codes.items():
            codes[code] += net
    found = Figures(
        sum((invoice.net for invoice in invoices), _ZERO),
        sum((invoice.tax for invoice in invoices), _ZERO),
        dict(codes),
    )
    limit = sum((tolerance.of(invoice.parts) for invoice in invoices), _ZERO)
    total = sum((tolerance.of_total(invoice.parts) for invoice in invoices), _ZERO)
    differing = _amounts_that_differ(expected, found, limit, total)
    if named := tuple(name for name in FIELDS if name in differing and name in fields):
        yield Difference("invoices", order.po, "", named, expected, found)


def _amounts_that_differ(charged: Figures, booked: Figures, limit: Decimal, total_limit: Decimal) -> set[str]:
    found = {
        "net": abs(charged.net - booked.net) > limit,
        "tax": abs(charged.tax - booked.tax) > limit,
        "total": abs(charged.total - booked.total) > total_limit,
    }
    return {name for name, differs in found.items() if differs}


# -- lines -------------------------------------------------------------------------------------------------------------


def _pairs(rows: Sequence[Part], lines: Sequence[Part]) -> list[Pair]:
    """Each booked line with its row: same kind and SKU, the nearest price of a piece, then a right code and quantity."""
    left = {id(row): row.quantity for row in rows}
    pairs: list[Pair] = []
    for line in sorted(lines, key=lambda line: -abs(line.net)):
        same = [row for row in rows if left[id(row)] and _same_thing(row, line)]
        row = min(same, key=lambda row: (*_distance(row, line), abs(left[id(row)] - line.quantity)), default=None)
        if row is not None:
            left[id(row)] -= min(line.quantity, left[id(row)], key=abs) if line.kind == "goods" else left[id(row)]
        pairs.append((line, row))
    return pairs


def _same_thing(row: Part, line: Part) -> bool:
    return row.kind == line.kind and (row.kind != "goods" or row.key == line.key)


def _distance(row: Part, line: Part) -> tuple[Decimal, bool]:
    return abs(_each(row) - _each(line)), line.codes[0] not in row.codes


def _each(part: Part) -> Decimal:
    """Net of a piece, of a charge as a whole; in hundredths, so that rounding decides nothing."""
    return round(part.net / part.quantity if part.kind == "goods" and part.quantity else part.net, 2)


def _share(row: Part, line: Part) -> Part:
    """What was charged for the quantity of a line."""
    share = line.quantity / row.quantity if row.kind == "goods" and row.quantity else Decimal(1)
    return Part(row.kind, row.key, line.quantity, row.net * share, row.codes, row.tax * share)


def _right_code(line: Part, row: Part | None, limit: Decimal) -> bool:
    """Lines without value have no tax; what has no row and is no more than rounding is the penny line."""
    if not line.net:
        return True
    return line.codes[0] in row.codes if row is not None else abs(line.net) <= limit


def _charged_figures(parts: Sequence[Part], net: Decimal, tax: Decimal) -> Figures:
    return Figures(net, tax, _by_code(parts))


def _booked_figures(document: Booked) -> Figures:
    return Figures(document.net, document.tax, _by_code(document.parts))


def _by_code(parts: Sequence[Part]) -> dict[str, Decimal]:
    codes: dict[str, Decimal] = defaultdict(Decimal)
    for part in parts:
        if part.net:
            codes[part.codes[0]] += part.net
    return dict(codes)


# -- explanations ------------------------------------------------------------------------------------------------------


def _classify(verdict: Verdict, difference: Difference, explanations: Sequence[Explanation]) -> None:
    for explanation in explanations:
        is_missing = explanation.kind == "held" and difference.booked is None
        if is_missing or _names_both(explanation.text, difference):
            verdict.explained.append((difference, explanation))
            return
    if explanations:
        verdict.without_figures.append((difference, explanations[0]))
    else:
        verdict.silent.append(difference)


def _names_both(text: str, difference: Difference) -> bool:
    """Whether a text names what was charged and what was booked, of one of the fields that differ."""
    if difference.charged is None or difference.booked is None:
        return False
    tokens = {token.replace(",", "") for token in _TOKEN.findall(text)}
    for name in difference.fields:
        if name == "codes":
            only_charged, only_booked = _codes_apart(difference.charged.codes, difference.booked.codes)
            if only_charged & tokens and only_booked & tokens:
                return True
        elif {f"{getattr(side, name):.2f}" for side in (difference.charged, difference.booked)} <= tokens:
            return True
    return False


def _codes_apart(charged: Mapping[str, Decimal], booked: Mapping[str, Decimal]) -> tuple[set[str], set[str]]:
    """Codes under which the one side has more than the other."""
    more = {code for code, net in charged.items() if net - booked.get(code, _ZERO) > 0}
    return more, {code for code, net in booked.items() if net - charged.get(code, _ZERO) > 0}

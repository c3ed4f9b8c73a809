"""What people are shown about the tax of orders: held orders, and attentions of the flow order_tax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from syncengine.demo.comparison.tax import Explanation, Verdict
from syncengine.store.models import Failure, Record
from syncengine.store.states import Status


def tax_shown(session: Session, references: Mapping[str, str]) -> list[Explanation]:
    """Open attentions with their figures, and held orders. `references`: the shop's order ids by SYSPRO's order numbers."""
    attentions = session.scalars(
        select(Failure).where(Failure.flow == "order_tax", Failure.kind == "attention", Failure.closed_at.is_(None))
    )
    held = session.scalars(select(Record).where(Record.flow == "orders", Record.status == Status.HELD))
    return [
        *(Explanation(references[_number(each.key)], "attention", f"{each.field} {each.value}") for each in attentions),
        *(Explanation(record.key, "held", record.reason) for record in held),
    ]


def tax_problems(tax: Verdict) -> Iterator[str]:
    """One line for each difference that nobody is shown, or whose attention does not name both figures."""
    for difference in tax.silent:
        yield f"a difference of tax that nobody is shown: {difference}"
    for difference, shown in tax.without_figures:
        yield f"a difference of tax that is shown without both figures: {difference} / {shown.text}"


def _number(key: str) -> str:
    """SYSPRO's order number of a record of a flow that compares (`right:000101`)."""
    return key.partition(":")[2]

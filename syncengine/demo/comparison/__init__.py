"""Compares what both simulated systems hold with what the shop says is right.

It asks neither mapping, flows, connectors nor engine. What is right follows from the shop, from Brightpearl's and SYSPRO's
references, and from the connection's documented settings and tables. The demo and the crash test (scripts/chaos) both use it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncengine.demo.comparison import customers, documented, orders
from syncengine.demo.comparison.problems import Problem
from syncengine.demo.comparison.systems import Systems
from syncengine.demo.comparison.texts import Json
from syncengine.sandbox.shop.model import Shop

__all__ = ["Problem", "Report", "compare"]

EXPECTED_STATUSES = ("done", "skipped", "dead")
RESTING = ("held", "waiting")


@dataclass(frozen=True, slots=True)
class Report:
    """The result: `problems` is empty if everything is right.

    `pushed`, `guests`, `invalid`, `ineligible`, `cancelled` and `held` count the shop's orders by their expected fate; `found`
    counts orders in SYSPRO, `duplicates` those beyond one for each reference, `customers` customers of the shop's contacts,
    `lost` expected orders and customers that SYSPRO does not have.
    """

    problems: list[Problem]
    found: int
    pushed: int
    guests: int
    invalid: int
    ineligible: int
    cancelled: int
    held: int
    duplicates: int
    customers: int
    lost: int


def compare(
    sandbox_url: str,
    shop: Shop,
    dead_letters: Sequence[Json],
    statuses: Mapping[str, Mapping[Any, int]],
    *,
    edited: Collection[int] = (),
    edited_contacts: Collection[int] = (),
) -> Report:
    """Compare all orders and customers, field by field.

    Args:
        sandbox_url: address of the sandbox, whose control API is called.
        shop: the shop as generated with the same seed and sizes, or as people have edited it since.
        dead_letters: the open ones, each with flow, key, field, value, cause and kind.
        statuses: number of records by flow and status.
        edited: ids of orders that people have edited; a cancelled one may be in SYSPRO if it is cancelled there too.
        edited_contacts: ids of contacts that people have edited.
    """
    config, systems = documented.load(), Systems(sandbox_url)
    problems = [*_unfinished(shop, statuses), *orders.compare(config, shop, systems, dead_letters, edited)]
    problems += orders.strays(shop, systems, dead_letters)
    found = customers.compare(config, shop, systems, edited, edited_contacts)
    fates = Counter(shop.expected.values())
    return Report(
        [*problems, *found.problems],
        found=sum(map(len, systems.orders.values())),
        pushed=fates["pushed"],
        guests=fates["guest"],
        invalid=fates["invalid"],
        ineligible=fates["ineligible"],
        cancelled=fates["cancelled"],
        held=fates["held"],
        duplicates=sum(len(same_reference) - 1 for same_reference in systems.orders.values()),
        customers=found.present,
        lost=found.missing + orders.missing(shop, systems),
    )


def _unfinished(shop: Shop, statuses: Mapping[str, Mapping[Any, int]]) -> Iterable[Problem]:
    """Records that have not ended, apart from those whose text SYSPRO cannot store: they and what waits for them are held."""
    expected = {"orders": orders.held(shop), "customers": customers.held(shop)}
    for flow, counts in statuses.items():
        resting = {str(status): count for status, count in counts.items() if str(status) in RESTING}
        if sum(resting.values()) != expected[flow]:
            yield Problem(f"{sum(resting.values())} of {flow} are held or wait, {expected[flow]} should be: {resting}")
        for status, count in counts.items():
            if count and str(status) not in (*EXPECTED_STATUSES, *RESTING):
                yield Problem(f"{count} of {flow} ended as {status}")

"""`configure` counts the existing records that a change concerns, and has them processed again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from syncengine import clock
from syncengine.engine.core.engine import RELOAD_S
from syncengine.store import models as m
from syncengine.store.states import Pause, Status, Why
from tests.contract.configure.test_changes import CUT_OVER, Site, flows, installed, site

__all__ = ["flows", "installed", "site"]

pytestmark = pytest.mark.one_database

WIDER = ("[2, 3]", "[1, 2, 3]")
VERIFY = (CUT_OVER, f"{CUT_OVER}    verify_creates_until: 2999-01-01T00:00:00Z\n")


def _record(site: Site, key: str, status: Status, why: Why, *, flow: str = "orders", **more: Any) -> None:
    now = clock.now() - timedelta(hours=1)
    mine = {"connection_id": 1, "flow": flow, "key": key, "parts": [], "needed": False, "lane": 1, "not_before": now}
    site.add(
        m.Record(
            **{"wanted": 1, "done": 1, "created_at": now, "updated_at": now, **mine, **more}, status=status, why=why
        )
    )


def _due(site: Site) -> dict[str, m.Record]:
    return {record.key: record for record in site.all(m.Record) if record.wanted > record.done}


def test_a_widened_list_of_statuses_fetches_what_rules_have_skipped(installed: Site) -> None:
    _record(installed, "1", Status.SKIPPED, Why.RULE)
    _record(installed, "2", Status.HELD, Why.RULE)
    _record(installed, "3", Status.SKIPPED, Why.DISCARDED)
    _record(installed, "4", Status.DONE, Why.NONE)
    _record(installed, "5", Status.SKIPPED, Why.RULE, flow="customers")
    _record(installed, "6", Status.SKIPPED, Why.RULE, ignored="anna")
    says = (
        "main: 2 records of orders skipped or held by a rule of the flow, which uses eligible_statuses: fetched again and "
        "decided by the new value"
    )
    assert installed.look(WIDER).consequences == (says,)
    assert _due(installed) == {}

    began = clock.now()
    assert installed.apply(WIDER).consequences == (says,)

    due = _due(installed)
    assert sorted(due) == ["1", "2"]
    for record in due.values():  # not before every worker uses the new list
        assert (record.pause, record.not_before > began + timedelta(seconds=RELOAD_S)) == (Pause.PACED, True)


def test_a_record_that_a_worker_is_planning_is_processed_again_too(installed: Site) -> None:
    _record(installed, "1", Status.SKIPPED, Why.RULE)
    _record(installed, "2", Status.OPEN, Why.NONE, wanted=1, done=0, token="t")
    installed.apply(WIDER)
    assert {key: record.wanted for key, record in _due(installed).items()} == {"1": 2, "2": 2}


def test_a_setting_that_no_rule_uses_processes_nothing_again(installed: Site) -> None:
    _record(installed, "1", Status.SKIPPED, Why.RULE)
    assert installed.apply(("time_zone: Europe/London", "time_zone: Europe/Paris")).consequences == ()
    assert _due(installed) == {}


def test_held_creates_are_compared_again_once_creates_are_verified(installed: Site) -> None:
    _record(installed, "1", Status.HELD, Why.EXISTS)
    _record(installed, "2", Status.HELD, Why.CONFLICT)
    says = "main: 1 record of orders held because the object exists in the target: compared with the target again, and linked"
    assert installed.look(VERIFY).consequences[0].startswith(says)
    installed.apply(VERIFY)
    assert list(_due(installed)) == ["1"]
    later = (VERIFY[0], VERIFY[1].replace("2999-01", "2999-02"))
    assert installed.apply(later).consequences == ()  # they are verified already


@pytest.mark.parametrize("change", [WIDER, VERIFY])
def test_what_a_change_concerns_may_be_left_with_the_command_that_does_it_later(
    installed: Site, change: tuple[str, str]
) -> None:
    _record(installed, "1", Status.SKIPPED, Why.RULE)
    _record(installed, "2", Status.HELD, Why.EXISTS)
    [says] = installed.apply(change, recheck=False).consequences
    assert "left as is. `syncengine sync orders --since DATE`" in says
    assert _due(installed) == {}


def test_an_earlier_cut_over_date_counts_what_was_too_old(installed: Site) -> None:
    _record(installed, "1", Status.SKIPPED, Why.TOO_OLD)
    found = installed.apply(("2026-01-31", "2026-01-01"))
    assert found.consequences[-1] == "main: 1 skipped as too old is due again"
    assert list(_due(installed)) == ["1"]


@pytest.mark.parametrize("is_by_person", [False, True])
def test_corrected_credentials_end_the_rest_of_their_endpoint_but_no_pause_of_a_person(
    installed: Site, is_by_person: bool
) -> None:
    _record(installed, "1", Status.OPEN, Why.NONE, wanted=1, done=0, pause=Pause.BACKOFF)
    with installed.store.write() as session:
        erp = session.query(m.Endpoint).filter_by(name="erp").one()
        erp.paused_until, erp.paused_because = clock.now() + timedelta(minutes=5), "password refused"
        erp.is_paused_by_person = is_by_person
    assert installed.apply(("eligible_statuses: [2, 3]", "eligible_statuses: [2]")).consequences == ()

    found = installed.apply(("c0mpany", "n3w-c0mpany"), by="anna")

    [erp] = [row for row in installed.all(m.Endpoint) if row.name == "erp"]
    assert (erp.paused_until is None) is not is_by_person
    ends = "erp: its rest after refused credentials ends, and 1 due record continues. `syncengine check` tries the new ones"
    assert (ends in found.consequences) is not is_by_person
    events = [event for event in installed.all(m.Event) if event.what == "resumed"]
    assert [event.key for event in events] == ([] if is_by_person else ["erp"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("time_zone: Europe/London", "time_zone: Europe/Paris"), ["customers", "orders"]),
        (("1: GBP", "1: USD"), ["customers"]),
        (WIDER, ["orders"]),
        (("quiet_s: 30", "quiet_s: 40"), []),
    ],
)
def test_dead_letters_of_flows_that_use_the_change_are_counted_with_the_command_that_retries_them(
    installed: Site, change: tuple[str, str], named: list[str]
) -> None:
    for number, flow in enumerate(("orders", "customers"), 1):
        _record(installed, flow, Status.DEAD, Why.REJECTED, flow=flow)
        letter = {"connection_id": 1, "flow": flow, "key": flow, "kind": "dead", "stage": "push", "cause": "refused"}
        installed.add(m.Failure(record_id=number, opened_at=clock.now(), **letter))
    said = [line for line in installed.look(change).consequences if "dead letter" in line]
    assert said == [
        f"main: 1 dead letter of {flow} may have waited for this change: "
        f"`syncengine deadletters retry --connection main --flow {flow}`"
        for flow in named
    ]


def test_a_comparison_that_is_added_begins_with_everything_that_is_linked(installed: Site) -> None:
    installed.link()
    added = ("flows: [customers, orders]", "flows: [customers, orders, order_tax]")
    assert "main: 1 linked object of orders: compared by order_tax" in installed.look(added).consequences

    installed.apply(added)
    assert [(record.flow, record.key) for record in _due(installed).values()] == [("order_tax", "right:000512")]

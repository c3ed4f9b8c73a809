"""Levels and what protects them: ceilings, killed workers, and the decisions of people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from syncengine.document import Doc
from syncengine.engine.core import payloads
from syncengine.engine.decide.level_plan import WITHIN
from syncengine.engine.people import (
    dead_letter_bulk,
    dead_letter_detail,
    manual,
    manual_links,
    manual_settlement,
    preview,
)
from syncengine.engine.steps import running, sync
from syncengine.engine.upkeep import retention
from syncengine.engine.upkeep.retention import Kept
from syncengine.engine.writes import ceiling
from syncengine.errors import Rejected
from syncengine.mapping.contract import Context
from syncengine.store import models as m
from syncengine.store.states import Stage
from tests.contract.kernel.level_world import SWEEP_S, Levelled, levelled, links_of, row_of, wanted
from tests.contract.kernel.world import Plain, World

STAGES = (Stage.FETCH, Stage.TRANSFORM, Stage.PUSH)


@pytest.fixture
def shop(make_world: Callable[..., World]) -> Levelled:
    """Two codes, equal on both sides, linked by the first sweep."""
    made = levelled(make_world)
    made.pair("A", 10, 10)
    made.pair("B", 5, 5)
    made.load()
    return made


@pytest.fixture
def many(make_world: Callable[..., World]) -> Levelled:
    """Thirty codes with ten of each."""
    made = levelled(make_world)
    for number in range(30):
        made.pair(f"{number:02}", 10, 10)
    made.load()
    return made


def _set(world: Levelled, numbers: range, quantity: int) -> None:
    for number in numbers:
        world.put(f"{number:02}", main=quantity)


def _open(world: Levelled, **more: timedelta) -> int:
    world.time.pass_(1)
    return ceiling.open_(world.engine, "main", "stock", by="Kim", **more).let_go


# -- ceilings ----------------------------------------------------------------------------------------------------------


def test_falls_pass_a_ceiling_that_is_shut_by_the_number_of_rises(many: Levelled) -> None:
    many.configure(ceilings={"stock": 3})
    _set(many, range(6), 12)
    many.tick(300)
    assert (len(many.changes()), many.state("05")) == (3, ("held", "ceiling"))

    _set(many, range(10, 20), 4)
    many.tick(300)
    assert len(many.changes()) == 13
    assert _open(many) == 3
    many.settle(patience_s=300)
    assert len(many.changes()) == 16


@pytest.mark.one_database
def test_a_ceiling_counts_rises_only(many: Levelled) -> None:
    many.configure(ceilings={"stock": 3})
    _set(many, range(10, 20), 4)
    _set(many, range(3), 12)
    many.tick(300)
    assert len(many.changes()) == 13
    (state,) = ceiling.listed(many.engine)
    assert (state.sent, state.shut_at) == (3, None)


@pytest.mark.one_database
def test_an_item_whose_rise_is_held_for_the_ceiling_still_falls_elsewhere(many: Levelled) -> None:
    many.configure(ceilings={"stock": 0})
    many.shop.stock("P07", main=10, side=10)
    many.put("07", main=12, side=3)
    many.tick(300)
    assert (many.changes(), many.state("07")) == (["P07 side 10>3"], ("held", "ceiling"))
    many.put("07", main=12, side=1)
    many.tick(300)
    assert many.changes() == ["P07 side 10>3", "P07 side 3>1"]


def test_the_guard_against_vanishing_counts_an_hour_and_stops_falls_too(many: Levelled) -> None:
    many.set(vanish_share=0.8)  # of 30: 24
    _set(many, range(20), 0)
    many.tick(60)
    assert len(many.changes()) == 20
    _set(many, range(20, 30), 0)
    many.tick(60)
    assert len(many.changes()) == 20
    assert many.state("25") == ("held", "ceiling")
    _set(many, range(20, 21), 4)
    many.tick(60)
    assert len(many.changes()) == 20  # no level at all is written now

    assert _open(many) == 10
    many.settle(patience_s=60)
    assert len(many.changes()) == 30


@pytest.mark.one_database
def test_levels_that_vanished_more_than_an_hour_ago_do_not_count(many: Levelled) -> None:
    many.set(vanish_share=0.8)
    _set(many, range(20), 0)
    many.tick(60)
    many.time.pass_(3600)
    _set(many, range(20, 30), 0)
    many.tick(60)
    assert len(many.changes()) == 30


@pytest.mark.one_database
def test_a_call_that_is_repeated_does_not_let_levels_vanish_twice(many: Levelled) -> None:
    many.set(vanish_share=0.8)
    many.right.faults = ["down", "down", "busy"]
    _set(many, range(20), 0)
    many.tick(600)
    assert len(many.changes()) == 20
    assert [state.shut_at for state in ceiling.listed(many.engine)] == [None]


@pytest.mark.one_database
def test_after_an_opening_the_number_of_rises_stops_rises_alone_again(many: Levelled) -> None:
    many.set(vanish_share=0.7)
    many.configure(ceilings={"stock": 3})
    _set(many, range(25), 0)
    many.tick(60)
    assert len(many.changes()) < 25
    _open(many, uncounted=timedelta(minutes=5))
    many.settle(patience_s=600)
    assert len(many.changes()) == 25
    many.time.pass_(3600)
    many.forget_calls()
    _set(many, range(10), 8)
    _set(many, range(25, 30), 4)
    many.tick(300)
    assert sum(change.endswith(">4") for change in many.changes()) == 5
    _set(many, range(25, 30), 2)
    many.tick(300)
    assert sum(change.endswith(">2") for change in many.changes()) == 5


@pytest.mark.one_database
def test_one_opening_releases_all_that_the_guard_has_stopped(make_world: Callable[..., World]) -> None:
    many = levelled(make_world, batch=50)
    for number in range(30):
        many.pair(f"{number:02}", 10, 10)
    many.load()
    many.set(vanish_share=0.1)  # 20 at least
    _set(many, range(30), 0)
    many.tick(60)
    assert many.changes() == []
    _open(many)
    many.settle(patience_s=60)
    assert len(many.changes()) == 30


def test_less_than_nothing_is_written_as_nothing_and_a_person_is_told_until_it_is_over(shop: Levelled) -> None:
    shop.put("A", main=-2)
    shop.tick()
    shop.tick()
    assert shop.changes() == ["PA main 10>0"]
    assert shop.failures() == [("A", "main", "the level is below 0 and is written as 0")]
    shop.put("A", main=4)
    shop.tick(300)
    assert (shop.changes()[1:], shop.failures()) == (["PA main 0>4"], [])


# -- killed workers ----------------------------------------------------------------------------------------------------


class _Killed(BaseException):
    """As when the process is killed: nothing behind it runs."""


def _kill(world: Levelled, monkeypatch: pytest.MonkeyPatch, point: int, calls: list[int]) -> None:
    """Let the worker die at its `point`-th write to the store from now on, before that is committed."""
    write = world.store.write

    def dying(**more: bool) -> object:
        calls.append(1)
        if len(calls) == point:
            raise _Killed
        return write(**more)

    monkeypatch.setattr(world.store, "write", dying)
    monkeypatch.setattr(running, "_crashed", lambda engine, lease, error: None)


@pytest.mark.one_database
@pytest.mark.parametrize("target", [3, 17])
def test_a_worker_that_is_killed_at_any_point_changes_the_level_once(
    shop: Levelled, monkeypatch: pytest.MonkeyPatch, target: int
) -> None:
    for point in range(1, 40):
        calls: list[int] = []
        before = len(shop.shop.journal.moved)
        shop.time.pass_(60)
        start = shop.shop.level("PA")
        wanted = target if start == 10 else 10
        with monkeypatch.context() as patch:
            shop.put("A", main=wanted)
            shop.want("stock", "A")
            shop.pump()
            _kill(shop, patch, point, calls)
            try:
                while shop.backlog():
                    while shop.messages:
                        shop.run_message(shop.messages.pop(0))
                    shop.time.pass_(5)
                    shop.pump()
            except _Killed:
                pass
        shop.messages.clear()
        shop.settle(patience_s=2000)
        assert (shop.shop.level("PA"), len(shop.shop.journal.moved)) == (wanted, before + 1), point
        if len(calls) < point:
            return
    raise AssertionError("the worker writes more often than expected")


@pytest.mark.one_database
def test_a_worker_that_is_killed_during_the_call_leaves_an_unknown_write(shop: Levelled) -> None:
    def killed(operation: object) -> None:
        raise KeyboardInterrupt

    shop.put("A", main=3)
    message = shop.begun("stock", "A", Stage.FETCH, Stage.TRANSFORM)
    shop.right.during_write = killed
    with pytest.raises(KeyboardInterrupt):
        shop.step(message, Stage.PUSH)
    shop.right.during_write = None
    shop.settle(patience_s=600)
    assert shop.changes() == ["PA main 10>3"]
    assert "not found in the target" in shop.timeline("stock", "A")


# -- people ------------------------------------------------------------------------------------------------------------


def _contradicted(shop: Levelled) -> None:
    shop.right.faults = ["unheard"]
    shop.put("A", main=3)
    shop.tick()
    shop.shop.journal.hidden.add(shop.shop.journal.moved[-1].note)
    shop.settle(patience_s=1200)
    assert shop.state("A") == ("held", "unknown write")


@pytest.mark.parametrize("took_effect", [True, False])
def test_a_held_contradiction_is_settled_by_a_person(shop: Levelled, took_effect: bool) -> None:
    _contradicted(shop)
    record = shop.record("stock", "A")
    with shop.store.read() as session:
        doubt = manual_settlement.unknown_write_of(session, shop.engine, record)
    if took_effect:
        manual_settlement.happened(shop.engine, record, doubt, "", by="anna")
    else:
        shop.shop.move("PA", 7, kind="SC")  # it was undone
        manual_settlement.did_not(shop.engine, record, doubt, by="anna")
    shop.settle(patience_s=600)
    assert shop.state("A")[0] == "done"
    assert (shop.shop.level("PA"), len(shop.changes())) == (3, 1 if took_effect else 2)


@pytest.mark.one_database
def test_an_observed_connection_links_and_writes_nothing(make_world: Callable[..., World]) -> None:
    shop = levelled(make_world)
    shop.configure(mode="observe")
    shop.pair("A", 3, 10)
    shop.pair("B", 12, 10)
    shop.tick(600)
    assert (shop.changes(), links_of(shop)) == ([], [("A", "PA"), ("B", "PB")])
    assert shop.state("A") == ("skipped", "observed")
    assert shop.state("B") == ("skipped", "observed")
    assert row_of(shop, m.Effect) == []


@pytest.mark.one_database
def test_a_sync_of_one_code_compares_both_sides(shop: Levelled) -> None:
    shop.shop.objects["PA"]["places"][0]["level"] = 4  # no movement tells of it
    sync.run(shop.engine, sync.Request("stock", ids=("A",)))
    shop.settle(patience_s=120)
    assert shop.changes() == ["PA main 4>10"]


@pytest.mark.one_database
def test_a_dry_run_knows_what_is_in_transit(shop: Levelled) -> None:
    shop.shop.move("PA", -4)
    shop.tick(60)
    route = shop.engine.route(shop.connection_id, "stock")
    (found,) = preview.preview(route, ["A"])
    assert not isinstance(found.outcome, Rejected)
    assert (found.outcome.steps, found.outcome.reason) == ((), WITHIN)


@pytest.mark.one_database
def test_an_unlinked_code_is_left_alone_until_a_person_links_it_with_another_product(shop: Levelled) -> None:
    record = shop.record("stock", "A")
    with shop.store.read() as session:
        link = manual.link_of(session, shop.engine, record)
    manual.unlink(shop.engine, record, link, by="anna", because="the wrong product")
    shop.put("A", main=3)
    shop.tick(300)
    shop.time.pass_(SWEEP_S)
    shop.tick(300)
    assert (shop.changes(), links_of(shop)) == ([], [("B", "PB")])

    shop.shop.stock("PX", main=7)
    pairing = manual_links.inspect(shop.engine, shop.connection_id, "stock", "A", "PX")
    manual_links.join(shop.engine, pairing, by="anna")
    shop.settle(patience_s=300)
    assert (shop.changes(), links_of(shop)[-1]) == (["PX main 7>3"], ("A", "PX"))


@pytest.mark.one_database
def test_an_ignored_code_is_wanted_by_no_sweep(shop: Levelled) -> None:
    manual.ignore(shop.engine, shop.record("stock", "A"), by="anna", because="a sample")
    shop.put("A", main=3)
    for _ in range(2):
        shop.time.pass_(SWEEP_S)
        shop.tick(300)
    assert (shop.changes(), shop.state("A")) == ([], ("skipped", "ignored"))


@pytest.mark.one_database
def test_a_product_that_is_deleted_is_skipped(shop: Levelled) -> None:
    del shop.shop.objects["PA"]
    shop.put("A", main=3)
    shop.tick(300)
    assert (shop.changes(), shop.state("A")) == ([], ("skipped", "no stock"))


def _strict(doc: Doc, context: Context) -> Doc:
    if doc["rows"] == "bad":
        raise Rejected(field="rows", value="bad", reason="no quantities", remedy="correct it")
    return wanted(doc, context)


@pytest.fixture
def strict(make_world: Callable[..., World]) -> Levelled:
    """A code whose document cannot be mapped."""
    made = levelled(make_world, mapping=Plain(_strict))
    made.pair("A", 10, 10)
    made.load()
    made.left.put("stock", "A", rows="bad")
    made.tick(60)
    assert made.state("A")[0] == "dead"
    return made


@pytest.mark.one_database
def test_a_correction_of_a_source_document_lasts_until_the_document_changes(strict: Levelled) -> None:
    (letter,) = [failure.id for failure in row_of(strict, m.Failure) if failure.closed_at is None]
    source = dead_letter_detail.source_of(strict.engine, letter)
    patch = [
        {"op": "test", "path": "/rows", "value": "bad"},
        {"op": "replace", "path": "/rows", "value": {"main": 14}},
    ]
    dead_letter_detail.correct(strict.engine, source, patch, because="it has 14", by="anna")
    strict.settle(patience_s=300)
    assert strict.changes() == ["PA main 10>14"]
    strict.shop.move("PA", 3, kind="SC")
    strict.tick(300)
    assert strict.changes() == ["PA main 10>14", "PA main 17>14"]
    assert "correction lapsed" not in strict.timeline("stock", "A")

    strict.left.put("stock", "A", rows={"main": 12})
    strict.tick(300)
    assert strict.changes()[2:] == ["PA main 14>12"]
    assert "correction lapsed" in strict.timeline("stock", "A")


@pytest.mark.one_database
def test_a_discarded_letter_rests_while_its_document_is_unchanged(strict: Levelled) -> None:
    letters = [failure for failure in row_of(strict, m.Failure) if failure.closed_at is None]
    dead_letter_bulk.discard(strict.engine, letters, because="a sample", by="anna")
    strict.time.pass_(600)
    strict.want("stock", "A")
    strict.settle(patience_s=60)
    assert strict.state("A") == ("skipped", "discarded")


@pytest.mark.one_database
def test_documents_are_kept_without_the_mark_for_what_compares_them(shop: Levelled) -> None:
    before = len(row_of(shop, m.Payload))
    shop.time.pass_(SWEEP_S)
    shop.tick(60)
    assert shop.record("stock", "A").wanted == 1
    with shop.store.read() as session:
        kept = payloads.load(session, shop.engine.vault, "context", [shop.record("stock", "A").id])
    assert kept
    assert len(row_of(shop, m.Payload)) == before


# -- movements ---------------------------------------------------------------------------------------------------------


def _movement(world: Levelled, ref: str, days: int, **more: object) -> m.Movement:
    at = world.time.at - timedelta(days=days)
    both: dict[str, object] = dict.fromkeys(("left_after", "left_by", "right_after", "right_by"), at)
    return m.Movement(
        connection_id=world.connection_id, side="right", ref=ref, item="PA", place="main", quantity="1", at=at,
        noted_at=at, **{**both, **more},
    )  # fmt: skip


def test_movements_are_kept_until_both_systems_have_had_them_for_a_week(shop: Levelled) -> None:
    unknown: dict[str, object] = {"left_by": None}
    with shop.store.write() as session:
        session.add_all(
            [
                _movement(shop, "over", 8),
                _movement(shop, "young", 6),
                _movement(shop, "not posted", 400, **unknown),
                _movement(shop, "posted late", 20, left_by=shop.time.at - timedelta(days=2)),
                _movement(shop, "a correction", 8, correction=True, is_ours=True, left_by=None),
                _movement(shop, "last", 0),
            ]
        )
    foreseen = retention.foresee(shop.engine, Kept())
    removed = retention.remove(shop.engine, Kept())
    assert removed is not None
    assert (foreseen.counts["movements"], removed.counts["movements"]) == (2, 2)
    assert [row.ref for row in row_of(shop, m.Movement)] == ["young", "not posted", "posted late", "last"]

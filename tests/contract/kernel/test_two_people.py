"""Two people and a worker: a decision carries what was seen, and takes nothing that has changed since.

The timeline shows how each decision ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from syncengine.connectors.base import Safety, Verb
from syncengine.document import Doc
from syncengine.engine.core import failures
from syncengine.engine.core.decisions import LASTS
from syncengine.engine.decide import patches
from syncengine.engine.people import (
    dead_letter_bulk,
    dead_letter_detail,
    dead_letters,
    held,
    manual,
    manual_links,
    manual_settlement,
)
from syncengine.engine.people.held import Held
from syncengine.engine.steps import corrections
from syncengine.engine.traffic import endpoints
from syncengine.engine.writes.unsettled import UnknownWrite
from syncengine.errors import Misconfigured, Rejected
from syncengine.mapping.contract import Context, FieldGroup, Policy, RuleDecision, RuleVerdict
from syncengine.store import models as m
from syncengine.store.states import Stage
from tests.contract.kernel.world import Fake, Plain, World, by_name, flow, two_way

DAY_S = 86_400.0


def _dear(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.HOLD, "over the credit limit") if doc.get("dear") else RuleDecision()


@pytest.fixture
def shop(make_world: Callable[..., World]) -> World:
    """One flow; lamp 1 is dear, and held by a rule."""
    world = make_world(flow("things", Plain(by_name, rules=_dear)))
    world.left.put("things", "1", name="a lamp", dear=True)
    world.sync("things", "1")
    return world


def _held(world: World, key: str = "1") -> Held:
    with world.store.read() as session:
        return held.of_record(session, world.engine, world.record("things", key))


def _approve(world: World, *found: Held, by: str = "anna") -> None:
    held.approve(world.engine, found or [_held(world)], by=by)


def _told(world: World, what: str, key: str = "1") -> list[Doc]:
    with world.store.read() as session:
        query = select(m.Event.detail).where(m.Event.what == what, m.Event.key == key).order_by(m.Event.id)
        return [dict(detail) for detail in session.scalars(query)]


def _standing(world: World) -> list[str]:
    with world.store.read() as session:
        return list(session.scalars(select(m.Decision.verdict).where(m.Decision.lapsed_at.is_(None))))


# -- approved and refused ----------------------------------------------------------------------------------------------


@pytest.mark.one_database
@pytest.mark.parametrize("steps", [0, 2, 3], ids=["approved", "on its way", "written"])
def test_what_another_has_approved_is_not_refused_on_an_old_list(shop: World, steps: int) -> None:
    berts = _held(shop)
    _approve(shop)
    shop.pump()
    message = shop.messages.pop()
    for stage in (Stage.FETCH, Stage.TRANSFORM, Stage.PUSH)[:steps]:
        shop.step(message, stage)
    with pytest.raises(Misconfigured, match="No changes made"):
        held.refuse(shop.engine, [berts], by="bert", because="the customer is insolvent")

    assert _told(shop, "refused") == []
    for stage in (Stage.FETCH, Stage.TRANSFORM, Stage.PUSH)[steps:]:
        shop.step(message, stage)
    assert shop.right.writes == [("create", "1", "R1")]


@pytest.mark.one_database
def test_what_another_has_refused_is_not_approved_on_an_old_list(shop: World) -> None:
    berts = _held(shop)
    held.refuse(shop.engine, [_held(shop)], by="anna", because="the customer is insolvent")
    with pytest.raises(Misconfigured, match="it was refused by anna: the customer is insolvent"):
        _approve(shop, berts, by="bert")
    shop.settle(patience_s=300)
    with pytest.raises(Misconfigured, match="it is no longer held"):
        _approve(shop, berts, by="bert")

    assert (shop.right.writes, _standing(shop)) == ([], ["refused"])


@pytest.mark.one_database
def test_an_approved_create_does_not_change_what_an_earlier_create_has_made(
    make_world: Callable[..., World],
) -> None:
    """The pair was unlinked, and is found by its reference: what is there was not shown to who approved."""
    group = FieldGroup("name", ("name",), ("name",), Policy.LEFT)
    world = make_world(two_way("things", [group], rules=_dear))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "left:1")
    with world.store.read() as session:
        record = world.record("things", "left:1")
        link = manual.link_of(session, world.engine, record)
    manual.unlink(world.engine, record, link, by="bert", because="not the same")
    world.left.put("things", "1", name="a dear lamp", dear=True)
    manual.unignore(world.engine, world.record("things", "left:1"), by="anna")
    world.settle(patience_s=600)
    world.time.pass_(60)
    _approve(world, _held(world, "left:1"))
    world.settle(patience_s=600)

    assert world.right.writes == [("create", "1", "R1")]
    assert world.record("things", "left:1").status == "held"
    assert [detail["was"] for detail in _told(world, "decision lapsed", "left:1")] == ["approved by anna"]


@pytest.mark.one_database
def test_who_has_seen_the_decision_may_put_another_in_its_place(shop: World) -> None:
    _approve(shop)
    held.refuse(shop.engine, [_held(shop)], by="bert", because="the customer is insolvent")
    shop.settle(patience_s=300)

    assert shop.right.writes == []
    assert _told(shop, "decision lapsed") == [{"was": "approved by anna", "because": "refused by bert instead"}]


@pytest.mark.one_database
def test_of_many_those_are_taken_that_are_as_they_were_shown_and_the_others_named(shop: World) -> None:
    for key in ("2", "3"):
        shop.left.put("things", key, name="a lamp", dear=True)
    shop.sync("things", "2", "3")
    seen = [_held(shop, key) for key in ("1", "2", "3")]
    shop.left.put("things", "2", name="two lamps")
    shop.sync("things", "2")
    manual.ignore(shop.engine, shop.record("things", "3"), by="bert", because="a test")
    done = held.approve(shop.engine, seen, by="anna")
    shop.settle(patience_s=300)

    assert (done.count, [str(one) for one in done.left]) == (1, [
        "things 2: it is now held by another plan: over the credit limit",
        "things 3: it is no longer held: ignored by bert: a test; `syncengine ignore 3 --undo` syncs it again",
    ])  # fmt: skip
    assert [natural for _, natural, _ in shop.right.writes] == ["1"]


@pytest.mark.one_database
def test_what_is_held_is_decided_on_while_its_endpoint_is_down(shop: World) -> None:
    """The hourly look at it has failed meanwhile: it is held for what it was, and is approved as it was shown."""
    one = _held(shop)
    shop.left.down = True
    shop.want("things", "1")
    shop.settle(patience_s=60)
    assert (_held(shop).hold, shop.record("things", "1").reason) == ("rule", "over the credit limit")
    _approve(shop, one)
    shop.left.down = False
    shop.settle(patience_s=600)

    assert [natural for _, natural, _ in shop.right.writes] == ["1"]


@pytest.mark.one_database
def test_an_approval_is_of_what_is_written_over_too(make_world: Callable[..., World]) -> None:
    """Approved was `a lamp -> a costly lamp`; meanwhile the target's people enter `sold out`."""
    world = make_world(flow("things", Plain(by_name, rules=_dear, policies={"name": Policy.ENFORCE})))
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.left.put("things", "1", name="a costly lamp", dear=True)
    world.sync("things", "1")
    one = _held(world)
    world.right.put("things", "R1", name="sold out")
    _approve(world, one)
    world.settle(patience_s=300)

    assert world.right.objects["things"]["R1"]["name"] == "sold out"
    assert [one["was"] for one in _told(world, "decision lapsed")] == ["approved by anna"]


@pytest.mark.one_database
def test_an_approval_is_used_up_once_it_is_carried_out(shop: World) -> None:
    _approve(shop)
    shop.settle(patience_s=300)
    assert _told(shop, "decision carried out") == [{"was": "approved by anna"}]
    assert _standing(shop) == []
    record = shop.record("things", "1")
    with shop.store.read() as session:
        link = manual.link_of(session, shop.engine, record)
    manual.unlink(shop.engine, record, link, by="bert", because="the wrong customer")
    del shop.right.objects["things"]["R1"]
    shop.time.pass_(40 * DAY_S)
    manual.unignore(shop.engine, shop.record("things", "1"), by="bert")
    shop.settle(patience_s=600)

    assert (len(shop.right.writes), shop.record("things", "1").status) == (1, "held")


@pytest.mark.one_database
@pytest.mark.parametrize("fault", ["busy", "lost", "unheard"])
def test_an_approval_holds_until_all_parts_are_written(make_world: Callable[..., World], fault: str) -> None:
    def parts(doc: Doc, context: Context) -> Doc:
        return {"A": by_name(doc, context), "B": {**by_name(doc, context), "ref": doc["id"] + "/B"}}

    world = make_world(flow("things", Plain(parts, parts=True, rules=_dear)))
    world.left.put("things", "1", name="a lamp", dear=True)
    world.sync("things", "1")
    world.right.faults += ["", fault]
    _approve(world)
    world.settle(patience_s=1200)

    assert [natural for _, natural, _ in world.right.writes] == ["1", "1/B"]
    assert (_standing(world), len(_told(world, "decision carried out"))) == ([], 1)


@pytest.mark.one_database
def test_what_is_left_of_an_approved_plan_is_written_only_if_the_rest_was(make_world: Callable[..., World]) -> None:
    """Approved were two parts; by now the source wants one of them alone, and nobody has seen that."""

    def parts(doc: Doc, context: Context) -> Doc:
        return {part: {**by_name(doc, context), "ref": f"{doc['id']}/{part}"} for part in doc["parts"]}

    world = make_world(flow("things", Plain(parts, parts=True, rules=_dear)))
    world.left.put("things", "1", name="a lamp", dear=True, parts=["A", "B"])
    world.sync("things", "1")
    one = _held(world)
    world.left.put("things", "1", parts=["A"])
    _approve(world, one)
    world.settle(patience_s=300)

    assert (world.right.writes, world.record("things", "1").status) == ([], "held")


@pytest.mark.one_database
@pytest.mark.parametrize("what", ["ignored", "linked", "too old"])
def test_an_approval_ends_with_what_overrules_it(shop: World, what: str) -> None:
    shop.right.down = True
    _approve(shop)
    if what == "ignored":
        manual.ignore(shop.engine, shop.record("things", "1"), by="bert", because="bankrupt")
        shop.right.down = False
        shop.time.pass_(5 * DAY_S)
        manual.unignore(shop.engine, shop.record("things", "1"), by="carl")
    elif what == "linked":
        shop.right.down = False
        shop.right.put("things", "R7", name="another lamp", ref="of somebody")
        manual_links.join(
            shop.engine, manual_links.inspect(shop.engine, shop.connection_id, "things", "1", "R7"), by="bert"
        )
    else:
        shop.settle(patience_s=300)
        shop.time.pass_((LASTS + timedelta(days=1)).total_seconds())
        shop.right.down = False
    shop.settle(patience_s=8000)

    assert shop.right.writes == []
    assert shop.record("things", "1").status == "held"
    [lapsed] = _told(shop, "decision lapsed")
    assert lapsed["because"] in ("ignored by bert", "linked by bert", "it could not be carried out within 30 days")


# -- dead letters ------------------------------------------------------------------------------------------------------


def _or_refuse(doc: Doc, context: Context) -> Doc:
    if "bad" in (doc["name"], doc.get("size")):
        raise Rejected(field="name", value="bad", reason="no such thing", remedy="correct it")
    return {"ref": doc["id"], "name": doc["name"], "size": doc.get("size")}


@pytest.fixture
def dead(make_world: Callable[..., World]) -> World:
    """Thing 1 has a dead letter, since its name and its size are bad; 2 has one for its name."""
    world = make_world(flow("things", Plain(_or_refuse)))
    world.left.put("things", "1", name="bad", size="bad")
    world.left.put("things", "2", name="bad")
    world.sync("things", "1", "2")
    return world


def _letters(world: World) -> Sequence[m.Failure]:
    with world.store.read() as session:
        return [one for one, _ in dead_letters.listed(session)]


def _letter(world: World, key: str) -> int:
    return next(one.id for one in _letters(world) if one.key == key)


def test_what_the_source_has_corrected_is_not_discarded_with_its_letter(dead: World) -> None:
    letters = _letters(dead)
    dead.left.put("things", "1", name="a lamp", size="small")
    dead.want("things", "1")  # a feed has listed it, and nobody has come to it yet
    dead_letter_bulk.discard(dead.engine, letters, because="test orders", by="anna")
    dead.settle(patience_s=300)

    assert [natural for _, natural, _ in dead.right.writes] == ["1"]
    assert dead.record("things", "2").reason == "discarded by anna: test orders"


@pytest.mark.one_database
def test_a_discarded_record_that_was_only_asked_for_again_rests(dead: World) -> None:
    letters = _letters(dead)
    dead_letters.retry(dead.engine, [one.id for one in letters], by="bert")
    dead_letter_bulk.discard(dead.engine, letters, because="test orders", by="anna")
    dead.settle(patience_s=300)

    assert {dead.record("things", key).reason for key in ("1", "2")} == {"discarded by anna: test orders"}
    assert dead.failures() == []


@pytest.mark.one_database
def test_a_letter_whose_record_is_held_by_now_is_not_discarded(make_world: Callable[..., World]) -> None:
    """It was corrected, and is held since it is dear: its letter is open until it is written."""
    world = make_world(flow("things", Plain(_or_refuse, rules=_dear)))
    for key in ("1", "2"):
        world.left.put("things", key, name="bad", dear=key == "1")
    world.sync("things", "1", "2")
    letters = _letters(world)
    source = dead_letter_detail.source_of(world.engine, _letter(world, "1"))
    patch = patches.of_values(source.present, ["name=good"])
    dead_letter_detail.correct(world.engine, source, patch, because="x", by="anna")
    world.settle()
    _approve(world)
    done = dead_letter_bulk.discard(world.engine, letters, because="test orders", by="bert")
    world.settle(patience_s=300)

    assert [str(one) for one in done.left] == ["things 1: it is now held: over the credit limit"]
    assert [natural for _, natural, _ in world.right.writes] == ["1"]


def test_a_letter_that_was_discarded_meanwhile_is_not_opened_by_a_retry(dead: World) -> None:
    letters = _letters(dead)
    dead_letter_bulk.discard(dead.engine, letters[:1], because="a test order", by="bert")
    done = dead_letters.retry(dead.engine, [one.id for one in letters], by="anna", closed_too=True, reopens=())

    assert done == 1
    assert len(_letters(dead)) == 1


def test_two_corrections_of_one_letter_are_not_made_on_top_of_one_another_unseen(dead: World) -> None:
    id_ = _letter(dead, "1")
    annas, berts = dead_letter_detail.source_of(dead.engine, id_), dead_letter_detail.source_of(dead.engine, id_)
    dead_letter_detail.correct(
        dead.engine, annas, patches.of_values(annas.present, ["name=good"]), because="x", by="anna"
    )
    berts_patch = patches.of_values(berts.present, ["size=good"])
    with pytest.raises(Misconfigured, match="anna has corrected /name meanwhile"):
        dead_letter_detail.correct(dead.engine, berts, berts_patch, because="x", by="bert")
    again = dead_letter_detail.source_of(dead.engine, id_)
    assert again.active is not None
    both = [*again.active.patch, *patches.of_values(again.present, ["size=good"])]
    dead_letter_detail.correct(dead.engine, again, both, because="x", by="bert")
    dead.settle(patience_s=300)

    with dead.store.read() as session:
        current = corrections.active(session, dead.vault, [dead.record("things", "1").id])
    assert [one.paths for one in current.values()] == [["/name", "/size"]]
    assert dead.right.objects["things"]["R1"]["size"] == "good"


def test_a_correction_of_a_letter_that_was_closed_meanwhile_is_refused(dead: World) -> None:
    berts = dead_letter_detail.source_of(dead.engine, _letter(dead, "2"))
    dead.left.put("things", "2", name="a lamp")
    dead.sync("things", "2")
    with pytest.raises(Misconfigured, match="was closed while you corrected it: it succeeded later"):
        dead_letter_detail.correct(
            dead.engine, berts, patches.of_values(berts.present, ["name=old"]), because="x", by="bert"
        )
    dead.settle(patience_s=300)

    assert dead.right.objects["things"]["R1"]["name"] == "a lamp"


@pytest.mark.one_database
def test_a_correction_that_was_withdrawn_meanwhile_is_not_made_again_unseen(dead: World) -> None:
    """bert makes his on top of anna's, who finds that hers was wrong while he types."""
    id_ = _letter(dead, "1")
    annas = dead_letter_detail.source_of(dead.engine, id_)
    dead_letter_detail.correct(
        dead.engine, annas, patches.of_values(annas.present, ["name=good"]), because="x", by="anna"
    )
    berts = dead_letter_detail.source_of(dead.engine, id_)
    assert berts.active is not None
    both = [*berts.active.patch, *patches.of_values(berts.present, ["size=good"])]
    dead_letter_detail.withdraw(dead.engine, id_, by="anna")
    with pytest.raises(Misconfigured, match="the correction of /name by anna has ended meanwhile: withdrawn by anna"):
        dead_letter_detail.correct(dead.engine, berts, both, because="x", by="bert")
    dead.settle(patience_s=300)

    assert dead.right.writes == []


def test_a_letter_that_was_corrected_meanwhile_is_not_discarded(dead: World) -> None:
    letters = _letters(dead)
    annas = dead_letter_detail.source_of(dead.engine, _letter(dead, "2"))
    dead_letter_detail.correct(
        dead.engine, annas, patches.of_values(annas.present, ["name=good"]), because="x", by="anna"
    )
    done = dead_letter_bulk.discard(dead.engine, letters, because="test orders", by="bert")
    dead.settle(patience_s=300)

    assert [str(one) for one in done.left] == ["things 2: anna has corrected /name, which was not tried yet"]
    assert [natural for _, natural, _ in dead.right.writes] == ["2"]


@pytest.mark.one_database
def test_what_needs_a_look_stays_open_when_its_object_is_ignored(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    with world.store.write() as session:
        record = world.record("things", "1")
        failures.open_attention(session, record, "the journal could not be posted", world.time.at)
    manual.ignore(world.engine, world.record("things", "1"), by="anna", because="it is finished")

    assert [cause for _, _, cause in world.failures()] == ["the journal could not be posted"]


@pytest.mark.one_database
def test_an_approval_ends_with_the_discard_of_its_record(shop: World) -> None:
    shop.right.faults.append("refused")
    _approve(shop)
    shop.settle(patience_s=300)
    letters = _letters(shop)
    dead_letter_bulk.discard(shop.engine, letters, because="do not send it", by="bert")
    shop.time.pass_(20 * DAY_S)
    dead_letters.retry(shop.engine, [one.id for one in letters], by="carl")
    shop.settle(patience_s=300)

    assert (shop.right.writes, shop.record("things", "1").status) == ([], "held")
    assert [one["because"] for one in _told(shop, "decision lapsed")] == ["discarded by bert"]


# -- links -------------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
def test_a_link_that_another_has_made_meanwhile_is_not_taken_away(world: World) -> None:
    """bert was shown `1 and R1`; anna has unlinked these, and linked 1 with R77."""
    world.left.put("things", "1", name="a lamp")
    world.sync("things", "1")
    world.right.put("things", "R77", name="a lamp", ref="1")
    record = world.record("things", "1")
    with world.store.read() as session:
        berts = manual.link_of(session, world.engine, record)
    manual.unlink(world.engine, record, berts, by="anna", because="the wrong one")
    manual_links.join(
        world.engine, manual_links.inspect(world.engine, world.connection_id, "things", "1", "R77"), by="anna"
    )
    world.settle(patience_s=300)
    with pytest.raises(Misconfigured, match="1 and R1 are not linked any more"):
        manual.unlink(world.engine, world.record("things", "1"), berts, by="bert", because="not the same")

    assert (world.links("things"), world.record("things", "1").ignored) == ([("1", "", "R77")], "")


def test_what_was_ignored_while_somebody_looked_is_not_linked(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.put("things", "R7", name="a lamp", ref="1")
    pairing = manual_links.inspect(world.engine, world.connection_id, "things", "1", "R7")
    with world.store.write() as session:
        record = manual.get_or_create(session, world.engine, world.connection_id, "things", "1", world.time.at)
    manual.ignore(world.engine, record, by="bert", because="a test order")
    with pytest.raises(Misconfigured, match="was ignored meanwhile"):
        manual_links.join(world.engine, pairing, by="anna")

    assert manual_links.inspect(world.engine, world.connection_id, "things", "1", "R7").ignored == "bert: a test order"


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("parts", "part", "says"),
    [
        (None, "EUR", "things has no parts"),
        (("EUR",), "", "1 is mapped to EUR, not to no part"),
        (("EUR",), "GBP", "1 is mapped to EUR, not to part 'GBP'"),
    ],
)
def test_two_objects_are_linked_in_a_part_to_which_the_source_is_mapped(
    make_world: Callable[..., World], parts: Sequence[str] | None, part: str, says: str
) -> None:
    def to(doc: Doc, context: Context) -> Doc:
        return by_name(doc, context) if parts is None else {one: by_name(doc, context) for one in parts}

    world = make_world(flow("things", Plain(to, parts=parts is not None)))
    world.left.put("things", "1", name="a lamp")
    world.right.put("things", "R77", name="a lamp", ref="1")
    with pytest.raises(Misconfigured, match=says):
        manual_links.inspect(world.engine, world.connection_id, "things", "1", "R77", part=part)
    pairing = manual_links.inspect(
        world.engine, world.connection_id, "things", "1", "R77", part=parts[0] if parts else ""
    )
    manual_links.join(world.engine, pairing, by="anna")
    world.settle(patience_s=600)

    assert world.right.writes == []


@pytest.mark.one_database
def test_two_objects_of_a_pair_are_linked_in_no_part(make_world: Callable[..., World]) -> None:
    world = make_world(two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)]))
    world.left.put("things", "1", name="a lamp")
    world.right.put("things", "R7", name="a lamp", ref="1")
    with pytest.raises(Misconfigured, match="things has no parts, so 1 has no part 'EUR'"):
        manual_links.inspect(world.engine, world.connection_id, "things", "1", "R7", part="EUR")


@pytest.mark.one_database
def test_parts_that_are_created_beside_a_link_and_other_identities_are_shown(make_world: Callable[..., World]) -> None:
    def to(doc: Doc, context: Context) -> Doc:
        return {part: {"ref": f"{doc['id']}{part}", "name": doc["name"]} for part in ("EUR", "GBP")}

    world = make_world(flow("things", Plain(to, parts=True)), right={"identity": ("ref",)})
    world.left.put("things", "1", name="a lamp")
    world.right.put("things", "R77", name="a lamp", ref="of somebody")
    pairing = manual_links.inspect(world.engine, world.connection_id, "things", "1", "R77", part="EUR")

    assert list(pairing.creates) == ["GBP"]
    assert pairing.identity == "ref is 'of somebody' instead of '1EUR'"


# -- writes in doubt ---------------------------------------------------------------------------------------------------


def _doubt(make_world: Callable[..., World], fault: str, **right: object) -> tuple[World, m.Record, UnknownWrite]:
    asks = {Verb.CREATE: Safety.ASK, Verb.CHANGE: Safety.ABSOLUTE}
    world = make_world(flow("things", Plain(by_name)), right={"safety": asks, "identity": ("ref",), **right})
    world.left.put("things", "1", name="a payment")
    world.right.put("things", "R9", name="a stranger's", ref="of somebody else")
    world.right.faults.append(fault)
    world.sync("things", "1", patience_s=300)
    record = world.record("things", "1")
    with world.store.read() as session:
        return world, record, manual_settlement.unknown_write_of(session, world.engine, record)


@pytest.mark.one_database
def test_a_mistyped_key_does_not_link_a_strangers_object(make_world: Callable[..., World]) -> None:
    world, record, doubt = _doubt(make_world, "unheard")
    with pytest.raises(Misconfigured, match="ref is 'of somebody else' instead of '1'"):
        manual_settlement.happened(world.engine, record, doubt, "R9", by="anna")
    found = manual_settlement.find_object(world.engine, record, doubt, "R1")
    assert (found.key, found.document["name"]) == ("R1", "a payment")
    manual_settlement.happened(world.engine, record, doubt, "R1", by="anna")

    assert world.links("things") == [("1", "", "R1")]


@pytest.mark.one_database
def test_what_the_target_says_is_done_is_not_sent_again(make_world: Callable[..., World]) -> None:
    """It gave no key, and the search finds nothing: nobody but a person knows what to do."""
    world = make_world(flow("things", Plain(by_name)))
    world.left.put("things", "1", name="a lamp")
    world.right.faults.append("numberless")
    world.resources["right.things"].find = lambda keys: {}  # type: ignore[method-assign]
    world.sync("things", "1", patience_s=4000)
    record = world.record("things", "1")
    assert (len(world.right.writes), record.status) == (1, "held")
    assert record.reason == "the target has confirmed write 1 (create 1), but it cannot be found there"
    with world.store.read() as session:
        doubt = manual_settlement.unknown_write_of(session, world.engine, record)
    with pytest.raises(Misconfigured, match="without returning a key: it would be created twice"):
        manual_settlement.did_not(world.engine, record, doubt, by="anna")
    assert len(world.right.writes) == 1

    manual_settlement.did_not(world.engine, record, doubt, by="anna", although_done=True)
    world.settle(patience_s=10)
    assert len(world.right.writes) == 2


@pytest.mark.one_database
@pytest.mark.parametrize("says", ["it did not", "it happened"])
def test_a_write_that_was_sent_again_meanwhile_is_not_settled_by_an_old_look(
    make_world: Callable[..., World], says: str
) -> None:
    """anna has looked and found nothing; bert has it sent again before she answers, and that one happens unheard."""
    world, record, annas = _doubt(make_world, "lost")
    manual_settlement.did_not(world.engine, record, annas, by="bert")
    world.right.faults.append("unheard")
    world.settle(patience_s=300)
    assert (len(world.right.writes), world.record("things", "1").status) == (1, "held")
    settled = {
        "it did not": lambda: manual_settlement.did_not(world.engine, record, annas, by="anna"),
        "it happened": lambda: manual_settlement.happened(world.engine, record, annas, "R1", by="anna"),
    }
    with pytest.raises(Misconfigured, match="was sent again meanwhile"):
        settled[says]()
    world.settle(patience_s=300)

    assert len(world.right.writes) == 1


def test_a_pair_is_not_ignored_while_a_create_of_it_is_in_doubt(make_world: Callable[..., World]) -> None:
    """What that create may have made would wait on the other side for ever, since nobody looks for it any more."""
    world = make_world(two_way("things", [FieldGroup("name", ("name",), ("name",), Policy.LEFT)]))
    world.left.put("things", "1", name="a lamp")
    world.right.faults.append("unheard")
    world.sync("things", "left:1")
    with pytest.raises(
        Misconfigured, match=r"the outcome of write 1 \(create 1\) is unknown until its settle time is over"
    ):
        manual.ignore(world.engine, world.record("things", "left:1"), by="anna", because="a test")
    world.settle(patience_s=600)
    manual.ignore(world.engine, world.record("things", "left:1"), by="anna", because="a test")

    assert world.links("things") == [("1", "", "R1")]


# -- endpoints ---------------------------------------------------------------------------------------------------------


@pytest.mark.one_database
@pytest.mark.parametrize("by_a_person", [True, False])
def test_credentials_end_a_rest_for_want_of_them_and_no_persons_pause(
    world: World, monkeypatch: pytest.MonkeyPatch, by_a_person: bool
) -> None:
    monkeypatch.setattr(Fake, "trade", lambda connector, code: None, raising=False)
    until = world.time.at + timedelta(hours=1)
    with world.store.write() as session:
        endpoint = session.scalars(select(m.Endpoint).where(m.Endpoint.name == "right-1")).one()
        endpoint.paused_until, endpoint.is_paused_by_person = until, by_a_person
        endpoint.paused_by = "anna" if by_a_person else ""
    endpoints.authorise(world.engine, "right-1", "a code", by="bert")

    [listed] = [one for one in endpoints.listed(world.engine) if one.name == "right-1"]
    assert listed.paused_until == (until if by_a_person else None)


def test_a_pause_is_not_shortened_by_somebody_else(world: World) -> None:
    now = world.time.at
    endpoints.pause(world.engine, "right-1", until=now + timedelta(days=3), because="year end closing", by="anna")
    with pytest.raises(Misconfigured, match="by anna: year end closing"):
        endpoints.pause(world.engine, "right-1", until=now + timedelta(hours=1), because="an update", by="bert")
    endpoints.pause(world.engine, "right-1", until=now + timedelta(days=4), because="an update too", by="bert")
    endpoints.pause(world.engine, "right-1", until=now + timedelta(hours=1), because="done sooner", by="bert")

    [listed] = [one for one in endpoints.listed(world.engine) if one.name == "right-1"]
    assert (listed.paused_until, listed.paused_by) == (now + timedelta(hours=1), "bert")

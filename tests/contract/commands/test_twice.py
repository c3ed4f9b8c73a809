"""Every command that changes something, run twice, and by two people at once.

Each has a scenario in `SCENARIOS`. The first one does it, anna or bert; the other one reads what has become of it and by
whom, does no harm, and leaves the timeline as it is, but where both may do the same and each is on record for it (`both`).
`test_every_command.py` holds the table against the commands that there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from syncengine.store import models as m
from tests.contract.commands import scenes
from tests.contract.commands.people import People, Said
from tests.contract.kernel.world import World

CREATED = [("create", "1", "R1")]
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


@dataclass(frozen=True)
class Scenario:
    """A command that two people run.

    words: what they type; what must be asked is asked where `--yes` is left out. done, again: exit code and a part of what
    the first one and the other one read, with {who} for the first one; late: of one whose command overlaps with that of
    the first one, if that is another text. facts, more: a part of what `--json` says to the first and to the other one.
    noted: the event that names its author. writes: those at the target in the end. state: status and reason of the record in
    the end, {who} for the first one. cuts: at which of the first one's writing transactions the other one cuts in.
    both: the second one does it, too, and is on record.
    """

    command: str
    words: str
    scene: Callable[[World], None]
    done: tuple[int, str]
    again: tuple[int, str]
    noted: str
    writes: list[tuple[str, str, str]]
    state: tuple[str, str]
    late: tuple[int, str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    cuts: tuple[int, ...] = (1,)
    both: bool = False

    @property
    def asks(self) -> bool:
        return self.words.endswith(" --yes")


SCENARIOS = (
    Scenario(
        "held approve", "held approve 1 --yes", scenes.dear, (0, "1 record approved."),
        (2, "things 1: it was approved by {who}"), "approved", CREATED, ("done", ""), facts={"approved": 1, "changed": []},
    ),
    Scenario(
        "held refuse", "held refuse 1 --because insolvent --yes", scenes.dear, (0, "1 record refused."),
        (2, "things 1: it was refused by {who}: insolvent"), "refused", [], ("skipped", "refused by {who}: insolvent"),
        facts={"refused": 1, "changed": []},
    ),
    Scenario(
        "held settle", "held settle 1 --happened R1 --yes", scenes.unheard, (0, "Write 1 of things 1 took effect."),
        (2, "things 1 has no write to be settled by hand (settled by hand: {who}, 2026-03-02 09:02 UTC)"),
        "settled by hand", CREATED, ("done", ""), facts={"write": 1, "outcome": "happened"},
        late=(2, "write 1 is not in doubt any more (settled by hand: {who}, 2026-03-02 09:02 UTC)"),
    ),
    Scenario(
        "held settle", "held settle 1 --did-not --yes", scenes.lost, (0, "did not take effect; it will be sent again"),
        (2, "things 1 has no write to be settled by hand (settled by hand: {who}, 2026-03-02 09:02 UTC)"),
        "settled by hand", CREATED, ("done", ""), facts={"write": 1, "outcome": "did not happen"},
        late=(2, "write 1 is not in doubt any more (settled by hand: {who}, 2026-03-02 09:02 UTC)"),
    ),
    Scenario(
        "deadletters retry", "deadletters retry 1 --yes", scenes.right_by_now, (0, "1 record will be retried"),
        (0, "1 already being retried (retried by hand: {who}, 2026-03-02 09:00 UTC)"), "retried by hand", CREATED,
        ("done|skipped", ""), facts={"retried": 1, "on_their_way": 0}, more={"retried": 1, "on_their_way": 1}, both=True,
        late=(0, "1 record will be retried"),
    ),
    Scenario(
        "deadletters discard", "deadletters discard 1 --because test", scenes.dead, (0, "1 dead letter discarded."),
        (2, "1 was closed by {who}: test"), "discarded", [], ("skipped", "discarded by {who}: test"),
        facts={"discarded": 1, "changed": []}, late=(2, "things 1: its letter was closed by {who}: test"),
    ),
    Scenario(
        "deadletters discard", "deadletters discard --all --because test --yes", scenes.dead, (0, "1 dead letter discarded."),
        (1, "No matching records."), "discarded", [], ("skipped", "discarded by {who}: test"),
        facts={"discarded": 1}, more={"found": 0}, late=(2, "things 1: its letter was closed by {who}: test"),
    ),
    Scenario(
        "deadletters close", "deadletters close 1 --because fine", scenes.looked_at, (0, "1 dead letter closed."),
        (2, "1 was closed by {who}: fine"), "looked at", CREATED, ("done", ""), facts={"closed": 1},  # phrases: allow
        late=(2, "things 1: its letter was closed by {who}: fine"),
    ),
    Scenario(
        "deadletters edit", "deadletters edit 1 --set name=good", scenes.dead, (0, "Correction 1 saved"),
        (1, "Correction 1 by {who} already contains this. No changes made."), "corrected", CREATED, ("done", ""),
        facts={"correction": 1}, more={"correction": None}, late=(2, "{who} has corrected /name meanwhile"),
    ),
    Scenario(
        "deadletters edit", "deadletters edit 1 --withdraw", scenes.corrected, (0, "Correction withdrawn"),
        (1, "No correction to withdraw. The last one: withdrawn by {who}, 2026-03-02 09:00 UTC."), "correction lapsed", [],
        ("dead", ""), facts={"withdrawn": True}, more={"withdrawn": False, "last": "withdrawn by {who}, 2026-03-02 09:00 UTC"},
    ),
    Scenario(
        "link", "link things 1 R7 --yes", scenes.strangers, (0, "Linked. things 1 is being compared"),
        (2, "1 and R7 are linked already (linked by hand: {who}, 2026-03-02 09:00 UTC)"), "linked by hand", [],
        ("done", ""), facts={"linked": True},
    ),
    Scenario(
        "unlink", "unlink 1 --because wrong --yes", scenes.linked, (0, "Unlinked 1 and R1; it is now ignored."),
        (2, "things 1 is not linked (unlinked by hand: {who}, 2026-03-02 09:00 UTC)"), "unlinked by hand", CREATED,
        ("skipped", "ignored by {who}: unlinked, wrong"), facts={"unlinked": True, "ignored": True},
        late=(2, "1 and R1 are not linked any more (unlinked by hand: {who}, 2026-03-02 09:00 UTC)"),
    ),
    Scenario(
        "unlink", "unlink 1 --because lost --recreate --yes", scenes.gone, (0, "Unlinked 1 and R1."),
        (2, "things 1 is not linked (unlinked by hand: {who}, 2026-03-02 09:00 UTC)"), "unlinked by hand",
        [*CREATED, ("create", "1", "R2")], ("done", ""), facts={"unlinked": True, "ignored": False},
        late=(2, "1 and R1 are not linked any more (unlinked by hand: {who}, 2026-03-02 09:00 UTC)"),
    ),
    Scenario(
        "ignore", "ignore 1 --because test", scenes.linked, (0, "things 1 is ignored."),
        (2, "things 1 is ignored already ({who}: test)"), "ignored", CREATED, ("skipped", "ignored by {who}: test"),
        facts={"key": "1", "ignored": True},
    ),
    Scenario(
        "ignore", "ignore 1 --flow things --because test", scenes.put, (0, "things 1 is ignored."),
        (2, "things 1 is ignored already ({who}: test)"), "ignored", [], ("skipped", "ignored by {who}: test"),
        facts={"key": "1", "ignored": True}, cuts=(1, 2),
    ),
    Scenario(
        "ignore", "ignore 1 --undo", scenes.ignored, (0, "things 1 is no longer ignored"),
        (2, "things 1 is not ignored (no longer ignored: {who}, 2026-03-02 09:00 UTC)"), "no longer ignored", CREATED,
        ("done", ""), facts={"key": "1", "ignored": False},
    ),
    Scenario(
        "push", "push 1 --flow things --now --no-wait", scenes.put, (0, "things 1 is being synced."),
        (0, "things 1 is being synced."), "pushed by hand", CREATED, ("done|skipped", ""), both=True, cuts=(1, 2),
        facts={"key": "1", "is_over": False}, more={"key": "1", "is_over": False},
    ),
    Scenario(
        "sync", "sync things --no-wait", scenes.put, (0, ": 1 found"), (0, ": 0 found"), "", CREATED,
        ("done", ""), facts={"failed": [], "due": 1}, more={"failed": [], "due": 1},
    ),
    Scenario(
        "sync", "sync things --id 1 --no-wait", scenes.put, (0, ": 1 found"), (0, ": 1 found"), "", CREATED,
        ("done|skipped", ""), facts={"failed": [], "due": 1}, more={"failed": [], "due": 1}, both=True,
    ),
    Scenario(
        "endpoints pause", "endpoints pause right-1 --for 2h --because upgrade", scenes.put,
        (0, "right-1 is paused until 2026-03-02 11:00:00 UTC."),
        (0, "Before: right-1 is paused until 2026-03-02 11:00:00 UTC by {who}: upgrade"), "paused", [], ("", ""), both=True,
        facts={"paused_until": "2026-03-02T11:00:00+00:00", "before": ""},
        more={"before": "right-1 is paused until 2026-03-02 11:00:00 UTC by {who}: upgrade"},
    ),
    Scenario(
        "endpoints resume", "endpoints resume right-1", scenes.paused, (0, "right-1 resumed."),
        (0, "right-1 was neither paused nor down (resumed: {who}, 2026-03-02 09:00 UTC)."), "resumed", [], ("", ""),
        facts={"resumed": True}, more={"resumed": False, "last": "resumed: {who}, 2026-03-02 09:00 UTC"},
    ),
    Scenario(
        "ceilings open", "ceilings open main things --because meant", scenes.shut,
        (0, "things of main is open: its count restarts at zero."),
        (0, "things of main is open: {who} has already opened it and its count continues."),
        "ceiling opened", [*CREATED, ("create", "2", "R2")], ("done", ""), facts={"opened": True, "wanted_again": 1},
        more={"opened": False, "opened_before_by": "{who}", "wanted_again": 0},
    ),
    Scenario(
        "lookups set", "lookups set main names a b", scenes.put, (0, "names of main: a -> b."),
        (0, "names of main: a -> b (previously b)."), "lookup set", [], ("", ""), both=True,
        facts={"set": True, "before": None}, more={"set": True, "before": "b"},
    ),
    Scenario(
        "lookups remove", "lookups remove main names a --yes", scenes.entry, (0, "Removed."),
        (2, "the connection main has no entry 'a' in names."), "lookup removed", [], ("", ""), facts={"removed": 1},
        late=(2, "names 'a' has changed since it was shown. Run the command again"),
    ),
)  # fmt: skip

Lent = Callable[[World], World]


@pytest.fixture
def world(make_world: Callable[..., World], lend: Lent) -> World:
    return lend(scenes.shop(make_world))


def _each(scenarios: list[Scenario]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("one", scenarios, ids=lambda one: one.words.replace(" ", "_"))


@on_sqlite
@_each(list(SCENARIOS))
def test_the_second_run_changes_nothing_and_says_who_was_first(one: Scenario, world: World, people: People) -> None:
    one.scene(world)
    first, second = (people.run(who, *one.words.split()) for who in ("anna", "bert"))

    _is(first, one.done, "anna")
    _is(second, one.again, "anna")
    _as_after_one(one, world, "anna", "bert")


@on_postgres
@_each(list(SCENARIOS))
def test_scripts_are_told_the_same(one: Scenario, world: World, people: People) -> None:
    one.scene(world)
    first, second = (people.run(who, *one.words.split(), "--json") for who in ("anna", "bert"))

    assert (first.code, first.err) == (one.done[0], "")
    _has(first.facts, one.facts, "anna")
    if one.again[0] == 2:  # refused: why is said on the other stream, and no half of a document on this one
        assert (second.code, second.out) == (2, "")
        _is(second, one.again, "anna")
    else:
        assert (second.code, second.err) == (one.again[0], "")
        _has(second.facts, one.more, "anna")
    _as_after_one(one, world, "anna", "bert")


@on_sqlite
@_each([one for one in SCENARIOS if one.asks])
def test_what_another_has_done_while_somebody_was_asked_is_told(one: Scenario, world: World, people: People) -> None:
    one.scene(world)
    first, second = people.cutting_in(
        "asked",
        lambda: people.run("anna", *one.words.removesuffix(" --yes").split()),
        lambda: people.run("bert", *one.words.split()),
    )

    _is(second, one.done, "bert")
    _is(first, one.late or one.again, "bert")
    _as_after_one(one, world, "bert", "anna")


@on_sqlite
@pytest.mark.parametrize(
    ("one", "place"),
    [pytest.param(one, cut, id=f"{one.words.replace(' ', '_')}-{cut}") for one in SCENARIOS for cut in one.cuts],
)
def test_whoever_is_overtaken_before_anything_is_stored_is_told(
    one: Scenario, place: int, world: World, people: People
) -> None:
    one.scene(world)
    words = one.words.split()
    first, second = people.cutting_in(place, lambda: people.run("anna", *words), lambda: people.run("bert", *words))

    _is(second, one.done, "bert")
    _is(first, one.late or one.again, "bert")
    _as_after_one(one, world, "bert", "anna")


@on_postgres
@_each(list(SCENARIOS))
def test_of_two_at_once_one_does_it_and_the_other_is_told(one: Scenario, world: World, people: People) -> None:
    one.scene(world)
    words = one.words.split()
    said = people.together(lambda: people.run("anna", *words), lambda: people.run("bert", *words))

    if one.both:
        assert [reply.code for reply in said] == [0, 0], said
        _as_after_one(one, world, "anna", "bert")
        return
    done = [_fits(reply, one.done, "") for reply in said]
    assert sum(done) == 1, said
    winner, loser = ("anna", "bert") if done[0] else ("bert", "anna")
    other = said[1] if done[0] else said[0]
    assert any(_fits(other, each, winner) for each in (one.late, one.again) if each), other
    _tidy(other)
    _as_after_one(one, world, winner, loser)


@on_postgres
def test_two_people_who_link_different_objects_with_the_same_one_do_so_one_after_the_other(
    world: World, people: People
) -> None:
    scenes.strangers(world)
    world.left.put("things", "2", name="a lamp")
    said = people.together(
        *(lambda key=key: people.run("anna", *f"link things {key} R7 --yes".split()) for key in "12")
    )

    won, lost = sorted(said, key=lambda reply: reply.code)
    assert (won.code, lost.code) == (0, 2)
    _is(lost, (2, "is already linked with R7"), "anna")
    assert len(world.links("things")) == 1


# -- what must be so ---------------------------------------------------------------------------------------------------


def _fits(said: Said, expected: tuple[int, str], who: str) -> bool:
    return said.code == expected[0] and expected[1].replace("{who}", who) in said.text


def _is(said: Said, expected: tuple[int, str], who: str) -> None:
    assert said.code == expected[0], said
    assert expected[1].replace("{who}", who) in said.text
    _tidy(said)


def _tidy(said: Said) -> None:
    assert "Traceback" not in said.text
    if said.code == 2:
        assert re.fullmatch(r"syncengine: [^\n]+\n", said.err)


def _has(facts: Any, expected: Mapping[str, Any], who: str) -> None:
    wanted = {
        name: value.replace("{who}", who) if isinstance(value, str) else value for name, value in expected.items()
    }
    assert {name: facts[name] for name in wanted} == wanted


def _as_after_one(one: Scenario, world: World, winner: str, loser: str) -> None:
    """The record, the target and the timeline in the end."""
    world.settle(patience_s=300)
    assert world.right.writes == one.writes
    noted = [(one.noted, winner)] if one.noted else []
    if one.both and one.noted:
        noted.append((one.noted, loser))
    assert sorted(_by_hand(world)) == sorted(noted)
    status, reason = one.state
    if status:
        record = world.record("things", "1")
        assert record.status in status.split("|")
        assert record.reason == reason.replace("{who}", winner) or not reason


def _by_hand(world: World) -> set[tuple[str, str]] | list[tuple[str, str]]:
    """What people did by the timeline, and who: one for each time, but one alone for a flow and what it lets go."""
    with world.store.read() as session:
        events = session.scalars(select(m.Event).order_by(m.Event.id)).all()
    noted = [(one.what, one.detail["by"], one.record_id) for one in events if one.detail.get("by") in ("anna", "bert")]
    assert len({(what, by, record) for what, by, record in noted}) == len(noted), noted
    return list(dict.fromkeys((what, by) for what, by, _ in noted))

"""Two people and two workers do everything in any order, and prompts stay open for as long as anybody likes.

`people_world.py` has the flows and judges each write as it arrives; `people_prompts.py` has what people do, and what must be
true of each answer; `people_checks.py` what must be true at rest. A hunt has 100 steps an example, and prints what it did:
`PEOPLE_EXAMPLES=200 PEOPLE_SEED=1 pytest -s ... -k "not postgres"`.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from syncengine.connectors.base import Operation
from syncengine.document import Doc
from syncengine.engine.core import failures
from syncengine.engine.core.engine import Limits
from syncengine.engine.steps.discover import discover
from syncengine.errors import SyncError
from syncengine.store import models as m
from syncengine.store.migrate import upgrade
from syncengine.store.states import Lane, Stage
from syncengine.vault import Vault
from tests.contract.kernel.machine_world import Blinking, Message, Trouble, Watched, Workers, systems
from tests.contract.kernel.people_checks import AtRest, Ends
from tests.contract.kernel.people_prompts import Answer, Desk
from tests.contract.kernel.people_world import FLOWS, Book, people_flows, people_resources
from tests.contract.kernel.world import Time, World
from tests.depth import usually
from tests.services import drop_postgres, shared_folder, start_postgres

KEYS = [Fernet.generate_key().decode()]
EXAMPLES, STEPS = int(os.environ.get("PEOPLE_EXAMPLES", "0")), int(os.environ.get("PEOPLE_STEPS", "100"))
BY = st.sampled_from(("anna", "bert"))
NUMBER = st.integers(0, 11)
SIDE = st.sampled_from(("right", "right", "left"))
NAMES = ("a", "b", "c", "bad")
HOW_EDITED = ("", "", "dear", "dear", "draft", "cancelled", "number")
Look = Callable[[], Answer | None]
FAULTS = (
    "lost",
    "unheard",
    "late",
    "busy",
    "refused",
    "numberless",
    "bug",
    "down",
    "dies before",
    "dies after",
    "attention",
)
MOST_PROMPTS = 8
STEPS_TAKEN = {"steps": 0}


class People(Workers, RuleBasedStateMachine):
    """The rules; `open_store` is where they are played."""

    open_store: Callable[[], Blinking]

    @initialize(seed_=st.integers(0, 2**32), limit=st.sampled_from((4, 12, 500)))
    def begin(self, seed_: int, limit: int) -> None:
        self.chance = random.Random(seed_)
        self.time = Time()
        self.take_over(self.time)
        self.store = self.open_store()
        self.trouble = Trouble(self.store)
        left, right = self.left, self.right = systems(self.time)
        self.book = Book(self.store, FLOWS, dict.fromkeys(FLOWS, limit))
        self.book.source_of = self._edited
        every = people_resources(left, right, self.trouble, self.book)
        chains = dict.fromkeys(Lane, 4)
        self.world = World(
            self.store, Vault(self.store, KEYS), self.time, left, right, every, people_flows(), Limits(chains=chains)
        )  # fmt: skip
        self.world.configure(ceilings=dict.fromkeys(FLOWS, limit))
        self.desk = Desk(self.world, self.book, left, right)
        self.prompts: list[Answer] = []
        self.away: dict[tuple[str, str, str], Doc] = {}
        self.ends = Ends()
        self.pairs_stirred = self.time.at
        for kind in FLOWS:
            for key in "123":
                self.edit(kind, key, "a", "ab", self.chance.choice(("", "dear")), 1)

    def _edited(self, record: m.Record) -> list[datetime]:
        if record.flow == "pairs":  # a discarded pair rests while both sides are as they were
            both = [
                one["touched"] for side in (self.left, self.right) for one in side.objects.get("pairs", {}).values()
            ]
            return [*both, self.pairs_stirred]
        doc = self.left.objects.get(record.flow, {}).get(record.key)
        return [doc["touched"]] if doc else []

    # -- the systems' own people ---------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(FLOWS), key=st.sampled_from("123"), name=st.sampled_from(NAMES),
          some=st.sampled_from(("a", "b", "ab")), how=st.sampled_from(HOW_EDITED),
          hint=st.integers(0, 3))  # fmt: skip
    def edit(self, kind: str, key: str, name: str, some: str, how: str, hint: int) -> None:
        flags = {flag: flag == how for flag in ("dear", "draft", "cancelled")}
        more = {"parts": some} if kind == "lamps" else {"colour": some} if kind == "pairs" else {}
        if how == "number":
            more["number"] = f"{key}{self.left.edits}"
        if kind != "lamps":
            flags = {"dear": flags["dear"]}
        if ("left", kind, key) not in self.away:
            self.left.put(kind, key, name=name, **more, **flags)
            self._tell(kind, f"left:{key}" if kind == "pairs" else key, hint)

    @rule(key=st.sampled_from("78"), name=st.sampled_from(NAMES), dear=st.booleans(), hint=st.integers(0, 3))
    def edit_right(self, key: str, name: str, dear: bool, hint: int) -> None:
        """A pair may begin on the right."""
        if ("right", "pairs", key) not in self.away:
            self.right.put("pairs", key, name=name, dear=dear)
            self._tell("pairs", f"right:{key}", hint)

    def _tell(self, flow: str, key: str, hint: int) -> None:
        if hint:
            self.world.want(flow, key, lane=Lane.REALTIME if hint == 1 else Lane.SCHEDULED)
            self.pump(False)

    @rule(side=SIDE, kind=st.sampled_from(FLOWS), number=NUMBER, hint=st.booleans())
    def clerk(self, side: str, kind: str, number: int, hint: bool) -> None:
        """Somebody edits what the engine writes, as nobody else does."""
        system: Watched = getattr(self, side if kind == "pairs" else "right")
        if keys := list(system.objects.get(kind, {})):
            key = keys[number % len(keys)]
            system.put(kind, key, name=f"k{system.edits}")
            if hint and kind == "pairs":
                self._tell(kind, f"{system.name}:{key}", 1)

    @rule(kind=st.sampled_from(FLOWS), number=NUMBER)
    def stranger(self, kind: str, number: int) -> None:
        """The target's people enter an object of their own; sometimes it carries a number of ours."""
        ref = {"ref": f"{1 + number % 3}-a"} if kind == "lamps" and number > 8 else {}
        self.right.put(kind, f"S{number % 2}", name=f"k{self.right.edits}", **ref) if kind != "pairs" else None

    @rule(side=SIDE, kind=st.sampled_from(FLOWS), number=NUMBER, hint=st.booleans())
    def vanish(self, side: str, kind: str, number: int, hint: bool) -> None:
        """An object is deleted at the target, of a pair on either side; or one that was deleted comes back."""
        side = side if kind == "pairs" else "right"
        there = getattr(self, side).objects.get(kind, {})
        self.pairs_stirred = self.time.at
        if keys := list(there):
            key = keys[number % len(keys)]
            self.away[side, kind, key] = there.pop(key)
            if hint:
                self._look_at(kind, side, key)

    @precondition(lambda self: self.away)
    @rule(number=NUMBER, hint=st.booleans())
    def come_back(self, number: int, hint: bool) -> None:
        place = list(self.away)[number % len(self.away)]
        side, kind, key = place
        self.pairs_stirred = self.time.at
        back = {**self.away.pop(place), "touched": self.time.at}  # a feed tells it, also if it was never read before
        getattr(self, side).objects[kind][key] = back
        if hint:
            self._look_at(kind, side, key)

    def _look_at(self, kind: str, side: str, key: str) -> None:
        """Somebody asks for a whole look at the object, as an hourly check does."""
        with self.store.read() as session:
            near = m.Link.right_key if side == "right" else m.Link.left_key
            link = session.scalars(select(m.Link).where(m.Link.entity == kind, near == key)).first()
            if link is None:
                return
            keys = (f"left:{link.left_key}",) if kind == "pairs" else (link.left_key,)
            found = session.scalars(select(m.Record).where(m.Record.flow == kind, m.Record.key.in_(keys))).first()
        if found is not None:
            number = [one.id for one in self.desk.records()].index(found.id)
            self.desk.by_hand("anna", "push", number)
            self.collect()

    # -- two people ----------------------------------------------------------------------------------------------------

    @rule(by=BY, what=st.sampled_from(("approve", "approve", "refuse", "settle")), number=NUMBER, many=st.booleans())
    def look_at_held(self, by: str, what: str, number: int, many: bool) -> None:
        desk = self.desk
        looks: dict[str, Look] = {
            "approve": lambda: desk.decide(by, number, approves=True, many=many),
            "refuse": lambda: desk.decide(by, number, approves=False, many=many),
            "settle": lambda: desk.settle(by, number),
        }
        self._ask(_first(looks, what), number)

    @rule(by=BY, what=st.sampled_from(("discard", "close", "retry", "correct", "correct")), number=NUMBER, many=st.booleans(),
          name=st.sampled_from(NAMES))  # fmt: skip
    def look_at_letters(self, by: str, what: str, number: int, many: bool, name: str) -> None:
        desk = self.desk
        looks: dict[str, Look] = {
            "discard": lambda: desk.put_away(by, number, kind=failures.DEAD, many=many),
            "close": lambda: desk.put_away(by, number, kind=failures.ATTENTION, many=many),
            "retry": lambda: desk.retry(by, number, many=many),
            "correct": lambda: desk.correct(by, number, name),
        }
        self._ask(_first(looks, what), number)

    @rule(by=BY, what=st.sampled_from(("link", "unlink", "recreate", "recreate")), number=NUMBER, other=NUMBER,
          flow=st.sampled_from(FLOWS))  # fmt: skip
    def look_at_links(self, by: str, what: str, number: int, other: int, flow: str) -> None:
        desk = self.desk
        looks: dict[str, Look] = {
            "link": lambda: desk.link(by, flow, number, other, "ab"[other % 2]),
            "unlink": lambda: desk.unlink(by, number, recreate=False),
            "recreate": lambda: desk.unlink(by, number, recreate=True),
        }
        self._ask(_first(looks, what), number)

    @rule(by=BY, side=SIDE, hours=st.sampled_from((1, 5, 80)), number=NUMBER)
    def look_at_endpoints(self, by: str, side: str, hours: int, number: int) -> None:
        self._ask(self.desk.pause(by, side, hours), number)

    def _ask(self, prompt: Answer | None, number: int) -> None:
        """Somebody has looked and is asked; the answer comes at once, or at any time."""
        if prompt is not None and number % 3 == 0:
            prompt()
            self.collect()
        elif prompt is not None:
            self.prompts = [*self.prompts, prompt][-MOST_PROMPTS:]

    @precondition(lambda self: self.prompts)
    @rule(number=st.integers(0, MOST_PROMPTS - 1), again=st.booleans())
    def answer(self, number: int, again: bool = False) -> None:
        """A prompt is answered; `again`: the same person has asked twice, in two windows."""
        prompt = self.prompts.pop(number % len(self.prompts))
        prompt()
        if again:
            prompt()
        self.collect()

    @precondition(lambda self: self.prompts)
    @rule(number=st.integers(0, MOST_PROMPTS - 1))
    def drop(self, number: int) -> None:
        self.prompts.pop(number % len(self.prompts))

    @rule(by=BY, what=st.sampled_from(("ignore", "heed", "heed", "push", "push")), number=NUMBER)
    def by_hand(self, by: str, what: str, number: int) -> None:
        self.desk.by_hand(by, what, number)
        self.collect()

    @rule(by=BY, what=st.sampled_from(("resume", "open", "open for", "observe", "live", "live", "withdraw", "remove old")),
          flow=st.sampled_from(FLOWS), number=NUMBER)  # fmt: skip
    def traffic(self, by: str, what: str, flow: str, number: int) -> None:
        actions: dict[str, Callable[[], None]] = {
            "resume": lambda: self.desk.resume(by, ("left", "right")[number % 2]),
            "open": lambda: self.desk.open_ceiling(by, flow, 0),
            "open for": lambda: self.desk.open_ceiling(by, flow, 1 + number),
            "observe": lambda: self.desk.mode("observe"),
            "live": lambda: self.desk.mode("live"),
            "withdraw": lambda: self.desk.withdraw(by, number),
            "remove old": self.desk.remove_old,
        }
        actions[what]()
        self.collect()

    # -- workers, faults, time -----------------------------------------------------------------------------------------

    @rule(number=st.integers(0, 2), sweep=st.booleans())
    def poll(self, number: int, sweep: bool) -> None:
        with suppress(SyncError):
            discover(self.world.engine, self.world.connection_id, FLOWS[number], trigger="call", lane=Lane.SCHEDULED)
        self.pump(sweep)

    @precondition(lambda self: self.messages)
    @rule(number=st.integers(0, 9), count=st.integers(1, 6))
    def work(self, number: int, count: int) -> None:
        for _ in range(count):
            self._step(number)

    @precondition(lambda self: self.messages)
    @rule(number=st.integers(0, 9), side=SIDE, place=NUMBER,
          inside=st.sampled_from(("answer", "clerk", "freeze", "other worker", "thaw late", "pause")))  # fmt: skip
    def work_while(self, number: int, side: str, place: int, inside: str) -> None:
        """Run a step, and have something happen during its first write to a side."""
        system: Watched = getattr(self, side)

        def happens(operation: Operation) -> None:
            system.during_write = None
            if inside == "answer" and self.prompts:
                self.answer(place)
            elif inside == "clerk":
                self.clerk(side, FLOWS[place % 3], place, False)
                self.time.pass_(35)
            elif inside == "pause":
                self.desk.pause("anna", side, 1)()
            elif inside == "other worker":
                self.pump(True)
                for more in (1, 2, 3):
                    self._step(number + more)
            else:
                self.time.pass_(50 if inside == "freeze" else 150)
                self.pump(True)
                self._step(number + 1)
                if self.prompts:
                    self.answer(place)
                self._step(number + 2)
            self.time.pass_(1)

        system.during_write = happens
        self._step(number)
        system.during_write = None

    @precondition(lambda self: self.seen)
    @rule(number=st.integers(0, 30), stage=st.sampled_from(Stage))
    def deliver_again(self, number: int, stage: Stage) -> None:
        self._run(Message(self.seen[number % len(self.seen)], [stage]))

    @rule(fault=st.sampled_from(FAULTS), side=SIDE, after=st.integers(0, 2), number=st.integers(0, 9))
    def write_fault(self, fault: str, side: str, after: int, number: int) -> None:
        """A fault for one of the next writes, and a worker that may run into it."""
        getattr(self, side).faults = [*[""] * after, fault]
        self.work(number, 3)

    @rule(side=st.sampled_from(("left", "right")))
    def goes_down(self, side: str) -> None:
        getattr(self, side).down = True

    @rule(seconds=st.sampled_from((5, 20, 46, 61, 130, 301, 1900, 3700)))
    def time_passes(self, seconds: int) -> None:
        self.time.pass_(seconds)
        if seconds > 5:
            self.left.down = self.right.down = False
        self.pump(True)

    @rule(days=st.sampled_from((1, 6, 31)))
    def days_pass(self, days: int) -> None:
        self.time.pass_(days * 86_400)
        self.left.down = self.right.down = False
        self.pump(True)

    @invariant()
    def life_goes_on(self) -> None:
        """After whatever happened, some workers work, and what people have said is as it was promised."""
        if not hasattr(self, "world"):
            return
        STEPS_TAKEN["steps"] += 1
        if self.chance.random() < 0.3:
            self.pump(self.chance.random() < 0.5)
        if self.chance.random() < 0.5:
            self._somebody()
        for _ in range(self.chance.randrange(4)):
            self._step(self.chance.randrange(10))
        self.time.pass_(self.chance.choice((0, 0, 1, 3)))
        self._check()

    def _somebody(self) -> None:
        """Something that people do: where the rules are drawn sparsely, these are not."""
        draw = self.chance.choice
        by, number, many, flow = draw(("anna", "bert")), draw(range(12)), draw((True, False, False)), draw(FLOWS)
        system = draw(("right", "left"))
        actions: tuple[Callable[[], None], ...] = (
            lambda: self.look_at_held(by, draw(("approve", "refuse", "settle")), number, many),
            lambda: self.look_at_letters(by, draw(("discard", "retry", "correct", "close")), number, many, draw(NAMES)),
            lambda: self.look_at_links(by, draw(("link", "unlink", "recreate")), number, draw(range(12)), flow),
            lambda: self.answer(number, draw((True, False, False))) if self.prompts else None,
            lambda: self.answer(number, False) if self.prompts else None,
            lambda: self.by_hand(by, draw(("ignore", "heed", "heed", "push")), number),
            lambda: self.edit(flow, draw("123"), draw(NAMES), draw(("a", "b", "ab")), draw(HOW_EDITED), draw((1, 2))),
            lambda: self.clerk(system, flow, number, True),
            lambda: self.vanish(system, flow, number, True),
            lambda: self.come_back(number, draw((True, False))) if self.away else None,
            lambda: self.write_fault(draw(FAULTS), system, 0, number),
        )
        draw(actions)()

    def _check(self) -> None:
        wrong = self.left.wrong + self.right.wrong
        assert not wrong, wrong
        with self.store.read() as session:
            self.ends.check(session)

    # -- the end -------------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self._calm_down()
            self._check()
            AtRest(self.world, self.left, self.right, self.book).check()
            for name, count in [*self.desk.taken.items(), *((f"not {one}", n) for one, n in self.desk.refused.items())]:
                STEPS_TAKEN[name] = STEPS_TAKEN.get(name, 0) + count
            STEPS_TAKEN["approved writes"] = STEPS_TAKEN.get("approved writes", 0) + self.book.reached
        finally:
            self.give_back()
            self.store.close()

    def _calm_down(self) -> None:
        """Faults are gone, whatever was asked is answered, and what waits for a person is seen to."""
        self.left.down = self.right.down = False
        self.left.faults.clear()
        self.right.faults.clear()
        self.messages.clear()
        for prompt in self.prompts:
            prompt()
        self.desk.mode("live")
        for side in ("left", "right"):
            self.desk.resume("anna", side)
        for turn in range(3):
            self.time.pass_(3700)
            for flow in FLOWS:
                self.desk.open_ceiling("anna", flow, 2)
            if turn < 2:
                self.desk.look_at_all("anna")
            for look in (
                self.desk.retry("anna", 0, many=True),
                self.desk.put_away("anna", 0, kind=failures.ATTENTION, many=True),
                self.desk.decide("anna", 0, approves=True, many=True) if turn < 2 else None,
                *(self.desk.settle("anna", number) for number in range(3)),
            ):
                if look is not None:
                    look()
            self.collect()
            for number in range(len(FLOWS)):
                self.poll(number, True)
            self._work_off(hours=3)


def _first(looks: Mapping[str, Look], what: str) -> Answer | None:
    """What somebody wants to see; if there is nothing of it, whatever there is."""
    for one in (what, *looks):
        if prompt := looks[one]():
            return prompt
    return None


HOW = settings(
    max_examples=EXAMPLES or usually(3, full=4), stateful_step_count=STEPS if EXAMPLES else usually(30, full=40),
    deadline=None, derandomize=not EXAMPLES,
    phases=[phase for phase in Phase if phase is not Phase.explain],
    suppress_health_check=list(HealthCheck), print_blob=True, database=None,
)  # fmt: skip


def test_nobody_touches_what_they_did_not_see_and_every_word_is_carried_out_or_told(tmp_path: Path) -> None:
    template = tmp_path / "template.db"
    upgrade(f"sqlite:///{template}")

    class OnSqlite(People):
        @staticmethod
        def open_store() -> Blinking:
            path = Path(tempfile.mkdtemp(dir=tmp_path)) / "store.db"
            shutil.copyfile(template, path)
            return Blinking(f"sqlite:///{path}")

    if EXAMPLES:
        seed(int(os.environ.get("PEOPLE_SEED", "1")))(OnSqlite)
    try:
        run_state_machine_as_test(OnSqlite, settings=HOW)
    finally:
        if EXAMPLES:
            sys.stderr.write(f"{dict(sorted(STEPS_TAKEN.items()))}\n")


@pytest.mark.postgres
def test_the_same_on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> None:
    url = start_postgres(shared_folder(tmp_path_factory.getbasetemp()))
    upgrade(url)

    class OnPostgres(People):
        @staticmethod
        def open_store() -> Blinking:
            store = Blinking(url)
            with store.write() as session:
                for table in reversed(m.Base.metadata.sorted_tables):
                    session.execute(table.delete())
            return store

    run_state_machine_as_test(
        OnPostgres, settings=settings(HOW, max_examples=2, stateful_step_count=usually(10, full=40))
    )
    drop_postgres(url)

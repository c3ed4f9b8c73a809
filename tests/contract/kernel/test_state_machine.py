"""Anything may happen in any order: edits, triggers, lost messages, dying workers, unheard answers, single bad records, time.

The machine plays workers, Celery, both systems and the clock on one thread, so that every interleaving can be repeated.
`machine_world.py` has the systems and flows, `machine_checks.py` what must be true in the end.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, settings
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
from syncengine.engine.people import dead_letters, manual_settlement
from syncengine.engine.steps.discover import discover
from syncengine.errors import Misconfigured, SyncError
from syncengine.mapping.contract import Policy
from syncengine.store import models as m
from syncengine.store.migrate import upgrade
from syncengine.store.states import Lane, Stage
from syncengine.vault import Vault
from tests.contract.kernel.machine_checks import Rest
from tests.contract.kernel.machine_world import (
    ANSWERED,
    KINDS,
    RAISED,
    Blinking,
    Message,
    Trouble,
    Watched,
    Workers,
    flows,
    named,
    resources,
    systems,
)
from tests.contract.kernel.world import Time, World
from tests.depth import usually
from tests.services import drop_postgres, shared_folder, start_postgres

KEYS = [Fernet.generate_key().decode()]
CUSTOMERS = ("310", "311")
ORDERS = tuple("1234")
BESIDE = {  # what is synced beside customers, orders, and what others write about orders
    "splits": ("pieces", "piece_statuses"),
    "calls": ("bundles", "payments"),
    "from the right": ("loads", "payments"),
}
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
    "blink",
)
OWNED = {  # what people of a side edit that the engine writes there
    "right": (("customers", "name"), ("orders", "name"), ("orders", "note"), ("pieces", "name"),
              ("bundles", "name"), ("bundles", "p"), ("bundles", "q")),
    "left": (("orders", "status"), ("pieces", "status"), ("loads", "name")),
}  # fmt: skip
PARTS = st.sets(st.sampled_from("abc"), min_size=1).map(lambda some: "".join(sorted(some)))
HINT = st.integers(0, 3)
POLICIES = (Policy.HOLD, Policy.ENFORCE, Policy.SOURCE)
CURSES = (*(("reads", one) for one in RAISED), *(("writes", one) for one in (*RAISED, *ANSWERED)))


class Anything(Workers, RuleBasedStateMachine):
    """The rules; `open_store` is where they are played."""

    open_store: Callable[[], Blinking]

    @initialize(most_per_write=st.integers(1, 3), seed=st.integers(0, 2**32), lifted=st.booleans(),
                policy=st.sampled_from(POLICIES), beside=st.sampled_from(sorted(BESIDE)))  # fmt: skip
    def begin(self, most_per_write: int, seed: int, lifted: bool, policy: Policy, beside: str) -> None:
        """lifted: in the end every single object works again; else what is bad stays bad."""
        self.chance, self.lifted = random.Random(seed), lifted
        self.time = Time()
        self.take_over(self.time)
        self.store = self.open_store()
        self.trouble = Trouble(self.store)
        left, right = self.left, self.right = systems(self.time)
        every = resources(left, right, self.trouble, policy, most_per_write)
        chains = dict.fromkeys(Lane, 4)
        vault = Vault(self.store, KEYS)
        self.flows = ("customers", "orders", "notes", "statuses", *BESIDE[beside])
        chosen = {name: one for name, one in flows(policy).items() if name in self.flows}
        self.world = World(self.store, vault, self.time, left, right, every, chosen, Limits(chains=chains))
        self.earlier: dict[tuple[str, str], Doc] = {}
        self.edit(set(ORDERS), "orders", "a", "310", "ab", 1)
        self.edit_customer("310", "a", 0)
        for kind in ("pieces", "bundles", "payments"):
            self.edit(set(ORDERS[:2]), kind, "a", "310", "ab", 2)
        self.edit_load("1", "a", "ab", 2)

    # -- people --------------------------------------------------------------------------------------------------------

    @rule(keys=st.sets(st.sampled_from(ORDERS), min_size=1),
          kind=st.sampled_from(("orders", "orders", "pieces", "bundles", "payments")),
          name=st.sampled_from("abc"), customer=st.sampled_from(CUSTOMERS), some=PARTS, hint=HINT)  # fmt: skip
    def edit(self, keys: set[str], kind: str, name: str, customer: str, some: str, hint: int) -> None:
        kind = kind if kind in self.flows else "orders"
        own = {
            "orders": {"customer": customer},
            "pieces": {"parts": some},
            "bundles": {"p": f"p{name}{some}", "q": f"q{some}"},
        }
        for key in sorted(keys):
            self.left.put(kind, key, name=name, **own.get(kind, {}))
        self._tell(kind, keys, hint)

    @rule(key=st.sampled_from(CUSTOMERS), name=st.sampled_from(("a", "b", "c", None)), hint=HINT)
    def edit_customer(self, key: str, name: str | None, hint: int) -> None:
        self.left.put("customers", key, name=name)
        self._tell("customers", {key}, hint)

    @rule(key=st.sampled_from("12"), name=st.sampled_from("abc"), some=PARTS, hint=HINT)
    def edit_load(self, key: str, name: str, some: str, hint: int) -> None:
        if "loads" in self.flows:
            self.right.put("loads", key, name=name, parts=some)
            self._tell("loads", {key}, hint)

    @rule(keys=st.sets(st.sampled_from(ORDERS), min_size=1), remark=st.sampled_from("uvw"), hint=HINT)
    def remark(self, keys: set[str], remark: str, hint: int) -> None:
        for key in keys & set(self.left.objects["orders"]):
            self.left.put("orders", key, remark=remark)
        self._tell("notes", {f"left:{key}" for key in keys}, hint)

    @rule(kind=st.sampled_from(("orders", "pieces")), numbers=st.sets(st.integers(0, 7), min_size=1),
          status=st.sampled_from(("new", "paid", "sent")), hint=HINT)  # fmt: skip
    def status(self, kind: str, numbers: set[int], status: str, hint: int) -> None:
        """The right side says how far its objects are; of a split one, often not of all parts at once."""
        keys = list(self.right.objects.get(kind, {}))
        chosen = {keys[number % len(keys)] for number in numbers} if keys else set()
        for key in sorted(chosen):
            self.right.put(kind, key, status=status)
        self._tell("statuses" if kind == "orders" else "piece_statuses", {f"right:{key}" for key in chosen}, hint)

    def _tell(self, name: str, keys: set[str], hint: int) -> None:
        """Now and then nobody tells of an edit; the feed will."""
        if hint and keys:
            self.world.want(name, *sorted(keys), lane=Lane.REALTIME if hint == 1 else Lane.SCHEDULED)
            self.pump(False)

    @rule(kind=st.sampled_from(("orders", "pieces")), key=st.sampled_from(ORDERS))
    def set_back(self, kind: str, key: str) -> None:
        """The source shows an earlier state, with its version; people tell of it."""
        if (kind, key) in self.earlier:
            self.left.set_back(kind, key, self.earlier[kind, key])
            self._tell(kind, {key}, 1)
            for name in ("notes", "statuses") if kind == "orders" else ("piece_statuses",):
                self._tell(name, {f"left:{key}"}, 1)

    @rule(kind=st.sampled_from(("orders", "pieces")), key=st.sampled_from(ORDERS))
    def remember(self, kind: str, key: str) -> None:
        if key in self.left.objects.get(kind, {}):
            self.earlier[kind, key] = dict(self.left.objects[kind][key])

    @rule(side=st.sampled_from(("right", "right", "left")), place=st.integers(0, 9), number=st.integers(0, 7),
          text=st.sampled_from(("k", "k", "a")))  # fmt: skip
    def clerk(self, side: str, place: int, number: int, text: str) -> None:
        """Somebody edits what the engine writes: as nobody else does (k and a number), or as the other side may too."""
        system: Watched = getattr(self, side)
        here = [one for one in OWNED[side] if one[0] in self.flows]
        kind, name = here[place % len(here)]
        keys = list(system.objects.get(kind, {}))
        if keys:
            key = keys[number % len(keys)]
            system.put(kind, key, **{name: f"k{system.edits}" if text == "k" else text})

    @rule(number=st.integers(0, 7), kind=st.sampled_from(("pieces", "bundles")), is_so=st.booleans())
    def invoice(self, number: int, kind: str, is_so: bool) -> None:
        keys = list(self.right.objects.get(kind, {}))
        if keys:
            self.right.put(kind, keys[number % len(keys)], invoiced=is_so)

    @rule()
    def retry_dead_letters(self) -> None:
        with self.store.read() as session:
            ids = [one.id for one, _ in dead_letters.listed(session) if one.kind == failures.DEAD]
        if ids:
            dead_letters.retry(self.world.engine, ids)

    @rule()
    def settle_by_hand(self) -> None:
        """A person looks in the target and says of each write that is in doubt what became of it."""
        with self.store.read() as session:
            held = session.scalars(select(m.Record).where(m.Record.status == "held").order_by(m.Record.id)).all()
        for record in held:
            with suppress(Misconfigured, SyncError):
                with self.store.read() as session:
                    doubt = manual_settlement.unknown_write_of(session, self.world.engine, record)
                effect = doubt.effect
                system: Watched = getattr(self, effect.resource.partition(".")[0])
                if effect.token not in system.applied:
                    manual_settlement.did_not(self.world.engine, record, doubt, by="anna")
                else:
                    there = system.objects.get(effect.resource.partition(".")[2], {})
                    key = next((at for at, one in there.items() if one.get("ref") == effect.natural_key), "")
                    manual_settlement.happened(self.world.engine, record, doubt, key, by="anna")

    # -- triggers and the pump -----------------------------------------------------------------------------------------

    @rule(number=st.integers(0, 5))
    def poll(self, number: int) -> None:
        with suppress(SyncError):  # an endpoint that is down
            name = self.flows[number]
            discover(self.world.engine, self.world.connection_id, name, trigger="call", lane=Lane.SCHEDULED)

    @rule(sweep=st.booleans())
    def pump(self, sweep: bool) -> None:
        super().pump(sweep)

    @rule(seconds=st.sampled_from((1, 5, 20, 46, 61, 130, 301)), pump=st.booleans())
    def time_passes(self, seconds: int, pump: bool) -> None:
        self.time.pass_(seconds)
        if seconds > 5:
            self.left.down = self.right.down = False
        if pump:
            self.pump(True)

    @invariant()
    def life_goes_on(self) -> None:
        """After whatever happened, some workers work, and now and then beat ticks."""
        if hasattr(self, "world"):
            assert self.left.wrong + self.right.wrong == []
            if self.chance.random() < 0.3:
                self.pump(self.chance.random() < 0.5)
            for _ in range(self.chance.randrange(6)):
                self._step(self.chance.randrange(10))
            self.time.pass_(self.chance.choice((0, 0, 1, 3)))

    # -- workers -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.messages)
    @rule(number=st.integers(0, 9), count=st.integers(1, 6))
    def work(self, number: int, count: int) -> None:
        for _ in range(count):
            self._step(number)

    @precondition(lambda self: self.messages)
    @rule(number=st.integers(0, 9), side=st.sampled_from(("right", "right", "left")), place=st.integers(0, 9),
          inside=st.sampled_from(("edit", "freeze", "other worker", "thaw late", "clerk")))  # fmt: skip
    def work_while(self, number: int, side: str, place: int, inside: str) -> None:
        """Run a step, and have something happen during its first write to a side."""
        system: Watched = getattr(self, side)

        def happens(operation: Operation) -> None:
            system.during_write = None
            if inside == "edit":
                self.edit({ORDERS[number % 4]}, "orders", "abc"[number % 3], "310", "a", 1)
            elif inside == "clerk":  # a slow call, after which the pictures of the writes to come are old
                self.clerk(side, place, number, "k")
                self.time.pass_(35)
            elif inside == "other worker":
                self.pump(True)
                for more in (1, 2, 3):
                    self._step(number + more)
            else:
                self.time.pass_(50 if inside == "freeze" else 150)
                self.pump(True)
                self._step(number + 1)
                self._step(number + 2)
            self.time.pass_(1)  # no call takes no time

        system.during_write = happens
        self._step(number)
        system.during_write = None

    @precondition(lambda self: self.messages)
    @rule(number=st.integers(0, 9), seconds=st.sampled_from((5, 32, 44)), side=st.sampled_from(("right", "right", "left")),
          place=st.integers(0, 9), which=st.integers(0, 7))  # fmt: skip
    def work_slowly(self, number: int, seconds: int, side: str, place: int, which: int) -> None:
        """A chain's steps have time between them, and in that time somebody edits what it may write."""
        message = self._ready(number)
        while message is not None and message in self.messages and (message.due is None or message.due <= self.time.at):
            if not self._run(message):
                self.messages.remove(message)
            else:
                self.clerk(side, place, which, "k")
                self.time.pass_(seconds)

    @precondition(lambda self: self.seen)
    @rule(number=st.integers(0, 30), stage=st.sampled_from(Stage))
    def deliver_again(self, number: int, stage: Stage) -> None:
        self._run(Message(self.seen[number % len(self.seen)], [stage]))

    @precondition(lambda self: self.messages)
    @rule()
    def flushall(self) -> None:
        self.messages.clear()

    # -- faults --------------------------------------------------------------------------------------------------------

    @rule(fault=st.sampled_from(FAULTS), side=st.sampled_from(("right", "right", "left")), after=st.integers(0, 2),
          number=st.integers(0, 9))  # fmt: skip
    def write_fault(self, fault: str, side: str, after: int, number: int) -> None:
        """A fault for one of the next writes, and a worker that may run into it."""
        getattr(self, side).faults = [*[""] * after, fault]
        self.work(number, 3)

    @rule(key=st.sampled_from(ORDERS), text=st.sampled_from("abc"), number=st.integers(0, 9),
          fault=st.sampled_from(("lost", "unheard", "late", "dies after", "blink")))  # fmt: skip
    def two_flows_write_one_object(self, key: str, text: str, number: int, fault: str) -> None:
        self.remark({key}, text, 1)
        self.edit({key}, "orders", text, "310", text, 1)
        self.write_fault(fault, "right", 0, number)

    @rule(what=st.sampled_from(("throttled", "long throttled", "dies", "bug")))
    def read_fault(self, what: str) -> None:
        self.trouble.reading.append(what)

    @rule(side=st.sampled_from(("left", "right")))
    def goes_down(self, side: str) -> None:
        getattr(self, side).down = True

    @rule(side=st.sampled_from(("left", "right", "right")), kind=st.integers(0, 5), number=st.integers(0, 7),
          how=st.sampled_from(CURSES))  # fmt: skip
    def curse(self, side: str, kind: int, number: int, how: tuple[str, str]) -> None:
        """From here on one object cannot be read, or written, with the same error each time."""
        system: Watched = getattr(self, side)
        kinds = [one for one in KINDS if one in self.flows]
        one = kinds[kind % len(kinds)]
        other = self.right if side == "left" else self.left
        there = [named(doc) for doc in system.objects.get(one, {}).values()]
        coming = [f"{key}-a" if one in ("pieces", "loads") else key for key in other.objects.get(one, {})]
        names = sorted({*there, *coming})
        if names and len(self.trouble.reads) + len(self.trouble.writes) < 2:
            getattr(self.trouble, how[0])[side, one, names[number % len(names)]] = how[1]

    @rule()
    def lift(self) -> None:
        self.trouble.reads.clear()
        self.trouble.writes.clear()

    # -- the end -------------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self._calm_down()
            assert self.left.wrong + self.right.wrong == []
            Rest(self.world, self.left, self.right, self.trouble).check()
        finally:
            self.give_back()
            self.store.close()

    def _calm_down(self) -> None:
        self.left.down = self.right.down = False
        self.left.faults.clear()
        self.right.faults.clear()
        self.trouble.reading.clear()
        self.store.blinks = False
        self.messages.clear()
        if self.lifted:
            self.lift()
        for _ in range(3):
            self.time.pass_(3700)  # what is held is checked every hour
            self.retry_dead_letters()
            if self.lifted:
                self.settle_by_hand()
            for number in range(len(self.flows)):
                self.poll(number)
            self._work_off(hours=3)


HOW = settings(  # the same examples in every run; a bug hunt takes max_examples=2000 and derandomize=False
    max_examples=usually(4, full=7), stateful_step_count=40, deadline=None, derandomize=True,
    suppress_health_check=list(HealthCheck), print_blob=True,
)  # fmt: skip


def test_whatever_happens_in_whatever_order_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    template = tmp_path / "template.db"
    upgrade(f"sqlite:///{template}")

    class OnSqlite(Anything):
        @staticmethod
        def open_store() -> Blinking:
            path = Path(tempfile.mkdtemp(dir=tmp_path)) / "store.db"
            shutil.copyfile(template, path)
            return Blinking(f"sqlite:///{path}")

    run_state_machine_as_test(OnSqlite, settings=HOW)


@pytest.mark.postgres
def test_the_same_on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> None:
    url = start_postgres(shared_folder(tmp_path_factory.getbasetemp()))
    upgrade(url)

    class OnPostgres(Anything):
        @staticmethod
        def open_store() -> Blinking:
            store = Blinking(url)
            with store.write() as session:
                for table in reversed(m.Base.metadata.sorted_tables):
                    session.execute(table.delete())
            return store

    run_state_machine_as_test(
        OnPostgres, settings=settings(HOW, max_examples=2, stateful_step_count=usually(12, full=40))
    )
    drop_postgres(url)

"""Nobody decides by a text for people: with random words in the place of every text the kernel does what it did."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from syncengine.errors import Misconfigured, Rejected
from syncengine.store.migrate import upgrade
from tests.contract.kernel import test_people_machine, test_state_machine
from tests.contract.kernel.machine_world import Blinking
from tests.contract.kernel.texts import Guarded, original, read_through, scrambled
from tests.contract.kernel.world import World
from tests.depth import usually


@pytest.mark.parametrize(
    ("machine", "how"),
    [
        (test_people_machine.People, test_people_machine.HOW),
        (test_state_machine.Anything, test_state_machine.HOW),
    ],
    ids=["two people", "kernel"],
)
def test_with_random_words_nothing_else_happens(
    tmp_path: Path, machine: type[RuleBasedStateMachine], how: settings
) -> None:
    template = tmp_path / "template.db"
    upgrade(f"sqlite:///{template}")

    class OnSqlite(machine):  # type: ignore[valid-type, misc]
        @staticmethod
        def open_store() -> Blinking:
            path = Path(tempfile.mkdtemp(dir=tmp_path)) / "store.db"
            shutil.copyfile(template, path)
            return Blinking(f"sqlite:///{path}")

    with read_through(scrambled):
        run_state_machine_as_test(
            OnSqlite, settings=settings(how, max_examples=2, stateful_step_count=usually(20, full=40))
        )


def test_what_is_loaded_and_raised_is_scrambled(world: World) -> None:
    world.left.put("things", "1", name="a lamp")
    world.right.faults = ["refused"]
    world.sync("things", "1")
    plain = world.record("things", "1").reason
    with read_through(scrambled):
        loaded = world.record("things", "1").reason
        raised = Misconfigured("it is wrong", "Correct it")
        refused = Rejected(field="name", value="x", reason="it is invoiced", remedy="Cancel the invoice")

    assert plain not in loaded
    assert original(loaded) == plain
    assert "wrong" not in raised.says
    assert "invoice" not in refused.reason + refused.remedy


def test_a_guarded_text_can_be_shown_and_is_not_compared_by_the_product() -> None:
    text = Guarded("it is invoiced")
    source = compile("text == 'x'", f"{Path(__file__).parents[3]}/syncengine/engine/any.py", "eval")

    assert f"because {text}" == "because it is invoiced"
    with pytest.raises(AssertionError, match="reads a text for people"):
        eval(source, {"text": text})  # noqa: S307 - as a module of the product would

"""All commands that there are, by click's own tree: each only reads, and is shown to, or has a scenario in `test_twice.py`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import redis

from syncengine.cli import commands
from syncengine.http.breaker import Breakers, Rules
from tests.contract.commands import scenes
from tests.contract.commands.people import People
from tests.contract.commands.tables import rows
from tests.contract.commands.test_installation_twice import INSTALLATION
from tests.contract.commands.test_twice import SCENARIOS, on_sqlite
from tests.contract.kernel.world import World

TESTS = Path(__file__).parents[2]


@dataclass(frozen=True)
class Reads:
    """A command that changes nothing: why it need not, and what to type to see that it does not."""

    why: str
    words: str


READS: Mapping[str, Reads] = {
    "alerts list": Reads("lists", "alerts list --all"),
    "alerts test": Reads("sends a message that says it is a trial, each time", "alerts test"),
    "budget": Reads("sums up", "budget --backfill 10"),
    "ceilings list": Reads("lists", "ceilings list"),
    "check": Reads("asks systems", "check"),
    "deadletters export": Reads("writes what it reads to a file", "deadletters export --all --file letters.csv"),
    "deadletters list": Reads("lists", "deadletters list --all --grouped"),
    "deadletters show": Reads("shows", "deadletters show 1"),
    "doctor": Reads("examines", "doctor"),
    "endpoints list": Reads("lists", "endpoints list"),
    "fields": Reads("lists", "fields syspro.customer"),
    "health": Reads("examines", "health"),
    "held list": Reads("lists", "held list --grouped"),
    "held show": Reads("shows", "held show 1"),
    "keys list": Reads("counts", "keys list"),
    "keys new": Reads("prints a key that it keeps nowhere", "keys new"),
    "lookups list": Reads("lists", "lookups list"),
    "observe report": Reads("sums up", "observe report --csv report.csv"),
    "stock compare": Reads("compares", "stock compare --differences"),
    "status": Reads("sums up", "status"),
    "trace": Reads("shows", "trace lamp"),
}

LOOKS_FIRST = {
    "deadletters close": "deadletters close --all --dry-run",
    "deadletters discard": "deadletters discard --all --dry-run",
    "deadletters edit": "deadletters edit 1 --set name=good --dry-run",
    "deadletters retry": "deadletters retry --all --dry-run",
    "held approve": "held approve --all --dry-run",
    "held refuse": "held refuse --all --because x --dry-run",
    "observe approve": "observe approve --because x --dry-run",
    "retention": "retention",
    "sync": "sync things --dry-run",
}
"""Commands that change something, and how they are asked what they would do; each that has `--dry-run` is among them, but
for `configure`, whose file names other systems: `test_what_a_file_would_change_is_shown_and_not_stored`."""

PROCESSES = {
    "demo": "tests/unit/test_demo_comparison.py",
    "down": "tests/system/test_supervisor.py::test_down_without_anything_running_says_so",
    "init": "tests/contract/configure/test_init.py::test_files_that_exist_are_not_replaced_unasked",
    "observe approve": "tests/system/awkward/test_stock_people.py::test_a_second_person_is_told_who_has_approved",
    "sandbox": "tests/contract/sandbox/test_sandbox_frame.py",
    "up": "tests/system/test_supervisor.py::test_a_full_disk_ends_nothing_what_dies_is_back_and_a_second_one_is_refused",
    "webhooks list": "tests/system/test_webhooks.py::test_webhooks_are_subscribed_listed_and_tested",
    "webhooks sync": "tests/system/test_webhooks.py::test_webhooks_are_subscribed_listed_and_tested",
    "webhooks test": "tests/system/test_webhooks.py::test_webhooks_are_subscribed_listed_and_tested",
}
"""Commands that run processes, write files, need levels or set up what is in a system, and which test runs each."""


def _leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(_leaves(commands))
CHANGING = {one.command for one in SCENARIOS} | INSTALLATION.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_reads_or_has_a_scenario(name: str) -> None:
    places = [table for table in (READS.keys(), CHANGING, PROCESSES.keys()) if name in table]
    assert len(places) == 1, (
        f"`syncengine {name}` is in {len(places)} of the tables. If it changes anything, add what two people read to "
        "SCENARIOS in test_twice.py (or INSTALLATION in test_installation_twice.py); if it only reads, add it to READS here, "
        "with a word why and what to type; if it runs processes or writes files, to PROCESSES with the test that does"
    )


def test_no_table_has_a_command_that_is_gone() -> None:
    assert (READS.keys() | CHANGING | PROCESSES.keys() | LOOKS_FIRST.keys()) - COMMANDS.keys() == set()


def test_each_dry_run_is_shown_to_change_nothing() -> None:
    dry = {name for name, one in COMMANDS.items() if any("--dry-run" in option.opts for option in one.params)}
    assert dry - LOOKS_FIRST.keys() == {"configure"}


@pytest.mark.parametrize("test", PROCESSES.values(), ids=PROCESSES)
def test_the_tests_of_processes_are_there(test: str) -> None:
    file, _, function = test.partition("::")
    text = (TESTS.parent / file).read_text(encoding="utf-8")
    assert f"def {function}(" in text if function else text


# -- what reads leaves everything as it is -----------------------------------------------------------------------------


@pytest.fixture
def crowded(make_world: Callable[..., World], lend: Callable[[World], World], people: People, redis_url: str) -> World:
    """A store in which every table has rows, and a Redis that knows an endpoint on which calls have failed."""
    world = lend(scenes.shop(make_world))
    scenes.crowd(world)
    client = redis.Redis.from_url(redis_url)
    with Breakers(client, Rules()).admit("right-1") as passage:
        passage.failed("connection refused")
    client.close()
    return world


@on_sqlite
def test_what_only_reads_changes_no_row_and_no_key(crowded: World, people: People, redis_url: str) -> None:
    before = rows(crowded.store), _keys(redis_url)
    assert [name for name, found in before[0].items() if not found] == []
    assert before[1] != {}
    for words in [*(one.words for one in READS.values()), *LOOKS_FIRST.values()]:
        for form in ("", " --json") if _has_json(words) else ("",):
            said = people.run("anna", *f"{words}{form}".split())
            assert said.code in (0, 1), said
            assert "Traceback" not in said.text
            if form:
                json.loads(said.out)
        assert rows(crowded.store) == before[0], words
        assert _keys(redis_url) == before[1], words
        assert crowded.messages == [], words


def _has_json(words: str) -> bool:
    command = next(one for name, one in COMMANDS.items() if f"{words} ".startswith(f"{name} "))
    return any("--json" in option.opts for option in command.params)


def _keys(url: str) -> dict[bytes, str]:
    """All that Redis holds."""
    with redis.Redis.from_url(url) as client:
        return {key: hashlib.sha256(client.dump(key) or b"").hexdigest() for key in sorted(client.keys())}

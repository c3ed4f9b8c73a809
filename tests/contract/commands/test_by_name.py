"""Commands find an object by what people call it, and list several of one name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.connectors.base import NameKind
from syncengine.document import Doc
from syncengine.errors import Rejected
from syncengine.mapping.contract import Context, RuleDecision, RuleVerdict
from tests.contract.commands.people import People, Said
from tests.contract.kernel.world import Plain, World, by_name, flow

pytestmark = pytest.mark.one_database

NAMES = {"shop_ref": NameKind.REFERENCE, "email": NameKind.EMAIL, "sku": NameKind.SKU}


def _rules(doc: Doc, context: Context) -> RuleDecision:
    return RuleDecision(RuleVerdict.HOLD, "too big") if doc["name"] == "big" else RuleDecision()


def _to(doc: Doc, context: Context) -> Doc:
    if doc["name"] == "bad":
        raise Rejected(field="name", value="bad", reason="it is bad", remedy="Make it good")
    return by_name(doc, context)


@pytest.fixture
def world(make_world: Callable[..., World], lend: Callable[[World], World]) -> World:
    """1 is written, 2 is held, 3 is dead; 2 and 3 are of one customer, and 4 is held for another."""
    world = lend(make_world(flow("things", Plain(_to, rules=_rules)), left={"searchable": NAMES}))
    for key, name, email in (("1", "good", "bob"), ("2", "big", "ann"), ("3", "bad", "ann"), ("4", "big", "cy")):
        world.left.put("things", key, name=name, shop_ref=f"WEB-{key}", email=f"{email}@example.com", sku="LAMP")
    world.sync("things", "1", "2", "3", "4")
    return world


def _run(people: People, words: str) -> Said:
    return people.run("ann", *words.split())


def test_every_command_finds_an_object_by_its_name(world: World, people: People) -> None:
    assert "things 1  (main)" in _run(people, "trace WEB-1").out
    listed = _run(people, "trace ANN@example.com")
    assert (listed.code, listed.out) == (
        0,
        "Records with this name:\n"
        "  things 3  (main)  by email: dead: name = 'bad': it is bad. Make it good\n"
        "  things 2  (main)  by email: held: too big\n",
    )
    assert [match["key"] for match in _run(people, "trace sku:lamp --json").facts["named"]] == ["4", "3", "2", "1"]
    assert _run(people, "trace WEB-9").code == 1

    assert "too big" in _run(people, "held show web-2").out
    assert [row["key"] for row in _run(people, "held list --object ann@example.com --json").facts] == ["2"]
    assert [row["key"] for row in _run(people, "held list --object lamp --json").facts] == ["2", "4"]
    assert _run(people, "held list --object WEB-1").out == "No matching records.\n"
    for command in ("held list", "deadletters list"):
        unknown = _run(people, f"{command} --object WEB-9")
        text = "No record of WEB-9. `syncengine trace WEB-9` shows possible reasons.\n"
        assert (unknown.code, unknown.out) == (1, text)
        assert _run(people, f"{command} --object WEB-9 --json").code == 1
    assert [row["key"] for row in _run(people, "deadletters list --object ann@example.com --json").facts] == ["3"]
    assert _run(people, "deadletters list --object bob@example.com").out == "No matching records.\n"

    refused = _run(people, "push ann@example.com --no-wait")
    assert refused.code == 2
    assert (
        "ann@example.com names several records: things 3 (main), things 2 (main). Use the key of one of them"
        in refused.err
    )
    assert "things 1 is being synced" in _run(people, "push WEB-1 --flow things --no-wait").out
    unknown = _run(people, "ignore zed@example.com --flow things --because x")
    assert "nothing is known of zed@example.com" in unknown.err  # and no record gets it as its key


def test_a_bulk_action_on_one_object_leaves_the_others(world: World, people: People) -> None:
    assert _run(people, "held refuse --object WEB-9 --because x --yes").out == "No matching records.\n"
    assert _run(people, "held refuse --object WEB-2 --because x --yes").code == 0
    assert _run(people, "deadletters discard --object WEB-2 --because x --yes").out == "No matching records.\n"
    assert _run(people, "deadletters discard --object WEB-3 --because x --yes").code == 0
    world.settle()
    assert [world.record("things", key).status for key in "234"] == ["skipped", "skipped", "held"]

"""An operator follows the advice about a flow that its write ceiling has shut."""

from __future__ import annotations

import re

from syncengine.engine.writes import ceiling
from tests.system.awkward.conftest import Cli
from tests.system.awkward.world import World


def test_the_commands_that_a_shut_flow_is_told_with_show_what_it_would_write_and_open_it(
    cli: Cli, world: World
) -> None:
    world.configure(ceilings={"orders": 1})
    contact = world.shop.contact()
    first, second = (world.shop.order(contact, world.shop.row("MUG", 2, "16.00")) for _ in range(2))
    world.sync()
    assert [world.status(one.id)[0] for one in (first, second)] == ["done", "held"]

    listed, dry_run, opened = (words.split()[1:] for words in re.findall("`(.*?)`", ceiling.remedy("main", "orders")))

    assert re.search(rf"orders +{second.id}", cli(*listed)[1])
    code, out, _ = cli(*(str(second.id) if word == "KEY" else word for word in dry_run))
    assert (code, f"CustomerPoNumber: {second.id}" in out) == (0, True)
    assert out.splitlines()[-1] == "Dry run of 1 object. No changes made."
    assert cli(*opened[:-1], " ")[0] == 2
    assert cli(*opened)[0] == 0
    world.settle()
    assert world.status(second.id)[0] == "done"

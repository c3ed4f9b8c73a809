"""`syncengine lookups`: entries that people set, beside those of the configuration file."""

from __future__ import annotations

import json

from tests.system.awkward.conftest import Cli
from tests.system.awkward.world import World


def test_an_order_that_waits_for_an_entry_goes_through_once_a_person_sets_it(world: World, cli: Cli) -> None:
    world.configure(lookups={"warehouses": {"99": "ZZ"}})
    order = world.shop.order(world.shop.contact())
    world.sync()
    assert world.status(order.id)[0] == "waiting"

    assert cli("lookups", "set", "main", "warehouses", " 2 ", "MN") == (0, "warehouses of main: 2 -> MN.\n", "")
    world.settle()
    assert world.status(order.id)[0] == "done"
    assert world.erp.order(order.id)["Warehouse"] == "MN"

    listed = json.loads(cli("lookups", "list", "--table", "warehouses", "--json")[1])
    assert [(one["key"], one["value"], one["origin"]) for one in listed] == [
        ("2", "MN", "person"),
        ("99", "ZZ", "file"),
    ]
    shown = cli("lookups", "list", "--table", "warehouses")[1].splitlines()
    assert [line.split() for line in shown] == [
        ["connection", "table", "key", "value", "from"],
        ["main", "warehouses", "2", "MN", "a", "person"],
        ["main", "warehouses", "99", "ZZ", "syncengine.yml"],
    ]


def test_a_persons_entry_is_removed_once_it_is_agreed_to_and_one_of_the_file_in_the_file(
    world: World, cli: Cli
) -> None:
    world.configure(lookups={"warehouses": {"99": "ZZ"}})
    cli("lookups", "set", "main", "warehouses", "3", "A")
    assert cli("lookups", "set", "main", "warehouses", "3", "B")[1] == "warehouses of main: 3 -> B (previously A).\n"

    assert cli("lookups", "remove", "main", "warehouses", "3")[:2] == (
        1, "warehouses of main: 3 -> B\nNo changes made. Re-run with --yes to apply.\n",
    )  # fmt: skip
    for words in (("set", "main", "warehouses", "99", "AA"), ("remove", "main", "warehouses", "3", "99", "--yes")):
        said, _, complaint = cli("lookups", *words)
        assert said == 2
        assert "warehouses '99' comes from the configuration file: change `lookups:` of main in that file" in complaint
    assert json.loads(cli("lookups", "remove", "main", "warehouses", "3", "--json", "--yes")[1])["removed"] == 1
    assert [one["key"] for one in json.loads(cli("lookups", "list", "--table", "warehouses", "--json")[1])] == ["99"]


def test_a_table_or_an_entry_that_is_not_there_is_named(world: World, cli: Cli) -> None:
    world.configure()
    for words, says in (
        (
            ("set", "main", "warehuses", "3", "A"),
            "no flow of the connection main has a table 'warehuses' (did you mean",
        ),
        (("set", "mian", "warehouses", "3", "A"), "there is no connection 'mian'"),
        (("set", "main", "warehouses", " ", "A"), "a key must have 1 to 255 characters"),
        (("remove", "main", "warehouses", "77"), "the connection main has no entry '77' in warehouses"),
    ):
        said, _, complaint = cli("lookups", *words)
        assert said == 2
        assert says in complaint

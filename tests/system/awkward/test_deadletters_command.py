"""`syncengine deadletters` as operators and scripts use it, on a shop of which some orders were refused."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest

from syncengine.engine.people import dead_letter_bulk, dead_letters
from syncengine.sandbox.shop.model import Product
from tests.system.awkward.conftest import Cli
from tests.system.awkward.world import World

D = Decimal
UNKNOWN = "=NEW()"  # a spreadsheet would take it for a formula


@pytest.fixture
def orders(world: World) -> list[int]:
    """Three orders of a product that SYSPRO does not know, refused; letters 1 to 3."""
    world.shop.account.products[3003] = Product(3003, UNKNOWN, "A novelty", D("4.50"), "T20", {})
    contact = world.shop.contact()
    made = [world.shop.order(contact, world.shop.row(UNKNOWN, 1, "4.50")).id for _ in range(3)]
    world.sync()
    return made


def test_the_list_has_a_line_for_each_and_the_groups_one_block_for_each_cause(cli: Cli, orders: list[int]) -> None:
    code, out, _ = cli("deadletters", "list")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["id", "opened", "(UTC)", "flow"]
    assert [line.split()[0] for line in lines[1:] if line[0].isdigit()] == ["3", "2", "1"]

    _, grouped, _ = cli("deadletters", "list", "--grouped")
    assert grouped.lstrip().startswith("3  orders, push: ")
    assert f"newest: 3 (orders {orders[2]} with {UNKNOWN})" in grouped

    listed = json.loads(cli("deadletters", "list", "--json")[1])
    assert [(one["key"], one["now"]) for one in listed] == [(str(order), "dead") for order in reversed(orders)]
    [group] = json.loads(cli("deadletters", "list", "--grouped", "--json")[1])
    assert (group["count"], group["example"]) == (3, 3)
    assert cli("deadletters", "list", "--flow", "customers")[1] == "No matching records.\n"
    assert json.loads(cli("deadletters", "list", "--value", "nothing like it", "--json")[1]) == []
    assert cli("deadletters", "list", "--limit", 1)[1].splitlines()[-1].startswith("2 more match; use --limit 3")


def test_one_letter_is_shown_whole(cli: Cli, orders: list[int]) -> None:
    _, out, _ = cli("deadletters", "show", 1)
    for part in (
        "StockCode",
        UNKNOWN,
        "remedy",
        "planned now: write: create",
        "timeline",
        "source",
        "mapped",
        "productSku",
    ):
        assert part in out
    whole = json.loads(cli("deadletters", "show", 1, "--json")[1])
    assert whole["documents"]["mapped"][""]["CustomerPoNumber"] == str(orders[0])
    assert whole["events"][-1]["what"] == "dead"
    assert cli("deadletters", "show", 99) == (
        2, "", "syncengine: no dead letter has the id 99. Run `syncengine deadletters list` to see the ids\n",
    )  # fmt: skip


def test_a_retry_shows_writes_and_money_first_and_does_nothing_without_a_yes(
    cli: Cli, world: World, orders: list[int]
) -> None:
    code, out, _ = cli("deadletters", "retry", "--cause", "not found")
    assert code == 1
    assert out.splitlines() == [
        "3 records would be retried.",
        "  create orders: 3, worth 13.50 GBP net",
        "No changes made. Re-run with --yes to apply.",
    ]
    code, out, _ = cli("deadletters", "retry", "--all", "--most", 2, "--dry-run", "--json")
    assert code == 0
    shown = json.loads(out)
    assert shown["retried"] == 0
    assert (shown["preview"]["records"], shown["preview"]["left"]) == (2, 1)
    assert shown["preview"]["writes"] == [{"entity": "orders", "verb": "create", "count": 2, "worth": {"GBP": "9.00"}}]
    assert json.loads(cli("deadletters", "retry", "--all", "--json")[1])["retried"] == 0

    world.configure(lookups={"stock_codes": {UNKNOWN: "MUG"}})
    code, out, _ = cli("deadletters", "retry", "--cause", "not found", "--pace", 60, "--yes")
    assert out == "3 records will be retried, 60 a minute. Use `syncengine status` to follow the progress.\n"
    assert {one["now"] for one in json.loads(cli("deadletters", "list", "--json")[1])} == {"again"}
    world.settle()
    assert [world.erp.made(order) for order in orders] == [1, 1, 1]
    assert json.loads(cli("deadletters", "list", "--json")[1]) == []


def test_whoever_names_no_letter_is_asked_which(cli: Cli, orders: list[int]) -> None:
    for command in (("retry",), ("discard", "--because", "x"), ("close", "--because", "x")):
        code, _, err = cli("deadletters", *command)
        assert code == 2
        assert "or with --all" in err
    assert cli("deadletters", "retry", "--flow", "customers")[:2] == (1, "No matching records.\n")
    assert cli("deadletters", "retry", "--since", "yesterday", "--yes")[2].startswith(
        "syncengine: --since 'yesterday' is not a time."
    )


def test_a_source_document_is_corrected_by_value_by_patch_and_in_an_editor(
    cli: Cli, world: World, orders: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [next(iter(world.shop.account.orders[order].rows)) for order in orders]
    by_value = ("edit", 1, "--set", f"orderRows.{rows[0]}.productSku=MUG", "--because", "the customer rang")
    _, out, _ = cli("deadletters", *by_value, "--dry-run")
    assert out.splitlines() == [
        f"                /orderRows/{rows[0]}/productSku: {UNKNOWN} -> MUG",
        f"With the documents last read, the outcome is: write: create {orders[0]}",
        "No changes made.",
    ]
    assert cli("deadletters", *by_value)[0] == 0

    path = f"/orderRows/{rows[1]}/productSku"
    patch = [{"op": "test", "path": path, "value": UNKNOWN}, {"op": "replace", "path": path, "value": "BOOK"}]
    file = tmp_path / "patch.json"
    file.write_text(json.dumps(patch[1:]))
    code, _, err = cli("deadletters", "edit", 2, "--patch", file)
    assert code == 2
    assert "without a test" in err
    file.write_text(json.dumps(patch))
    assert json.loads(cli("deadletters", "edit", 2, "--patch", file, "--json")[1])["correction"] == 2

    code, _, err = cli("deadletters", "edit", 3)
    assert (code, "no terminal to edit in: use --set, --add or --patch" in err) == (2, True)
    monkeypatch.setattr("syncengine.cli._corrections.has_terminal", lambda: True)
    monkeypatch.setenv("EDITOR", f"sed -i 's/{UNKNOWN[:4]}[()]*/MUG/'")
    assert cli("deadletters", "edit", 3)[0] == 0
    world.settle()

    skus = [world.erp.stock_lines(order)[0][0] for order in orders]
    assert skus == ["MUG", "BOOK", "MUG"]
    _, out, _ = cli("deadletters", "show", 1)
    assert "by " in out
    assert "(the customer rang)" in out
    assert cli("deadletters", "edit", 1, "--set", "id=7")[2].startswith("syncengine: 1 is closed: it succeeded later")
    assert cli("deadletters", "edit", 1, "--withdraw")[1] == "Correction withdrawn; the record is being retried.\n"


def test_letters_are_discarded_and_exported(cli: Cli, world: World, orders: list[int], tmp_path: Path) -> None:
    assert cli("deadletters", "discard", 1, "--because", "a test order")[1] == "1 dead letter discarded.\n"
    assert world.status(orders[0])[0] == "skipped"
    assert "a test order" in world.status(orders[0])[1]
    assert cli("deadletters", "discard", "--value", UNKNOWN, "--because", "x")[0] == 1  # nobody was there to say yes
    assert json.loads(cli("deadletters", "discard", 1, 99, "--because", "x", "--json")[1] or "{}") == {}
    assert cli("deadletters", "close", 2, "--because", "x")[2].startswith(
        "syncengine: 2 is a dead letter; it can be retried or"
    )

    file = tmp_path / "letters.csv"
    assert cli("deadletters", "export", "--file", file)[1] == f"Wrote 2 dead letters to {file}.\n"
    rows = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    assert [(row["id"], row["key"], row["value"]) for row in rows] == [
        ("3", str(orders[2]), f"'{UNKNOWN}"),
        ("2", str(orders[1]), f"'{UNKNOWN}"),
    ]
    assert len(json.loads(cli("deadletters", "export", "--format", "json", "--all")[1])) == 3
    assert cli("deadletters", "export", "--file", tmp_path / "no" / "where.csv")[0] == 2


def test_what_would_be_discarded_is_shown_by_cause_and_at_most_so_many_are(
    cli: Cli, world: World, orders: list[int]
) -> None:
    code, out, _ = cli("deadletters", "discard", "--all", "--most", 2, "--dry-run")
    assert code == 0
    lines = out.splitlines()
    assert lines[:2] == ["2 dead letters would be discarded.", "1 more matches; use --most 3 to include it."]
    assert lines[2].startswith("    2  orders, push: ")
    assert f"newest: 2 (orders {orders[1]} with {UNKNOWN})" in lines[3]
    assert lines[-1] == "No changes made."

    code, out, _ = cli("deadletters", "discard", "--value", UNKNOWN, "--because", "test orders")
    assert code == 1  # nobody was there to say yes
    assert out.splitlines()[0] == "3 dead letters would be discarded."
    assert out.splitlines()[-1] == "No changes made. Re-run with --yes to apply."

    shown = json.loads(cli("deadletters", "discard", 3, 1, "--dry-run", "--json")[1])
    assert shown["discarded"] == 0
    [cause] = shown["preview"].pop("causes")
    assert shown["preview"] == {"records": 2, "left": 0, "waiting": {}}
    assert (cause["flow"], cause["count"], cause["example"]) == ("orders", 2, 3)
    assert {world.status(order)[0] for order in orders} == {"dead"}

    done = ("discard", "--all", "--most", 2, "--because", "test orders", "--yes")
    assert (
        cli("deadletters", *done)[1] == "2 dead letters discarded. 1 more matches; re-run the command to include it.\n"
    )
    assert [world.status(order)[0] for order in orders] == ["skipped", "skipped", "dead"]
    assert json.loads(cli("deadletters", *done, "--json")[1]) == {
        "discarded": 1,
        "left": 0,
        "changed": [],
        "preview": None,
    }


def test_whoever_discards_what_others_wait_for_is_told_how_many(cli: Cli, world: World) -> None:
    contact = world.shop.contact(email=f"{'c' * 250}@mail.example")  # SYSPRO takes 255 characters
    for _ in range(2):
        world.shop.order(contact, world.shop.row("MUG", 1, "4.50"))
    world.sync()
    _, out, _ = cli("deadletters", "discard", "--flow", "customers", "--dry-run")
    assert f"       customers {contact.id} blocks 2 of orders" in out.splitlines()
    assert out.splitlines()[-2:] == [
        "Waiting for these, and left waiting: 2 of orders.",
        "No changes made.",
    ]
    shown = json.loads(cli("deadletters", "discard", "--all", "--dry-run", "--json")[1])
    assert shown["preview"]["waiting"] == {"orders": 2}


def test_a_preview_refuses_what_cannot_be_done_and_needs_no_reason(cli: Cli, orders: list[int]) -> None:
    assert cli("deadletters", "close", 2, "--dry-run")[::2] == (
        2, "syncengine: 2 is a dead letter; it can be retried or discarded, not closed\n",
    )  # fmt: skip
    assert cli("deadletters", "close", "--all", "--dry-run")[:2] == (1, "No matching records.\n")
    for because in ((), ("--because", " ")):
        code, _, err = cli("deadletters", "discard", "--all", "--yes", *because)
        assert code == 2
        assert "Give a reason" in err


def test_a_retry_that_is_not_shown_first_says_what_is_left(cli: Cli, orders: list[int]) -> None:
    assert cli("deadletters", "retry", "--all", "--most", 2, "--yes")[1].splitlines() == [
        "2 records will be retried. Use `syncengine status` to follow the progress.",
        "1 more matches; use --most 3 to include it.",
    ]


def test_a_letter_that_has_closed_while_somebody_thought_about_it_is_not_discarded(
    world: World, orders: list[int]
) -> None:
    with world.store.read() as session:
        chosen = [failure for failure, _ in dead_letters.listed(session)]
    world.configure(lookups={"stock_codes": {UNKNOWN: "MUG"}})
    dead_letters.retry(world.engine, [1, 2])
    world.settle()
    assert dead_letter_bulk.discard(world.engine, chosen, because="test orders", by="anna").count == 1
    assert [world.status(order)[0] for order in orders] == ["done", "done", "skipped"]
    assert "discarded" not in world.timeline(orders[0])


def test_a_number_that_cannot_be_is_refused_before_anything_is_done(cli: Cli, orders: list[int]) -> None:
    for wrong in (
        ("show", 10**20), ("retry", 10**20), ("list", "--limit", -1), ("retry", "--all", "--most", -1),
        ("retry", "--all", "--most", 0), ("retry", "--all", "--pace", "nan"), ("retry", "--all", "--pace", "inf"),
        ("retry", "--all", "--pace", "1e-300"), ("edit", 1, "--set", "orderRows:=NaN"),
    ):  # fmt: skip
        code, out, err = cli("deadletters", *wrong, *(("--yes",) if wrong[0] == "retry" else ()))
        assert (wrong, code, out) == (wrong, 2, "")
        assert "Traceback" not in err
        assert {one["now"] for one in json.loads(cli("deadletters", "list", "--json")[1])} == {"dead"}


def test_a_file_that_is_no_patch_is_named_in_one_line(cli: Cli, orders: list[int], tmp_path: Path) -> None:
    file = tmp_path / "patch.json"
    for text in (b'[{"op": [], "path": "/x"}]', b"[" * 100_000, b'[{"op": "\xff"}]'):
        file.write_bytes(text)
        code, _, err = cli("deadletters", "edit", 1, "--patch", file)
        assert (text[:30], code, len(err.splitlines())) == (text[:30], 2, 1)
        assert "patch.json" in err


def test_a_path_that_is_mistyped_is_named_without_the_document(cli: Cli, orders: list[int]) -> None:
    assert cli("deadletters", "edit", 1, "--set", "orderRow.1.productSku=MUG") == (
        2, "", "syncengine: --set 'orderRow.1.productSku=MUG' cannot be applied: there is no 'orderRow' in the document "
        "(did you mean orderRows?). Correct the path, or add 'orderRow' first\n",
    )  # fmt: skip


def test_a_field_is_added_by_that_word_alone_and_a_mistyped_one_is_not(
    cli: Cli, world: World, orders: list[int]
) -> None:
    row = next(iter(world.shop.account.orders[orders[0]].rows))
    code, _, err = cli("deadletters", "edit", 1, "--set", f"orderRows.{row}.productSKU=MUG", "--dry-run")
    assert code == 2
    assert f"in /orderRows/{row} (did you mean productSku?). Correct the path, or add it with --add" in err

    added = ("edit", 1, "--add", "note=by hand", "--set", f"orderRows.{row}.productSku=MUG")
    made = json.loads(cli("deadletters", *added, "--json")[1])
    assert [(one["op"], one["path"]) for one in made["patch"]] == [
        ("add", "/note"), ("test", f"/orderRows/{row}/productSku"), ("replace", f"/orderRows/{row}/productSku"),
    ]  # fmt: skip
    assert "/note already exists" in cli("deadletters", "edit", 1, "--add", "note=once more")[2]
    world.settle()
    assert world.erp.stock_lines(orders[0])[0][0] == "MUG"
    assert "/note: nothing -> by hand" in cli("deadletters", "show", 1)[1]


def test_an_order_whose_row_lacks_its_sku_is_mended_as_its_remedy_says(cli: Cli, world: World) -> None:
    world.shop.account.products[3004] = Product(3004, "", "Sample without a code", D("4.50"), "T20", {})
    order = world.shop.order(world.shop.contact(), world.shop.row("", 1, "4.50"))
    world.sync()
    row = next(iter(order.rows))
    [one] = json.loads(cli("deadletters", "list", "--json")[1])
    assert one["remedy"].endswith("deadletters edit ID --add orderRows.ROW.productSku=SKU")
    assert cli("deadletters", "edit", 1, "--set", f"orderRows.{row}.productSku=MUG")[0] == 2
    assert cli("deadletters", "edit", 1, "--add", f"orderRows.{row}.productSku=MUG")[0] == 0
    world.settle()
    assert world.erp.stock_lines(order.id)[0][0] == "MUG"


def test_a_mistyped_flow_or_connection_is_not_taken_for_one_without_any(cli: Cli, orders: list[int]) -> None:
    flow = (2, "", "syncengine: there is no flow 'ordrs'. Known flows: customers, inventory, order_tax, orders\n")
    connection = (2, "", "syncengine: there is no connection 'mian'. Known connections: main\n")
    for command in (("deadletters", "list"), ("deadletters", "retry"), ("held", "list")):
        assert cli(*command, "--flow", "ordrs") == flow, command
        assert cli(*command, "--connection", "mian") == connection, command


@pytest.mark.parametrize("id_", ["", "\udcff", "9" * 400])
@pytest.mark.parametrize("command", [("trace",), ("push", "--no-wait")])
def test_what_cannot_be_an_id_is_refused_in_one_line(cli: Cli, command: tuple[str, ...], id_: str) -> None:
    code, out, err = cli(*command, id_)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "is not a valid id" in err

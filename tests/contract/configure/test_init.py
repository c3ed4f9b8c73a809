"""`syncengine init`: two files that `configure` accepts as they are, for the sandbox and for real accounts."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from syncengine import clock, connectors, environment, settings
from syncengine.cli import commands
from syncengine.cli import init as command
from syncengine.cli._init_files import env_text
from syncengine.cli._init_questions import QUESTIONS, Question
from syncengine.engine.setup import checks, configure
from syncengine.engine.setup.installation import Installation
from syncengine.errors import Misconfigured
from syncengine.flows import SHIPPED
from syncengine.flows.loader import load_flows
from syncengine.sandbox.server import Running, Sandbox
from syncengine.store import Store
from syncengine.vault import Vault

GIVEN = {
    "--brightpearl-url": "https://euw1.brightpearlconnect.com",
    "--account": "acme",
    "--app-ref": "acme_sync",
    "--account-token": "token",
    "--syspro-url": "http://erp.example.com:30661/SYSPROWCFService/Rest",
    "--operator": "BPSYNC",
    "--operator-password": "pa$word # 'x' \"y\" \\z",
    "--company": "A",
    "--time-zone": "Europe/London",
    "--home-currency": "gbp",
    "--eligible-statuses": "2, 3",
    "--branch": "10",
    "--salesperson": "W1",
    "--terms-code": "30",
    "--currencies": "1=GBP,2=EUR",
}

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # what is stored does not depend on it


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (*settings.variables(), *(question.variable for question in QUESTIONS if question.variable)):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "has_terminal", lambda: True)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with Sandbox(1, {"latency_s": 0}, contacts=4, products=4, orders=4, awkward=False).start() as running:
        yield running


def init(*words: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(commands, ["init", *words], input=answers, standalone_mode=False)


def written(*words: str) -> Installation:
    """The installation that the command has written with these options, as `configure` reads it."""
    done = init(*words)
    assert done.exception is None, done.output
    return configure.read_file(Path("syncengine.yml"), environment.current())


def options(given: dict[str, str]) -> list[str]:
    return [word for pair in given.items() for word in pair]


@on_sqlite
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--auth", "staff"],
        ["--auth", "oauth"],
        ["--gateway", "harmony"],
        ["--gateway", "harmony", "--syspro-auth", "oauth"],
        ["--gateway", "harmony", "--syspro-auth", "session"],
    ],
    ids=" ".join,
)
def test_configure_accepts_the_sandboxs_files_as_they_are(words: list[str], store: Store, vault: Vault) -> None:
    installation = written("--sandbox", *words)

    configure.apply(store, vault, load_flows([SHIPPED], connectors.resources()), installation)

    assert [plan.mode for plan in installation.connections] == ["observe"]
    assert [list(plan.flows) for plan in installation.connections] == [["customers", "orders", "order_tax"]]


@on_sqlite
def test_configure_accepts_the_files_of_given_answers_and_values_arrive_unchanged(store: Store, vault: Vault) -> None:
    installation = written(*options(GIVEN))
    flows = load_flows([SHIPPED], connectors.resources())

    checks.check(store, vault, flows, installation, call_s=36)

    shop, erp = installation.endpoints
    (main,) = installation.connections
    assert shop.secrets == {"account_token": "token"}
    assert erp.secrets == {"operator_password": GIVEN["--operator-password"]}
    assert main.settings["eligible_statuses"] == [2, 3]
    assert (main.settings["home_currency"], main.settings["branch"]) == ("GBP", "10")
    assert main.quiet_s is None
    assert main.lookups["currencies"] == {"1": "GBP", "2": "EUR"}


@on_sqlite
def test_warehouses_of_stock_add_the_flow_that_sets_levels(store: Store, vault: Vault) -> None:
    stock = {"--stock-warehouses": "MN=2,FG=2", "--posted-elsewhere": "the warehouse"}
    installation = written(*options({**GIVEN, **stock}))

    configure.apply(store, vault, load_flows([SHIPPED], connectors.resources()), installation)

    (main,) = installation.connections
    assert list(main.flows) == ["customers", "orders", "order_tax", "inventory"]
    assert main.lookups["stock_warehouses"] == {"MN": "2", "FG": "2"}
    assert main.settings["posted_elsewhere"] == "the warehouse"
    assert installation.endpoints[0].settings["cost_currency"] == "GBP"


def test_where_a_status_makes_an_order_complete_there_is_no_quiet_period() -> None:
    (main,) = written(*options(GIVEN), "--complete-by-status", "yes").connections
    assert main.quiet_s == 0


def test_the_cut_over_date_is_today_in_the_accounts_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 7, 1, 23, 30, tzinfo=UTC))

    (main,) = written(*options(GIVEN)).connections

    assert main.cut_over == datetime(2026, 7, 1, 23, 0, tzinfo=UTC)  # 2 July in London has begun


def test_secrets_are_in_env_alone_which_only_its_owner_can_read() -> None:
    written(*options(GIVEN))

    env = environment.current()
    assert stat.S_IMODE(Path(".env").stat().st_mode) == 0o600
    assert env["BRIGHTPEARL_ACCOUNT_TOKEN"] == "token"
    assert Fernet(env["SYNCENGINE_KEYS"])
    assert "pa$word" not in Path("syncengine.yml").read_text(encoding="utf-8")
    assert settings.load().given_keys == (env["SYNCENGINE_KEYS"],)


def test_a_secret_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIGHTPEARL_ACCOUNT_TOKEN", "from the environment")

    shop, _ = written(*options({name: text for name, text in GIVEN.items() if name != "--account-token"})).endpoints

    assert shop.secrets == {"account_token": "from the environment"}


def test_files_that_exist_are_not_replaced_unasked(at_a_terminal: None) -> None:
    init("--sandbox")
    before = Path(".env").read_text(encoding="utf-8"), Path("syncengine.yml").read_text(encoding="utf-8")

    done = init("--sandbox", "--auth", "oauth", answers="n\n")

    assert "this folder already has .env and syncengine.yml. No changes made" in str(done.exception)
    assert (Path(".env").read_text(encoding="utf-8"), Path("syncengine.yml").read_text(encoding="utf-8")) == before


def test_force_keeps_the_key_and_all_other_lines_of_env() -> None:
    init("--sandbox")
    key = environment.current()["SYNCENGINE_KEYS"]
    with Path(".env").open("a", encoding="utf-8") as file:
        file.write("SYNCENGINE_ALERT_URLS=json://localhost\n")

    done = init("--sandbox", "--sandbox-url", "http://127.0.0.1:8901", "--force")

    assert done.exception is None
    env = environment.current()
    assert env["SYNCENGINE_KEYS"] == key
    assert env["SYNCENGINE_ALERT_URLS"] == "json://localhost"
    assert env["BRIGHTPEARL_URL"] == "http://127.0.0.1:8901"
    assert Path(".env").read_text(encoding="utf-8").count("BRIGHTPEARL_URL") == 1


def test_an_installation_with_a_key_file_gets_no_other_key() -> None:
    Path("var").mkdir()
    Path("var/key").write_text(Fernet.generate_key().decode(), encoding="ascii")

    init("--sandbox")

    assert "SYNCENGINE_KEYS" not in environment.current()


def test_without_a_terminal_a_missing_answer_names_its_option_and_nothing_is_written() -> None:
    done = init(*options({name: text for name, text in GIVEN.items() if name != "--account-token"}))

    assert "--account-token is missing" in str(done.exception)
    assert not Path(".env").exists()
    assert not Path("syncengine.yml").exists()


@pytest.mark.parametrize(
    ("option", "wrong", "says"),
    [
        ("--brightpearl-url", "brightpearl.com", "setting url"),
        ("--syspro-url", "erp", "Set it to an address"),
        ("--auth", "basic", "'basic' is not one of oauth, private, staff"),
        ("--time-zone", "Europe/Londn", "must be an IANA time zone"),
        ("--home-currency", "pounds", "'pounds' is not a currency"),
        ("--cut-over", "tomorrow", "'tomorrow' is not a date"),
        ("--eligible-statuses", "two,3", "'two' is not an id"),
        ("--currencies", "1:GBP", "'1:GBP' is not KEY=VALUE"),
        ("--branch", " ", "an answer is needed"),
    ],
)
def test_a_wrong_answer_is_refused_at_once(option: str, wrong: str, says: str) -> None:
    done = init(*options({**GIVEN, option: wrong}))

    assert says in str(done.exception)
    assert not Path(".env").exists()


def _script(*answers: str) -> str:
    return "".join(f"{text}\n" for text in answers)


def test_a_person_is_asked_wrong_answers_again_and_sees_the_accounts_statuses(
    sandbox: Running, at_a_terminal: None
) -> None:
    shop = ("private", "brightpearl.com", sandbox.url, "sandbox", "sandbox_app", "sandbox-account-token")
    erp = ("enet", f"{sandbox.url}/SYSPROWCFService/Rest", "BPSYNC", "s3cret!", "T", "")
    connection = ("Europe/Londn", "Europe/London", "GBP", "2025-03-03", "2,3", "yes", "", "10", "W1", "30")

    done = init(answers=_script(*shop, *erp, *connection, "1=GBP", "2=MN", "", "MN=2", "the warehouse"))

    assert done.exception is None, done.output
    assert "setting url = '://brightpearl.com'" in done.output
    assert "must be an IANA time zone" in done.output
    assert re.search(r"Order statuses of the account:\n +1  ", done.output)
    assert "s3cret!" not in done.output
    assert "sandbox-account-token" not in done.output
    installation = configure.read_file(Path("syncengine.yml"), environment.current())
    assert installation.connections[0].lookups["warehouses"] == {"2": "MN"}
    assert installation.connections[0].settings["posted_elsewhere"] == "the warehouse"


def test_a_refused_token_is_said_while_the_statuses_are_asked(sandbox: Running, at_a_terminal: None) -> None:
    empty = ("--company-password", "--cancelled-statuses", "--warehouses", "--tax-codes", "--stock-warehouses")
    more = {
        "--auth": "private",
        "--gateway": "enet",
        "--cut-over": "2026-01-01",
        "--complete-by-status": "no",
        **dict.fromkeys(empty, ""),
    }
    given = {**GIVEN, **more, "--brightpearl-url": sandbox.url, "--account": "sandbox"}
    del given["--eligible-statuses"]

    done = init(*options(given), answers="2\n")

    assert done.exception is None, done.output
    assert "The account's order statuses cannot be listed: shop: Brightpearl rejected the account_token" in done.output


def test_an_oauth_client_is_asked_for_its_references_and_sent_to_authorise(at_a_terminal: None) -> None:
    shop = (
        "oauth",
        "https://euw1.brightpearlconnect.com",
        "acme",
        "acme_sync",
        "acme_dev",
        "https://example.com/back",
        "",
    )
    erp = ("enet", "http://erp.example.com/Rest", "BPSYNC", "s3cret!", "T", "")
    connection = ("UTC", "GBP", "", "2", "", "", "10", "W1", "30", "", "", "", "")

    done = init(answers=_script(*shop, *erp, *connection))

    assert done.exception is None, done.output
    assert "syncengine authorise shop" in done.output
    shop_plan = configure.read_file(Path("syncengine.yml"), environment.current()).endpoints[0]
    assert shop_plan.secrets == {}
    assert shop_plan.settings["dev_ref"] == "acme_dev"
    assert shop_plan.settings["redirect_uri"] == "https://example.com/back"


def test_json_names_the_files_and_the_next_commands() -> None:
    done = init("--sandbox", "--json")

    assert json.loads(done.output) == {
        "files": [".env", "syncengine.yml"],
        "next": [
            "syncengine sandbox",
            "syncengine up --detach",
            "syncengine check",
            "syncengine sync orders",
            "syncengine observe report",
        ],
    }


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_question_is_an_option(question: Question) -> None:
    options = {name for parameter in command.command.params for name in parameter.opts}

    assert question.option in options


def test_a_value_of_several_lines_is_refused() -> None:
    with pytest.raises(Misconfigured, match="has several lines"):
        env_text("", {"SYSPRO_OPERATOR_PASSWORD": "a\nb"})

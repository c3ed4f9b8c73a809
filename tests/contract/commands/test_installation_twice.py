"""What sets an installation up, run twice and by two people at once: the store, its configuration, its credentials, its age."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from syncengine import clock, keys
from syncengine.cli import authorise
from syncengine.engine.setup import bootstrap
from syncengine.sandbox.server import Running, Sandbox
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.store.migrate import newest
from syncengine.vault import Vault
from tests.conftest import KEY
from tests.contract.commands import scenes
from tests.contract.commands.people import ERR, People
from tests.contract.commands.tables import rows
from tests.contract.commands.test_twice import on_sqlite
from tests.contract.kernel.world import World
from tests.services import shared_folder, start_postgres

INSTALLATION: Mapping[str, str] = {
    "authorise": "test_two_people_authorise_one_after_the_other_and_the_last_tokens_work",
    "keys drop": "test_a_key_is_dropped_once",
    "keys rotate": "test_two_people_make_one_new_key",
    "configure": "test_a_file_that_is_taken_over_twice_or_by_two_is_taken_over_once",
    "migrate": "test_a_store_is_migrated_once_however_many_ask_for_it",
    "retention": "test_what_is_old_is_removed_once",
}
"""Commands, and the test of this file that runs each twice and by two people at once."""

CONFIGURATION = """\
endpoints:
  shop:
    system: brightpearl
    settings: {{url: "{url}", account: sandbox, app_ref: sandbox_app, dev_ref: sandbox, limit_per_minute: 0,
      token_url: "{url}/token/{{account}}", authorize_url: "{url}/authorize/{{account}}", redirect_uri: "{back}"}}
    secrets: {{refresh_token: void}}
  erp:
    system: syspro
    settings: {{gateway: enet, url: "{url}/SYSPROWCFService/Rest", operator: BPSYNC, company: T}}
    secrets: {{operator_password: "s3cret!"}}
connections:
  main: {{left: shop, right: erp, flows: [customers], mode: live, cut_over: 2026-01-01T00:00:00Z}}
"""
BACK = "https://shop.example/back"
in_each_way = pytest.mark.parametrize(
    ("database_url", "how"),
    [("sqlite", "again"), ("sqlite", "cutting in"), pytest.param("postgres", "together", marks=pytest.mark.postgres)],
    indirect=["database_url"],
)
"""Rows are locked on PostgreSQL alone: where two are really at once, it is there that they meet."""


def test_the_tests_that_are_named_are_here() -> None:
    assert set(INSTALLATION.values()) <= globals().keys()


# -- its configuration and credentials ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Sandbox(1, contacts=4, products=4, orders=4, awkward=False).start() as running:
        yield running


@pytest.fixture
def installation(people: People, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "syncengine.yml"
    file.write_text(CONFIGURATION.format(url=running.url, back=BACK), encoding="utf-8")
    monkeypatch.setenv("SYNCENGINE_CONFIG", str(file))
    shipped = bootstrap._load(None)  # compiled once, and not in two threads: Python's own parser does not like that
    monkeypatch.setattr(bootstrap, "_load", lambda folder: shipped)


CHANGED = "syncengine: the stored configuration has changed since the changes were shown. No changes made. Run "


@pytest.mark.parametrize(
    ("database_url", "how"),
    [("sqlite", how) for how in ("again", "asked", 1, 2)]
    + [pytest.param("postgres", "together", marks=pytest.mark.postgres)],
    indirect=["database_url"],
)
def test_a_file_that_is_taken_over_twice_or_by_two_is_taken_over_once(
    how: str | int, installation: None, store: Store, people: People
) -> None:
    anna, bert = (lambda who=who: people.run(who, "configure", "--yes") for who in ("anna", "bert"))
    match how:
        case "again":
            said = [anna(), bert()]
        case "together":
            said = sorted(people.together(anna, bert), key=lambda reply: "Applied." not in reply.out)
        case _:
            asked = (lambda: people.run("anna", "configure")) if how == "asked" else anna
            said = [*reversed(people.cutting_in(how, asked, bert))]

    assert (said[0].code, said[0].err, said[0].out.splitlines()[-1]) == (0, "", "Applied.")
    if how in ("again", 1) or (how == "together" and said[1].code == 0):  # whoever comes later sees it as it is then
        assert (said[1].code, said[1].err, said[1].out.splitlines()[-1]) == (0, "", "No changes.")
    else:
        assert (said[1].code, said[1].err) == (2, f"{CHANGED}`syncengine configure` again\n")
    once = rows(store)
    assert [len(once[name]) for name in ("endpoint", "connection")] == [2, 1]
    assert len(_noted(store, "configured")) == 1
    reply = people.run("carl", "configure", "--json").facts
    assert (reply["applied"], reply["changes"]) == (False, [])
    assert rows(store) == once


@on_sqlite
def test_what_a_file_would_change_is_shown_and_not_stored(installation: None, store: Store, people: People) -> None:
    before = rows(store)
    for words in (("configure", "--dry-run"), ("configure", "--dry-run", "--json"), ("configure", "--json")):
        said = people.run("anna", *words)
        assert (said.code, said.err) == (0 if "--dry-run" in words else 1, "")
        assert said.facts["applied"] is False if "--json" in words else said.out.endswith("No changes made.\n")
        assert rows(store) == before


def _noted(store: Store, what: str) -> list[str]:
    """Who has done this, by the timeline."""
    with store.read() as session:
        found = session.scalars(select(m.Event.detail).where(m.Event.what == what).order_by(m.Event.id))
        return [detail["by"] for detail in found]


@on_sqlite
@pytest.mark.parametrize("how", ["again", "cutting in"])
def test_two_people_authorise_one_after_the_other_and_the_last_tokens_work(
    how: str, installation: None, store: Store, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorise, "_answer", _agree)
    people.run("carl", "configure", "--yes")
    anna, bert = (lambda who=who: people.run(who, "authorise", "shop", "--json") for who in ("anna", "bert"))
    first, second = people.cutting_in(1, anna, bert) if how == "cutting in" else (anna(), bert())

    assert [reply.code for reply in (first, second)] == [0, 0], (first, second)
    assert [reply.facts for reply in (first, second)] == [{"endpoint": "shop", "authorised": True}] * 2
    assert people.run("carl", "check", "--json").facts["shop"]["ok"] is True
    assert sorted(_noted(store, "authorised")) == ["anna", "bert"]


@on_sqlite
def test_whoever_authorises_while_another_is_about_it_is_asked_to_wait(
    installation: None, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorise, "_answer", _agree)
    people.run("carl", "configure", "--yes")
    anna, bert = (lambda who=who: people.run(who, "authorise", "shop", "--json") for who in ("anna", "bert"))
    first, second = people.cutting_in(2, anna, bert)  # anna has the token's lock

    assert (first.code, second.code, second.out) == (0, 2, "")
    assert second.err.endswith("syncengine: shop: another process is refreshing the token. Try again in a minute\n")
    assert people.run("carl", "check", "--json").facts["shop"]["ok"] is True


def _agree() -> str:
    """The browser: it opens the address that is shown, and is sent on."""
    heard = ERR.get()
    assert heard is not None
    shown = re.findall(r"http\S+", heard.getvalue())[-1]
    return requests.get(shown, allow_redirects=False, timeout=10).headers["Location"]


# -- its store ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return start_postgres(shared_folder(tmp_path_factory.getbasetemp()))


@on_sqlite
def test_a_store_is_migrated_once_however_many_ask_for_it(
    empty_url: str, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_url)
    said = [people.run(who, "migrate") for who in ("anna", "bert")]

    assert [(reply.code, reply.err) for reply in said] == [(0, ""), (0, "")]
    assert all(reply.out.endswith(f" is at revision {newest()}.\n") for reply in said)


@pytest.mark.process
@on_sqlite
def test_a_store_is_migrated_once_if_two_do_it_at_once(
    empty_url: str, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes: the tool that migrates keeps its context in globals."""
    monkeypatch.setenv("DATABASE_URL", empty_url)
    begun = [_begin("migrate") for _ in range(2)]
    said = [(*one.communicate(timeout=60), one.returncode) for one in begun]

    assert [(err, code) for _, err, code in said] == [("", 0), ("", 0)]
    assert all(out.endswith(f" is at revision {newest()}.\n") for out, _, _ in said)


def _begin(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "syncengine", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# -- its keys ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(people: People, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose key is in a file, and seals one secret."""
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n", encoding="ascii")
    monkeypatch.setenv("SYNCENGINE_KEY_FILE", str(file))
    monkeypatch.delenv("SYNCENGINE_KEYS")
    monkeypatch.setattr(clock, "sleep", lambda seconds: None)
    with store.write() as session:
        session.add(m.Endpoint(name="shop", system="brightpearl", settings={}))
    Vault(store, [KEY]).write(1, "token", "secret")
    return file


@on_sqlite
@pytest.mark.parametrize("how", ["again", 1, 2])
def test_two_people_make_one_new_key(how: str | int, key_file: Path, people: People) -> None:
    anna, bert = (lambda who=who: people.run(who, "keys", "rotate", "--yes") for who in ("anna", "bert"))
    said = [anna(), bert()] if how == "again" else [*people.cutting_in(how, anna, bert)]

    made = keys.from_file(key_file)
    assert (len(made), made[-1]) == (2, KEY)
    assert sum(reply.out.startswith("Created a new key in ") for reply in said) == 1
    if how == 2:  # anna has begun to change the keys
        assert (said[1].code, said[1].err) == (
            2, "syncengine: another command is changing the keys. Try again in a minute\n",
        )  # fmt: skip
    else:
        assert [reply.code for reply in said] == [0, 0]
        assert all(f"Resealing with {keys.fingerprint_of(made[0])}." in reply.out for reply in said)


@on_sqlite
@pytest.mark.parametrize("how", ["again", 1])
def test_a_key_is_dropped_once(how: str | int, key_file: Path, people: People) -> None:
    old = keys.fingerprint_of(KEY)
    assert people.run("carl", "keys", "rotate", "--yes", "--foreground").code == 0
    anna, bert = (lambda who=who: people.run(who, "keys", "drop", old) for who in ("anna", "bert"))
    said = [anna(), bert()] if how == "again" else [*reversed(people.cutting_in(how, anna, bert))]

    (left,) = keys.from_file(key_file)
    assert (said[0].code, said[0].out.startswith(f"Removed {old} from ")) == (0, True)
    assert (said[1].code, said[1].err) == (
        2, f"syncengine: there is no key {old}. Keys of this host: {keys.fingerprint_of(left)}\n",
    )  # fmt: skip


# -- its age -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def aged(make_world: Callable[..., World], lend: Callable[[World], World]) -> World:
    """What was written long ago, by the clock of the database, which guards the timeline; and what was today."""
    world = lend(scenes.shop(make_world))
    world.time.at = datetime.now(UTC) - timedelta(days=500)
    scenes.linked(world)
    world.time.at = datetime.now(UTC)
    world.left.put("things", "2", name="bad")
    world.sync("things", "2")
    return world


@in_each_way
def test_what_is_old_is_removed_once(how: str, aged: World, people: People) -> None:
    shown = people.run("anna", "retention", "--json").facts["removable"]
    anna, bert = (lambda who=who: people.run(who, "retention", "--yes", "--json") for who in ("anna", "bert"))
    said = {
        "again": lambda: [anna(), bert()],
        "cutting in": lambda: people.cutting_in(3, anna, bert),
        "together": lambda: people.together(anna, bert),
    }[how]()

    assert all(reply.code == (1 if reply.facts["busy"] else 0) for reply in said), said
    removed = [reply.facts["removed"] for reply in said]
    assert {name: sum(one.get(name, 0) for one in removed) for name in removed[0] | removed[1]} == {
        name: count for name, count in shown.items() if count
    }
    assert removed[0].keys() | removed[1].keys() == {"events", "documents of records"}

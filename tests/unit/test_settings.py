"""Settings: defaults that work on a laptop, and a clear line for every value that cannot be used."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from syncengine import keys, settings
from syncengine.errors import Misconfigured


def test_with_nothing_set_everything_is_embedded_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    found = settings.load({})

    assert found.home == tmp_path / "var"
    assert found.redis_url is None
    assert found.database_url == f"sqlite:///{tmp_path}/var/syncengine.db"
    assert found.flows_path is None
    assert (found.lease_s, found.step_limit_s, found.fresh_s, found.retry_max_s) == (45.0, 60.0, 300.0, 15.0)
    assert not found.home.exists()


def test_flows_d_beside_the_process_is_found_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flows.d").mkdir()

    assert settings.load({}).flows_path == tmp_path / "flows.d"


def test_the_environment_goes_before_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        "SYNCENGINE_LEASE_S=50\nSYNCENGINE_FRESH_S=100\nDATABASE_URL=postgresql://u:a$b@h/n\n"
    )
    for name in settings.variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SYNCENGINE_LEASE_S", "70")

    found = settings.load()

    assert (found.lease_s, found.fresh_s) == (70.0, 100.0)
    assert found.database_url == "postgresql://u:a$b@h/n"


def test_an_empty_value_counts_as_not_set() -> None:
    assert settings.load({"REDIS_URL": "", "SYNCENGINE_LEASE_S": "  "}).lease_s == 45.0


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SYNCENGINE_LEASE_S", "soon", "SYNCENGINE_LEASE_S = 'soon' is not a number of seconds"),
        ("SYNCENGINE_LEASE_S", "nan", "SYNCENGINE_LEASE_S = 'nan' is not a number of seconds from 3 to 600"),
        ("SYNCENGINE_LEASE_S", "37", "= '37' is not 2 s more than the longest call (SYNCENGINE_CALL_S = 36). Raise it"),
        ("SYNCENGINE_WORKERS", "1.5", "SYNCENGINE_WORKERS = '1.5' is not a whole number"),
        ("SYNCENGINE_WORKERS", "0", "SYNCENGINE_WORKERS = '0' is not a whole number from 1 to 256"),
        ("SYNCENGINE_LOG_LEVEL", "loud", "Write one of DEBUG, INFO, WARNING, ERROR"),
        ("REDIS_URL", "localhost:6379", "REDIS_URL = 'localhost:6379' is not an address of a Redis. Write redis://"),
        ("REDIS_URL", "redis://", "REDIS_URL"),
        ("REDIS_URL", "redis://host:port/0", "REDIS_URL"),
        ("REDIS_URL", "sentinel://host:26379", "SYNCENGINE_REDIS_MASTER"),
        ("DATABASE_URL", "mysql://host/name", "DATABASE_URL = 'mysql://host/name' is not an address of a PostgreSQL"),
        ("SYNCENGINE_CONFIG", "/nowhere/x.yml", "SYNCENGINE_CONFIG = '/nowhere/x.yml' is not a file"),
        ("SYNCENGINE_FLOWS", "/nowhere", "SYNCENGINE_FLOWS = '/nowhere' is not a folder"),
        ("SYNCENGINE_HOME", "/dev/null", "SYNCENGINE_HOME = '/dev/null' is not a folder"),
        ("SYNCENGINE_KEYS", "short", "key 1 of SYNCENGINE_KEYS is not a key. `syncengine keys new` makes one"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_do(variable: str, value: str, says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        settings.load({variable: value})

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://u:hunter2@host/0", "redis://u:hunter2@host:port/0"])
def test_no_password_is_shown_of_a_wrong_address(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        settings.load({"REDIS_URL": url})

    assert "hunter2" not in str(caught.value)


def test_no_secret_is_in_the_representation() -> None:
    key = keys.new()
    found = settings.load(
        {"REDIS_URL": "redis://:hunter2@h", "DATABASE_URL": "postgresql://u:hunter2@h/n", "SYNCENGINE_KEYS": key}
    )

    assert "hunter2" not in repr(found)
    assert key not in repr(found)
    assert found.shown_database == "postgresql://h/n"


def test_keys_are_newest_first() -> None:
    first, second = keys.new(), keys.new()

    assert settings.load({"SYNCENGINE_KEYS": f"{first}, {second}"}).keys == (first, second)


def test_a_key_file_is_made_for_its_owner_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = settings.load({"SYNCENGINE_HOME": str(tmp_path / "var")})

    keys.make(found.key_file)

    made = found.keys
    Fernet(made[0])
    assert stat.S_IMODE((tmp_path / "var" / "key").stat().st_mode) == 0o600
    assert str(tmp_path / "var" / "key") in caplog.text
    assert made[0] not in caplog.text
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["key"]


def test_a_store_of_its_own_needs_a_key_that_was_given(tmp_path: Path) -> None:
    found = settings.load({"SYNCENGINE_HOME": str(tmp_path), "DATABASE_URL": "postgresql://host/name"})

    with pytest.raises(Misconfigured, match="set SYNCENGINE_KEYS; `syncengine keys new` makes one"):
        _ = found.keys
    assert not (tmp_path / "key").exists()


def test_to_ask_for_the_keys_makes_none(tmp_path: Path) -> None:
    found = settings.load({"SYNCENGINE_HOME": str(tmp_path)})

    with pytest.raises(Misconfigured, match=r"no encryption key in .*/key\. Put back the one that was in use"):
        _ = found.keys
    assert not list(tmp_path.iterdir())


def test_a_damaged_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("not a key\n")

    with pytest.raises(Misconfigured, match=r"key 1 of .*/key is not a key"):
        _ = settings.load({"SYNCENGINE_HOME": str(tmp_path)}).keys


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()

    with pytest.raises(Misconfigured, match=r"key cannot be used: Is a directory\. Set SYNCENGINE_KEYS"):
        _ = settings.load({"SYNCENGINE_HOME": str(tmp_path)}).keys


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured, match=r"SYNCENGINE_HOME = .*Not a directory"):
        settings.load({"SYNCENGINE_HOME": str(tmp_path / "file" / "var")}).folder()


def test_an_address_of_alerts_that_is_mistyped_is_not_taken_for_a_part_of_the_one_before() -> None:
    found = settings.load({"SYNCENGINE_ALERT_URLS": "json://ops.example/in, slack:/A/B/C  ntfy//topic"})
    assert found.alert_urls == ("json://ops.example/in", "slack:/A/B/C", "ntfy//topic")


def test_addresses_of_alerts_are_parted_by_spaces_or_commas_and_shown_nowhere() -> None:
    text = "mailto://u:S3CRET@mail.example?to=a@x.example,b@x.example, slack://T/S3CRET/x\n json://127.0.0.1/"
    found = settings.load({"SYNCENGINE_ALERT_URLS": text})
    assert found.alert_urls == (
        "mailto://u:S3CRET@mail.example?to=a@x.example,b@x.example",
        "slack://T/S3CRET/x",
        "json://127.0.0.1/",
    )
    assert "S3CRET" not in repr(found)

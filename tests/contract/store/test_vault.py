"""The vault: what is stored can be read with its key only, older keys still open what they sealed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from syncengine import clock, keys
from syncengine.errors import Misconfigured
from syncengine.store import Store
from syncengine.store.models import Endpoint, Secret
from syncengine.vault import Vault


@pytest.fixture
def endpoint_id(store: Store) -> int:
    with store.write() as session:
        endpoint = Endpoint(name="shop", system="brightpearl", settings={})
        session.add(endpoint)
        session.flush()
        return endpoint.id


def test_a_secret_is_encrypted_and_read_back(store: Store, vault: Vault, endpoint_id: int) -> None:
    vault.write(endpoint_id, "refresh_token", "s3cret")
    with store.read() as session:
        stored = session.scalars(select(Secret.value)).one()

    assert b"s3cret" not in stored
    assert vault.read(endpoint_id, "refresh_token") == "s3cret"
    assert vault.read(endpoint_id, "other") is None


def test_every_change_raises_the_version_so_that_others_notice(vault: Vault, endpoint_id: int) -> None:
    versions = [vault.version(endpoint_id, "token")]
    for value in ("a", "b"):
        vault.write(endpoint_id, "token", value)
        versions.append(vault.version(endpoint_id, "token"))

    assert versions == [0, 1, 2]


def test_keys_can_be_exchanged_while_the_old_one_is_still_given(store: Store, endpoint_id: int) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    Vault(store, [old]).write(endpoint_id, "token", "x")

    assert Vault(store, [new, old]).read(endpoint_id, "token") == "x"
    with pytest.raises(Misconfigured, match="encrypted with another key"):
        Vault(store, [new]).read(endpoint_id, "token")


@pytest.mark.parametrize("keys", [[], ["no key"]])
def test_without_a_usable_key_it_says_how_to_make_one(store: Store, keys: list[str]) -> None:
    with pytest.raises(Misconfigured, match="syncengine keys new"):
        Vault(store, keys)


def test_a_process_that_runs_takes_up_what_changes_in_the_key_file(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: seconds[0])
    file = tmp_path / "key"
    keys.make(file)
    running = Vault(store, keys.from_file(file), file=file)
    before = running.seal(b"before")

    keys.put_first(file, keys.new())
    other = Vault(store, keys.from_file(file), file=file)
    assert running.open(other.seal(b"after")) == b"after"  # at once
    assert running.fingerprint_of(running.seal(b"x")) == other.fingerprints[0]
    assert file.stat().st_mode & 0o777 == 0o600

    keys.remove(file, other.fingerprints[1])
    seconds[0] += 1
    assert running.fingerprints == [keys.fingerprint_of(*keys.from_file(file))]
    with pytest.raises(Misconfigured, match=f"another key than those of this process.*{other.fingerprints[0]}"):
        running.open(before)
    file.unlink()
    seconds[0] += 1
    assert running.open(running.seal(b"y")) == b"y"  # what is known is kept


def test_a_key_file_that_is_changed_keeps_its_readers_and_leaves_no_copy(tmp_path: Path) -> None:
    """The workers may run as another user than the one who makes the new key."""
    file, link = tmp_path / "kept" / "key", tmp_path / "key"
    keys.make(file)
    link.symlink_to(file)
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 12_345, 12_346)
    before = file.stat()

    keys.put_first(link, keys.new())
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert len(keys.from_file(link)) == 2
    assert [one.name for one in file.parent.iterdir()] == ["key"]


def test_documents_are_compressed_and_come_back_exactly(vault: Vault) -> None:
    text = "Zażółć gęślą jaźń " * 1000

    sealed = vault.seal_text(text)

    assert len(sealed) < 1000
    assert vault.open_text(sealed) == text

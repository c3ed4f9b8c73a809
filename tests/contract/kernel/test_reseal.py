"""What older keys have sealed is sealed again with the newest one, beside all other work, and then needs them no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet

from syncengine import clock
from syncengine.engine.upkeep import reseal
from syncengine.errors import Misconfigured
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.store.lock import Lock
from syncengine.vault import Vault
from tests.contract.kernel.world import Plain, World, by_name, flow

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def vault(store: Store) -> Vault:
    """The old key alone."""
    return Vault(store, [OLD])


@pytest.fixture
def world(make_world: Callable[..., World], vault: Vault) -> World:
    """Something of every kind is sealed with the old key."""
    world = make_world(flow("things", Plain(by_name)))
    for key in ("1", "2", "3"):
        world.left.put("things", key, name=f"lamp {key}")
    world.sync("things", "1", "2", "3")
    now = clock.now()
    with world.store.write() as session:
        session.add(m.Slot(name="seat", value=vault.seal(b"a session")))
        session.add(
            m.Correction(
                record_id=world.record("things", "1").id, patch=vault.seal_text("[]"), source_fingerprint="x",
                made_by="anna", made_at=now, lapsed_at=now,
            )
        )  # fmt: skip
        endpoint = session.query(m.Endpoint).order_by(m.Endpoint.id).first()
        assert endpoint is not None
        session.add(m.Secret(endpoint_id=endpoint.id, name="token", value=vault.seal(b"t"), updated_at=now))
    return world


def _keys(world: World, *given: str) -> None:
    """From now on the process of this world has these keys."""
    world.engine.vault = Vault(world.store, given)


def _sealed(world: World) -> dict[str, dict[str, int]]:
    return {print_: dict(kinds) for print_, kinds in reseal.counts(world.store, world.engine.vault).items()}


def test_everything_is_sealed_again_and_the_old_key_is_needed_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reseal, "AT_ONCE", 2)
    _keys(world, NEW, OLD)
    new, old = world.engine.vault.fingerprints
    before = _sealed(world)
    assert before[new] == {}
    assert set(before[old]) == {kind.name for kind in reseal.KINDS}
    assert reseal.run(world.engine, for_s=60) is None  # nobody has asked
    assert _sealed(world) == before

    reseal.request(world.store, world.engine.vault)
    assert reseal.run(world.engine, for_s=60) is None
    assert reseal.progress(world.store, world.engine.vault) is None
    assert _sealed(world) == {new: before[old], old: {}}

    _keys(world, NEW)
    assert world.engine.vault.read(1, "token") == "t"
    for key in ("1", "2", "3"):
        world.left.put("things", key, name=f"red lamp {key}")
    world.sync("things", "1", "2", "3")
    assert [verb for verb, _, _ in world.right.writes] == ["create"] * 3 + ["change"] * 3


def test_it_continues_where_it_stopped_and_one_process_does_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reseal, "AT_ONCE", 1)
    _keys(world, NEW, OLD)
    old = world.engine.vault.fingerprints[1]
    reseal.request(world.store, world.engine.vault)
    first, second = (reseal.run(world.engine, for_s=0) for _ in range(2))
    assert (first and first.total, second and second.total) == (1, 1)  # the secret, then nothing more of its kind
    assert reseal.request(world.store, world.engine.vault) == second
    with Lock(world.store, "reseal", 60).tried():
        assert reseal.run(world.engine, for_s=60) is None
    assert reseal.progress(world.store, world.engine.vault) == second
    while reseal.run(world.engine, for_s=0) is not None:
        pass
    assert _sealed(world)[old] == {}


def test_a_row_that_is_written_meanwhile_keeps_what_was_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _keys(world, NEW, OLD)
    vault, renew = world.engine.vault, world.engine.vault.renewed
    written = Vault(world.store, [OLD]).seal(b"another session")

    def meanwhile(sealed: bytes) -> bytes:
        if vault.open(sealed) == b"a session":
            with world.store.write() as session:
                session.get_one(m.Slot, "seat").value = written
        return renew(sealed)

    monkeypatch.setattr(vault, "renewed", meanwhile)
    reseal.request(world.store, vault)
    assert reseal.run(world.engine, for_s=60) is None
    value = _seat(world)
    assert vault.open(value) == b"another session"
    assert vault.fingerprint_of(value) == vault.fingerprints[0]  # by the pass after


def _seat(world: World) -> bytes:
    with world.store.read() as session:
        value = session.get_one(m.Slot, "seat").value
    assert value is not None
    return value


def test_what_no_key_opens_is_left_as_it_is_and_counted(world: World) -> None:
    lost = Vault(world.store, [Fernet.generate_key().decode()]).seal(b"x")
    with world.store.write() as session:
        session.get_one(m.Slot, "seat").value = lost
    _keys(world, NEW, OLD)
    reseal.request(world.store, world.engine.vault)
    assert reseal.run(world.engine, for_s=60) is None
    assert _sealed(world)[""] == {"sessions": 1}
    assert _seat(world) == lost


@pytest.mark.parametrize(
    ("given", "says"),
    [((OLD,), "another host uses now"), ((OLD, NEW), "Put the same key first on every host")],
    ids=["without the key", "with it behind its own"],
)
def test_a_host_that_does_not_seal_with_the_key_that_was_asked_for_says_so(
    world: World, given: tuple[str, ...], says: str
) -> None:
    _keys(world, NEW, OLD)
    reseal.request(world.store, world.engine.vault)
    _keys(world, *given)
    with pytest.raises(Misconfigured, match=says):
        reseal.run(world.engine, for_s=60)


def test_a_key_that_is_lost_while_all_is_sealed_again_is_replaced_by_another(world: World) -> None:
    """What the lost key has sealed is lost; but another key can be asked for."""
    reseal.request(world.store, Vault(world.store, [NEW, OLD]))
    third = Fernet.generate_key().decode()
    _keys(world, third, OLD)
    assert reseal.progress_if_readable(world.store, world.engine.vault) is None
    reseal.request(world.store, world.engine.vault)
    for _ in range(20):
        if reseal.run(world.engine, for_s=60.0) is None:
            break

    assert reseal.progress_if_readable(world.store, world.engine.vault) is None
    assert world.engine.vault.fingerprints[1] not in {name for name, kinds in _sealed(world).items() if kinds}

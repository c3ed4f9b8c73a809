"""Records are found by the names that people use for their objects, and no name is stored in clear."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import delete, func, select

from syncengine.connectors.base import NameKind
from syncengine.engine.people import manual_links, record_search, trace
from syncengine.engine.upkeep import names, reseal
from syncengine.errors import Misconfigured
from syncengine.store import models as m
from syncengine.vault import Vault
from tests.contract.kernel.world import Plain, World, by_name, flow

SHOP = {
    "shop_ref": NameKind.REFERENCE,
    "people.*.email": NameKind.EMAIL,
    "phone": NameKind.PHONE,
    "rows.*.sku": NameKind.SKU,
}
ERP = {"name": NameKind.REFERENCE}


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Things whose left objects have a reference, people, a telephone number and rows."""
    return make_world(flow("things", Plain(by_name)), left={"searchable": SHOP}, right={"searchable": ERP})


def _put(world: World, key: str, **given: object) -> None:
    doc = {
        "name": f"lamp {key}",
        "shop_ref": f"WEB-1000{key}",
        "people": {"customer": {"email": f"Ann{key}@Example.com"}, "delivery": {"email": "office@example.com"}},
        "phone": f"+44 (0)20 7946 000{key}",
        "rows": [{"sku": f"LAMP-{key}"}, {"sku": "SHADE"}],
    }
    world.left.put("things", key, **{**doc, **given})


def _keys(world: World, name: str, **narrow: str) -> list[str]:
    with world.store.read() as session:
        return sorted(record.key for record in record_search.find(session, world.engine, name, **narrow))


def _rows(world: World) -> int:
    with world.store.read() as session:
        return session.scalar(select(func.count()).select_from(m.RecordName)) or 0


def test_every_name_finds_its_record_however_it_is_written(world: World) -> None:
    _put(world, "1")
    _put(world, "2")
    world.sync("things", "1", "2")

    for name in (
        "WEB-10001", " web-10001 ", "ann1@example.com", "ANN1@EXAMPLE.COM", "lamp-1", "020 7946 0001", "+442079460001",
        "email:ann1@example.com", "reference:WEB-10001", "sku:LAMP-1",
    ):  # fmt: skip
        assert _keys(world, name) == ["1"], name
    for name in ("office@example.com", "SHADE", "sku:shade"):
        assert _keys(world, name) == ["1", "2"], name
    for name in ("WEB-1", "sku:WEB-10001", "left:LAMP-1", "reference:ann1@example.com", "phone:0001"):
        assert _keys(world, name) == [], name
    assert _keys(world, "SHADE", flow="others") == _keys(world, "SHADE", connection="other") == []


def test_an_id_wins_over_the_same_text_as_a_reference_and_trace_shows_both(world: World) -> None:
    _put(world, "1", shop_ref="2")
    _put(world, "2")
    world.sync("things", "1", "2")

    assert _keys(world, "2") == ["2"]
    assert _keys(world, "reference:2") == ["1"]
    assert [found.key for found in trace.trace(world.engine, "2")] == ["2"]
    [match] = trace.matches(world.engine, "2")
    assert (match.key, match.kind, match.connection) == ("1", "reference", "main")


def test_several_records_of_one_name_are_listed_and_a_command_for_one_asks_which(world: World) -> None:
    for key in "12345678":
        _put(world, key)
    world.sync("things", *"12345678")

    assert trace.trace(world.engine, "office@example.com") == []
    matches = trace.matches(world.engine, "office@example.com")
    assert [match.key for match in matches] == list("87654321")
    assert {match.kind for match in matches} == {"email"}
    assert matches[0].state.startswith("done")
    with world.store.read() as session:
        with pytest.raises(Misconfigured, match=r"things 3 \(main\) and 2 more") as refused:
            record_search.find_one(session, world.engine, "office@example.com")
        assert refused.value.remedy == "Use the key of one of them"
        assert record_search.find_one(session, world.engine, "WEB-10003").key == "3"
    assert [found.key for found in trace.trace(world.engine, "WEB-10003")] == ["3"]
    assert trace.matches(world.engine, "WEB-10003") == []


def test_a_name_that_changes_replaces_the_former_one_and_a_record_takes_its_names_with_it(world: World) -> None:
    _put(world, "1")
    world.sync("things", "1")
    before = _rows(world)

    _put(world, "1", shop_ref="WEB-2", rows=[])
    world.sync("things", "1")
    assert _keys(world, "WEB-10001") == _keys(world, "SHADE") == []
    assert _keys(world, "WEB-2") == ["1"]
    assert _rows(world) == before - 2 + 1  # and the name of the right object, which was read only now

    del world.left.objects["things"]["1"]  # it is gone: it keeps the names by which people knew it
    world.sync("things", "1")
    assert _keys(world, "WEB-2") == ["1"]

    with world.store.write() as session:
        session.execute(delete(m.Record))
    assert _rows(world) == 0


def test_no_name_is_in_the_store_in_clear(world: World) -> None:
    _put(world, "1")
    world.sync("things", "1")
    with world.store.read() as session:
        for table in m.Base.metadata.sorted_tables:
            shown = str(session.execute(select(table)).all()).lower()
            for name in ("web-10001", "ann1@", "office@", "lamp-1", "79460001", "7946 0001"):
                assert name not in shown, (table.name, name)


def test_names_outlive_the_keys_of_the_vault(world: World) -> None:
    """The key of the digests is sealed in the store, so it is resealed like everything else."""
    _put(world, "1")
    world.sync("things", "1")
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    with world.store.write() as session:  # what another vault has sealed
        session.execute(delete(m.Slot))
        session.execute(delete(m.RecordName))
    world.engine.vault = Vault(world.store, [old])
    world.time.pass_(1)
    _put(world, "1", shop_ref="WEB-9")
    world.sync("things", "1")
    before = world.engine.vault.digest("x")

    world.engine.vault = Vault(world.store, [new, old])
    reseal.request(world.store, world.engine.vault)
    assert reseal.run(world.engine, for_s=60) is None
    world.engine.vault = Vault(world.store, [new])
    assert world.engine.vault.digest("x") == before
    assert _keys(world, "web-9") == ["1"]


def test_two_processes_agree_on_the_key_and_two_installations_do_not(world: World) -> None:
    key = Fernet.generate_key().decode()
    with world.store.write() as session:
        session.execute(delete(m.Slot))
    first, second = Vault(world.store, [key]), Vault(world.store, [key])
    assert first.digest("x") == second.digest("x") != first.digest("y")
    with world.store.write() as session:
        session.execute(delete(m.Slot))
    assert Vault(world.store, [key]).digest("x") != first.digest("x")


def test_records_from_before_an_upgrade_get_their_names_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "AT_ONCE", 2)
    for key in "12345":
        _put(world, key)
    world.sync("things", *"12345")
    complete = _rows(world)
    with world.store.write() as session:
        session.execute(delete(m.RecordName))
    assert _keys(world, "WEB-10003") == []
    assert "Names of older records are still being filled in" in "".join(trace.why_not(world.engine, "WEB-10003"))

    assert names.run(world.engine, for_s=60).done
    assert _keys(world, "WEB-10003") == ["3"]
    assert _keys(world, "SHADE") == list("12345")
    assert _rows(world) == complete
    assert "filled in" not in "".join(trace.why_not(world.engine, "WEB-7"))

    with world.store.write() as session:
        session.execute(delete(m.RecordName))
    assert names.run(world.engine, for_s=60).done
    assert _rows(world) == 0  # once: nothing is left to do

    world.resources["left.things"].searchable = {"shop_ref": NameKind.REFERENCE}  # type: ignore[misc]
    assert names.run(world.engine, for_s=60).done  # what the resource declares has changed
    assert _keys(world, "WEB-10005") == ["5"]
    assert _keys(world, "SHADE") == []


def test_the_left_object_of_a_link_may_be_given_by_its_name(world: World) -> None:
    _put(world, "1")
    world.right.put("things", "R7", name="lamp 1", ref="other")
    world.right.faults = ["refused"]
    world.sync("things", "1")

    pairing = manual_links.inspect(world.engine, 1, "things", "WEB-10001", "R7")
    assert pairing.left[0] == "1"
    with pytest.raises(Misconfigured, match="has no such object"):
        manual_links.inspect(world.engine, 1, "things", "WEB-7", "R7")

"""The folder of a site's own flows is what `configure` has taken over, wherever a process is started."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from syncengine.cli.configure import apply_file
from syncengine.engine.setup import bootstrap
from syncengine.errors import Misconfigured
from syncengine.flows import SHIPPED, Flow
from syncengine.settings import Settings, load
from syncengine.store import Store
from tests.conftest import KEY
from tests.contract.configure.test_changes import ENV, FILE

pytestmark = pytest.mark.one_database


class Place:
    """A working folder with a configuration, and other folders to start from."""

    def __init__(self, store: Store, url: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.root, self.monkeypatch = store, root, monkeypatch
        self.env = {"DATABASE_URL": url, "SYNCENGINE_HOME": str(root / "var"), "SYNCENGINE_KEYS": KEY}
        for name, value in ENV.items():
            monkeypatch.setenv(name, value)
        for name in ("home", "elsewhere"):
            (root / name).mkdir()
        (root / "home" / "syncengine.yml").write_text(FILE, encoding="utf-8")
        self.start_in("home")

    def start_in(self, folder: str) -> None:
        self.monkeypatch.chdir(self.root / folder)

    def own_orders(self, folder: str, *, batch: int = 200) -> Path:
        """The shipped flow of orders as the site's own, in a folder."""
        path = self.root / folder / "orders.yml"
        path.parent.mkdir(exist_ok=True)
        shipped = (SHIPPED / "orders.yml").read_text(encoding="utf-8")
        path.write_text(f"{shipped}\nreplaces: true\nbatch: {batch}\n", encoding="utf-8")
        shutil.copy(SHIPPED / "countries.csv", path.parent)
        return path

    def settings(self, **env: str) -> Settings:
        return load({**self.env, **env})

    def configure(self, **env: str) -> None:
        apply_file(self.settings(**env), self.root / "home" / "syncengine.yml", yes=True)

    def orders(self, **env: str) -> Flow:
        """As any process uses it."""
        return bootstrap.installed_flows(self.settings(**env), self.store)["orders"]


@pytest.fixture
def place(store: Store, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(store, database_url, tmp_path, monkeypatch)


def test_a_process_that_is_started_elsewhere_uses_the_sites_own_flows(place: Place) -> None:
    place.own_orders("home/flows.d", batch=7)
    place.configure()
    place.start_in("elsewhere")
    assert place.orders().batch == 7
    place.own_orders("elsewhere/flows.d", batch=9)
    assert place.orders().batch == 7


def test_a_configure_from_elsewhere_keeps_the_folder(place: Place) -> None:
    place.own_orders("home/flows.d", batch=7)
    place.configure()
    place.start_in("elsewhere")
    place.configure()
    assert place.orders().batch == 7


def test_an_edit_in_place_counts_at_the_next_start(place: Place) -> None:
    place.own_orders("home/flows.d", batch=7)
    place.configure()
    place.own_orders("home/flows.d", batch=8)
    assert place.orders().batch == 8


def test_a_folder_that_appears_later_waits_for_a_configure(place: Place) -> None:
    place.configure()
    place.own_orders("home/flows.d", batch=7)
    assert place.orders().batch == 200
    place.configure()
    assert place.orders().batch == 7


def test_a_flow_or_a_folder_that_is_gone_is_not_replaced_by_what_ships(place: Place) -> None:
    path = place.own_orders("home/flows.d")
    place.configure()
    path.rename(path.with_suffix(".old"))
    with pytest.raises(Misconfigured, match=r"flows\.d no longer has the flow orders, .*`syncengine configure`"):
        place.orders()
    shutil.rmtree(path.parent)
    with pytest.raises(Misconfigured, match=r"flows\.d with the site's own flows does not exist\. Restore it"):
        place.orders()
    with pytest.raises(Misconfigured, match=r"flows\.d with the site's own flows does not exist\. Restore it"):
        place.configure()
    path.parent.mkdir()  # none any more: an empty folder says so
    place.configure()
    assert not place.orders().is_own


def test_a_flow_that_takes_the_place_of_a_shipped_one_waits_for_a_configure(place: Place) -> None:
    (place.root / "home" / "flows.d").mkdir()
    place.configure()
    place.own_orders("home/flows.d", batch=7)
    with pytest.raises(Misconfigured, match=r"flows\.d has the flow orders, unlike when it was installed"):
        place.orders()
    place.configure()
    assert place.orders().batch == 7


def test_another_folder_may_be_named_if_it_holds_the_same_flows(place: Place) -> None:
    place.own_orders("home/flows.d", batch=7)
    place.configure()
    place.own_orders("host-b", batch=7)
    elsewhere = {"SYNCENGINE_FLOWS": str(place.root / "host-b")}
    assert place.orders(**elsewhere).batch == 7
    place.own_orders("host-b", batch=8)
    with pytest.raises(Misconfigured, match=r"SYNCENGINE_FLOWS = .*host-b' has other flows than .*home/flows\.d"):
        place.orders(**elsewhere)
    place.configure(**elsewhere)
    assert place.orders().batch == 8


def test_before_the_first_configure_the_folder_beside_the_file_counts(place: Place) -> None:
    place.own_orders("home/flows.d", batch=7)
    place.start_in("elsewhere")
    assert place.orders(SYNCENGINE_CONFIG=str(place.root / "home" / "syncengine.yml")).batch == 7
    place.own_orders("elsewhere/flows.d", batch=9)
    assert place.orders(SYNCENGINE_CONFIG=str(place.root / "home" / "syncengine.yml")).batch == 7

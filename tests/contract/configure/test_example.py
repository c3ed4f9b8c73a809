"""The example that people copy is right: it is read, checked against systems and flows, and stored."""

from __future__ import annotations

import re
from pathlib import Path

from syncengine.engine.setup import configure
from syncengine.store import Store
from syncengine.vault import Vault
from tests import shipped

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "syncengine.example.yml"


def test_the_example_configures_an_installation(store: Store, vault: Vault) -> None:
    names = re.findall(r"\$\{(\w+)\}", EXAMPLE.read_text(encoding="utf-8"))
    env = {name: "https://example.com" if name.endswith("URL") else "x" for name in names}
    installation = configure.read_file(EXAMPLE, env)
    configure.apply(store, vault, shipped.flows(), installation)

    assert [one.name for one in installation.connections] == ["main"]


def test_every_variable_of_the_example_is_explained_in_the_environments_example() -> None:
    explained = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in re.findall(r"\$\{(\w+)\}", EXAMPLE.read_text(encoding="utf-8")):
        if name != "NAME":
            assert f"\n{name}=" in explained

"""The picture in docs/architecture.md holds: what it names exists, and what exists in the house is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "syncengine"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PICTURE = PAGE.split("```")[1]

ROOMS = sorted(path.name for path in HOUSE.iterdir() if path.is_dir() and (path / "__init__.py").exists())
ENGINE = sorted(
    path.name
    for path in (HOUSE / "engine").glob("*/*.py")
    if path.name != "__init__.py" and path.parent.name != "doctor"
)
COMMANDS = sorted(path.stem for path in (HOUSE / "cli").glob("[a-z]*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_stands_in_the_picture(room: str) -> None:
    assert f"{room}/" in PICTURE


@pytest.mark.parametrize("module", ENGINE)
def test_every_module_of_the_engine_stands_in_the_picture(module: str) -> None:
    assert re.search(rf"(?<!\w){re.escape(module)}", PICTURE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_picture(command: str) -> None:
    assert re.search(rf"\b{command.replace('_', '-')}\b", PICTURE)


@pytest.mark.parametrize("module", sorted(path.name for path in HOUSE.glob("[a-z]*.py")))
def test_every_module_of_the_ground_floor_stands_in_the_picture(module: str) -> None:
    assert module in PICTURE


@pytest.mark.parametrize("named", sorted(set(re.findall(r"[\w/]*\w+\.(?:py|yml|lua)\b", PAGE))))
def test_every_file_that_the_page_names_exists(named: str) -> None:
    places = [ROOT / named, HOUSE / named, *HOUSE.rglob(Path(named).name)]
    assert any(place.exists() and str(place).endswith(named) for place in places)


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(?:\w+/)*(\w+)\.py: (\w+)`", PAGE))))
def test_every_function_that_the_page_names_exists(named: tuple[str, str]) -> None:
    module, function = named
    texts = [path.read_text(encoding="utf-8") for path in HOUSE.rglob(f"{module}.py")]
    assert any(re.search(rf"def {function}\(", text) for text in texts)


def test_the_house_in_the_readme_names_the_same_rooms() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for room in ROOMS:
        assert f"{room}/" in readme

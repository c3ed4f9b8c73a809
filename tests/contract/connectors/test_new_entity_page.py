"""docs/new-entity.md holds: applied as it is written to a copy of the tree, it syncs a supplier.

The page's code blocks begin with the path of their file; its diffs add lines to the tuple RESOURCES.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "new-entity.md").read_text(encoding="utf-8")
FILES = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
LINES = re.findall(r"```diff\n--- (\S+)\n((?:\+.*\n)+)```", PAGE)
COPIED = ("syncengine", "tests", "pyproject.toml")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree to which the page was applied."""
    tree = tmp_path_factory.mktemp("tree")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    for path, text in FILES:
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text(text, encoding="utf-8")
    for path, added in LINES:
        before = (tree / path).read_text(encoding="utf-8")
        head, closing = before.rsplit(")\n", 1)
        lines = "".join(f"{line[1:]}\n" for line in added.splitlines())
        (tree / path).write_text(f"{head}{lines})\n{closing}", encoding="utf-8")
    return tree


def _run(tree: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_an_entity_takes_a_module_and_a_line_for_each_system_and_one_yaml_file() -> None:
    assert [path for path, _ in FILES] == [
        "syncengine/connectors/brightpearl/resources/supplier.py",
        "syncengine/connectors/syspro/resources/supplier.py",
        "flows.d/suppliers.yml",
        "tests/unit/test_suppliers.py",
    ]
    assert [(path, added.count("+")) for path, added in LINES] == [
        ("syncengine/connectors/brightpearl/resources/__init__.py", 1),
        ("syncengine/connectors/syspro/resources/__init__.py", 1),
    ]
    for path, text in FILES[:2]:
        assert len([line for line in text.splitlines() if line.strip()]) <= 50, path


@pytest.mark.parametrize("gateway", ["enet", "harmony"])
def test_a_supplier_is_created_and_changed_by_the_pages_code(tree: Path, gateway: str) -> None:
    writes = json.loads(_run(tree, "-m", "tests.contract.connectors.run_page", str(tree), gateway))

    assert writes == [
        ["Add", {"Key": {"Supplier": "BP320"}, "SupplierName": "Example Mills", "Currency": "GBP"}],
        ["Update", {"Key": {"Supplier": "BP320"}, "SupplierName": "Example Weavers"}],
    ]


def test_the_pages_own_test_passes(tree: Path) -> None:
    assert "1 passed" in _run(
        tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "tests/unit/test_suppliers.py"
    )


def test_the_pages_code_is_typed_and_in_style(tree: Path) -> None:
    modules = [path for path, _ in FILES if path.endswith(".py")]
    _run(tree, "-m", "ruff", "check", "--no-cache", *modules)
    _run(tree, "-m", "ruff", "format", "--check", "--no-cache", *modules)
    _run(tree, "-m", "mypy", "--no-incremental", "--follow-imports=silent", *modules[:2])

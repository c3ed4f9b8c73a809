"""No module imports itself by way of others; imports for type checkers and inside functions count as well.

The contract "no circles" of import-linter (pyproject.toml) holds the same between packages, but does not see a module
that imports the package it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp
import pytest


def circles_of(package: str) -> list[list[str]]:
    """Every set of modules that import one another, directly or not; each sorted by name."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    reachable = {module: set(_reachable(module, imports)) for module in imports}
    circles = {
        frozenset(other for other in reached if module in reachable[other])
        for module, reached in reachable.items()
        if module in reached
    }
    return sorted(sorted(circle) for circle in circles)


def _reachable(start: str, imports: Mapping[str, set[str]]) -> Iterator[str]:
    """Everything that a module imports, directly or not; itself only if it is part of a circle."""
    seen: set[str] = set()
    waiting = list(imports[start])
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting.extend(imports[module])
            yield module


def test_syncengine_has_no_circle() -> None:
    assert circles_of("syncengine") == []


CASES = {
    "direct": ({"a": "import {p}.b", "b": "from {p} import a"}, [["a", "b"]]),
    "three_modules": (
        {"a": "from {p}.inner import b", "inner/b": "from {p} import c", "c": "from {p}.a import x"},
        [["a", "c", "inner.b"]],
    ),
    "for_the_type_checker": (
        {"a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {p} import b", "b": "from {p} import a"},
        [["a", "b"]],
    ),
    "inside_a_function": ({"a": "def f():\n    from {p} import b", "b": "from {p} import a"}, [["a", "b"]]),
    "two_apart": (
        {"a": "from {p} import b", "b": "from {p} import a", "c": "from {p} import d", "d": "from {p} import c, a"},
        [["a", "b"], ["c", "d"]],
    ),
    "package_that_its_module_imports": (
        {"inner/__init__": "from {p}.inner.b import x", "inner/b": "from {p}.inner import y"},
        [["inner", "inner.b"]],
    ),
    "package_that_re_exports": (
        {"inner/__init__": "from {p}.inner.b import x", "inner/b": "from {p}.inner import c", "inner/c": ""},
        [],
    ),
    "one_way": ({"a": "from {p} import b, c", "b": "from {p} import c", "c": ""}, []),
}


@pytest.mark.parametrize("name", CASES)
def test_a_circle_is_found_where_there_is_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, expected = CASES[name]
    package = f"circles_{name}"
    for module, text in texts.items():
        path = tmp_path / package / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{p}", package), encoding="utf-8")
    for folder in {path.parent for path in (tmp_path / package).rglob("*.py")} | {tmp_path / package}:
        (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    assert circles_of(package) == [[f"{package}.{module}" for module in circle] for circle in expected]

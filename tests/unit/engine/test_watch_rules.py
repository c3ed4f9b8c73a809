"""The table of the watcher's rules is complete, and its names fit their column."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from syncengine.engine.watch import rules


def test_every_rule_is_in_the_table() -> None:
    modules = [
        importlib.import_module(f"{rules.__name__}.{found.name}") for found in pkgutil.iter_modules(rules.__path__)
    ]
    written = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and list(inspect.signature(function).parameters) == ["view"]
    }
    assert written == {rule.find for rule in rules.RULES}


def test_the_names_of_rules_differ_and_fit_their_column() -> None:
    names = [rule.name for rule in rules.RULES]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 32

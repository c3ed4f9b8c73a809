"""docs/reference/environment.md: every environment variable, from the settings, the example file and docker compose."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path

from scripts.reference.markdown import code, heading, shown, table
from syncengine import settings
from syncengine.cli._init_questions import QUESTIONS
from syncengine.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "syncengine.example.yml"
COMPOSE = ROOT / "docker-compose.yml"

ABOUT = """Every process reads these from the environment and from `.env` in its working folder; the environment has priority.
`$` has no meaning in `.env`. An empty value counts as not set. [.env.example](../../.env.example) is a file to copy. A change
takes effect when a process starts."""
OWN = "Durations are seconds, unless the name ends in `_DAYS`."
OF_FLOWER = {
    "FLOWER_BASIC_AUTH": "USER:PASSWORD of Flower's pages and API",
}
_SAID = re.compile(r" Default: (.+?)\.(?= [A-Z`]|$)")


def page() -> str:
    """The page."""
    return "\n".join([heading("Environment variables", ABOUT), *_own(), *_of_the_example(), *_of_others()])


def _own() -> Iterator[str]:
    explained, by_field = _docstrings(), {field: variable for variable, field in settings.TEXT_VARIABLES.items()}
    yield "## Of syncengine\n"
    yield f"{OWN}\n"
    found = {item.metadata["variable"] if item.metadata else by_field.get(item.name): item for item in fields(Settings)}
    rows = [
        (code(name), _takes(item), *_default_and_about(item, explained[item.name]))
        for name, item in found.items()
        if name
    ]
    yield table(("variable", "takes", "default", "meaning"), rows)


def _takes(item: Field[object]) -> str:
    if not item.metadata:
        return "text"
    kind = "whole number" if isinstance(item.default, int) else "number"
    return f"{kind}, {_number(item.metadata['least'])} to {_number(item.metadata['most'])}"


def _number(value: float) -> str:
    return f"{int(value) if value == int(value) else value:,}"


def _default_and_about(item: Field[object], explained: str) -> tuple[str, str]:
    """A number's default is in the code, a text's is said by its docstring."""
    about = " ".join(explained.replace("Code reads `keys`.", "").split())
    if item.metadata:
        return shown(item.default), about
    said = _SAID.search(about)
    return (said[1], _SAID.sub("", about).strip()) if said else ("", about)


def _docstrings() -> dict[str, str]:
    """The text below each setting in the class."""
    body = ast.parse(inspect.getsource(settings)).body
    found: dict[str, str] = {}
    for cls in (node for node in body if isinstance(node, ast.ClassDef) and node.name == "Settings"):
        for before, after in zip(cls.body, cls.body[1:], strict=False):
            if (
                isinstance(before, ast.AnnAssign)
                and isinstance(before.target, ast.Name)
                and isinstance(after, ast.Expr)
            ):
                found[before.target.id] = inspect.cleandoc(str(ast.literal_eval(after.value)))
    return found


def _of_the_example() -> Iterator[str]:
    yield "## Of your syncengine.yml\n"
    yield (
        "`${NAME}` in `syncengine.yml` is the variable of that name; the names are yours. "
        "[The example](../syncengine.example.yml) and `syncengine init` use these:\n"
    )
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    used = [found.groups() for line in lines if (found := re.match(r"\s*#?\s*(\w+): \$\{(\w+)\}", line))]
    named = {variable: name for name, variable in used}
    named |= {question.variable: question.key for question in QUESTIONS if question.variable}
    yield table(("variable", "setting or secret"), [(code(variable), code(name)) for variable, name in named.items()])


def _of_others() -> Iterator[str]:
    own = settings.variables()
    found = dict.fromkeys(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text(encoding="utf-8")))
    yield "## Of docker compose and Flower\n"
    rows = [(code(name), "docker compose", "see [docker-compose.yml](../../docker-compose.yml)") for name in found]
    rows = [row for row, name in zip(rows, found, strict=True) if name not in own and name not in OF_FLOWER]
    rows += [(code(name), "Flower", about) for name, about in OF_FLOWER.items()]
    yield table(("variable", "read by", "meaning"), rows)

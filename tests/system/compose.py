"""Renders docker-compose.yml as Docker Compose does, as far as this file needs it: merge keys, `${NAME...}`, `$$`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

TOP = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\})")


class Refused(Exception):
    """Compose refuses the file: a variable that is required is not set."""


def render(env: Mapping[str, str]) -> dict[str, Any]:
    """The file with its variables replaced. Raises Refused with the name and the text of a required one that is missing."""
    return _replaced(yaml.safe_load((TOP / "docker-compose.yml").read_text(encoding="utf-8")), env)


def environment(service: Mapping[str, Any], env_file: str) -> dict[str, str]:
    """What a service's process gets: `.env` in the format raw (each line as it is), then `environment`."""
    assert service["env_file"] == [{"path": ".env", "format": "raw"}]
    lines = [line for line in env_file.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines) | service["environment"]


def _replaced(value: Any, env: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(item, env) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, env) for item in value]
    return _VARIABLE.sub(lambda found: _value(found, env), value) if isinstance(value, str) else value


def _value(found: re.Match[str], env: Mapping[str, str]) -> str:
    if found["escaped"]:
        return "$"
    given = env.get(found["name"], "")
    if not given and found["kind"] == "?":
        raise Refused(f"{found['name']}: {found['rest']}")
    return given or (found["rest"] if found["kind"] == "-" else "") or ""

"""What several files say must agree: processes, variables, lanes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from syncengine import settings
from syncengine.local import processes

TOP = Path(__file__).parents[2]
LOGIN = {"FLOWER_BASIC_AUTH": "ops:secret"}
DEFAULTED = re.compile(r"\$*\{\w+:-(\w+)\}")  # ${NAME:-default}, with $$ in the compose file


def test_procfile_and_supervisor_run_the_same_processes() -> None:
    lines = [line for line in (TOP / "Procfile").read_text().splitlines() if not line.startswith("#")]
    listed = {name: DEFAULTED.sub(r"\1", command) for name, _, command in (line.partition(": ") for line in lines)}

    assert listed == {program.name: " ".join(program.command) for program in processes.programs(settings.load(LOGIN))}


def test_without_a_password_there_is_no_flower() -> None:
    assert [program.name for program in processes.programs(settings.load({}))] == ["worker", "realtime", "beat", "web"]


def test_without_a_port_there_is_no_web_process() -> None:
    assert "web" not in [program.name for program in processes.programs(settings.load({"SYNCENGINE_WEB_PORT": "0"}))]


def test_the_compose_file_runs_every_process_with_a_health_check_and_restarts() -> None:
    services = yaml.safe_load((TOP / "docker-compose.yml").read_text())["services"]
    programs = {program.name: " ".join(program.command) for program in processes.programs(settings.load(LOGIN))}

    for name in ("worker", "realtime", "beat", "web"):
        command = services[name]["command"]
        said = DEFAULTED.sub(r"\1", command[-1]).removeprefix("exec ") if command[0] == "sh" else " ".join(command)
        assert said == programs[name]
    for name in (*programs, "redis", "postgres"):
        assert services[name]["restart"] == "unless-stopped"
        assert "healthcheck" in services[name]


def test_every_variable_stands_in_the_example_file_with_the_default_it_has() -> None:
    lines = (TOP / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    assert set(settings.variables()) <= set(example)
    given = {name: value for name, value in example.items() if name in settings.variables()}
    assert settings.load(given) == settings.load({})


def test_every_variable_that_the_compose_file_asks_for_stands_in_the_example_file() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", (TOP / "docker-compose.yml").read_text()))

    assert asked <= set(re.findall(r"^(\w+)=", (TOP / ".env.example").read_text(), re.MULTILINE))

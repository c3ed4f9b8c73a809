"""The containers without Docker: the compose file against its schema, the image's build steps, and each service's command and
health check as processes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from cryptography.fernet import Fernet
from sqlalchemy import select

from syncengine import settings
from syncengine.engine.setup import bootstrap
from syncengine.local import redis_server
from syncengine.store.models import Endpoint
from tests import forked
from tests.services import free_port, shared_folder, start_postgres, start_valkey, stop
from tests.system import compose
from tests.system.compose import TOP, Refused
from tests.system.frame_fixtures import OURS

pytestmark = [pytest.mark.process, pytest.mark.one_database]

PATIENCE_S = 90.0
FILLED = {
    "REDIS_PASSWORD": "redispassword",
    "POSTGRES_PASSWORD": "postgrespassword",
    "FLOWER_BASIC_AUTH": "ops:pa$word",
}
ODD = 'pa$word ${HOME} $$ "quoted" #5'
CONFIGURATION = """\
endpoints:
  shop:
    system: brightpearl
    settings: {url: "http://127.0.0.1:1", account: sandbox, app_ref: sandbox_app, auth: private}
    secrets: {account_token: "${BRIGHTPEARL_ACCOUNT_TOKEN}"}
  erp:
    system: syspro
    settings: {url: "http://127.0.0.1:1/SYSPROWCFService/Rest", operator: BPSYNC, company: T}
    secrets: {operator_password: "x"}
connections:
  main: {left: shop, right: erp, mode: observe, flows: [customers, orders]}
"""


def test_the_rendered_file_is_valid_by_the_specification(tmp_path: Path) -> None:
    rendered = tmp_path / "compose.yml"
    for text in (yaml.safe_dump(compose.render(FILLED)), "services: {worker: {healthchek: {}}}"):
        rendered.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(rendered)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == ("healthchek" not in text), done.stdout + done.stderr


def test_the_key_may_be_missing_and_nothing_else() -> None:
    """Compose reads the whole file for `build` and `run`, with which the first key is made."""
    compose.render(FILLED)
    for name in FILLED:
        with pytest.raises(Refused, match=name):
            compose.render({**FILLED, name: ""})


def test_migrate_and_configure_come_before_every_process() -> None:
    services = compose.render(FILLED)["services"]

    assert services["configure"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    for name in ("worker", "realtime", "beat", "web", "flower"):
        assert services[name]["depends_on"]["configure"] == {"condition": "service_completed_successfully"}
    assert services["configure"]["user"] == "0:0"  # reads a syncengine.yml of mode 0600
    assert [name for name, service in services.items() if "syncengine.yml" in str(service.get("volumes"))] == [
        "configure"
    ]


@dataclass
class Host:
    """Runs services of the rendered file as processes: the addresses of Redis and PostgreSQL are replaced, and the folders."""

    folder: Path
    redis_url: str
    database_url: str
    env_file: str
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    web_port: int = field(default_factory=free_port)

    def environment(self, name: str) -> dict[str, str]:
        places = {"/var/lib/syncengine": self.folder / "data", "/etc/syncengine": self.folder}
        inside = compose.environment(self.services[name], self.env_file)
        for place, here in places.items():
            inside = {variable: re.sub(f"^{place}", str(here), value) for variable, value in inside.items()}
        outside = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        addresses = {"REDIS_URL": self.redis_url, "DATABASE_URL": self.database_url}
        web = {"SYNCENGINE_WEB_PORT": str(self.web_port)}
        return {**outside, **inside, **addresses, **web, "PATH": path, "PYTHONPATH": str(TOP)}

    @property
    def services(self) -> Mapping[str, Any]:
        lines = [line.split("=", 1) for line in self.env_file.splitlines() if line and not line.startswith("#")]
        services: dict[str, Any] = compose.render(dict(lines))["services"]
        return services

    def run(self, name: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        program, *arguments = command or self.services[name]["command"]
        folder, env = self.folder / "home", self.environment(name)
        if program == "syncengine":
            return forked.server().run(program, arguments, env=env, cwd=folder, timeout_s=PATIENCE_S)
        return subprocess.run(
            [program, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )

    def start(self, name: str, port: str) -> None:
        """`port`: for Flower, which has a network of its own in its container."""
        command = [part.replace("--port=5555", f"--port={port}") for part in self.services[name]["command"]]
        log = (self.folder / f"{name}.log").open("wb")
        self.started[name] = subprocess.Popen(
            command, cwd=self.folder / "home", env=self.environment(name), stdout=log, stderr=log
        )

    def health(self, name: str, port: str = "") -> subprocess.CompletedProcess[str]:
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        return self.run(name, [part.replace(":5555/", f":{port}/") for part in command])

    def stop(self) -> None:
        for process in self.started.values():
            process.terminate()
        for process in self.started.values():
            stop(process)


@pytest.fixture
def host(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    for name in ("data", "home", "flows.d", "redis"):
        (tmp_path / name).mkdir()
    redis_url, server = start_valkey(tmp_path / "redis")
    filled = {**FILLED, "BRIGHTPEARL_ACCOUNT_TOKEN": ODD, "SYNCENGINE_CANARY_EVERY_S": "2"}
    example = (TOP / ".env.example").read_text(encoding="utf-8")
    for name, value in filled.items():
        example = re.sub(rf"^{name}=.*$", lambda _, line=f"{name}={value}": line, example, flags=re.MULTILINE)
    host = Host(tmp_path, redis_url, start_postgres(shared_folder(tmp_path_factory.getbasetemp())), example)
    yield host
    host.stop()
    stop(server)


def test_from_an_empty_database_to_healthy_services(host: Host) -> None:
    refused = host.run("configure")
    assert refused.returncode == 2
    assert "syncengine.yml" in refused.stderr.splitlines()[-1]
    config = host.folder / "syncengine.yml"
    config.write_text(CONFIGURATION, encoding="utf-8")
    config.chmod(0o600)
    assert host.run("migrate").returncode == 0

    without_key = host.run("configure")
    assert without_key.returncode == 2
    assert "`syncengine keys new` makes one" in without_key.stderr
    key = host.run("configure", ["syncengine", "keys", "new"]).stdout.strip()
    Fernet(key)
    host.env_file = host.env_file.replace("SYNCENGINE_KEYS=\n", f"SYNCENGINE_KEYS={key}\n")

    not_connected = host.health("worker")
    assert not_connected.returncode == 1
    assert "none is configured" in not_connected.stdout
    configured = host.run("configure")
    assert configured.returncode == 0, configured.stderr
    assert host.run("configure").stdout.splitlines()[-1] == "No changes."
    assert _stored_token(host) == ODD
    assert not list((host.folder / "data").iterdir()), "root has left a file in the data folder"

    names, port = ("worker", "realtime", "beat", "web", "flower"), str(free_port())
    for name in names:
        host.start(name, port)
    until = time.monotonic() + PATIENCE_S
    waiting = list(names)
    while waiting and time.monotonic() < until:
        waiting = [name for name in waiting if host.health(name, port).returncode]
    logs = {name: (host.folder / f"{name}.log").read_text(errors="replace")[-2000:] for name in waiting}
    assert not waiting, logs
    assert all(process.poll() is None for process in host.started.values())


CLIENT = """\
#!{python}
import os, sys, redis
assert sys.argv[1:] == ["ping"]
redis.Redis(port={port}, password=os.environ["REDISCLI_AUTH"]).ping()
print("PONG")
"""


def test_redis_asks_for_its_password_and_its_health_check_gives_it(tmp_path: Path) -> None:
    """With Valkey as the image's server, and redis-py as its client."""
    port, service = free_port(), compose.render(FILLED)["services"]["redis"]
    scripts = {
        "redis-server": f'#!/bin/sh\nexec {redis_server.binary()} "$@" --port {port} --dir {tmp_path}\n',
        "redis-cli": CLIENT.format(python=sys.executable, port=port),
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o700)
    env = {**service["environment"], "PATH": f"{tmp_path}:/usr/bin:/bin"}
    kind, check = service["healthcheck"]["test"]
    assert kind == "CMD-SHELL"

    server = subprocess.Popen(shlex.split(service["command"]), env=env, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while subprocess.run(["sh", "-c", check], env=env, stderr=subprocess.DEVNULL, check=False).returncode:
            assert time.monotonic() < until
        other = {**env, "REDIS_PASSWORD": "wrong"}
        assert subprocess.run(["sh", "-c", check], env=other, stderr=subprocess.DEVNULL, check=False).returncode == 1
        with redis.Redis(port=port, password=FILLED["REDIS_PASSWORD"]) as client:
            assert client.config_get("appendonly", "maxmemory-policy") == {
                "appendonly": "yes",
                "maxmemory-policy": "noeviction",
            }
    finally:
        stop(server)


def _stored_token(host: Host) -> str | None:
    current = settings.load(host.environment("worker"))
    store = bootstrap.open_store(current)
    try:
        with store.read() as session:
            shop = session.scalars(select(Endpoint.id).where(Endpoint.name == "shop")).one()
        return bootstrap.open_vault(current, store).read(shop, "account_token")
    finally:
        store.close()


# -- the image ---------------------------------------------------------------------------------------------------------


def _instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, with their lines joined."""
    text = re.sub(r"\\\n\s*", "", (TOP / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_what_is_copied_is_not_ignored() -> None:
    ignored = (TOP / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [rest.split()[:-1] for name, rest in _instructions() if name == "COPY" and "--from" not in rest]

    assert {f"!{source.removeprefix('./')}" for sources in copied for source in sources} <= set(ignored)


def test_the_steps_of_the_build_make_an_installation_that_runs(tmp_path: Path) -> None:
    """Without its dependencies, which take a minute; TEST_BUILD=all installs them too, as Docker does."""
    is_whole = os.environ.get("TEST_BUILD") == "all"
    image, steps = Image(tmp_path, is_whole), _instructions()
    first, second = [number for number, (name, _) in enumerate(steps) if name == "FROM"]
    for name, rest in steps[first + 1 : second]:
        image.apply(name, rest)
    assert ("COPY", "--from=build /opt/syncengine /opt/syncengine") in steps[second:]

    command = json.loads(next(rest for name, rest in steps[second:] if name == "CMD"))
    assert image.run(command).stdout.startswith("Usage: syncengine")
    assert image.run(["syncengine", "migrate"]).returncode == 0
    assert "no Redis is known" in image.run(["celery", "-A", "syncengine", "report"]).stderr


class Image:
    """Carries out the steps of the build in a folder. is_whole: with all dependencies; otherwise those of the tests."""

    def __init__(self, folder: Path, is_whole: bool) -> None:
        self.folder, self.installed, self.build = folder, folder / "opt", folder / "build"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "PYTHON"))}
        self.env |= {} if is_whole else {"PIP_NO_DEPS": "1"}
        site = os.pathsep.join(path for path in sys.path if "site-packages" in path)
        self.dependencies = {} if is_whole else {"PYTHONPATH": site}

    def apply(self, name: str, rest: str) -> None:
        rest = rest.replace("/opt/syncengine", str(self.installed))
        if name == "WORKDIR":
            self.build.mkdir()
        elif name == "ENV":
            variable, _, value = rest.partition("=")
            self.env[variable] = value.replace("$PATH", self.env["PATH"])
        elif name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                subprocess.run(["cp", "-r", TOP / source, self.build / target], check=True)
        else:
            assert name == "RUN"
            done = subprocess.run(
                ["sh", "-c", rest], cwd=self.build, env=self.env, capture_output=True, text=True, check=False
            )
            if "No matching distribution found" in done.stderr:
                pytest.skip("the build needs a package index")
            assert done.returncode == 0, done.stderr

    def run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        python = self.installed / "bin" / "python"
        env = {**self.env, **self.dependencies, "SYNCENGINE_HOME": str(self.folder / "var")}
        return subprocess.run(
            [python, "-m", *words], cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )

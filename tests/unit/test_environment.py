"""Variables that have no effect are named, and so is a file of passwords that others may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine import environment, settings
from syncengine.errors import Misconfigured
from syncengine.local import flower

NO_FILE = Path("/nowhere/syncengine.yml")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("SYNCENGINE_WORKER", "SYNCENGINE_WORKER is not a setting and has no effect. Did you mean SYNCENGINE_WORKERS?"),
        ("SYNCENGINE_STALED_S", "SYNCENGINE_STALED_S is not a setting and has no effect. Did you mean SYNCENGINE_STALLED_S?"),
        ("SYNCENGINE_REDIS_URL", "SYNCENGINE_REDIS_URL is not a setting and has no effect. Did you mean REDIS_URL?"),
        ("SYNCENGINE_X", "SYNCENGINE_X is not a setting and has no effect. .env.example lists all settings"),
    ],
)  # fmt: skip
def test_a_misspelt_variable_is_named_with_the_nearest_one(name: str, says: str) -> None:
    env = {name: "3", "SYNCENGINE_WORKERS": "2", "BRIGHTPEARL_URL": "x", "PATH": "/bin"}

    assert environment.unknown(env, settings.variables(), NO_FILE) == [says]


def test_a_variable_that_the_configuration_file_refers_to_is_the_users_own(tmp_path: Path) -> None:
    config = tmp_path / "syncengine.yml"
    config.write_text("secrets: {token: ${SYNCENGINE_SHOP_TOKEN}}")

    assert environment.unknown({"SYNCENGINE_SHOP_TOKEN": "x"}, settings.variables(), config) == []


@pytest.mark.parametrize(("mode", "says"), [(0o644, "0644"), (0o640, "0640"), (0o600, ""), (0o400, "")])
def test_a_file_that_others_may_read_is_named_by_its_mode(tmp_path: Path, mode: int, says: str) -> None:
    path = tmp_path / ".env"
    path.touch()
    path.chmod(mode)

    assert environment.readable_by_others(path) == says


def test_where_there_is_no_file_nobody_reads_it(tmp_path: Path) -> None:
    assert environment.readable_by_others(tmp_path / ".env") == ""


@pytest.mark.parametrize("given", ["ops", "ops:", ":secret", "ops:secret,other"])
def test_a_login_of_flower_without_user_or_password_is_refused_and_not_shown(given: str) -> None:
    with pytest.raises(Misconfigured, match=r"^FLOWER_BASIC_AUTH \(not shown\) is not USER:PASSWORD"):
        settings.load({"FLOWER_BASIC_AUTH": given})


CELERY = ["/venv/bin/celery", "-A", "syncengine", "flower"]


def test_flower_gets_its_variables_of_the_file() -> None:
    given, environ = {"FLOWER_BASIC_AUTH": "ops:pa$word", "FLOWER_MAX_TASKS": "500", "OTHER": "x"}, {"HOME": "/"}

    flower.prepare(settings.load(given), CELERY, given, environ)

    assert environ == {"HOME": "/", "FLOWER_BASIC_AUTH": "ops:pa$word", "FLOWER_MAX_TASKS": "500"}


@pytest.mark.parametrize("given", [{}, {"FLOWER_BASIC_AUTH": " "}, {"FLOWER_UNAUTHENTICATED_API": "true"}])
def test_flower_without_a_password_does_not_start(given: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match=r"Set FLOWER_BASIC_AUTH=USER:PASSWORD in \.env$"):
        flower.prepare(settings.load(given), CELERY, given, dict(given))


@pytest.mark.parametrize("option", ["--auth=.*@example.com", "--basic-auth=ops:secret", "--help"])
def test_flower_with_a_login_of_its_own_starts(option: str) -> None:
    flower.prepare(settings.load({}), [*CELERY, option], {}, {})


@pytest.mark.parametrize(
    ("arguments", "is_flower"),
    [
        (CELERY, True),
        (["/venv/lib/celery/__main__.py", "-A", "syncengine", "flower"], True),
        (["/venv/bin/celery", "-A", "syncengine", "worker"], False),
        (["/venv/lib/syncengine/__main__.py", "trace", "flower"], False),
    ],
)
def test_only_celerys_own_flower_is_prepared(arguments: list[str], is_flower: bool) -> None:
    assert flower.is_flower(arguments) == is_flower

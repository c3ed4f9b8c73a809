"""The embedded Redis: private, durable, and found by every other process."""

from __future__ import annotations

import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from syncengine import settings
from syncengine.errors import Misconfigured
from syncengine.local import redis_server
from syncengine.local.redis_server import MAKE_ROOM
from syncengine.settings import Settings
from tests.contract.limiter.test_redis_refuses import full_disk
from tests.services import free_port, stop
from tests.system.frame_fixtures import Run, bare_environment, bare_settings, redis_url, run

__all__ = ["bare_environment", "bare_settings", "redis_url", "run"]

pytestmark = pytest.mark.process
READS = (
    "syncengine trace 5001", "syncengine held list", "syncengine deadletters list", "syncengine alerts list",
    "syncengine ceilings list", "syncengine retention", "syncengine health",
)  # fmt: skip
WRITES = ("syncengine check",)
CELERY = ("celery -A syncengine worker --pool=solo",)
Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(bare_settings: Settings) -> Iterator[Start]:
    """Start the embedded Redis as the supervisor does, and wait until it answers."""
    started: list[subprocess.Popen[bytes]] = []

    def start_embedded() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(redis_server.prepare(bare_settings), stdout=subprocess.DEVNULL)
        started.append(process)
        redis_server.answering_address(bare_settings)
        return process

    yield start_embedded
    for process in started:
        stop(process)


def test_the_address_file_leads_other_processes_to_it(bare_settings: Settings, start: Start) -> None:
    start()

    client = redis_server.connect(bare_settings)

    assert client.config_get("appendonly", "appendfsync", "maxmemory-policy", "bind") == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
    }
    client.close()


def test_its_password_is_needed_and_kept_from_others(bare_settings: Settings, start: Start) -> None:
    process = start()
    address = redis_server.address(bare_settings)
    port = int(address.rpartition(":")[2].partition("/")[0])

    with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    for name in ("redis.address", "redis/redis.conf"):
        assert stat.S_IMODE((bare_settings.home / name).stat().st_mode) == 0o600
    assert address.split(":")[2].split("@")[0] not in " ".join(map(str, process.args))


def test_after_a_crash_it_has_the_same_address_and_its_data(bare_settings: Settings, start: Start) -> None:
    process = start()
    address = redis_server.address(bare_settings)
    with redis_server.connect(bare_settings) as client:
        client.set("kept", "yes")
    process.kill()
    process.wait()

    start()

    assert redis_server.address(bare_settings) == address
    with redis_server.connect(bare_settings) as client:
        assert client.get("kept") == b"yes"


def test_one_that_outlived_its_supervisor_is_ended_first(bare_settings: Settings, start: Start) -> None:
    stray = start()
    address = redis_server.address(bare_settings)

    start()

    assert stray.wait(10) == 0
    assert redis_server.address(bare_settings) == address


def test_a_port_that_another_program_took_is_given_up(bare_settings: Settings, redis_url: str, start: Start) -> None:
    taken = redis_url.rpartition(":")[2].partition("/")[0]
    bare_settings.folder()
    (bare_settings.home / "redis.address").write_text(f"redis://:former@127.0.0.1:{taken}/0\n")

    start()

    assert f":{taken}/" not in redis_server.address(bare_settings)


def test_it_keeps_to_the_server_that_wrote_its_folder(
    bare_settings: Settings, start: Start, other_make: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `redis-server` that comes onto PATH later is of another make, and cannot read what Valkey wrote."""
    _keep(bare_settings, start)
    monkeypatch.setenv("PATH", f"{other_make.parent}:/usr/bin:/bin")
    said: list[str] = []

    command = redis_server.prepare(bare_settings, said.append)

    assert redis_server.servers()[0] == str(other_make)
    assert command[0] == redis_server.servers()[1]
    assert not said
    start()
    with redis_server.connect(bare_settings) as client:
        assert client.get("kept") == b"yes"


def test_a_folder_of_which_nobody_knows_who_wrote_it_goes_to_who_can_read_it(
    bare_settings: Settings, start: Start, other_make: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep(bare_settings, start)
    (bare_settings.home / "redis" / "written-by").unlink()
    monkeypatch.setenv("PATH", f"{other_make.parent}:/usr/bin:/bin")

    assert redis_server.prepare(bare_settings)[0] == redis_server.servers()[1]


def test_a_file_that_cannot_be_read_is_set_aside_and_nothing_is_lost(bare_settings: Settings, start: Start) -> None:
    _keep(bare_settings, start)
    folder = bare_settings.home / "redis"
    for part in (folder / "appendonlydir").glob("*.aof"):
        part.write_bytes(b"*1\r\nnot what a server writes\r\n" + part.read_bytes())
    said: list[str] = []

    redis_server.prepare(bare_settings, said.append)
    start()

    [aside] = folder.glob("appendonlydir.unreadable-*")
    assert said == [
        f"Redis could not read its data, which is now in {aside}. Nothing is lost: everything that is due is in the database, "
        "and Redis starts empty. Delete the copy when you like."
    ]
    with redis_server.connect(bare_settings) as client:
        assert client.get("kept") is None


def test_where_the_server_cannot_start_at_all_its_file_is_left_alone(
    bare_settings: Settings, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep(bare_settings, start)
    broken = _script(tmp_path / "bin", 'case "$1" in --version) echo "Redis server v=7.0.15";; *) exit 1;; esac')
    monkeypatch.setattr(redis_server, "servers", lambda: [str(broken)])
    said: list[str] = []

    assert redis_server.prepare(bare_settings, said.append)[0] == str(broken)

    assert not said
    assert (bare_settings.home / "redis" / "appendonlydir").is_dir()


@pytest.fixture
def other_make(tmp_path: Path) -> Path:
    """A `redis-server` that ends at once where a server has written before, as Redis 7.0 does with Valkey 9's file."""
    return _script(
        tmp_path / "bin",
        f"""
        case "$1" in --version) echo "Redis server v=7.0.15 sha=00000000:0"; exit;; esac
        eval folder=\\${{$#}}
        [ -d "$folder/appendonlydir" ] && exit 1
        exec {redis_server.binary()} "$@"
        """,
    )


def _script(folder: Path, text: str) -> Path:
    folder.mkdir()
    path = folder / "redis-server"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o700)
    return path


def _keep(bare_settings: Settings, start: Start) -> None:
    """Have the embedded Redis write something and end."""
    process = start()
    with redis_server.connect(bare_settings) as client:
        client.set("kept", "yes")
    stop(process)


def test_one_that_cannot_save_is_an_outage_and_never_a_traceback(
    bare_settings: Settings, start: Start, run: Run
) -> None:
    start()
    assert run("syncengine", "migrate").returncode == 0
    assert run("syncengine", "status").returncode == 0  # which makes the key, and says so
    with redis_server.connect(bare_settings) as client:
        full_disk(client, bare_settings.home / "redis")
        status, doctor, sync = (run("syncengine", *words) for words in (["status"], ["doctor"], ["sync", "orders"]))
        others = {words: run(*words.split()) for words in (*READS, *WRITES, *CELERY)}
        client.config_set("save", "")  # else it refuses to end without having saved

    for words, done in others.items():
        assert "Traceback" not in done.stdout + done.stderr, words
        assert (MAKE_ROOM in done.stderr) == (words not in READS), words
        assert len(done.stderr.splitlines()) == (0 if words in READS else 1), words
    assert (status.returncode, status.stderr) == (0, "")
    assert "MISCONF" in status.stdout.splitlines()[0]
    assert doctor.stderr == ""
    assert doctor.stdout.splitlines()[1].endswith(f"→ {redis_server.MAKE_ROOM}")
    [line] = sync.stderr.splitlines()
    assert "MISCONF" in line
    assert line.endswith(redis_server.MAKE_ROOM)


def test_without_any_redis_the_line_says_what_to_do(bare_settings: Settings) -> None:
    with pytest.raises(Misconfigured, match=r"^no Redis is known\. Run `syncengine up` or set REDIS_URL$"):
        redis_server.address(bare_settings)


def test_a_stale_address_file_is_noticed(bare_settings: Settings) -> None:
    bare_settings.folder()
    (bare_settings.home / "redis.address").write_text(f"redis://:secret@127.0.0.1:{free_port()}/0\n")

    with pytest.raises(Misconfigured, match=r"does not answer .*Run `syncengine up` or set REDIS_URL") as caught:
        redis_server.answering_address(bare_settings, patience_s=0)
    assert "secret" not in str(caught.value)


def test_one_that_is_frozen_is_not_told_to_be_started(bare_settings: Settings, start: Start) -> None:
    process = start()
    process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(Misconfigured, match=r"does not answer .*frozen.*run `syncengine down` and") as caught:
            redis_server.answering_address(bare_settings, patience_s=0, read_s=0.5)
    finally:
        process.send_signal(signal.SIGCONT)
    assert "REDIS_URL" not in str(caught.value)


def test_a_given_redis_is_used_as_it_is(redis_url: str, bare_environment: dict[str, str]) -> None:
    found = settings.load({**bare_environment, "REDIS_URL": redis_url})

    assert redis_server.answering_address(found) == redis_url
    assert not found.home.exists()


def test_a_wrong_password_is_told_without_showing_it(start: Start, bare_settings: Settings) -> None:
    start()
    host = redis_server.address(bare_settings).rpartition("@")[2]
    wrong = settings.load({"REDIS_URL": f"redis://:mistaken@{host}"})

    with pytest.raises(Misconfigured, match=r"REDIS_URL = redis://127.*: the password is wrong\.") as caught:
        redis_server.answering_address(wrong, patience_s=0)
    assert "mistaken" not in str(caught.value)


def test_a_unix_socket_is_understood(tmp_path: Path, start: Start, bare_settings: Settings) -> None:
    start()
    socket = Path("/tmp") / f"se-{free_port()}.sock"  # a short path: the system allows about 100 characters
    server = subprocess.Popen(
        [redis_server.binary(), "--port", "0", "--unixsocket", str(socket), "--dir", str(tmp_path), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    found = settings.load({"REDIS_URL": f"redis+socket://{socket}?virtual_host=3"})
    try:
        redis_server.answering_address(found)
        with redis_server.connect(found) as client:
            assert client.client_info()["db"] == 3
    finally:
        stop(server)

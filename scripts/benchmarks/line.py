"""A TCP line between clients and a server that can be cut half-open: what is connected then hears nothing any more.

That is what a router does that forgot a connection, or a host that lost its power: nobody closes anything. What the clients
send goes nowhere, and connections that are made later work.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType
from typing import Self

CHUNK = 65_536


class Line:
    """Listens on a free port of 127.0.0.1 (`port`) and forwards to another one, until the end of the `with` block."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._silent: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_over = False
        self._thread = threading.Thread(target=self._forward, name="line", daemon=True)
        self._thread.start()

    def cut(self) -> int:
        """Silence all connections of this moment, in both directions; returns how many there are."""
        with self._lock:
            self._silent |= set(self._peers)
            return len(self._peers) // 2

    def close(self) -> None:
        """Close everything."""
        self._is_over = True
        self._thread.join()
        for end in (self._listener, *self._peers):
            end.close()
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _forward(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select(timeout=0.2):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._peers:
                        self._pass_on(key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._target, timeout=1)
        except OSError:  # the server is down: so it is for the client
            client.close()
            return
        for end, other in ((client, server), (server, client)):
            end.settimeout(5)
            self._peers[end] = other
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        peer = self._peers[source]
        try:
            data = source.recv(CHUNK)
            if data and source not in self._silent:
                peer.sendall(data)
        except OSError:
            data = b""
        if data:
            return
        # Where a silent connection is closed, the other end does not learn of it.
        for end in (source,) if source in self._silent else (source, peer):
            self._drop(end)

    def _drop(self, end: socket.socket) -> None:
        with contextlib.suppress(KeyError, ValueError):  # it is gone already
            self._selector.unregister(end)
        self._silent.discard(end)
        peer = self._peers.pop(end, None)
        if peer is not None and peer not in self._peers:
            peer.close()
        end.close()

"""Sends webhooks in a closed loop and prints what came of them: a process of its own, so that it has a core of its own.

Standard input: one line of JSON with port, path, clients and bodies. Each client sends its next webhook once the last one is
answered; what is not answered with 2xx is sent again, as Brightpearl does.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from typing import Any

PAUSE_S = 0.2


class Client(threading.Thread):
    """One connection. times: milliseconds of each answer. answered: positions of the webhooks that were taken."""

    def __init__(self, plan: dict[str, Any], requests: list[bytes], mine: list[int]) -> None:
        super().__init__(daemon=True)
        self._port, self._requests, self._mine = plan["port"], requests, mine
        self._until = time.monotonic() + plan["patience_s"]
        self._connection: socket.socket | None = None
        self.times: list[float] = []
        self.answered: list[int] = []
        self.errors = 0

    def run(self) -> None:
        for position in self._mine:
            while time.monotonic() < self._until:
                begun = time.perf_counter()
                status = self._send(self._requests[position])
                if 200 <= status < 300:
                    self.times.append((time.perf_counter() - begun) * 1000)
                    self.answered.append(position)
                    break
                self.errors += 1
                time.sleep(PAUSE_S)

    def _send(self, request: bytes) -> int:
        try:
            if self._connection is None:
                self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=30)
            self._connection.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                some = self._connection.recv(4096)
                if not some:
                    raise ConnectionError
                answer += some
            head, _, rest = answer.partition(b"\r\n\r\n")
            self._drain(head, len(rest))
            return int(head.split(b" ", 2)[1])
        except OSError:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return 0

    def _drain(self, head: bytes, got: int) -> None:
        assert self._connection is not None
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while got < length:
            got += len(self._connection.recv(4096))
        if b"connection: close" in head.lower():
            self._connection.close()
            self._connection = None


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    requests = []
    for body in plan["bodies"]:
        head = f"POST {plan['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        requests.append(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    clients = [
        Client(plan, requests, list(range(number, len(requests), plan["clients"]))) for number in range(plan["clients"])
    ]
    begun = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    took_s = time.perf_counter() - begun
    print(
        json.dumps(
            {
                "took_s": took_s,
                "times": sorted(each for client in clients for each in client.times),
                "answered": sorted(each for client in clients for each in client.answered),
                "errors": sum(client.errors for client in clients),
            }
        )
    )


if __name__ == "__main__":
    main()

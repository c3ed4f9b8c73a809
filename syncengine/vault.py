"""Encrypted storage of credentials, and the seal under which payloads and sessions are stored.

Keys are Fernet keys, newest first (cryptography's MultiFernet): what was sealed with an older key can still be opened. A
vault whose keys come from a file takes up what changes there: within seconds to seal, at once for what it cannot open.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import select

from syncengine import clock, keys
from syncengine.errors import Misconfigured
from syncengine.store import Store
from syncengine.store.models import Secret

log = logging.getLogger(__name__)

LOOKED_AT_EVERY_S = 1.0
"""How often the key file is asked whether it has changed."""


class Vault:
    """Seals bytes, and keeps the secrets of endpoints."""

    def __init__(self, store: Store, given: Sequence[str], *, file: Path | None = None) -> None:
        """`given`: Fernet keys, newest first. `file`: where they come from, if that may change.

        Raises Misconfigured if one is not a key, or there is none.
        """
        self._store = store
        self._file = file
        self._stamp: object = None
        self._looked_at = -math.inf
        self._use(given)

    def _use(self, given: Sequence[str]) -> None:
        if not given:
            raise Misconfigured("no encryption key. Set SYNCENGINE_KEYS; `syncengine keys new` makes one")
        try:
            self._by_print = {keys.print_of(key): Fernet(key) for key in given}
        except ValueError:
            raise Misconfigured(
                "SYNCENGINE_KEYS holds a value that is no key. `syncengine keys new` makes one"
            ) from None
        self._fernet = MultiFernet(list(self._by_print.values()))

    @property
    def prints(self) -> list[str]:
        """Names of the keys (`keys.print_of`), newest first: the first one seals."""
        self._look(every_s=LOOKED_AT_EVERY_S)
        return list(self._by_print)

    def refresh(self) -> None:
        """Take up at once what has changed in the key file."""
        self._look()

    def _look(self, *, every_s: float = 0.0) -> bool:
        """Take up what has changed in the key file; whether there was anything."""
        if self._file is None or clock.monotonic() - self._looked_at < every_s:
            return False
        self._looked_at = clock.monotonic()
        try:
            found = self._file.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp == self._stamp:
                return False
            self._use(keys.from_file(self._file))
        except (OSError, Misconfigured) as error:  # what is known still opens what it has sealed
            log.warning("the keys in use are kept, since the key file cannot be read: %s", error)
            return False
        self._stamp = stamp
        return True

    def seal(self, plain: bytes) -> bytes:
        """Encrypted bytes."""
        self._look(every_s=LOOKED_AT_EVERY_S)
        return self._fernet.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        """The bytes that were sealed. Raises Misconfigured if none of the keys fits."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            if self._look():
                return self.open(sealed)
        where = self._file if self._file is not None else "SYNCENGINE_KEYS"
        raise Misconfigured(
            f"the store was encrypted with another key than those that this process has ({', '.join(self._by_print)}). Put the "
            f"key that was in use before, or that another host has by now, into {where} as well"
        )

    def print_of(self, sealed: bytes) -> str:
        """The name of the key under which this is sealed; empty if it is none of ours."""
        for print_, fernet in self._by_print.items():
            try:
                fernet.decrypt(sealed)
            except InvalidToken:
                continue
            return print_
        return ""

    def renewed(self, sealed: bytes) -> bytes:
        """The same under the newest key. Raises Misconfigured if none of the keys fits."""
        self.open(sealed)
        return self._fernet.rotate(sealed)

    def seal_text(self, text: str) -> bytes:
        """Compressed, then encrypted: for documents."""
        return self.seal(zlib.compress(text.encode(), 1))

    def open_text(self, sealed: bytes) -> str:
        """The inverse of `seal_text`. Raises Misconfigured."""
        return zlib.decompress(self.open(sealed)).decode()

    def read(self, endpoint_id: int, name: str) -> str | None:
        """A secret of an endpoint; None if it has none of that name. Raises Misconfigured, Transient."""
        with self._store.read() as session:
            sealed = session.scalar(select(Secret.value).where(Secret.endpoint_id == endpoint_id, Secret.name == name))
        return None if sealed is None else self.open(sealed).decode()

    def version(self, endpoint_id: int, name: str) -> int:
        """How often the secret was written, 0 if never: tells whether another process has renewed it. Raises Transient."""
        with self._store.read() as session:
            found = session.scalar(select(Secret.version).where(Secret.endpoint_id == endpoint_id, Secret.name == name))
        return found or 0

    def write(self, endpoint_id: int, name: str, value: str) -> None:
        """Store a secret in the place of the former one. Raises Transient."""
        sealed = self.seal(value.encode())
        with self._store.write() as session:
            secret = session.scalar(select(Secret).where(Secret.endpoint_id == endpoint_id, Secret.name == name))
            if secret is None:
                session.add(Secret(endpoint_id=endpoint_id, name=name, value=sealed, version=1, updated_at=clock.now()))
            else:
                secret.value, secret.version, secret.updated_at = sealed, secret.version + 1, clock.now()

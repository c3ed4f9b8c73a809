"""Encrypted storage of credentials, and the seal under which payloads and sessions are stored.

Keys are Fernet keys, newest first (cryptography's MultiFernet): what was sealed with an older key can still be opened.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import select

from syncengine import clock
from syncengine.errors import Misconfigured
from syncengine.store import Store
from syncengine.store.models import Secret


class Vault:
    """Seals bytes, and keeps the secrets of endpoints."""

    def __init__(self, store: Store, keys: Sequence[str]) -> None:
        """`keys`: Fernet keys, newest first. Raises Misconfigured if one is not a key, or there is none."""
        if not keys:
            raise Misconfigured("no encryption key. Set SYNCENGINE_KEYS; `syncengine keys new` makes one")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise Misconfigured(
                "SYNCENGINE_KEYS holds a value that is no key. `syncengine keys new` makes one"
            ) from None
        self._store = store

    def seal(self, plain: bytes) -> bytes:
        """Encrypted bytes."""
        return self._fernet.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        """The bytes that were sealed. Raises Misconfigured if none of the keys fits."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise Misconfigured(
                "the store was encrypted with another key. Put the key that was in use before into SYNCENGINE_KEYS as well"
            ) from None

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

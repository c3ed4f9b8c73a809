"""Encrypted storage of credentials, and the encryption ("seal") of stored payloads and sessions.

Keys are Fernet keys, newest first (cryptography's MultiFernet), so that data sealed with an older key can still be opened. A
vault with a key file notices changes of the file: within seconds for sealing, at once for data that it cannot open.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import delete, select

from syncengine import clock, keys
from syncengine.errors import Misconfigured
from syncengine.store import Store
from syncengine.store.dialect import insert_into
from syncengine.store.models import Secret, Slot

log = logging.getLogger(__name__)

CHECK_FILE_EVERY_S = 1.0
"""How often the key file is checked for changes."""

SEARCH_KEY, SEARCH_KEY_BYTES, DIGEST_BYTES = "search-key", 32, 16
"""The slot that keeps the key of `digest`, sealed. It is resealed with all other slots, so digests outlive a rotation."""


class Vault:
    """Seals bytes, and keeps the secrets of endpoints."""

    def __init__(self, store: Store, given: Sequence[str], *, file: Path | None = None) -> None:
        """Args:
            given: Fernet keys, newest first.
            file: the key file that they come from; it is checked for changes.

        Raises:
            Misconfigured: there is no key, or one is invalid.
        """
        self._store = store
        self._file = file
        self._stamp: object = None
        self._checked_at = -math.inf
        self._search_key = b""
        self._use(given)

    def _use(self, given: Sequence[str]) -> None:
        if not given:
            raise Misconfigured("no encryption key. Set SYNCENGINE_KEYS; `syncengine keys new` makes one")
        try:
            self._by_fingerprint = {keys.fingerprint_of(key): Fernet(key) for key in given}
        except ValueError:
            raise Misconfigured(
                "SYNCENGINE_KEYS contains a value that is not a key. `syncengine keys new` makes one"
            ) from None
        self._fernet = MultiFernet(list(self._by_fingerprint.values()))

    @property
    def fingerprints(self) -> list[str]:
        """Fingerprints of the keys (`keys.fingerprint_of`), newest first: the first key seals."""
        self._reload(every_s=CHECK_FILE_EVERY_S)
        return list(self._by_fingerprint)

    def refresh(self) -> None:
        """Apply changes of the key file now."""
        self._reload()

    def _reload(self, *, every_s: float = 0.0) -> bool:
        """Load the key file if it has changed; returns whether it had. Skips a check within `every_s` seconds."""
        if self._file is None or clock.monotonic() - self._checked_at < every_s:
            return False
        self._checked_at = clock.monotonic()
        try:
            found = self._file.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp == self._stamp:
                return False
            self._use(keys.from_file(self._file))
        except (OSError, Misconfigured) as error:  # the present keys can still open what they sealed
            log.warning("the key file cannot be read, so the present keys stay in use: %s", error)
            return False
        self._stamp = stamp
        return True

    def seal(self, plain: bytes) -> bytes:
        """Encrypt bytes with the newest key."""
        self._reload(every_s=CHECK_FILE_EVERY_S)
        return self._fernet.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt sealed bytes. Raises Misconfigured if no key fits."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            if self._reload():
                return self.open(sealed)
        where = self._file if self._file is not None else "SYNCENGINE_KEYS"
        raise Misconfigured(
            f"the store was encrypted with another key than those of this process ({', '.join(self._by_fingerprint)}). "
            f"Add the former key, or the key that another host uses now, to {where}"
        )

    def fingerprint_of(self, sealed: bytes) -> str:
        """The fingerprint of the key that sealed this; empty if it is not one of our keys."""
        for fingerprint, fernet in self._by_fingerprint.items():
            try:
                fernet.decrypt(sealed)
            except InvalidToken:
                continue
            return fingerprint
        return ""

    def renewed(self, sealed: bytes) -> bytes:
        """The same content, sealed with the newest key. Raises Misconfigured if no key fits."""
        self.open(sealed)
        return self._fernet.rotate(sealed)

    def seal_text(self, text: str) -> bytes:
        """Compress and encrypt a text: for documents."""
        return self.seal(zlib.compress(text.encode(), 1))

    def open_text(self, sealed: bytes) -> str:
        """The inverse of `seal_text`. Raises Misconfigured."""
        return zlib.decompress(self.open(sealed)).decode()

    def digest(self, text: str) -> bytes:
        """A keyed digest of a text (16 bytes), by which stored data is found without being readable.

        It is the same in every process of an installation and after its encryption keys were replaced. The first call of a
        process reads the store, and in a new store writes it, so it must not be within a transaction. Raises Misconfigured,
        Transient.
        """
        if not self._has_search_key():
            fresh = {"name": SEARCH_KEY, "value": self.seal(os.urandom(SEARCH_KEY_BYTES))}
            with self._store.write() as session:
                session.execute(insert_into(session, Slot).values(fresh).on_conflict_do_nothing())
            self._has_search_key()
        return self._digest(text)

    def known_digest(self, text: str) -> bytes | None:
        """The digest of a text, to search for it; None in a store that has none. It writes nothing. Raises as `digest`."""
        return self._digest(text) if self._has_search_key() else None

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self._search_key, digest_size=DIGEST_BYTES).digest()

    def _has_search_key(self) -> bool:
        """Whether the store has the key of digests; it is read once."""
        if not self._search_key:
            with self._store.read() as session:
                sealed = session.scalar(select(Slot.value).where(Slot.name == SEARCH_KEY))
            self._search_key = self.open(sealed) if sealed is not None else b""
        return bool(self._search_key)

    def read(self, endpoint_id: int, name: str) -> str | None:
        """A secret of an endpoint; None if it has none of that name. Raises Misconfigured, Transient."""
        with self._store.read() as session:
            sealed = session.scalar(select(Secret.value).where(Secret.endpoint_id == endpoint_id, Secret.name == name))
        return None if sealed is None else self.open(sealed).decode()

    def version(self, endpoint_id: int, name: str) -> int:
        """How often the secret was written, 0 if never; it changes if another process renews the secret. Raises Transient."""
        with self._store.read() as session:
            found = session.scalar(select(Secret.version).where(Secret.endpoint_id == endpoint_id, Secret.name == name))
        return found or 0

    def remove(self, endpoint_id: int, name: str) -> None:
        """Remove a secret of an endpoint, if it has one of that name. Raises Transient."""
        with self._store.write() as session:
            session.execute(delete(Secret).where(Secret.endpoint_id == endpoint_id, Secret.name == name))

    def write(self, endpoint_id: int, name: str, value: str) -> None:
        """Store a secret, replacing the former one. Raises Transient."""
        sealed = self.seal(value.encode())
        with self._store.write() as session:
            secret = session.scalar(select(Secret).where(Secret.endpoint_id == endpoint_id, Secret.name == name))
            if secret is None:
                session.add(Secret(endpoint_id=endpoint_id, name=name, value=sealed, version=1, updated_at=clock.now()))
            else:
                secret.value, secret.version, secret.updated_at = sealed, secret.version + 1, clock.now()

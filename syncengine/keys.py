"""Encryption keys: created, checked, and kept in a file if the environment sets none. The `vault` uses them."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet

from syncengine.errors import Misconfigured

log = logging.getLogger(__name__)


def new() -> str:
    """A new Fernet key: 44 characters of URL-safe base64."""
    return Fernet.generate_key().decode()


def checked(where: str, keys: Sequence[str]) -> tuple[str, ...]:
    """The keys, if all are valid. Raises Misconfigured with `where` and the position of an invalid key, never its value."""
    for number, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except ValueError:
            raise Misconfigured(f"key {number} of {where} is not a key. `syncengine keys new` makes one") from None
    return tuple(keys)


def from_file(path: Path) -> tuple[str, ...]:
    """The keys in a file, one per line, newest first.

    Raises Misconfigured if the file is missing, has no key, or cannot be read.
    """
    try:
        keys = checked(str(path), path.read_text(encoding="ascii", errors="replace").split())
    except FileNotFoundError:
        keys = ()
    except OSError as error:
        raise _unusable(path, error) from None
    if not keys:
        raise Misconfigured(
            f"no encryption key in {path}. Put back the one that was in use, or set SYNCENGINE_KEYS; "
            "`syncengine keys new` makes one for a new installation"
        )
    return keys


def fingerprint_of(key: str) -> str:
    """A short name of a key that does not reveal it."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def put_first(path: Path, key: str) -> None:
    """Put a new key at the top of the file, so that it seals and the others still open. Raises Misconfigured."""
    _replace(path, (key, *from_file(path)))


def remove(path: Path, fingerprint: str) -> None:
    """Remove the key with this fingerprint from the file. Raises Misconfigured."""
    _replace(path, [key for key in from_file(path) if fingerprint_of(key) != fingerprint])


def _replace(path: Path, lines: Sequence[str]) -> None:
    """Replace the file atomically, and flush it to disk before anything is sealed with a new key.

    Owner and mode stay the same, so that workers can still read it if root has run the command.
    """
    path = path.resolve()  # the target of a symbolic link, not the link
    try:
        former = path.stat()
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # created with mode 0600
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                os.fchown(descriptor, former.st_uid, former.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(former.st_mode))
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(descriptor)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        raise _unusable(path, error) from None


def make(path: Path) -> None:
    """Create a key file at `path`, readable only by its owner, and log a warning.

    If several processes start at once, one of them wins. Raises Misconfigured if the file cannot be written.
    """
    try:
        _make(path)
    except OSError as error:
        raise _unusable(path, error) from None


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # created with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{new()}\n")
        os.link(draft, path)  # atomic, and never replaces an existing file
    except FileExistsError:
        return
    finally:
        Path(draft).unlink()
    log.warning("made an encryption key: %s. Keep a copy: without it stored credentials cannot be read", path)


def _unusable(path: Path, error: OSError) -> Misconfigured:
    return Misconfigured(f"the key file {path} cannot be used: {error.strerror}. Set SYNCENGINE_KEYS")
